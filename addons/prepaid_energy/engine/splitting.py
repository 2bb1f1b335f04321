"""Use between readings, cut at local midnights, band edges and the edges of spans.

The register at a boundary between two readings is interpolated in one place, ``interpolate``; a
quantity is always the difference of two boundary registers. So whatever is cut adds up again, and
cutting in pieces gives what cutting at once gives.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .rounding import EXACT, quotient_half_up
from .tariff import TariffVersion

REGISTER_UNIT = Decimal("0.000001")
_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_MIDNIGHT = datetime.min.time()
_EDGES_KEPT = 4096


class Point(NamedTuple):
    """An accepted reading: the register (unit of the meter, before the multiplier) at a moment.

    With a ``baseline`` the register begins anew: nothing between the reading before it and this one
    is use.
    """

    moment: datetime
    register: Decimal
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` to before ``end`` (None: open) use is multiplied and priced by ``version``."""

    start: datetime
    end: datetime | None
    multiplier: Decimal
    version: TariffVersion


class Cell(NamedTuple):
    """The use of one local date in one band of one tariff version.

    ``interpolated`` tells that a register that bounds the cell was not read and lies in a gap
    between readings longer than the marked gap; where nothing was used nothing was interpolated.
    """

    date: date
    version: int
    band: str
    quantity: Decimal
    interpolated: bool


class Edge(NamedTuple):
    """A band in force from ``start`` to before ``end`` (UTC)."""

    start: datetime
    end: datetime
    band: str


def interpolate(before: Point, after: Point, moment: datetime) -> Decimal:
    """Return the register at a moment between two readings: linear over time, half up to 1e-6.

    Time is absolute, so that a change of clocks does not bend the line. The result never leaves
    the two registers, also where these have more than six decimals.
    """
    length = (after.moment - before.moment) // _MICROSECOND
    passed = (moment - before.moment) // _MICROSECOND
    if not 0 <= passed <= length or not length:
        raise ValueError(f"{moment} is not between the readings {before} and {after}.")
    weighted = EXACT.add(
        EXACT.multiply(before.register, length - passed),
        EXACT.multiply(after.register, passed),
    )
    register = quotient_half_up(weighted, length, REGISTER_UNIT)
    return min(max(register, before.register), after.register)


def split(
    points: Sequence[Point],
    spans: Sequence[Span],
    zone: ZoneInfo,
    *,
    modulus: Decimal | None = None,
    virtual: Set[datetime] = frozenset(),
    marked_gap: timedelta = timedelta(hours=1),
) -> list[Cell]:
    """Cut the use between readings into one cell a (local date, version, band).

    ``points`` are the accepted readings in order of time, ``spans`` cover the time that belongs to
    somebody (in any order, not overlapping); use in time without a span is nobody's and is left
    out, as is all before the first and after the last point, and what lies before a baseline.
    ``modulus`` is the value at which the register starts again at zero, where that is known.
    ``virtual`` are the moments of points that were not read (see ``shaping``). Cells come in order
    of date; one with quantity 0 says that the band was in force and nothing was used.

    For a point b between a and c, split(a..b) and split(b..c) add up to split(a..c) exactly.

    Raises ValueError for points out of order, registers that are no numbers, a fall of the
    register without a known modulus (naming both points), overlapping spans, and a version
    without a band at some minute.
    """
    ordered = checked_spans(spans)
    found: dict[tuple[date, int, str], list] = {}
    outer = (points[0].moment, points[-1].moment) if virtual and points else ()
    with localcontext(EXACT):
        for before, read_after in pairwise(points):
            after = risen(before, read_after, modulus)
            if after.baseline:
                continue
            marked = after.moment - before.moment > marked_gap
            unread = ()
            if virtual:
                unread = tuple(p.moment for p in (before, after) if p.moment in virtual)
                marked = marked or bool(unread)
            for span in ordered:
                start = before.moment if span.start < before.moment else span.start
                end = after.moment
                if span.end is not None and span.end < end:
                    end = span.end
                if start < end:
                    _cut(found, before, after, start, end, span, zone, marked)
                    if unread:
                        _mark(found, unread, outer, start, end, span, zone)
    return [
        Cell(day, version, band, quantity, interpolated and quantity != 0)
        for (day, version, band), (quantity, interpolated) in found.items()
    ]


def _cut(
    found: dict[tuple[date, int, str], list],
    before: Point,
    after: Point,
    start: datetime,
    end: datetime,
    span: Span,
    zone: ZoneInfo,
    marked: bool,
) -> None:
    """Add the use from ``start`` to ``end``, which lie between two neighbouring readings."""
    version, multiplier = span.version, span.multiplier
    key = version.key
    last_moment = after.moment
    read = start == before.moment
    register = before.register if read else interpolate(before, after, start)
    day = local_date(start, zone)
    while True:
        for edge in edges(version, day, zone):
            stop = edge.end
            if stop <= start:
                continue
            last = stop >= end
            if last:
                stop = end
            next_read = stop == last_moment
            next_register = after.register if next_read else interpolate(before, after, stop)
            quantity = (next_register - register) * multiplier
            # Where nothing was used nothing was interpolated: so pieces mark what the whole marks.
            interpolated = marked and quantity != 0 and not (read and next_read)
            place = (day, key, edge.band)
            cell = found.get(place)
            if cell is None:
                found[place] = [quantity, interpolated]
            else:
                cell[0] += quantity
                cell[1] |= interpolated
            if last:
                return
            start, register, read = stop, next_register, next_read
        day += _DAY


