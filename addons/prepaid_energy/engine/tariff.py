"""A tariff version: which band is in force when, which tier begins where, what a unit costs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from .day_types import DAY_TYPES, PLAIN_CALENDAR, Calendar

MINUTES_A_DAY = 1440
PRICE_DECIMALS = 6
ALLOCATIONS = ("to_date", "proportional", "chronological")

DayPlan = tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The hours of a band: local wall clock, on dates of the months and day types named.

    ``start_minute`` 0..1439 is inside, ``end_minute`` 1..1440 is the first one outside. An end at
    or before the start crosses midnight; each part then counts for the local date it lies on, so
    22:00-06:00 in January means the first six and the last two hours of each January day.

    A ``declared_only`` window applies on declared dates only, whatever their day type.
    """

    band: str
    months: frozenset[int]
    day_types: frozenset[str]
    start_minute: int
    end_minute: int
    declared_only: bool = False

    def parts(self) -> tuple[tuple[int, int], ...]:
        """Return the minutes covered on a date it applies to, as (start, end) pairs."""
        if self.end_minute > self.start_minute:
            return ((self.start_minute, self.end_minute),)
        return ((0, self.end_minute), (self.start_minute, MINUTES_A_DAY))


@dataclass(frozen=True, slots=True)
class TierSeason:
    """Limits of the tier periods that begin in these months; () means no tiers in them."""

    months: frozenset[int]
    limits: tuple[Decimal, ...]


