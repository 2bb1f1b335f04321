"""Gateways and Modbus (M1 to M6, M8): each property holds on every way to speak, and its check
fails with each of its planted defects."""

import random
import struct

import pytest
from planted_defects import planted
from wire_world import KINDS, World, ddsy_profile, log_of_the_bus, play

from modbus import client
from modbus.bus import Bus, Limits
from modbus.client import GatewayClient
from modbus.connection import Connection
from modbus.device import ModbusDriver
from modbus.driver import SupplyOrder
from modbus.framing import Asked, RtuFraming, TcpFraming

RTU, TCP, UNNUMBERED = "rtu", "tcp", "tcp without numbers"


#: M1: (fault, its parameters)
SPOILT = [
    ("garbage", {}),
    ("truncated", {}),
    ("wrong_length", {"length": 0}),
    ("wrong_length", {"length": 65535}),
    ("twice_at_once", {}),
    ("extra_bytes", {}),
    ("reset", {}),
]
#: M2
FOREIGN = [("wrong_unit", {}), ("wrong_function", {}), ("wrong_count", {})]
NUMBERED = [("wrong_transaction", {}), ("stale_transaction", {})]


async def _one_bad_answer(kind, fault, parameters):
    """One answer of unit 2 is spoilt. It is not read, the connection is dropped, the others are
    read in the same round, one line says so, and soon it is read again."""
    world = World(kind)
    await world.read()
    assert len(world.snapshots) == 3
    world.gateway.clock.step(3600)
    opened = world.link.opened
    world.gateway.faults.add(fault, unit=2, count=1, **parameters)
    begin = world.now()
    with log_of_the_bus() as lines:
        await world.read()
        # Only after a doubt without numbers, and where bytes are missing, is anything waited for.
        waits = (kind != TCP) + (fault == "truncated")
        assert world.now() - begin < waits + 0.5, f"{fault}: it is waited for what cannot come"
        fresh = world.snapshots[3:]
        assert [snapshot.meter for snapshot in fresh] == [1, 3], (fault, fresh)
        assert all(not world.wrong(snapshot) for snapshot in fresh), fault
        assert world.link.opened == opened + 1, f"{fault}: the connection is used further"
        assert len(lines) == 1, lines
        assert lines[0].startswith("Gateway Riser 1, meter E2: "), lines
        await world.settle(10)
        assert [snapshot.meter for snapshot in world.snapshots[5:]] == [2], fault
        assert not world.wrong(world.snapshots[5]), fault
        assert lines[1:] == ["Gateway Riser 1, meter E2: answers again"], lines
    assert world.bus.health_of(2).online is True
    assert not any(world.written.values())


async def _order_with_bad_answer(kind, fault, parameters):
    """The answer to a write is spoilt: the read-back alone decides; nothing is written twice."""
    world = World(kind)
    await world.read()
    world.before_write = lambda: world.gateway.faults.add(fault, unit=2, count=1, **parameters)
    world.bus.give_order(SupplyOrder(7, 2, "off"))
    await world.settle(10)
    ((_key, outcome),) = world.finished
    assert outcome.state == "confirmed", (fault, outcome)
    assert world.gateway.meters[2].state() == "forced off"
    assert world.written == {1: 0, 2: 1, 3: 0}, fault
    await world.read()
    assert [snapshot.meter for snapshot in world.snapshots[-3:]] == [1, 2, 3]


def spoilt_bytes():
    """M1."""
    for kind in KINDS:
        for fault, parameters in SPOILT + [("bad_checksum", {})] * (kind == RTU):
            play(lambda k=kind, f=fault, p=parameters: _one_bad_answer(k, f, p))
            play(lambda k=kind, f=fault, p=parameters: _order_with_bad_answer(k, f, p))


def single_bytes():
    """M1: an answer one byte at a time is an answer."""

    async def scenario(kind):
        world = World(kind)
        world.gateway.faults.add("bytewise", ms=2)
        await world.read()
        assert [snapshot.meter for snapshot in world.snapshots] == [1, 2, 3]
        assert world.link.opened == 1

    for kind in KINDS:
        play(lambda k=kind: scenario(k))


