"""Tier periods with their own first day, seasons, and limits of a unit that starts late (T9)."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from engine_cases import LAW, tariff
from hypothesis import given
from hypothesis import strategies as st

from engine import TierSeason, rate, tier_period_end, tier_period_start, unit_limits


def stepped(limits=("100",), **more):
    prices = [str(number) for number in range(1, 4)]
    return tariff({"flat": prices}, limits, **more)


@pytest.mark.parametrize(
    ("period", "year_month", "first", "day", "start", "end"),
    [
        ("month", 1, 26, date(2025, 5, 25), date(2025, 4, 26), date(2025, 5, 26)),
        ("month", 1, 26, date(2025, 5, 26), date(2025, 5, 26), date(2025, 6, 26)),
        ("month", 1, 28, date(2024, 2, 29), date(2024, 2, 28), date(2024, 3, 28)),
        ("month", 5, 26, date(2025, 1, 3), date(2024, 12, 26), date(2025, 1, 26)),
        ("quarter", 1, 26, date(2025, 1, 25), date(2024, 10, 26), date(2025, 1, 26)),
        ("quarter", 1, 26, date(2025, 4, 25), date(2025, 1, 26), date(2025, 4, 26)),
        ("quarter", 12, 26, date(2025, 12, 25), date(2025, 9, 26), date(2025, 12, 26)),
        ("year", 1, 26, date(2025, 1, 25), date(2024, 1, 26), date(2025, 1, 26)),
        ("year", 12, 1, date(2025, 11, 30), date(2024, 12, 1), date(2025, 12, 1)),  # Guizhou
        ("year", 7, 15, date(2025, 7, 14), date(2024, 7, 15), date(2025, 7, 15)),
    ],
)
def test_a_period_begins_on_its_own_day(period, year_month, first, day, start, end):
    version = stepped(period=period, year_month=year_month, tier_year_day=first)
    assert tier_period_start(version, day) == start
    assert tier_period_end(version, day) == end


@LAW
@given(
    st.sampled_from(("month", "quarter", "year")),
    st.integers(1, 12),
    st.integers(1, 28),
    st.dates(date(2023, 1, 1), date(2029, 1, 1)),
)
def test_periods_join_and_hold_their_days(period, year_month, first, day):
    version = stepped(period=period, year_month=year_month, tier_year_day=first)
    start, end = tier_period_start(version, day), tier_period_end(version, day)
    assert start <= day < end
    assert start.day == end.day == first
    assert tier_period_start(version, start) == start
    assert tier_period_end(version, end - timedelta(1)) == end
    assert tier_period_start(version, end) == end
    assert (start.month - year_month) % {"month": 1, "quarter": 3, "year": 12}[period] == 0


def test_without_tiers_the_period_is_the_calendar_month_whatever_its_own_day():
    version = tariff({"flat": ["1"]}, tier_year_day=26)
    assert tier_period_start(version, date(2025, 5, 25)) == date(2025, 5, 1)
    assert tier_period_end(version, date(2025, 5, 26)) == date(2025, 6, 1)


def test_tiers_in_some_months_only():
    """Yunnan: tiers from December to April."""
    version = tariff(
        {"flat": ["0.423625", "0.473625", "0.773625"]},
        tier_seasons=(TierSeason(frozenset({12, 1, 2, 3, 4}), (Decimal(170), Decimal(260))),),
    )
    assert version.is_tiered and list(version.tiers) == [1, 2, 3]
    may, december = date(2025, 5, 1), date(2025, 12, 1)
    assert unit_limits(version, may, may) == ()
    assert unit_limits(version, december, december) == (170, 260)
    for month, money in ((may, "423.625"), (december, "687.125")):
        limits = {1: unit_limits(version, month, month)}
        use = [(month, {(1, 1, "flat"): Decimal(1000)})]
        assert rate({1: version}, [], use, limits).due == {month: Decimal(money)}


def test_limits_by_season():
    """Sichuan: 260 from July to September, else 180."""
    version = tariff(
        {"flat": ["0.5224", "0.6224"]},
        ["180"],
        tier_year_day=26,
        tier_seasons=(TierSeason(frozenset({7, 8, 9}), (Decimal(260),)),),
    )
    assert unit_limits(version, date(2025, 6, 26), date(2025, 6, 26)) == (180,)
    assert unit_limits(version, date(2025, 7, 26), date(2025, 7, 26)) == (260,)
    assert unit_limits(version, date(2025, 9, 26), date(2025, 9, 26)) == (260,)
    assert unit_limits(version, date(2025, 10, 26), date(2025, 10, 26)) == (180,)


def test_a_bigger_household_has_no_more_free():
    """50 free; 240 and 400 rise by 100 a month, in a quarter by 300."""
    april = date(2025, 4, 1)
    for period, raised in (("month", (50, 340, 500)), ("quarter", (50, 540, 700))):
        version = stepped(("50", "240", "400"), period=period, fixed_limits=1)
        assert unit_limits(version, april, april, Decimal(100)) == raised
        assert unit_limits(version, april, april) == (50, 240, 400)


def test_a_tenant_of_july_has_half_the_limits_of_a_year():
    """Shanghai's first year, July to December 2012, had 1560 of 3120 kWh: half by months.

    By days it is 184 of 366.
    """
    version = stepped(("3120", "4800"), period="year")
    year = date(2012, 1, 1)
    assert unit_limits(version, year, date(2012, 7, 1)) == (
        Decimal("1568.525"),  # 1568.52459...
        Decimal("2413.115"),  # 2413.11475...
    )
    assert unit_limits(version, year, year) == (3120, 4800)
    assert unit_limits(version, year, date(2011, 3, 1)) == (3120, 4800)
    assert unit_limits(version, year, date(2012, 12, 31)) == (Decimal("8.525"), Decimal("13.115"))
    whole = stepped(("3120", "4800"), period="year", is_prorated=False)
    assert unit_limits(whole, year, date(2012, 7, 1)) == (3120, 4800)


def test_a_bigger_household_has_more_in_each_month_of_the_period():
    """Shanghai: households of five and more, +100 kWh a month."""
    version = stepped(("3120", "4800"), period="year")
    year = date(2025, 1, 1)
    assert unit_limits(version, year, year, Decimal(100)) == (4320, 6000)
    assert unit_limits(version, year, date(2025, 7, 2), Decimal(100)) == (
        Decimal("2165.918"),  # 4320 x 183 / 365 = 2165.917808...
        Decimal("3008.219"),
    )
    assert unit_limits(tariff({"flat": ["1"]}), year, year, Decimal(100)) == ()


def test_a_unit_that_begins_after_its_period_is_refused():
    with pytest.raises(ValueError, match="begins on 2025-06-01 has no limits"):
        unit_limits(stepped(), date(2025, 5, 1), date(2025, 6, 1))


def test_a_period_over_a_month_end_is_one_counter_and_two_months():
    version = stepped(tier_year_day=26)
    days = [
        (date(2025, 4, 26), {(1, 1, "flat"): Decimal(60)}),
        (date(2025, 5, 25), {(1, 1, "flat"): Decimal(60)}),
    ]
    unit = rate({1: version}, [], days)
    assert unit.due == {date(2025, 4, 1): 60, date(2025, 5, 1): 40 + 2 * 20}
    with pytest.raises(ValueError, match="belongs to the tier period of 1 months from 2025-05-26"):
        rate({1: version}, [], [*days, (date(2025, 5, 26), days[0][1])])
    # With the unit's own limits, which period they are for is not asked.
    assert rate({1: version}, [], days, {1: (Decimal(50),)}).due == {
        date(2025, 4, 1): 50 + 2 * 10,
        date(2025, 5, 1): 120,
    }


@pytest.mark.parametrize("allocation", ["to_date", "proportional", "chronological"])
def test_use_without_tiers_moves_no_counter(allocation):
    """60 with tiers, 500 without, 60 with: 120 against 100, by whichever version they were."""
    versions = {
        key: stepped(limits, key=key, allocation=allocation)
        for key, limits in ((1, ("100",)), (2, ()), (3, ("100",)))
    }
    days = [
        (date(2025, 5, day), {(1, key, "flat"): Decimal(used)})
        for day, key, used in ((1, 1, 60), (12, 2, 500), (20, 3, 60))
    ]
    unit = rate(versions, [], days)
    assert unit.due == {date(2025, 5, 1): 60 + 500 + 40 + 2 * 20}
    # The same, settled day by day.
    before = [
        (date(2025, 5, 1), 1, key, "flat", Decimal(used)) for key, used in ((1, 60), (2, 500))
    ]
    lines = rate(versions, before, days[2:]).lines
    assert [(line.tier, line.quantity, line.amount) for line in lines] == [(1, 40, 40), (2, 20, 40)]
