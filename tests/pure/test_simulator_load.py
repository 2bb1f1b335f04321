"""Load curves, exact energy, and its split over a meter's own bands."""

import csv
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.bands import BANDS, DEFAULT_PLAN, DayPlan, band_sums
from simulator.load import CYCLE_START, DATA, DAY, HOUR, Curve, curves, displayed, energy, seconds

moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))
RAMP = Curve("ramp", "kWh", tuple(range(168)))


def test_an_hour_of_the_curve_is_the_file_s_figure():
    with (DATA / "load_curves.csv").open() as source:
        rows = list(csv.DictReader(source))
    # Monday 2026-03-02 00:00 is 2930 weeks after the origin: 2930 % 8 = 2 weeks into the cycle.
    monday = datetime(2026, 3, 2)
    for hour in (0, 1, 100, 335):
        expected = Fraction(int(rows[(2 * 168 + hour) % 1344]["building_3"]), 1000)
        begin = monday + timedelta(hours=hour)
        assert energy(curves()["building_3"], 1, begin, begin + timedelta(hours=1)) == expected


def test_energy_is_linear_within_the_hour_and_scaled():
    # Monday 05:00 to 06:00 of the ramp is 5 Wh; 05:15 to 07:30 is 3.75 + 6 + 3.5 = 13.25 Wh.
    begin, end = datetime(2026, 3, 2, 5, 15), datetime(2026, 3, 2, 7, 30)
    assert energy(RAMP, "0.4", begin, end) == Fraction("0.0053")


def test_energy_knows_zones_and_fractions_of_a_second():
    begin = datetime(2026, 3, 2, 13, 0, tzinfo=timezone(timedelta(hours=8)))  # 05:00 UTC
    end = datetime(2026, 3, 2, 5, 0, 0, 500_000, tzinfo=UTC)
    assert energy(RAMP, 1, begin, end) == Fraction(5, 1000) * Fraction(1, 7200)


def test_offset_shifts_the_curve():
    begin = datetime(2026, 3, 1, 16)  # Monday midnight of UTC+8
    end = begin + timedelta(hours=3)
    assert energy(RAMP, 1, begin, end, offset_hours=8) == Fraction(0 + 1 + 2, 1000)


def test_the_curve_repeats():
    begin = datetime(2026, 3, 2, 5, 15)
    end = begin + timedelta(hours=30)
    later = timedelta(weeks=8 * 13)
    one, again = (energy(curves()["building_9"], 1, begin + d, end + d) for d in (0 * later, later))
    assert one == again > 0


@given(moments, moments, moments, st.sampled_from(sorted(curves())), st.integers(-5000, 5000))
def test_energy_of_parts_adds_up(a, b, c, name, offset):
    a, b, c = sorted((a, b, c))
    curve, scale = curves()[name], Decimal("0.731")
    parts = energy(curve, scale, a, b, offset) + energy(curve, scale, b, c, offset)
    assert parts == energy(curve, scale, a, c, offset) >= 0


def test_time_runs_forward():
    with pytest.raises(ValueError, match="is before"):
        energy(RAMP, 1, datetime(2026, 1, 2), datetime(2026, 1, 1))


def test_displayed_rounds_down():
    assert displayed(Fraction("12.34999"), Decimal("0.01")) == Decimal("12.34")
    assert displayed(Fraction(1, 3), Decimal("0.001")) == Decimal("0.333")


def test_curves_of_the_package():
    found = curves()
    assert sorted(c for c in found if c.startswith("building_")) == sorted(
        f"building_{n}" for n in range(1, 18)
    )
    assert {len(c.thousandths) for c in found.values() if c.unit == "kWh"} == {8 * 168}
    assert {len(c.thousandths) for c in found.values() if c.unit == "m³"} == {168}
    notice = (DATA / "NOTICE.md").read_text()
    assert "MIT" in notice
    assert "Synthetic" in notice
    assert "Permission is hereby granted" in (DATA / "LICENSE.citylearn").read_text()
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 300_000


def test_a_curve_is_whole_weeks_and_not_negative():
    with pytest.raises(ValueError, match="no whole weeks"):
        Curve("c", "kWh", (1,) * 24)
    with pytest.raises(ValueError, match="negative"):
        Curve("c", "kWh", (-1,) + (1,) * 167)


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),
    st.integers(1, 3000),
    st.sampled_from((0, 8, -5, 1000)),
    st.sampled_from((0, 480, 345, -570)),
    st.sampled_from((DEFAULT_PLAN, DayPlan(((0, 2), (61, 0), (1439, 1))))),
)
def test_band_sums_equal_a_walk_by_the_minute(begin, minutes, offset, utc_offset, plan):
    begin = begin.replace(second=0, microsecond=0)
    curve = curves()["building_5"]
    expected = [0, 0, 0, 0]
    for number in range(minutes):
        at = begin + timedelta(minutes=number)
        local = at + timedelta(minutes=utc_offset)
        minute = 60 * local.hour + local.minute
        band = [band for start, band in plan.entries if start <= minute][-1]
        hours = (at - datetime(1970, 1, 5)) // timedelta(hours=1) + offset
        expected[band] += curve.thousandths[hours % 1344] * 60
    sums = band_sums(curve, plan, (utc_offset * 60 - offset * HOUR) % DAY)
    t0, t1 = seconds(begin), seconds(begin + timedelta(minutes=minutes))
    used = [
        b - a for a, b in zip(sums.cumulative(t0, offset), sums.cumulative(t1, offset), strict=True)
    ]
    assert used == expected
    assert sum(used) == curve.cumulative(t1, offset) - curve.cumulative(t0, offset)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ((), "00:00"),
        (((5, 0),), "00:00"),
        (((0, 0), (0, 1)), "in order"),
        (((0, 0), (1440, 1)), "in order"),
        (tuple((n, 0) for n in range(15)), "more than 14"),
    ],
)
def test_day_plan_is_checked(entries, why):
    with pytest.raises(ValueError, match=why):
        DayPlan(entries)


def test_the_cycle_starts_on_a_monday():
    assert (datetime(1970, 1, 1) + timedelta(seconds=CYCLE_START)).isoweekday() == 1
    assert BANDS == ("sharp", "peak", "flat", "valley")
