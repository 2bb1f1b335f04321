"""Charges that do not follow use: per day, per month, and up to a minimum.

A day belongs to a supply that is in service at the end of the local day, and is charged once the
supply is settled up to that end: so the day of opening is charged and the day of closing is not.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction

from .rounding import EXACT, quotient_half_up
from .tariff import TariffVersion

AMOUNT_UNIT = Decimal("1E-12")
_ZERO = Decimal(0)


def standing(version: TariffVersion, day: date) -> Decimal:
    """Return the standing charge of one complete local day of a supply.

    The part of ``per_month`` is the difference of two values cumulated over the month, half up to
    12 decimals: all days of a month add up to it exactly.
    """
    amount = version.per_day
    if version.per_month:
        length = monthrange(day.year, day.month)[1]
        with localcontext(EXACT):
            through, before = (
                quotient_half_up(version.per_month * number, length, AMOUNT_UNIT)
                for number in (day.day, day.day - 1)
            )
            amount = amount + through - before
    return amount


def minimum_due(
    version: TariffVersion,
    month_due: Decimal | Fraction,
    days_in_service: int,
    month: date,
) -> Decimal | Fraction:
    """Return what is missing from the money of a month to its minimum; zero or more, exact.

    The minimum is taken for the part of the month's days on which the unit was in service.

    Raises ValueError for more days than the month has.
    """
    length = monthrange(month.year, month.month)[1]
    if not 0 <= days_in_service <= length:
        raise ValueError(f"{month:%Y-%m} has {length} days, not {days_in_service}.")
    if not version.minimum:
        return _ZERO
    if days_in_service == length and isinstance(month_due, Decimal):
        return max(EXACT.subtract(version.minimum, month_due), _ZERO)
    least = Fraction(version.minimum) * days_in_service / length
    return max(least - Fraction(month_due), Fraction(0))
