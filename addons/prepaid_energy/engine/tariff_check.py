"""What keeps a tariff version from pricing every unit of use, as codes with values."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from .day_types import DAY_TYPES

if TYPE_CHECKING:
    from .tariff import TariffVersion, Window

MINUTES_A_DAY = 1440
PRICE_DECIMALS = 6
MONTHS = range(1, 13)
# Other first days would not be in every month: a tier year that begins on 29 February.
FIRST_DAYS = range(1, 29)
TIER_PERIODS = ("month", "quarter", "year")
ALLOCATIONS = ("to_date", "proportional", "chronological")

#: The English sentence of each code; bands stand by their keys, times as "08:30", windows by their
#: number from 1, several months as "1, 2, 3".
SENTENCES = {
    "band_none": "There is no band.",
    "band_twice": "Band '%(band)s' is listed more than once.",
    "band_unused": "Band '%(band)s' is never in force.",
    "rest_unknown": "The band '%(band)s' of all other hours is unknown.",
    "window_band": "Window %(number)s ('%(band)s', %(start)s-%(end)s) has an unknown band.",
    "window_no_month": "Window %(number)s ('%(band)s', %(start)s-%(end)s) is empty: it has no "
    "month.",
    "window_no_day": "Window %(number)s ('%(band)s', %(start)s-%(end)s) is empty: it has no day "
    "type.",
    "window_month": "Window %(number)s ('%(band)s', %(start)s-%(end)s) names month %(month)s; "
    "months are 1 to 12.",
    "window_day": "Window %(number)s ('%(band)s', %(start)s-%(end)s) names the unknown day type "
    "'%(day_type)s'.",
    "window_start": "Window %(number)s ('%(band)s') starts at minute %(minute)s, outside 0..1439.",
    "window_end": "Window %(number)s ('%(band)s') ends at minute %(minute)s, outside 1..1440.",
    "window_hidden": "Window %(number)s ('%(band)s', %(start)s-%(end)s) is never in force: later "
    "windows cover it.",
    "overlap": "Window %(number)s ('%(band)s', %(start)s-%(end)s) and window %(other_number)s "
    "('%(other_band)s', %(other_start)s-%(other_end)s) overlap from %(from)s to %(to)s, and "
    "neither lies inside the other.",
    "hole": "No band from %(start)s to %(end)s on a %(day_type)s in month %(months)s.",
    "calendar_day": "The calendar names the unknown day type '%(day_type)s' for %(date)s.",
    "limit_open": "The limit of tier %(tier)s is %(limit)s; only the last tier is open.",
    "limit_zero": "The limit of tier %(tier)s must be above zero, not %(limit)s.",
    "limit_same": "The limit %(limit)s of tier %(tier)s is the one of the tier before.",
    "limit_below": "The limit %(limit)s of tier %(tier)s is below %(previous)s, the one of the "
    "tier before.",
    "tier_closed": "The last tier is closed: use above the limit %(limit)s of tier %(tier)s has no "
    "price.",
    "tier_period": "The tier period '%(period)s' is unknown.",
    "tier_month": "The tier year starts in month %(month)s, not in 1..12.",
    "tier_day": "The tier periods start on day %(day)s; that may be 1 to 28.",
    "allocation": "The allocation '%(allocation)s' of tiers to bands is unknown.",
    "season_period": "Limits by season need a tier period of one month.",
    "season_empty": "Season %(number)s of the limits has no month.",
    "season_month": "Season %(number)s of the limits names month %(month)s; months are 1 to 12.",
    "season_twice": "Month %(month)s has limits of two seasons.",
    "price_none": "There is no price for band '%(band)s', tier %(tier)s.",
    "price_negative": "The price for band '%(band)s', tier %(tier)s must be zero or more, not "
    "%(price)s.",
    "price_decimals": "The price %(price)s for band '%(band)s', tier %(tier)s has more than 6 "
    "decimals.",
    "price_band": "There is a price for the unknown band '%(band)s'.",
    "price_tier": "There is a price for band '%(band)s', tier %(tier)s, which has no limit.",
    "charge": "The amount %(amount)s of '%(charge)s' must be zero or more.",
}

#: Put before the sentence of a limit that holds in some months only.
SEASON = "Month %(season)s: "


class Problem(NamedTuple):
    """``code``: a key of ``SENTENCES``; ``values``: what its sentence names.

    ``values["season"]`` is in the problems of limits only: "7, 8, 9", or "" for all other months.
    """

    code: str
    values: Mapping[str, object]

    def __str__(self) -> str:
        season = SEASON % self.values if self.values.get("season") else ""
        return season + SENTENCES[self.code] % self.values


def problems(version: TariffVersion) -> list[Problem]:
    """Return every problem of a version; [] when it can price all use."""
    return [
        *_bands(version),
        *_windows(version),
        *_overlaps(version),
        *_plans(version),
        *_tiers(version),
        *_seasons(version),
        *_prices(version),
        *_charges(version),
    ]


def clock(minute: int) -> str:
    """Return a minute of the day as "08:30"."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _bands(version: TariffVersion) -> Iterator[Problem]:
    if not version.bands:
        yield Problem("band_none", {})
    for band, count in sorted(Counter(version.bands).items()):
        if count > 1:
            yield Problem("band_twice", {"band": band})
    if version.rest_band is not None and version.rest_band not in version.bands:
        yield Problem("rest_unknown", {"band": version.rest_band})
    for day, kind in sorted(version.calendar.days.items()):
        if kind not in DAY_TYPES:
            yield Problem("calendar_day", {"day_type": kind, "date": day})


