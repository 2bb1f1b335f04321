"""`./dev psql [--database NAME] [psql options]`"""

import argparse
import os
import subprocess

from . import postgres
from .demo import DATABASE


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev psql")
    parser.add_argument("-d", "--database", default=DATABASE)
    options, rest = parser.parse_known_args(arguments)
    with postgres.running():
        return subprocess.call(
            [postgres.psql(), "-d", options.database, *rest],
            env={**os.environ, **postgres.environment()},
        )
