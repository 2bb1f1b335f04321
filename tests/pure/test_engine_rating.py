import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from engine_cases import (
    CENT,
    LAW,
    ZONES,
    by_month,
    decimals,
    every_day,
    prices,
    quantities,
    settle,
    tariff,
    tariffs,
    uses,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from engine import (
    Point,
    Span,
    rate,
    rate_untiered,
    round_half_up,
    split,
    tier_period_end,
    tier_period_start,
)

MAY = date(2025, 5, 1)
# Shanghai's household prices: the steps between tiers differ from peak to valley.
SHANGHAI = tariff(
    {"peak": ["0.617", "0.677", "0.977"], "valley": ["0.307", "0.337", "0.487"]},
    ["260", "400"],
)


def due(versions, days):
    """Return the exact money of all days, rated at once."""
    return sum((Fraction(value) for value in rate(versions, [], days).due.values()), Fraction(0))


def expected_due(versions, days):
    """Price a unit with fractions, straight from the definition of segments and shares."""
    segments = {}
    for day, use in days:
        for key in sorted({key for (_supply, key, _band), quantity in use.items() if quantity}):
            version = versions[key]
            by_month = version.allocation == "proportional" and version.tier_limits
            place = (key, day.month if by_month else None)
            bands = segments.setdefault(place, defaultdict(Fraction))
            for (_supply, cell_key, band), quantity in use.items():
                if cell_key == key:
                    bands[band] += Fraction(quantity)
    counter, total = Fraction(0), Fraction(0)
    for (key, _month), bands in segments.items():
        bounds = [Fraction(0), *map(Fraction, versions[key].tier_limits), None]
        volume = sum(bands.values())
        for tier, (low, high) in enumerate(itertools.pairwise(bounds), 1):
            top = counter + volume if high is None else min(high, counter + volume)
            in_tier = max(top - max(low, counter), Fraction(0))
            for band, quantity in bands.items():
                if in_tier:
                    price = Fraction(versions[key].prices[band, tier])
                    total += price * in_tier * quantity / volume
        if versions[key].tier_limits:
            counter += volume
    return total


# -- examples -------------------------------------------------------------------------------------


def test_without_tiers_money_is_quantity_times_price():
    version = tariff({"flat": ["0.423625"]})
    unit = rate({1: version}, [], [(MAY, {(5, 1, "flat"): Decimal("1.234567")})])
    assert unit.lines == [
        (MAY, 5, 1, "flat", 1, Decimal("1.234567"), Decimal("0.522993445375")),
    ]
    assert unit.due == {MAY: Decimal("0.522993445375")}


def test_what_stands_before_moves_the_tiers_of_a_day():
    version = tariff({"flat": ["1", "2"]}, ["100"])
    before = [(MAY, 5, 1, "flat", Decimal(90))]
    unit = rate({1: version}, before, [(date(2025, 5, 20), {(5, 1, "flat"): Decimal(30)})])
    assert [line[4:] for line in unit.lines] == [(1, 10, 10), (2, 20, 40)]
    assert unit.due == {MAY: 140}


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("100", [(1, 100)]), ("100.000001", [(1, 100), (2, Decimal("0.000001"))])],
)
def test_a_limit_belongs_to_the_lower_tier(quantity, expected):
    version = tariff({"flat": ["1", "2"]}, ["100"])
    unit = rate({1: version}, [], [(MAY, {(5, 1, "flat"): Decimal(quantity)})])
    assert [(line.tier, line.quantity) for line in unit.lines] == expected


