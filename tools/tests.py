"""`./dev test`: everything that CI runs, on a fresh database.

Lint, then an installation of the add-ons with demo data whose log must be clean, then one pytest
run over the pure tests, Odoo's tests and the whole-system tests. It ends in pytest's closing line.
Further options go to pytest: `./dev test -x -k wallet`.
"""

import subprocess

from . import (
    databases,
    folders,
    lint,
    odoo_command,
    odoo_lint,
    postgres,
    system_packages,
    translations,
)
from .locks import alone
from .progress import Refusal, say, step

# Has the add-ons installed, with demo data; the whole-system tests copy it too.
TEMPLATE = "energy_test_template"
DATABASE = "energy_test"
FOLDERS = ("tests/pure", "addons", "tests/system")


def _pytest(extra: list[str]) -> int:
    where = [folder for folder in FOLDERS if (folders.ROOT / folder).is_dir()]
    command = [
        str(folders.PYTHON), "-m", "pytest", f"--odoo-database={DATABASE}", "--odoo-http",
        "--odoo-log-level=warn", "--odoo-extra=max-cron-threads=0",
        f"--junit-xml={folders.MADE / 'test-results.xml'}", *where, *(extra or ["--every-folder"]),
    ]  # fmt: skip
    environment = odoo_command.environment({"ENERGY_TEST_TEMPLATE": TEMPLATE})
    return subprocess.call(command, cwd=folders.ROOT, env=environment)


def main(arguments: list[str]) -> int:
    system_packages.ensure()
    say("Linting ...")
    if failed := lint.failures():
        raise Refusal(f"lint failed: {', '.join(failed)}")
    alone_here = alone("test", "Another ./dev test runs in this checkout: wait for its end.")
    with (
        alone_here,
        postgres.running(),
        databases.with_our_addons(TEMPLATE, demo=True),
    ):
        with step("Linting the installed add-ons by Odoo's own rules"):
            odoo_lint.run(TEMPLATE)
        with step("Checking the translations"):
            translations.check(TEMPLATE)
        databases.copy(TEMPLATE, DATABASE, throw_away=True)
        try:
            return _pytest(arguments)
        finally:
            databases.drop(DATABASE)
