"""`./dev check [--database NAME]`: the checker of what must always hold."""

import argparse
import subprocess

from . import databases, odoo_command, postgres
from .demo import DATABASE


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev check")
    parser.add_argument("-d", "--database", default=DATABASE)
    options, rest = parser.parse_known_args(arguments)
    with postgres.running():
        databases.require(options.database)
        return subprocess.call(
            odoo_command.command("energy_check", "-d", options.database, "--log-level=warn", *rest),
            env=odoo_command.environment(),
        )
