from odoo import _, api, fields, models
from odoo.addons.prepaid_energy.models.energy_command import WAITING

LACKS = ("armed", "cuts_released")


class EnergyCommand(models.Model):
    """Supply orders wait for the gateway to be armed, cuts for their release there.

    They wait from the moment they are given, so that whoever orders or sells sees it. It is looked
    at again right before the write, when a gateway changes, and when the connector loads the field.
    """

    _inherit = "energy.command"

    waits_for = fields.Selection(
        selection_add=[
            ("armed", "Arming of the gateway"),
            ("cuts_released", "Release of cuts on the gateway"),
        ]
    )

    @api.model
    def _until_released(self):
        """Override of `prepaid_energy`: a person arms gateways."""
        return (*super()._until_released(), *LACKS)

    def _wait_for_gateways(self):
        """Have these orders wait for what their gateways lack, or go on where nothing lacks."""
        lacking, others = {}, set(self._until_released()).difference(LACKS)
        # sudo: orders belong to the flow, whoever gives them
        for order in self.sudo().filtered(lambda order: order.kind == "supply"):
            lacks = order.meter_id.gateway_id._lacks(order.value, order.cause)
            waits_for = order.waits_for or ""
            # Other releases come first; what they let go is asked again before the write.
            if lacks != waits_for and waits_for not in others:
                lacking.setdefault(lacks, []).append(order.id)
        for lacks, ids in lacking.items():
            orders = self.sudo().browse(ids)
            if lacks:
                orders._let_wait(lacks)
            else:
                orders.filtered(lambda order: order.waits_for in LACKS)._release()

    @api.model
    def _command(self, orders):
        """Override of `prepaid_energy`: say from the first moment what waits."""
        ids = super()._command(orders)
        if any(order["kind"] == "supply" for order in orders):
            self.browse(ids)._wait_for_gateways()
        return ids

    def _check(self):
        """Override of `prepaid_energy`: the gateway may have been disarmed meanwhile."""
        why = super()._check()
        if why or self.kind != "supply":
            return why
        self._wait_for_gateways()
        if self.waits_for not in LACKS:
            return ""
        return self.meter_id.gateway_id._write_refusal(self.value, self.cause)

    def _why_waiting(self):
        """Override of `prepaid_energy`: what the gateway lacks."""
        waiting = self.filtered(lambda c: c.waits_for in LACKS and c.state in WAITING)
        why = [c.meter_id.gateway_id._write_refusal(c.value, c.cause) for c in waiting]
        return [*super()._why_waiting(), *dict.fromkeys(why)]


class EnergyGateway(models.Model):
    _inherit = "energy.gateway"

    waiting_count = fields.Integer(
        string="Commands Waiting",
        compute="_compute_waiting_count",
        help="Supply commands that wait for the gateway to be armed, or for cuts to be released.",
    )

    def _waiting(self):
        # sudo: orders belong to the flow; whoever sees the gateway may know how many wait for it
        return (
            self.env["energy.command"]
            .sudo()
            .search(
                [
                    ("meter_id.gateway_id", "in", self.ids),
                    ("kind", "=", "supply"),
                    ("state", "in", WAITING),
                ]
            )
        )

    def _compute_waiting_count(self):
        waiting = self._waiting().filtered(lambda command: command.waits_for in LACKS)
        by_gateway = waiting.grouped(lambda command: command.meter_id.gateway_id)
        for gateway in self:
            gateway.waiting_count = len(by_gateway.get(gateway._origin, ()))

    def write(self, vals):
        """Override: what waits for the gateway goes on with it, what may not go out waits."""
        result = super().write(vals)
        if {"armed_identity", "cut_release_identity"} & vals.keys():
            self._waiting()._wait_for_gateways()
        return result

    def action_open_waiting(self):
        """Open the commands that wait for these gateways."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_command"
        )
        domain = [("meter_id.gateway_id", "in", self.ids), ("waits_for", "in", LACKS)]
        return dict(action, domain=[*domain, ("state", "in", WAITING)])


class EnergyMeterFinding(models.Model):
    _inherit = "energy.meter.finding"

    kind = fields.Selection(
        selection_add=[("armed", "Gateway not armed"), ("other",)], ondelete={"armed": "cascade"}
    )

    @api.model
    def _sentences(self):
        """Override of `prepaid_energy`: what waits behind a gateway that is not armed."""
        return {
            **super()._sentences(),
            "armed": _(
                "%(count)s commands wait: nothing is written through this gateway until somebody "
                "arms it."
            ),
        }

    @api.model
    def _watch(self, site):
        """Override of `prepaid_energy`: people wait for supply behind a gateway."""
        result = super()._watch(site)
        gateways = self.env["energy.gateway"].search([("site_id", "=", site.id)])
        waiting = gateways._waiting()
        # Who ordered while somebody else armed could not know.
        waiting._wait_for_gateways()
        waiting = waiting.filtered(lambda command: command.waits_for == "armed")
        found = {
            gateway.id: (min(here.mapped("created_at")), "armed", {"count": len(here)})
            for gateway, here in waiting.grouped(lambda c: c.meter_id.gateway_id).items()
        }
        self._sync("armed", found, [("site_id", "=", site.id)], "gateway_id")
        return result
