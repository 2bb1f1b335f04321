from odoo import api, fields, models


class EnergyAccount(models.Model):
    _inherit = "energy.account"

    balance = fields.Monetary(string="Settled")
    settled_until = fields.Datetime(
        compute="_compute_settled_until",
        help="The earliest moment up to which the meters of this account are settled.",
    )
    available = fields.Monetary(
        compute="_compute_available",
        help="Settled balance + overdraft limit − refunds asked for.",
    )
    unbilled = fields.Monetary(
        string="Not Yet Billed",
        compute="_compute_unbilled",
        help="Charged, on no posted invoice.",
    )
    balance_request_ids = fields.One2many("energy.balance.request", "account_id")

    @api.depends("wallet_ids.settled_until")
    def _compute_settled_until(self):
        for account in self:
            moments = list(filter(None, account.wallet_ids.mapped("settled_until")))
            account.settled_until = min(moments, default=False)

    @api.depends(
        "wallet_ids.balance",
        "credit_policy_id.overdraft",
        "balance_request_ids.state",
        "balance_request_ids.amount",
    )
    def _compute_available(self):
        asked = self.wallet_ids._refunds_asked_for()
        for account in self:
            account.available = (
                account.balance
                + account.credit_policy_id.overdraft
                - sum(asked.get(wallet, 0.0) for wallet in account.wallet_ids)
            )

    @api.depends("wallet_ids.unbilled")
    def _compute_unbilled(self):
        for account in self:
            account.unbilled = sum(account.wallet_ids.mapped("unbilled"))

    def action_refund(self):
        """Ask to pay money of this account back."""
        return self._ask("refund")

    def action_transfer(self):
        """Ask to move money of this account to another one."""
        return self._ask("transfer")

    def action_adjust(self):
        """Ask to correct the balance of this account."""
        return self._ask("adjustment")

    def action_write_off(self):
        """Ask to give up what this account owes."""
        return self._ask("write_off")

    def _ask(self, kind, **values):
        """Return the action that opens a new balance request for this account."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_balance_request"
        )
        defaults = {"default_account_id": self.id, "default_kind": kind}
        defaults |= {f"default_{name}": value for name, value in values.items()}
        return dict(action, views=[(False, "form")], view_mode="form", context=defaults)
