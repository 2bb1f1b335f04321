"""`./dev lint`: style, Odoo's conventions and the house rules."""

import subprocess
from pathlib import Path

from . import folders, house_rules
from .progress import complain, say

CORES = [
    str(path.relative_to(folders.ROOT))
    for name in house_rules.PURE_PACKAGES
    for path in sorted(folders.ADDONS.glob(f"*/{name}"))
]


def _program(name: str) -> str:
    return str(folders.VENV / "bin" / name)


def _commands() -> dict[str, list[str]]:
    addons = [
        str(path.parent.relative_to(folders.ROOT))
        for path in sorted(folders.ADDONS.glob("*/__manifest__.py"))
    ]
    commands = {
        "ruff check": [_program("ruff"), "check", "--quiet", "."],
        "ruff format --check": [_program("ruff"), "format", "--check", "--quiet", "."],
        "pylint-odoo": [
            _program("pylint"),
            f"--rcfile={folders.ROOT / 'pyproject.toml'}",
            "--score=n",
            *addons,
        ],
    }
    if CORES:
        hints = ["check", "--quiet", "--select", "ANN", "--ignore", "ANN401", *CORES]
        commands["type hints of the functional cores"] = [_program("ruff"), *hints]
    return commands


def failures(root: Path = folders.ROOT) -> list[str]:
    """Run every check and print what it finds; return the names of those that failed."""
    failed = []
    for name, command in _commands().items():
        if subprocess.run(command, cwd=root, check=False).returncode:
            failed.append(name)
    findings = house_rules.check_tree(root)
    for finding in findings:
        say(str(finding))
    if findings:
        failed.append("house rules")
    return failed


def main(arguments: list[str]) -> int:
    if failed := failures():
        complain(f"lint failed: {', '.join(failed)}")
        return 1
    say("lint: nothing found")
    return 0
