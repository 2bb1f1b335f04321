"""A bus of simulated meters and the product's own client, joined by nothing but memory and a
clock that jumps: thousands of time-outs a second."""

import asyncio
import json
import logging
import selectors
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from simulator_helpers import ddsy1352, frozen_clock

from modbus.bus import Bus, Events, Limits
from modbus.client import GatewayClient, Timing
from modbus.device import ModbusDriver
from modbus.driver import FieldMeter, OrderHooks
from modbus.errors import Unreachable
from modbus.framing import RtuFraming, TcpFraming
from modbus.profile import Profile
from simulator.connections import Connection, RtuConnection
from simulator.gateway import Gateway

PROFILES = Path(__file__).parents[2] / "addons" / "prepaid_energy_meter" / "profiles"
#: How the wire is spoken: (the simulator's kind, the client's framing, seconds of quiet).
KINDS = {
    "tcp": ("tcp", TcpFraming()),
    "tcp without numbers": ("tcp", TcpFraming(strict=False)),
    "rtu": ("rtu_tcp", RtuFraming()),
}


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next thing to do."""

    def __init__(self):
        self.seconds = 1000.0
        super().__init__(_Jumping(self))

    def time(self):
        return self.seconds


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        self._loop.seconds += max(timeout, 0)
        return []


def play(scenario):
    """Run ``scenario()``, a coroutine function, on jumping time."""
    loop = JumpingLoop()
    try:
        return loop.run_until_complete(scenario())
    finally:
        loop.close()


class _End(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(self):
        super().__init__()
        self.protocol = self.other = None
        self.is_open = True

    def write(self, data):
        if self.is_open and self.other.is_open and data:
            asyncio.get_running_loop().call_soon(self.other.receive, bytes(data))

    def receive(self, data):
        if self.is_open:
            self.protocol.data_received(data)

    def is_closing(self):
        return not self.is_open

    def abort(self):
        if self.is_open:
            self.is_open = False
            loop = asyncio.get_running_loop()
            loop.call_soon(self.protocol.connection_lost, None)
            loop.call_soon(self.other.abort)

    close = abort


class MemoryLink:
    """The way to a simulated gateway."""

    name = "memory"

    def __init__(self, gateway):
        self.gateway = gateway
        self.opened = 0

    async def open(self, connection):
        self.opened += 1
        if self.gateway is None:
            raise Unreachable("memory: nobody there")
        mine, theirs = _End(), _End()
        mine.other, theirs.other = theirs, mine
        mine.protocol = connection()
        spoken = Connection if self.gateway.kind == "tcp" else RtuConnection
        theirs.protocol = spoken(self.gateway)
        mine.protocol.connection_made(mine)
        theirs.protocol.connection_made(theirs)
        return mine.protocol


@contextmanager
def log_of_the_bus():
    """The lines that the product's bus logs during a block."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("modbus.bus")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class World:
    """Three DDSY1352 on one bus, and the worker of their gateway, with a record of what it said."""

    def __init__(self, kind="tcp", units=(1, 2, 3), baud=None, profile=None, **options):
        spoken, framing = KINDS[kind]
        self.gateway = Gateway(
            frozen_clock(),
            {unit: ddsy1352(str(100 * unit), str(unit)) for unit in units},
            kind=spoken,
            baud=baud,
        )
        self.profile = profile or ddsy_profile()
        self.link = MemoryLink(self.gateway)
        pause = 0.0 if kind == "tcp" else 0.02
        timing = options.pop("timing", Timing(answer=1.0, pause=pause, quiet=1.0))
        loop = asyncio.get_running_loop()
        self.client = GatewayClient(self.link, framing, timing)
        self.snapshots, self.missed, self.finished, self.states = [], [], [], []
        self.bus = Bus(
            ModbusDriver(self.client, now=loop.time),
            Events(
                snapshot=self.snapshots.append,
                missed=lambda meter, health: self.missed.append((meter.key, health.misses)),
                finished=lambda order, outcome: self.finished.append((order.key, outcome)),
                gateway=lambda health: self.states.append((health.online, health.misses)),
            ),
            OrderHooks(may_write=self._may_write),
            self.moment,
            limits=options.pop("limits", Limits()),
            now=loop.time,
            name="Riser 1",
            **options,
        )
        self.bus.set_meters(FieldMeter(unit, f"E{unit}", unit, self.profile) for unit in units)
        self.units = tuple(units)
        self.before_write = lambda: None

    async def _may_write(self, order, request):
        self.before_write()
        return ""

    def now(self):
        return asyncio.get_running_loop().time()

    def moment(self):
        return datetime(2026, 3, 2) + timedelta(seconds=self.gateway.clock.second())

    async def read(self, *units):
        """Have meters read, and wait until that is done, or put off."""
        for unit in units or self.units:
            self.bus.ask_read(unit)
        await self.drain()

    async def drain(self):
        while await self.bus.work():
            pass

    async def settle(self, seconds=60):
        """Let time pass with the bus at work."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            await self.drain()
            wait = self.bus.seconds_to_next()
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, wait) if wait else left)

    def wrong(self, snapshot):
        """What a reading says that the meter does not show at this moment."""
        meter, second = self.gateway.meters[snapshot.meter], self.gateway.clock.second()
        found = []
        for place, data in snapshot.raw.items():
            function, address = (int(part, 16) for part in place.split(":"))
            if meter.read(function, address, len(data) // 2, second) != data:
                found.append(place)
        if snapshot.total != Decimal(meter.shown()["register"]):
            found.append("total")
        return found

    @property
    def written(self):
        """How often each meter obeyed a write."""
        return {unit: len(meter.history) for unit, meter in self.gateway.meters.items()}


def ddsy_profile(**limits):
    profile = Profile.from_dict(json.loads((PROFILES / "acrel_ddsy1352.json").read_text()))
    return profile.limited(**limits) if limits else profile
