"""A tariff version: which band is in force when, which tier begins where, what a unit costs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property

from .day_types import DAY_TYPES, PLAIN_CALENDAR, Calendar
from .tariff_check import MINUTES_A_DAY, Problem, clock, problems

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
    periods. The first ``fixed_limits`` of them, such as a free quantity, are not raised for bigger
    households. ``prices`` holds a gross price per unit for each (band, tier), tiers counted from 1.
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
    fixed_limits: int = 0
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
            plan = _merged(self.painted(month, day_type, declared))
            for start, end, band in plan:
                if band is None:
                    raise ValueError(
                        f"Tariff version {self.key} has no band from {clock(start)} to "
                        f"{clock(end)} on a {day_type} in month {month}."
                    )
            self._plans[month, day_type, declared] = plan
        return plan

    def plan_of(self, day: date) -> DayPlan:
        """Return the day plan of a local date, by the version's calendar."""
        calendar = self.calendar
        return self.day_plan(day.month, calendar.day_type(day), day in calendar.declared)

    def problems(self) -> list[Problem]:
        """Return everything that keeps this version from pricing all use; [] when fit."""
        return problems(self)

    def check(self) -> list[str]:
        """Return the problems as English sentences naming their minute, band or tier."""
        return [str(problem) for problem in self.problems()]

    def painted(
        self, month: int, day_type: str, declared: bool
    ) -> list[tuple[int, int, str | None, int | None]]:
        """Return (start, end, band, number of the window) rows that cover 0..1440 exactly once.

        The number is None where the rest applies, the band as well where there is none.
        """
        parts = [
            (start, end, window.band, number)
            for number, window in enumerate(self.windows, 1)
            if month in window.months
            and (declared if window.declared_only else day_type in window.day_types)
            for start, end in window.parts()
        ]
        cuts = sorted({0, MINUTES_A_DAY, *(minute for part in parts for minute in part[:2])})
        rows: list[tuple[int, int, str | None, int | None]] = []
        for start, end in itertools.pairwise(cuts):
            top = (self.rest_band, None)
            for part_start, part_end, *window in reversed(parts):
                if part_start <= start and end <= part_end:
                    top = tuple(window)
                    break
            if rows and rows[-1][2:] == top:
                rows[-1] = (rows[-1][0], end, *top)
            else:
                rows.append((start, end, *top))
        return rows


def plan_rows(
    version: TariffVersion,
) -> list[tuple[tuple[int, ...], str, bool, tuple[tuple[int, int, str | None], ...]]]:
    """Return the distinct day plans: (months, day type, declared, rows), in that order.

    Rows are (start_minute, end_minute, band) and cover the day; the band is None where there is
    none. Plans of declared dates stand only where they differ.
    """
    found: dict[tuple[str, bool, tuple], list[int]] = {}
    for kind in DAY_TYPES:
        for month in range(1, 13):
            plain = _merged(version.painted(month, kind, False))
            found.setdefault((kind, False, plain), []).append(month)
            declared = _merged(version.painted(month, kind, True))
            if declared != plain:
                found.setdefault((kind, True, declared), []).append(month)
    plans = [(tuple(months), *key) for key, months in found.items()]
    return sorted(plans, key=lambda plan: (plan[0], DAY_TYPES.index(plan[1]), plan[2]))


def _merged(
    rows: Sequence[tuple[int, int, str | None, int | None]],
) -> tuple[tuple[int, int, str | None], ...]:
    """Join neighbouring rows of one band."""
    merged: list[tuple[int, int, str | None]] = []
    for start, end, band, _number in rows:
        if merged and merged[-1][2] == band:
            merged[-1] = (merged[-1][0], end, band)
        else:
            merged.append((start, end, band))
    return tuple(merged)
