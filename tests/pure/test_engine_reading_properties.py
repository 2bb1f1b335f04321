"""Which readings are believed and how they become use, each with planted defects.

T7, T10, T11, R2, R3, R7, R9-R12 of the reliability list, as far as no database is needed.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from engine_cases import every_day, tariff
from planted_defects import planted

from engine import (
    Calendar,
    Limits,
    Point,
    Span,
    acceptance,
    judge,
    rate,
    rating,
    registers,
    shaped,
    shaping,
    split,
    split_by_registers,
    splitting,
    standing,
)

NOON = datetime(2025, 5, 21, 12)
HOUR = timedelta(hours=1)
ZONE = ZoneInfo("Asia/Shanghai")
MAY = date(2025, 5, 1)
ONE = Decimal(1)
BEFORE = NOON - HOUR


def seen(register, previous=None, following=None, same=None, *, width=None, power=None, **more):
    """Return "state reason" of a reading at noon."""
    limits = Limits(width and Decimal(width), more.pop("ratio", ONE), power and Decimal(power))
    points = [
        None if value is None else Point(moment, Decimal(value))
        for value, moment in ((previous, BEFORE), (following, NOON + HOUR), (same, NOON))
    ]
    now = more.pop("now", NOON)
    verdict = judge(Decimal(register), NOON, *points, limits, now, **more)
    return f"{verdict.state} {verdict.reason}".strip()


def a_fall_is_held_unless_the_width_explains_it():
    """R2."""
    assert seen("99.99", "100") == "held fell"
    assert seen("99", "100", width=10**6, power=12) == "held fell"
    assert seen("3", "100") == "held fell"
    assert seen("0", "5000", width=10**6) == "held fell"
    assert seen("0.5", "999999.99") == "held fell"
    for width in (10**6, 2**32, 10**8):
        top = str(width - 1)
        assert seen("0.5", top, width=width) == "accepted"
        assert seen("0.5", top, width=width, power=12) == "accepted"
        assert seen("20", top, width=width, power=12) == "held fell"
        assert seen(str(width // 2), top, width=width) == "held fell"
        # A new meter in the place of the old one: its power would have been enough.
        assert seen("80", str(width * 6 // 10), width=width, power=width) == "held fell"


def a_spike_is_held_and_charged_across():
    """R3: ten times the physical maximum, and one bad value between two good ones."""
    assert seen("220", "100", power=12) == "held too_fast"
    assert seen("300", "100", "110", power=12) == "held between"
    assert seen("110", "100", power=12) == "accepted"
    points = [Point(BEFORE, Decimal(100)), Point(NOON + HOUR, Decimal(110))]
    cells = split(points, always(tariff({"flat": ["1"]})), ZONE)
    assert sum(cell.quantity for cell in cells) == 10


def another_ratio_is_held():
    """R7."""
    assert seen("110", "100", ratio=Decimal(100), multiplier=Decimal(100)) == "accepted"
    assert seen("110", "100", ratio=Decimal(100), multiplier=Decimal(200)) == "held multiplier"


def the_multiplier_is_that_of_its_time():
    """CT 10 became 50 at noon; 100 kW are 10 units an hour before and 2 after."""

    def read(register, hour, previous, following=None, said=None):
        limits = Limits(
            None,
            Decimal(50),
            Decimal(100),
            multipliers=((NOON - 100 * HOUR, Decimal(10)), (NOON, Decimal(50))),
        )
        points = [
            point and Point(NOON + point[0] * HOUR, Decimal(point[1]))
            for point in (previous, following, None)
        ]
        now = NOON + 9 * HOUR
        verdict = judge(
            Decimal(register), NOON + hour * HOUR, *points, limits, now, multiplier=said
        )
        return f"{verdict.state} {verdict.reason}".strip()

    # Late: 50 kWh in each hour.
    assert read("105", -2, (-3, "100"), (-1, "110")) == "accepted"
    assert read("105", -2, (-3, "100"), (-1, "110"), Decimal(10)) == "accepted"
    assert read("105", -2, (-3, "100"), (-1, "110"), Decimal(50)) == "held multiplier"
    assert read("112", -2, (-3, "100"), (-1, "112")) == "held too_fast"
    # An hour on either side of the change: 100 and 100 kWh.
    assert read("122", 1, (-1, "110")) == "accepted"
    # After it: 100 kWh, and 150.
    assert read("124", 2, (1, "122"), None, Decimal(50)) == "accepted"
    assert read("125", 2, (1, "122")) == "held too_fast"


def the_time_of_the_server_rules():
    """R9: ten minutes, three hours, 2099, 1970."""
    assert seen("5", now=NOON - timedelta(minutes=4)) == "accepted"
    for ahead in (timedelta(minutes=10), timedelta(hours=3), timedelta(days=27000)):
        assert seen("5", now=NOON - ahead) == "held future"
    assert seen("5", now=NOON + timedelta(days=20000)) == "accepted"
    assert seen("120", "100", "110", now=NOON + timedelta(days=1)) == "held between"  # jumped back


def two_values_for_one_moment_leave_the_accepted_one():
    """R10."""
    assert seen("100.50", "90", same="100.5") == "duplicate"
    assert seen("100.51", "90", same="100.5") == "superseded"
    assert seen("3", "90", "120", same="100.5") == "superseded"


def what_is_no_reading_is_held():
    """R11."""
    for value in ("NaN", "sNaN", "Infinity", "-Infinity"):
        assert seen(value, "100", width=10**6) == "held not_a_number"
    assert seen("-0", width=10**6) == "accepted"
    assert seen("-5", width=10**6) == "held negative"
    assert seen("1000000", width=10**6) == "held not_a_number"
    assert seen("1001.0", "100.1", power=12) == "held too_fast"  # scale x 10
    assert seen("4294967290", "100", power=12) == "held too_fast"  # a sign lost


def nothing_is_used_before_a_baseline():
    """R12: the first reading ever, and one after which the register begins anew."""
    spans = always(tariff({"flat": ["1"]}))
    assert seen("83211.45", power=12) == "accepted"
    assert split([Point(NOON, Decimal(83211))], spans, ZONE) == []
    points = [
        Point(NOON, Decimal(500)),
        Point(NOON + HOUR, Decimal(504)),
        Point(NOON + 3 * HOUR, Decimal(7), baseline=True),
        Point(NOON + 4 * HOUR, Decimal(9)),
    ]
    for register in (Decimal(7), Decimal(504), Decimal(900)):
        points[2:] = [
            Point(NOON + 3 * HOUR, register, baseline=True),
            Point(NOON + 4 * HOUR, register + 2),
        ]
        assert sum(cell.quantity for cell in split(points, spans, ZONE)) == 6
        assert sum(c.quantity for c in split_by_registers(points, {}, spans, ZONE, "flat")) == 6
    late = Point(NOON, Decimal(900))
    limits = Limits(None, ONE, None)
    anew = Point(NOON + HOUR, Decimal(7), baseline=True)
    assert judge(late.register, NOON, Point(BEFORE, ONE), anew, None, limits, NOON).reason == ""
    assert judge(late.register, NOON, None, anew, None, limits, NOON).reason == ""
    assert shaped(late, Point(NOON + 9 * HOUR, Decimal(950), True), [], ZONE, Calendar()) == []


def always(version):
    return [Span(datetime(1900, 1, 1), None, ONE, version)]


def the_meters_own_bands_share_the_total():
    """T7: a digit's rest to a named band, five percent held."""
    version = tariff({"day": ["1"], "night": ["1"]}, windows=(every_day("night", 22, 8),))
    points = [Point(NOON, Decimal(100)), Point(NOON + HOUR, Decimal(110))]
    low = {"day": Decimal(60), "night": Decimal(40)}
    for day, night, expected in (
        ("66", "44", {"day": 6, "night": 4}),
        ("65.99", "44", {"day": 6, "night": 4}),
        ("66.01", "44", {"day": 6, "night": 4}),
        ("60", "50.01", {"night": 10}),
    ):
        high = {"day": Decimal(day), "night": Decimal(night)}
        read = {points[0].moment: low, points[1].moment: high}
        cells = split_by_registers(points, read, always(version), ZONE, "day")
        assert {cell.band: cell.quantity for cell in cells if cell.quantity} == expected
        assert seen("110", "100", bands=high, previous_bands=low) == "accepted"
    for high in ({"day": Decimal("66.5"), "night": Decimal(44)}, {"day": ONE, "night": ONE}):
        assert seen("110", "100", bands=high, previous_bands=low) == "held bands"


