"""`./dev test`: everything that CI runs, on a fresh database.

Lint, then an installation of the add-ons with demo data whose log must be clean, then one pytest
run over the pure tests, Odoo's tests and the whole-system tests. It ends in pytest's closing line.
"""

import argparse
import subprocess

from . import databases, folders, lint, odoo_command, odoo_lint, postgres, system_packages
from .locks import alone
from .progress import Refusal, say, step

# Has the add-ons installed, with demo data; nobody connects to it, so it can be copied.
TEMPLATE = "energy_test_template"
DATABASE = "energy_test"
FOLDERS = ("tests/pure", "addons", "tests/system")


def _prepare_databases() -> None:
    databases.ensure_template()
    with step("Installing the add-ons with demo data on a fresh database"):
        databases.copy(databases.TEMPLATE, TEMPLATE, throw_away=True)
        databases.install(TEMPLATE, folders.OUR_ADDONS, folders.LOG / "install.log")
    with step("Linting the installed add-ons by Odoo's own rules"):
        odoo_lint.run(TEMPLATE)
    databases.copy(TEMPLATE, DATABASE, throw_away=True)


def _pytest(extra: list[str]) -> int:
    where = [folder for folder in FOLDERS if (folders.ROOT / folder).is_dir()]
    command = [
        str(folders.PYTHON), "-m", "pytest", f"--odoo-database={DATABASE}", "--odoo-http",
        "--odoo-log-level=warn", "--odoo-extra=max-cron-threads=0", "--every-folder",
        f"--junit-xml={folders.MADE / 'test-results.xml'}", *where, *extra,
    ]  # fmt: skip
    environment = odoo_command.environment({"ENERGY_TEST_TEMPLATE": TEMPLATE})
    return subprocess.call(command, cwd=folders.ROOT, env=environment)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument(
        "pytest_options", nargs="*", help="further options for pytest, after --, such as -x or -k"
    )
    options, more = parser.parse_known_args(arguments)
    system_packages.ensure()
    say("Linting ...")
    if failed := lint.failures():
        raise Refusal(f"lint failed: {', '.join(failed)}")
    alone_here = alone("test", "Another ./dev test runs in this checkout: wait for its end.")
    with alone_here, postgres.running():
        _prepare_databases()
        try:
            return _pytest([*options.pytest_options, *more])
        finally:
            databases.drop(DATABASE)
            databases.drop(TEMPLATE)
