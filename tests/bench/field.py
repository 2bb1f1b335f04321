"""The connector's buses against simulated gateways, and the way of an entry to the relay.

The simulator, the client and the connector are processes of their own. Rates are the client's: the
same buses, driver and codec as the connector's, readings handed over in a list as to storage; a
further figure has the real connector store and settle what it reads. The bus's own limit follows
from the baud rate, the length of the frames and the meters' turnaround. The simulator serves four
times what any client here asks for (`field_client.py` is at its processor's limit, it is not).

`ENERGY_BENCH_FIELD` chooses parts of it, with commas: cpu, bus, dead, orders, cron, memory.
`ENERGY_BENCH_GATEWAYS` (313) and `ENERGY_BENCH_ENTRIES` (150) make it shorter.
"""

import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import field_site
from bench_population import odoo_registry
from field_orders import BALANCE, SPEED, Field

from simulator.process import running
from tools import folders, odoo_command
from tools.measuring import LEAST_PAIRS, Figure, Pairs, compare
from tools.processes import Process

NAME = "field"
PARTS = os.environ.get("ENERGY_BENCH_FIELD", "cpu,bus,dead,orders,cron,memory").split(",")
GATEWAYS = int(os.environ.get("ENERGY_BENCH_GATEWAYS", "313"))
ENTRIES = int(os.environ.get("ENERGY_BENCH_ENTRIES", "150"))
CONNECTIONS = 128
MANY_GATEWAYS = 500
SECONDS = 3.0
# Every unit of a bus is read once in it.
SWEEP_SECONDS = 2 * field_site.UNITS * field_site.READ_SECONDS
CLIENT = Path(__file__).with_name("field_client.py")
FROZEN = ("--clock-anchor", field_site.START.rstrip("Z"), "--clock-speed", "0")


def run(context) -> list[Figure]:
    figures = []
    if "cpu" in PARTS:
        figures += _without_bus_delay()
    if {"bus", "dead"} & set(PARTS):
        figures += _at_9600_baud()
    if "orders" in PARTS or "cron" in PARTS:
        figures += _orders(context)
    if "memory" in PARTS:
        figures += _memory(context)
    return figures


