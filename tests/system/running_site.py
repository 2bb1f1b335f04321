"""The site of `site_plan.py` at work: server, connector and simulator as processes of their own.

The clock stands still and is moved by hand: first the simulator's, then the database's, and only
once everything of the present moment is done. So every reading shows what the simulator shows at
that moment, however slow the machine is and whatever was killed meanwhile.
"""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import site_plan
from database_identity import database_identity
from lost_connections import CONNECTION_LOST
from web_client import Refused, WebClient

from simulator.control import Control
from tools import folders, log_gate, odoo_command, postgres, processes
from tools.processes import Process

SECONDS_TO_SETTLE = 90
HALF_HOUR = timedelta(minutes=30)


class RunningSite:
    """Start the processes on a database made by `make_site.py`; `close` stops them all.

    connector: False leaves the field to the server's scheduled actions.
    devices: another database's site file for the simulator, and read_interval its meters'.
    config: Odoo's configuration, where it is not everybody's.
    """

    def __init__(
        self,
        database: str,
        folder: Path,
        *,
        connector: bool = True,
        devices: dict | None = None,
        read_interval: timedelta = site_plan.READ_INTERVAL,
        config: Path | None = None,
    ) -> None:
        self.database = database
        self.has_connector = connector
        self.read_interval = read_interval
        self._config = config or odoo_command.write_config()
        self._devices = devices or site_plan.simulated_site()
        self.moment = datetime.fromisoformat(self._devices["start"].rstrip("Z"))
        self._folder = folder
        self._processes: dict[str, Process] = {}
        # What the processes that are gone have logged; name and text.
        self._logs: list[tuple[str, str]] = []
        self._clients: dict[str, WebClient] = {}
        # A pattern of the log lines that the test itself provokes.
        self.declared = r"(?!)"
        self._to_crash: dict[str, list[str]] = {}
        self._crash_log = folder / "crash.log"
        self._crash_when: Path | None = None
        self._restarts = 0
        self._nudged = 0.0
        self._stack = ExitStack()
        self._stack.callback(self._stop_all)
        self._connection = self._stack.enter_context(closing(postgres.connect(database)))
        self.http_port = processes.free_port()

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> "RunningSite":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # Processes ------------------------------------------------------------------------------

    def start(
        self,
        *,
        victim: str = "",
        crash_points: Sequence[str] = (),
        when_told: bool = False,
        cron_threads: int = 2,
    ) -> None:
        """Start everything.

        victim: the process that is to kill itself, "connector" or "server", at each of the crash
        points in turn ("name" or "name:hits"): each time it is started anew for the next one.
        when_told: hits count from each `let_crash` on.
        """
        if when_told:
            self._crash_when = self._folder / "crash"
        self._cron_threads = cron_threads
        self._to_crash[victim] = list(crash_points)
        self.start_simulator()
        if self.has_connector:
            self._start_connector()
            if cron_threads:
                # A server that comes first finds no connector alive and takes the field itself.
                self._wait_for_connector()
        self._start_server()
        if self.has_connector:
            self._wait_for_connector()
        self.wait_until(self.is_settled, "the first readings")

    def start_simulator(self) -> None:
        file = self._folder / "site.json"
        free = [{**gateway, "port": 0} for gateway in self._devices["gateways"]]
        file.write_text(json.dumps({**self._devices, "gateways": free}))
        process = self._begin(
            "simulator",
            [folders.PYTHON, "-m", "simulator", "run", file, "--control", "0",
             "--clock-anchor", self.moment.isoformat(), "--clock-speed", "0"],
            {**os.environ, "PYTHONPATH": str(folders.ADDONS / "prepaid_energy_meter")},
        )  # fmt: skip
        process.wait_for_text('"ready": true')
        ready = json.loads(process.text().splitlines()[-1])
        self.simulator = self._stack.enter_context(Control(port=ready["control"]))
        self.arm(ready["gateways"])

    def arm(self, ports: list[int]) -> None:
        """Tell the database where the gateways are, and that a person lets it switch."""
        with self._connection.cursor() as cursor:
            identity = database_identity(cursor)
            for gateway, port in zip(self._devices["gateways"], ports, strict=True):
                cursor.execute(
                    "UPDATE energy_gateway SET port = %s, armed_identity = %s,"
                    " cut_release_identity = %s WHERE port = %s",
                    [port, identity, identity, gateway["port"]],
                )

    def _begin(self, name: str, command: list, environment: dict[str, str]) -> Process:
        number = sum(gone == name for gone, _text in self._logs) + 1
        log = folders.LOG / "system" / f"{self.database}-{name}-{number}.log"
        process = Process(name, command, log, env=environment)
        self._processes[name] = process
        return process

    def _odoo(self, name: str, arguments: list[str]) -> Process:
        coming = self._to_crash.get(name)
        extra = {
            "ODOO_RC": str(self._config),
            "ENERGY_CRASH_POINT": coming.pop(0) if coming else "",
            "ENERGY_CRASH_LOG": str(self._crash_log),
            "ENERGY_CRASH_WHEN": str(self._crash_when or ""),
        }
        return self._begin(name, odoo_command.command(*arguments), odoo_command.environment(extra))

    def _start_connector(self) -> None:
        self._odoo("connector", ["energy_connector", "-d", self.database])

    def _wait_for_connector(self) -> None:
        self._processes["connector"].wait_for_text("is ready")

    def _start_server(self) -> None:
        server = self._odoo(
            "server",
            ["-d", self.database, f"--db-filter=^{self.database}$",
             f"--http-port={self.http_port}", f"--max-cron-threads={self._cron_threads}"],
        )  # fmt: skip
        server.wait_until(lambda: processes.answers(f"{self.address}/web/health"))

    def _stop_all(self) -> None:
        running = list(self._processes.values())
        for name in list(self._processes):
            self._take_away(name)
        processes.stop_all(running)

    def _take_away(self, name: str) -> Process:
        """Keep what it has logged so far: a server that is stopped at work complains of that."""
        process = self._processes.pop(name)
        self._logs.append((name, process.text()))
        return process

    def look_after_processes(self) -> None:
        """Start anew what killed itself at its crash point; anything else that ended fails."""
        for name, process in list(self._processes.items()):
            if process.status is None:
                continue
            if process.status != -signal.SIGKILL or len(self.crashes()) <= self._restarts:
                raise AssertionError(f"{name} ended with {process.status}:\n{process.tail(30)}")
            self._restarts += 1
            if self._crash_when:
                self._crash_when.unlink(missing_ok=True)
            self._take_away(name)
            self._clients.clear()
            if name == "connector":
                self._start_connector()
            else:
                self._start_server()
        if not self.has_connector:
            self._let_minutes_pass()

    def let_crash(self) -> None:
        """From now on, and once, the victim may die at its crash point."""
        self._crash_when.touch()

    def wait_for_crash(self) -> str:
        """Return the crash point at which the victim died; until `start_again` it stays away."""
        deadline = time.monotonic() + SECONDS_TO_SETTLE
        while all(process.status is None for process in self._processes.values()):
            if time.monotonic() > deadline:
                raise AssertionError(f"nobody died\n{self._situation()}")
            time.sleep(0.01)
        self._crash_when.unlink()
        return self.crashes()[-1]

    def start_again(self) -> None:
        """Start what died, as late after its death as a lease lasts, and wait until it works."""
        with self._connection.cursor() as cursor:
            cursor.execute("UPDATE energy_gateway_status SET lease_until = energy_real_now()")
        self._nudged = 0.0
        self.look_after_processes()
        if self.has_connector:
            self._wait_for_connector()

    def log_lines(self, pattern: str) -> list[str]:
        """The lines so far, of all processes that there were, in which a pattern is found."""
        texts = [text for _name, text in self._logs]
        texts += [process.text() for process in self._processes.values()]
        return [line for text in texts for line in text.splitlines() if re.search(pattern, line)]

    def _let_minutes_pass(self) -> None:
        """Have the scheduled actions run where the passing of a real minute would."""
        if time.monotonic() < self._nudged + 3:
            return
        self._nudged = time.monotonic()
        is_alive = self.value(
            "SELECT count(*) FROM energy_gateway_status WHERE lease_until > energy_real_now()"
        )
        if not is_alive:
            self.trigger("prepaid_energy_meter", "ir_cron_collect_readings")

    def trigger(self, module: str, scheduled_action: str) -> None:
        """Have a scheduled action run now."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO ir_cron_trigger (cron_id, call_at)"
                " SELECT res_id, now() AT TIME ZONE 'UTC' FROM ir_model_data"
                "  WHERE module = %s AND name = %s",
                [module, scheduled_action],
            )
        with closing(postgres.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('cron_trigger', %s)", [self.database])

    def crashes(self) -> list[str]:
        """The crash points at which a process has killed itself, in order."""
        return self._crash_log.read_text().split() if self._crash_log.exists() else []

    def log_complaints(self) -> list[str]:
        """Lines that must not be in the logs, once everything has been stopped."""
        return [
            line
            for name, text in self._logs
            for line in log_gate.complaints(text.splitlines())
            if name != "simulator" and not re.search(self.declared, line)
        ]

    # The clock ------------------------------------------------------------------------------

    def step(self, moment: datetime) -> None:
        """Move the clock on and wait until everything of the new moment is done."""
        self.move_clock(moment)
        self.wait_until(self.is_settled, f"all of {moment} UTC")

    def move_clock(self, moment: datetime) -> None:
        """Move the clock on, whoever is alive."""
        assert moment > self.moment
        self.moment = moment
        self.simulator.set_clock(moment, 0)
        with self._connection.cursor() as cursor:
            cursor.execute(
                "UPDATE energy_clock SET real_anchor = energy_real_now(), project_anchor = %s,"
                " speed = 0",
                [moment],
            )

    def next_reading(self) -> datetime:
        """The first moment after the present one at which the meters are due."""
        return self._last_due() + self.read_interval

    def _last_due(self) -> datetime:
        return self.moment - (self.moment - datetime.min) % self.read_interval

    def is_settled(self) -> bool:
        """Whether every meter is read as of the present moment, all of it is charged, and no
        order waits."""
        behind, queued, waiting = self.row(
            """
            SELECT (SELECT count(*) FROM energy_meter m
                      LEFT JOIN energy_meter_status s ON s.meter_id = m.id
                     WHERE m.active AND m.driver = 'modbus'
                       AND (s.read_at IS NULL OR s.read_at < %s)),
                   (SELECT count(*) FROM energy_settlement_queue),
                   (SELECT count(*) FROM energy_command WHERE state IN ('queued', 'sent'))
            """,
            self._last_due(),
        )
        return not (behind or queued or waiting)

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_SETTLE
        while True:
            self.look_after_processes()
            if ready():
                return
            if time.monotonic() > deadline:
                tails = "\n".join(
                    f"{name}:\n{process.tail(8)}" for name, process in self._processes.items()
                )
                raise AssertionError(f"{what}: not done in time\n{self._situation()}\n{tails}")
            time.sleep(0.01)

    def _situation(self) -> str:
        held = self.rows(
            "SELECT m.name, r.moment, r.total::text, r.reason, r.expected"
            "  FROM energy_reading_data r JOIN energy_meter m ON m.id = r.meter_id"
            " WHERE r.state <> 'accepted'"
        )
        waiting = self.rows(
            "SELECT m.name, c.kind, c.value, c.state, c.error FROM energy_command c"
            "  JOIN energy_meter m ON m.id = c.meter_id WHERE c.state IN ('queued', 'sent')"
        )
        problems = self.rows("SELECT account_id, message FROM energy_settlement_problem")
        return f"not accepted: {held}\norders: {waiting}\nproblems: {problems}"

    # What persons do -------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def client(self, login: str) -> WebClient:
        if login not in self._clients:
            self._clients[login] = WebClient(self.address, self.database, login)
        return self._clients[login]

    def _insist(self, login: str, *call: object, **keywords: object) -> object:
        """Ask the server as this person, and again when it or its database died over it."""
        while True:
            try:
                return self.client(login).call(*call, **keywords)
            except Refused as refusal:
                if not re.search(CONNECTION_LOST, str(refusal)):
                    raise
            except (OSError, ValueError):
                server = self._processes["server"]
                if server.status is None:
                    server.wait(30)
                self.look_after_processes()

    def pay(self, account: int, amount: str) -> None:
        """Top up at the counter, and wait until all that follows is done."""
        self.take_money(account, amount)
        self.wait_until(self.is_settled, f"the payment of account {account}")

    def take_money(self, account: int, amount: str) -> None:
        """Top up at the counter, as the cashier does; the button is pressed until it answers."""
        [found] = self._insist(
            "cashier", "energy.account", "search", [("partner_id.name", "=", f"Tenant {account}")]
        )
        [form] = self._insist(
            "cashier", "energy.top.up", "create",
            [{"account_id": found, "amount": float(amount)}],
        )  # fmt: skip
        self._insist("cashier", "energy.top.up", "action_confirm", [form])

    def order(self, serial: str, action: str) -> None:
        """Have the operator order something of a meter: off, on, read, …"""
        [meter] = self._insist("operator", "energy.meter", "search", [("name", "=", serial)])
        line = (0, 0, {"meter_id": meter})
        operation = self._insist(
            "operator", "energy.operation", "create",
            [{"action": action, "reason": "test", "line_ids": [line]}],
        )  # fmt: skip
        self._insist("operator", "energy.operation", "action_confirm", operation)

    # What is there ---------------------------------------------------------------------------

    def rows(self, query: str, *parameters: object) -> list[tuple]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def row(self, query: str, *parameters: object) -> tuple:
        [row] = self.rows(query, *parameters)
        return row

    def value(self, query: str, *parameters: object):
        return self.row(query, *parameters)[0]

    def balances(self) -> dict[int, Decimal]:
        """The balance of each account by its number in the plan."""
        return self._decimals(
            "SELECT substr(p.name, 8)::integer, sum(w.balance)::text FROM energy_wallet w"
            "  JOIN energy_account a ON a.id = w.account_id"
            "  JOIN res_partner p ON p.id = a.partner_id GROUP BY p.name"
        )

    def last_readings(self) -> dict[str, Decimal]:
        """The last accepted register of each meter."""
        return self._decimals(
            "SELECT DISTINCT ON (m.id) m.name, r.total::text FROM energy_reading_data r"
            "  JOIN energy_meter m ON m.id = r.meter_id WHERE r.state = 'accepted'"
            " ORDER BY m.id, r.moment DESC"
        )

    def _decimals(self, query: str) -> dict:
        # As text: Odoo has every numeric of this process read as a float.
        return {key: Decimal(value) for key, value in self.rows(query)}

    def registers(self) -> dict[str, str]:
        """What each meter shows, from the simulator."""
        return {row["serial"]: row["register"] for row in self.simulator.registers()}

    def relays(self) -> dict[str, str]:
        """The supply of each meter, from the simulator: on or off."""
        return {row["serial"]: row["supply"] for row in self.simulator.relay()}

    def known_supplies(self) -> dict[str, str]:
        """The supply of each meter as the database knows it."""
        return dict(
            self.rows(
                "SELECT m.name, s.supply_state FROM energy_meter_status s"
                "  JOIN energy_meter m ON m.id = s.meter_id"
            )
        )
