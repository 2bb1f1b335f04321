from odoo import models
from odoo.tools import SQL

from .energy_checker import from_mark


class EnergyChecker(models.AbstractModel):
    """What must always hold between balance entries, frozen periods and invoices."""

    _inherit = "energy.checker"

    @property
    def RULES(self):
        return (*super().RULES, "frozen", "invoices", "periods")

    def _titles(self):
        _ = self.env._
        return {
            **super()._titles(),
            "frozen": _("What a frozen period bills is what its entries charge"),
            "invoices": _(
                "A posted invoice has the total of its period, and a period one posted invoice at "
                "most"
            ),
            "periods": _("Charges lie in one period; periods follow each other, frozen ones first"),
        }

    def _changed(self, span):
        """Return the condition that a period was written since the mark, or got entries."""
        return SQL(
            "(%s OR %s)",
            self._written("p", span),
            self._touched("p.id", "period_id", span),
        )

    @from_mark("energy_wallet_entry")
    def _rule_frozen(self, span=None):
        rows = self._pairs(
            """
            SELECT p.company_id, p.id, a.name, p.date_from, l.amount::text, e.amount::text
              FROM energy_billing_period p
              JOIN energy_account a ON a.id = p.account_id
              JOIN LATERAL (SELECT COALESCE(sum(amount), 0) AS amount FROM energy_billing_line
                             WHERE period_id = p.id) l ON TRUE
              JOIN LATERAL (SELECT COALESCE(-sum(amount), 0) AS amount FROM energy_wallet_entry
                             WHERE period_id = p.id AND kind <> 'billed') e ON TRUE
             WHERE %s AND l.amount <> CASE WHEN p.state = 'open' THEN 0 ELSE e.amount END
            """,
            self._changed(span),
        )
        units = self._pairs(
            """
            SELECT p.company_id, a.name, l.unit_id, l.amount::text, e.amount::text
              FROM (SELECT line.period_id, line.unit_id, sum(line.amount) AS amount
                      FROM energy_billing_line line
                      JOIN energy_billing_period p ON p.id = line.period_id
                     WHERE line.unit_id IS NOT NULL AND %s
                     GROUP BY line.period_id, line.unit_id) l
              LEFT JOIN LATERAL (
                   SELECT COALESCE(-sum(amount), 0) AS amount FROM energy_wallet_entry
                    WHERE period_id = l.period_id AND unit_id = l.unit_id) e ON TRUE
              JOIN energy_billing_period p ON p.id = l.period_id
              JOIN energy_account a ON a.id = p.account_id
             WHERE l.amount <> e.amount
            """,
            self._changed(span),
        )
        return self._count("energy_billing_period", "state <> 'open'"), [
            (
                row[0],
                self.env._(
                    "Period %(period)s of account %(account)s from %(date)s: %(billed)s is billed, "
                    "its entries charge %(charged)s.",
                    period=row[1],
                    account=row[2],
                    date=row[3],
                    billed=row[4],
                    charged=row[5],
                ),
            )
            for row in rows
        ] + [
            (
                row[0],
                self.env._(
                    "Account %(account)s, unit %(unit)s: %(billed)s is billed, its entries charge "
                    "%(charged)s.",
                    account=row[1],
                    unit=row[2],
                    billed=row[3],
                    charged=row[4],
                ),
            )
            for row in units
        ]

    @from_mark("energy_wallet_entry")
    def _rule_invoices(self, span=None):
        totals = self._pairs(
            """
            SELECT p.company_id, p.id, m.name, m.amount_total_signed::text,
                   COALESCE(l.amount, 0)::text
              FROM energy_billing_period p
              JOIN account_move m ON m.id = p.move_id AND m.state = 'posted'
              LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM energy_billing_line
                                  WHERE period_id = p.id) l ON TRUE
             WHERE m.amount_total_signed <> COALESCE(l.amount, 0) AND (%s OR %s)
            """,
            self._changed(span),
            self._written("m", span),
        )
        states = self._pairs("""
            SELECT p.company_id, p.id, p.state, m.name FROM energy_billing_period p
              LEFT JOIN account_move m ON m.id = p.move_id
             WHERE p.move_id IS NOT NULL AND p.state <> 'invoiced'
                OR m.state = 'cancel'
                OR m.id IS NOT NULL AND m.energy_period_id IS DISTINCT FROM p.id
                OR p.state = 'invoiced' AND p.move_id IS NULL AND EXISTS (
                   SELECT 1 FROM energy_billing_line l WHERE l.period_id = p.id)
        """)
        twice = self._pairs("""
            SELECT p.company_id, p.id, m.name FROM account_move m
              JOIN energy_billing_period p ON p.id = m.energy_period_id
             WHERE m.state = 'posted' AND p.move_id IS DISTINCT FROM m.id
               AND NOT EXISTS (
                   SELECT 1 FROM account_move note
                    WHERE note.reversed_entry_id = m.id AND note.state = 'posted'
                      AND note.amount_total_signed = -m.amount_total_signed)
        """)
        return self._count("energy_billing_period", "state = 'invoiced'"), [
            (
                row[0],
                self.env._(
                    "Period %(period)s: invoice %(move)s has the total %(total)s, billed is "
                    "%(billed)s.",
                    period=row[1],
                    move=row[2],
                    total=row[3],
                    billed=row[4],
                ),
            )
            for row in totals
        ] + [
            (
                row[0],
                self.env._(
                    "Period %(period)s is in state %(state)s with the invoice %(move)s.",
                    period=row[1],
                    state=row[2],
                    move=row[3],
                ),
            )
            for row in states
        ] + [
            (
                row[0],
                self.env._(
                    "Period %(period)s: %(move)s is posted beside its invoice.",
                    period=row[1],
                    move=row[2],
                ),
            )
            for row in twice
        ]

    @from_mark("energy_wallet_entry")
    def _rule_periods(self, span=None):
        # A charge without a period would never be invoiced; periods that overlap or are frozen out
        # of order could bill a correction twice.
        lost = self._pairs(
            """
            SELECT e.company_id, e.id FROM energy_wallet_entry e
             WHERE e.kind IN ('use', 'charge', 'share', 'billed') AND e.period_id IS NULL AND %s
            """,
            self._numbered("e.id", span),
        )
        broken = self._pairs("""
            SELECT a.company_id, a.name, p.date_from FROM (
                SELECT account_id, date_from, state,
                       max(date_to) OVER earlier AS before,
                       bool_or(state = 'open') OVER earlier AS has_open
                  FROM energy_billing_period
                WINDOW earlier AS (PARTITION BY account_id ORDER BY date_from
                                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) p
              JOIN energy_account a ON a.id = p.account_id
             WHERE p.before >= p.date_from OR p.has_open AND p.state <> 'open'
        """)
        return self._count("energy_billing_period"), [
            (
                company,
                self.env._("Entry %s is in no billing period: no invoice will have it.", entry),
            )
            for company, entry in lost
        ] + [
            (
                company,
                self.env._(
                    "Account %(account)s: the period from %(date)s overlaps one before it, or is "
                    "frozen before it.",
                    account=name,
                    date=date,
                ),
            )
            for company, name, date in broken
        ]
