from odoo import _, api, models
from odoo.exceptions import UserError

from .energy_wallet import Draft


class EnergyWallet(models.Model):
    """Money in: a payment credited, and what follows once money was posted."""

    _inherit = "energy.wallet"

    def _top_up(self, amount, key, method, reference=None, shift=None):
        """Credit a payment, order supply on where it was missing, and let the books follow.

        Nothing of accounting is touched here: power does not wait for bookkeeping.

        :param float amount: more than zero, in the wallet's currency
        :param str key: chosen by the form or the payment provider; a repeated request finds it
        :param method: `energy.payment.method` by which the money comes
        :param str reference: typed reference of the payment
        :param shift: `energy.shift` of the cashier, or None
        :return: the entry, new or found by its key
        :rtype: recordset of `energy.wallet.entry`
        """
        self.ensure_one()
        locked = self._lock(self.ids)
        money = self._decimal(amount)
        if money <= 0:
            raise UserError(_("A top-up is an amount above zero."))
        account = self.account_id
        if not self.env["energy.wallet.entry"].search_count([("key", "=", key)], limit=1):
            account._check_takes_top_up(money, locked[self.id][0])
        posted = self._post(
            [
                Draft(
                    wallet_id=self.id,
                    kind="top_up",
                    category=self.commodity or "other",
                    amount=money,
                    key=key,
                    local_date=account.site_id._today(),
                    note=_("Top-up, %s", method.name),
                    user_id=self.env.uid,
                    journal_id=method.journal_id.id,
                    method_id=method.id,
                    shift_id=shift.id if shift else None,
                    reference=reference or None,
                )
            ],
            locked,
        )
        entry = self.env["energy.wallet.entry"].search([("key", "=", key)])
        if posted:
            self._take_service_fee(key, money, locked)
            self._follow(account, {self.id: key}, cause="payment")
        return entry

    @api.model
    def _follow(self, accounts, entry_keys, cause="policy"):
        """What follows when money entries were posted: decide, tell, and let the books follow.

        :param accounts: `energy.account` whose balances were moved
        :param dict entry_keys: key of the entry by id of the balance that it moved
        :param str cause: what supply on is owed to: payment or policy
        """
        accounts._decide(cause=cause, entry_keys=entry_keys, user_id=self.env.uid)
        self.env["energy.room"]._tell()
        self.env.ref("prepaid_energy.ir_cron_book_entries")._trigger()
