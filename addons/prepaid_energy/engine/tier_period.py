"""Tier periods: when a tier counter begins, and which limits a unit has in one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, localcontext

from .rounding import EXACT, quotient_half_up
from .tariff import TariffVersion

LIMIT_UNIT = Decimal("0.001")
PERIOD_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def tier_period_start(version: TariffVersion, date: date) -> date:
    """Return the first day of the tier period in which a local date lies.

    Without tiers the period is the calendar month. Quarters are those of the tier year.
    """
    if not version.is_tiered:
        return date.replace(day=1)
    first = date.replace(day=1)
    if date.day < version.tier_year_day:
        first = _months_later(first, -1)
    passed = (first.month - version.tier_year_month) % period_months(version)
    return _months_later(first, -passed, version.tier_year_day)


def tier_period_end(version: TariffVersion, date: date) -> date:
    """Return the first day after the tier period in which a local date lies."""
    start = tier_period_start(version, date)
    return _months_later(start, period_months(version), start.day)


def unit_limits(
    version: TariffVersion,
    period_start: date,
    first_day: date,
    addition: Decimal = Decimal(0),
) -> tuple[Decimal, ...]:
    """Return the tier limits of a unit, from the first day on which it counts.

    ``period_start`` is the first day of its tier period and chooses the season; ``addition`` is
    added to each limit behind the version's ``fixed_limits`` for each month of the period (bigger
    households). Where the unit begins after ``period_start`` and the version prorates, the limits
    are those of its days, half up to 0.001.

    Raises ValueError where the unit begins after the period.
    """
    limits = version.limits(period_start.month) if version.is_tiered else ()
    if not limits:
        return ()
    months = period_months(version)
    with localcontext(EXACT):
        if addition:
            fixed, raised = limits[: version.fixed_limits], limits[version.fixed_limits :]
            limits = (*fixed, *(limit + addition * months for limit in raised))
        if first_day <= period_start or not version.is_prorated:
            return limits
        end = tier_period_end(version, period_start)
        if first_day >= end:
            raise ValueError(
                f"A unit that begins on {first_day} has no limits in the tier period from "
                f"{period_start} to before {end}."
            )
        days = (end - first_day).days
        whole = (end - tier_period_start(version, period_start)).days
        return tuple(quotient_half_up(limit * days, whole, LIMIT_UNIT) for limit in limits)


def period_months(version: TariffVersion) -> int:
    """Return the length of the version's tier periods: 1, 3 or 12; 1 without tiers.

    Raises ValueError for an unknown tier period.
    """
    if not version.is_tiered:
        return 1
    months = PERIOD_MONTHS.get(version.tier_period)
    if months is None:
        raise ValueError(
            f"Tariff version {version.key} has the unknown tier period {version.tier_period!r}."
        )
    return months


def _months_later(first: date, months: int, day: int = 1) -> date:
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, day)
