from datetime import timedelta

from odoo import api, models

from ..local_time import month_first

DEPOSIT = 500.0


class EnergyDemo(models.AbstractModel):
    """What happened at the demo's counter and in its books, by the methods that buttons call."""

    _inherit = "energy.demo"

    @api.model
    def _load_office(self):
        """A day at the counter with its shift, requests on balances, and last month's invoices.

        Rooms in which something is about to happen are left alone.
        """
        self = self.with_company(self._company())
        self._company().write(
            {
                "energy_refund_limit": 50,
                "energy_adjustment_limit": 100,
                "energy_top_up_limit": 5000,
            }
        )
        accounts = self.env["energy.account"].search(
            [("company_id", "=", self._company().id), ("payment_mode", "=", "prepaid")],
            order="name",
        )
        calm = accounts.filtered(lambda account: account.balance > 80).sorted("balance")
        self._invoice_last_month()
        if len(calm) >= 4:
            self._play_day_at_counter(calm)
        self._keep_books()

    def _keep_books(self):
        booking = self.env["energy.booking"]
        booking._book(booking._to_book())
        self.env["energy.book.settlement"]._settle()

    def _invoice_last_month(self):
        accounts = self.env["energy.account"].search(
            [("company_id", "=", self._company().id), ("state", "=", "active")]
        )
        # Payments first: an invoice takes what was paid ahead.
        self._keep_books()
        accounts._invoice_until(month_first(accounts[:1].site_id._today()) - timedelta(days=1))

    def _play_day_at_counter(self, accounts):
        cashier = self.env.ref("prepaid_energy.user_cashier")
        finance = self.env.ref("prepaid_energy.user_accountant")
        cash = self.env["energy.payment.method"].search(
            [("company_id", "=", self._company().id), ("kind", "=", "cash")], limit=1
        )
        shift = self.env["energy.shift"].with_user(cashier).create({"opening_float": 300.0})
        first, second, third, fourth = accounts[-4:]
        for account in (first, second, third):
            self.env["energy.security.deposit"].with_user(cashier).create(
                {"account_id": account.id, "amount": DEPOSIT, "method_id": cash.id}
            ).action_receive()
        # sudo: as the counter does it
        wrong = (
            first.wallet_ids.with_user(cashier)
            .sudo()
            ._top_up(120.0, f"demo/{first.name}/wrong", cash, shift=shift)
        )
        self._request(cashier, first, "reversal", 120.0, "wrong_entry", entry_key=wrong.key)
        first.wallet_ids.with_user(cashier).sudo()._top_up(
            100.0, f"demo/{first.name}/right", cash, shift=shift
        )
        self._request(cashier, second, "refund", 30.0, "other", method_id=cash.id)
        self._request(finance, third, "adjustment", 12.5, "goodwill")
        self._request(finance, fourth, "transfer", 20.0, "other", to_account_id=first.id)
        # Above the limit: waits for a second person.
        self._request(cashier, fourth, "refund", 55.0, "other", method_id=cash.id)
        shift.write(
            {
                "counted": shift.expected - 2.0,
                "difference_reason": "Change given wrongly",
                "banked": 1000.0,
                "bank_journal_id": self.env["account.journal"]
                .search([("type", "=", "bank"), ("company_id", "=", shift.company_id.id)], limit=1)
                .id,
            }
        )
        shift.action_close()

    def _request(self, user, account, kind, amount, reason, **values):
        request = (
            self.env["energy.balance.request"]
            .with_user(user)
            .create(
                {
                    "kind": kind,
                    "account_id": account.id,
                    "amount": amount,
                    "reason": reason,
                    "remark": "Asked for at the counter",
                    **values,
                }
            )
        )
        # sudo: as its button does; not in a transaction of its own, the demo's is not committed
        request.sudo()._submit()
        return request
