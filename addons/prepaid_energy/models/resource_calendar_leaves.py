from zoneinfo import ZoneInfo

from odoo import api, fields, models

from .resource_calendar import dates_between

DECIDING = {"date_from", "date_to", "calendar_id", "company_id", "resource_id", "energy_day_type"}


class ResourceCalendarLeaves(models.Model):
    """Days off of a calendar or a company as holidays of tariffs."""

    _inherit = "resource.calendar.leaves"

    energy_day_type = fields.Selection(
        [
            ("holiday", "Holiday"),
            ("workday", "Working day made up for"),
            ("declared", "Declared day"),
        ],
        string="Energy Prices",
        required=True,
        default="holiday",
        help="What tariffs take the days for: a public holiday, a working day (a weekend that is "
        "worked), or a day declared by weather or notice, on top of its own kind. A day counts "
        "where its midday lies in the time.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `resource`: a day that is worked is no time off."""
        for vals in vals_list:
            if vals.get("energy_day_type", "holiday") != "holiday":
                vals.setdefault("time_type", "other")
        leaves = super().create(vals_list)
        leaves._energy_changed(leaves._energy_touched())
        return leaves

    def write(self, vals):
        deciding = bool(DECIDING & vals.keys())
        touched = self._energy_touched() if deciding else []
        result = super().write(vals)
        if deciding:
            self._energy_changed([*touched, *self._energy_touched()])
        return result

    def unlink(self):
        touched = self._energy_touched()
        result = super().unlink()
        self._energy_changed(touched)
        return result

    def _energy_dates(self, calendar):
        """Return the local dates of this leave by the time zone of a calendar."""
        self.ensure_one()
        return dates_between(self.date_from, self.date_to, ZoneInfo(calendar.tz or "UTC"))

    def _energy_touched(self):
        """Return the tariffs whose days these leaves name, each with the first of them.

        :return: list of (`energy.tariff`, local date)
        """
        touched = []
        for leave in self:
            if leave.resource_id:
                continue
            for tariff in self.env["energy.tariff"]._of_leave(leave):
                dates = leave._energy_dates(tariff.calendar_id)
                if dates:
                    touched.append((tariff, dates[0]))
        return touched

    @api.model
    def _energy_changed(self, touched):
        """Rate again, from its first day on, what these days price.

        :param list touched: pairs (`energy.tariff`, first local date)
        """
        first = {}
        for tariff, day in touched:
            first[tariff] = min(day, first.get(tariff, day))
        for tariff, day in first.items():
            tariff._days_changed(day)