def test_tiers_are_shared_over_bands_by_their_share_to_date():
    """90 off-peak then 60 peak at limit 100 are 60 + 40 and 30 + 20, as SAM's net metering."""
    version = tariff({"off": ["1", "2"], "peak": ["4", "8"]}, ["100"])
    days = [
        (date(2025, 5, 3), {(5, 1, "off"): Decimal(90)}),
        (date(2025, 5, 4), {(5, 1, "peak"): Decimal(60)}),
    ]
    unit = rate({1: version}, [], days)
    totals = defaultdict(Decimal)
    for line in unit.lines:
        totals[line.band, line.tier] += line.quantity
    assert totals == {("off", 1): 60, ("off", 2): 30, ("peak", 1): 40, ("peak", 2): 20}
    assert unit.due == {MAY: 60 * 1 + 30 * 2 + 40 * 4 + 20 * 8}
    # The day of the peak moves 30 of the off-peak use into the second tier.
    second = {line[3:5]: line.quantity for line in unit.lines if line.date.day == 4}
    assert second["off", 1] == -30 and second["off", 2] == 30


def test_a_month_of_a_year_is_allocated_by_its_own_shares_where_proportional():
    january, february = date(2025, 1, 1), date(2025, 2, 1)
    version = tariff(
        {"off": ["1", "2"], "peak": ["4", "8"]}, ["100"], period="year", allocation="proportional"
    )
    days = [
        (january, {(5, 1, "off"): Decimal(80)}),
        (february, {(5, 1, "off"): Decimal(20), (5, 1, "peak"): Decimal(20)}),
    ]
    unit = rate({1: version}, [], days)
    # February: 20 of 40 are left of tier 1, shared 10 and 10; the other 20 are tier 2, 10 and 10.
    assert unit.due == {january: 80, february: 10 * 1 + 10 * 4 + 10 * 2 + 10 * 8}
    to_date = rate({1: replace(version, allocation="to_date")}, [], days)
    # To date the 100 and 20 are shared 5 : 1 over the year.
    yearly = sum(Fraction(money) for money in to_date.due.values())
    assert yearly == Fraction(100, 6) * (5 + 4) + Fraction(20, 6) * (10 + 8)


def test_the_counter_runs_on_over_a_change_of_version():
    old = tariff({"flat": ["1", "2"]}, ["100"], key=8)
    new = tariff({"flat": ["3", "5"]}, ["120"], key=3)  # a lower key than the older version
    days = [
        (date(2025, 5, 9), {(5, 8, "flat"): Decimal(90)}),
        (date(2025, 5, 10), {(5, 3, "flat"): Decimal(50)}),
    ]
    unit = rate({8: old, 3: new}, [], days)
    assert unit.due == {MAY: 90 * 1 + 30 * 3 + 20 * 5}
    again = rate({8: old, 3: new}, by_month(days[:1]), days[1:])
    assert again.due == unit.due
    assert again.lines == [line for line in unit.lines if line.date.day == 10]


def test_all_supplies_of_a_unit_share_the_counter():
    version = tariff({"flat": ["1", "2"]}, ["100"])
    days = [(MAY, {(5, 1, "flat"): Decimal(90), (6, 1, "flat"): Decimal(30)})]
    unit = rate({1: version}, [], days)
    assert unit.due == {MAY: 140}
    assert {(line.supply, line.tier): line.quantity for line in unit.lines} == {
        (5, 1): 75,
        (5, 2): 15,
        (6, 1): 25,
        (6, 2): 5,
    }


def test_two_versions_beside_each_other_stand_in_the_order_of_first_use():
    """Two supplies of one account on different tariffs: the first one's growth moves the other."""
    one = tariff({"flat": ["1", "2"]}, ["100"], key=1)
    two = tariff({"flat": ["3", "5"]}, ["100"], key=2)
    days = [
        (date(2025, 5, 1), {(5, 1, "flat"): Decimal(60)}),
        (date(2025, 5, 2), {(6, 2, "flat"): Decimal(40)}),
        (date(2025, 5, 3), {(5, 1, "flat"): Decimal(40)}),
    ]
    unit = rate({1: one, 2: two}, [], days)
    assert unit.due == {MAY: 100 * 1 + 40 * 5}
    assert [line[1:] for line in unit.lines if line.date.day == 3] == [
        (5, 1, "flat", 1, 40, 40),
        (6, 2, "flat", 2, 40, 200),
        (6, 2, "flat", 1, -40, -120),
    ]