def a_long_gap_is_spread_before_tiers_apply():
    """T10: three months of 450 kWh in one reading, in Malaysia's blocks."""
    version = tariff(
        {"flat": ["0.218", "0.334", "0.516", "0.546", "0.571"]}, ["200", "300", "600", "900"]
    )
    zone = ZoneInfo("Asia/Kuala_Lumpur")
    start = datetime(2025, 3, 31, 16)
    points = [Point(start, Decimal(0)), Point(start + timedelta(days=91), Decimal(1350))]
    months = {}
    for cell in split(points, always(version), zone):
        days = months.setdefault(cell.date.replace(day=1), [])
        days.append((cell.date, {(1, 1, cell.band): cell.quantity}))
    due = sum(rate({1: version}, [], days).due[month] for month, days in months.items())
    assert abs(due - Decimal("463.20")) < Decimal("0.01")
    assert rate({1: version}, [], [(MAY, {(1, 1, "flat"): Decimal(1350)})]).due == {
        MAY: Decimal("652.55")
    }


def a_gap_has_the_shape_of_comparable_days():
    start = datetime(2025, 5, 4, 16)  # midnight, Monday
    history = [Point(start, Decimal(0))]
    for number in range(24 * 3):
        use = 3 if 8 <= number % 24 < 22 else 1
        history.append(Point(start + (number + 1) * HOUR, history[-1].register + use))
    before = history[-1]
    after = Point(before.moment + 24 * HOUR, before.register + 104)
    points = [before, *shaped(before, after, history, ZONE, Calendar()), after]
    steps = [high.register - low.register for low, high in pairwise(points)]
    assert steps == [2] * 8 + [6] * 14 + [2] * 2


