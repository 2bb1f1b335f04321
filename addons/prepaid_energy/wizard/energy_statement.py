from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import clock
from ..local_time import month_first


class EnergyStatement(models.TransientModel):
    """Asks for which month and which accounts statements are printed."""

    _name = "energy.statement"
    _description = "Account statements"

    month = fields.Date(
        required=True,
        default=lambda self: month_first(
            fields.Date.subtract(month_first(clock.now(self.env.cr).date()), days=1)
        ),
        help="Any day of it.",
    )
    account_ids = fields.Many2many("energy.account", string="Accounts")
    site_id = fields.Many2one(
        "energy.property",
        domain=[("kind", "=", "site")],
        help="All accounts of a site that were open in that month.",
    )

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if self.env.context.get("active_model") == "energy.account":
            values["account_ids"] = [(6, 0, self.env.context.get("active_ids", []))]
        return values

    def action_print(self):
        """Print the statements, one document for all."""
        self.ensure_one()
        month = month_first(self.month)
        accounts = self.account_ids
        if self.site_id:
            accounts |= self.env["energy.account"].search(
                [
                    ("site_id", "=", self.site_id.id),
                    ("opened_at", "<", fields.Date.add(month, months=1)),
                    "|",
                    ("closed_at", "=", False),
                    ("closed_at", ">=", month),
                ]
            )
        if not accounts:
            raise UserError(_("Choose accounts, or a site that had accounts in that month."))
        accounts.check_access("read")
        return self.env.ref("prepaid_energy.action_report_statement").report_action(
            accounts,
            data={"month": month.isoformat(), "account_ids": accounts.ids},
            config=False,
        )
