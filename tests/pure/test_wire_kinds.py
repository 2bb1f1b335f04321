"""Modbus TCP, RTU over TCP and a serial line: the same reading and switching, over real sockets
and a pseudo terminal, at our simulator and at pymodbus' own server in another process."""

import asyncio
import os
import pty
import subprocess
import sys
import threading
import tty
from datetime import datetime
from decimal import Decimal

import pytest
from modbus_fakes import LOOPBACK
from simulator_helpers import ddsy1352, frozen_clock
from wire_world import ddsy_profile

from modbus.addresses import Allowed
from modbus.device import ModbusDriver
from modbus.driver import FieldMeter, OrderHooks, SupplyOrder
from modbus.errors import FieldError, NoAnswer, Refused, Unreachable
from modbus.line import Line
from simulator.gateway import KINDS, Gateway

MOMENT = datetime(2026, 3, 2)


def line_to(gateway, **settings):
    settings = {"timeout": 0.5, "connect_timeout": 0.3, "quiet": 0.1, **settings}
    if gateway.kind != "tcp":
        settings.setdefault("pause", 0.005)
    return Line(
        kind=gateway.kind, host="127.0.0.1", port=gateway.port, device=gateway.device, **settings
    )


def client_of(line):
    allowed = Allowed(LOOPBACK, frozenset({line.device} - {""}))
    return line.client(allowed, lambda: True)


def run(kind, scenario, **options):
    """Run scenario(gateway, client, meters) with two DDSY1352 behind a gateway of a kind."""

    async def main():
        meters = {1: ddsy1352("100"), 2: ddsy1352("200")}
        gateway = Gateway(
            frozen_clock(), meters, port=9 if kind == "serial" else 0, kind=kind, **options
        )
        await gateway.listen("127.0.0.1")
        client = client_of(line_to(gateway))
        try:
            await asyncio.wait_for(scenario(gateway, client, _field(meters)), 20)
        finally:
            client.close()
            gateway.close()

    asyncio.run(main())


def _field(units):
    return {unit: FieldMeter(unit, f"E{unit}", unit, ddsy_profile()) for unit in units}


async def _go(order, request):
    return ""


async def read_and_switch(client, meters):
    """What a connector does with two meters; their totals."""
    driver = ModbusDriver(client)
    hooks = OrderHooks(may_write=_go)
    totals = [(await driver.read(meter, lambda: MOMENT)).total for meter in meters.values()]
    for number, wanted in enumerate(("off", "on", "off")):
        pending = await driver.start(meters[2], SupplyOrder(number, 2, wanted), hooks)
        outcome = await driver.look(meters[2], pending, hooks)
        assert (outcome.state, outcome.supply_state) == ("confirmed", wanted), outcome
    states = [(await driver.read(meter, lambda: MOMENT)).supply_state for meter in meters.values()]
    assert states == ["on", "off"]
    return totals