def foreign_answers():
    """M2."""
    for kind in KINDS:
        for fault, parameters in FOREIGN + NUMBERED * (kind == TCP):
            play(lambda k=kind, f=fault, p=parameters: _one_bad_answer(k, f, p))
            play(lambda k=kind, f=fault, p=parameters: _order_with_bad_answer(k, f, p))


async def _ten_thousand_polls(kind, polls, seed, **limits):
    """Answers late, twice, one behind, missing, in any mixture; every meter's registers differ and
    move between any two polls."""
    dice = random.Random(seed)
    world = World(kind, profile=ddsy_profile(**limits), limits=Limits(1, 1.0, 4.0))
    for _poll in range(polls):
        world.gateway.clock.step(60)
        if dice.random() < 0.08:
            unit = dice.choice([None, *world.units])
            fault = dice.choice(["late", "late", "twice", "twice", "delay", "silence", "truncated"])
            parameters = {
                "late": {"restamped": dice.random() < 0.5},
                "twice": {"ms": dice.choice([1, 15, 40, 300, 900])},
                "delay": {"ms": dice.choice([900, 1100, 1900])},
            }.get(fault, {})
            world.gateway.faults.add(fault, unit=unit, count=dice.choice([1, 2, 7]), **parameters)
        seen = len(world.snapshots)
        await world.read(dice.choice(world.units))
        await world.settle(dice.choice([1, 1, 2, 10]))
        for snapshot in world.snapshots[seen:]:
            assert not world.wrong(snapshot), (kind, _poll, snapshot)
    world.gateway.faults.clear()
    await world.settle(1200)
    before = len(world.snapshots)
    await world.read()
    assert len(world.snapshots) == before + 3, "all are read when the faults are over"
    return before


def late_answers():
    """M3."""
    good = play(lambda: _ten_thousand_polls(TCP, 10_000, 1))
    assert good > 5000
    assert play(lambda: _ten_thousand_polls(RTU, 10_000, 2)) > 5000
    assert play(lambda: _ten_thousand_polls(UNNUMBERED, 2000, 2)) > 1000


def late_answers_of_the_same_length():
    """M3, where most reads of a meter have answers of the same length."""
    for kind in KINDS:
        play(lambda k=kind: _ten_thousand_polls(k, 700, 3, max_block=2, max_gap=0))


def gateway_without_numbers():
    """M4."""

    async def refused():
        world = World(TCP)
        world.gateway.faults.add("no_echo")
        await world.read()
        assert world.snapshots == []
        assert "transaction 0" in world.bus.health_of(1).error

    async def works_with_its_setting():
        world = World(UNNUMBERED)
        world.gateway.faults.add("no_echo")
        await world.read()
        assert [snapshot.meter for snapshot in world.snapshots] == [1, 2, 3]

    async def is_stricter():
        # What follows an answer voids it; on a connection with numbers it would do no harm.
        world = World(UNNUMBERED)
        world.gateway.faults.add("twice", unit=2, count=1, ms=10)
        await world.read()
        assert [snapshot.meter for snapshot in world.snapshots] == [1, 3]

    async def waits_after_a_doubt():
        world = World(UNNUMBERED)
        await world.read(1)
        world.gateway.faults.add("silence", unit=2, count=1)
        await world.read(2)
        begin = world.now()
        await world.read(1)
        assert world.now() - begin >= 1.0

    for scenario in (refused, works_with_its_setting, is_stricter, waits_after_a_doubt):
        play(scenario)


def exceptions():
    """M5."""

    async def scenario(kind, code):
        world = World(kind)
        world.gateway.faults.add("exception", unit=2, code=code)
        with log_of_the_bus() as lines:
            for _round in range(4):
                await world.read()
                await world.settle(30)
        health = world.bus.health_of(2)
        assert len([line for line in lines if "meter E2" in line]) == 1, lines
        read = [snapshot.meter for snapshot in world.snapshots]
        assert (read.count(1), read.count(2), read.count(3)) == (4, 0, 4)
        assert world.link.opened == 1, "a refusal is an answer"
        assert world.bus.health.online is True
        if code in (5, 6):
            assert (health.online, health.misses) == (None, 0)
            assert world.bus.seconds_to_next() <= 1, "it is asked again soon"
        elif code in (10, 11):
            assert health.online is False
        else:
            assert (health.online, health.misses) == (True, 0)
        world.gateway.faults.clear()
        await world.settle(600)
        await world.read()
        assert not world.wrong(world.snapshots[-1])
        assert world.bus.health_of(2).online is True

    for kind in KINDS:
        for code in (1, 2, 3, 4, 5, 6, 8, 10, 11):
            play(lambda k=kind, c=code: scenario(k, c))


