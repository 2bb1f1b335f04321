"""Use nobody read, hour by hour as on comparable days: inside a gap, and after the last reading.

Comparable are the hours of the same local time on days of the same day type, of the 21 days before,
as far as they were read: an hour counts where no two readings around it are more than an hour
apart. An hour without any takes the mean of all hours that were read. Weights are use per hour,
rounded half up to 12 decimals, so that the same history gives the same points.

The points are virtual: whoever splits with them names their moments, and the cells that they bound
are marked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .day_types import Calendar
from .rounding import EXACT, quotient_half_up
from .splitting import REGISTER_UNIT, Point, even_stretches, local_date

HOUR = timedelta(hours=1)
HISTORY = timedelta(days=21)
WEIGHT_UNIT = Decimal("1E-12")
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
HOUR_LENGTH = HOUR // _MICROSECOND
_ZERO = Decimal(0)


class Profile(NamedTuple):
    """Use per hour (register units): ``hours`` by (day type, local hour), ``mean`` of them all."""

    hours: dict[tuple[str, int], Decimal]
    mean: Decimal

    def weight(self, slot: Slot, calendar: Calendar) -> Decimal:
        """Return the use of a slot, times the microseconds of an hour."""
        kind = (calendar.day_type(slot.day), slot.hour)
        return self.hours.get(kind, self.mean) * _microseconds(slot)


class Slot(NamedTuple):
    """The part of a local hour from ``start`` to before ``end`` (UTC)."""

    start: datetime
    end: datetime
    day: date
    hour: int


def shaped(
    before: Point,
    after: Point,
    history: Sequence[Point],
    zone: ZoneInfo,
    calendar: Calendar,
    modulus: Decimal | None = None,
) -> list[Point]:
    """Return points at the full local hours inside a gap between two neighbouring readings.

    The use of the gap follows comparable days. ``history`` are actual readings in order of time;
    what lies more than 21 days before ``before``, or after it, is not looked at. Registers are
    half up to 1e-6 and never leave those of the gap. [] means that the straight line is all that
    is known: a gap of an hour or less, a baseline or a fall without a known modulus, nothing
    comparable, or only hours without use.
    """
    rise = _rise(before, after, modulus)
    if after.moment - before.moment <= HOUR or not rise:
        return []
    profile = _profile(history, before.moment, zone, calendar, modulus)
    if profile is None:
        return []
    with localcontext(EXACT):
        weights, total = [], _ZERO
        for slot in slots(before.moment, after.moment, zone):
            total += profile.weight(slot, calendar)
            weights.append((slot.end, total))
        if not total:
            return []
        return [
            Point(
                moment,
                _wrapped(
                    before.register + quotient_half_up(rise * weight, total, REGISTER_UNIT),
                    before.register + rise,
                    modulus,
                ),
            )
            for moment, weight in weights[:-1]
        ]


def estimate(
    history: Sequence[Point],
    until: datetime,
    zone: ZoneInfo,
    calendar: Calendar,
    modulus: Decimal | None = None,
) -> list[Point]:
    """Continue the last reading of ``history`` as on comparable days.

    Returns points at the full local hours after it, and one at ``until``; [] where no hour of the
    21 days before the last reading was read, or ``until`` is not after it.
    """
    if not history or until <= history[-1].moment:
        return []
    last = history[-1]
    profile = _profile(history, last.moment, zone, calendar, modulus)
    if profile is None:
        return []
    points, used = [], _ZERO
    with localcontext(EXACT):
        for slot in slots(last.moment, until, zone):
            used += profile.weight(slot, calendar)
            register = last.register + quotient_half_up(used, HOUR_LENGTH, REGISTER_UNIT)
            points.append(Point(slot.end, _wrapped(register, register, modulus)))
    return points


def slots(start: datetime, end: datetime, zone: ZoneInfo) -> list[Slot]:
    """Cut the time from ``start`` to ``end`` at the full hours of the local clock."""
    found = []
    day = local_date(start, zone)
    while start < end:
        for begin, stop, offset in even_stretches(day, zone):
            midnight = datetime.combine(day, datetime.min.time()) - offset
            start = max(start, begin)
            stop = min(stop, end)
            hour = (start - midnight) // HOUR
            while start < stop:
                hour += 1
                until = min(midnight + hour * HOUR, stop)
                found.append(Slot(start, until, day, hour - 1))
                start = until
        day += _DAY
    return found


def _profile(
    history: Sequence[Point],
    end: datetime,
    zone: ZoneInfo,
    calendar: Calendar,
    modulus: Decimal | None,
) -> Profile | None:
    """Return the mean use per hour in the 21 days before ``end``; None where no hour was read."""
    pairs = [
        (before, after)
        for before, after in pairwise(history)
        if end - HISTORY <= before.moment
        and after.moment <= end
        and after.moment - before.moment <= HOUR
    ]
    if not pairs:
        return None
    local_hours = slots(pairs[0][0].moment, end, zone)
    read = [[_ZERO, 0] for _slot in local_hours]  # use and time of each
    at = 0
    with localcontext(EXACT):
        for before, after in pairs:
            rise = _rise(before, after, modulus)
            if rise is None:
                continue
            start, stop = before.moment, after.moment
            while local_hours[at].end <= start:
                at += 1
            while start < stop:
                part = min(stop, local_hours[at].end)
                time = (part - start) // _MICROSECOND
                use = rise
                if part != stop or start != before.moment:
                    length = (stop - before.moment) // _MICROSECOND
                    use = quotient_half_up(rise * time, length, WEIGHT_UNIT)
                read[at][0] += use
                read[at][1] += time
                start = part
                if start < stop:
                    at += 1
        sums = defaultdict(lambda: [_ZERO, 0])
        for slot, (use, time) in zip(local_hours, read, strict=True):
            if time == HOUR_LENGTH:
                kept = sums[calendar.day_type(slot.day), slot.hour]
                kept[0] += use
                kept[1] += 1
        if not sums:
            return None
        hours = {
            kind: quotient_half_up(use, count, WEIGHT_UNIT) for kind, (use, count) in sums.items()
        }
        total, number = map(sum, zip(*sums.values(), strict=True))
        return Profile(hours, quotient_half_up(total, number, WEIGHT_UNIT))


def _rise(before: Point, after: Point, modulus: Decimal | None) -> Decimal | None:
    """Return the use between two readings; None where it is not known or none of ours."""
    if after.baseline:
        return None
    rise = EXACT.subtract(after.register, before.register)
    if rise < 0:
        return None if modulus is None else EXACT.add(rise, modulus)
    return rise


def _wrapped(register: Decimal, highest: Decimal, modulus: Decimal | None) -> Decimal:
    register = min(register, highest)
    return register if modulus is None else register % modulus


def _microseconds(slot: Slot) -> int:
    return (slot.end - slot.start) // _MICROSECOND
