"""A tiny Modbus TCP server and helpers for the tests of ``modbus``.

Written from the protocol's text (MBAP header, function codes 3, 4, 6, 16), apart from the code
under test and from pymodbus.
"""

import asyncio
import ipaddress
import struct
from collections.abc import Awaitable, Callable
from decimal import Decimal

from modbus.client import GatewayClient, Timing
from modbus.framing import TcpFraming
from modbus.link import TcpLink
from modbus.profile import Profile

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)

#: total at 0 (u32), power at 2 (s16), supply flags at 16 (u16: 1 on, 2 off, 0 moving)
METER = {
    "code": "test",
    "name": "Test meter",
    "commodity": "electricity",
    "source": "made for the tests",
    "certainty": "A",
    "read_functions": [3],
    "write_functions": [16],
    "max_block": 10,
    "max_gap": 2,
    "registers": [
        {"meaning": "total", "address": 0, "type": "u32", "scale": "0.01", "unit": "kWh"},
        {"meaning": "power", "address": 2, "type": "s16", "scale": "0.001", "unit": "kW"},
        {"meaning": "supply_state", "address": 16, "type": "u16"},
    ],
    "control": {
        "function": 16,
        "address": 32,
        "on": [1, 0],
        "off": [1, 1],
        "states": [
            {"state": "on", "mask": 3, "value": 1},
            {"state": "off", "mask": 3, "value": 2},
            {"state": "moving", "mask": 3, "value": 0},
        ],
        "fault_mask": 4,
        "settle": "10",
        "poll": "1",
    },
}


def profile(**changes) -> Profile:
    return Profile.from_dict({**METER, **changes})


class Server:
    """Units with registers, and a script of misbehaviour.

    ``words[unit][address]``; ``requests`` holds (unit, pdu) of every request seen;
    ``behave(unit, pdu, frame, writer)``, when set, sends what it likes and returns True, or
    returns False to have the request answered properly.
    """

    def __init__(self, units=(1,)):
        self.words = {unit: {} for unit in units}
        self.requests: list[tuple[int, bytes]] = []
        self.connections = 0
        self.behave: Callable[..., Awaitable[bool]] | None = None
        self.on_write: Callable[[int, int, list[int]], None] = lambda unit, address, words: None
        self._server = None
        self._writers = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def put_u32(self, unit: int, address: int, value: int) -> None:
        self.words[unit][address], self.words[unit][address + 1] = divmod(value, 65536)

    def client(self, **options) -> GatewayClient:
        return tcp_client(self.port, **options)

    @property
    def writes(self) -> list[tuple[int, int, list[int]]]:
        found = []
        for unit, pdu in self.requests:
            if pdu[0] == 16:
                address, count = struct.unpack(">HH", pdu[1:5])
                found.append((unit, address, list(struct.unpack(f">{count}H", pdu[6:]))))
            elif pdu[0] == 6:
                address, word = struct.unpack(">HH", pdu[1:5])
                found.append((unit, address, [word]))
        return found

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                header = await reader.readexactly(7)
                length, unit = struct.unpack(">HB", header[4:])
                pdu = await reader.readexactly(length - 1)
                self.requests.append((unit, pdu))
                frame = answer(header, unit, self.execute(unit, pdu))
                if self.behave is None or not await self.behave(unit, pdu, frame, writer):
                    writer.write(frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def execute(self, unit: int, pdu: bytes) -> bytes:
        if unit not in self.words:
            return bytes((pdu[0] | 0x80, 0x0B))
        address, second = struct.unpack(">HH", pdu[1:5])
        if pdu[0] in (3, 4):
            words = [self.words[unit].get(address + i, 0) for i in range(second)]
            return struct.pack(f">BB{second}H", pdu[0], 2 * second, *words)
        if pdu[0] == 6:
            self.words[unit][address] = second
            self.on_write(unit, address, [second])
            return pdu
        words = list(struct.unpack(f">{second}H", pdu[6:]))
        for i, word in enumerate(words):
            self.words[unit][address + i] = word
        self.on_write(unit, address, words)
        return pdu[:5]


def answer(header: bytes, unit: int, pdu: bytes) -> bytes:
    return header[:4] + struct.pack(">HB", len(pdu) + 1, unit) + pdu


def tcp_client(port, *, host="127.0.0.1", allowed=LOOPBACK, timeout=0.15, framing=None, **options):
    """A client of Modbus TCP; further options are those of the client."""
    link = TcpLink(host, port, allowed)
    return GatewayClient(link, framing or TcpFraming(), Timing(answer=timeout), **options)


class FakeTime:
    """Monotonic seconds that pass only when told."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


KWH = Decimal("0.01")