@pytest.mark.parametrize("keys", [(1, 8), (8, 1)])
def test_versions_first_used_on_the_same_day_stand_in_the_order_of_their_keys(keys):
    prices = {1: {"flat": ["1", "2"]}, 8: {"flat": ["3", "5"]}}
    versions = {key: tariff(row, ["100"], key=key) for key, row in prices.items()}
    use = {(5, key, "flat"): Decimal(80) for key in keys}
    assert rate(versions, [], [(MAY, use)]).due == {MAY: 80 * 1 + 20 * 3 + 60 * 5}


def test_a_version_is_first_used_when_something_is_used():
    """Usage keeps no lines of zero, so what is read back from it must give the same order."""
    one = tariff({"flat": ["1", "2"]}, ["100"], key=1)
    two = tariff({"flat": ["3", "5"]}, ["100"], key=2)
    days = [
        (date(2025, 5, 1), {(5, 1, "flat"): Decimal(0), (6, 2, "flat"): Decimal(80)}),
        (date(2025, 5, 2), {(5, 1, "flat"): Decimal(80)}),
    ]
    whole = rate({1: one, 2: two}, [], days)
    assert whole.due == {MAY: 80 * 3 + 20 * 1 + 60 * 2}
    rest = rate({1: one, 2: two}, [(MAY, 6, 2, "flat", Decimal(80))], days[1:])
    assert rest.due == whole.due


def test_tiers_add_up_to_the_use_beyond_twelve_decimals():
    """A multiplier with many decimals makes quantities with more decimals than a line's shares."""
    version = tariff({"flat": ["1", "2"], "peak": ["3", "4"]}, ["1"])
    use = {(5, 1, "flat"): Decimal("1.00000000000007"), (5, 1, "peak"): Decimal("2.1")}
    lines = rate({1: version}, [], [(MAY, use)]).lines
    flat = sum(line.quantity for line in lines if line.band == "flat")
    assert flat == Decimal("1.00000000000007")


def test_a_tier_that_is_just_not_reached_needs_no_price():
    version = tariff({"flat": ["1"]}, ["100"])
    assert rate({1: version}, [], [(MAY, {(5, 1, "flat"): Decimal(100)})]).due == {MAY: 100}


def test_due_names_the_months_before_too():
    version = tariff({"flat": ["1", "2"]}, ["100"], period="year")
    before = [
        (date(2025, 1, 1), 5, 1, "flat", Decimal(60)),
        (date(2025, 2, 1), 5, 1, "flat", Decimal(60)),
    ]
    unit = rate({1: version}, before, [(date(2025, 2, 28), {(5, 1, "flat"): Decimal(1)})])
    assert unit.due == {date(2025, 1, 1): 60, date(2025, 2, 1): 40 + 21 * 2}
    assert rate({1: version}, before, []).due == {date(2025, 1, 1): 60, date(2025, 2, 1): 80}
    assert rate({1: version}, [], []) == ([], {})


def test_zero_lines_are_left_out():
    version = tariff({"flat": ["0"], "peak": ["1"]})
    days = [(MAY, {(5, 1, "flat"): Decimal(3), (5, 1, "peak"): Decimal(0)})]
    unit = rate({1: version}, [], days)
    assert [line[3:] for line in unit.lines] == [("flat", 1, 3, 0)]


@pytest.mark.parametrize("quantity", ["0", "0.001", "10000000", "9999999.999999"])
def test_very_small_and_very_large_use_is_exact(quantity):
    version = tariff({"flat": ["0.423625", "0.473625"]}, ["1"])
    used = Decimal(quantity)
    first = min(used, Decimal(1))
    unit = rate({1: version}, [], [(MAY, {(5, 1, "flat"): used})])
    assert unit.due == {MAY: first * Decimal("0.423625") + (used - first) * Decimal("0.473625")}


