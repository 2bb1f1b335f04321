from odoo import api, fields, models

from ..local_time import local_midnight


class EnergyBillingLine(models.Model):
    """From a billed line to how it was made."""

    _inherit = "energy.billing.line"

    band_source = fields.Selection(
        [("platform", "Platform time"), ("meter", "Meter registers")],
        string="Rate Periods By",
        compute="_compute_band_source",
        help="What puts use into rate periods: the time of the readings, or the meter's registers.",
    )

    @api.depends("supply_id.term_ids.band_source", "month")
    def _compute_band_source(self):
        for line in self:
            terms = line.supply_id.term_ids.sorted("since")
            if not terms:
                line.band_source = False
                continue
            end = local_midnight(fields.Date.add(line.month, months=1), line.site_id._zone())
            present = terms.filtered(lambda term, end=end: term.since < end)[-1:]
            line.band_source = (present or terms[:1]).band_source

    def action_explain(self):
        """Show how the last balance entry of this line's month was made."""
        self.ensure_one()
        return self.unit_id.action_explain()
