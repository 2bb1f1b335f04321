from odoo import _, api, fields, models
from odoo.tools import SQL


class EnergyCommand(models.Model):
    """An order that failed or expired is somebody's to-do, and an order given after it answers it.

    The order itself stays as it ended: the to-do is a finding of its meter.
    """

    _inherit = "energy.command"

    @api.model
    def _command(self, orders):
        ids = super()._command(orders)
        meters = [order["meter_id"] for order in orders if order.get("meter_id")]
        standing = self.env["energy.meter.finding"].search(
            [("kind", "=", "order"), ("is_standing", "=", True), ("meter_id", "in", meters)]
        )
        self._sync_to_do(standing.meter_id.ids)
        return ids

    def _set(self, state, **values):
        result = super()._set(state, **values)
        if state == "failed":
            self._sync_to_do(self.meter_id.ids)
        return result

    @api.model
    def _sync_to_do(self, ids, whose="meter_id"):
        """Bring the to-dos of these meters to what came of the last order of each kind.

        :param str whose: the column of the ids, where they are no meters'
        """
        if not ids:
            return
        column = SQL.identifier(whose)
        # sudo: findings belong to the flow, whoever gave the order
        findings = self.env["energy.meter.finding"].sudo()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT c.%(column)s, c.id, c.kind, c.value, c.number, c.state, c.error, c.done_at
              FROM energy_command c
             WHERE c.%(column)s = ANY(%(ids)s) AND c.state IN ('failed', 'expired')
               AND NOT EXISTS (SELECT 1 FROM energy_command later
                                WHERE later.%(column)s = c.%(column)s AND later.kind = c.kind
                                  AND later.number > c.number)
             ORDER BY c.%(column)s, c.kind = 'supply', c.number
            """,
                column=column,
                ids=list(ids),
            )
        )
        found = {
            key: (
                done_at,
                f"order_{state}",
                {
                    "order": order,
                    "number": number,
                    "kind": kind,
                    "value": value or "",
                    "error": error or "",
                },
            )
            for key, order, kind, value, number, state, error, done_at in rows
        }
        domain = [(whose, "in", list(ids))]
        standing = findings.search([("kind", "=", "order"), ("is_standing", "=", True), *domain])
        # Another order that failed is another to-do, also where the first was closed by hand.
        standing.filtered(
            lambda finding: (
                finding[whose].id in found
                and finding.figures["order"] != found[finding[whose].id][2]["order"]
            )
        )._end()
        findings._sync("order", found, domain, whose)


class EnergyMeterFinding(models.Model):
    _inherit = "energy.meter.finding"

    kind = fields.Selection(
        selection_add=[("order", "Command failed"), ("other",)], ondelete={"order": "cascade"}
    )
    command_id = fields.Many2one("energy.command", compute="_compute_command_id")

    @api.depends("figures")
    def _compute_command_id(self):
        for finding in self:
            finding.command_id = (finding.figures or {}).get("order")

    @api.model
    def _sentences(self):
        return {
            **super()._sentences(),
            "order_failed": _("Command %(number)s, %(what)s, failed: %(error)s"),
            "order_expired": _("Command %(number)s, %(what)s, was not carried out in time."),
        }

    @api.depends("code", "figures")
    @api.depends_context("lang")
    def _compute_details(self):
        orders = self.filtered(lambda finding: finding.kind == "order" and finding.figures)
        sentences = self._sentences()
        fields_of = self.env["energy.command"]._fields
        kinds = dict(fields_of["kind"]._description_selection(self.env))
        values = dict(fields_of["value"]._description_selection(self.env))
        for finding in orders:
            figures = finding.figures
            what = f"{kinds.get(figures['kind'], '')} {values.get(figures['value'], '')}".strip()
            finding.details = sentences[finding.code] % {**figures, "what": what}
        return super(EnergyMeterFinding, self - orders)._compute_details()

    def action_order_again(self):
        """Order again what failed, from the present situation."""
        return self.command_id.action_order_again()

    def action_open_command(self):
        """Open the command that failed."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.command",
            "res_id": self.command_id.id,
            "view_mode": "form",
        }
