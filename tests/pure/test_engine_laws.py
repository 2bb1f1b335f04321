"""Laws of rating from readings to money, each with planted defects that break it.

T2, T3, T9, T12, R1: pieces and order, versions, transfers, exchanges, clock changes, calendars.
"""

import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from engine_cases import LAW, decimals
from engine_world import Settling, World, money_by_definition, versions_near, worlds
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from planted_defects import planted

from engine import (
    Point,
    Span,
    TariffVersion,
    local_date,
    local_midnight,
    rate,
    rating,
    split,
    splitting,
)
from engine import tier_period as periods

# The same cases each time, and no search for a smaller one: a defect need only be found.
FIXED = settings(
    deadline=None,
    max_examples=2000,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


def lines_of(world, points=None):
    return {start: unit.lines for start, unit in world.rated(points).items() if unit.lines}


def due_of(world):
    return sum(
        (Fraction(due) for unit in world.rated().values() for due in unit.due.values()),
        Fraction(0),
    )


def any_order_and_pieces(world, seed):
    """Readings one by one in order, in pieces, and in any order each twice: the same lines."""
    whole = lines_of(world)
    order = [[point] for point in world.points]
    pieces = [world.points[:2], world.points[2:5], world.points[5:]]
    mixed = [[point] for point in world.points * 2]
    random.Random(seed).shuffle(mixed)
    for arrivals in (order, pieces, mixed):
        settling = Settling(world)
        for points in arrivals:
            if points:
                settling.arrive(points)
        assert settling.settled() == whole


def money_is_what_the_rules_say(world):
    assert due_of(world) == money_by_definition(world)
    lines = sum(Fraction(line.amount) for part in lines_of(world).values() for line in part)
    assert abs(lines - due_of(world)) < Fraction(1, 10**9)


def nothing_is_lost_or_doubled(world):
    """Every unit of use stands once in the cells and once in the lines, over all boundaries."""
    same = [replace(span, multiplier=Decimal(1)) for span in world.spans]
    used = world.points[-1].register - world.points[0].register
    assert sum(cell.quantity for cell in split(world.points, same, world.zone)) == used
    cells, lines = defaultdict(Decimal), defaultdict(Decimal)
    for unit in world.units().values():
        for day, use in unit.items():
            for cell, quantity in use.items():
                cells[day, *cell] += quantity
    for part in lines_of(world).values():
        for line in part:
            lines[line[:4]] += line.quantity
    assert {cell: q for cell, q in lines.items() if q} == {
        cell: q for cell, q in cells.items() if q
    }


def each_minute_is_in_the_band_of_the_wall_clock(case):
    """Three days at an even rate, minute by minute: also over a change of the clock."""
    (zone, day), version, thousandths = case
    zone = ZoneInfo(zone)
    start, end = (local_midnight(day + timedelta(number), zone) for number in (-1, 2))
    minutes = (end - start) // timedelta(minutes=1)
    expected = defaultdict(int)
    for number in range(minutes):
        moment = start + timedelta(minutes=number)
        local = moment.replace(tzinfo=UTC).astimezone(zone)
        expected[local.date(), version.key, band_by_rule(version, local)] += thousandths
    points = [Point(start, Decimal(0)), Point(end, Decimal(thousandths) * minutes / 1000)]
    cells = split(points, [Span(start, None, Decimal(1), version)], zone)
    assert {cell[:3]: cell.quantity * 1000 for cell in cells} == expected


def band_by_rule(version, local):
    """Return the band of a minute: the last window that has it."""
    day, minute = local.date(), local.hour * 60 + local.minute
    kind = version.calendar.days.get(
        day, "weekend" if day.weekday() in version.calendar.weekend else "workday"
    )
    band = version.rest_band
    for window in version.windows:
        applies = kind in window.day_types
        if window.declared_only:
            applies = day in version.calendar.declared
        if applies and day.month in window.months:
            start, end = window.start_minute, window.end_minute
            if start <= minute < end if start < end else minute >= start or minute < end:
                band = window.band
    return band


def a_transfer_conserves_use_and_begins_anew(world, hour):
    """The old customer up to the handover, the new one from it: two units, limits by days."""
    moment = world.points[0].moment + timedelta(hours=hour, minutes=11)
    assume(moment < world.points[-1].moment)
    before = [cut for cut in (_clipped(s, None, moment) for s in world.spans) if cut]
    after = [cut for cut in (_clipped(s, moment, None) for s in world.spans) if cut]
    old = replace_world(world, spans=before)
    new = replace_world(world, spans=after, first_day=local_date(moment, world.zone))
    sums = defaultdict(Decimal)
    for side in (old, new):
        for cell in split(side.points, side.spans, side.zone):
            sums[cell[:3]] += cell.quantity
    assert sums == {c[:3]: c.quantity for c in split(world.points, world.spans, world.zone)}
    assert due_of(new) == money_by_definition(new)
    assert due_of(old) == money_by_definition(old)
    for start in new.units():
        days = (periods.tier_period_end(after[0].version, start) - new.first_day).days
        for version in new.versions.values():
            whole = periods.unit_limits(version, start, start, world.addition)
            own = new.limits(start)[version.key]
            length = (periods.tier_period_end(version, start) - start).days
            for limit, part in zip(whole, own, strict=True):
                if start >= new.first_day or not version.is_prorated:
                    assert part == limit
                else:
                    assert abs(part * length - limit * days) <= Decimal("0.0005") * length


def _clipped(span, start, end):
    low = span.start if start is None else max(span.start, start)
    high = span.end if end is None else end if span.end is None else min(span.end, end)
    return replace(span, start=low, end=high) if high is None or low < high else None


def replace_world(world, **changes):
    fields = ("zone", "points", "spans", "addition", "first_day", "supply")
    return World(**{name: changes.get(name, getattr(world, name)) for name in fields})


def an_exchange_carries_the_counter(world, hour, opening):
    """The old meter's register up to a moment, the new one's from it: one unit, the same money."""
    moment = world.points[0].moment + timedelta(hours=hour, minutes=11)
    assume(world.points[0].moment < moment < world.points[-1].moment)
    before = [point for point in world.points if point.moment < moment]
    after = [point for point in world.points if point.moment >= moment]
    ends = (before[-1], after[0])
    at = splitting.interpolate(*ends, moment) if ends[1].moment > moment else ends[1].register
    old = [*before, Point(moment, at)]
    new = [Point(moment, opening)] + [
        Point(point.moment, point.register - at + opening)
        for point in after
        if point.moment > moment
    ]
    days = defaultdict(lambda: defaultdict(dict))
    for supply, points in ((1, old), (2, new)):
        part = replace_world(world, points=points, supply=supply, first_day=world.first_day)
        for start, unit in part.units().items():
            for day, use in unit.items():
                days[start][day].update(use)
    money = Fraction(0)
    for start, unit in days.items():
        due = rate(world.versions, [], sorted(unit.items()), world.limits(start)).due
        money += sum((Fraction(value) for value in due.values()), Fraction(0))
    # A boundary between the same two readings is interpolated anew: to six decimals.
    most = (
        40
        * Fraction(125, 10**6)
        * 2
        * max((Fraction(p) for v in world.versions.values() for p in v.prices.values()), default=0)
    )
    one_meter = replace_world(world, points=sorted({*before, Point(moment, at), *after}))
    assert abs(money - due_of(one_meter)) <= most


def metamorphic(world, factor, data):
    """Double prices; a band in two; lines in another order; a tier never reached (T12)."""
    money = due_of(world)

    def changed(change):
        return due_of(
            replace_world(
                world,
                spans=[replace(span, version=change(span.version)) for span in world.spans],
            )
        )

    def dearer(version):
        return replace(version, prices={c: factor * p for c, p in version.prices.items()})

    def with_a_twin(version):
        """Give one window a band of its own that costs the same."""
        if not version.windows:
            return version
        window, *rest = version.windows
        prices = {("twin", t): p for (b, t), p in version.prices.items() if b == window.band}
        return replace(
            version,
            bands=(*version.bands, "twin"),
            windows=(replace(window, band="twin"), *rest),
            prices={**version.prices, **prices},
        )

    def permuted(version):
        bands = data.draw(st.permutations(version.bands))
        prices = data.draw(st.permutations(sorted(version.prices.items())))
        seasons = data.draw(st.permutations(version.tier_seasons))
        return replace(
            version, bands=tuple(bands), prices=dict(prices), tier_seasons=tuple(seasons)
        )

    def cut_in_parts(version):
        """Write each window as one for each month and day type, one for each half."""
        windows = []
        for window in version.windows:
            middle = window.start_minute + 1
            for month in sorted(window.months, reverse=True):
                for kind in sorted(window.day_types) or [""]:
                    own = replace(
                        window,
                        months=frozenset({month}),
                        day_types=frozenset({kind} if kind else ()),
                    )
                    if middle < window.end_minute:
                        windows.append(replace(own, end_minute=middle))
                        own = replace(own, start_minute=middle)
                    windows.append(own)
        return replace(version, windows=tuple(windows))

    def one_tier_more(version):
        last = Decimal(10**9)
        tiers = version.tiers[-1] + 1

        def more(limits):
            # Where there are no tiers use moves no counter: with a first one it would.
            return (*limits, last) if limits else limits

        seasons = [replace(s, limits=more(s.limits)) for s in version.tier_seasons]
        # A season with fewer tiers gets a limit that nobody reaches before its next price counts.
        prices = {**version.prices, **{(band, tiers): Decimal(9) for band in version.bands}}
        return replace(
            version,
            tier_limits=more(version.tier_limits),
            tier_seasons=tuple(seasons),
            prices=prices,
        )

    assert changed(dearer) == factor * money
    assert changed(permuted) == money
    assert changed(one_tier_more) == money
    assert changed(cut_in_parts) == money
    assert changed(with_a_twin) == money


def dearer_with_use_where_tiers_rise(world, at, more):
    """More use between two readings never costs less, nor moves what was used before."""
    rising = replace_world(
        world, spans=[replace(span, version=_rising(span.version)) for span in world.spans[:1]]
    )
    rising.spans[0] = replace(rising.spans[0], end=None)
    rising = replace_world(rising)
    at %= len(rising.points)
    raised = [
        point._replace(register=point.register + (more if number > at else 0))
        for number, point in enumerate(rising.points)
    ]
    assert due_of(replace_world(rising, points=raised)) >= due_of(rising)


def _rising(version):
    prices = {}
    for band in version.bands:
        row = sorted(price for (b, _t), price in version.prices.items() if b == band)
        prices.update({(band, tier): price for tier, price in enumerate(row, 1)})
    return replace(version, prices=prices)


hours = st.integers(0, 24 * 11)
# Both changes of the clock of every zone that has them, a leap day, a new year.
PLACES = [
    ("Europe/London", date(2025, 3, 30)),
    ("Europe/London", date(2025, 10, 26)),
    ("America/New_York", date(2025, 3, 9)),
    ("America/New_York", date(2025, 11, 2)),
    ("Australia/Lord_Howe", date(2025, 10, 5)),  # by half an hour
    ("Australia/Lord_Howe", date(2025, 4, 6)),
    ("Asia/Shanghai", date(2024, 2, 29)),
    ("Asia/Kathmandu", date(2025, 12, 31)),
]
LAWS = {
    any_order_and_pieces: (worlds(), st.integers(0, 10**6)),
    money_is_what_the_rules_say: (worlds(),),
    nothing_is_lost_or_doubled: (worlds(),),
    each_minute_is_in_the_band_of_the_wall_clock: (
        st.sampled_from(PLACES).flatmap(
            lambda place: st.tuples(
                st.just(place), versions_near(place[1] - timedelta(3)), st.integers(1, 99)
            )
        ),
    ),
    a_transfer_conserves_use_and_begins_anew: (worlds(), hours),
    an_exchange_carries_the_counter: (worlds(), hours, decimals("0", "900", 3)),
    metamorphic: (worlds(), st.sampled_from((2, 3)), st.data()),
    dearer_with_use_where_tiers_rise: (
        worlds(allocations=("to_date", "proportional")),
        st.integers(0, 8),
        decimals("0", "500", 3),
    ),
}

DEFECTS = [
    # What stood before is forgotten, or costs twice.
    (any_order_and_pieces, rating._Unit.add_day, "begin = start\n", "pass\n"),
    (any_order_and_pieces, rating._Unit.add_day, "values = segment.rated(start)", "values = {}"),
    (
        any_order_and_pieces,
        rating._Days.add_before,
        "self.day = _Segment(self.version, self.limits)",
        "pass",
    ),
    # Segments, counters, limits and periods of another rule.
    (money_is_what_the_rules_say, rating._Unit.add_day, "segment.counter = counter", "pass"),
    (
        money_is_what_the_rules_say,
        rating._Unit.segment,
        "by_month else None",
        "by_month else self.month",
    ),
    (money_is_what_the_rules_say, rating._Segment.tiers, "lower = limit", "pass"),
    (money_is_what_the_rules_say, rating._Unit.close_month, "start += segment.counted", "pass"),
    (money_is_what_the_rules_say, rating._Days.change, "due(self.counter)", "due(start)"),
    (
        money_is_what_the_rules_say,
        periods.tier_period_start,
        "date.day < version.tier_year_day",
        "False",
    ),
    (money_is_what_the_rules_say, periods.unit_limits, "addition * months", "addition"),
    (
        money_is_what_the_rules_say,
        periods.unit_limits,
        "limits[: version.fixed_limits], limits[version.fixed_limits :]",
        "(), limits",
    ),
    (
        money_is_what_the_rules_say,
        periods.unit_limits,
        "(end - first_day).days",
        "(end - first_day).days + 1",
    ),
    (money_is_what_the_rules_say, TariffVersion.limits, "in season.months", "== 0"),
    # Use counted for both sides, once too little, or in every tier.
    (nothing_is_lost_or_doubled, splitting.split, "span.end < end", "False"),
    (nothing_is_lost_or_doubled, splitting._cut, "cell[0] += quantity", "cell[0] = quantity"),
    (nothing_is_lost_or_doubled, rating._Segment.rated, "share - taken", "share"),
    # The first window instead of the last, no declared days, no days off, no change of the clock.
    (
        each_minute_is_in_the_band_of_the_wall_clock,
        TariffVersion.painted,
        "reversed(parts)",
        "parts",
    ),
    (
        each_minute_is_in_the_band_of_the_wall_clock,
        TariffVersion.painted,
        "declared if window.declared_only else day_type",
        "day_type",
    ),
    (
        each_minute_is_in_the_band_of_the_wall_clock,
        TariffVersion.plan_of,
        "calendar.day_type(day)",
        "'workday'",
    ),
    (
        each_minute_is_in_the_band_of_the_wall_clock,
        splitting._edges,
        "- offset",
        "- _offset(local_midnight(day, zone), zone)",
    ),
    (
        each_minute_is_in_the_band_of_the_wall_clock,
        splitting.change_of_clock,
        "_offset(end - _MICROSECOND, zone) == offset",
        "True",
    ),
    # The former customer goes on; the next one has the limits of a whole period.
    (a_transfer_conserves_use_and_begins_anew, splitting.split, "span.end < end", "False"),
    (
        a_transfer_conserves_use_and_begins_anew,
        periods.unit_limits,
        "first_day <= period_start or",
        "True or",
    ),
    # Each meter of an account counts by itself.
    (
        an_exchange_carries_the_counter,
        rating._Segment.add,
        "self.total += quantity",
        "self.total = max(self.total, quantity)",
    ),
    (metamorphic, rating._Segment.due, "Fraction(weighted)", "Fraction(weighted + 1)"),
    (
        dearer_with_use_where_tiers_rise,
        rating._Segment.due,
        "Fraction(self.total)",
        "Fraction(self.total) ** 2",
    ),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law_holds(law):
    LAW(given(*LAWS[law])(law))()


@pytest.mark.parametrize(
    ("law", "function", "line", "instead"),
    DEFECTS,
    ids=[f"{law.__name__}-{number}" for number, (law, *_rest) in enumerate(DEFECTS)],
)
def test_planted_defect_breaks_it(law, function, line, instead):
    with planted(function, line, instead), pytest.raises((AssertionError, ValueError)):
        FIXED(given(*LAWS[law])(law))()
