from odoo import api, models


class EnergyWallet(models.Model):
    """What the books move on a balance."""

    _inherit = "energy.wallet"

    @api.model
    def _move_by_books(self, moved):
        """Post entries that came out of the books, and let supply follow.

        :param list moved: pairs of wallet and `Draft`
        """
        if not moved:
            return
        wallets = self.concat(*(wallet for wallet, _draft in moved))
        posted = self._post([draft for _wallet, draft in moved], self._lock(set(wallets.ids)))
        credited = {
            draft.wallet_id: draft.key
            for _wallet, draft in moved
            if draft.amount > 0 and draft.key in posted
        }
        accounts = self.browse(credited).account_id
        accounts._decide(cause="payment", entry_keys=credited, user_id=self.env.uid)
        (wallets.account_id - accounts)._decide()
        self.env["energy.room"]._tell()
