from decimal import Decimal

from odoo import _, api, models
from odoo.tools import SQL

from ..engine import round_half_up
from ..local_time import month_first
from .energy_wallet import Draft

SUFFIX = "/fee"


class EnergyWallet(models.Model):
    """The company's fee for taking a payment: a charge item of its own, no part of any price."""

    _inherit = "energy.wallet"

    def _service_fee(self, amount):
        """Return what is taken of a top-up.

        :param Decimal amount: of the top-up
        :rtype: Decimal
        """
        self.ensure_one()
        percent = Decimal(f"{self.company_id.energy_service_fee_percent:.2f}")
        step = Decimal(1).scaleb(-self.currency_id.decimal_places)
        return round_half_up(amount * percent / 100, step)

    def _take_service_fee(self, key, amount, locked):
        """Charge the fee of a top-up that has just been posted, in the same transaction.

        :param str key: of the top-up
        :param Decimal amount: of the top-up
        :param dict locked: as in `_post`
        """
        self.ensure_one()
        fee = self._service_fee(amount)
        if not fee:
            return
        account = self.account_id
        today = account.site_id._today()
        month = (account.id, month_first(today))
        self._post(
            [
                Draft(
                    wallet_id=self.id,
                    kind="charge",
                    category="other",
                    amount=-fee,
                    key=key + SUFFIX,
                    local_date=today,
                    note=_("Service fee"),
                    user_id=self.env.uid,
                    period_id=self.env["energy.billing.period"]._open_for({month})[month],
                    cause_key=key,
                )
            ],
            locked,
        )


class EnergyWalletEntry(models.Model):
    _inherit = "energy.wallet.entry"

    @api.model
    def _payment_parts(self, keys):
        """Return what became of payments: debt is settled before anything is prepaid.

        :param list keys: of top-ups; entries that take money have no parts
        :return: dict of key to dict of Decimals: amount, service_fee, towards_debt, prepaid (these
            three make the amount), balance_after (the fee taken)
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT e.key, e.amount::text, e.balance_after::text,
                   COALESCE(-f.amount, 0)::text, COALESCE(f.balance_after, e.balance_after)::text
              FROM energy_wallet_entry e
              LEFT JOIN energy_wallet_entry f ON f.key = e.key || %s
             WHERE e.key = ANY(%s)
            """,
                SUFFIX,
                list(keys),
            )
        )
        parts = {}
        for key, *figures in rows:
            amount, after, fee, balance = map(Decimal, figures)
            net = max(amount - fee, Decimal(0))
            debt = min(max(amount - after, Decimal(0)), net)
            parts[key] = {
                "amount": amount,
                "service_fee": fee,
                "towards_debt": debt,
                "prepaid": net - debt,
                "balance_after": balance,
            }
        return parts
