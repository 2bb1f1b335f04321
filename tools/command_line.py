"""The commands of `./dev`."""

import importlib
import os
import shutil
import sys

from . import folders, preflight, python_environment
from .locks import alone
from .progress import Refusal, complain, say

# Command: module of this package with main(arguments) -> exit status, and what it is for.
COMMANDS = {
    "demo": ("demo", "start Odoo with demo data, meter simulator and connector"),
    "test": ("tests", "run everything that CI runs, on a fresh database: test [pytest options]"),
    "lint": ("lint", "check style and the house rules"),
    "bench": ("bench", "measure against yardsticks: bench [NAME] [--json]"),
    "check": ("check", "run the checker on the demo's database"),
    "shell": ("shell", "a Python shell inside Odoo: shell [--database NAME]"),
    "psql": ("psql", "a PostgreSQL prompt: psql [--database NAME] [psql options]"),
    "translations": ("translations", "bring the Chinese files up to date with the source terms"),
    "postgres": ("postgres_command", "start or stop PostgreSQL alone: postgres start|stop|env"),
}
USAGE = """\
usage: ./dev COMMAND [options]

{commands}
  {lock:12} pin the Python packages of requirements.txt anew
  {stop:12} stop what runs in the background (PostgreSQL, a demo)
  {clean:12} delete everything that ./dev made
  {help:12} this text

The first use of any command sets everything up under .dev/.
ODOO_HOME names an Odoo 19 to use, PGHOST (and PGPORT, PGUSER, PGPASSWORD) a PostgreSQL server,
DEBIAN_MIRROR a mirror of the Debian archive."""


def usage() -> str:
    commands = "\n".join(f"  {name:12} {about}" for name, (_module, about) in COMMANDS.items())
    return USAGE.format(commands=commands, lock="lock", stop="stop", clean="clean", help="help")


def _set_up() -> None:
    from . import odoo_source

    preflight.check_system()
    waiting = "Waiting for another ./dev to finish its set-up ..."
    with alone("set-up", waiting, wait=True):
        preflight.check_space()
        odoo_source.ensure()
        python_environment.ensure()


def _stop() -> int:
    if not folders.PYTHON.exists():
        return 0
    from . import demo, postgres

    if demo.stop():
        say("demo stopped")
    if postgres.stop():
        say("PostgreSQL stopped")
    return 0


def _clean() -> int:
    _stop()
    if folders.PYTHON.exists():
        from . import postgres

        postgres.remove()
    shutil.rmtree(folders.MADE, ignore_errors=True)
    say("deleted .dev")
    return 0


def main(arguments: list[str]) -> int:
    """Run one command; return the exit status."""
    name = arguments[0] if arguments else "help"
    if name in ("help", "-h", "--help"):
        say(usage())
        return 0
    try:
        if name == "lock":
            python_environment.relock()
            return 0
        if name in ("stop", "clean"):
            if folders.PYTHON.exists():
                python_environment.enter(arguments)
            return _stop() if name == "stop" else _clean()
        if name not in COMMANDS:
            complain(f"./dev has no command {name!r}.\n\n{usage()}")
            return 2
        os.chdir(folders.ROOT)
        _set_up()
        python_environment.enter(arguments)
        module = importlib.import_module(f"tools.{COMMANDS[name][0]}")
        return module.main(arguments[1:])
    except Refusal as refusal:
        complain(f"{refusal}")
        return 1
    except KeyboardInterrupt:
        complain("stopped")
        return 130
    finally:
        sys.stdout.flush()
