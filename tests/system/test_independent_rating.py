"""The independent calculation itself, against figures worked out by hand."""

from datetime import datetime, timedelta
from fractions import Fraction

from independent_rating import Ledger, cost, day_of, half_up
from site_plan import HOUR, START, TARIFFS, ZONE


def test_the_start_is_a_local_midnight_of_a_month_of_31_days():
    assert (START + timedelta(hours=8)).timetuple()[:5] == (2026, 3, 1, 0, 0)
    assert ZONE.utcoffset(datetime(2026, 3, 1)) == timedelta(hours=8)


def test_half_up():
    assert half_up(Fraction("0.125"), Fraction("0.01")) == Fraction("0.13")
    assert half_up(Fraction("0.1249"), Fraction("0.01")) == Fraction("0.12")


def test_sharp_cuts_into_peak():
    day = day_of("time of use", True)
    assert (day[10 * 60 + 14], day[10 * 60 + 15], day[11 * 60 + 29], day[11 * 60 + 30]) == (
        "peak",
        "sharp",
        "sharp",
        "flat",
    )
    assert day[23 * 60 + 15] == day[0] == day[6 * 60 + 59] == "valley"


def test_tiers():
    # 100 x 0.5283 + 130.5 x 0.5783 + 19.5 x 0.8283
    assert cost(TARIFFS["tiers"], {"flat": Fraction(250)}) == Fraction("144.45")
    assert cost(TARIFFS["tiers"], {"flat": Fraction(100)}) == Fraction("52.83")


def test_tiers_are_shared_over_rate_periods_as_the_use_is():
    # 200 kWh, 150 of them peak: tiers 80, 100, 20; peak has three quarters of each.
    # 60 x 0.5583 + 75 x 0.6083 + 15 x 0.8583 + 20 x 0.3583 + 25 x 0.4383 + 5 x 0.5083
    use = {"peak": Fraction(150), "valley": Fraction(50)}
    assert cost(TARIFFS["tiers by rate period"], use) == Fraction("112.6600")


def test_use_flows_evenly_between_two_readings():
    # E26030003 has the tariff "time of use"; from 10:00 to 11:00 local, peak until 10:15.
    ledger = Ledger()
    ten = START + 10 * HOUR
    ledger.pay(2, "10")
    ledger.read("E26030003", ten, "100")
    ledger.read("E26030003", ten + HOUR, "104")
    # 1 x 1.0321 + 3 x 1.234567 = 4.735801
    assert ledger.balance(2) == Fraction("5.26")


def test_two_meters_of_an_account_count_tiers_together():
    ledger = Ledger()
    for serial in ("E26030008", "E26030009"):
        ledger.read(serial, START, "0")
        ledger.read(serial, START + HOUR, "60")
    # 100 x 0.5283 + 20 x 0.5783
    assert ledger.balance(3) == -Fraction("64.40")


def test_the_month_ends_at_local_midnight():
    ledger = Ledger()
    ledger.read("E26030001", START, "0")
    ledger.read("E26030001", START + timedelta(days=31) - HOUR, "1")
    # Half of the last 0.03 kWh falls into April: 0.6 x 1.015 = 0.609 and 0.6 x 0.015 = 0.009.
    ledger.read("E26030001", START + timedelta(days=31) + HOUR, "1.03")
    assert ledger.balance(1) == -Fraction("0.62")