@pytest.mark.parametrize("baud", [None, 115200])
@pytest.mark.parametrize("kind", KINDS)
def test_meters_are_read_and_switched(kind, baud):
    async def scenario(gateway, client, meters):
        assert await read_and_switch(client, meters) == [Decimal("100.00"), Decimal("200.00")]
        assert [command for _at, command in gateway.meters[2].history] == [
            "forced off",
            "forced on",
            "forced off",
        ]

    run(kind, scenario, baud=baud, turnaround=0.001)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fault", ["garbage", "truncated", "extra_bytes", "twice_at_once", "wrong_unit", "silence"]
)
def test_a_spoilt_answer_is_no_reading_and_the_next_one_is(kind, fault):
    async def scenario(gateway, client, meters):
        driver = ModbusDriver(client)
        gateway.faults.add(fault, count=1)
        with pytest.raises(FieldError):
            await driver.read(meters[1], lambda: MOMENT)
        assert not client.is_connected
        assert (await driver.read(meters[2], lambda: MOMENT)).total == Decimal("200.00")
        assert (await driver.read(meters[1], lambda: MOMENT)).total == Decimal("100.00")

    run(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_in_single_bytes(kind):
    async def scenario(gateway, client, meters):
        gateway.faults.add("bytewise")
        driver = ModbusDriver(client)
        assert (await driver.read(meters[1], lambda: MOMENT)).total == Decimal("100.00")

    run(kind, scenario)


@pytest.mark.parametrize(("kind", "silent"), [("tcp", False), ("rtu_tcp", True), ("serial", True)])
def test_nobody_at_an_address(kind, silent):
    async def scenario(gateway, client, meters):
        ghost = FieldMeter(9, "E9", 9, ddsy_profile())
        expected = NoAnswer if silent else FieldError
        with pytest.raises(expected, match="no answer in" if silent else "exception 0B"):
            await ModbusDriver(client).read(ghost, lambda: MOMENT)

    run(kind, scenario)


def test_a_reset_in_the_middle():
    async def scenario(gateway, client, meters):
        gateway.faults.add("reset", count=1)
        with pytest.raises(NoAnswer, match="closed the connection"):
            await ModbusDriver(client).read(meters[1], lambda: MOMENT)

    for kind in ("tcp", "rtu_tcp"):
        run(kind, scenario)


@pytest.mark.parametrize("kind", ["tcp", "rtu_tcp"])
@pytest.mark.parametrize(
    ("outage", "message"), [("refused", "127.0.0.1:"), ("black_hole", "no connection in 0.3 s")]
)
def test_a_gateway_that_cannot_be_connected_to(kind, outage, message):
    async def scenario(gateway, client, meters):
        driver = ModbusDriver(client)
        await driver.read(meters[1], lambda: MOMENT)
        gateway.outage.begin(outage)
        await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for _attempt in range(2):
            with pytest.raises(Unreachable, match=message):
                await driver.read(meters[1], lambda: MOMENT)
        assert loop.time() - begin < 2
        gateway.outage.end()
        await asyncio.sleep(0.05)
        assert (await driver.read(meters[1], lambda: MOMENT)).total == Decimal("100.00")

    run(kind, scenario)


def test_only_listed_serial_devices_are_opened(tmp_path):
    async def scenario(gateway, client, meters):
        line = line_to(gateway)
        with pytest.raises(Refused, match="not among the serial devices"):
            await line.client(Allowed(LOOPBACK), lambda: True).connect()
        no_device = tmp_path / "file"
        no_device.write_text("")
        for path in (str(no_device), str(tmp_path / "nothing")):
            odd = Line(kind="serial", device=path)
            with pytest.raises(Unreachable):
                await odd.client(Allowed((), frozenset({path})), lambda: True).connect()

    run("serial", scenario)


def test_a_serial_device_is_used_by_one_only():
    async def scenario(gateway, client, meters):
        await client.connect()
        with pytest.raises(Unreachable, match=r"lock|busy|denied"):
            await client_of(line_to(gateway)).connect()
        client.close()
        other = client_of(line_to(gateway))
        await other.connect()
        other.close()

    run("serial", scenario)


def test_a_serial_device_that_goes_away_is_noticed():
    async def scenario():
        own, others = pty.openpty()
        tty.setraw(others)
        client = client_of(Line(kind="serial", device=os.ttyname(others)))
        await client.connect()
        os.close(others)
        os.close(own)
        while client.is_connected:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 5))


INDEPENDENT = """
import asyncio, sys
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

async def relay(function, start, address, count, registers, written):
    if function == 16 and address == 0x57:
        registers[0x224 - start] = 0x0008 if written[-1] else 0x2008

def device(unit):
    words = [0] * 0x400
    words[1] = unit * 10000
    words[0x224] = 0x2009
    block = SimData(0, values=words, datatype=DataType.REGISTERS)
    return SimDevice(unit, simdata=[block], action=relay)

async def main(kind, where):
    units = [device(1), device(2)]
    if kind == "serial":
        server = ModbusSerialServer(units, framer=FramerType.RTU, port=where, baudrate=115200)
    else:
        framer = FramerType.RTU if kind == "rtu_tcp" else FramerType.SOCKET
        server = ModbusTcpServer(units, framer=framer, address=("127.0.0.1", int(where)))
    await server.serve_forever(background=True)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()

asyncio.run(main(*sys.argv[1:]))
"""


class SerialCable:
    """Two pseudo terminals, each hearing what is said into the other."""

    def __enter__(self):
        self._ends = [pty.openpty() for _end in range(2)]
        for _own, others in self._ends:
            tty.setraw(others)
        self.paths = [os.ttyname(others) for _own, others in self._ends]
        (one, _), (two, _) = self._ends
        for source, target in ((one, two), (two, one)):
            threading.Thread(target=self._copy, args=(source, target), daemon=True).start()
        return self

    @staticmethod
    def _copy(source, target):
        try:
            while data := os.read(source, 4096):
                os.write(target, data)
        except OSError:
            return

    def __exit__(self, *_exc):
        for own, others in self._ends:
            os.close(others)
            os.close(own)


@pytest.mark.parametrize("kind", KINDS)
def test_an_independent_server_agrees(kind):
    from tools.processes import free_port

    async def scenario(line):
        client = client_of(line)
        assert await read_and_switch(client, _field((1, 2))) == [Decimal(100), Decimal(200)]
        client.close()

    with SerialCable() as cable:
        port = free_port()
        where = cable.paths[1] if kind == "serial" else str(port)
        with subprocess.Popen(
            [sys.executable, "-c", INDEPENDENT, kind, where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout.readline() == "ready\n"
            line = Line(
                kind=kind, host="127.0.0.1", port=port, device=cable.paths[0], baud=115200,
                timeout=2, pause=0.01 * (kind != "tcp"),
            )  # fmt: skip
            asyncio.run(asyncio.wait_for(scenario(line), 20))
            server.stdin.close()