def dead_gateway():
    """M6, O3: one line and one state for the gateway; its meters are not counted as missed; a
    reset in the middle, an open socket with nobody behind: bounded."""

    async def unreachable():
        world = World(TCP)
        await world.read()
        world.client.close()
        world.link.gateway = None
        world.states.clear()
        with log_of_the_bus() as lines:
            for unit in world.units:
                world.bus.ask_read(unit)
            await world.settle(3600)
            assert world.missed == []
            assert 55 <= [online for online, _misses in world.states].count(False) <= 90
            assert lines == ["Gateway Riser 1: memory: nobody there"], lines
            attempts = world.link.opened
            assert 55 <= attempts <= 90, "waits grow to a minute and are spread"
            world.link.gateway = world.gateway
            await world.settle(120)
            assert lines[1:] == ["Gateway Riser 1 answers"], lines
        assert sorted(snapshot.meter for snapshot in world.snapshots[3:]) == [1, 2, 3]

    async def half_open():
        world, other = World(TCP), World(TCP)
        await world.read()
        world.gateway.faults.add("half_open")
        begin = world.now()
        await world.read()
        assert world.now() - begin == pytest.approx(3.0)
        assert world.bus.health.online is False
        begin = world.now()
        await other.read()
        assert world.now() == begin, "another gateway is not held up"
        assert len(other.snapshots) == 3

    play(unreachable)
    play(half_open)


def second_master():
    """M8: errors rise; orders are still proven by their read-back, and written once."""

    async def scenario(kind):
        world = World(kind, baud=9600, retries=1)
        await world.read()
        assert world.bus.health.bad == 0
        world.gateway.second_master.start(ms={TCP: 210, RTU: 1700}[kind])
        for number in range(12):
            world.gateway.clock.step(60)
            for _sweep in range(4):
                await world.read()
            await world.settle(7)
            wanted = ("off", "on")[number % 2]
            world.bus.give_order(SupplyOrder(number, 2, wanted, maybe_sent=True))
            for _try in range(20):
                await world.settle(5)
                key, outcome = world.finished[-1]
                if outcome.state == "confirmed":
                    break
                assert outcome.state in ("untouched", "unknown"), outcome
                world.bus.give_order(SupplyOrder(number, 2, wanted, maybe_sent=True))
            assert (key, outcome.state) == (number, "confirmed")
            on = world.gateway.meters[2].state() == "forced on"
            assert on is (wanted == "on")
            assert world.written[2] <= number + 1, "written twice"
        errors = sum(world.bus.health_of(unit).bad for unit in world.units)
        assert errors >= 5, "errors rise"
        world.gateway.second_master.stop()
        world.gateway.clock.step(60)
        await world.settle(600)
        before = len(world.snapshots)
        await world.read()
        assert len(world.snapshots) == before + 3
        assert not any(world.wrong(snapshot) for snapshot in world.snapshots[before:])

    async def never_quiet():
        world = World(RTU)
        await world.read()
        world.gateway.second_master.start(ms=210)
        await world.settle(60)
        await world.read()
        assert "perhaps another master" in world.bus.health.error
        world.gateway.second_master.stop()
        await world.settle(120)
        assert sorted(snapshot.meter for snapshot in world.snapshots[3:]) == [1, 2, 3]

    for kind in (TCP, RTU):
        play(lambda k=kind: scenario(k))
    play(never_quiet)


