"""The worker of a gateway: what is next, what a failure means, how an order ends."""

import asyncio
from datetime import datetime
from decimal import Decimal

import pytest
from modbus_fakes import METER, FakeTime, Server, profile

from modbus.bus import Bus, Events, Limits
from modbus.device import ModbusDriver
from modbus.driver import FieldMeter, Job, JobResult, OrderHooks, SupplyOrder
from modbus.errors import NoAnswer, NotHolder

MOMENT = datetime(2026, 3, 1, 10, 30)
LIMITS = Limits(gateway_first_wait=1.0)


class Field:
    """A bus before a server, with a record of all it said."""

    def __init__(self, server, units, **options):
        self.server = server
        self.time = FakeTime()
        self.snapshots, self.missed, self.finished, self.gateway = [], [], [], []
        self.points, self.asked, self.jobs, self.moving = [], [], [], []
        self.refusal = ""
        self.client = server.client(**options)
        self.bus = Bus(
            ModbusDriver(self.client, now=self.time),
            Events(
                snapshot=self.snapshots.append,
                missed=lambda meter, health: self.missed.append(
                    (meter.key, health.misses, health.online, health.error)
                ),
                finished=lambda order, outcome: self.finished.append((order.key, outcome)),
                gateway=lambda health: self.gateway.append((health.online, health.misses)),
                job=lambda job, result: self.jobs.append((job, result)),
            ),
            OrderHooks(self.may_write, self.reached, self.is_moving),
            lambda: MOMENT,
            limits=LIMITS,
            now=self.time,
        )
        self.profile = profile()
        self.bus.set_meters(FieldMeter(unit, f"S{unit}", unit, self.profile) for unit in units)
        for unit in units:
            server.words.setdefault(unit, {})
            server.put_u32(unit, 0, 123400 + unit)
            server.words[unit][16] = 1

    async def may_write(self, order, request):
        self.asked.append((order.key, request))
        return self.refusal

    def reached(self, point):
        self.points.append(point)

    async def is_moving(self, order):
        self.moving.append(order.key)

    async def drain(self):
        while await self.bus.work():
            pass


def run(test, units=(1, 2, 3), **options):
    async def whole():
        async with Server(units=units) as server:
            field = Field(server, units, **options)
            try:
                return await test(field, server)
            finally:
                await field.bus.driver.close()

    return asyncio.run(asyncio.wait_for(whole(), 20))


def obey(server):
    """Have the device's relay follow a write at once."""

    def on_write(unit, address, words):
        if address == 32:
            server.words[unit][16] = 1 if words[1] == 0 else 2

    server.on_write = on_write


def silent(server, *units):
    async def behave(unit, pdu, frame, writer):
        return unit in units

    server.behave = behave


def test_reading_is_whole_with_its_moment():
    async def test(field, server):
        server.words[1][2] = 0x10000 - 250
        field.bus.ask_read(1)
        await field.drain()
        (snapshot,) = field.snapshots
        assert (snapshot.meter, snapshot.moment) == (1, MOMENT)
        assert snapshot.total == Decimal("1234.01")
        assert snapshot.power == Decimal("-0.250")
        assert snapshot.supply_state == "on"
        raw = {place: data.hex(" ", 2) for place, data in snapshot.raw.items()}
        assert raw == {"03:0000": "0001 e209 ff06", "03:0010": "0001"}
        assert field.gateway == [(True, 0)]

    run(test)


def test_due_twice_is_read_once():
    async def test(field, server):
        field.bus.ask_read(1)
        field.bus.ask_read(1)
        field.bus.ask_read(1, urgent=True)
        await field.drain()
        assert len(field.snapshots) == 1
        assert field.bus.is_idle

    run(test)


def test_order_goes_before_reads_and_urgent_reads_before_due_ones():
    async def test(field, server):
        obey(server)
        field.bus.ask_read(1)
        field.bus.ask_read(2)
        field.bus.ask_read(3, urgent=True)
        field.bus.give_order(SupplyOrder(70, 2, "off", last_total=Decimal(10)))
        await field.drain()
        kinds = [(unit, pdu[0]) for unit, pdu in server.requests]
        assert kinds[:4] == [(2, 3), (2, 3), (2, 16), (2, 3)]
        assert [snapshot.meter for snapshot in field.snapshots] == [3, 1, 2]
        assert [(key, outcome.state) for key, outcome in field.finished] == [(70, "confirmed")]

    run(test)


