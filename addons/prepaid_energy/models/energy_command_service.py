from odoo import api, models
from odoo.tools import SQL

from .energy_command import WAITING


class EnergyCommand(models.Model):
    """While somebody works in service mode, nothing turns supply on.

    An order to turn on waits from the moment it is given, so that the cashier sees it; it makes no
    order to turn off overtaken. It is looked for again where orders are taken and right before the
    write, because service mode may have begun meanwhile.
    """

    _inherit = "energy.command"

    @api.model
    def _command(self, orders):
        ids = super()._command(orders)
        meters = [order["meter_id"] for order in orders if order.get("value") == "on"]
        if meters:
            blocked = self.env["energy.service.mode"]._active_for(meters)
            if blocked:
                self._wait_for_service(list(blocked))
        return ids

    @api.model
    def _wait_for_service(self, meter_ids):
        """Have every order that would turn one of these meters on wait."""
        self.env.cr.execute(
            SQL(
                "SELECT id FROM energy_command WHERE meter_id = ANY(%s) AND kind = 'supply'"
                " AND value = 'on' AND state IN ('queued', 'sent')",
                meter_ids,
            )
        )
        self.browse([row[0] for row in self.env.cr.fetchall()])._let_wait("service")

    @api.model
    def _hold_back(self, orders):
        orders = super()._hold_back(orders)
        on = {order["meter_id"]: order for order in orders if order.get("value") == "on"}
        if not on:
            return orders
        blocked = self.env["energy.service.mode"]._active_for(list(on))
        if blocked:
            self.browse([on[meter]["id"] for meter in blocked])._let_wait("service")
            orders = [
                order
                for order in orders
                if order.get("value") != "on" or order["meter_id"] not in blocked
            ]
        return orders

    def _check(self):
        why = super()._check()
        if why or self.kind != "supply" or self.value != "on":
            return why
        blocked = self.env["energy.service.mode"]._active_for(self.meter_id.ids)
        if not blocked:
            return ""
        self._let_wait("service")
        return self.env["energy.service.mode"].browse(blocked[self.meter_id.id])._notice()

    def _why_waiting(self):
        waiting = self.filtered(lambda c: c.waits_for == "service" and c.state in WAITING)
        services = self.env["energy.service.mode"]
        blocked = services._active_for(waiting.meter_id.ids)
        # sudo: whoever turns on or sells may know that somebody works there
        notices = [services.sudo().browse(key)._notice() for key in sorted(set(blocked.values()))]
        return [*super()._why_waiting(), *notices]
