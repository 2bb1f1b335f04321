from odoo import api, fields, models


class EnergyCommand(models.Model):
    """An order to a gateway that failed or expired is a to-do, as one to a meter is."""

    _inherit = "energy.command"

    @api.model
    def _command(self, orders):
        """Override of `prepaid_energy`: an order given after it answers it."""
        ids = super()._command(orders)
        gateways = [order["gateway_id"] for order in orders if order.get("gateway_id")]
        standing = self.env["energy.meter.finding"].search(
            [("kind", "=", "order"), ("is_standing", "=", True), ("gateway_id", "in", gateways)]
        )
        self._sync_to_do(standing.gateway_id.ids, "gateway_id")
        return ids

    def _set(self, state, **values):
        """Override of `prepaid_energy`: probes and scans that fail."""
        result = super()._set(state, **values)
        if state == "failed":
            self._sync_to_do(self.gateway_id.ids, "gateway_id")
        return result


class EnergyMeterFinding(models.Model):
    """A finding may be of a gateway; of its orders, then."""

    _inherit = "energy.meter.finding"

    gateway_id = fields.Many2one(
        "energy.gateway", readonly=True, index="btree_not_null", ondelete="cascade"
    )

    _check_whose = models.Constraint(
        "CHECK ((meter_id IS NULL) <> (gateway_id IS NULL))",
        "A finding is of a meter or of a gateway.",
    )
    _gateway_standing_uniq = models.UniqueIndex(
        "(gateway_id, kind) WHERE is_standing AND gateway_id IS NOT NULL",
        "A gateway has one standing finding of a kind.",
    )

    @api.depends("gateway_id.site_id", "gateway_id.company_id")
    def _compute_place(self):
        return super()._compute_place()

    @api.depends("gateway_id.name")
    def _compute_display_name(self):
        return super()._compute_display_name()

    def _whose(self):
        """Override of `prepaid_energy`: the gateway, where it is one."""
        return self.gateway_id or super()._whose()