def test_order_waits_for_at_most_the_read_in_flight():
    async def test(field, server):
        obey(server)
        in_flight, go_on = asyncio.Event(), asyncio.Event()

        async def hold_first(unit, pdu, frame, writer):
            if not in_flight.is_set():
                in_flight.set()
                await go_on.wait()
            return False

        server.behave = hold_first
        for unit in (1, 2, 3):
            field.bus.ask_read(unit)
        worker = asyncio.create_task(field.bus.run())
        await in_flight.wait()
        field.bus.give_order(SupplyOrder(7, 3, "off", last_total=Decimal(10)))
        go_on.set()
        while len(field.snapshots) < 3:
            await asyncio.sleep(0.001)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        units = [unit for unit, _pdu in server.requests]
        assert units[:4] == [1, 3, 3, 3], "after the block under way: compare, look, write"
        assert units[4:6] == [1, 3], "the reading is completed, then the order is read back"

    run(test, timeout=5)


def test_dead_meter_costs_the_others_one_time_out():
    async def test(field, server):
        silent(server, 2)
        for unit in (1, 2, 3):
            field.bus.ask_read(unit)
        await field.drain()
        assert [snapshot.meter for snapshot in field.snapshots] == [1, 3]
        assert [row[:3] for row in field.missed] == [(2, 1, None)]
        # The next round comes before its wait is over: it is not asked at all.
        for unit in (1, 2, 3):
            field.bus.ask_read(unit)
        await field.drain()
        assert [snapshot.meter for snapshot in field.snapshots] == [1, 3, 1, 3]
        assert len(field.missed) == 1
        assert field.bus.is_idle

    run(test)


def test_dead_meter_goes_offline_after_three_misses_and_waits_longer_each_time():
    async def test(field, server):
        silent(server, 2)
        field.bus.ask_read(2)
        waits = []
        for _turn in range(9):
            await field.drain()
            waits.append(field.bus.seconds_to_next())
            field.time.pass_(waits[-1])
        assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600]
        assert [row[2] for row in field.missed[:4]] == [None, None, False, False]
        server.behave = None
        await field.drain()
        assert len(field.snapshots) == 1
        health = field.bus.health_of(2)
        assert (health.online, health.misses, health.error) == (True, 0, "")

    run(test, timeout=0.03)


def test_wrong_unit_is_a_miss_and_never_a_value():
    async def test(field, server):
        async def next_unit(unit, pdu, frame, writer):
            writer.write(frame[:6] + bytes((unit + 1,)) + frame[7:])
            return True

        server.behave = next_unit
        field.bus.ask_read(1)
        await field.drain()
        assert field.snapshots == []
        assert field.missed[0][:2] == (1, 1)
        assert "unit 2" in field.missed[0][3]

    run(test)


@pytest.mark.parametrize(
    ("code", "online", "misses", "waits"),
    [
        (1, True, 0, False),
        (2, True, 0, False),
        (3, True, 0, False),
        (4, True, 0, False),
        (5, None, 0, True),
        (6, None, 0, True),
        (0x0A, None, 1, True),
        (0x0B, None, 1, True),
    ],
)
def test_exceptions_are_told_apart(code, online, misses, waits):
    async def test(field, server):
        async def refuse(unit, pdu, frame, writer):
            if unit != 1:
                return False
            writer.write(frame[:4] + bytes((0, 3, unit, 0x83, code)))
            return True

        server.behave = refuse
        field.bus.ask_read(1)
        field.bus.ask_read(3)
        await field.drain()
        assert [row[:3] for row in field.missed] == [(1, misses, online)]
        assert [snapshot.meter for snapshot in field.snapshots] == [3]
        assert server.connections == 1
        assert (field.bus.seconds_to_next() is not None) is waits

    run(test)


def test_value_that_cannot_be_is_an_error_and_no_reading():
    async def test(field, server):
        faulty = profile(
            registers=[
                {**METER["registers"][0], "type": "float32", "scale": "1"},
                *METER["registers"][1:],
            ]
        )
        field.bus.set_meters([FieldMeter(1, "S1", 1, faulty)])
        server.put_u32(1, 0, 0x7FC00000)
        field.bus.ask_read(1)
        await field.drain()
        assert field.snapshots == []
        assert "not a number" in field.missed[0][3]

    run(test)


