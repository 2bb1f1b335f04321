"""Use split by the band registers that the meter itself keeps.

They are believed as far as they say how the total's step between two readings is shared: what they
lack or exceed of it, their rest, goes to a named band. So the use is always the total's. Whether a
rest is small enough to be believed is judged when a reading arrives (``acceptance``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from zoneinfo import ZoneInfo

from .rounding import EXACT, quotient_half_up
from .splitting import (
    REGISTER_UNIT,
    Cell,
    Edge,
    Point,
    Span,
    checked_spans,
    edges,
    interpolate,
    local_date,
    risen,
    split,
)

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_ZERO = Decimal(0)

Registers = Mapping[str, Decimal]


def band_steps(low: Registers, high: Registers, modulus: Decimal | None = None) -> Registers:
    """Return the step of each band register between two readings.

    Raises ValueError for other bands, registers that are no numbers, and a fall without a known
    modulus.
    """
    if low.keys() != high.keys():
        raise ValueError(f"The band registers {sorted(low)} and {sorted(high)} are not the same.")
    steps = {}
    for band, register in high.items():
        if not (register.is_finite() and low[band].is_finite()):
            raise ValueError(f"The register of band {band!r} is not a number.")
        step = EXACT.subtract(register, low[band])
        if step < 0:
            if modulus is None:
                raise ValueError(
                    f"The register of band {band!r} falls from {low[band]} to {register}, and its "
                    "width is not known."
                )
            step = EXACT.add(step, modulus)
        steps[band] = step
    return steps


def split_by_registers(
    points: Sequence[Point],
    registers: Mapping[datetime, Registers],
    spans: Sequence[Span],
    zone: ZoneInfo,
    rest_band: str,
    *,
    modulus: Decimal | None = None,
    marked_gap: timedelta = timedelta(hours=1),
) -> list[Cell]:
    """Cut the use between readings into cells as ``split`` does, by the meter's band registers.

    ``registers`` holds the band registers read, by band of the version and by moment of the
    reading. Between two readings each band gets its step, and ``rest_band`` the rest; where that is
    negative and more than the band's own step, the bands with the largest steps give it. A band's
    use is linear over the time in which the version's plan has it in force, over all time where
    it has it nowhere; a span gets the total's part. Where a reading has no band registers, what it
    bounds is split by the plan alone; so is a step in which a band fell and not by a rollover: a
    person believed the reading, and nobody knows what that band counted.

    Raises ValueError as ``split`` and ``band_steps`` do.
    """
    ordered = checked_spans(spans)
    found: dict[tuple[date, int, str], list] = {}
    with localcontext(EXACT):
        for before, read_after in pairwise(points):
            low, high = registers.get(before.moment), registers.get(read_after.moment)
            if (
                low is None
                or high is None
                or read_after.baseline
                or _fell(low, high, before, read_after, modulus)
            ):
                cells = split(
                    (before, read_after), ordered, zone, modulus=modulus, marked_gap=marked_gap
                )
                for cell in cells:
                    _add(found, cell[:3], cell.quantity, cell.interpolated)
                continue
            after = risen(before, read_after, modulus)
            uses = _uses(low, high, after.register - before.register, rest_band, modulus)
            marked = after.moment - before.moment > marked_gap
            for span in ordered:
                start = max(before.moment, span.start)
                end = after.moment if span.end is None else min(after.moment, span.end)
                if start < end:
                    _cut(found, before, after, start, end, span, zone, uses, marked)
    return [Cell(*place, *figures) for place, figures in sorted(found.items())]


def _fell(
    low: Registers, high: Registers, before: Point, after: Point, modulus: Decimal | None
) -> bool:
    """Tell whether a band fell, by more than the total's step over a rollover explains."""
    fallen = [band for band in high.keys() & low.keys() if high[band] < low[band]]
    if not fallen or modulus is None:
        return bool(fallen)
    rise = risen(before, after, modulus).register - before.register
    return any(high[band] - low[band] + modulus > rise for band in fallen)


def _uses(
    low: Registers, high: Registers, rise: Decimal, rest_band: str, modulus: Decimal | None
) -> dict[str, Decimal]:
    """Return the part of the total's step of each band; zero or more, together the step."""
    uses = dict(band_steps(low, high, modulus))
    uses[rest_band] = uses.get(rest_band, _ZERO) + rise - sum(uses.values(), _ZERO)
    missing = -uses[rest_band]
    if missing > 0:
        uses[rest_band] = _ZERO
        for band in sorted(uses, key=lambda band: (-uses[band], band)):
            given = min(uses[band], missing)
            uses[band] -= given
            missing -= given
    return uses


def _cut(
    found: dict[tuple[date, int, str], list],
    before: Point,
    after: Point,
    start: datetime,
    end: datetime,
    span: Span,
    zone: ZoneInfo,
    uses: Mapping[str, Decimal],
    marked: bool,
) -> None:
    """Add the use from ``start`` to ``end``, which lie between two neighbouring readings."""
    low, high = (
        point.register if point.moment == moment else interpolate(before, after, moment)
        for point, moment in ((before, start), (after, end))
    )
    version = span.version
    pieces = _pieces(start, end, span, zone)
    days = dict.fromkeys(day for day, _edge in pieces)
    unread = len(days) > 1 or start != before.moment or end != after.moment
    shares = _shared(high - low, list(uses.values()))
    for band, share in zip(uses, shares, strict=True):
        times = dict.fromkeys(days, 0)
        for day, edge in pieces:
            if edge.band == band:
                times[day] += (edge.end - edge.start) // _MICROSECOND
        in_force = {day for day, time in times.items() if time}
        if not in_force and share:
            for day, edge in pieces:
                times[day] += (edge.end - edge.start) // _MICROSECOND
        if not any(times.values()):
            continue
        parts = _shared(share, list(map(Decimal, times.values())))
        for day, part in zip(times, parts, strict=True):
            if part or day in in_force:
                _add(found, (day, version.key, band), part * span.multiplier, marked and unread)


def _pieces(start: datetime, end: datetime, span: Span, zone: ZoneInfo) -> list[tuple[date, Edge]]:
    """Return the bands in force from ``start`` to ``end``, by local date."""
    pieces = []
    day = local_date(start, zone)
    while not pieces or pieces[-1][1].end < end:
        for edge in edges(span.version, day, zone):
            low, high = max(edge.start, start), min(edge.end, end)
            if low < high:
                pieces.append((day, Edge(low, high, edge.band)))
        day += _DAY
    return pieces


def _shared(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Share a quantity by weights, half up to 1e-6 cumulated; zero or more, together the total."""
    whole = sum(weights, _ZERO)
    shares, below, taken = [], _ZERO, _ZERO
    for weight in weights:
        below += weight
        if below == whole:
            upto = total
        else:
            upto = min(quotient_half_up(total * below, whole, REGISTER_UNIT), total)
        shares.append(upto - taken)
        taken = upto
    return shares


def _add(
    found: dict[tuple[date, int, str], list],
    place: tuple[date, int, str],
    quantity: Decimal,
    interpolated: bool,
) -> None:
    cell = found.get(place)
    if cell is None:
        found[place] = [quantity, interpolated]
    else:
        cell[0] += quantity
        cell[1] |= interpolated
