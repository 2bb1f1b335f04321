"""Bills that others published or calculated, and the worked example of docs/rating.md."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from engine_cases import CENT, every_day, settle, tariff, utc

from engine import Point, Span, rate, round_half_up, split

MAY = date(2025, 5, 1)


def bill(version, quantity):
    """Return the posted money of one month's use in one band."""
    days = [(MAY, {(1, version.key, version.bands[0]): Decimal(quantity)})]
    (month,) = rate({version.key: version}, [], days).due.values()
    return round_half_up(month, CENT)


@pytest.mark.parametrize(("quantity", "money"), [("350", "733.85"), ("374", "791.57")])
def test_johannesburg_city_power_prepaid_2023(quantity, money):
    """City Power in BusinessTech, 2023-07-04: 209.67 c/kWh to 350 kWh a month, 240.5 c above.

    Both bills (before VAT) pin half up: exactly they are 733.845 and 791.565.
    """
    version = tariff({"flat": ["2.0967", "2.405"]}, ["350"])
    assert bill(version, quantity) == Decimal(money)


@pytest.mark.parametrize(("quantity", "money"), [("10", "5.30"), ("50", "26.50"), ("100", "55.50")])
def test_zhejiang_two_steps(quantity, money):
    """Zhejiang University's programming exercise 2-2: 0.53 to 50 kWh inclusive, then 0.58."""
    version = tariff({"flat": ["0.53", "0.58"]}, ["50"])
    assert bill(version, quantity) == Decimal(money)


def test_beijing_water_through_a_year():
    """5, 7 and 9 yuan a m3 to 180 and 260 m3 a year (China Daily, 2014-04-29), 25 m3 a month."""
    version = tariff({"flat": ["5", "7", "9"]}, ["180", "260"], period="year")
    days = [(date(2025, month, 28), {(1, 1, "flat"): Decimal(25)}) for month in range(1, 13)]
    posted, _lines = settle({1: version}, days, range(12))
    assert list(posted.values()) == [125] * 7 + [165, 175, 175, 205, 225]
    assert sum(posted.values()) == Decimal("1820.00")


# TNB's tariff A of 2014: the first 200 kWh a month 21.8 sen, the next 100 33.4, 300 51.6, 300 54.6,
# above 57.1.
TNB = tariff({"flat": ["0.218", "0.334", "0.516", "0.546", "0.571"]}, ["200", "300", "600", "900"])


def test_malaysian_months_and_the_same_as_one_lump():
    assert 3 * bill(TNB, 450) == Decimal("463.20")
    assert bill(TNB, 1350) == Decimal("652.55")


def test_a_reading_after_three_months_is_spread_before_tiers_apply():
    """1350 kWh between two readings cost what three months cost, not what the lump costs."""
    zone = ZoneInfo("Asia/Kuala_Lumpur")
    points = [
        Point(utc(zone.key, 2025, 4, 1), Decimal(1000)),
        Point(utc(zone.key, 2025, 7, 1), Decimal(2350)),
    ]
    cells = split(points, [Span(datetime(2025, 1, 1), None, Decimal(1), TNB)], zone)
    assert len(cells) == 91 and all(cell.interpolated for cell in cells)
    total = Decimal(0)
    for month in (4, 5, 6):
        days = [(c.date, {(1, 1, "flat"): c.quantity}) for c in cells if c.date.month == month]
        total += rate({1: TNB}, [], days).due[date(2025, month, 1)]
    # Each month lies in the third block, where money is linear in use.
    assert total == Decimal("463.20")


@pytest.mark.parametrize("allocation", ["proportional", "to_date"])
def test_shanghai_a_household_year(allocation):
    """Shanghai's household prices and annual limits; 252 kWh peak and 168 valley a month.

    By hand: of 5040 kWh tier 1 takes 3120, tier 2 1680, tier 3 240, each of them 60 % peak:
    3120 x 0.493 + 1680 x 0.541 + 240 x 0.781 = 1538.16 + 908.88 + 187.44. The first seven months
    lie in tier 1: 420 x 0.493.
    """
    version = tariff(
        {"peak": ["0.617", "0.677", "0.977"], "valley": ["0.307", "0.337", "0.487"]},
        ["3120", "4800"],
        period="year",
        allocation=allocation,
    )
    days = [
        (date(2025, month, 15), {(1, 1, "peak"): Decimal(252), (1, 1, "valley"): Decimal(168)})
        for month in range(1, 13)
    ]
    unit = rate({1: version}, [], days)
    due = list(map(Fraction, unit.due.values()))
    assert sum(due) == Fraction("2634.48")
    assert due[:7] == [Fraction("207.06")] * 7
    assert all(line.quantity > 0 for line in unit.lines)


def test_the_worked_example_of_the_documentation():
    """Every figure of docs/rating.md, made by the engine and found in the text."""
    zone = ZoneInfo("Asia/Shanghai")
    version = tariff(
        {"peak": ["0.617", "0.677"], "valley": ["0.307", "0.337"]},
        ["260"],
        windows=(every_day("valley", 22, 6),),
    )
    points = [
        Point(utc(zone.key, 2025, 5, 21, 7, 0), Decimal("5240.00")),
        Point(utc(zone.key, 2025, 5, 21, 23, 40), Decimal("5273.40")),
    ]
    cells = split(points, [Span(datetime(2025, 1, 1), None, Decimal(1), version)], zone)
    assert [(c.band, c.quantity) for c in cells] == [
        ("peak", Decimal("30.06")),
        ("valley", Decimal("3.34")),
    ]
    before = [
        (MAY, 1, 1, "peak", Decimal("150")),
        (MAY, 1, 1, "valley", Decimal("90")),
    ]
    posted = round_half_up(rate({1: version}, before, []).due[MAY], CENT)
    day = (date(2025, 5, 21), {(1, 1, c.band): c.quantity for c in cells})
    unit = rate({1: version}, before, [day])
    due = round_half_up(unit.due[MAY], CENT)
    # By hand:
    # (180.06 x (260 x 0.617 + 13.4 x 0.677) + 93.34 x (260 x 0.307 + 13.4 x 0.337)) / 273.4
    assert f"{float(unit.due[MAY]):.6f}" == "140.419155"
    assert (posted, due, due - posted) == (Decimal("120.18"), Decimal("140.42"), Decimal("20.24"))
    figures = ["5270.06", "30.06", "3.34", "273.40", "120.18", "140.419155", "140.42", "20.24"]
    for line in unit.lines:
        figures.append(f"{line.quantity:.6f}")
        figures.append(f"{line.amount:.6f}")
    text = (Path(__file__).parents[2] / "docs" / "rating.md").read_text(encoding="utf-8")
    for figure in figures:
        assert figure in text, figure
    assert sum(line.amount for line in unit.lines).quantize(CENT) == Decimal("20.24")


def test_a_year_of_a_standby_load_is_charged():
    """10 W cost 0.0015 yuan in a quarter of an hour: rounded one by one, nothing at all."""
    version = tariff({"flat": ["0.6"]})
    start = date(2025, 1, 1)
    posted = Decimal(0)
    for month in range(1, 13):
        days = []
        day = date(2025, month, 1)
        while day.month == month:
            days.append((day, {(1, 1, "flat"): Decimal("0.24")}))
            day += timedelta(1)
        posted += sum(settle({1: version}, days, range(len(days)))[0].values())
    hours = ((date(2026, 1, 1) - start).days) * 24
    assert hours * Decimal("0.01") * Decimal("0.6") == Decimal("52.560")
    # Rounded once a month: 12 times half a cent at most.
    assert abs(posted - Decimal("52.56")) <= Decimal("0.06")
