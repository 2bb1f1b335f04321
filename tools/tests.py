"""`./dev test`: everything that CI runs, on a fresh database.

Lint, then an installation of the add-ons with demo data whose log must be clean, then pytest over
the pure tests and Odoo's tests, and beside it over the whole-system tests. It ends in a line that
sums both up. Further options go to one pytest run over all: `./dev test -x -k wallet`.
"""

import subprocess
from pathlib import Path
from xml.etree import ElementTree

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
INNER = ("tests/pure", "addons")
SYSTEM = "tests/system"
FOLDERS = (*INNER, SYSTEM)
RESULTS = folders.MADE / "test-results.xml"
ODOO_OPTIONS = (
    f"--odoo-database={DATABASE}",
    "--odoo-http",
    "--odoo-log-level=warn",
    "--odoo-extra=max-cron-threads=0",
)


def _command(where: tuple[str, ...], results: Path) -> list[str]:
    return [str(folders.PYTHON), "-m", "pytest", f"--junit-xml={results}", *where]


def _one_after_the_other(extra: list[str]) -> int:
    """Run what the options choose in one pytest run."""
    command = [*_command(FOLDERS, RESULTS), *ODOO_OPTIONS, *extra]
    return subprocess.call(command, cwd=folders.ROOT, env=_environment())


def _side_by_side() -> int:
    """Run all tests, the whole-system ones beside the others: each waits on the other's cores."""
    own = {name: RESULTS.with_name(f"test-results-{name}.xml") for name in ("inner", "system")}
    log = folders.LOG / "system-tests.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    system = [*_command((SYSTEM,), own["system"]), "-p", "no:odoo", "--every-folder"]
    inner = [*_command(INNER, own["inner"]), *ODOO_OPTIONS, "--every-folder"]
    with log.open("w") as output:
        beside = subprocess.Popen(
            system, cwd=folders.ROOT, env=_environment(), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            code = subprocess.call(inner, cwd=folders.ROOT, env=_environment())
            code = beside.wait() or code
        finally:
            # Only where this run is interrupted.
            if beside.poll() is None:
                beside.terminate()
                beside.wait()
    say(log.read_text())
    _sum_up(list(own.values()))
    return code


def _environment() -> dict[str, str]:
    return odoo_command.environment({"ENERGY_TEST_TEMPLATE": TEMPLATE})


def _sum_up(parts: list[Path]) -> None:
    """Write one file of results, and say what all runs came to."""
    root = ElementTree.Element("testsuites")
    for part in parts:
        if part.exists():
            root.extend(ElementTree.parse(part).getroot().iter("testsuite"))
    ElementTree.ElementTree(root).write(RESULTS, encoding="utf-8", xml_declaration=True)
    sums = {
        name: sum(int(suite.get(name, 0)) for suite in root)
        for name in ("tests", "failures", "errors", "skipped")
    }
    passed = sums["tests"] - sums["failures"] - sums["errors"] - sums["skipped"]
    others = [f"{sums[name]} {name}" for name in ("failures", "errors", "skipped") if sums[name]]
    say(f"=== {', '.join([*others, f'{passed} passed'])} ===")


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
            return _one_after_the_other(arguments) if arguments else _side_by_side()
        finally:
            databases.drop(DATABASE)
