"""The control port of a running simulator: one JSON object a line over loopback TCP.

{"verb": "relay", …arguments} is answered by {"ok": true, "result": …} or
{"ok": false, "error": "…"}.
`Control` is the client, for the command line and for tests; its methods say what each verb does.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Self, cast

from .clock import ProjectClock
from .gateway import Gateway
from .meter import Meter, iso
from .site import Site

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 15019
Rows = list[dict[str, Any]]


class ControlError(Exception):
    """The simulator refused a command; the message is its own."""


class Control:
    """A connection to a running simulator. Every method raises ControlError when refused and
    OSError when there is no simulator. Moments are naive UTC, seconds of project time unless said
    otherwise; a gateway is named by its port."""

    def __init__(self, host: str = LOOPBACK, port: int = DEFAULT_PORT, timeout: float = 30) -> None:
        self.port = port
        self._socket = socket.create_connection((host, port), timeout)
        self._file = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def call(self, verb: str, **arguments: Any) -> Any:
        """Any verb by name."""
        line = {"verb": verb, **{k: v for k, v in arguments.items() if v is not None}}
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        answer = self._file.readline()
        if not answer:
            raise ConnectionError("the simulator closed the control connection")
        reply = json.loads(answer)
        if not reply["ok"]:
            raise ControlError(reply["error"])
        return reply["result"]

    def list(self) -> Rows:
        """Gateways with port, kind, device (of a serial one), baud, turnaround_ms, timeout_ms,
        faults and meters (unit, type, serial, curve, scale, offset_hours)."""
        return self.call("list")

    def relay(self, serial: str | None = None) -> Rows:
        """gateway, unit, type, serial, supply ("on" or "off"), state (the device's word: forced on,
        forced off, prepaid; open, closed, opening, closing) and commands (how many) of each meter
        or of one."""
        return self.call("relay", serial=serial)

    def registers(self, serial: str | None = None) -> Rows:
        """gateway, unit, serial, at, register (as displayed), the bands of an electricity meter,
        exact and used (since the site's start) as text for Fraction, in `unit_of_measure`."""
        return self.call("registers", serial=serial)

    def commands(self, serial: str | None = None) -> Rows:
        """Every command the meters obeyed, those that changed nothing too, a meter after another:
        gateway, unit, serial, at, command."""
        return self.call("commands", serial=serial)

    def clock(self) -> dict[str, Any]:
        """now, speed (text) and followed (whether a database sets it)."""
        return self.call("clock")

    def set_clock(
        self,
        project: datetime | str | None = None,
        speed: Decimal | Fraction | str | int | None = None,
    ) -> dict[str, Any]:
        """Jump to a moment, or change the speed from now on, or both; the clock after it."""
        moment = project.isoformat() if isinstance(project, datetime) else project
        return self.call("set_clock", project=moment, speed=None if speed is None else str(speed))

    def step_clock(self, seconds: Decimal | str | int) -> dict[str, Any]:
        """Move a frozen clock forward; the clock after it."""
        return self.call("step_clock", seconds=str(seconds))

    def add_fault(
        self,
        gateway: int,
        kind: str,
        unit: int | None = None,
        count: int | None = None,
        duration: float | None = None,
        **parameters: Any,
    ) -> int:
        """Inject a fault into a gateway or one unit of it, for a number of requests, for real
        seconds, or until it is cleared; its id. Further arguments are the fault's own (delay: ms=…,
        exception: code=…), as `faults` and `wire_faults` name them."""
        return self.call(
            "add_fault",
            gateway=gateway,
            kind=kind,
            unit=unit,
            count=count,
            duration=duration,
            parameters=parameters,
        )

    def alter(self, serial: str, register: Decimal | str | None = None, **changes: Any) -> Rows:
        """Change what a device is or says: register (a reset, or one about to roll over); of a
        DDSY1352 and DTSY1352 answers_as (another serial number), clock_ahead (seconds), ct_ratio,
        pt_ratio, encrypted, stuck (relays that do not move, ["L2"]), trip (its own protection:
        "overload" or "load_control"); of a valve stuck, jams_after (seconds of its travel; -1: not
        at all), move_seconds, low_battery. Its row of `relay`."""
        register = None if register is None else str(register)
        return self.call("alter", serial=serial, register=register, **changes)

    def swap(self, serial: str, other: str) -> None:
        """Have two meters change places, as swapped cables do."""
        self.call("swap", serial=serial, other=other)

    def clear_faults(self, gateway: int | None = None, id: int | None = None) -> int:
        """Remove one fault, or all of a gateway or of the site; how many."""
        return self.call("clear_faults", gateway=gateway, id=id)

    def faults(self) -> Rows:
        """The faults at work: gateway, id, kind, unit, parameters, left, seconds_left, hits."""
        return self.call("faults")

    def written(self) -> Rows:
        """The answers to writes that were sent: gateway, unit, answered (monotonic seconds of this
        computer)."""
        return self.call("written")

    def stats(self) -> Rows:
        """Counts of each gateway: requests, writes, refused, unanswered, connections (now, _total,
        _peak), in_flight, overlaps."""
        return self.call("stats")

    def outage(self, gateway: int, kind: str | None = None, duration: float | None = None) -> None:
        """Have a gateway refuse connections ("refused") or swallow them ("black_hole") for real
        seconds or until it is called without a kind."""
        self.call("outage", gateway=gateway, kind=kind, duration=duration)

    def second_master(self, gateway: int, ms: float | None = None) -> int:
        """Have another system poll the bus every so many milliseconds of real time, or no longer;
        how often it has so far."""
        return self.call("second_master", gateway=gateway, ms=ms)

    def stop(self) -> None:
        """End the simulator."""
        self.call("stop")


class ControlServer:
    """Answers the verbs for a site."""

    def __init__(self, site: Site, stop: Callable[[], None]) -> None:
        self._site, self._stop = site, stop
        self._server: asyncio.Server | None = None
        self.transports: set[asyncio.Transport] = set()
        self._verbs: dict[str, Callable[..., Any]] = {
            "list": self._list,
            "relay": self._relay,
            "registers": self._registers,
            "commands": self._commands,
            "clock": self._clock,
            "set_clock": self._set_clock,
            "step_clock": self._step_clock,
            "alter": self._alter,
            "swap": self._swap,
            "add_fault": self._add_fault,
            "clear_faults": self._clear_faults,
            "faults": self._faults,
            "written": lambda: [
                {"gateway": gateway.port, "unit": unit, "answered": at}
                for gateway in site.gateways
                for unit, at in gateway.written
            ],
            "outage": self._outage,
            "second_master": self._second_master,
            "stats": lambda: [gateway.stats() for gateway in site.gateways],
            "stop": self._end,
        }

    async def listen(self, port: int) -> int:
        """Open the port on loopback; the port (chosen by the system for 0)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ControlConnection(self), LOOPBACK, port)
        return self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server:
            self._server.close()
        for transport in list(self.transports):
            transport.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        try:
            arguments = json.loads(line)
            verb = arguments.pop("verb")
            if verb not in self._verbs:
                raise ValueError(f"{verb!r} is none of {', '.join(self._verbs)}")
            return {"ok": True, "result": self._verbs[verb](**arguments)}
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    def _end(self) -> None:
        # The answer is sent first.
        asyncio.get_running_loop().call_soon(self._stop)

    @property
    def _project(self) -> ProjectClock:
        return self._site.clock

    def _gateway(self, port: int) -> Gateway:
        for gateway in self._site.gateways:
            if gateway.port == port:
                return gateway
        raise ValueError(f"no gateway on port {port}")

    def _chosen(self, serial: str | None) -> list[tuple[dict[str, Any], Meter]]:
        """Place and meter of all or one, all at one moment."""
        second = self._project.second()
        chosen = []
        for gateway, unit, meter in self._site.meters():
            if serial in (None, meter.serial):
                meter.settle(second)
                place = {"gateway": gateway.port, "unit": unit, "serial": meter.serial}
                chosen.append((place, meter))
        if serial is not None and not chosen:
            raise ValueError(f"no meter with serial number {serial!r}")
        return chosen

    def _list(self) -> Rows:
        return [
            {
                "port": gateway.port,
                "kind": gateway.kind,
                "device": gateway.device,
                "baud": gateway.baud,
                "turnaround_ms": round(gateway.turnaround * 1000),
                "timeout_ms": round(gateway.timeout * 1000),
                "faults": [injected.report() for injected in gateway.faults],
                "meters": [
                    {
                        "unit": unit,
                        "type": meter.type,
                        "serial": meter.serial,
                        "curve": meter.curve.name,
                        "scale": str(meter.scale),
                        "offset_hours": meter.offset_hours,
                    }
                    for unit, meter in gateway.meters.items()
                ],
            }
            for gateway in self._site.gateways
        ]

    def _relay(self, serial: str | None = None) -> Rows:
        return [{**place, **meter.report()} for place, meter in self._chosen(serial)]

    def _registers(self, serial: str | None = None) -> Rows:
        at = iso(self._project.second())
        return [
            {
                **place,
                "at": at,
                "unit_of_measure": meter.unit_of_measure,
                **meter.shown(),
                "exact": str(meter.exact()),
                "used": str(meter.used()),
            }
            for place, meter in self._chosen(serial)
        ]

    def _commands(self, serial: str | None = None) -> Rows:
        return [
            {**place, "at": iso(second), "command": command}
            for place, meter in self._chosen(serial)
            for second, command in meter.history
        ]

    def _clock(self) -> dict[str, Any]:
        clock = self._project
        return {
            "now": clock.moment().isoformat(),
            "speed": str(clock.speed),
            "followed": clock.followed,
        }

    def _set_clock(self, project: str | None = None, speed: str | None = None) -> dict[str, Any]:
        moment = None if project is None else datetime.fromisoformat(project)
        self._project.set(moment, speed)
        return self._clock()

    def _step_clock(self, seconds: str) -> dict[str, Any]:
        self._project.step(seconds)
        return self._clock()

    def _alter(self, serial: str, register: str | None = None, **changes: Any) -> Rows:
        [(_place, meter)] = self._chosen(serial)
        if register is not None and not Decimal(register).is_finite():
            raise ValueError(f"alter: {register} is no register")
        value = None if register is None else Decimal(register)
        meter.alter(self._project.second(), register=value, **changes)
        for gateway in self._site.gateways:
            gateway.forget_answers()
        return self._relay(serial)

    def _swap(self, serial: str, other: str) -> None:
        self._site.swap(serial, other, self._project.second())

    def _add_fault(self, gateway: int, kind: str, parameters: dict[str, Any], **where: Any) -> int:
        unit = where.get("unit")
        of = self._gateway(gateway)
        if unit is not None and unit not in of.meters:
            raise ValueError(f"no unit {unit} behind the gateway on port {gateway}")
        return of.faults.add(kind, **where, **parameters)

    def _clear_faults(self, gateway: int | None = None, id: int | None = None) -> int:
        among = self._site.gateways if gateway is None else [self._gateway(gateway)]
        return sum(of.faults.clear(id) for of in among)

    def _outage(self, gateway: int, kind: str | None = None, duration: float | None = None) -> None:
        outage = self._gateway(gateway).outage
        if kind is None:
            outage.end()
        else:
            outage.begin(kind, duration)

    def _second_master(self, gateway: int, ms: float | None = None) -> int:
        master = self._gateway(gateway).second_master
        if ms is None:
            master.stop()
        else:
            master.start(ms)
        return master.polls

    def _faults(self) -> Rows:
        return [
            {"gateway": gateway.port, **injected.report()}
            for gateway in self._site.gateways
            for injected in gateway.faults
        ]


class ControlConnection(asyncio.Protocol):
    """One client of the control port."""

    transport: asyncio.Transport

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._server.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.transports.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self.transport.write(json.dumps(self._server.answer(line)).encode() + b"\n")
