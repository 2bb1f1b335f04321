"""Exact money for the use of one unit: (account, commodity, tier period).

Every figure is a function of the use cumulated so far; a charge is the difference of two such
figures. So the money does not depend on how often, or in which pieces, use is rated.

A unit is cut into segments: one a version where tiers are allocated "to_date" or "chronological",
one a (version, month) where they are "proportional". Segments stand one behind the other in the
order in which they were first used, and the tier counter runs through them: a segment with
quantity Q behind segments that hold C takes from each tier what lies between C and C + Q. Use under
a version without limits moves no counter: it stands in the first tier, whatever is used. Inside a
segment every tier is shared over the (supply, band) cells by their share of Q. Therefore a day on
which one band was used may shift the tiers of another.

Where tiers are "chronological" the counter at the beginning of each local day decides instead: the
use of all earlier days, and on the day itself that of versions with a smaller key. Inside a day
tiers are shared over its cells. So a day's money never changes by what is used later, and does not
depend on pieces either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from operator import itemgetter
from typing import NamedTuple

from .rounding import CUTTING, EXACT, quotient_half_up
from .tariff import TariffVersion
from .tariff_check import ALLOCATIONS
from .tier_period import period_months, tier_period_start

LINE_UNIT = Decimal("1E-12")
_ZERO = Decimal(0)
_NOTHING = (_ZERO, _ZERO)

# Quantity and amount by (supply, band, tier).
Values = dict[tuple[int, str, int], tuple[Decimal, Decimal]]


class Line(NamedTuple):
    """What the use through ``date`` changes in one supply, version, band and tier.

    ``quantity`` and ``amount`` are differences of cumulated values rounded half up to 12 decimals,
    so that the sum of all lines of a unit is the rounded cumulated value (where tiers are
    chronological, each day's is rounded by itself). Over the tiers the quantities of a day add up
    to the use of the day exactly. Either may be negative where tiers shift between bands.
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

    ``due`` holds the calendar months of the unit named in ``before`` or touched by ``days``. The
    dues of all months add up to the due of the unit. Decimal where no share was taken, else
    Fraction. A version with chronological tiers adds to it the money of ``days`` alone, as what the
    days before cost cannot be told from rows by month: rate such a unit from the first day of a
    month on, or take the change of a month from the lines.
    """

    lines: list[Line]
    due: dict[date, Decimal | Fraction]


def rate(
    versions: Mapping[int, TariffVersion],
    before: Sequence[tuple[date, int, int, str, Decimal]],
    days: Sequence[tuple[date, Mapping[tuple[int, int, str], Decimal]]],
    limits: Mapping[int, tuple[Decimal, ...]] | None = None,
) -> RatedUnit:
    """Rate the days of a unit after the use that stands before them.

    ``versions`` holds the versions named by the other two, by key. ``before`` is the use of the
    unit before the first of ``days``, cumulated by month: rows (first day of month, supply,
    version, band, quantity), ordered by month and, inside a month, by the date on which the
    version was first used, then by version. ``days`` holds (local date, {(supply, version, band):
    quantity}) in order of date, up to the last day with use. Rows with quantity 0 change nothing,
    except that their month is named in ``due``.

    ``limits`` holds the unit's own limits by version (see ``unit_limits``); a version that is not
    in it has its ``tier_limits``. Where it is given, all rows are taken to be of one tier period.

    Raises ValueError for a version, limit or price that is missing, an unknown allocation, rows out
    of order, a negative quantity, and, without ``limits``, use of two tier periods.
    """
    with localcontext(EXACT):
        unit = _Unit(versions, limits)
        for month, supply, version, band, quantity in before:
            unit.open_month(month)
            if quantity:
                unit.segment(version).add_before(supply, band, quantity)
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


def rate_untiered(
    versions: Mapping[int, TariffVersion],
    days: Sequence[tuple[date, Mapping[tuple[int, int, str], Decimal]]],
) -> list[Line]:
    """Rate days under versions without tiers, each by itself: quantity times price.

    The lines are those that ``rate`` gives for each of the days alone; here without its counters,
    as most use is rated so. Arguments as there.

    Raises ValueError for a version or price that is missing, and a negative quantity.
    """
    lines = []
    for day, use in days:
        cells = [(key, supply, band) for (supply, key, band), quantity in use.items() if quantity]
        if len(cells) > 1:
            cells.sort(key=itemgetter(0))
        for key, supply, band in cells:
            quantity = use[supply, key, band]
            if not (quantity.is_finite() and quantity > 0):
                raise ValueError(
                    f"Use must be zero or more, not {quantity} (supply {supply}, {band})."
                )
            version = versions.get(key)
            if version is None:
                raise ValueError(f"Tariff version {key} is missing.")
            amount = EXACT.multiply(version.price(band, 1), quantity)
            amount = amount.quantize(LINE_UNIT, ROUND_HALF_UP, CUTTING)
            lines.append(Line(day, supply, key, band, 1, quantity, amount))
    return lines


class _Unit:
    """The segments of a unit while its use is counted up."""

    __slots__ = ("due", "has_days", "limits", "month", "open", "period", "segments", "versions")

    def __init__(
        self,
        versions: Mapping[int, TariffVersion],
        limits: Mapping[int, tuple[Decimal, ...]] | None,
    ) -> None:
        self.versions = versions
        self.limits = limits
        self.has_days = False
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
            start += segment.counted
        self.due[self.month] = due

    def segment(self, key: int) -> _Segment:
        """Return the segment of a version in the open month, behind all others where it is new."""
        segment = self.open.get(key)
        if segment is None:
            version = self.versions.get(key)
            if version is None:
                raise ValueError(f"Tariff version {key} is missing.")
            if version.allocation not in ALLOCATIONS:
                raise ValueError(
                    f"Tariff version {key} allocates tiers {version.allocation!r}, which cannot be "
                    f"rated; known are {', '.join(ALLOCATIONS)}."
                )
            limits = version.tier_limits
            if self.limits is None:
                if version.tier_year_day == 1:
                    self._check(version, self.month)
            else:
                limits = self.limits.get(key, limits)
            by_month = limits and version.allocation == "proportional"
            place = (key, self.month if by_month else None)
            segment = self.segments.get(place)
            if segment is None:
                by_day = limits and version.allocation == "chronological"
                segment = (_Days if by_day else _Segment)(version, limits)
                self.segments[place] = segment
                self.has_days = self.has_days or isinstance(segment, _Days)
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
        if self.limits is None:
            for segment in touched:
                if segment.version.tier_year_day != 1:
                    self._check(segment.version, day)
        affected: list[_Segment] = []  # the first one touched and all behind it
        begin = start = _ZERO
        for segment in self.segments.values():
            if not affected:
                if segment not in touched:
                    start += segment.counted
                    continue
                begin = start
            affected.append(segment)
            if segment.values is None:
                segment.values = segment.rated(start)
            start += segment.counted
        if self.has_days:
            counter = start  # what all earlier days used
            for key, segment in zip(keys, touched, strict=True):
                if isinstance(segment, _Days):
                    segment.counter = counter
                if segment.limits:
                    counter += sum((use[cell] for cell in use if cell[1] == key), _ZERO)
        for (supply, key, band), quantity in use.items():
            if quantity:
                self.open[key].add(supply, band, quantity)
        for segment in affected:
            old, new = segment.change(begin)
            begin += segment.counted
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

    def _check(self, version: TariffVersion, day: date) -> None:
        start, months = period = (tier_period_start(version, day), period_months(version))
        if self.period is None:
            self.period = period
        elif self.period != period:
            raise ValueError(
                f"Use of {day:%Y-%m} under tariff version {version.key} belongs to the tier "
                f"period of {months} months from {start}, not to the one of {self.period[1]} "
                f"months from {self.period[0]}."
            )


class _Segment:
    """The use of a part of a unit, and what it costs behind a given counter."""

    __slots__ = ("cells", "due_before", "limits", "place", "total", "values", "version")

    def __init__(self, version: TariffVersion, limits: tuple[Decimal, ...]) -> None:
        self.version = version
        self.limits = limits
        self.cells: dict[tuple[int, str], Decimal] = {}
        self.total = _ZERO
        # The due at the last month end, and the part of the counter (start, quantity) it was for.
        self.due_before: Decimal | Fraction = _ZERO
        self.place: tuple[Decimal, Decimal] | None = None
        self.values: Values | None = None

    def add(self, supply: int, band: str, quantity: Decimal) -> None:
        if not (quantity.is_finite() and quantity >= 0):
            raise ValueError(f"Use must be zero or more, not {quantity} (supply {supply}, {band}).")
        cells = self.cells
        cells[supply, band] = cells.get((supply, band), _ZERO) + quantity
        self.total += quantity

    add_before = add

    @property
    def counted(self) -> Decimal:
        """What the segment adds to the tier counter."""
        return self.total if self.limits else _ZERO

    def change(self, start: Decimal) -> tuple[Values, Values]:
        """Return the values before and after what was added last."""
        old = self.values
        self.values = self.rated(start)
        return old, self.values

    def tiers(self, start: Decimal) -> list[tuple[int, Decimal]]:
        """Return (tier, quantity) for the tiers that the segment reaches, lowest first."""
        end = start + self.total
        reached = []
        lower = start
        for tier, limit in enumerate(self.limits, 1):
            if limit > lower:
                if end <= limit:
                    reached.append((tier, end - lower))
                    return reached
                reached.append((tier, limit - lower))
                lower = limit
        reached.append((len(self.limits) + 1, end - lower))
        return reached

    def rated(self, start: Decimal) -> Values:
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


class _Days(_Segment):
    """The use of a version whose tiers are chronological: each day priced behind its counter."""

    __slots__ = ("counter", "day", "money")

    def __init__(self, version: TariffVersion, limits: tuple[Decimal, ...]) -> None:
        super().__init__(version, limits)
        self.values = {}
        self.counter = _ZERO  # at the beginning of the day
        self.day = _Segment(version, limits)
        self.money: Decimal | Fraction = _ZERO

    def add(self, supply: int, band: str, quantity: Decimal) -> None:
        self.day.add(supply, band, quantity)
        self.total += quantity

    def add_before(self, supply: int, band: str, quantity: Decimal) -> None:
        self.add(supply, band, quantity)
        self.day = _Segment(self.version, self.limits)  # it counts, but its day is not known

    def change(self, start: Decimal) -> tuple[Values, Values]:
        if not self.day.cells:
            return {}, {}
        day, self.day = self.day, _Segment(self.version, self.limits)
        self.money = _plus(self.money, day.due(self.counter), 1)
        return {}, day.rated(self.counter)

    def due(self, start: Decimal) -> Decimal | Fraction:
        """Return the money of the days rated; what stood before them only counts."""
        return self.money


def _plus(one: Decimal | Fraction, other: Decimal | Fraction, sign: int) -> Decimal | Fraction:
    """Return one + sign x other; a Decimal only where both are."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one + other if sign > 0 else one - other
    if not other:
        return one
    if not one and sign > 0:
        return other
    return Fraction(one) + sign * Fraction(other)
