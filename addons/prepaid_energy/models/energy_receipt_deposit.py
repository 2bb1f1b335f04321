from odoo import api, models


class EnergyReceipt(models.Model):
    _inherit = "energy.receipt"

    @api.model
    def _facts(self, keys):
        """Override to give receipts for security deposits too: they touch no balance."""
        facts = super()._facts(keys)
        moves = self.env["energy.security.deposit.move"].search(
            [("key", "in", keys), ("kind", "in", ("received", "returned"))]
        )
        for move in moves:
            facts[move.key] = {
                **self._facts_of_account(move.account_id, move.moment),
                "kind": "deposit" if move.kind == "received" else "deposit_return",
                "customer": move.deposit_id.partner_id.display_name,
                "local_date": move.local_date,
                "amount": abs(move.amount),
                "method_id": move.method_id.id,
                "reference": move.reference,
                "user_id": move.user_id.id,
            }
        return facts