def test_a_thousand_charges_of_four_tenths_of_a_cent_are_four():
    version = tariff({"flat": ["1.00"]})
    posted, counted = Decimal(0), 0
    for number in range(1, 1001):
        day = MAY + timedelta((number - 1) // 40)
        days = [
            (MAY + timedelta(i), {(5, 1, "flat"): Decimal("0.004") * min(40, number - 40 * i)})
            for i in range((day - MAY).days + 1)
        ]
        unit = rate({1: version}, by_month(days[:-1]), days[-1:])
        charge = round_half_up(unit.due[MAY], CENT) - posted
        posted += charge
        counted += bool(charge)
    assert posted == Decimal("4.00")
    assert counted == 400  # a cent at a time


@pytest.mark.parametrize(
    ("period", "year_month", "day", "start", "end"),
    [
        ("month", 1, date(2024, 2, 29), date(2024, 2, 1), date(2024, 3, 1)),
        ("quarter", 1, date(2025, 12, 31), date(2025, 10, 1), date(2026, 1, 1)),
        ("quarter", 12, date(2026, 1, 15), date(2025, 12, 1), date(2026, 3, 1)),
        ("year", 1, date(2025, 12, 31), date(2025, 1, 1), date(2026, 1, 1)),
        ("year", 7, date(2025, 6, 30), date(2024, 7, 1), date(2025, 7, 1)),
        ("year", 7, date(2025, 7, 1), date(2025, 7, 1), date(2026, 7, 1)),
        ("year", 12, date(2025, 11, 30), date(2024, 12, 1), date(2025, 12, 1)),  # Guizhou
        ("year", 12, date(2025, 12, 1), date(2025, 12, 1), date(2026, 12, 1)),
    ],
)
def test_tier_periods(period, year_month, day, start, end):
    version = tariff({"flat": ["1", "2"]}, ["100"], period=period, year_month=year_month)
    assert tier_period_start(version, day) == start
    assert tier_period_end(version, day) == end


def test_without_tiers_the_period_is_the_month():
    version = tariff({"flat": ["1"]}, period="year")
    assert tier_period_start(version, date(2025, 8, 9)) == date(2025, 8, 1)
    assert tier_period_end(version, date(2025, 12, 9)) == date(2026, 1, 1)


STEPPED = tariff({"flat": ["1", "2"]}, ["100"])
ONE_DAY = [(MAY, {(5, 1, "flat"): Decimal(1)})]


@pytest.mark.parametrize(
    ("versions", "before", "days", "sentence"),
    [
        ({}, [], ONE_DAY, "Tariff version 1 is missing"),
        (
            {1: tariff({"peak": ["1"]})},
            [],
            ONE_DAY,
            "version 1 has no price for band 'flat', tier 1",
        ),
        (
            {1: tariff({"flat": ["1"]}, ["100"])},
            [(MAY, 5, 1, "flat", Decimal(100))],
            ONE_DAY,
            "no price for band 'flat', tier 2",
        ),
        ({1: replace(STEPPED, allocation="by_hand")}, [], ONE_DAY, "'by_hand'"),
        ({1: replace(STEPPED, tier_period="week")}, [], ONE_DAY, "tier period 'week'"),
        ({1: STEPPED}, [], ONE_DAY * 2, "days are not in order"),
        ({1: STEPPED}, [(date(2025, 6, 1), 5, 1, "flat", Decimal(1))], ONE_DAY, "not in order"),
        ({1: STEPPED}, [(date(2025, 4, 1), 5, 1, "flat", Decimal(1))], ONE_DAY, "tier period"),
        ({1: STEPPED}, [(date(2025, 5, 2), 5, 1, "flat", Decimal(1))], ONE_DAY, "first day"),
        ({1: STEPPED}, [], [(MAY, {(5, 1, "flat"): Decimal(-1)})], "zero or more, not -1"),
        ({1: STEPPED}, [], [(MAY, {(5, 1, "flat"): Decimal("NaN")})], "zero or more, not NaN"),
    ],
)
def test_bad_input_is_refused(versions, before, days, sentence):
    with pytest.raises(ValueError, match=sentence):
        rate(versions, before, days)


# -- laws -----------------------------------------------------------------------------------------


@st.composite
def units(draw, length=8):
    """Draw the versions and days of one unit: up to two versions, one after or beside the other.

    Days begin shortly before a month end, so that longer tier periods run over it.
    """
    period = draw(st.sampled_from(("month", "quarter", "year")))
    first = date(2025, 5, 1) if period == "month" else date(2025, 4, 27)
    versions = {1: draw(tariffs(1, period)), 2: draw(tariffs(2, period))}
    if period != "month":
        assume(all(version.tier_limits for version in versions.values()))
    days = dict(draw(uses(versions[1], first, draw(st.integers(1, length)))))
    start = first + timedelta(draw(st.integers(0, length)))
    if draw(st.booleans()):
        for day, use in draw(uses(versions[2], start, draw(st.integers(1, length)))):
            days[day] = {**use, **days.get(day, {})}
    return versions, sorted(days.items(), key=lambda item: item[0])


@LAW
@given(units(), st.sets(st.integers(0, 15)), st.sampled_from(["0.01", "0.05", "1", "0.001"]))
def test_money_does_not_depend_on_the_pieces(unit, cuts, step):
    versions, days = unit
    whole, whole_lines = settle(versions, days, step=Decimal(step))
    for pieces in (cuts, range(len(days))):  # random pieces, and day by day
        posted, lines = settle(versions, days, pieces, Decimal(step))
        assert posted == whole
        assert lines == whole_lines
    months = [i for i in range(1, len(days)) if days[i][0].month != days[i - 1][0].month]
    assert settle(versions, days, months, Decimal(step))[0] == whole


@LAW
@given(units())
def test_lines_add_up_to_use_and_money(unit):
    versions, days = unit
    rated = rate(versions, [], days)
    used, lined = defaultdict(Decimal), defaultdict(Decimal)
    for day, use in days:
        for (supply, version, band), quantity in use.items():
            used[day, supply, version, band] += quantity
    amount = Decimal(0)
    for line in rated.lines:
        lined[line.date, line.supply, line.version, line.band] += line.quantity
        amount += line.amount
    for cell in used.keys() | lined.keys():
        assert lined[cell] == used[cell]
    # Each rounded cumulated value is half a unit of the 12th decimal off at most.
    cells = len({line[1:5] for line in rated.lines}) * 2
    assert abs(Fraction(amount) - sum(map(Fraction, rated.due.values()))) <= Fraction(
        cells, 2 * 10**12
    )


@LAW
@given(units())
def test_money_is_what_the_definition_says(unit):
    versions, days = unit
    assert due(versions, days) == expected_due(versions, days)


@LAW
@given(units())
def test_the_order_of_cells_does_not_matter(unit):
    versions, days = unit
    turned = [(day, dict(reversed(use.items()))) for day, use in days]
    assert due(versions, turned) == due(versions, days)
    assert set(rate(versions, [], turned).lines) == set(rate(versions, [], days).lines)


@LAW
@given(tariffs(period="month"), st.data())
def test_doubled_prices_double_the_money(version, data):
    days = data.draw(uses(version, MAY, 5))
    dear = replace(version, prices={cell: 2 * price for cell, price in version.prices.items()})
    assert due({1: dear}, days) == 2 * due({1: version}, days)


@LAW
@given(tariffs(period="month"), st.data())
def test_a_band_split_in_two_of_equal_price_changes_nothing(version, data):
    days = data.draw(uses(version, MAY, 5))
    twin = replace(
        version,
        bands=(*version.bands, "twin"),
        prices={
            **version.prices,
            **{("twin", tier): version.prices["peak", tier] for tier in version.tiers},
        },
    )
    parted = []
    for day, use in days:
        cells = {}
        for (supply, key, band), quantity in use.items():
            if band == "peak":
                part = data.draw(decimals("0", "1", 2)) * quantity
                cells[supply, key, "twin"] = part
                quantity -= part
            cells[supply, key, band] = quantity
        parted.append((day, cells))
    assert due({1: twin}, parted) == due({1: version}, days)


@LAW
@given(tariffs(period="month"), st.data())
def test_a_tier_that_is_never_reached_changes_nothing(version, data):
    days = data.draw(uses(version, MAY, 5))
    open_tier = version.tiers[-1] + 1
    longer = replace(
        version,
        tier_limits=(*version.tier_limits, Decimal(10**9)),
        prices={**version.prices, **{(band, open_tier): Decimal(9) for band in version.bands}},
    )
    assert due({1: longer}, days) == due({1: version}, days)


@LAW
@given(tariffs(rising=True), st.data(), quantities)
def test_more_use_never_costs_less_where_tiers_rise(version, data, more):
    first = date(2025, 4, 27) if version.tier_limits and version.tier_period != "month" else MAY
    days = data.draw(uses(version, first, 8))
    assume(days)
    at = data.draw(st.integers(0, len(days) - 1))
    cell = (1, 1, data.draw(st.sampled_from(version.bands)))
    day, use = days[at]
    raised = [*days[:at], (day, {**use, cell: use.get(cell, 0) + more}), *days[at + 1 :]]
    assert due({1: version}, raised) >= due({1: version}, days)


@LAW
@given(tariffs(period="month", rising=True), st.data())
def test_money_does_not_jump_at_a_tier_limit(version, data):
    assume(version.tier_limits)
    limit = data.draw(st.sampled_from(version.tier_limits))
    shares = [data.draw(decimals("0", "1", 2)) for _band in version.bands]
    assume(sum(shares))
    small = Fraction(1, 10**6)

    def cost(quantity):
        use = {
            (1, 1, band): (quantity * share / sum(shares)).quantize(Decimal("1E-9"))
            for band, share in zip(version.bands, shares, strict=True)
        }
        return due({1: version}, [(MAY, use)])

    below, at, above = (cost(limit + i * Decimal("0.000001")) for i in (-1, 0, 1))
    most = 2 * Fraction(max(version.prices.values())) * small + Fraction(1, 10**7)
    assert 0 <= at - below <= most
    assert 0 <= above - at <= most


@LAW
@given(
    st.lists(prices, min_size=2, max_size=3),
    st.lists(decimals("0", "0.5", 6), min_size=2, max_size=2),
    st.data(),
)
def test_equal_steps_make_the_allocation_irrelevant(bases, adders, data):
    """Most provinces publish a tier as an adder that is the same in every band."""
    bands = ("peak", "flat", "valley")[: len(bases)]
    table = {
        band: [str(base + adder) for adder in (Decimal(0), adders[0], sum(adders))]
        for band, base in zip(bands, bases, strict=True)
    }
    to_date = tariff(table, ["100", "250"], period="year")
    proportional = replace(to_date, allocation="proportional")
    days = data.draw(uses(to_date, date(2025, 1, 28), 8))
    assert due({1: to_date}, days) == due({1: proportional}, days)


# -- from readings to money -----------------------------------------------------------------------


@st.composite
def meter_histories(draw):
    """Draw readings over a month end, at odd hours, with a change of version in between."""
    hours = sorted(draw(st.sets(st.integers(0, 24 * 9), min_size=2, max_size=12)))
    register = draw(decimals("0", "1000", 3))
    points = []
    for hour in hours:
        points.append(Point(datetime(2025, 10, 24) + timedelta(hours=hour, minutes=7), register))
        register += draw(decimals("0", "200", 3))
    period = draw(st.sampled_from(("month", "year")))
    old, new = draw(tariffs(1, period)), draw(tariffs(2, period))
    if period == "year":
        assume(old.tier_limits and new.tier_limits)
    change = datetime(2025, 10, 26, draw(st.integers(0, 23)))
    return points, [
        Span(datetime(2025, 1, 1), change, Decimal(40), old),
        Span(change, None, Decimal("62.5"), new),
    ]


def charged(points, spans, zone):
    """Return the exact due by month of all that was read."""
    versions = {span.version.key: span.version for span in spans}
    days = defaultdict(dict)
    for cell in split(points, spans, zone):
        days[cell.date][1, cell.version, cell.band] = cell.quantity
    units = defaultdict(list)
    for day, use in days.items():
        units[tier_period_start(spans[-1].version, day)].append((day, use))
    due = {}
    for unit in units.values():
        due.update(rate(versions, [], unit).due)
    return due


@LAW
@given(meter_histories(), st.sampled_from(ZONES), st.randoms(use_true_random=False))
def test_readings_may_arrive_in_any_order(history, zone, random):
    """After each arrival what is due is posted less what was posted; only the end must agree."""
    points, spans = history
    zone = ZoneInfo(zone)
    in_order = charged(points, spans, zone)
    arriving = points * 2
    random.shuffle(arriving)
    known, posted = set(), defaultdict(Decimal)
    for point in arriving:
        known.add(point)
        due = charged(sorted(known), spans, zone)
        for month in due.keys() | posted.keys():
            posted[month] += round_half_up(due.get(month, Decimal(0)), CENT) - posted[month]
    assert {month: money for month, money in posted.items() if money} == {
        month: money for month, exact in in_order.items() if (money := round_half_up(exact, CENT))
    }


@pytest.mark.parametrize("allocation", ["to_date", "proportional"])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_hourly_daily_and_monthly_settling_agree(allocation, zone):
    """A quarter of hourly readings under Shanghai's unequal steps, over a change of clocks."""
    version = replace(
        SHANGHAI,
        windows=(every_day("valley", 22, 6),),
        tier_period="quarter",
        allocation=allocation,
        tier_limits=(Decimal(260), Decimal(400)),
    )
    zone = ZoneInfo(zone)
    start = datetime(2025, 1, 1, 5)
    register, points = Decimal("73.10"), []
    for hour in range(24 * 72):
        points.append(Point(start + timedelta(hours=hour), register))
        register += Decimal(hour * 7919 % 101) / 200  # 0 to 0.5 kWh, no pattern of the day
    spans = [Span(datetime(2025, 1, 1), None, Decimal(1), version)]

    def settled(every):
        """Settle after every so many readings, as a meter read that often in turn would be."""
        days, posted = {}, defaultdict(Decimal)
        ends = [*range(every, len(points) - 1, every), len(points) - 1]
        first = 0
        for end in ends:
            touched = set()
            for cell in split(points[first : end + 1], spans, zone):
                use = days.setdefault(cell.date, {})
                key = (1, 1, cell.band)
                use[key] = use.get(key, Decimal(0)) + cell.quantity
                touched.add(cell.date)
            first = end
            known = sorted(days.items())
            at = next(i for i, (day, _use) in enumerate(known) if day in touched)
            due = rate({1: version}, by_month(known[:at]), known[at:]).due
            for month, exact in due.items():
                posted[month] += round_half_up(exact, CENT) - posted[month]
        return dict(posted)

    monthly = settled(24 * 31)
    assert settled(24) == monthly
    assert settled(1) == monthly
    assert settled(len(points)) == monthly


UNTIERED = {
    1: tariff({"peak": ["0.568001"], "valley": ["0.288"]}, key=1),
    2: tariff({"peak": ["1.1"], "valley": ["0"]}, key=2),
}


@LAW
@given(
    st.lists(
        st.dictionaries(
            st.tuples(
                st.integers(1, 3), st.sampled_from([1, 2]), st.sampled_from(["peak", "valley"])
            ),
            quantities,
            max_size=6,
        ),
        max_size=4,
    )
)
def test_days_without_tiers_are_rated_as_each_day_alone(uses_of_days):
    days = [(MAY + timedelta(days=number), use) for number, use in enumerate(uses_of_days)]
    alone = [rate(UNTIERED, (), (day,), {}).lines for day in days]
    assert rate_untiered(UNTIERED, days) == list(itertools.chain(*alone))


def test_days_without_tiers_refuse_what_rating_refuses():
    for use in ({(1, 9, "peak"): Decimal(1)}, {(1, 1, "flat"): Decimal(1)}):
        with pytest.raises(ValueError, match=r"missing|price"):
            rate_untiered(UNTIERED, [(MAY, use)])
    for quantity in ("-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="zero or more"):
            rate_untiered(UNTIERED, [(MAY, {(1, 1, "peak"): Decimal(quantity)})])
