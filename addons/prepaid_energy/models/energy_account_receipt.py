from odoo import models


class EnergyAccount(models.Model):
    _inherit = "energy.account"

    def action_open_receipts(self):
        """Open the receipts of these accounts."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_receipt"
        )
        return dict(action, domain=[("account_id", "in", self.ids)])


class EnergyWalletEntry(models.Model):
    _inherit = "energy.wallet.entry"

    def action_print_receipt(self):
        """Print the receipts of these payments; one that has none yet gets its number first."""
        self.check_access("read")
        receipts = self.env["energy.receipt"]
        receipts._check_may_print()
        return receipts._for(self.mapped("key"))._print()
