"""Charges that do not follow use: per day, per month, up to a minimum."""

from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from engine_cases import LAW, decimals, tariff
from hypothesis import given
from hypothesis import strategies as st

from engine import minimum_due, standing

MAY = date(2025, 5, 1)


def test_a_british_charge_per_day():
    version = tariff({"flat": ["0.2236"]}, per_day=Decimal("0.6012"))
    assert standing(version, MAY) == Decimal("0.6012")
    assert standing(tariff({"flat": ["1"]}), MAY) == 0


@LAW
@given(
    st.dates(date(2023, 1, 1), date(2029, 1, 1)), decimals("0", "1000", 6), decimals("0", "9", 6)
)
def test_the_days_of_a_month_add_up_to_it_exactly(day, per_month, per_day):
    version = tariff({"flat": ["1"]}, per_month=per_month, per_day=per_day)
    length = monthrange(day.year, day.month)[1]
    days = [day.replace(day=1) + timedelta(number) for number in range(length)]
    assert sum(standing(version, one) for one in days) == per_month + length * per_day
    for one in days:
        exact = Fraction(per_month) / length + Fraction(per_day)
        assert abs(Fraction(standing(version, one)) - exact) <= Fraction(1, 10**12)


@pytest.mark.parametrize(
    ("due", "days", "missing"),
    [
        (Decimal(12), 31, 8),
        (Decimal(20), 31, 0),
        (Decimal("20.01"), 31, 0),
        (Decimal(0), 0, 0),
        (Decimal(0), 15, Fraction(20 * 15, 31)),
        (Fraction(1, 3), 31, Fraction(59, 3)),
        (Decimal(-5), 31, 25),
    ],
)
def test_what_is_missing_to_the_minimum(due, days, missing):
    assert minimum_due(tariff({"flat": ["1"]}, minimum=Decimal(20)), due, days, MAY) == missing


def test_without_a_minimum_nothing_is_missing():
    assert minimum_due(tariff({"flat": ["1"]}), Decimal(-5), 31, MAY) == 0


def test_more_days_than_the_month_are_refused():
    with pytest.raises(ValueError, match="2025-02 has 28 days, not 29"):
        minimum_due(tariff({"flat": ["1"]}), Decimal(0), 29, date(2025, 2, 1))
