from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from engine_cases import LAW, decimals
from hypothesis import given
from hypothesis import strategies as st

from engine import Limits, Point, judge

NOON = datetime(2025, 5, 21, 12)
MILLION = Decimal(10**6)
OPEN = Limits(modulus=None, multiplier=Decimal(1), max_power=None)
WIDE = Limits(modulus=MILLION, multiplier=Decimal(1), max_power=None)
# 12 kW are 12 kWh in an hour, and one more in the five minutes by which clocks may differ.
STRONG = Limits(modulus=MILLION, multiplier=Decimal(1), max_power=Decimal(12))
MONTHLY = Limits(modulus=Decimal(10**5), multiplier=Decimal(1), max_power=Decimal(55))
WATER = Limits(modulus=Decimal(10**4), multiplier=Decimal(1), max_power=Decimal(5))
CT = Limits(modulus=MILLION, multiplier=Decimal(40), max_power=Decimal(480))


def at(hours, register):
    return Point(NOON + timedelta(hours=hours), Decimal(register))


def verdict(register, limits, previous=None, following=None, same=None, now=NOON):
    found = judge(Decimal(register), NOON, previous, following, same, limits, now)
    return found.state, found.reason


@pytest.mark.parametrize(
    ("register", "limits", "previous", "expected"),
    [
        # a first reading is a baseline, whatever it is
        ("0", OPEN, None, ("accepted", "")),
        ("83211.45", STRONG, None, ("accepted", "")),
        ("-0", OPEN, None, ("accepted", "")),
        # what is no reading at all
        ("NaN", OPEN, None, ("held", "not_a_number")),
        ("sNaN", OPEN, None, ("held", "not_a_number")),
        ("Infinity", OPEN, at(-1, "5"), ("held", "not_a_number")),
        ("-Infinity", OPEN, at(-1, "5"), ("held", "not_a_number")),
        ("-0.01", WIDE, None, ("held", "negative")),
        ("-5", OPEN, at(-1, "5"), ("held", "negative")),
        ("1000000", WIDE, None, ("held", "not_a_number")),
        # rising
        ("100", OPEN, at(-1, "100"), ("accepted", "")),
        ("999999", OPEN, at(-1, "100"), ("accepted", "")),
        ("113", STRONG, at(-1, "100"), ("accepted", "")),
        ("113.01", STRONG, at(-1, "100"), ("held", "too_fast")),
        ("100.01", STRONG, at(-1 / 3600, "100"), ("accepted", "")),  # one tick in a second
        ("1400", STRONG, at(-1440, "100"), ("accepted", "")),  # after 60 days of silence
        ("113", CT, at(-1, "100"), ("accepted", "")),
        ("113.01", CT, at(-1, "100"), ("held", "too_fast")),
        # falling
        ("99.99", OPEN, at(-1, "100"), ("held", "fell")),
        ("99.99", WIDE, at(-1, "100"), ("held", "fell")),
        ("0", WIDE, at(-1, "5000"), ("held", "fell")),
        ("0.75", OPEN, at(-1, "999999.5"), ("held", "fell")),
        # over the end of the register
        ("0.75", WIDE, at(-1, "999999.5"), ("accepted", "")),
        ("99999.5", WIDE, at(-1, "999999.5"), ("accepted", "")),  # a tenth of the range
        ("99999.51", WIDE, at(-1, "999999.5"), ("held", "fell")),
        ("12.5", STRONG, at(-1, "999999.5"), ("accepted", "")),
        ("12.51", STRONG, at(-1, "999999.5"), ("held", "fell")),
        ("99.99", STRONG, at(-1, "100"), ("held", "fell")),
        # 31 days of 55 kW are 40,920 kWh, and over the end it would be 39,080: a new meter
        ("80", MONTHLY, at(-24 * 31, "61000"), ("held", "fell")),
        ("80", MONTHLY, at(-24 * 31, "90080"), ("accepted", "")),  # a tenth of the range
        ("80", MONTHLY, at(-24 * 31, "90079.99"), ("held", "fell")),
        # 60 days of 5 m3/h are 7,200, and over the end it would be 5,000
        ("0", WATER, at(-24 * 60, "5000"), ("held", "fell")),
    ],
)
def test_against_the_reading_before(register, limits, previous, expected):
    assert verdict(register, limits, previous) == expected