@contextmanager
def simulated(gateways: int, *options: str, **site) -> Iterator[tuple]:
    """The control of a simulator and the ports of its gateways."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "site.json"
        file.write_text(json.dumps(field_site.site(gateways, **site)))
        with running(file, *(options or FROZEN)) as control:
            yield control, [gateway["port"] for gateway in control.list()]


def client(kind: str, ports: list[int], seconds: float = SECONDS, **task) -> dict:
    """Let a client run; see field_client.py."""
    task = {
        "kind": kind,
        "ports": ports,
        "units": field_site.UNITS,
        "profile": field_site.PROFILE,
        "seconds": seconds,
        **task,
    }
    done = subprocess.run(
        [folders.PYTHON, CLIENT],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _rate(kind: str, ports: list[int], seconds: float = SECONDS, **task) -> float:
    return client(kind, ports, seconds, **task)["rate"]


def _figure(what: str, pairs: Pairs, unit: str = "readings/s", **bounds) -> Figure:
    return Figure(
        what=what,
        figure=pairs.figure,
        yardstick=pairs.yardstick,
        ratio=pairs.ratio,
        unit=unit,
        **bounds,
    )


def _without_bus_delay() -> list[Figure]:
    with simulated(CONNECTIONS) as (_control, ports):
        ours = partial(_rate, "ours", ports)
        bare = compare(ours, partial(_rate, "bare", ports))
        points = compare(ours, partial(_rate, "points", ports))
    return [
        _figure(
            f"{CONNECTIONS} connections, no bus delay; pymodbus's own client",
            bare,
            must=0.7,
            aim=1.4,
        ),
        _figure(
            "the same; modbus_tk, one request a point, strictly in turn, 10 points",
            points,
            must=10,
            aim=20,
        ),
    ]


def _at_9600_baud() -> list[Figure]:
    figures = []
    with simulated(GATEWAYS, baud=field_site.BAUD) as (control, ports):
        if "bus" in PARTS:
            limit = len(ports) / field_site.READ_SECONDS
            pairs = compare(partial(_rate, "ours", ports, SWEEP_SECONDS), lambda: limit)
            figures.append(
                _figure(
                    f"{GATEWAYS} buses at 9600 baud, 60 registers; the buses' own limit",
                    pairs,
                    must=0.9,
                    aim=0.97,
                )
            )
        if "dead" in PARTS:
            dead = ports[::10]
            alive = [port for port in ports if port not in dead]

            def with_dead() -> float:
                for port in dead:
                    control.add_fault(port, "half_open")
                rate = _rate("ours", ports, SWEEP_SECONDS, counted=alive)
                control.clear_faults()
                return rate

            pairs = compare(with_dead, partial(_rate, "ours", ports, SWEEP_SECONDS, counted=alive))
            figures.append(
                _figure(
                    f"one gateway in ten dead, {GATEWAYS} buses; the others with none dead",
                    pairs,
                    must=0.95,
                    aim=0.99,
                )
            )
    return figures


# --- with the real connector and a database -------------------------------------------------------


@contextmanager
def _connector(database: str) -> Iterator[Process]:
    log = folders.LOG / "bench-connector.log"
    process = Process(
        "connector",
        odoo_command.command("energy_connector", "-d", database),
        log,
        env=odoo_command.environment(),
    )
    try:
        process.wait_for_text("is ready")
        yield process
    finally:
        process.stop()


def _orders(context) -> list[Figure]:
    """Cut accounts off and bring them back, while every bus is read without a pause."""
    figures = []
    clock = ("--clock-anchor", field_site.START.rstrip("Z"), "--clock-speed", str(SPEED))
    with (
        simulated(GATEWAYS, *clock, baud=field_site.BAUD) as (control, ports),
        context.database("field") as database,
        odoo_registry(database) as (registry, environment),
    ):
        field = Field(registry, environment, ports)
        if "orders" in PARTS:
            with _connector(database):
                figures += _switchings(control, field, "connector", figures_of_rate=True)
        if "cron" in PARTS:
            with _scheduled_action(database) as server:
                figures += _switchings(
                    control, field, "scheduled action", starts=partial(_seconds_to_start, server)
                )
    return figures


def _switchings(
    control, field: Field, who: str, *, figures_of_rate=False, starts=lambda: 0.0
) -> list[Figure]:
    """starts: seconds that pass, between two runs, until orders are heard again."""
    figures = []
    field.wait("SELECT count(*) = 0 FROM energy_meter_status WHERE read_at IS NULL", 120)
    time.sleep(2 * field_site.UNITS * field_site.READ_SECONDS)
    if figures_of_rate:
        figures.append(_stored(control, field))
    some = field.accounts[:: max(1, len(field.accounts) // ENTRIES)]
    floor = field_site.READ_SECONDS + field_site.WRITE_SECONDS
    for what, amount, must, aim in (
        ("entry that crosses the threshold", -2 * BALANCE, 1.5, 1.15),
        ("entry that credits", 2 * BALANCE, 2, 1.3),
    ):
        before = sum(row["overlaps"] for row in control.stats())
        seconds = field.latencies(control, some, Decimal(amount))
        if sum(row["overlaps"] for row in control.stats()) != before:
            raise AssertionError("two masters spoke on one bus")
        p95 = statistics.quantiles(seconds, n=20)[-1]
        least = floor + starts()
        figures.append(
            Figure(
                what=f"{what}, committed → write answered, p95 ({who}, {GATEWAYS} busy buses,"
                f" p50 {1000 * statistics.median(seconds):.0f} ms); one read and the write"
                + (" after the job's start" if least > floor else ""),
                figure=1000 * p95,
                yardstick=1000 * least,
                ratio=p95 / least,
                unit="ms",
                must=must,
                aim=aim,
                smaller_is_better=True,
            )
        )
    return figures


def _stored(control, field: Field) -> Figure:
    """How many readings a second the connector reads, stores and settles."""

    def count() -> tuple[int, float]:
        return field.value("SELECT count(*) FROM energy_reading_data"), time.monotonic()

    rates = []
    for _ in range(LEAST_PAIRS):
        before, started = count()
        time.sleep(SWEEP_SECONDS)
        after, ended = count()
        rates.append((after - before) / (ended - started))
    limit = GATEWAYS / field_site.READ_SECONDS
    rate = statistics.median(rates)
    return Figure(
        what=f"the same, by the connector process: stored, settled; {GATEWAYS} buses at 9600 baud",
        figure=rate,
        yardstick=limit,
        ratio=rate / limit,
        unit="readings/s",
    )


@contextmanager
def _scheduled_action(database: str) -> Iterator[Process]:
    """A server whose scheduled actions do the connector's work."""
    log = folders.LOG / "bench-server.log"
    process = Process(
        "server",
        odoo_command.command(
            "-d", database, "--no-http", "--max-cron-threads=2", f"--db-filter=^{database}$"
        ),
        log,
        env=odoo_command.environment(),
    )
    try:
        process.wait_for_text(" is ready: database", 120)
        yield process
    finally:
        process.stop()


def _seconds_to_start(server: Process) -> float:
    """The median time from one run's end to the moment at which the next one hears orders."""
    times, ended = [], None
    for line in server.text().splitlines():
        if " Connector " not in line:
            continue
        moment = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")
        if line.rstrip().endswith("stopped"):
            ended = moment
        elif ended and " is ready" in line:
            times.append((moment - ended).total_seconds())
            ended = None
    return statistics.median(times) if times else 0.0


def _resident(pid: int) -> float:
    """The memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def _memory(context) -> list[Figure]:
    clock = ("--clock-anchor", field_site.START.rstrip("Z"), "--clock-speed", str(SPEED))
    what = f"memory, {MANY_GATEWAYS} gateways, {MANY_GATEWAYS * field_site.UNITS:,} meters; "
    with simulated(MANY_GATEWAYS, *clock) as (_control, ports):
        pairs = compare(
            lambda: client("idle_ours", ports)["rss"], lambda: client("idle_bare", ports)["rss"]
        )
        with (
            context.database("field_memory") as database,
            odoo_registry(database) as (registry, environment),
        ):
            field = Field(registry, environment, ports)
            with _connector(database) as connector:
                field.wait(
                    "SELECT count(*) = 0 FROM energy_meter_status WHERE read_at IS NULL", 120
                )
                whole = _resident(connector.pid)
    return [
        _figure(
            what + "pymodbus's own client",
            pairs,
            unit="MB",
            must=4,
            aim=2,
            smaller_is_better=True,
        ),
        Figure(
            what=what + "the whole connector, with Odoo in its process",
            figure=whole,
            yardstick=pairs.yardstick,
            ratio=whole / pairs.yardstick,
            unit="MB",
            smaller_is_better=True,
        ),
    ]
