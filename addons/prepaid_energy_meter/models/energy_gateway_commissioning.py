from odoo import api, fields, models


class EnergyGateway(models.Model):
    _inherit = "energy.gateway"

    to_commission_count = fields.Integer(
        string="To Commission", compute="_compute_to_commission_count"
    )

    @api.depends("meter_ids.is_commissioned")
    def _compute_to_commission_count(self):
        counts = dict(
            self.env["energy.meter"]._read_group(
                [("gateway_id", "in", self.ids), ("is_commissioned", "=", False)],
                ["gateway_id"],
                ["__count"],
            )
        )
        for gateway in self:
            gateway.to_commission_count = counts.get(gateway, 0)

    def action_open_to_commission(self):
        """Open the meters of this gateway that nobody has signed for."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy_meter.action_energy_meter_to_commission"
        )
        domain = [("gateway_id", "in", self.ids)]
        return dict(action, domain=domain, context={"search_default_to_commission": 1})

    def action_commission(self):
        """Begin the sheets of all meters of this gateway that nobody has signed for."""
        return self.meter_ids.filtered(lambda m: not m.is_commissioned).action_commission()