def _mark(
    found: dict[tuple[date, int, str], list],
    unread: tuple[datetime, ...],
    outer: tuple[datetime, datetime],
    start: datetime,
    end: datetime,
    span: Span,
    zone: ZoneInfo,
) -> None:
    """Mark the cells between ``start`` and ``end`` that a register which was not read bounds."""
    bounds = {span.start, span.end, *outer}
    for moment in (start, end):
        if moment not in unread:
            continue
        inside = moment if moment == start else moment - _MICROSECOND
        day = local_date(inside, zone)
        for edge in edges(span.version, day, zone):
            if edge.start <= inside < edge.end:
                if moment in bounds or moment in (edge.start, edge.end):
                    found[day, span.version.key, edge.band][1] = True
                break


def edges(version: TariffVersion, date: date, zone: ZoneInfo) -> tuple[Edge, ...]:
    """Return the bands of a local date with their moments in UTC, first to last, without gaps.

    Bands follow the wall clock: an hour that the clock repeats has its bands twice, an hour that
    it skips has none.
    """
    kept = version._edges
    found = kept.get((zone, date))
    if found is None:
        found = _edges(version, date, zone)
        if len(kept) >= _EDGES_KEPT:
            kept.clear()
        kept[zone, date] = found
    return found


def _edges(version: TariffVersion, day: date, zone: ZoneInfo) -> tuple[Edge, ...]:
    plan = version.plan_of(day)
    found: list[Edge] = []
    for start, end, offset in even_stretches(day, zone):
        # Wall-clock minutes count from the local midnight; a stretch may begin in the middle.
        origin = datetime.combine(day, _MIDNIGHT) - offset
        for first, after_last, band in plan:
            edge_start = max(start, origin + first * _MINUTE)
            edge_end = min(end, origin + after_last * _MINUTE)
            if edge_start >= edge_end:
                continue
            if found and found[-1].band == band:
                found[-1] = Edge(found[-1].start, edge_end, band)
            else:
                found.append(Edge(edge_start, edge_end, band))
    return tuple(found)


def even_stretches(day: date, zone: ZoneInfo) -> Sequence[tuple[datetime, datetime, timedelta]]:
    """Return the parts of a local date with one offset from UTC: (UTC start, UTC end, offset)."""
    start, end = local_midnight(day, zone), local_midnight(day + _DAY, zone)
    stretches = []
    while start < end:
        offset = _offset(start, zone)
        stop = change_of_clock(start, end, zone)
        stretches.append((start, stop, offset))
        start = stop
    return stretches


def change_of_clock(start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment after ``start`` with another offset from UTC, ``end`` at the latest.

    There may be one change between the two.
    """
    offset = _offset(start, zone)
    if _offset(end - _MICROSECOND, zone) == offset:
        return end
    low, high = start, end
    while high - low > _MICROSECOND:
        middle = low + (high - low) // 2
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset


@lru_cache(maxsize=16384)
def local_midnight(date: date, zone: ZoneInfo) -> datetime:
    """Return the moment (UTC) at which a local date begins, also where 00:00 is skipped."""
    local = datetime.combine(date, _MIDNIGHT, tzinfo=zone)
    return local.astimezone(UTC).replace(tzinfo=None)


@lru_cache(maxsize=16384)
def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """Return the local date on which a moment (UTC) lies."""
    return moment.replace(tzinfo=UTC).astimezone(zone).date()


def risen(before: Point, after: Point, modulus: Decimal | None) -> Point:
    """Return the later point, its register raised by the modulus where it rolled over."""
    if before.moment >= after.moment:
        raise ValueError(f"Readings are not in order of time: {before}, {after}.")
    if not (before.register.is_finite() and after.register.is_finite()):
        raise ValueError(f"A register is not a number: {before}, {after}.")
    if after.register >= before.register or after.baseline:
        return after
    if modulus is None:
        raise ValueError(
            f"The register falls from {before.register} at {before.moment} to {after.register} "
            f"at {after.moment}, and its width is not known."
        )
    if before.register >= modulus:
        raise ValueError(f"The register {before.register} at {before.moment} exceeds its width.")
    return Point(after.moment, after.register + modulus)


def checked_spans(spans: Sequence[Span]) -> Sequence[Span]:
    """Return spans in order of time. Raises ValueError where two overlap."""
    if len(spans) < 2:
        return spans
    ordered = sorted(spans, key=lambda span: span.start)
    for one, other in pairwise(ordered):
        if one.end is None or one.end > other.start:
            raise ValueError(
                f"Spans overlap: {one.start} to {one.end}, and {other.start} to {other.end}."
            )
    return ordered
