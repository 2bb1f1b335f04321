"""Odoo's own lint (the add-on `test_lint`), as far as it fits an add-on of its own."""

import re
import textwrap

from . import databases, folders, log_gate, odoo_command
from .processes import free_port
from .progress import Refusal

DATABASE = "energy_lint"
TESTS = (
    "TestIndex", "ManifestLinter", "TestNaming", "TestTestHoles", "TestLintOverrideSignatures",
    "RoutesLinter",
)  # fmt: skip
RESULT = re.compile(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests")


def run(template: str) -> None:
    """Lint the add-ons that are installed in the template.

    :raise Refusal: when a test fails, or none ran.
    """
    databases.copy(template, DATABASE, throw_away=True)
    log = folders.LOG / "odoo-lint.log"
    arguments = [
        "-d", DATABASE, "-i", "test_lint", "--stop-after-init", f"--http-port={free_port()}",
        "--max-cron-threads=0",
        "--test-tags=" + ",".join(f"/test_lint:{name}" for name in TESTS),
    ]  # fmt: skip
    try:
        odoo_command.run_logged(log, *arguments)
    finally:
        databases.drop(DATABASE)
    text = log.read_text(errors="replace")
    result = RESULT.search(text)
    if result is None or result[3] == "0":
        raise Refusal(f"Odoo's lint ran no test; its log is {log}.")
    if complaints := log_gate.complaints(text.splitlines()):
        listed = textwrap.indent("\n".join(complaints[:20]), "    ")
        raise Refusal(f"Odoo's lint failed (all of it: {log}):\n{listed}")