def relay_that_lies():
    """A write that is acknowledged and moves nothing; one that moves and is not acknowledged."""

    async def lying(kind):
        world = World(kind)
        await world.read()
        world.gateway.faults.add("lying_relay", unit=2)
        world.bus.give_order(SupplyOrder(7, 2, "off"))
        await world.settle(10)
        ((_key, outcome),) = world.finished
        assert (outcome.state, outcome.supply_state) == ("unknown", "on")
        assert world.written[2] == 0

    async def silent(kind):
        world = World(kind)
        await world.read()
        world.gateway.faults.add("silent_relay", unit=2)
        world.bus.give_order(SupplyOrder(7, 2, "off"))
        await world.settle(10)
        ((_key, outcome),) = world.finished
        assert (outcome.state, outcome.supply_state) == ("confirmed", "off")
        assert world.written[2] == 1

    for kind in KINDS:
        play(lambda k=kind: lying(k))
        play(lambda k=kind: silent(k))


PROPERTIES = [
    (
        spoilt_bytes,
        [
            (RtuFraming.answer, "received[-2:] != _checksum(received[:-2])", "False"),
            (Asked.check, "len(pdu) == self.size and ", ""),
            (TcpFraming.answer, "elif not 3 <= length <= _LONGEST_PDU + 1:", "elif False:"),
            (GatewayClient._exchange, "self.close()", "pass"),
            (Bus._log_trouble, "device.told = kind", "pass"),
        ],
    ),
    (single_bytes, [(Connection.data_received, "self._buffer += data", "self._buffer = data")]),
    (
        foreign_answers,
        [
            (TcpFraming.answer, "elif unit != asked.unit:", "elif False:"),
            (RtuFraming.answer, "received[0] != asked.unit", "False"),
            (TcpFraming.answer, "number != asked.number", "False"),
            (Asked.check, "pdu[0] == self.function and ", ""),
            (Asked.check, "len(pdu) == self.size and self.fits(pdu)", "True"),
            (
                ModbusDriver._start,
                "except (NoAnswer, WrongAnswer) as error:",
                "except NoAnswer as error:",
            ),
        ],
    ),
    (
        late_answers,
        [
            (GatewayClient._flush, "if shape not in self._doubtful and", "if True and"),
            (GatewayClient._exchange, "if shape[0] != unit", "if False"),
            (client._flush_block, "if other not in doubtful:", "if True:"),
        ],
    ),
    (
        late_answers_of_the_same_length,
        [(GatewayClient._flush, "if shape not in self._doubtful and", "if True and")],
    ),
    (
        gateway_without_numbers,
        [
            (
                TcpFraming.answer,
                "self.tells_answers_apart and number != asked.number",
                "number != asked.number",
            ),
            (TcpFraming.answer, "number != asked.number", "False"),
            (GatewayClient._exchange, "if self.timing.pause:", "if False:"),
            (GatewayClient.connect, "if self._must_be_quiet and not", "if False and not"),
        ],
    ),
    (
        exceptions,
        [
            (Bus._failed, "code in ModbusException.BUSY", "False"),
            (Bus._failed, "code not in ModbusException.TARGET_SILENT", "True"),
            (Bus._failed, "health.online = True", "health.online = False"),
        ],
    ),
    (
        dead_gateway,
        [
            (Bus._failed, "if isinstance(error, Unreachable | Refused):", "if False:"),
            (Bus._gateway_missed, "if health.misses == 1:", "if True:"),
            (Bus._gateway_silent, "self.health.online = False", "pass"),
        ],
    ),
    (
        second_master,
        [
            (ModbusDriver._start, "seen.state == order.wanted and order", "False and order"),
            (Bus._failed, "health.bad += 1", "pass"),
        ],
    ),
    (
        relay_that_lies,
        [
            (
                ModbusDriver._look,
                "if state == pending.order.wanted:",
                "if True:",
            ),
        ],
    ),
]


@pytest.mark.parametrize(
    "check", [check for check, _defects in PROPERTIES], ids=lambda c: c.__name__
)
def test_property(check):
    check()


@pytest.mark.parametrize(
    ("check", "defect"),
    [
        pytest.param(check, defect, id=f"{check.__name__}-{number}")
        for check, defects in PROPERTIES
        for number, defect in enumerate(defects)
    ],
)
def test_planted_defect_is_caught(check, defect):
    with planted(*defect), pytest.raises((AssertionError, ValueError, IndexError, struct.error)):
        check()
