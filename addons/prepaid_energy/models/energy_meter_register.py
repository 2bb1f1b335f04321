from odoo import api, fields, models
from odoo.tools import SQL

from ..bulk import array


class EnergyMeter(models.Model):
    """The register that a meter shows last, whoever read it."""

    _inherit = "energy.meter"

    register = fields.Float(
        string="Reading",
        digits=(18, 4),
        compute="_compute_register",
        help="The last register that was read. Of a meter that is typed or imported: the last one "
        "accepted.",
    )
    read_at = fields.Datetime(string="Last Reading", compute="_compute_register")

    @api.depends("driver", "status_id.read_at", "status_id.total")
    def _compute_register(self):
        accepted = self._last_accepted()
        for meter in self:
            # Nobody but a person reads a meter without a driver; others say themselves what they
            # show, until a person reads one that has fallen silent.
            status = meter.status_id
            moment, total = accepted.get(meter._origin.id, (False, 0))
            if (
                meter.driver != "none"
                and status.read_at
                and not (moment and moment > status.read_at)
            ):
                moment, total = status.read_at, status.total
            meter.read_at, meter.register = moment, total

    def _last_accepted(self):
        """Return the last accepted reading that is no estimate: (moment, register) by meter id."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.meter, r.moment, r.total::float
              FROM unnest(%s::int[]) AS v(meter)
              JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data
                    WHERE meter_id = v.meter AND state = 'accepted' AND source <> 'estimate'
                    ORDER BY moment DESC LIMIT 1) r ON TRUE
            """,
                array(self._origin.ids),
            )
        )
        return {meter: (moment, total) for meter, moment, total in rows}
