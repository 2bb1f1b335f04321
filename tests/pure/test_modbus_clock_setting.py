"""Setting a clock: only where the profile says how, asked before, and read back."""

import asyncio
from datetime import datetime
from types import SimpleNamespace

import pytest
from modbus_fakes import METER, Server

from modbus.clock_setting import ClockJob, bytes_of
from modbus.device import ModbusDriver
from modbus.driver import FieldMeter, OrderHooks
from modbus.errors import ProfileError
from modbus.profile import Profile

CLOCK = {
    **METER,
    "registers": [
        *METER["registers"],
        {"meaning": "clock", "address": 40, "type": "bytes", "words": 4, "length": 7},
        {"meaning": "serial", "address": 100, "type": "string", "words": 2},
    ],
    "clock_write": {"address": 40, "monday": 1},
}
NOW = datetime(2026, 3, 4, 13, 5, 59)  # a Wednesday
#: 26-03-04, 3, 13:05:59 and a zero, by hand.
WORDS = [0x1A03, 0x0403, 0x0D05, 0x3B00]


def play(profile=None, refusal="", before=None, **words):
    async def whole():
        async with Server(units=(1,)) as server:
            server.words[1].update({40: 0x1A03, 41: 0x0403, 42: 0x0C00, 43: 0})
            server.words[1].update({100: 0x534E, 101: 0x3737})  # SN77
            if before:
                before(server)
            asked = []

            async def may_write(job, request):
                asked.append((job.key, job.meter, request))
                return refusal

            meter = FieldMeter(5, words.get("name", "SN77"), 1, profile or Profile.from_dict(CLOCK))
            job = ClockJob(9, meter, OrderHooks(may_write), lambda: NOW)
            driver = ModbusDriver(server.client())
            result = None
            while result is None:
                result = await job.step(driver)
            await driver.close()
            return SimpleNamespace(result=result, server=server, asked=asked)

    return asyncio.run(asyncio.wait_for(whole(), 20))


def test_clock_is_written_once_and_read_back():
    done = play()
    assert done.server.writes == [(1, 40, WORDS)]
    assert done.result.state == "confirmed"
    assert done.result.result == {
        "before": "2026-03-04 12:00:00",
        "written": "2026-03-04 13:05:59",
        "after": "2026-03-04 13:05:59",
    }
    assert [(key, meter) for key, meter, _request in done.asked] == [(9, 5)]


def test_refused_write_is_not_sent():
    done = play(refusal="not armed")
    assert (done.result.state, done.result.error) == ("failed", "not armed")
    assert done.server.writes == []


def test_another_meter_keeps_its_clock():
    done = play(name="SN78")
    assert done.result.state == "failed"
    assert "SN77 answers" in done.result.error
    assert done.server.writes == []


def test_clock_that_does_not_take_it_fails():
    def deaf(server):
        server.on_write = lambda unit, address, words: server.words[unit].update({42: 0x0C00})

    done = play(before=deaf)
    assert done.result.state == "failed"
    assert "after the write the clock shows" in done.result.error


def test_no_clock_is_set_where_the_profile_does_not_say_how():
    for changes, why in (
        ({"clock_write": None}, "is not known"),
        ({"clock_write": {"address": 40, "certainty": "C"}}, "nobody has confirmed"),
    ):
        profile = Profile.from_dict({**CLOCK, **changes})
        with pytest.raises(ValueError, match=why):
            play(profile)
        assert not profile.allows_write(16, 40, WORDS)
    confirmed = {"address": 40, "certainty": "C", "confirmed": "Lee, meter SN77"}
    assert play(Profile.from_dict({**CLOCK, "clock_write": confirmed})).result.state == "confirmed"


def test_clock_needs_a_register_to_read_it_back():
    with pytest.raises(ProfileError, match="no read-back"):
        Profile.from_dict({**METER, "clock_write": {"address": 40}})


@pytest.mark.parametrize(
    ("day", "monday", "weekday"), [(2, 1, 1), (8, 1, 7), (2, 0, 0), (8, 0, 6), (2, 2, 2), (8, 2, 1)]
)
def test_weekday_is_counted_as_the_device_does(day, monday, weekday):
    # 2 March 2026 is a Monday, the 8th a Sunday.
    assert bytes_of(datetime(2026, 3, day), monday)[3] == weekday
