"""A gateway: its port, its connections, and the meters on its bus.

It speaks Modbus TCP; as "rtu_tcp" it passes on the bus's own frames, and as "serial" it is a pair
of pseudo terminals with the bus behind it.

Without a baud rate every request is answered at once. With one, the bus carries one transaction at
a time and an answer comes after the time that request, turnaround and answer take on RS-485.
Frames are handled in plain callbacks and encoded answers kept for a second of project time: the
simulator has to be faster than the client it is asked by.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from typing import Any

from . import frames, wire_faults  # noqa: F401 - wire_faults registers its faults
from .clock import ProjectClock, monotonic
from .connections import Connection, RtuConnection
from .faults import Exchange, FaultList
from .meter import READS, WRITES, Meter
from .outage import Outage
from .second_master import SecondMaster
from .serial_port import SerialPort

KINDS = ("tcp", "rtu_tcp", "serial")
BACKLOG = 1024
READ_HEADER = b"\0\0\0\6"
# Answered writes that a gateway remembers.
KEPT_WRITES = 10_000


class Gateway:
    """One gateway.

    meters: by unit id; baud: None for no bus delay; turnaround: seconds a meter thinks; timeout:
    seconds after which a gateway with a bus gives a meter up. device: path at which a serial
    gateway's line is found, else the system's own name for it; port is then but a name.
    """

    def __init__(
        self,
        clock: ProjectClock,
        meters: dict[int, Meter],
        port: int = 0,
        baud: int | None = None,
        turnaround: float = 0.02,
        timeout: float = 1.0,
        kind: str = "tcp",
        device: str = "",
    ) -> None:
        self.clock, self.meters, self.port = clock, meters, port
        self.kind, self.device = kind, device
        self.baud, self.turnaround, self.timeout = baud, turnaround, timeout
        self.faults = FaultList()
        self.requests = self.writes = self.refused = self.unanswered = self.overlaps = 0
        self.connections_total = self.connections_peak = 0
        # Unit and monotonic moment of every answer to a write that was sent.
        self.written: deque[tuple[int, float]] = deque(maxlen=KEPT_WRITES)
        self.connections: set[Connection] = set()
        # Requests that are not answered yet, by connection.
        self._in_flight: dict[Connection, int] = {}
        self._waiting: deque[tuple[Connection, Exchange]] = deque()
        self._busy = False
        self._on_bus: Exchange | None = None
        self.second_master = SecondMaster(self)
        self.outage = Outage(self)
        self._bus_free_at = 0.0
        self._cache: dict[bytes, bytes] = {}
        self._cache_second: int | None = None
        self._server: asyncio.Server | None = None
        self._serial: SerialPort | None = None
        self.host = ""

    async def listen(self, host: str) -> None:
        """Open the port; a port of 0 becomes the one that the system chose."""
        self.host = host
        if self.kind == "serial":
            self._serial = SerialPort(self.device, RtuConnection(self))
            self.device = self._serial.path
            return
        await self.serve(self.bind())

    def bind(self) -> socket.socket:
        """Open the port: from now on the system takes connections for it."""
        bound = socket.create_server((self.host, self.port), backlog=BACKLOG)
        self.port = bound.getsockname()[1]
        return bound

    async def serve(self, bound: socket.socket) -> None:
        """Take over the connections of an open port."""
        loop = asyncio.get_running_loop()
        spoken = Connection if self.kind == "tcp" else RtuConnection
        self._server = await loop.create_server(lambda: spoken(self), sock=bound, backlog=BACKLOG)

    def stop_listening(self) -> None:
        """Close the port and cut every connection."""
        if self._server:
            # The event loop closes the port in a later turn; it refuses from now on.
            for bound in self._server.sockets:
                with socket.socket(fileno=os.dup(bound.fileno())) as port:
                    port.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.transport.abort()

    def close(self) -> None:
        self.second_master.stop()
        self.outage.clear()
        self.stop_listening()
        if self._serial:
            self._serial.close()

    def stats(self) -> dict[str, Any]:
        """Counts since the start. overlaps: requests that came while another connection had one in
        flight, so two masters on one bus."""
        return {
            "gateway": self.port,
            "requests": self.requests,
            "writes": self.writes,
            "refused": self.refused,
            "unanswered": self.unanswered,
            "connections": len(self.connections),
            "connections_total": self.connections_total,
            "connections_peak": self.connections_peak,
            "in_flight": sum(self._in_flight.values()),
            "overlaps": self.overlaps,
        }

    def quick(self, request: bytes) -> bytes | None:
        """The kept answer of a read, None where it has to be made."""
        if self.clock.second() != self._cache_second or self.baud or self.faults:
            return None
        tail = self._cache.get(request[6:])
        if tail is None or request[2:6] != READ_HEADER:
            return None
        self.requests += 1
        return request[:4] + tail

    def forget_answers(self) -> None:
        """Make every answer anew: a meter is another one, or says something else."""
        self._cache.clear()

    def receive(self, connection: Connection, request: bytes) -> None:
        """Take a whole frame and see to its answer."""
        self.requests += 1
        if not self.baud and not self.faults:
            answer = self._answer(request)
            if answer is None:
                self.unanswered += 1
            else:
                connection.send(answer)
                self._note_write(request)
            return
        exchange = Exchange(request)
        if self.faults and self.faults.take(request[6], at_gateway=True):
            self.unanswered += 1
            return
        if any(other is not connection for other in self._in_flight):
            self.overlaps += 1
        self._in_flight[connection] = self._in_flight.get(connection, 0) + 1
        if self.baud:
            self._waiting.append((connection, exchange))
            self._next_transaction()
            return
        self._reach_meter(exchange)
        loop = asyncio.get_running_loop()
        loop.call_later(exchange.delay, self._finish, connection, exchange)

    def _answer(self, request: bytes) -> bytes | None:
        """What comes back on the bus: without a gateway that says so, nothing from nobody."""
        if self.kind != "tcp" and request[6] not in self.meters:
            return None
        return self.execute(request)

    def execute(self, request: bytes) -> bytes:
        """Let the meter carry a request out; the frame that answers it."""
        function, meter = request[7], self.meters.get(request[6])
        try:
            if meter is None:
                raise frames.ModbusError(frames.NO_ANSWER_FROM_TARGET)
            second = self.clock.second()
            if function in READS:
                address, count = frames.parse_read(request[7:])
                data = meter.read(function, address, count, second)
                answer = frames.answer(request, bytes((function, len(data))) + data)
                if second != self._cache_second:
                    self._cache.clear()
                    self._cache_second = second
                self._cache[request[6:]] = answer[4:]
                return answer
            if function in WRITES:
                address, values = frames.parse_write(request[7:])
                meter.write(function, address, values, second)
                self._cache.clear()
                self.writes += 1
                return frames.answer(request, request[7:12])
            raise frames.ModbusError(frames.ILLEGAL_FUNCTION)
        except frames.ModbusError as error:
            self.refused += 1
            return frames.exception(request, error.code)

    def _reach_meter(self, exchange: Exchange) -> None:
        acting = self.faults.take(exchange.request[6], at_gateway=False) if self.faults else []
        exchange.acting = acting
        for fault in acting:
            fault.before(exchange)
        if exchange.reaches_meter:
            exchange.answer = self._answer(exchange.request)
        for fault in acting:
            fault.after(exchange)

    def _finish(self, connection: Connection, exchange: Exchange) -> None:
        if connection in self._in_flight:
            self._in_flight[connection] -= 1
            if not self._in_flight[connection]:
                del self._in_flight[connection]
        if exchange.answer is None:
            self.unanswered += 1
        if exchange.acting or exchange.collided:
            connection.send_exchange(exchange)
        elif exchange.answer is not None:
            connection.send(exchange.answer)
            self._note_write(exchange.request)

    def _note_write(self, request: bytes) -> None:
        if request[7] in WRITES:
            self.written.append((request[6], monotonic()))

    # the bus: one transaction at a time, by the monotonic time of the loop

    def _next_transaction(self) -> None:
        if self._busy or not self._waiting or not self.baud:
            return
        self._busy = True
        connection, exchange = self._waiting.popleft()
        self._on_bus = exchange
        loop = asyncio.get_running_loop()
        thought = (
            max(loop.time(), self._bus_free_at)
            + frames.characters_seconds(exchange.request, self.baud)
            + frames.silence_seconds(self.baud)
            + self.turnaround
        )
        loop.call_at(thought, self._transact, connection, exchange, thought)

    def _transact(self, connection: Connection, exchange: Exchange, thought: float) -> None:
        assert self.baud
        self._reach_meter(exchange)
        if exchange.answer is None or exchange.request[6] not in self.meters:
            done = thought + self.timeout
        else:
            done = thought + frames.characters_seconds(exchange.answer, self.baud)
        done += exchange.delay
        asyncio.get_running_loop().call_at(done, self._transacted, connection, exchange, done)

    def _transacted(self, connection: Connection, exchange: Exchange, done: float) -> None:
        assert self.baud
        self._bus_free_at = done + frames.silence_seconds(self.baud)
        self._busy = False
        self._on_bus = None
        if exchange.collided and self.kind == "tcp":
            exchange.answer = frames.exception(exchange.request, frames.NO_ANSWER_FROM_TARGET)
        self._finish(connection, exchange)
        self._next_transaction()

    def collide(self) -> bool:
        """Let another master talk now; whether it spoils what is on the bus."""
        if self._on_bus is None:
            return False
        self._on_bus.collided = True
        self.overlaps += 1
        return True

    def connected(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.connections_total += 1
        self.connections_peak = max(self.connections_peak, len(self.connections))

    def disconnected(self, connection: Connection) -> None:
        self.connections.discard(connection)
        # What the bus carries already goes on; the answer then finds nobody.
        self._in_flight.pop(connection, None)