def test_dead_gateway_is_one_fault_and_no_meter_s():
    async def test(field, server):
        await server.__aexit__()
        for unit in (1, 2, 3):
            field.bus.ask_read(unit)
        for _turn in range(3):
            await field.drain()
            field.time.pass_(field.bus.seconds_to_next())
        assert field.missed == []
        assert field.gateway == [(None, 1), (None, 2), (False, 3)]

    run(test)


def test_order_that_finds_the_gateway_away_has_its_return_noticed():
    """Nothing is due for hours: all the same the gateway is known to be back within its wait."""

    async def test(field, server):
        port = server.port
        await server.__aexit__()
        field.bus.give_order(SupplyOrder(7, 1, "off"))
        await field.drain()
        [(key, outcome)] = field.finished
        assert (key, outcome.state, outcome.gateway_away) == (7, "untouched", True)
        assert field.gateway == [(None, 1)]
        assert field.bus.is_idle
        server._server = await asyncio.start_server(server._serve, "127.0.0.1", port)
        assert field.bus.seconds_to_next() <= LIMITS.gateway_wait(1) * 1.25
        field.time.pass_(field.bus.seconds_to_next())
        await field.drain()
        assert field.gateway == [(None, 1), (True, 0)]
        assert [snapshot.meter for snapshot in field.snapshots] == [1]

    run(test)


def test_half_open_gateway_is_noticed_when_no_meter_answers():
    async def test(field, server):
        silent(server, 1, 2, 3)
        for unit in (1, 2, 3):
            field.bus.ask_read(unit)
        await field.drain()
        assert [row[0] for row in field.missed] == [1, 2, 3]
        assert [online for online, _misses in field.gateway] == [False]

    run(test, timeout=0.03)


def test_supply_order_is_confirmed_by_the_read_back_only():
    async def test(field, server):
        obey(server)
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        ((key, outcome),) = field.finished
        assert (key, outcome.state, outcome.supply_state) == (5, "confirmed", "off")
        assert outcome.request == "01 10 00 20 00 02 04 00 01 00 01"
        assert outcome.response.endswith("01 03 02 00 02")
        assert server.writes == [(1, 32, [1, 1])]
        assert field.points == ["write_sent", "before_read_back", "after_read_back"]

    run(test)


def test_acknowledged_write_without_movement_is_not_confirmed():
    async def test(field, server):
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        for _turn in range(11):
            await field.drain()
            field.time.pass_(1)
        ((_key, outcome),) = field.finished
        assert (outcome.state, outcome.supply_state) == ("unknown", "on")
        assert "shows on" in outcome.error
        assert len(server.writes) == 1

    run(test)


def test_reported_fault_of_the_relay_is_named():
    async def test(field, server):
        server.words[1][16] = 5
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        for _turn in range(11):
            await field.drain()
            field.time.pass_(1)
        assert "reports a fault" in field.finished[0][1].error

    run(test)


def test_moving_valve_is_waited_for_and_holds_nobody_up():
    async def test(field, server):
        server.on_write = lambda unit, address, words: server.words[unit].update({16: 0})
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        assert field.finished == []
        assert not field.bus.is_idle
        field.bus.ask_read(2)
        await field.drain()
        assert [snapshot.meter for snapshot in field.snapshots] == [2]
        assert field.bus.seconds_to_next() == 1
        assert field.moving == [5]
        for _second in range(2):
            field.time.pass_(1)
            await field.drain()
        field.time.pass_(1)
        server.words[1][16] = 2
        await field.drain()
        assert field.finished[0][1].state == "confirmed"
        assert field.moving == [5], "told once"

    run(test)


def test_valve_that_moves_already_is_waited_for_before_anything_is_written():
    async def test(field, server):
        obey(server)
        server.words[1][16] = 0
        field.bus.give_order(SupplyOrder(5, 1, "on"))
        await field.drain()
        field.time.pass_(3)
        await field.drain()
        assert (field.finished, server.writes, field.asked) == ([], [], [])
        assert field.moving == [5]
        server.words[1][16] = 2
        field.time.pass_(1)
        await field.drain()
        ((_key, outcome),) = field.finished
        assert outcome.state == "untouched"
        assert "it was moving, and is off now" in outcome.error
        field.bus.give_order(SupplyOrder(5, 1, "on"))
        await field.drain()
        assert field.finished[1][1].state == "confirmed"
        assert server.writes == [(1, 32, [1, 0])]

    run(test)


