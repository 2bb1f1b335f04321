"""Properties of reading and of orders beside it, each with a planted defect (M7, M13)."""

import asyncio
from decimal import Decimal

import pytest
from modbus_fakes import METER, profile
from planted_defects import planted
from test_modbus_bus import obey, run, silent

from modbus import bus, codec, device, planning
from modbus.driver import SupplyOrder
from modbus.profile import Profile
from modbus.reading import ReadingPlan

METERS = range(1, 31)
DEAD = 7


def sweep(test):
    """Run a test with a bus of thirty meters; a defect may keep it busy for ever."""

    async def limited(field, server):
        async with asyncio.timeout(5):
            await test(field, server)

    run(limited, units=METERS)


def holds(check, *defects):
    """The property holds, and with each defect planted it does not."""
    check()
    for function, line, instead in defects:
        with planted(function, line, instead), pytest.raises((AssertionError, TimeoutError)):
            check()


def dead_meter_of_thirty():
    """The other 29 are read in every round; the dead one costs one time-out in many rounds."""

    async def test(field, server):
        silent(server, DEAD)
        for _round in range(5):
            before = len(server.requests)
            asked = [unit for unit, _pdu in server.requests].count(DEAD)
            for unit in METERS:
                field.bus.ask_read(unit)
            await field.drain()
            asked = [unit for unit, _pdu in server.requests].count(DEAD) - asked
            assert asked <= 1
            # Two blocks a reading of each of the others.
            assert len(server.requests) - before - asked == 2 * (len(METERS) - 1)
        read = [snapshot.meter for snapshot in field.snapshots]
        assert read == [unit for unit in METERS if unit != DEAD] * 5
        assert [unit for unit, _pdu in server.requests].count(DEAD) == 1

    sweep(test)


def test_dead_meter_of_thirty():
    holds(
        dead_meter_of_thirty,
        (
            bus.Bus._failed,
            "health.wait_until = self.now() + self.limits.meter_wait(health.misses)",
            "health.wait_until = 0.0",
        ),
    )


def order_waits_for_one_block():
    """An order given while a block is read is written right after it, whatever else waits: after
    the last block of a reading as well as in the middle of one."""

    async def test(field, server):
        obey(server)
        places = {10: 25, 21: 28}

        async def give(unit, pdu, frame, writer):
            if number := places.get(len(server.requests)):
                field.bus.give_order(SupplyOrder(number, number, "off", last_total=Decimal(10)))
            return False

        server.behave = give
        for unit in METERS:
            field.bus.ask_read(unit, urgent=unit % 2 == 0)
        await field.drain()
        for place, meter in places.items():
            # The comparison with the meter's own register, a look at the valve, then the write.
            after = [(unit, pdu[0]) for unit, pdu in server.requests[place : place + 3]]
            assert after == [(meter, 3), (meter, 3), (meter, 16)]
        assert [outcome.state for _key, outcome in field.finished] == ["confirmed"] * 2
        assert len(field.snapshots) == len(METERS)

    sweep(test)


def test_order_waits_for_one_block():
    holds(
        order_waits_for_one_block,
        (bus.Bus._let_orders_by, "while self._orders:", "while False:"),
        (bus.Bus.work, "if self._orders:", "if self._orders and not self._due:"),
    )


def state_read_around_a_switching():
    """A reading into which a switching fell says nothing of the supply."""

    async def test(field, server):
        obey(server)
        given = asyncio.Event()

        async def give_at_once(unit, pdu, frame, writer):
            if not given.is_set():
                given.set()
                field.bus.give_order(SupplyOrder(7, 1, "off", last_total=Decimal(10)))
            return False

        server.behave = give_at_once
        field.bus.ask_read(1)
        await field.drain()
        assert [snapshot.supply_state for snapshot in field.snapshots] == [None]

    sweep(test)


def test_state_read_around_a_switching():
    holds(
        state_read_around_a_switching,
        (bus.Bus._read, "if meter.key in self._interrupted:", "if False:"),
    )


