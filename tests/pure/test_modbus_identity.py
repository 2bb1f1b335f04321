"""Who answers: asked seldom, known before a reading goes out, compared before anything is written.

Each property is shown, and its check fails where one line of the product is wrong.
"""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from modbus_fakes import METER, FakeTime, Server
from planted_defects import planted

from modbus import identity as identity_module
from modbus.bus import Bus, Events, Limits
from modbus.device import ModbusDriver
from modbus.driver import FieldMeter, OrderHooks, SupplyOrder
from modbus.errors import CodecError, Encrypted
from modbus.identity import Identity, clock_of, is_due, multiplier_of, same_serial
from modbus.profile import Profile

START = datetime(2026, 3, 2, 3, 0, 0)
DAILY = [
    {
        "meaning": "serial",
        "address": 0x100,
        "type": "string",
        "words": 3,
        "certainty": "B",
        "polled": "daily",
    },
    {"meaning": "pt_ratio", "address": 0x110, "type": "u16", "polled": "daily"},
    {"meaning": "ct_ratio", "address": 0x111, "type": "u16", "polled": "daily"},
    {
        "meaning": "clock",
        "address": 0x120,
        "type": "bytes",
        "words": 4,
        "length": 7,
        "polled": "daily",
    },
    {"meaning": "encryption", "address": 0x130, "type": "bit", "index": 5, "polled": "daily"},
]


def profile(serial_certainty="B", **changes):
    serial, *others = DAILY
    daily = [{**serial, "certainty": serial_certainty}, *others]
    return Profile.from_dict({**METER, "registers": METER["registers"] + daily, **changes})


def text_words(text):
    data = text.encode().ljust(6, b"\0")
    return [data[i] << 8 | data[i + 1] for i in range(0, 6, 2)]


class Place:
    """A bus with one unit that answers as "S1", and a record of what it tells."""

    def __init__(self, server, meters, **options):
        self.server, self.time, self.now = server, FakeTime(), START
        self.snapshots, self.missed, self.finished, self.written = [], [], [], []
        self.client = server.client(**options)
        self.bus = Bus(
            ModbusDriver(self.client, now=self.time),
            Events(
                snapshot=self.snapshots.append,
                missed=lambda meter, health: self.missed.append(meter.key),
                finished=lambda order, outcome: self.finished.append(outcome),
                gateway=lambda health: None,
            ),
            OrderHooks(may_write=self.may_write),
            lambda: self.now,
            limits=Limits(),
            now=self.time,
        )
        self.bus.set_meters(meters)
        self.answer_as("S1")

    def answer_as(self, serial, unit=1):
        words = self.server.words.setdefault(unit, {})
        for offset, word in enumerate(text_words(serial)):
            words[0x100 + offset] = word
        words.update({0x110: 1, 0x111: 40, 0x120: 0x1A03, 0x121: 0x0201, 0x122: 0x0B00})
        words.update({0: 1, 1: 0, 16: 1, 0x130: words.get(0x130, 0)})

    async def may_write(self, order, request):
        self.written.append(request)
        return ""

    async def read(self, keys=(1,)):
        for key in keys:
            self.bus.ask_read(key)
        while await self.bus.work():
            pass
        return self.snapshots[-1] if self.snapshots else None


def run(test, meters=None, units=(1,), **options):
    async def whole():
        async with Server(units=units) as server:
            place = Place(server, meters or [FieldMeter(1, "S1", 1, profile())], **options)
            try:
                return await test(place, server)
            finally:
                await place.bus.driver.close()

    return asyncio.run(asyncio.wait_for(whole(), 20))


def asked(server):
    """First addresses of the daily blocks that were read."""
    return [
        int.from_bytes(pdu[1:3], "big")
        for _unit, pdu in server.requests
        if int.from_bytes(pdu[1:3], "big") >= 0x100
    ]


def holds(check, *defects):
    check()
    for function, line, instead in defects:
        with planted(function, line, instead), pytest.raises((AssertionError, AttributeError)):
            check()


def test_asked_with_the_first_reading_and_then_once_a_day():
    def check():
        async def test(place, server):
            first = await place.read()
            assert first.identity.serial == "S1"
            assert first.identity.values["ct_ratio"] == 40
            assert first.identity.clock == datetime(2026, 3, 2, 11, 0, 0)
            assert first.identity.clock_seen_at == START
            assert first.identity.is_encrypted is False
            assert asked(server) == [0x100, 0x110, 0x120, 0x130]
            for hours in (1, 12, 23):
                place.now = START + timedelta(hours=hours)
                assert (await place.read()).identity is None
            assert len(asked(server)) == 4
            place.now = START + timedelta(hours=24)
            assert (await place.read()).identity.serial == "S1"
            assert len(asked(server)) == 8

        run(test)

    holds(
        check,
        (identity_module.is_due, "asked_at <= now < asked_at + EVERY", "asked_at <= now"),
        (Bus._identify, "replace(snapshot, identity=identity)", "snapshot"),
        (Bus._identify, "now - EVERY + AGAIN if identity.silent else now", "None"),
    )


