from odoo import models
from odoo.tools import SQL


class EnergyChecker(models.AbstractModel):
    """What must always hold between balances and books."""

    _inherit = "energy.checker"

    @property
    def RULES(self):
        return (*super().RULES, "bookings", "advances", "named", "cover", "residuals", "matchings")

    def _rule_bookings(self):
        """Every booking of balance entries has their amount"""
        rows = self._pairs("""
            SELECT min(key), sum(entered)::text, sum(booked)::text, min(missing), account_id
              FROM (
                SELECT line.move_id, line.energy_account_id AS account_id, NULL AS key,
                       NULL AS missing, 0 AS entered, -line.balance AS booked
                  FROM account_move_line line
                 WHERE line.energy_account_id IS NOT NULL AND line.parent_state = 'posted'
                   AND line.move_id IN (SELECT move_id FROM account_move_line
                                         WHERE energy_entry_key IS NOT NULL)
                 UNION ALL
                SELECT line.move_id, COALESCE(e.account_id, line.energy_account_id),
                       line.energy_entry_key, CASE WHEN e.id IS NULL THEN 1 END,
                       COALESCE(e.amount, 0), 0
                  FROM account_move_line line
                  LEFT JOIN energy_wallet_entry e ON e.key = line.energy_entry_key
                 WHERE line.energy_entry_key IS NOT NULL AND line.parent_state = 'posted'
              ) found
             GROUP BY move_id, account_id
            HAVING sum(entered) <> sum(booked) OR min(missing) = 1
        """)
        return self._count("account_move_line", "energy_entry_key IS NOT NULL"), [
            self.env._("No balance entry has the key %s that a journal item carries.", row[0])
            if row[3]
            else self.env._(
                "Account %(account)s: %(key)s of %(amount)s is booked as %(booked)s.",
                account=row[4],
                key=row[0],
                amount=row[1],
                booked=row[2],
            )
            for row in rows
        ]

    def _rule_advances(self):
        """Advances − receivables + not booked = balance + charges not invoiced, per account"""
        rows = self._pairs(
            """
            SELECT a.name, r.advances::text, r.receivables::text, r.not_booked::text,
                   r.balance::text, r.uninvoiced::text, r.difference::text
              FROM (%s) r JOIN energy_account a ON a.id = r.account_id
             WHERE r.differs ORDER BY a.name
            """,
            self.env["energy.reconciliation"]._table_query,
        )
        return self._count("energy_account"), [
            self.env._(
                "Account %(account)s: advances %(advances)s − receivables %(receivables)s + not "
                "booked %(unbooked)s differ from balance %(balance)s + not invoiced "
                "%(uninvoiced)s by %(difference)s.",
                account=row[0],
                advances=row[1],
                receivables=row[2],
                unbooked=row[3],
                balance=row[4],
                uninvoiced=row[5],
                difference=row[6],
            )
            for row in rows
        ]

    def _advance_items(self):
        """Return the posted journal items on advances accounts, as a relation."""
        return SQL("""
            SELECT line.* FROM account_move_line line
              JOIN res_company c ON c.id = line.company_id
                   AND c.energy_advances_account_id = line.account_id
             WHERE line.parent_state = 'posted'
        """)

    def _rule_named(self):
        """Every journal item on an advances account names its energy account"""
        rows = self._pairs(
            """
            SELECT line.id, line.move_name FROM (%s) line
              LEFT JOIN energy_account a ON a.id = line.energy_account_id
             WHERE a.company_id IS DISTINCT FROM line.company_id ORDER BY line.id
            """,
            self._advance_items(),
        )
        count = self._pairs("SELECT count(*) FROM (%s) line", self._advance_items())[0][0]
        return count, [
            self.env._(
                "Journal item %(id)s of %(move)s is on the advances account without an energy "
                "account of its company.",
                id=row[0],
                move=row[1],
            )
            for row in rows
        ]

    def _rule_cover(self):
        """No account's advances are in debit at any date"""
        rows = self._pairs(
            """
            SELECT a.name, day.date, day.balance::text FROM (
                SELECT line.energy_account_id, line.date,
                       -sum(sum(line.balance)) OVER (
                            PARTITION BY line.energy_account_id ORDER BY line.date) AS balance
                  FROM (%s) line WHERE line.energy_account_id IS NOT NULL
                 GROUP BY line.energy_account_id, line.date) day
              JOIN energy_account a ON a.id = day.energy_account_id
             WHERE day.balance < 0 ORDER BY a.name, day.date
            """,
            self._advance_items(),
        )
        return self._count("energy_account"), [
            self.env._(
                "Account %(account)s: its advances are %(balance)s on %(date)s.",
                account=row[0],
                balance=row[2],
                date=row[1],
            )
            for row in rows
        ]

    def _rule_residuals(self):
        """What is open on prepaid receivables is what was charged less what was matched"""
        rows = self._pairs("""
            SELECT line.id, line.move_name, line.amount_residual::text, (line.balance
                   - COALESCE(given.amount, 0) + COALESCE(taken.amount, 0))::text
              FROM account_move_line line
              JOIN account_account ledger ON ledger.id = line.account_id
                   AND ledger.account_type = 'asset_receivable'
              LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM account_partial_reconcile
                                  WHERE debit_move_id = line.id) given ON TRUE
              LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM account_partial_reconcile
                                  WHERE credit_move_id = line.id) taken ON TRUE
             WHERE line.energy_account_id IS NOT NULL AND line.parent_state = 'posted'
               AND line.amount_residual <> line.balance
                   - COALESCE(given.amount, 0) + COALESCE(taken.amount, 0)
        """)
        return self._count("account_move_line", "energy_account_id IS NOT NULL"), [
            self.env._(
                "Journal item %(id)s of %(move)s: %(open)s is open, its matchings leave %(left)s.",
                id=row[0],
                move=row[1],
                open=row[2],
                left=row[3],
            )
            for row in rows
        ]

    def _rule_matchings(self):
        """Money matched with prepaid receivables moved the balance by its amount, once"""
        rows = self._pairs("""
            WITH due AS (
                SELECT match.id, match.amount,
                       CASE WHEN kd.account_type = 'asset_receivable'
                            THEN d.energy_account_id END AS charged,
                       CASE WHEN kc.account_type = 'asset_receivable'
                            THEN c.energy_account_id END AS credited
                  FROM account_partial_reconcile match
                  JOIN account_move_line d ON d.id = match.debit_move_id
                  JOIN account_account kd ON kd.id = d.account_id
                  JOIN account_move_line c ON c.id = match.credit_move_id
                  JOIN account_account kc ON kc.id = c.account_id
                 WHERE d.energy_account_id IS NOT NULL OR c.energy_account_id IS NOT NULL),
            wanted AS (
                SELECT id, charged AS account_id, amount FROM due
                 WHERE charged IS NOT NULL AND charged IS DISTINCT FROM credited
                 UNION ALL
                SELECT id, credited, -amount FROM due
                 WHERE credited IS NOT NULL AND credited IS DISTINCT FROM charged),
            posted AS (
                SELECT split_part(e.key, '/', 2)::int AS id, e.account_id, sum(e.amount) AS amount
                  FROM energy_wallet_entry e
                 WHERE e.key ~ '^partial/[0-9]+(/credit)?(/undone)?$'
                 GROUP BY 1, 2 HAVING sum(e.amount) <> 0)
            SELECT COALESCE(w.id, p.id), COALESCE(w.amount, 0)::text, COALESCE(p.amount, 0)::text
              FROM wanted w FULL JOIN posted p ON p.id = w.id AND p.account_id = w.account_id
             WHERE w.amount IS DISTINCT FROM p.amount AND COALESCE(w.amount, p.amount) <> 0
             ORDER BY 1
        """)
        count = self._count("account_partial_reconcile", "energy_entry_key IS NOT NULL")
        return count, [
            self.env._(
                "Matching %(id)s of %(amount)s with a prepaid receivable moved the balance by "
                "%(moved)s.",
                id=row[0],
                amount=row[1],
                moved=row[2],
            )
            for row in rows
        ]
