"""How Odoo is started here: always `python -m odoo`, with one configuration file under `.dev`.

The file is named by `ODOO_RC`, not by `-c`: Odoo looks for the commands of add-ons
(`odoo energy_check`) before it reads `-c`, so it would not know where to look.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from . import odoo_source, postgres
from .folders import ADDONS, MADE, PYTHON

CONFIG = MADE / "odoo.conf"
DATA = MADE / "data"


def addons_path() -> str:
    return ",".join(str(path) for path in (*odoo_source.addons_paths(), ADDONS))


def write_config() -> Path:
    """Write the configuration file that every Odoo process here reads."""
    server = postgres.environment()
    options = {
        "addons_path": addons_path(),
        "data_dir": DATA,
        "db_host": server["PGHOST"],
        "db_port": server.get("PGPORT"),
        "db_user": server.get("PGUSER"),
        "db_password": server.get("PGPASSWORD"),
        "db_maxconn": 32,
        "http_interface": "127.0.0.1",
        "list_db": "False",
        "server_wide_modules": "base,rpc,web",
        "limit_time_real": 600,
        "limit_time_cpu": 600,
        # A browser that a test starts would inherit Odoo's limit and could not map its memory.
        "limit_memory_hard": "0",
    }
    content = "[options]\n" + "".join(
        f"{name} = {value}\n" for name, value in options.items() if value
    )
    MADE.mkdir(exist_ok=True)
    if not CONFIG.is_file() or CONFIG.read_text() != content:
        CONFIG.write_text(content)
        CONFIG.chmod(0o600)
    return CONFIG


def command(*arguments: str) -> list[str]:
    """`odoo` with these arguments, for example ("energy_check", "-d", "energy_demo")."""
    return [str(PYTHON), "-m", "odoo", *arguments]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of an Odoo process."""
    return {
        **os.environ,
        **postgres.environment(),
        "ODOO_RC": str(write_config()),
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


def run_logged(log: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run `odoo` with these arguments to its end, with all that it prints in a file."""
    with log.open("w") as output:
        return subprocess.run(
            command(*arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
