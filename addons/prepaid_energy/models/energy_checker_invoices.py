from odoo import models


class EnergyChecker(models.AbstractModel):
    """What must always hold between balance entries, frozen periods and invoices."""

    _inherit = "energy.checker"

    @property
    def RULES(self):
        return (*super().RULES, "frozen", "invoices", "periods")

    def _rule_frozen(self):
        """What a frozen period bills is what its entries charge"""
        rows = self._pairs("""
            SELECT p.id, a.name, p.date_from, COALESCE(l.amount, 0)::text,
                   COALESCE(e.amount, 0)::text
              FROM energy_billing_period p
              JOIN energy_account a ON a.id = p.account_id
              LEFT JOIN (SELECT period_id, sum(amount) AS amount FROM energy_billing_line
                          GROUP BY period_id) l ON l.period_id = p.id
              LEFT JOIN (SELECT period_id, -sum(amount) AS amount FROM energy_wallet_entry
                          WHERE kind <> 'billed' AND period_id IS NOT NULL
                          GROUP BY period_id) e ON e.period_id = p.id
             WHERE CASE WHEN p.state = 'open' THEN COALESCE(l.amount, 0) <> 0
                        ELSE COALESCE(l.amount, 0) <> COALESCE(e.amount, 0) END
        """)
        units = self._pairs("""
            SELECT a.name, l.unit_id, l.amount::text, e.amount::text
              FROM (SELECT period_id, unit_id, sum(amount) AS amount FROM energy_billing_line
                     WHERE unit_id IS NOT NULL GROUP BY period_id, unit_id) l
              LEFT JOIN LATERAL (
                   SELECT COALESCE(-sum(amount), 0) AS amount FROM energy_wallet_entry
                    WHERE period_id = l.period_id AND unit_id = l.unit_id) e ON TRUE
              JOIN energy_billing_period p ON p.id = l.period_id
              JOIN energy_account a ON a.id = p.account_id
             WHERE l.amount <> e.amount
        """)
        return self._count("energy_billing_period", "state <> 'open'"), [
            self.env._(
                "Period %(period)s of account %(account)s from %(date)s: %(billed)s is billed, its "
                "entries charge %(charged)s.",
                period=row[0],
                account=row[1],
                date=row[2],
                billed=row[3],
                charged=row[4],
            )
            for row in rows
        ] + [
            self.env._(
                "Account %(account)s, unit %(unit)s: %(billed)s is billed, its entries charge "
                "%(charged)s.",
                account=row[0],
                unit=row[1],
                billed=row[2],
                charged=row[3],
            )
            for row in units
        ]

    def _rule_invoices(self):
        """A posted invoice has the total of its period, and a period one posted invoice at most"""
        totals = self._pairs("""
            SELECT p.id, m.name, m.amount_total_signed::text, COALESCE(l.amount, 0)::text
              FROM energy_billing_period p
              JOIN account_move m ON m.id = p.move_id AND m.state = 'posted'
              LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM energy_billing_line
                                  WHERE period_id = p.id) l ON TRUE
             WHERE m.amount_total_signed <> COALESCE(l.amount, 0)
        """)
        states = self._pairs("""
            SELECT p.id, p.state, m.name FROM energy_billing_period p
              LEFT JOIN account_move m ON m.id = p.move_id
             WHERE p.move_id IS NOT NULL AND p.state <> 'invoiced'
                OR m.state = 'cancel'
                OR m.id IS NOT NULL AND m.energy_period_id IS DISTINCT FROM p.id
                OR p.state = 'invoiced' AND p.move_id IS NULL AND EXISTS (
                   SELECT 1 FROM energy_billing_line l WHERE l.period_id = p.id)
        """)
        twice = self._pairs("""
            SELECT p.id, m.name FROM account_move m
              JOIN energy_billing_period p ON p.id = m.energy_period_id
             WHERE m.state = 'posted' AND p.move_id IS DISTINCT FROM m.id
               AND NOT EXISTS (
                   SELECT 1 FROM account_move note
                    WHERE note.reversed_entry_id = m.id AND note.state = 'posted'
                      AND note.amount_total_signed = -m.amount_total_signed)
        """)
        return self._count("energy_billing_period", "state = 'invoiced'"), [
            self.env._(
                "Period %(period)s: invoice %(move)s has the total %(total)s, billed is "
                "%(billed)s.",
                period=row[0],
                move=row[1],
                total=row[2],
                billed=row[3],
            )
            for row in totals
        ] + [
            self.env._(
                "Period %(period)s is in state %(state)s with the invoice %(move)s.",
                period=row[0],
                state=row[1],
                move=row[2],
            )
            for row in states
        ] + [
            self.env._(
                "Period %(period)s: %(move)s is posted beside its invoice.",
                period=row[0],
                move=row[1],
            )
            for row in twice
        ]

    def _rule_periods(self):
        """Charges lie in one period of their account; periods follow each other, frozen ones first

        A charge without a period would never be invoiced; periods that overlap or are frozen out of
        order could bill a correction twice.
        """
        lost = self._pairs("""
            SELECT id FROM energy_wallet_entry
             WHERE kind IN ('use', 'charge', 'share', 'billed') AND period_id IS NULL
        """)
        broken = self._pairs("""
            SELECT a.name, p.date_from FROM (
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
            self.env._("Entry %s is in no billing period: no invoice will have it.", row[0])
            for row in lost
        ] + [
            self.env._(
                "Account %(account)s: the period from %(date)s overlaps one before it, or is "
                "frozen before it.",
                account=row[0],
                date=row[1],
            )
            for row in broken
        ]