def _name(number: int, window: Window) -> dict[str, object]:
    return {
        "number": number,
        "band": window.band,
        "start": clock(window.start_minute),
        "end": clock(window.end_minute),
    }


def _windows(version: TariffVersion) -> Iterator[Problem]:
    for number, window in enumerate(version.windows, 1):
        name = _name(number, window)
        if window.band not in version.bands:
            yield Problem("window_band", name)
        if not window.months:
            yield Problem("window_no_month", name)
        if not window.day_types and not window.declared_only:
            yield Problem("window_no_day", name)
        for month in sorted(window.months.difference(MONTHS)):
            yield Problem("window_month", {**name, "month": month})
        for kind in sorted(window.day_types.difference(DAY_TYPES)):
            yield Problem("window_day", {**name, "day_type": kind})
        if not 0 <= window.start_minute < MINUTES_A_DAY:
            yield Problem("window_start", {**name, "minute": window.start_minute})
        if not 0 < window.end_minute <= MINUTES_A_DAY:
            yield Problem("window_end", {**name, "minute": window.end_minute})


def _overlaps(version: TariffVersion) -> Iterator[Problem]:
    """Find windows of one day that cross: one inside the other is meant, as sharp in peak."""
    numbered = list(enumerate(version.windows, 1))
    for (number, one), (other_number, other) in itertools.combinations(numbered, 2):
        if (
            one.band == other.band
            or one.declared_only != other.declared_only
            or not one.months & other.months
            or not (one.declared_only or one.day_types & other.day_types)
        ):
            continue
        minutes, other_minutes = _minutes(one), _minutes(other)
        common = minutes & other_minutes
        if common and common not in (minutes, other_minutes):
            first = min(common)
            end = next(minute for minute in itertools.count(first) if minute not in common)
            yield Problem(
                "overlap",
                {
                    **_name(number, one),
                    **{f"other_{k}": v for k, v in _name(other_number, other).items()},
                    "from": clock(first),
                    "to": clock(end),
                },
            )


def _minutes(window: Window) -> frozenset[int]:
    return frozenset(itertools.chain.from_iterable(range(*part) for part in window.parts()))