def test_valve_sent_by_who_died_is_waited_for_and_not_sent_again():
    async def test(field, server):
        server.words[1][16] = 0
        field.bus.give_order(SupplyOrder(5, 1, "off", maybe_sent=True))
        await field.drain()
        server.words[1][16] = 2
        field.time.pass_(1)
        await field.drain()
        assert field.finished[0][1].state == "confirmed"
        assert server.writes == []

    run(test)


def test_valve_that_stopped_on_its_way_is_named_and_sent_again():
    async def test(field, server):
        server.on_write = lambda unit, address, words: server.words[unit].update({16: 0})
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        for _turn in range(12):
            await field.drain()
            field.time.pass_(1)
        ((_key, outcome),) = field.finished
        assert (outcome.state, outcome.supply_state) == ("unknown", "moving")
        assert "stopped on the way" in outcome.error
        field.bus.give_order(SupplyOrder(5, 1, "off", maybe_sent=True, waited=True))
        await field.drain()
        assert len(server.writes) == 2

    run(test)


def test_answer_of_another_unit_confirms_nothing():
    async def test(field, server):
        async def other_unit(unit, pdu, frame, writer):
            if not server.writes or pdu[0] != 3:
                return False
            # What unit 2 would say of its relay: off, as ordered of unit 1.
            writer.write(frame[:6] + bytes([2]) + frame[7:9] + b"\0\2")
            return True

        server.behave = other_unit
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        for _turn in range(3):
            await field.drain()
            field.time.pass_(1)
        ((_key, outcome),) = field.finished
        assert (outcome.state, outcome.supply_state) == ("unknown", "unknown")
        assert "unit 2, expected" in outcome.error
        assert len(server.writes) == 1

    run(test)


def test_every_frame_of_an_attempt_is_kept_briefly():
    async def test(field, server):
        field.bus.give_order(SupplyOrder(5, 1, "off", last_total=Decimal(10)))
        for _turn in range(11):
            await field.drain()
            field.time.pass_(1)
        text = field.finished[0][1].frames.text()
        assert text.splitlines() == [
            "→ 01 03 00 00 00 02",
            "← 01 03 04 00 01 e2 09",
            "→ 01 03 00 10 00 01",
            "← 01 03 02 00 01",
            "→ 01 10 00 20 00 02 04 00 01 00 01",
            "← 01 10 00 20 00 02",
            "→ 01 03 00 10 00 01 ×11",
            "← 01 03 02 00 01",
        ]

    run(test)


def test_lost_acknowledgement_is_cured_by_the_read_back_without_a_second_write():
    async def test(field, server):
        obey(server)

        async def swallow(unit, pdu, frame, writer):
            return pdu[0] == 16

        server.behave = swallow
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        assert field.finished[0][1].state == "confirmed"
        assert len(server.writes) == 1

    run(test)


def test_order_maybe_sent_before_a_crash_is_looked_at_first():
    async def test(field, server):
        server.words[1][16] = 2
        field.bus.give_order(SupplyOrder(5, 1, "off", maybe_sent=True))
        await field.drain()
        assert field.finished[0][1].state == "confirmed"
        assert server.writes == []
        assert field.asked == []

    run(test)


def test_order_maybe_sent_that_did_not_arrive_is_written():
    async def test(field, server):
        obey(server)
        field.bus.give_order(SupplyOrder(5, 1, "off", maybe_sent=True))
        await field.drain()
        assert field.finished[0][1].state == "confirmed"
        assert len(server.writes) == 1

    run(test)


def test_meter_that_dies_after_the_write_holds_up_for_two_time_outs():
    async def test(field, server):
        async def die(unit, pdu, frame, writer):
            return bool(server.writes)

        server.behave = die
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        for _turn in range(3):
            await field.drain()
            field.time.pass_(1)
        outcome = field.finished[0][1]
        assert (outcome.state, outcome.supply_state) == ("unknown", "unknown")
        assert [pdu[0] for _unit, pdu in server.requests] == [3, 3, 16, 3, 3]

    run(test, timeout=0.03)


def test_order_dropped_by_the_last_check_writes_nothing():
    async def test(field, server):
        field.refusal = "paid meanwhile"
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        outcome = field.finished[0][1]
        assert (outcome.state, outcome.error) == ("dropped", "paid meanwhile")
        assert server.writes == []

    run(test)


