"""Databases and processes for the whole-system tests.

PostgreSQL must run (`./dev test` sees to it).
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tools import databases, folders, odoo_command, postgres

HERE = Path(__file__).parent
# What these tests share lies beside them.
sys.path.insert(0, str(HERE))
PREFIX = "energy_system"


@pytest.fixture(scope="session", autouse=True)
def running_postgres():
    with postgres.running():
        yield


@pytest.fixture(scope="session")
def demo_template():
    """The name of a database with both add-ons and their demo data, to be copied from."""
    if name := os.environ.get("ENERGY_TEST_TEMPLATE"):
        yield name
        return
    with databases.with_our_addons(f"{PREFIX}_demo", demo=True) as name:
        yield name


@pytest.fixture(scope="session")
def bare_template():
    """The name of a database with both add-ons without demo data, to be copied from."""
    with databases.with_our_addons(f"{PREFIX}_bare", demo=False) as name:
        yield name


@pytest.fixture(scope="session")
def site_template(bare_template):
    """The name of a database with the site of site_plan.py, to be copied from."""
    name = f"{PREFIX}_site"
    databases.copy(bare_template, name, throw_away=True)
    try:
        done = subprocess.run(
            [folders.PYTHON, HERE / "make_site.py", name],
            env=odoo_command.environment(),
            cwd=folders.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield name
    finally:
        databases.drop(name)


@pytest.fixture
def fresh_database():
    """Make copies of a template that live as long as the test: fresh_database(template, name)."""
    with ExitStack() as stack:

        def make(template, name):
            databases.copy(template, name, throw_away=True)
            stack.callback(databases.drop, name)
            return name

        yield make


@pytest.fixture
def run_site(site_template, tmp_path):
    """Run a copy of the site: `with run_site(name, ...) as site`; see RunningSite.

    When the block ends without a failure, the checker must find nothing and the logs hold no line
    that the log gate does not let through.
    """
    from running_site import RunningSite

    @contextmanager
    def run(name, **options):
        database = f"{PREFIX}_{name}"
        folder = tmp_path / name
        folder.mkdir()
        databases.copy(site_template, database, throw_away=True)
        try:
            with RunningSite(database, folder, **options) as site:
                yield site
            assert site.log_complaints() == []
            assert findings(database) == {}
        finally:
            databases.drop(database)

    return run


@pytest.fixture
def demo(demo_template, fresh_database, tmp_path):
    """The demo at work, its clock standing still; see RunningSite.

    When the test ends, the checker must find nothing and the logs hold no line that the log gate
    does not let through.
    """
    from running_site import HALF_HOUR, RunningSite

    database = fresh_database(demo_template, f"{PREFIX}_browser")
    file = tmp_path / "site.json"
    done = subprocess.run(
        odoo_command.command(
            "energy_demo_site", "-d", database, "--output", str(file), "--speed", "0"
        ),
        env=odoo_command.environment(),
        cwd=folders.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    devices = json.loads(file.read_text())
    for gateway in devices["gateways"]:
        for meter in gateway["meters"]:
            if meter["type"] == "kaifeng_valve":
                meter["valve_seconds"] = 0
    with RunningSite(database, tmp_path, devices=devices, read_interval=HALF_HOUR) as site:
        site.start()
        yield site
    assert site.log_complaints() == []
    assert findings(database) == {}


@pytest.fixture
def visit(demo):
    """Open a page of the demo as somebody: visit(login, path below /odoo, size of the window)."""
    from browser import DESKTOP, log_in, open_browser

    pages = []
    with open_browser() as browser:

        def make(login, path, size=DESKTOP):
            pages.append(log_in(browser, demo, login, path, size))
            return pages[-1]

        yield make
        assert [page.errors for page in pages if page.errors] == []


def findings(database: str) -> dict[str, list[str]]:
    """What the checker finds, by rule."""
    done = subprocess.run(
        odoo_command.command("energy_check", "-d", database, "--json"),
        env=odoo_command.environment(),
        cwd=folders.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    rules = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rules) > 5, done.stderr
    found = {rule["name"]: rule["findings"] for rule in rules if rule["findings"]}
    assert done.returncode == bool(found), done.stderr
    return found
