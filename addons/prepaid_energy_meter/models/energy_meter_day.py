from odoo import api, fields, models
from odoo.tools import SQL

from ..modbus.tally import NAMES


class EnergyMeterDay(models.Model):
    """How the readings of a meter went on a day of its site."""

    _name = "energy.meter.day"
    _description = "Health of a meter"
    _inherit = ["energy.field.health"]
    _order = "date desc, good_share, id"
    _rec_name = "meter_id"

    meter_id = fields.Many2one("energy.meter", required=True, readonly=True, ondelete="cascade")
    gateway_id = fields.Many2one("energy.gateway", readonly=True, index=True, ondelete="cascade")
    property_id = fields.Many2one(related="meter_id.property_id")
    date = fields.Date(required=True, readonly=True, index=True)

    _date_uniq = models.UniqueIndex("(meter_id, date)", "A meter has one row a day.")

    @api.model
    def _add(self, tallies):
        """Add what was counted of each meter.

        :param dict tallies: :class:`..modbus.tally.Tally` by meter id
        """
        self._add_rows(
            "meter_id",
            (
                SQL("date"),
                SQL("(energy_now() AT TIME ZONE 'UTC' AT TIME ZONE COALESCE(p.tz, 'UTC'))::date"),
            ),
            [
                (meter, *(getattr(tally, name) for name in NAMES))
                for meter, tally in sorted(tallies.items())
            ],
            SQL("energy_meter t ON t.id = v.id JOIN energy_property p ON p.id = t.site_id"),
        )