def test_unanswering_meter_leaves_the_order_untouched():
    async def test(field, server):
        silent(server, 1)
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        assert field.finished[0][1].state == "untouched"
        assert server.writes == []

    run(test)


def test_register_below_the_last_one_means_another_meter():
    async def test(field, server):
        server.put_u32(1, 0, 100)
        field.bus.give_order(SupplyOrder(5, 1, "off", last_total=Decimal("1.01")))
        await field.drain()
        outcome = field.finished[0][1]
        assert outcome.state == "failed"
        assert "perhaps another meter" in outcome.error
        assert server.writes == []

    run(test)


@pytest.mark.parametrize(("shown", "state"), [(11600, "confirmed"), (11601, "failed")])
def test_register_far_above_the_last_one_means_another_meter(shown, state):
    async def test(field, server):
        obey(server)
        server.put_u32(1, 0, shown)
        last, most = Decimal(100), Decimal(116)
        field.bus.give_order(SupplyOrder(5, 1, "off", last_total=last, most_total=most))
        await field.drain()
        outcome = field.finished[0][1]
        assert outcome.state == state, outcome.error
        if state == "failed":
            assert "more than can have passed since, up to 116.000" in outcome.error
            assert "perhaps another meter" in outcome.error
            assert server.writes == []

    run(test)


SERIAL = {"meaning": "serial", "address": 40, "type": "bcd_text", "words": 3, "polled": False}


@pytest.mark.parametrize(
    ("certainty", "words", "state"),
    [
        ("A", [0x0000, 0x1234, 0x5678], "confirmed"),
        ("A", [0x0000, 0x1234, 0x5679], "failed"),
        ("C", [0x0000, 0x1234, 0x5679], "confirmed"),
    ],
)
def test_serial_number_is_compared_where_it_can_be_trusted(certainty, words, state):
    async def test(field, server):
        obey(server)
        with_serial = profile(registers=[*METER["registers"], {**SERIAL, "certainty": certainty}])
        field.bus.set_meters([FieldMeter(1, "12345678", 1, with_serial)])
        server.words[1].update(dict(zip((40, 41, 42), words, strict=True)))
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        assert field.finished[0][1].state == state
        assert len(server.writes) == (state == "confirmed")

    run(test)


def _ends_after_an_exception(code, shows):
    """Return how an off ends whose write is answered by an exception, the relay showing that."""

    async def test(field, server):
        async def refuse(unit, pdu, frame, writer):
            if pdu[0] != 16:
                return False
            server.words[1][16] = shows
            server.writes.append(pdu)
            writer.write(frame[:4] + bytes((0, 3, unit, 0x90, code)))
            return True

        server.behave = refuse
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        for _turn in range(40):
            await field.drain()
            field.time.pass_(1)
        assert len(server.writes) == 1
        outcomes.append(field.finished[0][1])

    outcomes = []
    run(test)
    return outcomes[0]


ON, OFF, NEITHER = 1, 2, 3


def exceptions_to_a_write_are_judged_by_the_read_back():
    """Also one that says impossible: the device, or its gateway, may have switched all the same.

    What it says is impossible is not tried again; a failure, and what nobody knows, is.
    """
    for code in (1, 2, 3, 4, 5, 6, 8, 10, 11):
        outcome = _ends_after_an_exception(code, OFF)
        assert (outcome.state, outcome.supply_state) == ("confirmed", "off"), code
        for shows, seen in ((ON, "on"), (NEITHER, "unknown")):
            outcome = _ends_after_an_exception(code, shows)
            ends = "failed" if code in (1, 2, 3) else "unknown"
            assert (outcome.state, outcome.supply_state) == (ends, seen), code
            assert outcome.error.startswith(f"exception {code:02X}: "), outcome.error
            assert f"the device shows {seen}" in outcome.error


def test_exceptions_to_a_write_are_judged_by_the_read_back():
    exceptions_to_a_write_are_judged_by_the_read_back()


def test_meter_without_a_relay_cannot_be_switched():
    async def test(field, server):
        plain = profile(control=None, write_functions=[])
        field.bus.set_meters([FieldMeter(1, "S1", 1, plain)])
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        assert field.finished[0][1].state == "failed"
        assert server.requests == []

    run(test)


def test_order_of_a_meter_that_left_is_given_back():
    async def test(field, server):
        field.bus.set_meters([])
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        assert field.finished[0][1].state == "untouched"

    run(test)