@dataclass(frozen=True, eq=False)
class TariffVersion:
    """Prices and rules of one tariff from one date on. Immutable; compared by identity.

    ``key`` identifies the version (unique among the versions rated together). Later windows
    override earlier ones; minutes covered by none belong to ``rest_band``. ``calendar`` tells the
    day types.

    ``tier_limits`` are the cumulated upper limits of all tiers but the last, which is open; a limit
    belongs to the lower tier; () means one tier. ``tier_seasons`` override them for monthly tier
    periods. ``prices`` holds a gross price per unit for each (band, tier), tiers counted from 1.
    Tiers count over ``tier_period`` ("month", "quarter" or "year", the year and its quarters
    beginning with ``tier_year_month``); every period begins on ``tier_year_day`` (1..28) of its
    month. Where ``is_prorated``, the limits of a unit that starts late shrink by days.
    ``allocation`` says how tiers meet bands: "to_date", "proportional" or "chronological" (see
    ``rating``).

    ``per_day`` and ``per_month`` are standing charges of each supply, ``minimum`` is the least
    money of a unit's month; gross, in currency.

    The constructor checks nothing: a draft may be incomplete. ``check`` names every problem.
    """

    key: int
    bands: tuple[str, ...]
    windows: tuple[Window, ...]
    rest_band: str | None
    tier_limits: tuple[Decimal, ...]
    prices: Mapping[tuple[str, int], Decimal]
    tier_period: str
    tier_year_month: int = 1
    allocation: str = "to_date"
    calendar: Calendar = PLAIN_CALENDAR
    tier_year_day: int = 1
    tier_seasons: tuple[TierSeason, ...] = ()
    is_prorated: bool = True
    per_day: Decimal = Decimal(0)
    per_month: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    _plans: dict[tuple[int, str, bool], DayPlan] = field(
        default_factory=dict, init=False, repr=False
    )
    # UTC edges of local days, filled by splitting.edges; kept here to live as long as the version.
    _edges: dict = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def is_tiered(self) -> bool:
        """Tell whether a tier limit is in force at any time of the year."""
        return bool(self.tier_limits) or any(season.limits for season in self.tier_seasons)

    @property
    def tiers(self) -> range:
        """The tier numbers, from 1, of the season that has most."""
        most = max((len(season.limits) for season in self.tier_seasons), default=0)
        return range(1, max(len(self.tier_limits), most) + 2)

    def limits(self, month: int) -> tuple[Decimal, ...]:
        """Return the limits of a whole tier period that begins in a month (1..12)."""
        for season in self.tier_seasons:
            if month in season.months:
                return season.limits
        return self.tier_limits

    def price(self, band: str, tier: int) -> Decimal:
        """Return the gross price of a unit. Raises ValueError where there is none."""
        price = self.prices.get((band, tier))
        if price is None:
            raise ValueError(
                f"Tariff version {self.key} has no price for band {band!r}, tier {tier}."
            )
        return price

    def day_plan(self, month: int, day_type: str, declared: bool = False) -> DayPlan:
        """Return (start_minute, end_minute, band) rows that cover 0..1440 exactly once.

        Neighbouring rows differ in band. Raises ValueError naming the minutes without a band.
        """
        plan = self._plans.get((month, day_type, declared))
        if plan is None:
            plan, holes = self._painted(month, day_type, declared)
            if holes:
                raise ValueError(
                    f"Tariff version {self.key} has no band from {_clock(holes[0][0])} to "
                    f"{_clock(holes[0][1])} on a {day_type} in month {month}."
                )
            self._plans[month, day_type, declared] = plan
        return plan

    def plan_of(self, day: date) -> DayPlan:
        """Return the day plan of a local date, by the version's calendar."""
        calendar = self.calendar
        return self.day_plan(day.month, calendar.day_type(day), day in calendar.declared)

    def band_at(self, day: date, minute: int) -> str:
        """Return the band in force at a minute (0..1439, wall clock) of a local date."""
        if not 0 <= minute < MINUTES_A_DAY:
            raise ValueError(f"A day has the minutes 0 to 1439, not {minute}.")
        for _start, end, band in self.plan_of(day):
            if minute < end:
                return band
        raise AssertionError("a day plan ends at minute 1440")

    def check(self) -> list[str]:
        """Return every problem as a sentence naming its minute, band or tier; [] when fit."""
        return [
            *self._band_problems(),
            *self._window_problems(),
            *self._hole_problems(),
            *self._tier_problems(),
            *self._price_problems(),
        ]

    def _painted(
        self, month: int, day_type: str, declared: bool = False
    ) -> tuple[DayPlan, list[tuple[int, int]]]:
        """Return the day's rows, and the (start, end) minutes that no band covers."""
        parts = [
            (start, end, window.band)
            for window in self.windows
            if month in window.months
            and (declared if window.declared_only else day_type in window.day_types)
            for start, end in window.parts()
        ]
        cuts = sorted({0, MINUTES_A_DAY, *(minute for part in parts for minute in part[:2])})
        rows: list[tuple[int, int, str | None]] = []
        for start, end in itertools.pairwise(cuts):
            band = self.rest_band
            for part_start, part_end, part_band in reversed(parts):
                if part_start <= start and end <= part_end:
                    band = part_band
                    break
            if rows and rows[-1][2] == band:
                rows[-1] = (rows[-1][0], end, band)
            else:
                rows.append((start, end, band))
        plan = tuple((start, end, band) for start, end, band in rows if band is not None)
        return plan, [(start, end) for start, end, band in rows if band is None]

    def _band_problems(self) -> list[str]:
        problems = []
        if not self.bands:
            problems.append("There is no band.")
        for band in sorted({band for band in self.bands if self.bands.count(band) > 1}):
            problems.append(f"Band {band!r} is listed more than once.")
        if self.rest_band is not None and self.rest_band not in self.bands:
            problems.append(f"The band {self.rest_band!r} of all other hours is unknown.")
        return problems

    def _window_problems(self) -> list[str]:
        problems = []
        for number, window in enumerate(self.windows, 1):
            name = (
                f"Window {number} ({window.band!r}, "
                f"{_clock(window.start_minute)}-{_clock(window.end_minute)})"
            )
            if window.band not in self.bands:
                problems.append(f"{name} has an unknown band.")
            if not window.months:
                problems.append(f"{name} is empty: it has no month.")
            if not window.day_types:
                problems.append(f"{name} is empty: it has no day type.")
            for month in sorted(window.months - frozenset(range(1, 13))):
                problems.append(f"{name} names month {month}; months are 1 to 12.")
            for unknown in sorted(window.day_types - frozenset(DAY_TYPES)):
                problems.append(f"{name} names the unknown day type {unknown!r}.")
            if not (0 <= window.start_minute < MINUTES_A_DAY):
                problems.append(f"{name} starts at minute {window.start_minute}, outside 0..1439.")
            if not (0 < window.end_minute <= MINUTES_A_DAY):
                problems.append(f"{name} ends at minute {window.end_minute}, outside 1..1440.")
        return problems

    def _hole_problems(self) -> list[str]:
        found: dict[tuple[int, int], dict[str, list[int]]] = {}
        for kind in DAY_TYPES:
            for month in range(1, 13):
                for hole in self._painted(month, kind)[1]:
                    found.setdefault(hole, {}).setdefault(kind, []).append(month)
        return [
            f"No band from {_clock(start)} to {_clock(end)} on a {kind} in month "
            f"{', '.join(map(str, months))}."
            for (start, end), kinds in sorted(found.items())
            for kind, months in kinds.items()
        ]

    def _tier_problems(self) -> list[str]:
        problems = []
        previous: Decimal | None = None
        for tier, limit in enumerate(self.tier_limits, 1):
            if not limit.is_finite():
                problems.append(f"The limit of tier {tier} is {limit}; only the last tier is open.")
                continue
            if limit <= 0:
                problems.append(f"The limit of tier {tier} must be above zero, not {limit}.")
            if previous is not None and limit == previous:
                problems.append(f"The limit {limit} of tier {tier} is the one of the tier before.")
            elif previous is not None and limit < previous:
                problems.append(
                    f"The limit {limit} of tier {tier} is below {previous}, the one of the tier "
                    "before."
                )
            previous = limit
        if self.tier_period not in ("month", "quarter", "year"):
            problems.append(f"The tier period {self.tier_period!r} is unknown.")
        if not 1 <= self.tier_year_month <= 12:
            problems.append(f"The tier year starts in month {self.tier_year_month}, not in 1..12.")
        if self.allocation not in ALLOCATIONS:
            problems.append(f"The allocation {self.allocation!r} of tiers to bands is unknown.")
        return problems

    def _price_problems(self) -> list[str]:
        problems = []
        for band in dict.fromkeys(self.bands):
            for tier in self.tiers:
                price = self.prices.get((band, tier))
                name = f"band {band!r}, tier {tier}"
                if price is None:
                    problems.append(f"There is no price for {name}.")
                elif not price.is_finite() or price < 0:
                    problems.append(f"The price for {name} must be zero or more, not {price}.")
                elif (Fraction(price) * 10**PRICE_DECIMALS).denominator != 1:
                    problems.append(
                        f"The price {price} for {name} has more than {PRICE_DECIMALS} decimals."
                    )
        for band, tier in sorted(self.prices):
            if band not in self.bands:
                problems.append(f"There is a price for the unknown band {band!r}.")
            elif tier not in self.tiers:
                problems.append(
                    f"There is a price for band {band!r}, tier {tier}, which has no limit."
                )
        return problems


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
