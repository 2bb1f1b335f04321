from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from odoo import models

from ..local_time import local_date

# A calendar without any working hours says nothing of weekends: Saturday and Sunday then.
USUAL_WEEKEND = "56"
MIDDAY = time(12)


class ResourceCalendar(models.Model):
    """Working hours and days off as the day calendar of tariffs."""

    _inherit = "resource.calendar"

    def write(self, vals):
        """Override of `resource`: another time zone moves the days off of tariffs."""
        tariffs = self.env["energy.tariff"]._of_calendars(self) if "tz" in vals else None
        result = super().write(vals)
        if tariffs:
            # sudo: what tariffs have to do is no business of who edits working hours
            leaves = (
                self.env["resource.calendar.leaves"]
                .sudo()
                .search(self._energy_leaves_domain(tariffs.company_id), order="date_from", limit=1)
            )
            if leaves:
                tariffs._days_changed(leaves.date_from.date() - timedelta(days=1))
        return result

    def _energy_weekend(self):
        """Return the weekdays without working hours as digits, Monday is 0.

        In a calendar of two weeks a weekday that is worked in one of them is none of the weekend.
        """
        self.ensure_one()
        worked = {
            attendance.dayofweek
            for attendance in self.attendance_ids
            if not attendance.display_type and attendance.day_period != "lunch"
        }
        if not worked:
            return USUAL_WEEKEND
        return "".join(day for day in "0123456" if day not in worked)

    def _energy_leaves_domain(self, companies):
        """Return the domain of days off of these calendars and of whole companies."""
        return [
            ("resource_id", "=", False),
            "|",
            ("calendar_id", "in", self.ids),
            "&",
            ("calendar_id", "=", False),
            ("company_id", "in", [*companies.ids, False]),
        ]

    def _energy_days(self, company):
        """Return the dates that differ from their weekday, and those declared.

        :return: (dict of local date to "holiday" or "workday", frozenset of declared local dates)
        """
        self.ensure_one()
        days, declared = {}, set()
        # sudo: prices do not depend on who asks for them
        leaves = (
            self.env["resource.calendar.leaves"]
            .sudo()
            .search(self._energy_leaves_domain(company), order="id")
        )
        for leave in leaves:
            for day in leave._energy_dates(self):
                if leave.energy_day_type == "declared":
                    declared.add(day)
                else:
                    days[day] = leave.energy_day_type
        return days, frozenset(declared)


def dates_between(start: datetime, end: datetime, zone: ZoneInfo):
    """Return the local dates whose midday lies between two naive UTC moments.

    So a leave typed in another time zone, or with working hours only, is still its own day; half
    a day off is none.
    """
    day, last, dates = local_date(start, zone), local_date(end, zone), []
    while day <= last:
        midday = datetime.combine(day, MIDDAY, tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
        if start <= midday < end:
            dates.append(day)
        day += timedelta(days=1)
    return dates
