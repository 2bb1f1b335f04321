"""A supply's life for the tests of the engine: drawn at random, settled as the product does."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from engine_cases import ALL_DAYS, ZONES, by_month, decimals, tariffs
from hypothesis import strategies as st

from engine import (
    Calendar,
    Point,
    Span,
    TierSeason,
    Window,
    local_date,
    rate,
    split,
    tier_period_end,
    tier_period_start,
    unit_limits,
)

ONE = Decimal(1)
# Both changes of the clock of every zone, ends of months, quarters and years, a leap day.
STARTS = (
    datetime(2024, 2, 26),
    datetime(2025, 3, 5),
    datetime(2025, 3, 26),
    datetime(2025, 10, 2),
    datetime(2025, 10, 22),
    datetime(2025, 12, 27),
)
HALF_HOURS = 48 * 12
LARGE = decimals("50", "400", 2)


@dataclass
class World:
    """One supply under two versions, one after the other, and the readings of its meter."""

    zone: ZoneInfo
    points: list[Point]
    spans: list[Span]
    addition: Decimal = Decimal(0)
    first_day: date | None = None
    supply: int = 1
    versions: dict = field(init=False)

    def __post_init__(self):
        self.versions = {span.version.key: span.version for span in self.spans}
        if self.first_day is None:
            self.first_day = local_date(self.points[0].moment, self.zone)

    def units(self, points=None, spans=None):
        """Return the days of use by first day of the tier period."""
        units = defaultdict(lambda: defaultdict(lambda: defaultdict(Decimal)))
        for cell in split(points or self.points, spans or self.spans, self.zone):
            start = tier_period_start(self.versions[cell.version], cell.date)
            units[start][cell.date][self.supply, cell.version, cell.band] += cell.quantity
        return units

    def limits(self, start):
        """Return the limits of a unit by version."""
        return {
            key: unit_limits(version, start, self.first_day, self.addition)
            for key, version in self.versions.items()
        }

    def rated(self, points=None):
        """Return all lines, by unit, of what was read."""
        return {
            start: rate(self.versions, [], sorted(days.items()), self.limits(start))
            for start, days in self.units(points).items()
        }


class Settling:
    """Settle a world's readings as they arrive: what is kept, and what each arrival changes."""

    def __init__(self, world):
        self.world = world
        self.known = []
        self.days = {}
        self.lines = defaultdict(list)

    def arrive(self, points):
        """Take readings, and rate anew from the first local day that they touch."""
        world = self.world
        self.known = sorted({*self.known, *points})
        first = min(points)
        before = [point for point in self.known if point < first]
        since = local_date(before[-1].moment if before else first.moment, world.zone)
        units = world.units(self.known) if len(self.known) > 1 else {}
        for start in units.keys() | self.lines.keys():
            days = {day: dict(use) for day, use in units.get(start, {}).items()}
            # What was used before is taken from what is kept.
            kept = {day: use for day, use in self.days.get(start, {}).items() if day < since}
            later = sorted((day, use) for day, use in days.items() if day >= since)
            unit = rate(world.versions, by_month(sorted(kept.items())), later, world.limits(start))
            self.days[start] = {**kept, **dict(later)}
            self.lines[start] = [
                *(line for line in self.lines[start] if line.date < since),
                *unit.lines,
            ]

    def settled(self):
        """Return the lines by unit; those without any are left out."""
        return {start: lines for start, lines in self.lines.items() if lines}