def test_a_reading_of_another_meter_is_counted_once():
    async def test(place, server):
        await place.read()
        place.answer_as("S2")
        place.now += identity_module.EVERY
        await place.read()
        [tally] = place.bus.take_tallies().values()
        assert (tally.good, tally.wrong_meter) == (1, 1)

    run(test)


def test_what_the_database_knows_is_not_asked_again():
    async def test(place, server):
        assert (await place.read()).identity is None
        assert asked(server) == []

    known = FieldMeter(1, "S1", 1, profile(), identified_at=START - timedelta(hours=5))
    run(test, [known])


def test_no_reading_goes_out_before_it_is_known_whose_it_is():
    def check():
        async def test(place, server):
            place.bus.ask_read(1)
            assert await place.bus.work()
            assert place.snapshots == []
            # An order that comes now is carried out before the rest is asked.
            place.bus.give_order(SupplyOrder(5, 1, "off"))
            server.on_write = lambda *_args: server.words[1].update({16: 2})
            assert await place.bus.work()
            assert len(server.writes) == 1
            assert asked(server) == [0x100], "only the comparison before the write"
            while await place.bus.work():
                pass
            assert [s.identity.serial for s in place.snapshots] == ["S1"]

        run(test)

    holds(check, (Bus.work, "if self._asking:", "if False:"))


def test_swapped_behind_a_gateway_that_was_away():
    """M12: the gateway comes back, perfect but for another site."""

    def check():
        async def test(place, server):
            await place.read()
            answers = server.behave

            async def silence(unit, pdu, frame, writer):
                return True

            server.behave = silence
            for _miss in range(3):
                place.time.pass_(700)
                await place.read()
            assert place.bus.health_of(1).online is False
            server.behave = answers
            place.answer_as("S9")
            place.time.pass_(700)
            place.now = START + timedelta(hours=1)
            back = await place.read()
            assert back.identity is not None
            assert back.identity.serial == "S9"

        run(test, timeout=0.03)

    holds(
        check,
        (Bus._read, "device.identified_at = None", "pass"),
    )


def test_all_meters_are_asked_when_the_gateway_was_away():
    def check():
        async def test(place, server):
            await place.read((1, 2))
            place.bus.health.online = False
            place.answer_as("S9", 2)
            both = len(place.snapshots)
            await place.read((1, 2))
            assert [s.identity.serial for s in place.snapshots[both:]] == ["S1", "S9"]

        meters = [FieldMeter(key, f"S{key}", key, profile()) for key in (1, 2)]

        async def both(place, server):
            place.answer_as("S2", 2)
            await test(place, server)

        run(both, meters, units=(1, 2))

    holds(check, (Bus._gateway_answered, "device.identified_at = None", "pass"))


def test_a_register_that_the_device_does_not_have_hides_nothing():
    async def test(place, server):
        async def refuse(unit, pdu, frame, writer):
            if pdu[1:3] == b"\x01\x00":
                writer.write(frame[:4] + bytes((0, 3, unit, 0x83, 2)))
                return True
            return False

        server.behave = refuse
        identity = (await place.read()).identity
        assert identity.serial is None
        assert identity.errors == {"serial": "exception 02: illegal address"}
        assert identity.values["ct_ratio"] == 40
        # It answered: asked again tomorrow, not all day long.
        place.now = START + timedelta(hours=2)
        assert (await place.read()).identity is None

    run(test)


def test_a_dead_meter_costs_one_time_out_and_silence_is_asked_again_in_an_hour():
    async def test(place, server):
        async def silence(unit, pdu, frame, writer):
            return True

        server.behave = silence
        await place.read()
        assert len(server.requests) == 1

        async def deaf(unit, pdu, frame, writer):
            return pdu[1:3] == b"\x01\x20"

        server.behave = deaf
        place.time.pass_(700)
        identity = (await place.read()).identity
        assert identity.silent
        assert (identity.serial, identity.clock) == ("S1", None)
        place.now = START + timedelta(minutes=59)
        assert (await place.read()).identity is None
        server.behave = None
        place.now = START + timedelta(minutes=60)
        assert (await place.read()).identity.clock is not None

    run(test, timeout=0.05)


def order(serial, meter, total=(1, 0)):
    async def test(place, server):
        place.answer_as(serial)
        server.words[1].update({0: total[0], 1: total[1]})
        server.on_write = lambda *_args: server.words[1].update({16: 2})
        place.bus.give_order(SupplyOrder(5, 1, "off", last_total=Decimal("600")))
        while await place.bus.work():
            pass
        return place.finished, server.writes

    return run(test, [meter])


def test_the_serial_number_is_compared_before_anything_is_written():
    """C16, for a register that is sure, and for one that has shown its own number before."""

    def check():
        for meter in (
            FieldMeter(1, "S1", 1, profile("B")),
            FieldMeter(1, "S1", 1, profile("C"), serial_known=True),
        ):
            [outcome], writes = order("S9", meter)
            assert (outcome.state, writes) == ("failed", [])
            assert "S9 answers, expected S1" in outcome.error
            [outcome], writes = order("S1", meter)
            assert (outcome.state, len(writes)) == ("confirmed", 1)

    holds(
        check,
        (ModbusDriver._compare, "if not same_serial(", "if False and not same_serial("),
        (ModbusDriver._compare, 'serial.certainty == "C" and not meter.serial_known', "True"),
    )


