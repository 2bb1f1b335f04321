from odoo import api, fields, models

from ..local_time import local_midnight


class EnergyBillingLine(models.Model):
    """From a billed line to how it was made."""

    _inherit = "energy.billing.line"

    band_source = fields.Selection(
        [
            ("platform", "Platform time"),
            ("meter", "Meter registers"),
            ("both", "Meter registers; platform time while its clock was off"),
        ],
        string="Rate Periods By",
        compute="_compute_band_source",
        help="What puts use into rate periods: the time of the readings, or the meter's registers.",
    )

    @api.depends("supply_id.term_ids.band_source", "supply_id.term_ids.plan_version_id", "month")
    def _compute_band_source(self):
        # sudo: whoever sees a line may know that a clock was off, if not see the meter's findings
        clocks = (
            self.env["energy.meter.finding"]
            .sudo()
            .search([("kind", "=", "clock"), ("meter_id", "in", self.supply_id.meter_id.ids)])
            .grouped("meter_id")
        )
        for line in self:
            supply = line.supply_id
            terms = supply.term_ids.sorted("since")
            if not terms:
                line.band_source = False
                continue
            zone = line.site_id._zone()
            start = local_midnight(line.month, zone)
            end = local_midnight(fields.Date.add(line.month, months=1), zone)
            present = terms.filtered(lambda term, end=end: term.since < end)[-1:]
            term = present or terms[:1]
            source = term.band_source
            if line.version_id and line.version_id != term.plan_version_id:
                source = "platform"
            if source == "meter":
                start, end = max(start, supply.start_at), min(end, supply.end_at or end)
                for clock in clocks.get(supply.meter_id, ()):
                    until = clock.closed_at or end
                    if clock.since <= start and until >= end:
                        source = "platform"
                    elif clock.since < end and until > start and source == "meter":
                        source = "both"
            line.band_source = source

    def action_explain(self):
        """Show how the last balance entry of this line's month was made."""
        self.ensure_one()
        return self.unit_id.action_explain()
