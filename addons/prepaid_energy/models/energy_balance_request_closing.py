from odoo import api, fields, models

from .. import clock


class EnergyBalanceRequest(models.Model):
    """What is left at a closing is paid back by a request of its own."""

    _inherit = "energy.balance.request"

    change_id = fields.Many2one(
        "energy.account.change",
        string="Account Change",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )

    @api.model
    def _ask_after_closing(self, change, wallet, amount):
        """Ask to pay back what is left on a balance of a closed account, in this transaction.

        Whoever may ask for refunds at the counter pays it by the same rules; where others close
        the account, it waits for finance.

        :param change: `energy.account.change`
        :param wallet: `energy.wallet`
        :param Decimal amount: more than zero
        """
        values = {
            "kind": "refund",
            "account_id": wallet.account_id.id,
            "wallet_id": wallet.id,
            "amount": float(amount),
            "reason": "moved_out",
            "remark": f"{change.display_name}: {change.reason}",
            "change_id": change.id,
        }
        if change.method_id:
            values["method_id"] = change.method_id.id
        # sudo: who closes an account asks for the refund, also without rights on requests
        request = self.sudo().create(values)
        if self.env.user._is_energy("cashier", "finance"):
            request._submit()
            return
        request._check_body(request._lock())
        request.write({"requested_at": clock.now(self.env.cr), "state": "waiting"})
        request._ask_to_approve()
