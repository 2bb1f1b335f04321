"""Databases: one template with Odoo's own modules installed, and copies of it."""

import shutil
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from . import log_gate, odoo_command, postgres
from .folders import LOG, OUR_ADDONS
from .locks import alone
from .progress import Refusal, step
from .stamps import digest, is_done, mark_done

TEMPLATE = "energy_template_base"
# What the add-ons build on. Installing these takes two minutes, copying them a second.
BASE_MODULES = (
    "account_payment", "analytic", "bus", "l10n_cn", "l10n_de", "mail", "portal", "resource",
    "sms", "uom",
)  # fmt: skip


def exists(name: str) -> bool:
    with closing(postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        return cursor.fetchone() is not None


def require(name: str) -> None:
    """:raise Refusal: when there is no such database."""
    if not exists(name):
        raise Refusal(f"There is no database {name}; `./dev demo` makes the demo's.")


def _filestore(name: str) -> Path:
    return odoo_command.DATA / "filestore" / name


def _execute(statement: str, *names: str) -> None:
    from psycopg2 import sql

    identifiers = [sql.Identifier(name) for name in names]
    with closing(postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*identifiers))


def drop(name: str) -> None:
    """Delete a database, its connections and its files."""
    _execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    shutil.rmtree(_filestore(name), ignore_errors=True)


def copy(source: str, name: str, *, throw_away: bool = False) -> None:
    """Copy a database and its files. A throw-away copy does not wait for the disk at commit."""
    drop(name)
    _execute("CREATE DATABASE {} TEMPLATE {}", name, source)
    if throw_away:
        _execute("ALTER DATABASE {} SET synchronous_commit = off", name)
    if _filestore(source).is_dir():
        shutil.copytree(_filestore(source), _filestore(name))
    # Two copies must not take each other for the same database.
    with closing(postgres.connect(name)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ir_config_parameter SET value = gen_random_uuid()::text"
            " WHERE key = 'database.uuid'"
        )


def rename(name: str, to: str) -> None:
    """Give a database, with its files, another's name; the other is deleted."""
    drop(to)
    _execute("ALTER DATABASE {} RENAME TO {}", name, to)
    if _filestore(name).is_dir():
        _filestore(name).rename(_filestore(to))


def install(name: str, modules: tuple[str, ...], log: Path, *, demo: bool = True) -> None:
    """Install modules, with their demo data unless told; the log must pass the log gate.

    :raise Refusal: when Odoo fails, or its log holds a line that the gate does not let through.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [
        "-d", name, "-i", ",".join(modules), "--stop-after-init", "--no-http",
        "--max-cron-threads=0", *(["--with-demo"] if demo else []),
    ]  # fmt: skip
    if not demo:
        # Odoo gives a new module its demo data wherever the modules below it have theirs.
        with closing(postgres.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE ir_module_module SET demo = FALSE")
    done = odoo_command.run_logged(log, *arguments)
    if complaints := log_gate.complaints(log.read_text(errors="replace").splitlines()):
        listed = textwrap.indent("\n".join(complaints[:20]), "    ")
        raise Refusal(
            f"Installing {', '.join(modules)} logged {len(complaints)} undeclared lines"
            f" (all of it: {log}):\n{listed}"
        )
    if done.returncode:
        raise Refusal(f"Installing {', '.join(modules)} failed; the log is {log}.")


def ensure_template() -> None:
    """Make the template database; it is made anew when the list of modules changes."""
    with alone("template", "Waiting for another ./dev to make the template ...", wait=True):
        _ensure_template()


def _ensure_template() -> None:
    key = digest(BASE_MODULES, odoo_command.addons_path(), postgres.environment())
    if is_done("template", key) and exists(TEMPLATE):
        return
    drop(TEMPLATE)
    with step("Installing Odoo's own modules into the template database (two minutes)"):
        install(TEMPLATE, BASE_MODULES, LOG / "template.log")
    mark_done("template", key)


@contextmanager
def with_our_addons(name: str, *, demo: bool) -> Iterator[str]:
    """Have a database with our add-ons installed, to be copied from; it is deleted afterwards.

    Nobody may be connected to it while it is copied.
    """
    ensure_template()
    with step(f"Installing the add-ons {'with' if demo else 'without'} demo data"):
        copy(TEMPLATE, name, throw_away=True)
        install(name, OUR_ADDONS, LOG / f"install-{name}.log", demo=demo)
    try:
        yield name
    finally:
        drop(name)