@pytest.mark.parametrize(
    ("register", "limits", "previous", "following", "expected"),
    [
        ("105", OPEN, at(-1, "100"), at(1, "110"), ("accepted", "")),
        ("100", OPEN, at(-1, "100"), at(1, "110"), ("accepted", "")),
        ("110", OPEN, at(-1, "100"), at(1, "110"), ("accepted", "")),
        ("99.99", OPEN, at(-1, "100"), at(1, "110"), ("held", "between")),
        ("110.01", OPEN, at(-1, "100"), at(1, "110"), ("held", "between")),
        ("99.99", WIDE, at(-1, "100"), at(1, "110"), ("held", "between")),
        ("113", STRONG, at(-1, "100"), at(1, "126"), ("accepted", "")),
        ("120", STRONG, at(-1, "100"), at(1, "120"), ("held", "too_fast")),
        ("100", STRONG, at(-1, "100"), at(1, "120"), ("held", "too_fast")),
        # the neighbours lie on either side of a rollover
        ("999999", WIDE, at(-1, "999998"), at(1, "4"), ("accepted", "")),
        ("2", WIDE, at(-1, "999998"), at(1, "4"), ("accepted", "")),
        ("5", WIDE, at(-1, "999998"), at(1, "4"), ("held", "between")),
        ("999997", WIDE, at(-1, "999998"), at(1, "4"), ("held", "between")),
        # earlier than all that is known
        ("90", OPEN, None, at(1, "100"), ("accepted", "")),
        ("100.01", OPEN, None, at(1, "100"), ("held", "between")),
        ("87", STRONG, None, at(1, "100"), ("accepted", "")),
        ("86.99", STRONG, None, at(1, "100"), ("held", "too_fast")),
        ("999999", STRONG, None, at(1, "3"), ("accepted", "")),
        ("500000", STRONG, None, at(1, "3"), ("held", "between")),
    ],
)
def test_late_between_its_neighbours(register, limits, previous, following, expected):
    assert verdict(register, limits, previous, following) == expected


def test_at_one_moment_the_accepted_one_stays():
    same = at(0, "100.50")
    assert verdict("100.5", OPEN, at(-1, "90"), None, same) == ("duplicate", "")
    assert verdict("100.51", OPEN, at(-1, "90"), None, same) == ("superseded", "")
    assert judge(Decimal("7"), NOON, None, None, same, OPEN, NOON).expected == "100.5"
    assert verdict("NaN", OPEN, at(-1, "90"), None, same) == ("held", "not_a_number")


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (timedelta(minutes=5), ("accepted", "")),
        (timedelta(minutes=5, seconds=1), ("held", "future")),
        (timedelta(days=27000), ("held", "future")),  # a meter that lives in 2099
        (timedelta(days=-20000), ("accepted", "")),  # an old reading is merely late
    ],
)
def test_the_clock(ahead, expected):
    assert verdict("5", OPEN, now=NOON - ahead) == expected


def test_a_spike_is_held_and_the_next_good_reading_charges_across_it():
    before = at(-1, "100")
    spike = judge(Decimal("2300"), NOON, before, None, None, STRONG, NOON)
    assert (spike.state, spike.reason, spike.expected) == ("held", "too_fast", "100 - 113")
    later = NOON + timedelta(hours=1)
    assert judge(Decimal("110"), later, before, None, None, STRONG, later).state == "accepted"


@pytest.mark.parametrize(
    ("register", "limits", "previous", "following", "expected"),
    [
        ("99", OPEN, at(-1, "100"), None, "≥ 100"),
        ("99", STRONG, at(-1, "100"), None, "100 - 113"),
        ("99", STRONG, at(-1, "999990.5"), None, "≥ 999990.5 / ≤ 3.5"),
        ("99", STRONG, at(-(10**6), "999990.5"), None, ""),
        ("80", MONTHLY, at(-24 * 31, "61000"), None, "≥ 61000"),
        ("8000", MONTHLY, at(-24 * 31, "95000"), None, "≥ 95000 / ≤ 5000"),
        ("99999", MONTHLY, at(-24 * 31, "50000"), None, "50000 - 90924.583"),
        ("120", OPEN, at(-1, "100"), at(1, "110"), "100 - 110"),
        ("120", WIDE, at(-1, "999990"), at(1, "10"), "≥ 999990 / ≤ 10"),
        ("120", OPEN, None, at(1, "110"), "0 - 110"),
        ("120", STRONG, None, at(1, "110"), "97 - 110"),
        ("-1", OPEN, None, None, "≥ 0"),
        ("1000000", WIDE, None, None, "< 1000000"),
    ],
)
def test_what_was_expected_is_told_in_figures(register, limits, previous, following, expected):
    found = judge(Decimal(register), NOON, previous, following, None, limits, NOON)
    assert found.expected == expected


def test_what_was_expected_of_the_clock():
    found = judge(Decimal(5), NOON, None, None, None, OPEN, datetime(2025, 5, 21, 11))
    assert found.expected == "≤ 2025-05-21 11:05:00 UTC"


@pytest.mark.parametrize(
    "neighbours", [(at(0, "1"), None, None), (None, at(0, "1"), None), (None, None, at(1, "1"))]
)
def test_neighbours_out_of_place_are_refused(neighbours):
    with pytest.raises(ValueError, match="not next to it in time"):
        judge(Decimal(5), NOON, *neighbours, OPEN, NOON)


@LAW
@given(
    st.lists(decimals("0", "30", 2), min_size=2, max_size=8),
    st.randoms(use_true_random=False),
)
def test_a_plausible_history_is_accepted_in_any_order(steps, random):
    register, points = Decimal(0), []
    for number, step in enumerate(steps):
        register += step
        points.append(Point(NOON + timedelta(hours=number), register))
    limits = Limits(MILLION, Decimal(1), Decimal(30))
    now = NOON + timedelta(days=1)
    arriving = points[:]
    random.shuffle(arriving)
    accepted = []
    for point in arriving:
        earlier = max((p for p in accepted if p < point), default=None)
        later = min((p for p in accepted if p > point), default=None)
        found = judge(point.register, point.moment, earlier, later, None, limits, now)
        assert found.state == "accepted"
        accepted.append(point)
