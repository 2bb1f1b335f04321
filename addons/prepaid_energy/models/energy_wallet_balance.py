from collections import defaultdict
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL


class EnergyWallet(models.Model):
    _inherit = "energy.wallet"

    settled_until = fields.Datetime(
        compute="_compute_settled_until",
        help="The earliest moment up to which the meters that this balance pays for are settled.",
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
    refundable = fields.Monetary(
        compute="_compute_unbilled",
        help="What can be paid back or transferred: the settled balance, less what a correction "
        "credited before it is on an invoice, less what other balances of the account owe.",
    )

    @api.depends("balance")
    def _compute_settled_until(self):
        marks = dict(
            self.env.execute_query(
                SQL(
                    """
            SELECT w.id, COALESCE(
                       min(mark.until) FILTER (WHERE s.end_at IS NULL OR mark.until < s.end_at),
                       max(mark.until))
              FROM energy_wallet w
              JOIN energy_supply s ON s.account_id = w.account_id
              JOIN energy_meter m ON m.id = s.meter_id
                   AND (w.commodity IS NULL OR w.commodity = m.commodity)
              LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
              JOIN LATERAL (SELECT COALESCE(k.settled_until, s.start_at) AS until) mark ON TRUE
             WHERE w.id = ANY(%s) GROUP BY w.id
            """,
                    self.ids,
                )
            )
        )
        for wallet in self:
            wallet.settled_until = marks.get(wallet.id)

    @api.depends("balance", "account_id.credit_policy_id.overdraft")
    def _compute_available(self):
        asked = self._refunds_asked_for()
        for wallet in self:
            overdraft = wallet.account_id.credit_policy_id.overdraft
            wallet.available = wallet.balance + overdraft - asked.get(wallet, 0.0)

    def _refunds_asked_for(self):
        """Return the sum of refunds that wait for approval, by balance, where there are any."""
        # sudo: what is asked for lowers what is available, whoever looks
        return dict(
            self.env["energy.balance.request"]
            .sudo()
            ._read_group(
                [("wallet_id", "in", self.ids), ("kind", "=", "refund"), ("state", "=", "waiting")],
                ["wallet_id"],
                ["amount:sum"],
            )
        )

    @api.depends("balance")
    def _compute_unbilled(self):
        positions = self._positions(self.account_id.ids)
        refundable = self._refundable(positions)
        for wallet in self:
            wallet.unbilled = positions[wallet.id][2] if wallet.id in positions else 0
            wallet.refundable = refundable.get(wallet.id, 0)

    @api.model
    def _positions(self, account_ids):
        """Return where the balances of accounts stand, as the database has them.

        Only entries of a billing period are charged by an invoice, so that the periods without a
        posted one lead to what is not billed.

        :return: dict of wallet id to (account id, balance Decimal, unbilled Decimal)
        """
        self.env["energy.billing.period"].flush_model(["move_id"])
        self.env["account.move"].flush_model(["state"])
        rows = self.env.execute_query(
            SQL(
                """
            SELECT w.id, w.account_id, w.balance::text, COALESCE(-sum(e.amount), 0)::text
              FROM energy_wallet w
              LEFT JOIN (energy_billing_period p
                         LEFT JOIN account_move v ON v.id = p.move_id
                         JOIN energy_wallet_entry e ON e.period_id = p.id)
                   ON p.account_id = w.account_id AND v.state IS DISTINCT FROM 'posted'
                      AND e.wallet_id = w.id
             WHERE w.account_id = ANY(%s) GROUP BY w.id
            """,
                list(account_ids),
            )
        )
        return {row[0]: (row[1], Decimal(row[2]), Decimal(row[3])) for row in rows}

    @api.model
    def _refundable(self, positions):
        """Return what each balance can give, never below zero.

        Charged credits that no invoice shows yet are not in the books: they can be paid back only
        after their invoice. The books know one sum of advances per account: what one balance
        gives, another one of the account must not owe.

        :param dict positions: what `_positions` returned, with every balance of each account
        :return: dict of wallet id to Decimal
        """
        advances = defaultdict(Decimal)
        for account, balance, unbilled in positions.values():
            advances[account] += balance + unbilled
        return {
            wallet: max(Decimal(0), min(balance, balance + unbilled, advances[account]))
            for wallet, (account, balance, unbilled) in positions.items()
        }
