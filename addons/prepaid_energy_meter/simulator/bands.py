"""A meter's own time-of-use day plan, and how a load curve splits over its bands.

Curve and plan repeat together with the curve's cycle, which is whole weeks, so the use in each band
up to any moment follows from one table per cycle.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from .load import CYCLE_START, DAY, HOUR, Curve

BANDS = ("sharp", "peak", "flat", "valley")
PLAN_SLOTS = 14


@dataclass(frozen=True)
class DayPlan:
    """(start minute of the local day, index into BANDS) in order, from 0."""

    entries: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        starts = [start for start, _band in self.entries]
        if not starts or starts[0] != 0:
            raise ValueError("day plan: the first band does not start at 00:00")
        if any(b <= a for a, b in pairwise(starts)) or starts[-1] >= 1440:
            raise ValueError("day plan: starts are not in order within the day")
        if len(starts) > PLAN_SLOTS:
            raise ValueError(f"day plan: more than {PLAN_SLOTS} entries")

    def encode(self) -> bytes:
        """21 registers: 14 times rate code (1 sharp to 4 valley, 0 unused), minute, hour."""
        slots = [bytes((band + 1, start % 60, start // 60)) for start, band in self.entries]
        return b"".join(slots).ljust(3 * PLAN_SLOTS, b"\0")


DEFAULT_PLAN = DayPlan(
    (
        (0, 3),
        (7 * 60, 2),
        (10 * 60, 1),
        (12 * 60, 2),
        (18 * 60, 0),
        (20 * 60, 1),
        (22 * 60, 2),
        (23 * 60, 3),
    )
)


class BandSums:
    """Use of a curve in each band since the start of its cycle.

    phase: local second of day at which the cycle starts.
    """

    def __init__(self, curve: Curve, plan: DayPlan, phase: int) -> None:
        self._curve = curve
        self._length = len(curve.thousandths) * HOUR
        points: dict[int, int] = {}
        for day in range(-DAY, self._length + DAY, DAY):
            for minute, band in plan.entries:
                points[day + 60 * minute - phase] = band
        # What is in force when the cycle starts began before it.
        began = max(start for start in points if start <= 0)
        inside = {0: points[began]} | {s: b for s, b in points.items() if 0 < s < self._length}
        self._starts = sorted(inside)
        self._bands = [inside[start] for start in self._starts]
        sums = [0, 0, 0, 0]
        self._before = []
        ends = [*self._starts[1:], self._length]
        for start, end, band in zip(self._starts, ends, self._bands, strict=True):
            self._before.append(tuple(sums))
            sums[band] += self._within(start, end)
        self._cycle = tuple(sums)

    def _within(self, start: int, end: int) -> int:
        return self._curve.cumulative(CYCLE_START + end) - self._curve.cumulative(
            CYCLE_START + start
        )

    def cumulative(self, second: int, offset_hours: int = 0) -> tuple[int, ...]:
        """Use in each band up to a moment, as Curve.cumulative; only differences mean anything."""
        cycle, rest = divmod(second - CYCLE_START + offset_hours * HOUR, self._length)
        index = bisect_right(self._starts, rest) - 1
        sums = [
            cycle * whole + before
            for whole, before in zip(self._cycle, self._before[index], strict=True)
        ]
        sums[self._bands[index]] += self._within(self._starts[index], rest)
        return tuple(sums)


@lru_cache(maxsize=1024)
def band_sums(curve: Curve, plan: DayPlan, phase: int) -> BandSums:
    """The one table for all meters with the same curve, plan and phase."""
    return BandSums(curve, plan, phase)
