from odoo import api, fields, models
from odoo.addons.prepaid_energy import clock
from odoo.tools import SQL, date_utils

from ..modbus.tally import NAMES

KEEP_DAYS = "prepaid_energy_meter.health_days"
DEFAULT_KEEP_DAYS = "180"


class EnergyGatewayHour(models.Model):
    """How the readings behind a gateway went in an hour."""

    _name = "energy.gateway.hour"
    _description = "Health of a gateway"
    _inherit = ["energy.field.health"]
    _order = "hour desc, good_share, id"
    _rec_name = "gateway_id"

    gateway_id = fields.Many2one("energy.gateway", required=True, readonly=True, ondelete="cascade")
    hour = fields.Datetime(required=True, readonly=True, index=True)

    _hour_uniq = models.UniqueIndex("(gateway_id, hour)", "A gateway has one row an hour.")

    @api.model
    def _add(self, tallies):
        """Add what was counted behind each gateway.

        :param dict tallies: :class:`..modbus.tally.Tally` by meter id, by gateway id
        """
        rows = []
        for gateway, of_meters in sorted(tallies.items()):
            counts = [[getattr(tally, name) for tally in of_meters.values()] for name in NAMES]
            if of_meters:
                summed = [
                    (max if name == "longest" else sum)(values)
                    for name, values in zip(NAMES, counts, strict=True)
                ]
                rows.append((gateway, *summed))
        self._add_rows(
            "gateway_id",
            (SQL("hour"), SQL("date_trunc('hour', energy_now())")),
            rows,
            SQL("energy_gateway t ON t.id = v.id"),
        )

    @api.model
    def _cron_prune(self):
        """Scheduled action: forget what is older than the set number of days."""
        days = int(
            # sudo: a setting of the administrator, no user's data
            self.env["ir.config_parameter"].sudo().get_param(KEEP_DAYS) or DEFAULT_KEEP_DAYS
        )
        oldest = date_utils.subtract(clock.now(self.env.cr), days=days)
        self._prune_before("hour", oldest)
        self.env["energy.meter.day"]._prune_before("date", oldest.date())
