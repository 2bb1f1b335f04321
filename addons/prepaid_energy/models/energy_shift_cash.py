from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL

from .energy_wallet_entry_side import origin_kind


class EnergyShift(models.Model):
    """What a shift took and paid out, by method, and what its till must hold."""

    _inherit = "energy.shift"

    entry_ids = fields.One2many("energy.wallet.entry", "shift_id", string="Balance Entries")
    cash_received = fields.Monetary(compute="_compute_cash")
    cash_paid = fields.Monetary(string="Cash Paid Out", compute="_compute_cash")
    deposit_cash = fields.Monetary(
        string="Security Deposits in Cash",
        compute="_compute_cash",
        help="Received − returned.",
    )
    expected = fields.Monetary(
        compute="_compute_cash",
        help="Opening float + cash received − cash paid out + security deposits in cash.",
    )
    difference = fields.Monetary(compute="_compute_cash", help="Counted − expected.")

    @api.depends("opening_float", "counted", "entry_ids")
    def _compute_cash(self):
        cash = self._cash()
        for shift in self:
            received, paid, deposits = cash.get(shift._origin.id, (0, 0, 0))
            shift.cash_received = received
            shift.cash_paid = paid
            shift.deposit_cash = deposits
            shift.expected = shift.opening_float + float(received - paid + deposits)
            shift.difference = shift.counted - shift.expected

    def _cash(self):
        """Return the cash received, paid out, and net of security deposits, by shift id.

        :return: dict of shift id to three Decimals; only shifts with cash are in it
        """
        cash = {}
        for line in self._lines():
            if line["method"].kind == "cash":
                sums = cash.setdefault(line["shift"], [Decimal(0)] * 3)
                if line["what"] == "received":
                    sums[0] += line["amount"]
                else:
                    sums[1] -= line["amount"]
        for line in self._deposit_lines():
            if line["method"].kind == "cash":
                cash.setdefault(line["shift"], [Decimal(0)] * 3)[2] += line["amount"]
        return cash

    def _lines(self):
        """Return what these shifts took and paid, by method.

        :return: list of dicts with shift id, method (recordset), what (received, reversed,
            refunded), count, amount (Decimal, signed as seen from the till)
        """
        self.env["energy.payment.method"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT shift_id, method_id,
                   CASE kind WHEN 'reversal' THEN 'reversed' WHEN 'refund' THEN 'refunded'
                             ELSE 'received' END AS what,
                   count(*), sum(amount)::text
              FROM (SELECT e.*, %s AS origin FROM energy_wallet_entry e
                     WHERE e.shift_id = ANY(%s) AND e.method_id IS NOT NULL) entry
             WHERE origin IN ('opening', 'top_up', 'refund')
             GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """,
                origin_kind("e"),
                self._origin.ids,
            )
        )
        return self._as_lines(rows)

    def _deposit_lines(self):
        """Return the security deposits that these shifts took and returned: as `_lines`.

        What is `received` or `returned`.
        """
        self.env["energy.security.deposit.move"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT shift_id, method_id, kind, count(*), sum(amount)::text
              FROM energy_security_deposit_move
             WHERE shift_id = ANY(%s) AND kind IN ('received', 'returned')
             GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """,
                self._origin.ids,
            )
        )
        return self._as_lines(rows)

    def _as_lines(self, rows):
        methods = self.env["energy.payment.method"]
        return [
            {
                "shift": shift,
                "method": methods.browse(method),
                "what": what,
                "count": count,
                "amount": Decimal(amount),
            }
            for shift, method, what, count, amount in rows
        ]

    def _keys(self):
        """Return the keys of what these shifts took and paid, by which receipts are found."""
        keys = self.env["energy.wallet.entry"].search([("shift_id", "in", self.ids)]).mapped("key")
        moves = self.env["energy.security.deposit.move"].search([("shift_id", "in", self.ids)])
        return keys + moves.mapped("key")

    def action_open_entries(self):
        """Open the balance entries of these shifts."""
        return self.env["energy.wallet.entry"]._open([("shift_id", "in", self.ids)])