def _plans(version: TariffVersion) -> Iterator[Problem]:
    """Find minutes without a band, and bands and windows that are never in force."""
    holes: dict[tuple[int, int], dict[str, list[int]]] = {}
    bands, windows = set(), set()
    declared = any(window.declared_only for window in version.windows)
    for kind, month in itertools.product(DAY_TYPES, MONTHS):
        for start, end, band, number in version.painted(month, kind, False):
            bands.add(band)
            windows.add(number)
            if band is None:
                holes.setdefault((start, end), {}).setdefault(kind, []).append(month)
        if declared:
            for _start, _end, band, number in version.painted(month, kind, True):
                bands.add(band)
                windows.add(number)
    for (start, end), kinds in sorted(holes.items()):
        for kind, months in kinds.items():
            yield Problem(
                "hole",
                {
                    "start": clock(start),
                    "end": clock(end),
                    "day_type": kind,
                    "months": _list(months),
                },
            )
    for number, window in enumerate(version.windows, 1):
        applies = window.months.intersection(MONTHS) and (
            window.declared_only or window.day_types.intersection(DAY_TYPES)
        )
        if applies and number not in windows:
            yield Problem("window_hidden", _name(number, window))
    for band in dict.fromkeys(version.bands):
        if band not in bands:
            yield Problem("band_unused", {"band": band})


def _tiers(version: TariffVersion) -> Iterator[Problem]:
    yield from _limits(version.tier_limits, "")
    if version.tier_period not in TIER_PERIODS:
        yield Problem("tier_period", {"period": version.tier_period})
    if version.tier_year_month not in MONTHS:
        yield Problem("tier_month", {"month": version.tier_year_month})
    if version.tier_year_day not in FIRST_DAYS:
        yield Problem("tier_day", {"day": version.tier_year_day})
    if version.allocation not in ALLOCATIONS:
        yield Problem("allocation", {"allocation": version.allocation})


def _seasons(version: TariffVersion) -> Iterator[Problem]:
    if version.tier_seasons and version.tier_period != "month":
        yield Problem("season_period", {})
    seen: Counter[int] = Counter()
    for number, season in enumerate(version.tier_seasons, 1):
        if not season.months:
            yield Problem("season_empty", {"number": number})
        for month in sorted(season.months.difference(MONTHS)):
            yield Problem("season_month", {"number": number, "month": month})
        seen.update(season.months)
        yield from _limits(season.limits, _list(sorted(season.months)))
    for month, count in sorted(seen.items()):
        if count > 1:
            yield Problem("season_twice", {"month": month})


def _limits(limits: tuple[Decimal, ...], season: str) -> Iterator[Problem]:
    previous: Decimal | None = None
    for tier, limit in enumerate(limits, 1):
        values = {"tier": tier, "limit": limit, "season": season}
        if not limit.is_finite():
            yield Problem("limit_open", values)
            continue
        if limit <= 0:
            yield Problem("limit_zero", values)
        if previous is not None and limit == previous:
            yield Problem("limit_same", values)
        elif previous is not None and limit < previous:
            yield Problem("limit_below", {**values, "previous": previous})
        previous = limit


def _prices(version: TariffVersion) -> Iterator[Problem]:
    bands, last = dict.fromkeys(version.bands), version.tiers[-1]
    closed = last > 1 and bands and all((band, last) not in version.prices for band in bands)
    if closed:
        limits = [version.tier_limits, *(season.limits for season in version.tier_seasons)]
        limit = max((row[-1] for row in limits if len(row) == last - 1), default=None)
        yield Problem("tier_closed", {"limit": limit, "tier": last - 1})
    for band, tier in itertools.product(bands, version.tiers):
        price = version.prices.get((band, tier))
        values = {"band": band, "tier": tier, "price": price}
        if price is None:
            if not (closed and tier == last):
                yield Problem("price_none", values)
        elif not price.is_finite() or price < 0:
            yield Problem("price_negative", values)
        elif not _fits(price):
            yield Problem("price_decimals", values)
    for band, tier in sorted(version.prices):
        if band not in bands:
            yield Problem("price_band", {"band": band, "tier": tier})
        elif tier not in version.tiers:
            yield Problem("price_tier", {"band": band, "tier": tier})


def _charges(version: TariffVersion) -> Iterator[Problem]:
    for charge in ("per_day", "per_month", "minimum"):
        amount = getattr(version, charge)
        if not amount.is_finite() or amount < 0:
            yield Problem("charge", {"charge": charge, "amount": amount})


def _fits(price: Decimal) -> bool:
    return (Fraction(price) * 10**PRICE_DECIMALS).denominator == 1


def _list(months: list[int]) -> str:
    return ", ".join(map(str, months))
