from odoo import models
from odoo.tools import SQL

from .energy_checker import from_mark


class EnergyChecker(models.AbstractModel):
    """What must always hold between balances and books."""

    _inherit = "energy.checker"

    @property
    def RULES(self):
        return (*super().RULES, "bookings", "advances", "named", "cover", "residuals", "matchings")

    def _titles(self):
        _ = self.env._
        return {
            **super()._titles(),
            "bookings": _("Every booking of balance entries has their amount"),
            "advances": _(
                "Advances − receivables + not booked = balance + charges not invoiced, per account"
            ),
            "named": _("Every journal item on an advances account names its energy account"),
            "cover": _("No account's advances are in debit at any date"),
            "residuals": _(
                "What is open on prepaid receivables is what was charged less what was matched"
            ),
            "matchings": _(
                "Money matched with prepaid receivables moved the balance by its amount, once"
            ),
        }

    @from_mark("account_move_line")
    def _rule_bookings(self, span=None):
        chosen = SQL(
            "SELECT item.move_id FROM account_move_line item"
            " WHERE item.energy_entry_key IS NOT NULL AND (%s OR %s)",
            self._numbered("item.id", span),
            self._written("item", span),
        )
        rows = self._pairs(
            """
            SELECT min(company_id), min(key), sum(entered)::text, sum(booked)::text, min(missing),
                   account_id
              FROM (
                SELECT line.company_id, line.move_id, line.energy_account_id AS account_id,
                       NULL AS key, NULL AS missing, 0 AS entered, -line.balance AS booked
                  FROM account_move_line line
                 WHERE line.energy_account_id IS NOT NULL AND line.parent_state = 'posted'
                   AND line.move_id IN (%(chosen)s)
                 UNION ALL
                SELECT line.company_id, line.move_id,
                       COALESCE(e.account_id, line.energy_account_id), line.energy_entry_key,
                       CASE WHEN e.id IS NULL THEN 1 END,
                       COALESCE(e.amount, 0), 0
                  FROM account_move_line line
                  LEFT JOIN energy_wallet_entry e ON e.key = line.energy_entry_key
                 WHERE line.energy_entry_key IS NOT NULL AND line.parent_state = 'posted'
                   AND line.move_id IN (%(chosen)s)
              ) found
             GROUP BY move_id, account_id
            HAVING sum(entered) <> sum(booked) OR min(missing) = 1
            """,
            chosen=chosen,
        )
        return self._count("account_move_line", "energy_entry_key IS NOT NULL"), [
            (
                row[0],
                self.env._("No balance entry has the key %s that a journal item carries.", row[1])
                if row[4]
                else self.env._(
                    "Account %(account)s: %(key)s of %(amount)s is booked as %(booked)s.",
                    account=row[5],
                    key=row[1],
                    amount=row[2],
                    booked=row[3],
                ),
            )
            for row in rows
        ]

    def _rule_advances(self):
        rows = self._pairs(
            """
            SELECT a.company_id, a.name, r.advances::text, r.receivables::text, r.not_booked::text,
                   r.balance::text, r.uninvoiced::text, r.difference::text
              FROM (%s) r JOIN energy_account a ON a.id = r.account_id
             WHERE r.differs ORDER BY a.name
            """,
            self.env["energy.reconciliation"]._table_query,
        )
        return self._count("energy_account"), [
            (
                row[0],
                self.env._(
                    "Account %(account)s: advances %(advances)s − receivables %(receivables)s + "
                    "not booked %(unbooked)s differ from balance %(balance)s + not invoiced "
                    "%(uninvoiced)s by %(difference)s.",
                    account=row[1],
                    advances=row[2],
                    receivables=row[3],
                    unbooked=row[4],
                    balance=row[5],
                    uninvoiced=row[6],
                    difference=row[7],
                ),
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
        rows = self._pairs(
            """
            SELECT line.company_id, line.id, line.move_name FROM (%s) line
              LEFT JOIN energy_account a ON a.id = line.energy_account_id
             WHERE a.company_id IS DISTINCT FROM line.company_id ORDER BY line.id
            """,
            self._advance_items(),
        )
        count = self._pairs("SELECT count(*) FROM (%s) line", self._advance_items())[0][0]
        return count, [
            (
                row[0],
                self.env._(
                    "Journal item %(id)s of %(move)s is on the advances account without an energy "
                    "account of its company.",
                    id=row[1],
                    move=row[2],
                ),
            )
            for row in rows
        ]

    def _rule_cover(self):
        rows = self._pairs(
            """
            SELECT a.company_id, a.name, day.date, day.balance::text FROM (
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
            (
                row[0],
                self.env._(
                    "Account %(account)s: its advances are %(balance)s on %(date)s.",
                    account=row[1],
                    balance=row[3],
                    date=row[2],
                ),
            )
            for row in rows
        ]

    def _rule_residuals(self):
        rows = self._pairs("""
            SELECT line.company_id, line.id, line.move_name, line.amount_residual::text,
                   (line.balance - COALESCE(given.amount, 0) + COALESCE(taken.amount, 0))::text
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
            (
                row[0],
                self.env._(
                    "Journal item %(id)s of %(move)s: %(open)s is open, its matchings leave "
                    "%(left)s.",
                    id=row[1],
                    move=row[2],
                    open=row[3],
                    left=row[4],
                ),
            )
            for row in rows
        ]

    @from_mark("energy_wallet_entry")
    def _rule_matchings(self, span=None):
        entries, matches = SQL("e.key ~ '^partial/[0-9]+(/credit)?(/undone)?$'"), SQL("TRUE")
        if span:
            # The matchings made since the mark, and those that its entries tell of.
            rows = self._pairs(
                """
                SELECT id FROM account_partial_reconcile p WHERE %s
                 UNION
                SELECT split_part(e.key, '/', 2)::int FROM energy_wallet_entry e WHERE %s AND %s
                """,
                self._written("p", span),
                self._numbered("e.id", span),
                entries,
            )
            ids = [row[0] for row in rows]
            kinds = ("", "/credit", "/undone", "/credit/undone")
            matches = SQL("match.id = ANY(%s)", ids)
            entries = SQL(
                "e.key = ANY(%s::text[])", [f"partial/{i}{kind}" for i in ids for kind in kinds]
            )
        rows = self._pairs(
            """
            WITH due AS (
                SELECT match.id, match.amount, match.company_id,
                       CASE WHEN kd.account_type = 'asset_receivable'
                            THEN d.energy_account_id END AS charged,
                       CASE WHEN kc.account_type = 'asset_receivable'
                            THEN c.energy_account_id END AS credited
                  FROM account_partial_reconcile match
                  JOIN account_move_line d ON d.id = match.debit_move_id
                  JOIN account_account kd ON kd.id = d.account_id
                  JOIN account_move_line c ON c.id = match.credit_move_id
                  JOIN account_account kc ON kc.id = c.account_id
                 WHERE (d.energy_account_id IS NOT NULL OR c.energy_account_id IS NOT NULL)
                   AND %(matches)s),
            wanted AS (
                SELECT id, company_id, charged AS account_id, amount FROM due
                 WHERE charged IS NOT NULL AND charged IS DISTINCT FROM credited
                 UNION ALL
                SELECT id, company_id, credited, -amount FROM due
                 WHERE credited IS NOT NULL AND credited IS DISTINCT FROM charged),
            posted AS (
                SELECT split_part(e.key, '/', 2)::int AS id, e.company_id, e.account_id,
                       sum(e.amount) AS amount
                  FROM energy_wallet_entry e
                 WHERE %(entries)s
                 GROUP BY 1, 2, 3 HAVING sum(e.amount) <> 0)
            SELECT COALESCE(w.company_id, p.company_id), COALESCE(w.id, p.id),
                   COALESCE(w.amount, 0)::text, COALESCE(p.amount, 0)::text
              FROM wanted w FULL JOIN posted p ON p.id = w.id AND p.account_id = w.account_id
             WHERE w.amount IS DISTINCT FROM p.amount AND COALESCE(w.amount, p.amount) <> 0
             ORDER BY 2
            """,
            matches=matches,
            entries=entries,
        )
        count = self._count("account_partial_reconcile", "energy_entry_key IS NOT NULL")
        return count, [
            (
                row[0],
                self.env._(
                    "Matching %(id)s of %(amount)s with a prepaid receivable moved the balance by "
                    "%(moved)s.",
                    id=row[1],
                    amount=row[2],
                    moved=row[3],
                ),
            )
            for row in rows
        ]