def test_no_order_hangs_on_a_register_that_nobody_has_seen():
    meter = FieldMeter(1, "S1", 1, profile("C"))
    # 65536 hundredths are above the last register, 500.00 is below.
    [outcome], writes = order("S9", meter)
    assert (outcome.state, len(writes)) == ("confirmed", 1)
    [outcome], writes = order("S9", meter, total=(0, 50000))
    assert (outcome.state, writes) == ("failed", [])


def test_a_number_once_shown_is_relied_on_at_once():
    def check():
        async def test(place, server):
            await place.read()
            place.answer_as("S9")
            place.bus.give_order(SupplyOrder(5, 1, "off"))
            while await place.bus.work():
                pass
            assert server.writes == []
            assert place.finished[0].state == "failed"

        run(test, [FieldMeter(1, "S1", 1, profile("C"))])

    holds(check, (Bus._identify, "serial_known=True", "serial_known=False"))


def test_the_ratio_goes_with_every_reading_once_it_was_read():
    def check():
        async def test(place, server):
            assert (await place.read()).multiplier == 40
            place.now = START + timedelta(hours=3)
            assert (await place.read()).multiplier == 40

        run(test)

    holds(check, (Bus._tell, "multiplier=device.multiplier", "multiplier=None"))


@pytest.mark.parametrize(
    ("certainty", "values", "figures", "multiplier"),
    [
        ("B", {"ct_ratio": Decimal(40), "pt_ratio": Decimal(100)}, "secondary", Decimal(4000)),
        ("B", {"ct_ratio": Decimal(40), "pt_ratio": Decimal(0)}, "secondary", None),
        ("B", {"ct_ratio": Decimal(40)}, "secondary", None),
        ("B", {}, "secondary", None),
        ("C", {"ct_ratio": Decimal(40), "pt_ratio": Decimal(1)}, "secondary", None),
        ("B", {"ct_ratio": Decimal(40), "pt_ratio": Decimal(1)}, "primary", Decimal(1)),
        ("C", {}, "primary", Decimal(1)),
    ],
)
def test_multiplier_is_what_ct_and_pt_say(certainty, values, figures, multiplier):
    rows = [
        {**row, "certainty": certainty} if row["meaning"].endswith("ratio") else row
        for row in DAILY
    ]
    made = Profile.from_dict({**METER, "registers": METER["registers"] + rows, "values": figures})
    assert multiplier_of(made, values) == multiplier


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0012345", "12345", True),
        ("12345 ", "12345", True),
        ("ab12", "AB12", True),
        ("12345", "12346", False),
        ("", "12345", False),
        ("120", "12", False),
    ],
)
def test_serials_are_compared_as_people_do(one, other, same):
    assert same_serial(one, other) is same
    assert same_serial(other, one) is same


def test_clock_bytes_are_a_moment_or_an_error():
    assert clock_of(bytes((26, 2, 28, 6, 23, 59, 59))) == datetime(2026, 2, 28, 23, 59, 59)
    for wrong in ((26, 2, 29, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0), (26, 13, 1, 0, 0, 0, 0)):
        with pytest.raises(CodecError, match="no date and time"):
            clock_of(bytes(wrong))
    with pytest.raises(CodecError, match="7 bytes"):
        clock_of(bytes(6))


def test_a_clock_set_back_asks_again():
    assert is_due(None, START)
    assert is_due(START + timedelta(hours=1), START)
    assert not is_due(START, START)
    assert Identity(()).is_done


def test_a_refusal_because_of_encryption_is_named():
    def check():
        async def test(place, server):
            async def refuse(unit, pdu, frame, writer):
                if pdu[1:3] == b"\x01\x30":
                    return False
                writer.write(frame[:4] + bytes((0, 3, unit, pdu[0] | 0x80, 4)))
                return True

            server.behave = refuse
            server.words[1][0x130] = 0x0020
            await place.read()
            assert place.missed == [1]
            assert place.bus.health_of(1).error == Encrypted.TEXT
            place.bus.give_order(SupplyOrder(5, 1, "off"))
            while await place.bus.work():
                pass
            [outcome] = place.finished
            assert (outcome.state, outcome.error, server.writes) == ("failed", Encrypted.TEXT, [])
            server.words[1][0x130] = 0
            place.time.pass_(700)
            await place.read()
            assert place.bus.health_of(1).error == "exception 04: device failure"
            # Asked as soon as it answers again, so that the finding ends.
            server.behave = None
            place.time.pass_(700)
            assert (await place.read()).identity.is_encrypted is False

        known = FieldMeter(1, "S1", 1, profile(), identified_at=START)
        run(test, [known])

    holds(
        check,
        (ModbusDriver._named, "if value is True", "if value is None"),
        (Bus._failed, "device.identified_at = None", "pass"),
    )
