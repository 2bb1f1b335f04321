from odoo import api, fields, models


class EnergyAccount(models.Model):
    _inherit = "energy.account"

    deposit_ids = fields.One2many("energy.security.deposit", "account_id")
    deposit_held = fields.Monetary(
        string="Security Deposit Held",
        compute="_compute_deposit_held",
        help="Held as a guarantee. Not part of the balance.",
    )

    @api.depends("deposit_ids.move_ids.amount")
    def _compute_deposit_held(self):
        held = dict(
            self.env["energy.security.deposit.move"]._read_group(
                [("account_id", "in", self.ids)], ["account_id"], ["amount:sum"]
            )
        )
        for account in self:
            account.deposit_held = held.get(account, 0.0)

    def action_open_deposits(self):
        """Open the security deposits of these accounts."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_security_deposit"
        )
        context = {"default_account_id": self.id} if len(self) == 1 else {}
        return dict(action, domain=[("account_id", "in", self.ids)], context=context)
