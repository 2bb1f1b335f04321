"""Which kind of day a local date is, as far as prices ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

DAY_TYPES = ("workday", "weekend", "holiday")


@dataclass(frozen=True)
class Calendar:
    """The day type of each local date.

    ``weekend`` holds weekdays (Monday is 0). ``days`` names the dates that differ from their
    weekday: public holidays, and working days made up for on a weekend. ``declared`` are the dates
    declared by weather or notice, on top of their day type.
    """

    weekend: frozenset[int] = frozenset({5, 6})
    days: Mapping[date, str] = field(default_factory=dict, hash=False)
    declared: frozenset[date] = frozenset()

    def day_type(self, day: date) -> str:
        """Return "workday", "weekend" or "holiday"."""
        found = self.days.get(day)
        if found is None:
            return "weekend" if day.weekday() in self.weekend else "workday"
        return found


# Saturday and Sunday are the weekend, and there are no holidays.
PLAIN_CALENDAR = Calendar()
