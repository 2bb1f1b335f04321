"""`./dev demo`: server, connector and simulated meters, each a process of its own."""

import argparse
import os
import shutil
import signal
import time
from pathlib import Path

from . import databases, folders, odoo_command, postgres, processes
from .commands import run
from .locks import alone
from .processes import Process
from .progress import Refusal, complain, say, step
from .stamps import digest, is_done, mark_done

DATABASE = "energy_demo"
PORT = 8069
SITE = folders.DEMO / "site.json"
PROCESS_ID = folders.DEMO / "pid"
LOGINS = (
    ("administrator", "admin"),
    ("cashier", "cashier"),
    ("operator", "operator"),
    ("accountant", "accountant"),
    ("engineer", "engineer"),
    ("tenant", "tenant1"),
    ("tenant", "tenant2"),
)


def _sources_key() -> str:
    files = sorted(
        path
        for path in folders.ADDONS.rglob("*")
        if path.suffix in (".py", ".xml", ".csv", ".json", ".po") and "tests" not in path.parts
    )
    return digest(*files)


def _ensure_database(fresh: bool) -> None:
    databases.ensure_template()
    if fresh or not databases.exists(DATABASE):
        new = f"{DATABASE}_new"
        with step("Installing the add-ons with demo data (once, some minutes)"):
            databases.copy(databases.TEMPLATE, new)
            databases.install(new, folders.OUR_ADDONS, folders.LOG / "demo-install.log")
        databases.rename(new, DATABASE)
        shutil.rmtree(folders.DEMO, ignore_errors=True)
        mark_done("demo", _sources_key())
    elif not is_done("demo", _sources_key()):
        say("The add-ons have changed since the demo was made: ./dev demo --fresh makes it anew.")


def _clock_address() -> str:
    """The demo database as a connection string for the simulator."""
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    parts = [f"{names[name]}={value}" for name, value in postgres.environment().items()]
    return " ".join([f"dbname={DATABASE}", *parts])


def _start(port: int, started: list[Process]) -> None:
    """Start the processes in order; each is added to `started` before it is waited for."""

    def begin(name: str, command: list[str], env: dict[str, str]) -> Process:
        process = Process(name, command, folders.LOG / f"{name}.log", env=env)
        started.append(process)
        return process

    environment = odoo_command.environment()
    folders.DEMO.mkdir(parents=True, exist_ok=True)
    # The site goes on from the registers and relays that the database last saw.
    run(
        odoo_command.command("energy_demo_site", "-d", DATABASE, "--output", str(SITE)),
        env=environment,
        why_failed="The demo's site could not be written.",
    )
    # Asked again: the set-up may have taken minutes, and another program's answer is no answer.
    _require_port(port)
    server = begin(
        "server",
        odoo_command.command(
            "-d", DATABASE, f"--db-filter=^{DATABASE}$", f"--http-port={port}",
            "--max-cron-threads=1",
        ),
        environment,
    )  # fmt: skip
    simulator = begin(
        "simulator",
        [str(folders.PYTHON), "-m", "simulator", "run", str(SITE),
         "--clock-database", _clock_address()],
        {**os.environ, "PYTHONPATH": str(folders.ADDONS / "prepaid_energy_meter")},
    )  # fmt: skip
    simulator.wait_for_text('"ready": true')
    connector = begin(
        "connector", odoo_command.command("energy_connector", "-d", DATABASE), environment
    )
    connector.wait_for_text("ready")
    server.wait_until(lambda: processes.answers(f"http://127.0.0.1:{port}/web/health"))


def _print_block(port: int) -> None:
    say(f"\nPrepaid Energy runs at http://127.0.0.1:{port}\n")
    say("    who            login and password")
    for who, login in LOGINS:
        say(f"    {who:14} {login}")
    say(f"\nLogs: {folders.LOG.relative_to(folders.ROOT)}/   Ctrl-C stops everything.\n")


def _serve(port: int) -> int:
    started: list[Process] = []
    try:
        with step("Starting server, simulator and connector"):
            _start(port, started)
        _print_block(port)
        ended = processes.watch(started)
        complain(f"{ended.name} ended with status {ended.status}; its log ({ended.log}) ends:")
        complain(ended.tail())
        return 1
    finally:
        processes.stop_all(started)
        say("everything stopped")


def stop() -> bool:
    """Stop a demo that runs elsewhere; return whether there was one."""
    try:
        pid = int(PROCESS_ID.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    # The number may belong to another process by now.
    if str(folders.ROOT / "dev").encode() not in arguments or b"demo" not in arguments:
        return False
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        os.close(descriptor)
    return True


def _require_port(port: int) -> None:
    if not processes.is_port_free(port):
        raise Refusal(
            f"Port {port} is taken: stop what listens there, or choose another with"
            f" `./dev demo --port {port + 10}`."
        )


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev demo")
    parser.add_argument("--port", type=int, default=PORT, help=f"of the server (default {PORT})")
    parser.add_argument("--fresh", action="store_true", help="make the demo database anew")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with alone("demo", "A demo of this checkout runs already: `./dev stop` stops it."):
        _require_port(options.port)
        with postgres.running():
            _ensure_database(options.fresh)
            PROCESS_ID.parent.mkdir(parents=True, exist_ok=True)
            PROCESS_ID.write_text(str(os.getpid()))
            try:
                return _serve(options.port)
            finally:
                PROCESS_ID.unlink(missing_ok=True)
