"""`./dev check [--database NAME]`: the checker of what must always hold."""

import argparse
import subprocess

from . import databases, odoo_command, postgres
from .demo import DATABASE
from .progress import Refusal


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev check")
    parser.add_argument("-d", "--database", default=DATABASE)
    options, rest = parser.parse_known_args(arguments)
    with postgres.running():
        if not databases.exists(options.database):
            raise Refusal(
                f"There is no database {options.database}: `./dev demo` makes the demo's."
            )
        return subprocess.call(
            odoo_command.command("energy_check", "-d", options.database, *rest),
            env=odoo_command.environment(),
        )
