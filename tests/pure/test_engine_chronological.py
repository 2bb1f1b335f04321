"""Chronological tiers: what is used after the limit is the dear one, by days."""

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from engine_cases import LAW, by_month, tariff, tariffs, uses
from hypothesis import assume, given
from hypothesis import strategies as st

from engine import rate

MAY = date(2025, 5, 1)


def test_the_unit_after_the_limit_is_the_dear_one():
    """90 off-peak then 60 peak at limit 100 are 90 + 10 and 0 + 50, as SAM's other options."""
    version = tariff({"off": ["1", "2"], "peak": ["4", "8"]}, ["100"], allocation="chronological")
    days = [
        (date(2025, 5, 3), {(5, 1, "off"): Decimal(90)}),
        (date(2025, 5, 4), {(5, 1, "peak"): Decimal(60)}),
    ]
    unit = rate({1: version}, [], days)
    assert [(line.band, line.tier, line.quantity) for line in unit.lines] == [
        ("off", 1, 90),
        ("peak", 1, 10),
        ("peak", 2, 50),
    ]
    assert unit.due == {MAY: 90 + 10 * 4 + 50 * 8}
    # What stood before counts, and its money is not known.
    assert rate({1: version}, by_month(days[:1]), days[1:]).due == {MAY: 10 * 4 + 50 * 8}


def test_inside_a_day_tiers_are_shared_by_the_shares_of_the_day():
    version = tariff({"off": ["1", "2"], "peak": ["4", "8"]}, ["100"], allocation="chronological")
    days = [
        (date(2025, 5, 3), {(5, 1, "off"): Decimal(80)}),
        (date(2025, 5, 4), {(5, 1, "off"): Decimal(10), (6, 1, "peak"): Decimal(30)}),
    ]
    lines = [line for line in rate({1: version}, [], days).lines if line.date.day == 4]
    assert {(line.band, line.tier): line[5:] for line in lines} == {
        ("off", 1): (5, 5),
        ("off", 2): (5, 10),
        ("peak", 1): (15, 60),
        ("peak", 2): (15, 120),
    }


def expected(versions, days):
    """Price day by day, straight from the definition."""
    money, counter = Fraction(0), Fraction(0)
    for _day, use in days:
        for key in sorted({cell[1] for cell in use}):
            version = versions[key]
            cells = {cell: Fraction(q) for cell, q in use.items() if cell[1] == key}
            total = sum(cells.values())
            bounds = [Fraction(0), *map(Fraction, version.tier_limits)]
            for tier, low in enumerate(bounds, 1):
                high = bounds[tier] if tier < len(bounds) else counter + total + low
                part = max(min(high, counter + total) - max(low, counter), Fraction(0))
                for (_supply, _key, band), quantity in cells.items():
                    if part:
                        money += Fraction(version.prices[band, tier]) * quantity * part / total
            counter += total
    return money


@st.composite
def chronological_units(draw):
    first, second = (
        replace(draw(tariffs(key, "month")), allocation="chronological") for key in (1, 2)
    )
    assume(first.tier_limits and second.tier_limits)
    days = dict(draw(uses(first, MAY, 6)))
    for day, use in draw(uses(second, MAY.replace(day=4), 6)):
        days[day] = {**use, **days.get(day, {})}
    return {1: first, 2: second}, sorted(days.items())


@LAW
@given(chronological_units(), st.integers(0, 9))
def test_a_day_costs_the_same_whatever_it_is_rated_with(unit, cut):
    versions, days = unit
    whole = rate(versions, [], days)
    assert sum(map(Fraction, whole.due.values())) == expected(versions, days)
    parts = [rate(versions, [], days[:cut]), rate(versions, by_month(days[:cut]), days[cut:])]
    assert [line for part in parts for line in part.lines] == whole.lines
    total = sum((Fraction(due) for part in parts for due in part.due.values()), Fraction(0))
    assert total == expected(versions, days)
    turned = [(day, dict(reversed(use.items()))) for day, use in days]
    assert set(rate(versions, [], turned).lines) == set(whole.lines)


@LAW
@given(st.data())
def test_later_use_leaves_earlier_days_alone_beside_tiers_to_date(data):
    """Two tariffs in one unit: the counter of both, each with its own way."""
    to_date = replace(data.draw(tariffs(1, "month")), allocation="to_date")
    by_day = replace(data.draw(tariffs(2, "month")), allocation="chronological")
    assume(to_date.tier_limits and by_day.tier_limits)
    days = dict(data.draw(uses(to_date, MAY, 6)))
    for day, use in data.draw(uses(by_day, MAY, 6)):
        days[day] = {**use, **days.get(day, {})}
    days = sorted(days.items())
    versions = {1: to_date, 2: by_day}
    cut = data.draw(st.integers(0, len(days)))
    whole = rate(versions, [], days).lines
    parts = [
        *rate(versions, [], days[:cut]).lines,
        *rate(versions, by_month(days[:cut]), days[cut:]).lines,
    ]
    assert parts == whole
    sums = defaultdict(Decimal)
    for line in whole:
        sums[line.date, line.supply, line.version, line.band] += line.quantity
    used = {(day, *cell): q for day, use in days for cell, q in use.items() if q}
    assert {cell: q for cell, q in sums.items() if q} == used
