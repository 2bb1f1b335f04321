"""Days and months of a site, from and to naive UTC moments."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the naive UTC moment at which a local day begins."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC).replace(tzinfo=None)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """Return the local date of a naive UTC moment."""
    return moment.replace(tzinfo=UTC).astimezone(zone).date()


@lru_cache(maxsize=4096)
def month_first(day: date) -> date:
    """Return the first day of the month of `day`."""
    return day.replace(day=1)


@lru_cache(maxsize=4096)
def month_last(day: date) -> date:
    """Return the last day of the month of `day`."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


@lru_cache(maxsize=4096)
def month_name(day: date) -> str:
    """Return the month of `day` as 2026-03."""
    return f"{day:%Y-%m}"