@st.composite
def worlds(draw, allocations=("to_date", "proportional", "chronological")):
    """Draw a world of some days."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    begin = draw(st.sampled_from(STARTS))
    halves = sorted(draw(st.sets(st.integers(0, HALF_HOURS), min_size=2, max_size=9)))
    register, points = draw(decimals("0", "1000", 3)), []
    for half in halves:
        points.append(Point(begin + timedelta(minutes=30 * half + 7), register))
        register += draw(st.one_of(st.just(Decimal(0)), decimals("0", "90", 3), LARGE))
    period = draw(st.sampled_from(("month", "month", "quarter", "year")))
    own = {
        "tier_year_day": draw(st.sampled_from((1, 1, 5, 26, 28))),
        "tier_year_month": draw(st.sampled_from((1, 3, 7, 12))),
        "calendar": draw(calendars(begin.date())),
        "is_prorated": draw(st.booleans()),
        "fixed_limits": draw(st.sampled_from((0, 1))),
    }
    versions = []
    for key in (1, 2):
        version = draw(tariffs(key, period))
        if not version.tier_limits:  # so that both have the same tier periods
            prices = {cell: price for cell, price in version.prices.items() if cell[1] == 1}
            prices.update({(band, 2): Decimal("0.75") for band in version.bands})
            version = replace(version, tier_limits=(Decimal(70),), prices=prices)
        seasons = ()
        if period == "month" and draw(st.booleans()):
            limits = tuple(limit * 2 for limit in version.tier_limits)
            seasons = (TierSeason(frozenset({2, 3, 10, 12}), draw(st.sampled_from((limits, ())))),)
        versions.append(
            replace(
                version,
                allocation=draw(st.sampled_from(allocations)),
                windows=(*version.windows, _declared(version)),
                tier_seasons=seasons,
                **own,
            )
        )
    cut = begin + timedelta(hours=draw(st.integers(0, 24 * 12)))
    multipliers = draw(st.sampled_from(((ONE, ONE), (Decimal(40), Decimal("62.5")))))
    spans = [
        Span(datetime(1900, 1, 1), cut, multipliers[0], versions[0]),
        Span(cut, None, multipliers[1], versions[1]),
    ]
    return World(zone, points, spans, draw(st.sampled_from((Decimal(0), Decimal(100)))))


def _declared(version):
    months = frozenset({2, 3, 4, 10, 12})
    return Window(version.bands[-1], months, frozenset(), 600, 1020, declared_only=True)


@st.composite
def versions_near(draw, begin):
    """Draw a version with a window of declared days, and special days from a date on."""
    version = draw(tariffs())
    windows = (_declared(version), *version.windows)
    if draw(st.booleans()):
        windows = (*version.windows, _declared(version))
    return replace(version, windows=windows, calendar=draw(calendars(begin)))


@st.composite
def calendars(draw, begin):
    """Draw a calendar whose special days lie in the days of a world."""
    near = st.integers(0, 12).map(lambda number: begin + timedelta(number))
    return Calendar(
        weekend=draw(st.sampled_from((frozenset({5, 6}), frozenset({4})))),
        days=draw(st.dictionaries(near, st.sampled_from(sorted(ALL_DAYS)), max_size=3)),
        declared=draw(st.frozensets(near, max_size=3)),
    )


def money_by_definition(world):
    """Price a world with fractions, straight from the rules: cells, limits, segments, shares."""
    total = Fraction(0)
    for start, days in world.units().items():
        counter, segments, money = Fraction(0), {}, Fraction(0)
        first = world.spans[0].version
        months = {"month": 1, "quarter": 3, "year": 12}[first.tier_period]
        assert start.day == first.tier_year_day
        assert (start.month - first.tier_year_month) % months == 0
        assert all(start <= day for day in days)
        for day in sorted(days):
            for key in sorted({cell[1] for cell, used in days[day].items() if used}):
                version = world.versions[key]
                cells = {cell[2]: Fraction(0) for cell in days[day] if cell[1] == key}
                for cell, used in days[day].items():
                    if cell[1] == key:
                        cells[cell[2]] += Fraction(used)
                limits = _limits(world, version, start)
                if version.allocation == "chronological" and limits:
                    money += _priced(version, limits, counter, cells)
                    place = (key, None)
                elif version.allocation == "proportional" and limits:
                    place = (key, day.replace(day=1))
                else:
                    place = (key, None)
                segment = segments.setdefault(place, defaultdict(Fraction))
                for band, used in cells.items():
                    segment[band] += used
                if limits:
                    counter += sum(cells.values())
        counter = Fraction(0)
        for (key, _month), bands in segments.items():
            version = world.versions[key]
            limits = _limits(world, version, start)
            if version.allocation != "chronological" or not limits:
                money += _priced(version, limits, counter, bands)
            if limits:
                counter += sum(bands.values())
        total += money
    return total


def _limits(world, version, start):
    limits = version.tier_limits
    for season in version.tier_seasons:
        if start.month in season.months:
            limits = season.limits
    months = {"month": 1, "quarter": 3, "year": 12}[version.tier_period]
    limits = [
        Fraction(limit) + (number >= version.fixed_limits) * Fraction(world.addition) * months
        for number, limit in enumerate(limits)
    ]
    if version.is_prorated and world.first_day > start:
        end = tier_period_end(version, start)
        part = Fraction((end - world.first_day).days, (end - start).days)
        limits = [Fraction(int(limit * part * 1000 + Fraction(1, 2)), 1000) for limit in limits]
    return limits


def _priced(version, limits, counter, bands):
    """Return the money of some use behind a counter, tiers shared over the bands."""
    volume = sum(bands.values())
    if not volume:
        return Fraction(0)
    money = Fraction(0)
    for tier, (low, high) in enumerate(pairwise([Fraction(0), *limits, None]), 1):
        top = counter + volume if high is None else min(high, counter + volume)
        inside = max(top - max(low, counter), Fraction(0))
        for band, used in bands.items():
            if inside and used:
                money += Fraction(version.prices[band, tier]) * inside * used / volume
    return money
