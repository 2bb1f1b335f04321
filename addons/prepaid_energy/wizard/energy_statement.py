from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import clock
from ..local_time import local_midnight, month_first


class EnergyStatement(models.TransientModel):
    """Asks for which month and which accounts statements are printed."""

    _name = "energy.statement"
    _description = "Account statements"

    month = fields.Date(
        required=True,
        default=lambda self: self._default_month(),
        help="Any day of it.",
    )
    account_ids = fields.Many2many("energy.account", string="Accounts")
    site_id = fields.Many2one(
        "energy.property",
        domain=[("kind", "=", "site")],
        help="All accounts of a site that were open in that month.",
    )

    @api.model
    def _default_month(self):
        """Return the last month that is over, at the site that is asked about."""
        places = self.env["energy.property"]
        if self.env.context.get("active_model") == "energy.account":
            accounts = self.env["energy.account"].browse(self.env.context.get("active_ids", []))
            places = accounts.site_id
        places = places or self.env.user.energy_site_ids or places.search([("kind", "=", "site")])
        today = min((site._today() for site in places), default=clock.now(self.env.cr).date())
        return month_first(fields.Date.subtract(month_first(today), days=1))

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
            zone = self.site_id._zone()
            accounts |= self.env["energy.account"].search(
                [
                    ("site_id", "=", self.site_id.id),
                    ("opened_at", "<", local_midnight(fields.Date.add(month, months=1), zone)),
                    "|",
                    ("closed_at", "=", False),
                    ("closed_at", ">=", local_midnight(month, zone)),
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
