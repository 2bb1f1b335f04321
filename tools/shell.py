"""`./dev shell [--database NAME]`: Python with `env` of a database."""

import argparse
import subprocess

from . import databases, odoo_command, postgres
from .demo import DATABASE


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev shell")
    parser.add_argument("-d", "--database", default=DATABASE)
    options, rest = parser.parse_known_args(arguments)
    with postgres.running():
        databases.require(options.database)
        return subprocess.call(
            odoo_command.command("shell", "-d", options.database, "--no-http", *rest),
            env=odoo_command.environment(),
        )
