"""Databases for the whole-system tests; PostgreSQL must run (`./dev test` sees to it)."""

import os
from contextlib import ExitStack

import pytest

from tools import databases


@pytest.fixture(scope="session")
def demo_template():
    """The name of a database with both add-ons and their demo data, to be copied from."""
    if name := os.environ.get("ENERGY_TEST_TEMPLATE"):
        yield name
        return
    with databases.with_our_addons("energy_system_demo", demo=True) as name:
        yield name


@pytest.fixture(scope="session")
def bare_template():
    """The name of a database with both add-ons without demo data, to be copied from."""
    with databases.with_our_addons("energy_system_bare", demo=False) as name:
        yield name


@pytest.fixture
def fresh_database():
    """Make copies of a template that live as long as the test: fresh_database(template, name)."""
    with ExitStack() as stack:

        def make(template, name):
            databases.copy(template, name, throw_away=True)
            stack.callback(databases.drop, name)
            return name

        yield make