def money_is_exact():
    """T11: no use, a watt-hour, ten million kWh, a price of nothing and of six decimals."""
    for quantity in ("0", "0.001", "10000000", "10000000.001"):
        for price in ("0", "0.423625", "0.000001"):
            version = tariff({"flat": [price]})
            use = {(1, 1, "flat"): Decimal(quantity)}
            due = rate({1: version}, [], [(MAY, use)]).due
            assert due == {MAY: Decimal(quantity) * Decimal(price)}


def a_month_of_days_is_the_charge_of_the_month():
    version = tariff({"flat": ["1"]}, per_month=Decimal(200), per_day=Decimal("0.6012"))
    for month, length in ((2, 28), (4, 30), (5, 31)):
        days = [date(2025, month, day) for day in range(1, length + 1)]
        amounts = [standing(version, day) for day in days]
        assert sum(amounts) == 200 + length * Decimal("0.6012")
        assert max(amounts) - min(amounts) <= Decimal("1E-11")


DEFECTS = [
    (
        a_fall_is_held_unless_the_width_explains_it,
        acceptance._judge_step,
        "wrapped <= limits.modulus * ROLLOVER_PART",
        "True",
    ),
    (
        a_fall_is_held_unless_the_width_explains_it,
        acceptance._judge_step,
        "wrapped <= limits.modulus * ROLLOVER_PART and",
        "(wrapped <= limits.modulus * ROLLOVER_PART or limits.max_power) and",
    ),
    (
        a_fall_is_held_unless_the_width_explains_it,
        acceptance._judge_step,
        "and not _too_fast(\n            wrapped, one.moment, other.moment, limits\n        )",
        "",
    ),
    (
        a_fall_is_held_unless_the_width_explains_it,
        acceptance._judge_step,
        "other.register < one.register",
        "False",
    ),
    (
        a_spike_is_held_and_charged_across,
        acceptance._too_fast,
        "used > CUTTING.multiply(limits.max_power, passed)",
        "False",
    ),
    (a_spike_is_held_and_charged_across, acceptance._judge_between, "if not on_the_way", "if 0"),
    (
        another_ratio_is_held,
        acceptance.judge,
        "multiplier != limits.multiplier_at(moment)",
        "False",
    ),
    (
        the_multiplier_is_that_of_its_time,
        Limits.multiplier_at,
        "if since > moment:",
        "if False:",
    ),
    (
        the_multiplier_is_that_of_its_time,
        Limits.least_multiplier,
        "min([self.multiplier_at(start), *later])",
        "self.multiplier_at(end)",
    ),
    (the_time_of_the_server_rules, acceptance.judge, "moment > now +", "moment < now -"),
    (
        two_values_for_one_moment_leave_the_accepted_one,
        acceptance.judge,
        'Verdict("superseded", "", _figure(same.register))',
        "ACCEPTED",
    ),
    (what_is_no_reading_is_held, acceptance.judge, "if register < 0", "if False"),
    (what_is_no_reading_is_held, acceptance.judge, "register >= limits.modulus", "False"),
    (nothing_is_used_before_a_baseline, splitting.split, "if after.baseline", "if False"),
    (nothing_is_used_before_a_baseline, acceptance.judge, "following.baseline", "False"),
    (the_meters_own_bands_share_the_total, registers._uses, "missing > 0", "False"),
    (the_meters_own_bands_share_the_total, registers._uses, "rise - sum", "0 * sum"),
    (the_meters_own_bands_share_the_total, acceptance._judge_bands, "> slack", "> 9 * slack"),
    (
        a_long_gap_is_spread_before_tiers_apply,
        splitting._cut,
        "(day, key, edge.band)",
        "(local_date(end - _DAY, zone), key, edge.band)",
    ),
    (a_gap_has_the_shape_of_comparable_days, shaping.Profile.weight, "slot.hour", "0"),
    (
        a_gap_has_the_shape_of_comparable_days,
        shaping._profile,
        "after.moment <= end",
        "after.moment <= end - HISTORY",
    ),
    (
        money_is_exact,
        rating._Segment.due,
        "(price(band, tier) * quantity for",
        "(Decimal(float(price(band, tier) * quantity)) for",
    ),
    (a_month_of_days_is_the_charge_of_the_month, standing, "day.day - 1", "day.day"),
]


@pytest.mark.parametrize("check", dict.fromkeys(check for check, *_defect in DEFECTS))
def test_property_holds(check):
    check()


@pytest.mark.parametrize(
    ("check", "function", "line", "instead"),
    DEFECTS,
    ids=[f"{check.__name__}-{number}" for number, (check, *_rest) in enumerate(DEFECTS)],
)
def test_planted_defect_is_caught(check, function, line, instead):
    with planted(function, line, instead), pytest.raises((AssertionError, ValueError)):
        check()
    check()
