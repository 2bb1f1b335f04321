"""Exact money for the use of one unit: (account, commodity, tier period).

Every figure is a function of the use cumulated so far; a charge is the difference of two such
figures. So the money does not depend on how often, or in which pieces, use is rated.

A unit is cut into segments: one a version where tiers are allocated "to_date", one a (version,
month) where they are "proportional". Segments stand one behind the other in the order in which
they were first used, and the tier counter runs through them: a segment with quantity Q behind
segments that hold C takes from each tier what lies between C and C + Q. Inside a segment every
tier is shared over the (supply, band) cells by their share of Q. Therefore a day on which one band
was used may shift the tiers of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from .rounding import CUTTING, EXACT, quotient_half_up
from .tariff import TariffVersion

LINE_UNIT = Decimal("1E-12")
_ZERO = Decimal(0)
_NOTHING = (_ZERO, _ZERO)
_PERIOD_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_ALLOCATIONS = ("to_date", "proportional")


class Line(NamedTuple):
    """What the use through ``date`` changes in one supply, version, band and tier.

    ``quantity`` and ``amount`` are differences of cumulated values rounded half up to 12 decimals,
    so that the sum of all lines of a unit is the rounded cumulated value. Over the tiers the
    quantities of a day add up to the use of the day exactly. Either may be negative where tiers
    shift between bands.
    """

    date: date
    supply: int
    version: int
    band: str
    tier: int
    quantity: Decimal
    amount: Decimal


class RatedUnit(NamedTuple):
    """``lines`` by date, and ``due``: the exact money due by first day of month.

    ``due`` holds the months of the unit named in ``before`` or touched by ``days``. The dues of
    all months add up to the due of the unit. Decimal where no share was taken, else Fraction.
    """

    lines: list[Line]
    due: dict[date, Decimal | Fraction]


def tier_period_start(version: TariffVersion, date: date) -> date:
    """Return the first day of the tier period in which a local date lies.

    Without tiers the period is the month. Quarters are those of the tier year.
    """
    months = _period_months(version)
    passed = (date.month - version.tier_year_month) % months
    return _months_later(date.replace(day=1), -passed)


def tier_period_end(version: TariffVersion, date: date) -> date:
    """Return the first day after the tier period in which a local date lies."""
    return _months_later(tier_period_start(version, date), _period_months(version))


def rate(
    versions: Mapping[int, TariffVersion],
    before: Sequence[tuple[date, int, int, str, Decimal]],
    days: Sequence[tuple[date, Mapping[tuple[int, int, str], Decimal]]],
) -> RatedUnit:
    """Rate the days of a unit after the use that stands before them.

    ``versions`` holds the versions named by the other two, by key. ``before`` is the use of the
    unit before the first of ``days``, cumulated by month: rows (first day of month, supply,
    version, band, quantity), ordered by month and, inside a month, by the date on which the
    version was first used, then by version. ``days`` holds (local date, {(supply, version, band):
    quantity}) in order of date, up to the last day with use. Rows with quantity 0 change nothing,
    except that their month is named in ``due``.

    Raises ValueError for a version or price that is missing, an allocation other than "to_date" or
    "proportional", rows out of order, a negative quantity, and use of two tier periods.
    """
    with localcontext(EXACT):
        unit = _Unit(versions)
        for month, supply, version, band, quantity in before:
            unit.open_month(month)
            if quantity:
                unit.segment(version).add(supply, band, quantity)
        lines: list[Line] = []
        previous: date | None = None
        for day, use in days:
            if previous is not None and day <= previous:
                raise ValueError(f"The days are not in order: {day} follows {previous}.")
            previous = day
            unit.open_month(day.replace(day=1))
            unit.add_day(day, use, lines)
        unit.close_month()
    return RatedUnit(lines, unit.due)


class _Unit:
    """The segments of a unit while its use is counted up."""

    __slots__ = ("due", "month", "open", "period", "segments", "versions")

    def __init__(self, versions: Mapping[int, TariffVersion]) -> None:
        self.versions = versions
        # By version and month, the month None where a segment spans all; in order of first use.
        self.segments: dict[tuple[int, date | None], _Segment] = {}
        self.open: dict[int, _Segment] = {}  # those of the open month, by version
        self.month: date | None = None
        self.period: tuple[date, int] | None = None  # first day, months
        self.due: dict[date, Decimal | Fraction] = {}

    def open_month(self, month: date) -> None:
        if month == self.month:
            return
        if self.month is not None:
            if month < self.month:
                raise ValueError(f"The months are not in order: {month} follows {self.month}.")
            self.close_month()
        if month.day != 1:
            raise ValueError(f"{month} is not the first day of a month.")
        self.month = month
        self.open = {}

    def close_month(self) -> None:
        """Note what became due in the open month: the change of all segments since the last."""
        if self.month is None:
            return
        due: Decimal | Fraction = _ZERO
        start = _ZERO
        for segment in self.segments.values():
            place = (start, segment.total)
            if segment.place != place:
                total = segment.due(start)
                due = _plus(due, _plus(total, segment.due_before, -1), 1)
                segment.due_before, segment.place = total, place
            start += segment.total
        self.due[self.month] = due

    def segment(self, key: int) -> _Segment:
        """Return the segment of a version in the open month, behind all others where it is new."""
        segment = self.open.get(key)
        if segment is None:
            version = self.versions.get(key)
            if version is None:
                raise ValueError(f"Tariff version {key} is missing.")
            self._check(version)
            by_month = version.tier_limits and version.allocation == "proportional"
            place = (key, self.month if by_month else None)
            segment = self.segments.get(place)
            if segment is None:
                segment = self.segments[place] = _Segment(version)
            self.open[key] = segment
        return segment

    def add_day(
        self, day: date, use: Mapping[tuple[int, int, str], Decimal], lines: list[Line]
    ) -> None:
        """Add the use of a day, and the lines it makes."""
        # On the same day versions stand in order of their keys, whatever the order of the cells.
        keys = sorted({cell[1] for cell, quantity in use.items() if quantity})
        touched = [self.segment(key) for key in keys]
        if not touched:
            return
        affected: list[_Segment] = []  # the first one touched and all behind it
        begin = start = _ZERO
        for segment in self.segments.values():
            if not affected:
                if segment not in touched:
                    start += segment.total
                    continue
                begin = start
            affected.append(segment)
            if segment.values is None:
                segment.values = segment.rated(start)
            start += segment.total
        for (supply, key, band), quantity in use.items():
            if quantity:
                self.open[key].add(supply, band, quantity)
        for segment in affected:
            old = segment.values
            segment.values = new = segment.rated(begin)
            begin += segment.total
            key = segment.version.key
            for cell in new if old.keys() <= new.keys() else {**new, **old}:
                old_quantity, old_amount = old.get(cell, _NOTHING)
                quantity, amount = new.get(cell, _NOTHING)
                if quantity != old_quantity or amount != old_amount:
                    supply, band, tier = cell
                    lines.append(
                        Line(
                            day,
                            supply,
                            key,
                            band,
                            tier,
                            quantity - old_quantity,
                            amount - old_amount,
                        )
                    )

    def _check(self, version: TariffVersion) -> None:
        if version.allocation not in _ALLOCATIONS:
            raise ValueError(
                f"Tariff version {version.key} allocates tiers {version.allocation!r}, which "
                f"cannot be rated; known are {' and '.join(_ALLOCATIONS)}."
            )
        if version.tier_limits:
            period = (tier_period_start(version, self.month), _period_months(version))
        else:
            period = (self.month, 1)
        if self.period is None:
            self.period = period
        elif self.period != period:
            raise ValueError(
                f"Use of {self.month:%Y-%m} under tariff version {version.key} belongs to the tier "
                f"period of {period[1]} months from {period[0]}, not to the one of "
                f"{self.period[1]} months from {self.period[0]}."
            )


class _Segment:
    """The use of a part of a unit, and what it costs behind a given counter."""

    __slots__ = ("cells", "due_before", "place", "total", "values", "version")

    def __init__(self, version: TariffVersion) -> None:
        self.version = version
        self.cells: dict[tuple[int, str], Decimal] = {}
        self.total = _ZERO
        # The due at the last month end, and the part of the counter (start, quantity) it was for.
        self.due_before: Decimal | Fraction = _ZERO
        self.place: tuple[Decimal, Decimal] | None = None
        self.values: dict[tuple[int, str, int], tuple[Decimal, Decimal]] | None = None

    def add(self, supply: int, band: str, quantity: Decimal) -> None:
        if not (quantity.is_finite() and quantity >= 0):
            raise ValueError(f"Use must be zero or more, not {quantity} (supply {supply}, {band}).")
        cells = self.cells
        cells[supply, band] = cells.get((supply, band), _ZERO) + quantity
        self.total += quantity

    def tiers(self, start: Decimal) -> list[tuple[int, Decimal]]:
        """Return (tier, quantity) for the tiers that the segment reaches, lowest first."""
        end = start + self.total
        reached = []
        lower = start
        for tier, limit in enumerate(self.version.tier_limits, 1):
            if limit > lower:
                if end <= limit:
                    reached.append((tier, end - lower))
                    return reached
                reached.append((tier, limit - lower))
                lower = limit
        reached.append((len(self.version.tier_limits) + 1, end - lower))
        return reached

    def rated(self, start: Decimal) -> dict[tuple[int, str, int], tuple[Decimal, Decimal]]:
        """Return quantity and amount, both to 12 decimals, by (supply, band, tier)."""
        total, price = self.total, self.version.price
        if not total:
            return {}
        tiers = self.tiers(start)
        values = {}
        if len(tiers) == 1:
            tier = tiers[0][0]
            for (supply, band), quantity in self.cells.items():
                amount = price(band, tier) * quantity
                values[supply, band, tier] = (
                    quantity,
                    amount.quantize(LINE_UNIT, ROUND_HALF_UP, CUTTING),
                )
            return values
        for (supply, band), quantity in self.cells.items():
            # Differences of the share cumulated over tiers, so that the tiers add up to the cell.
            below = taken = _ZERO
            for tier, volume in tiers:
                below += volume
                if below == total:
                    share = quantity
                else:
                    share = quotient_half_up(quantity * below, total, LINE_UNIT)
                    share = min(share, quantity)
                amount = quotient_half_up(price(band, tier) * quantity * volume, total, LINE_UNIT)
                values[supply, band, tier] = (share - taken, amount)
                taken = share
        return values

    def due(self, start: Decimal) -> Decimal | Fraction:
        """Return the exact money of the segment."""
        price = self.version.price
        tiers = self.tiers(start)
        if len(tiers) == 1:
            tier = tiers[0][0]
            return sum(
                (price(band, tier) * quantity for (_, band), quantity in self.cells.items()), _ZERO
            )
        if len(self.cells) == 1:
            ((_, band),) = self.cells
            return sum((price(band, tier) * volume for tier, volume in tiers), _ZERO)
        weighted = sum(
            (
                price(band, tier) * volume * quantity
                for (_, band), quantity in self.cells.items()
                for tier, volume in tiers
            ),
            _ZERO,
        )
        return Fraction(weighted) / Fraction(self.total)


def _plus(one: Decimal | Fraction, other: Decimal | Fraction, sign: int) -> Decimal | Fraction:
    """Return one + sign x other; a Decimal only where both are."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one + other if sign > 0 else one - other
    return Fraction(one) + sign * Fraction(other)


def _period_months(version: TariffVersion) -> int:
    if not version.tier_limits:
        return 1
    months = _PERIOD_MONTHS.get(version.tier_period)
    if months is None:
        raise ValueError(
            f"Tariff version {version.key} has the unknown tier period {version.tier_period!r}."
        )
    return months


def _months_later(first: date, months: int) -> date:
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
