"""Load curves and exact energy.

A curve is a cycle of whole weeks of hourly use in thousandths of its unit (watt-hours or litres),
played linearly within each hour. All sums are integers or fractions: a register is an exact
function of the moment and of when the supply was on.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

DATA = Path(__file__).parent / "data"
EPOCH = datetime(1970, 1, 1)
HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
# Every curve begins on a Monday, so its cycles are counted from one: Monday 1970-01-05 00:00 UTC.
CYCLE_START = 4 * DAY
Number = TypeVar("Number", int, Fraction)


@dataclass(frozen=True)
class Curve:
    """A cycle of hourly use.

    unit: "kWh" or "m³"; thousandths: use of each hour in thousandths of the unit, whole weeks,
    beginning Monday 00:00.
    """

    name: str
    unit: str
    thousandths: tuple[int, ...]
    _before: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.thousandths or len(self.thousandths) * HOUR % WEEK:
            raise ValueError(f"curve {self.name}: {len(self.thousandths)} hours are no whole weeks")
        if min(self.thousandths) < 0:
            raise ValueError(f"curve {self.name}: negative use")
        object.__setattr__(self, "_before", tuple(accumulate(self.thousandths, initial=0)))

    def cumulative(self, second: Number, offset_hours: int = 0) -> Number:
        """Use from the cycle's origin to a moment (seconds since 1970, UTC), in thousandths of
        the unit times seconds; negative before the origin. Only differences mean anything."""
        hour, rest = divmod(second - CYCLE_START + offset_hours * HOUR, HOUR)
        cycle, index = divmod(hour, len(self.thousandths))
        hours = cycle * self._before[-1] + self._before[index]
        return hours * HOUR + self.thousandths[index] * rest

    def rate(self, second: int, offset_hours: int = 0) -> int:
        """Use per hour at a moment, in thousandths of the unit (so watts, or litres an hour)."""
        hour = (second - CYCLE_START) // HOUR + offset_hours
        return self.thousandths[hour % len(self.thousandths)]


def seconds(moment: datetime) -> int | Fraction:
    """Seconds since 1970 of a moment (naive = UTC): an int, or a Fraction between two seconds."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    exact = Fraction((moment - EPOCH) // timedelta(microseconds=1), 1_000_000)
    return exact.numerator if exact.denominator == 1 else exact


def energy(
    curve: Curve,
    scale: Decimal | Fraction | str | int,
    t0: datetime,
    t1: datetime,
    offset_hours: int = 0,
) -> Fraction:
    """Exact use (kWh or m³, a Fraction) of a curve times scale from t0 to t1 (naive = UTC).

    offset_hours shifts the curve: 8 plays its Monday midnight at Monday midnight of UTC+8.
    Raises ValueError when t1 is before t0.
    """
    if t1 < t0:
        raise ValueError(f"energy: {t1} is before {t0}")
    begin, end = (curve.cumulative(Fraction(seconds(moment)), offset_hours) for moment in (t0, t1))
    return (end - begin) * Fraction(scale) / (1000 * HOUR)


def displayed(value: Fraction, resolution: Decimal) -> Decimal:
    """What a counter shows of an exact value: rounded down to its resolution (0.01, 0.001)."""
    steps = Fraction(value) / Fraction(resolution)
    return (steps.numerator // steps.denominator) * resolution


@cache
def curves() -> dict[str, Curve]:
    """All curves that come with the simulator by name; sources and licences: data/NOTICE.md."""
    with (DATA / "load_curves.csv").open(newline="") as source:
        names, *rows = csv.reader(source)
    found = [
        Curve(name, "kWh", tuple(map(int, column)))
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    ]
    days: dict[str, dict[str, tuple[int, ...]]] = {}
    with (DATA / "water_curves.csv").open(newline="") as source:
        _header, *rows = csv.reader(source)
    for name, day, *hours in rows:
        days.setdefault(name, {})[day] = tuple(map(int, hours))
    for name, of in days.items():
        found.append(Curve(name, "m³", of["weekday"] * 5 + of["weekend"] * 2))
    return {curve.name: curve for curve in found}
