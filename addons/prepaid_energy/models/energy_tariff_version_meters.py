from collections import defaultdict

from odoo import api, fields, models

from ..engine.tariff import plan_rows
from .energy_tariff_version_editor import PLAN


class EnergyTariffVersion(models.Model):
    """Which of a tariff's meters can hold the plan of a version themselves."""

    _inherit = "energy.tariff.version"

    meter_count = fields.Integer(string="Meters", compute="_compute_meters")
    holder_count = fields.Integer(
        string="Hold the Plan",
        compute="_compute_meters",
        help="Meters that can hold it themselves.",
    )
    holder_text = fields.Text(
        compute="_compute_meters", help="Which meters the platform prices by its own time, and why."
    )

    @api.depends("tariff_id", *PLAN)
    def _compute_meters(self):
        for version in self:
            meters = version._meters()
            refusals = version._refusals(meters)
            platform = defaultdict(int)
            for reason in refusals.values():
                if reason:
                    platform[reason] += 1
            version.meter_count = len(meters)
            version.holder_count = len(meters) - sum(platform.values())
            version.holder_text = "\n".join(
                self.env._("%(count)s priced by the platform: %(reason)s", count=count, reason=text)
                for text, count in sorted(platform.items())
            )

    def action_open_meters(self):
        """Open the meters of the tariff."""
        return self._open_meters(self._meters())

    def action_open_holders(self):
        """Open those meters of the tariff that can hold the plan."""
        meters = self._meters()
        refusals = self._refusals(meters)
        return self._open_meters(meters.filtered(lambda meter: not refusals[meter.id]))

    def _open_meters(self, meters):
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_meter")
        return dict(action, domain=[("id", "in", meters.ids)], context={})

    def _meters(self):
        """Return the meters that the version's tariff prices now, as far as the user sees them."""
        self.ensure_one()
        if not self.tariff_id._origin:
            return self.env["energy.meter"]
        supplies = self.env["energy.supply"]._search_present(
            [("term_ids.tariff_id", "=", self.tariff_id._origin.id)]
        )
        return supplies.filtered(lambda supply: supply.tariff_id == self.tariff_id._origin).meter_id

    def _refusals(self, meters):
        """Return why meters cannot hold this version's plan.

        :param meters: `energy.meter`
        :return: dict of meter id to the reason as a text, or False where it can
        """
        self.ensure_one()
        reasons, refusals = {}, {}
        demands = self._plan_demands()
        for meter, limits in meters._plan_limits().items():
            if limits not in reasons:
                reasons[limits] = self._refusal(limits, demands)
            refusals[meter] = reasons[limits]
        return refusals

    def _plan_demands(self):
        """Return what a meter needs to hold this version: day plans, most changes, band keys."""
        if not self.band_ids or self._unnamed_windows():
            return None
        plans = {parts for _months, _kind, _declared, parts in plan_rows(self._build())}
        bands = {band for parts in plans for _start, _end, band in parts}
        return len(plans), max(len(parts) for parts in plans), bands - {None}

    def _refusal(self, limits, demands):
        """Return why a meter of these limits cannot hold the plan, or False.

        :param limits: `PlanLimits` or None
        :param demands: as `_plan_demands` returns them
        """
        _ = self.env._
        if limits is None:
            return _("the meter has no plan of rate periods.")
        if demands is None:
            return _("the version is not complete.")
        plans, slots, bands = demands
        missing = [band.name for band in self.band_ids if band.key in bands - limits.bands]
        if plans > limits.plans:
            return _(
                "the year needs %(plans)s different days (seasons, kinds of day, declared days); "
                "the meter holds %(held)s.",
                plans=plans,
                held=limits.plans,
            )
        if slots > limits.slots:
            return _(
                "a day has %(slots)s times; the meter holds %(held)s.",
                slots=slots,
                held=limits.slots,
            )
        if missing:
            return _("the meter does not know %s.", ", ".join(missing))
        return False
