"""Whether a reading can be believed. What cannot is held for a person, neither billed nor lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from .registers import Registers, band_steps
from .rounding import CUTTING, EXACT, quotient_half_up
from .splitting import Point

# A fall is believed to be a rollover unasked only while the wrapped use stays within this part of
# the register's range, whatever the power allows: a meter that was replaced or reset falls as well,
# and given time enough any fall could be use.
ROLLOVER_PART = Decimal("0.1")
_MICROSECOND = timedelta(microseconds=1)
_UNIT = Decimal("0.000001")
_HOUR = 3_600_000_000  # in microseconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What a meter can show and what can flow through it.

    ``modulus`` is the value at which the register starts again at zero (six integer digits:
    1000000); ``multiplier`` turns a register difference into use; ``max_power`` is use an hour (kW,
    m3/h), after the multiplier. None means not known. ``multipliers`` are (from when on, which), in
    order of time, where it was not always the same: they count instead of ``multiplier``.

    Band registers may miss the total's step by ``band_unit`` (their last digit) for each of them
    and for the total, and by ``band_part`` of it, as they are not read at the very same moment.
    """

    modulus: Decimal | None
    multiplier: Decimal
    max_power: Decimal | None
    clock_tolerance: timedelta = timedelta(minutes=5)
    band_unit: Decimal = Decimal("0.01")
    band_part: Decimal = Decimal("0.01")
    multipliers: tuple[tuple[datetime, Decimal], ...] = ()
    # An hour times the multiplier, worked out here once and not for every reading.
    scaled_hour: Decimal = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scaled_hour", CUTTING.multiply(self.multiplier, _HOUR))

    def multiplier_at(self, moment: datetime) -> Decimal:
        """Return the multiplier in force at a moment; before all that is known, the first."""
        found = self.multipliers[0][1] if self.multipliers else self.multiplier
        for since, multiplier in self.multipliers:
            if since > moment:
                break
            found = multiplier
        return found

    def used(self, step: Decimal, start: datetime, end: datetime) -> Decimal:
        """Return the use (kWh, m3) of a register difference between two moments.

        Where the multiplier changed meanwhile the register is taken to have run evenly; half up to
        six decimals then.
        """
        cuts = [start, *(since for since, _ in self.multipliers if start < since < end), end]
        if len(cuts) == 2:
            return step * self.multiplier_at(start)
        weight = sum(
            ((high - low) // _MICROSECOND) * self.multiplier_at(low) for low, high in pairwise(cuts)
        )
        return quotient_half_up(EXACT.multiply(step, weight), (end - start) // _MICROSECOND, _UNIT)

    def least_multiplier(self, start: datetime, end: datetime) -> Decimal:
        """Return the smallest multiplier in force between two moments."""
        later = [multiplier for since, multiplier in self.multipliers if start < since < end]
        return min([self.multiplier_at(start), *later])


@dataclass(frozen=True, slots=True)
class Verdict:
    """``state``: "accepted", "held", "duplicate" or "superseded".

    ``reason`` is "" or the code of a held reading: "not_a_number" (or wider than the register),
    "negative", "future", "fell", "too_fast", "between" (a late reading that does not lie between
    its neighbours), "multiplier" (the meter shows another ratio), "bands" (the band registers do
    not add up to the total's step). ``expected`` is what would have been believed, as figures:
    "100 - 105.5".
    """

    state: str
    reason: str = ""
    expected: str = ""


ACCEPTED = Verdict("accepted")


def judge(
    register: Decimal,
    moment: datetime,
    previous: Point | None,
    following: Point | None,
    same: Point | None,
    limits: Limits,
    now: datetime,
    *,
    multiplier: Decimal | None = None,
    bands: Registers | None = None,
    previous_bands: Registers | None = None,
) -> Verdict:
    """Judge a reading against its accepted neighbours in time.

    ``previous`` and ``following`` are the accepted readings next before and after ``moment``,
    ``same`` the one at that very moment: it stays, whatever comes. A first reading is a baseline;
    with a ``following`` baseline nothing is compared. ``multiplier`` is the ratio read with the
    value, ``bands`` the band registers, and ``previous_bands`` those of ``previous``; None where
    none were read.
    """
    _check_order(moment, previous, following, same)
    if not register.is_finite():
        return Verdict("held", "not_a_number", _at_least(Decimal(0)))
    if same is not None:
        if register == same.register:
            return Verdict("duplicate")
        return Verdict("superseded", "", _figure(same.register))
    if register < 0:
        return Verdict("held", "negative", _at_least(Decimal(0)))
    if limits.modulus is not None and register >= limits.modulus:
        return Verdict("held", "not_a_number", f"< {_figure(limits.modulus)}")
    if moment > now + limits.clock_tolerance:
        return Verdict("held", "future", f"≤ {now + limits.clock_tolerance:%Y-%m-%d %H:%M:%S} UTC")
    if multiplier is not None and multiplier != limits.multiplier_at(moment):
        return Verdict("held", "multiplier", _figure(limits.multiplier_at(moment)))
    if (
        following is None
        and not bands
        and previous is not None
        and register >= previous.register
        and not _too_fast(register - previous.register, previous.moment, moment, limits)
    ):
        # So nearly all are: what follows says the same of them, and takes longer.
        return ACCEPTED
    reading = Point(moment, register)
    if following is not None and following.baseline:
        following = None
    if previous is not None and following is not None:
        verdict = _judge_between(previous, reading, following, limits)
    elif previous is not None:
        verdict = _judge_step(previous, reading, limits, "fell", _reach_after)
    elif following is not None:
        return _judge_step(reading, following, limits, "between", _reach_before)
    else:
        return ACCEPTED
    if verdict is ACCEPTED and bands and previous_bands:
        return _judge_bands(previous, reading, previous_bands, bands, limits)
    return verdict


def _judge_bands(
    previous: Point, reading: Point, low: Registers, high: Registers, limits: Limits
) -> Verdict:
    step = _use(previous, reading, limits)
    slack = limits.band_unit * (len(high) + 1) + limits.band_part * step
    expected = f"Σ {_figure(step)} ± {_figure(_floor(Fraction(slack)))}"
    try:
        steps = band_steps(low, high, limits.modulus)
    except ValueError:
        return Verdict("held", "bands", expected)
    if abs(step - sum(steps.values())) > slack:
        return Verdict("held", "bands", expected)
    return ACCEPTED


def _judge_between(previous: Point, reading: Point, following: Point, limits: Limits) -> Verdict:
    """The step between the neighbours is accepted already; the reading must lie on the way."""
    wrapped = following.register < previous.register
    above, below = reading.register >= previous.register, reading.register <= following.register
    if wrapped:
        on_the_way = above or below
        expected = f"≥ {_figure(previous.register)} / ≤ {_figure(following.register)}"
    else:
        on_the_way = above and below
        expected = f"{_figure(previous.register)} - {_figure(following.register)}"
    if not on_the_way:
        return Verdict("held", "between", expected)
    for one, other in ((previous, reading), (reading, following)):
        if _too_fast(_use(one, other, limits), one.moment, other.moment, limits):
            return Verdict("held", "too_fast", expected)
    return ACCEPTED


def _judge_step(
    one: Point,
    other: Point,
    limits: Limits,
    fall: str,
    expected: Callable[[Point, Point, Limits], str],
) -> Verdict:
    if other.register < one.register:
        if limits.modulus is None:
            return Verdict("held", fall, expected(one, other, limits))
        wrapped = _use(one, other, limits)
        if wrapped <= limits.modulus * ROLLOVER_PART and not _too_fast(
            wrapped, one.moment, other.moment, limits
        ):
            return ACCEPTED
        return Verdict("held", fall, expected(one, other, limits))
    if _too_fast(_use(one, other, limits), one.moment, other.moment, limits):
        return Verdict("held", "too_fast", expected(one, other, limits))
    return ACCEPTED


def _use(one: Point, other: Point, limits: Limits) -> Decimal:
    """Return the register difference, over the rollover where the register falls."""
    use = other.register - one.register
    return use + limits.modulus if use < 0 and limits.modulus is not None else use


def _too_fast(use: Decimal, start: datetime, end: datetime, limits: Limits) -> bool:
    if limits.max_power is None:
        return False
    # As `_most`, without its fractions: this is asked of every reading.
    passed = (end - start + limits.clock_tolerance) // _MICROSECOND
    scaled_hour = limits.scaled_hour
    if limits.multipliers:
        # How much of a step was counted by which multiplier is not known: the doubt is for it.
        scaled_hour = CUTTING.multiply(limits.least_multiplier(start, end), _HOUR)
    used = CUTTING.multiply(use, scaled_hour)
    return used > CUTTING.multiply(limits.max_power, passed)


def _most(start: datetime, end: datetime, limits: Limits) -> Fraction | None:
    """Return the largest register difference believed, or None where the power is not known.

    The moments are only as good as the clocks, so the tolerance counts as time in which use
    could flow; it also keeps one tick of a coarse register within a few seconds from being held.
    """
    if limits.max_power is None:
        return None
    hours = Fraction((end - start + limits.clock_tolerance) // _MICROSECOND, _HOUR)
    return Fraction(limits.max_power) * hours / Fraction(limits.least_multiplier(start, end))


def _reach_after(previous: Point, reading: Point, limits: Limits) -> str:
    most = _most(previous.moment, reading.moment, limits)
    if most is None:
        return _at_least(previous.register)
    highest = previous.register + _floor(most)
    if limits.modulus is None or highest < limits.modulus:
        return f"{_figure(previous.register)} - {_figure(highest)}"
    wrapped = min(highest, previous.register + limits.modulus * ROLLOVER_PART) - limits.modulus
    if wrapped < 0:
        return _at_least(previous.register)
    return f"≥ {_figure(previous.register)} / ≤ {_figure(wrapped)}"


def _reach_before(reading: Point, following: Point, limits: Limits) -> str:
    most = _most(reading.moment, following.moment, limits)
    if most is None or following.register <= most:
        return f"0 - {_figure(following.register)}"
    return f"{_figure(following.register - _floor(most))} - {_figure(following.register)}"


def _floor(value: Fraction) -> Decimal:
    """Cut a fraction to three decimals, for show."""
    return Decimal(value * 1000 // 1).scaleb(-3)


def _at_least(register: Decimal) -> str:
    return f"≥ {_figure(register)}"


def _figure(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"


def _check_order(
    moment: datetime, previous: Point | None, following: Point | None, same: Point | None
) -> None:
    if (
        (previous is not None and previous.moment >= moment)
        or (following is not None and following.moment <= moment)
        or (same is not None and same.moment != moment)
    ):
        raise ValueError(f"The neighbours of a reading at {moment} are not next to it in time.")