def test_nothing_reaches_the_wire_after_a_lost_lease():
    async def test(field, server):
        field.client.may_send = lambda: False
        field.bus.ask_read(1)
        with pytest.raises(NotHolder):
            await field.drain()
        field.bus.give_order(SupplyOrder(5, 1, "off"))
        await field.drain()
        assert field.finished[0][1].state == "untouched"
        assert server.requests == []

    run(test)


def test_changed_meters_keep_their_health_unless_they_moved():
    async def test(field, server):
        silent(server, 2)
        field.bus.ask_read(2)
        await field.drain()
        same = FieldMeter(2, "another plate", 2, field.profile)
        field.bus.set_meters([same])
        assert field.bus.health_of(2).misses == 1
        field.bus.set_meters([FieldMeter(2, "S2", 9, field.profile)])
        assert field.bus.health_of(2).misses == 0

    run(test)


def test_reading_is_asked_for_again_before_it_counts_as_missed():
    async def test(field, server):
        field.bus.retries = 2
        left = {2: 2, 3: 3}

        async def behave(unit, pdu, frame, writer):
            left[unit] = left.get(unit, 0) - 1
            return left[unit] >= 0

        server.behave = behave
        for unit in (1, 2, 3):
            field.bus.ask_read(unit)
        await field.drain()
        assert [snapshot.meter for snapshot in field.snapshots] == [1, 2]
        assert [row[:2] for row in field.missed] == [(3, 1)]
        assert field.bus.health_of(2).bad == 2
        asked = [unit for unit, _pdu in server.requests]
        assert asked[:4] == [1, 1, 2, 3], "the others go before another try"

    run(test, timeout=0.03)


def test_order_goes_before_another_try():
    async def test(field, server):
        obey(server)
        field.bus.retries = 1

        async def behave(unit, pdu, frame, writer):
            if unit == 2 and len(server.requests) == 1:
                field.bus.give_order(SupplyOrder(7, 3, "off", last_total=Decimal(10)))
                return True
            return False

        server.behave = behave
        field.bus.ask_read(2)
        await field.drain()
        assert [unit for unit, _pdu in server.requests][:4] == [2, 3, 3, 3]
        assert [snapshot.meter for snapshot in field.snapshots] == [2]

    run(test, timeout=0.03)


class Counting(Job):
    """A job of so many steps, each one read of a unit."""

    kind = "test"

    def __init__(self, key, steps, error=None):
        self.key, self.steps, self.error = key, steps, error

    async def step(self, driver):
        if self.error:
            raise self.error
        meter = FieldMeter(0, "job", 1, profile())
        await driver.client.read_block(1, meter.profile, meter.profile.poll_blocks[1])
        self.steps -= 1
        return None if self.steps else JobResult("confirmed", {"done": True}, response="00")


def test_job_and_due_readings_take_turns_and_orders_go_first():
    async def test(field, server):
        obey(server)
        field.bus.give_job(Counting(80, 3))
        field.bus.give_job(Counting(81, 1))
        for unit in (2, 3):
            field.bus.ask_read(unit)
        field.bus.give_order(SupplyOrder(7, 3, "off", last_total=Decimal(10)))
        await field.drain()
        units = [unit for unit, _pdu in server.requests]
        order, rest = units[:4], units[4:]
        assert order == [3, 3, 3, 3]
        # 80, reading of 2 (two blocks), 81, reading of 3, and 80 to its end.
        assert rest == [1, 2, 2, 1, 3, 3, 1, 1]
        assert [(job.key, result.state) for job, result in field.jobs] == [
            (81, "confirmed"),
            (80, "confirmed"),
        ]
        assert field.bus.is_idle

    run(test)


def test_failed_job_is_untouched_and_the_bus_goes_on():
    async def test(field, server):
        field.bus.give_job(Counting(80, 1, NoAnswer("silence")))
        field.bus.give_job(Counting(81, 1, KeyError("a defect")))
        field.bus.ask_read(1)
        await field.drain()
        assert [(job.key, result.state) for job, result in field.jobs] == [
            (80, "untouched"),
            (81, "failed"),
        ]
        assert len(field.snapshots) == 1

    run(test)


def test_dropped_job_ends_without_a_word():
    async def test(field, server):
        field.bus.give_job(Counting(80, 5))
        await field.bus.work()
        field.bus.drop_job(80)
        await field.drain()
        assert len(server.requests) == 1
        assert field.jobs == []

    run(test)