def comparison_before_the_write():
    """A meter read a moment ago over this connection is not asked again before the write; one
    that showed less than the last believed register is not written to; nor is an old reading, or
    one over another connection, taken for a comparison."""

    async def test(field, server):
        obey(server)

        async def order(key, last_total):
            before = len(server.requests)
            field.bus.give_order(SupplyOrder(key, 1, "off", last_total=Decimal(last_total)))
            await field.drain()
            return [pdu[0] for _unit, pdu in server.requests[before:]]

        field.bus.ask_read(1)
        await field.drain()
        assert await order(1, 10) == [3, 16, 3]
        assert await order(2, 99999) == []
        assert field.finished[-1][1].state == "failed"
        field.time.pass_(11)
        assert await order(3, 10) == [3, 3, 16, 3]
        field.bus.ask_read(1)
        await field.drain()
        field.client.close()
        assert await order(4, 10) == [3, 3, 16, 3]
        field.bus.ask_read(1)
        await field.drain()
        field.client.close()
        field.bus.ask_read(2)
        await field.drain()
        assert await order(5, 10) == [3, 3, 16, 3]

    sweep(test)


def test_comparison_before_the_write():
    holds(
        comparison_before_the_write,
        (
            device.ModbusDriver._compare,
            "and self.now() - seen.at <= SEEN_SECONDS",
            "",
        ),
        (
            device.ModbusDriver._compare,
            "and seen.connection == self.client.connections",
            "",
        ),
        (device.ModbusDriver._compare, "and self.client.is_connected", "and False"),
        (
            device.ModbusDriver._compare,
            "elif order.last_total is not None and (value is None or value < order.last_total):",
            "elif False:",
        ),
    )


WORDS = [0x0001, 0xE240, 0xFFF6, 0x0203, 0xC0A8, 0x4048, 0xF5C3, 0x1234, 0x5678, 0x0007]
MANY = {
    **METER,
    "control": None,
    "write_functions": [],
    "max_block": 20,
    "registers": [
        {"meaning": "total", "address": 0, "type": "u32", "scale": "0.01", "unit": "kWh"},
        {"meaning": "power", "address": 2, "type": "s16", "scale": "0.001", "unit": "kW"},
        {"meaning": "frequency", "address": 3, "type": "u16", "offset": "5", "unit": "Hz"},
        {"meaning": "voltage", "address": 4, "type": "u16", "scale": "0.1", "unit": "V",
         "sentinels": [0xC0A8]},
        {"meaning": "current", "address": 5, "type": "float32", "unit": "A"},
        {"meaning": "band_1", "address": 7, "type": "u32", "word_order": "CDAB", "unit": "kWh"},
        {"meaning": "encryption", "address": 9, "type": "bit", "index": 2},
        {"meaning": "supply_state", "address": 9, "type": "u16"},
    ],
}  # fmt: skip


def plan_decodes_as_the_codec():
    """A reading's plan gives what the codec gives for each register by itself."""
    made = Profile.from_dict({key: value for key, value in MANY.items() if value is not None})
    (block,) = made.poll_blocks
    data = b"".join(word.to_bytes(2, "big") for word in WORDS)
    expected = {}
    for register in made.polled:
        start = register.address - block.address
        expected[register.meaning] = codec.decode(
            WORDS[start : start + register.words], register.encoding
        )
    plan = ReadingPlan(made)
    assert plan.values([data]) == expected
    assert expected["total"] == Decimal("1234.56") and expected["power"] == Decimal("-0.010")
    assert expected["voltage"] is None and expected["encryption"] is True
    assert plan.raw([data]) == {"03:0000": data}


def test_plan_decodes_as_the_codec():
    from modbus import reading

    holds(
        plan_decodes_as_the_codec,
        (reading._plan, "and not encoding.sentinels", ""),
        (reading._plan, 'and encoding.word_order == "ABCD"', ""),
        (ReadingPlan.values, "values[meaning] += offset", "pass"),
    )


def fewest_blocks():
    """Blocks are as long as profile and gaps allow."""
    made = profile()
    assert [tuple(block) for block in made.poll_blocks] == [(3, 0, 3), (3, 16, 1)]
    near = profile(max_gap=13, max_block=17)
    assert [tuple(block) for block in near.poll_blocks] == [(3, 0, 17)]
    short = profile(max_gap=13, max_block=16)
    assert [tuple(block) for block in short.poll_blocks] == [(3, 0, 3), (3, 16, 1)]


def test_fewest_blocks():
    holds(
        fewest_blocks,
        (planning.plan, "and register.address - last.end <= max_gap", "and False"),
        (
            planning.plan,
            "and max(end, last.end) - last.address <= max_block",
            "",
        ),
    )
