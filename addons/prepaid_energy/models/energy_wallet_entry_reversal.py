from odoo import fields, models


class EnergyWalletEntry(models.Model):
    _inherit = "energy.wallet.entry"

    can_be_reversed = fields.Boolean(compute="_compute_can_be_reversed")

    def _compute_can_be_reversed(self):
        reversed_keys = set(
            self.search(
                [("kind", "=", "reversal"), ("cause_key", "in", self.mapped("key"))]
            ).mapped("cause_key")
        )
        for entry in self:
            entry.can_be_reversed = (
                entry.kind == "top_up" and entry.method_id and entry.key not in reversed_keys
            )

    def action_reverse(self):
        """Open the request that undoes this top-up; the one under way where there is one."""
        self.ensure_one()
        request = self.env["energy.balance.request"].search(
            [("entry_key", "=", self.key), ("state", "not in", ("refused", "cancelled"))], limit=1
        )
        action = self.account_id._ask("reversal", wallet_id=self.wallet_id.id, entry_key=self.key)
        return dict(action, res_id=request.id) if request else action
