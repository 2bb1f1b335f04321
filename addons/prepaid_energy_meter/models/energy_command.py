from odoo import _, api, fields, models
from odoo.addons.prepaid_energy.models.energy_command import WAITING
from odoo.tools import SQL
from psycopg2.extras import Json


class EnergyCommand(models.Model):
    """Orders that only a bus can carry out: to a gateway, and to set a meter's clock."""

    _inherit = "energy.command"

    kind = fields.Selection(
        selection_add=[("probe", "Probe"), ("scan", "Scan"), ("clock", "Set clock")],
        ondelete={"probe": "cascade", "scan": "cascade", "clock": "cascade"},
    )
    state = fields.Selection(
        selection_add=[("stopped", "Stopped")], ondelete={"stopped": "cascade"}
    )
    gateway_id = fields.Many2one(
        "energy.gateway", readonly=True, index="btree_not_null", ondelete="restrict"
    )

    _gateway_number_uniq = models.UniqueIndex(
        "(gateway_id, number) WHERE gateway_id IS NOT NULL", "A gateway has one order of a number."
    )
    _gateway_waiting_idx = models.Index(
        "(gateway_id) WHERE gateway_id IS NOT NULL AND state IN ('queued', 'sent')"
    )
    _check_target = models.Constraint(
        "CHECK ((gateway_id IS NOT NULL) = (kind IN ('probe', 'scan'))"
        " AND (gateway_id IS NULL) <> (meter_id IS NULL))",
        "Probes and scans are ordered of a gateway, everything else of a meter.",
    )

    @api.depends("gateway_id.name")
    def _compute_display_name(self):
        """Override of `prepaid_energy`: an order to a gateway bears the gateway's name."""
        result = super()._compute_display_name()
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for command in self.filtered("gateway_id"):
            command.display_name = (
                f"{command.gateway_id.name} #{command.number} {labels[command.kind]}"
            )
        return result

    @api.model
    def _command(self, orders):
        """Override of `prepaid_energy`: gateways hear of their orders, too."""
        ids = super()._command(orders)
        self.browse(ids)._announce()
        return ids

    @api.model
    def _numbered(self, order):
        """Override of `prepaid_energy`: an order with `gateway_id` counts by its gateway."""
        if not order.get("gateway_id"):
            return super()._numbered(order)
        return "gateway_id", SQL(
            """
            UPDATE energy_gateway SET last_number = last_number + 1 WHERE id = %s
            RETURNING id, last_number AS number, site_id, company_id
            """,
            order["gateway_id"],
        )

    @api.model
    def _take_for_gateways(self, gateway_ids, under_way=()):
        """Return the due orders of these gateways, in the order in which they were given.

        A later order of the same kind for the same unit makes an earlier one overtaken; what is
        past its life expires, unless it is under way.

        :param under_way: ids of the orders that the caller is carrying out
        :return: list of dicts with id, gateway_id, kind, arguments, tries
        """
        self.env.cr.execute(
            SQL(
                "SELECT 1 FROM energy_command WHERE gateway_id = ANY(%s)"
                " AND state IN ('queued', 'sent') LIMIT 1",
                list(gateway_ids),
            )
        )
        if not self.env.cr.fetchone():
            return []
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command c SET state = 'overtaken', done_at = energy_now()
             WHERE c.gateway_id = ANY(%s) AND c.state IN ('queued', 'sent')
               AND EXISTS (SELECT 1 FROM energy_command h
                            WHERE h.gateway_id = c.gateway_id AND h.kind = c.kind
                              AND h.arguments ->> 'unit' IS NOT DISTINCT FROM
                                  c.arguments ->> 'unit'
                              AND h.number > c.number)
            RETURNING c.id
            """,
                list(gateway_ids),
            )
        )
        ended = [row[0] for row in self.env.cr.fetchall()]
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command c SET state = 'expired', done_at = energy_now()
             WHERE c.gateway_id = ANY(%s) AND c.state IN ('queued', 'sent')
               AND c.expires_at <= energy_now() AND NOT c.id = ANY(%s)
            RETURNING c.gateway_id, c.id
            """,
                list(gateway_ids),
                list(under_way),
            )
        )
        expired = self.env.cr.fetchall()
        self._sync_to_do([gateway for gateway, _order in expired], "gateway_id")
        self.browse(ended + [order for _gateway, order in expired])._ended()
        self.env.cr.execute(
            SQL(
                """
            SELECT id, gateway_id, kind, arguments, tries FROM energy_command
             WHERE gateway_id = ANY(%s) AND state IN ('queued', 'sent')
               AND (not_before IS NULL OR not_before <= energy_real_now())
               AND waits_for IS NULL AND NOT id = ANY(%s)
             ORDER BY gateway_id, number
            """,
                list(gateway_ids),
                list(under_way),
            )
        )
        names = ("id", "gateway_id", "kind", "arguments", "tries")
        self.invalidate_model(flush=False)
        return [dict(zip(names, row, strict=True)) for row in self.env.cr.fetchall()]

    @api.model
    def _no_longer_wanted(self, ids):
        """Return those of the orders that are at their end, or gone."""
        self.env.cr.execute(
            SQL(
                "SELECT id FROM energy_command WHERE id = ANY(%s) AND state IN ('queued', 'sent')",
                list(ids),
            )
        )
        return set(ids) - {row[0] for row in self.env.cr.fetchall()}

    def _found(self, result):
        """Note what has been found so far."""
        self.ensure_one()
        self.env.cr.execute(
            SQL(
                "UPDATE energy_command SET result = %s"
                " WHERE id = %s AND state IN ('queued', 'sent')",
                Json(result),
                self.id,
            )
        )
        self.invalidate_recordset(["result"], flush=False)

    def _stop(self):
        """End orders to gateways at the wish of this user; what was found so far stays."""
        for command in self.filtered(lambda command: command.state in WAITING):
            command._set("stopped", error=_("Stopped by %s.", self.env.user.name), done=True)
            # The connector drops what is not waiting any more: one exchange is under way at most.
            command._announce()

    def _announce(self):
        """Have the connector look at the orders of this gateway."""
        for gateway in self.gateway_id:
            payload = f"gateway:{gateway.id}"
            self.env.cr.execute(SQL("SELECT pg_notify('energy_command', %s)", payload))

    def _ended(self):
        """Override of `prepaid_energy`: documents that wait have the answer, or hear of none."""
        result = super()._ended()
        # sudo: what came of an order is written by the flow, whoever ended it
        for command in self.sudo():
            if command.kind == "scan":
                command.env["energy.gateway.scan"]._take_result(command)
            if command.kind == "probe" or (command.kind == "supply" and command.cause == "person"):
                command.env["energy.meter.commissioning"]._order_ended(command)
        return result

    def action_order_again(self):
        """Override of `prepaid_energy`: a probe, scan or clock order is given once more."""
        to_gateways = self.filtered("gateway_id")
        for command in to_gateways:
            scan = self.env["energy.gateway.scan"].search([("command_id", "=", command.id)])
            if scan:
                # Its form waits for what is found.
                scan.action_start()
            else:
                command.gateway_id._order_job(command.kind, command.arguments, command.reason)
        clocks = self.filtered(lambda command: command.kind == "clock")
        clocks.meter_id._order_clock()
        others = self - to_gateways - clocks
        if others:
            return super(EnergyCommand, others).action_order_again()
        return None
