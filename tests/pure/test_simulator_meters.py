"""The registers and switches of the simulated devices, against vectors made by hand."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator_helpers import DDSY_0200, ONE_KILOWATT, START, ddsy1352, kaifeng_valve

from simulator.frames import ModbusError
from simulator.load import energy, seconds

READ, WRITE_ONE, WRITE_MANY = 3, 6, 16


def at(hours):
    return seconds(START) + round(3600 * hours)


def words(data):
    return data.hex(" ", 2)


def refusal(call, *arguments):
    with pytest.raises(ModbusError) as caught:
        call(*arguments)
    return caught.value.code


def test_ddsy_block_0200():
    assert words(ddsy1352().read(READ, 0x0200, 48, at(3))) == DDSY_0200


def test_ddsy_block_0000():
    meter = ddsy1352()
    assert words(meter.read(READ, 0x0000, 0x11, at(3))) == (
        "0000 29a4 0000 0000 0000 00dc 0000 28c8 0000 0000 0000 0898 03e8 0898 0000 0898 03e8"
    )
    assert words(meter.read(READ, 0x0043, 3, at(3))) == "0001 2345 6789"


def test_ddsy_serial_and_plan():
    meter = ddsy1352()
    assert meter.read(READ, 0x03A0, 7, at(0)) == b"ACREL123456789"
    plan = meter.read(READ, 0x2006, 21, at(0))
    # rate, minute, hour: valley 00:00, flat 07:00, peak 10:00, flat 12:00, sharp 18:00, …
    assert plan[:15].hex(" ", 3) == "040000 030007 02000a 03000c 010012"
    assert len(plan) == 42
    assert meter.read(READ, 0x201B, 21, at(0)) == plan


def test_ddsy_forced_off_stops_the_flow_at_that_moment():
    meter = ddsy1352()
    meter.write(WRITE_MANY, 0x0057, (1, 1), at(1.5))
    assert meter.read(READ, 0x0224, 1, at(1.5)).hex() == "0008"
    assert words(meter.read(READ, 0x0057, 2, at(1.5))) == "0001 0001"
    assert meter.read(READ, 0x020A, 1, at(2)).hex() == "0000"
    meter.settle(at(100))
    assert meter.shown()["register"] == "103.30"  # 100 + 1.5 h of 2.2 kW
    meter.write(WRITE_MANY, 0x0057, (1, 0), at(100))
    assert meter.read(READ, 0x0224, 1, at(100)).hex() == "2009"
    meter.settle(at(101))
    assert meter.shown()["register"] == "105.50"


def test_ddsy_trips_when_released_without_money():
    meter = ddsy1352()
    meter.write(WRITE_MANY, 0x0057, (0, 1), at(1))
    assert meter.read(READ, 0x0224, 1, at(1)).hex() == "0020"  # relay open, arrears
    assert words(meter.read(READ, 0x0057, 2, at(1))) == "0000 0000"
    assert meter.report()["supply"] == "off"
    assert meter.state() == "prepaid"
    meter.settle(at(9))
    assert meter.used() == Fraction("2.2")


def test_ddsy_counter_has_eight_digits():
    meter = ddsy1352(register="999999.50")
    assert words(meter.read(READ, 0x0000, 2, at(1))) == "0000 00aa"  # 1000001.70
    assert meter.exact() == Fraction("1000001.70")


def test_ddsy_refuses():
    meter = ddsy1352()
    assert refusal(meter.read, 4, 0x0200, 1, at(0)) == 1
    assert refusal(meter.write, WRITE_ONE, 0x0057, (1,), at(0)) == 1
    assert refusal(meter.read, READ, 0x0060, 1, at(0)) == 2
    assert refusal(meter.read, READ, 0x022F, 2, at(0)) == 2
    assert refusal(meter.write, WRITE_MANY, 0x0057, (1,), at(0)) == 2
    assert refusal(meter.write, WRITE_MANY, 0x0000, (0, 0), at(0)) == 2
    assert refusal(meter.write, WRITE_MANY, 0x0057, (2, 0), at(0)) == 3
    assert refusal(meter.write, WRITE_MANY, 0x0057, (1, 2), at(0)) == 3
    assert meter.history == []


# Kaifeng: 0.25 m³/h from 10.5 m³; float32 with the lowest byte first.
def test_kaifeng_block():
    assert (
        words(kaifeng_valve().read(READ, 0x0001, 28, at(2)))
        == (
            "0000 3041 "  # 0001 forward 11.0 = 41300000
            "0000 0000 "  # 0003 reverse
            "0000 803e "  # 0005 flow 0.25 = 3e800000
            "00aa "  # 0007 pipe full
            "0000 0000 0000 0000 "  # 0008 remaining
            "0000 7041 "  # 000C temperature 15.0 = 41700000
            + "0000 "
            * 12
            + "6666 6640 "  # 001A battery 3.6 = 40666666
            "0001"  # 001C open
        )
    )


def test_kaifeng_valve_takes_its_time():
    meter = kaifeng_valve(move_seconds=60)
    meter.write(WRITE_ONE, 0x001C, (2,), at(1))
    assert meter.read(READ, 0x001C, 1, at(1) + 59).hex() == "0000"
    assert (meter.state(), meter.report()["supply"]) == ("closing", "on")
    assert meter.read(READ, 0x001C, 1, at(1) + 60).hex() == "0002"
    assert (meter.state(), meter.report()["supply"]) == ("closed", "off")
    meter.settle(at(50))
    # 1 hour and the minute of closing at 250 l/h
    assert meter.used() == Fraction(250 * 61, 60 * 1000)
    meter.write(WRITE_ONE, 0x001C, (1,), at(50))
    assert meter.state() == "opening"
    assert meter.read(READ, 0x001C, 1, at(51)).hex() == "0001"
    assert meter.used() == Fraction(250 * 121, 60 * 1000)


def test_kaifeng_closing_is_counted_to_its_end_however_late_it_is_asked():
    meter = kaifeng_valve(move_seconds=60)
    meter.write(WRITE_ONE, 0x001C, (2,), at(1))
    meter.settle(at(1000))
    assert meter.used() == Fraction(250 * 61, 60 * 1000)


def test_kaifeng_valve_may_move_at_once():
    meter = kaifeng_valve(move_seconds=0)
    meter.write(WRITE_ONE, 0x001C, (2,), at(1))
    assert meter.read(READ, 0x001C, 1, at(1)).hex() == "0002"


def test_kaifeng_repeated_command_moves_nothing():
    meter = kaifeng_valve()
    meter.write(WRITE_ONE, 0x001C, (1,), at(1))
    assert meter.state() == "open"
    assert meter.history == [(at(1), "open")]


def test_kaifeng_refuses():
    meter = kaifeng_valve()
    assert refusal(meter.write, WRITE_MANY, 0x001C, (1,), at(0)) == 1
    assert refusal(meter.read, READ, 0x0000, 1, at(0)) == 2
    assert refusal(meter.read, READ, 0x001C, 2, at(0)) == 2
    assert refusal(meter.write, WRITE_ONE, 0x001B, (1,), at(0)) == 2
    assert refusal(meter.write, WRITE_ONE, 0x001C, (3,), at(0)) == 3


def test_a_meter_that_starts_off_counts_nothing():
    for meter in (ddsy1352(supply="off"), kaifeng_valve(supply="off")):
        meter.settle(at(1000))
        assert meter.used() == 0
        assert meter.report()["supply"] == "off"


def test_nothing_flows_before_the_start_and_time_set_back_changes_nothing():
    meter = ddsy1352()
    meter.settle(at(-10))
    assert meter.used() == 0
    meter.settle(at(2))
    meter.settle(at(1))
    assert meter.used() == Fraction("4.4")
    meter.command("forced off", at(1))
    assert meter.history == [(at(2), "forced off")]


@given(
    st.lists(st.tuples(st.integers(0, 3_000_000), st.booleans()), max_size=12),
    st.lists(st.integers(0, 3_000_000), max_size=12),
)
def test_register_is_start_plus_load_while_on_whenever_it_is_asked(switches, asked):
    """The counter equals energy() summed over the times with supply, apart from the meter's own
    bookkeeping, whenever it was read between."""
    switches = sorted(switches, key=lambda event: event[0])
    meter = ddsy1352(register="0", scale="0.37", curve=ONE_KILOWATT)
    events = [(t, 0, on) for t, on in switches] + [(t, 1, None) for t in asked]
    for t, kind, on in sorted(events, key=lambda event: event[:2]):
        if kind:
            meter.read(READ, 0x0200, 48, seconds(START) + t)
        else:
            meter.command("forced on" if on else "forced off", seconds(START) + t)
    end = 3_000_001
    meter.settle(seconds(START) + end)
    expected, since = Fraction(0), 0
    for t, on in [*switches, (end, False)]:
        if since is not None:
            expected += energy(
                ONE_KILOWATT,
                "0.37",
                START + timedelta(seconds=since),
                START + timedelta(seconds=t),
            )
        since = t if on else None
    assert meter.exact() == expected
    shown = {name: Decimal(value) for name, value in meter.shown().items()}
    assert 0 <= expected - Fraction(shown["register"]) < Fraction(1, 100)
    bands = sum(value for name, value in shown.items() if name != "register")
    assert 0 <= shown["register"] - bands <= Decimal("0.03")


def test_clock_registers_follow_the_zone():
    meter = ddsy1352(utc_offset_minutes=-60)
    new_year = seconds(datetime(2027, 1, 1, 0, 30, 59))
    # 26-12-31, Thursday, 23:30:59
    assert meter.read(READ, 0x0228, 4, new_year).hex(" ") == "1a 0c 1f 04 17 1e 3b 00"


@pytest.mark.parametrize(
    ("cause", "flags"), [("overload", "0019 0000"), ("load_control", "0009 0100")]
)
def test_ddsy_own_protection_opens_the_relay_and_says_why(cause, flags):
    meter = ddsy1352()
    meter.alter(at(1), trip=cause)
    assert words(meter.read(READ, 0x0224, 2, at(1))) == flags
    assert meter.read(READ, 0x0222, 1, at(1)).hex() == "0001"
    assert (meter.state(), meter.report()["supply"]) == (f"tripped: {cause}", "off")
    meter.write(WRITE_MANY, 0x0057, (1, 1), at(2))
    # Forced off besides: no longer wanted on, the trip still shown.
    assert words(meter.read(READ, 0x0224, 2, at(2))) == flags.replace("9 ", "8 ")
    meter.write(WRITE_MANY, 0x0057, (1, 0), at(3))
    assert words(meter.read(READ, 0x0224, 2, at(3))) == "2009 0000"
    meter.settle(at(4))
    assert meter.used() == Fraction("4.4")


def test_only_what_has_protection_trips():
    for meter, cause in ((ddsy1352(), "lightning"), (kaifeng_valve(), "overload")):
        with pytest.raises(ValueError):
            meter.alter(at(1), trip=cause)


def test_kaifeng_stuck_valve_stays_and_says_so():
    meter = kaifeng_valve()
    meter.alter(at(1), stuck=True, low_battery=True)
    meter.write(WRITE_ONE, 0x001C, (2,), at(1))
    assert meter.read(READ, 0x001C, 1, at(9)).hex() == "000d"
    meter.alter(at(9), stuck=False, low_battery=False)
    meter.write(WRITE_ONE, 0x001C, (2,), at(9))
    assert meter.read(READ, 0x001C, 1, at(10)).hex() == "0002"


def test_kaifeng_valve_that_jams_shows_neither_end_and_lets_water_through():
    meter = kaifeng_valve(move_seconds=60)
    meter.alter(at(1), jams_after=20)
    meter.write(WRITE_ONE, 0x001C, (2,), at(1))
    assert meter.read(READ, 0x001C, 1, at(5)).hex() == "0000"
    assert (meter.state(), meter.report()["supply"]) == ("jammed", "on")
    assert meter.used() == Fraction(250 * 5, 1000)
    meter.alter(at(5), jams_after=-1)
    meter.write(WRITE_ONE, 0x001C, (2,), at(5))
    assert meter.read(READ, 0x001C, 1, at(6)).hex() == "0002"


def test_valve_knows_its_conditions():
    with pytest.raises(ValueError):
        kaifeng_valve().alter(at(1), rusty=True)
