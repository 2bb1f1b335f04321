"""Exact decimal arithmetic, and the few places where it is rounded."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction

_ERRORS = [InvalidOperation, DivisionByZero, Overflow]

# Sums and products are exact or raise: 100 digits hold price x quantity x quantity many times over.
EXACT = Context(prec=100, traps=[*_ERRORS, Inexact])

# Division cuts off after 100 digits. Cutting never moves a value across a half, so that
# rounding half up afterwards gives what the exact quotient would give.
CUTTING = Context(prec=100, rounding=ROUND_DOWN, traps=_ERRORS)

_NOTHING = Decimal(0)


def round_half_up(value: Decimal | Fraction, step: Decimal) -> Decimal:
    """Return the multiple of ``step`` nearest to ``value``, a half going away from zero.

    ``step`` is the currency's smallest unit: 0.01, 0.05, 1. The result has the step's decimals
    and is never a negative zero. Half up is pinned by a published bill: City Power's 733.845 is
    printed as R733.85.
    """
    if not (step.is_finite() and step > 0):
        raise ValueError(f"The rounding step must be above zero, not {step}.")
    if isinstance(value, Decimal) and value.is_finite() and step.as_tuple().digits == (1,):
        # A cent or the like: the same by quantizing; 0 is added to lose a negative zero.
        return EXACT.add(value.quantize(step, ROUND_HALF_UP, CUTTING), 0)
    count = _in_steps(value, step)
    whole = (2 * abs(count.numerator) + count.denominator) // (2 * count.denominator)
    return EXACT.multiply(Decimal(whole if count >= 0 else -whole), step)


def largest_remainder(total: Decimal, weights: Sequence[Decimal], step: Decimal) -> list[Decimal]:
    """Share ``total`` by ``weights`` into multiples of ``step`` that add up to it exactly.

    Each share is cut down to a step; the odd steps go to the largest remainders, among equal
    remainders to the larger weight, then to the earlier position. So a weight's share does not
    depend on the order of the weights, equal weights differ by one step at most, and a weight of
    zero gets nothing. A negative total is shared as the positive one, negated.

    Raises ValueError where the total is no multiple of the step, a weight is negative, or all
    weights are zero and the total is not.
    """
    if not (step.is_finite() and step > 0):
        raise ValueError(f"The rounding step must be above zero, not {step}.")
    steps = _in_steps(total, step)
    if steps.denominator != 1:
        raise ValueError(f"The total {total} is no multiple of the step {step}.")
    for weight in weights:
        if not (weight.is_finite() and weight >= 0):
            raise ValueError(f"A weight must be zero or more, not {weight}.")
    exact = [Fraction(weight) for weight in weights]
    whole = sum(exact)
    if not whole:
        if steps:
            raise ValueError(f"{total} cannot be shared: all weights are zero.")
        return [EXACT.multiply(Decimal(0), step) for _weight in weights]
    ideal = [abs(steps) * weight / whole for weight in exact]
    counts = [share.numerator // share.denominator for share in ideal]
    ranked = sorted(range(len(exact)), key=lambda i: (counts[i] - ideal[i], -exact[i], i))
    for i in ranked[: int(abs(steps)) - sum(counts)]:
        counts[i] += 1
    sign = -1 if steps < 0 else 1
    return [
        EXACT.multiply(Decimal(sign * count) if count else Decimal(0), step) for count in counts
    ]


def quotient_half_up(numerator: Decimal, denominator: Decimal | int, unit: Decimal) -> Decimal:
    """Return numerator / denominator, rounded half up to the decimals of ``unit``."""
    return CUTTING.divide(numerator, denominator).quantize(unit, ROUND_HALF_UP, CUTTING)


def _in_steps(value: Decimal | Fraction, step: Decimal) -> Fraction:
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError(f"{value} cannot be rounded.")
    return Fraction(value) / Fraction(step)


def share_signed(total: Decimal, weights: Sequence[Decimal], step: Decimal) -> list[Decimal]:
    """Share ``total`` like `largest_remainder`, by weights that may be negative.

    Weights are amounts of money here, and ``total`` is their rounded sum. Each side is shared by
    itself: a share of the sum by signed weights would blow up where these nearly cancel out. The
    negative weights take their own sum, rounded half up, the others what is left of ``total``; so a
    share stays within a step of its weight but for what ``total`` itself misses their sum by.

    Raises ValueError as `largest_remainder` does.
    """
    negative = [min(weight, _NOTHING) for weight in weights]
    positive = [max(weight, _NOTHING) for weight in weights]
    if not any(negative):
        return largest_remainder(total, positive, step)
    taken = total if not any(positive) else round_half_up(_exact_sum(negative), step)
    below = largest_remainder(taken, [-weight for weight in negative], step)
    if not any(positive):
        return below
    above = largest_remainder(EXACT.subtract(total, taken), positive, step)
    return [EXACT.add(one, other) for one, other in zip(above, below, strict=True)]


def _exact_sum(amounts: Sequence[Decimal]) -> Decimal:
    result = _NOTHING
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result
