from odoo import api, fields, models
from odoo.tools import SQL

#: Real seconds without a lease after which nobody is at work on a gateway: longer than from the
#: end of a run of the scheduled action to the next one.
UNATTENDED_AFTER = 90


class EnergyGateway(models.Model):
    """Whether somebody is at work on a gateway: what the last holder said stands no longer than
    that."""

    _inherit = "energy.gateway"

    lease_holder = fields.Char(
        string="Held By", compute="_compute_attended", help="The connector that may use it now."
    )
    is_online = fields.Boolean(string="Online", compute="_compute_attended")
    is_unattended = fields.Boolean(
        string="Nobody at Work",
        compute="_compute_attended",
        search="_search_is_unattended",
        help="No connector and no scheduled action works on it.",
    )
    unattended_since = fields.Datetime(compute="_compute_attended")

    @api.depends("status_id.lease_holder", "status_id.lease_until", "status_id.is_online", "active")
    def _compute_attended(self):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT g.id, CASE WHEN s.lease_until > energy_real_now() THEN s.lease_holder END,
                   s.is_online, %s, COALESCE(s.lease_until, g.create_date)
              FROM energy_gateway g JOIN energy_gateway_status s ON s.gateway_id = g.id
             WHERE g.id = ANY(%s)
            """,
                self._unattended(),
                self._origin.ids,
            )
        )
        found = {row[0]: row[1:] for row in rows}
        for gateway in self:
            holder, is_online, is_unattended, last = found.get(
                gateway._origin.id, (None, False, False, None)
            )
            gateway.lease_holder = holder
            gateway.is_online = is_online and not is_unattended
            gateway.is_unattended = is_unattended
            gateway.unattended_since = is_unattended and last

    @api.model
    def _unattended(self):
        """Return the condition, in SQL, of a gateway `g` with its status `s`."""
        # One that was just created is taken within seconds.
        return SQL(
            "(g.active AND COALESCE(s.lease_until, g.create_date)"
            " < energy_real_now() - %s * interval '1 second')",
            UNATTENDED_AFTER,
        )

    def _search_is_unattended(self, operator, value):
        if operator != "in":
            return NotImplemented
        query = SQL(
            "(SELECT g.id FROM energy_gateway g JOIN energy_gateway_status s"
            " ON s.gateway_id = g.id WHERE %s)",
            self._unattended(),
        )
        domain = [("id", "in", query)]
        return domain if set(value) == {True} else ["!", *domain]
