from odoo import models

from .energy_checker import from_mark


class EnergyChecker(models.AbstractModel):
    _inherit = "energy.checker"

    @property
    def RULES(self):
        """What is checked before, and what reports have summed up."""
        return (*super().RULES, "rollup")

    def _titles(self):
        return {
            **super()._titles(),
            "rollup": self.env._(
                "What reports have summed up is the sum of the entries before the mark"
            ),
        }

    @from_mark()
    def _rule_rollup(self, span=None):
        # Rules `balances` and `chains` say that a balance is the sum of its entries.
        if span and not self._pairs("""
            SELECT 1 FROM energy_wallet w
              LEFT JOIN (SELECT wallet_id, sum(count) AS count, sum(amount) AS amount
                           FROM energy_entry_day GROUP BY wallet_id) d ON d.wallet_id = w.id
              LEFT JOIN (SELECT wallet_id, count(*) AS count, sum(amount) AS amount
                           FROM energy_wallet_entry
                          WHERE moment >= COALESCE(
                                (SELECT moment FROM energy_entry_day_mark), '-infinity')
                          GROUP BY wallet_id) e ON e.wallet_id = w.id
             WHERE COALESCE(d.count, 0) + COALESCE(e.count, 0) <> w.last_number
                OR COALESCE(d.amount, 0) + COALESCE(e.amount, 0) <> w.balance LIMIT 1
        """):
            return 0, []
        rows = self._pairs("""
            SELECT a.company_id, a.name, COALESCE(d.kind, e.kind), COALESCE(d.amount, 0)::text,
                   COALESCE(e.amount, 0)::text, COALESCE(d.count, 0), COALESCE(e.count, 0)
              FROM (SELECT account_id, kind, sum(count) AS count, sum(amount) AS amount
                      FROM energy_entry_day GROUP BY account_id, kind) d
              FULL JOIN (SELECT account_id, kind, count(*) AS count, sum(amount) AS amount
                           FROM energy_wallet_entry
                          WHERE moment < (SELECT moment FROM energy_entry_day_mark)
                          GROUP BY account_id, kind) e USING (account_id, kind)
              JOIN energy_account a ON a.id = account_id
             WHERE (d.count, d.amount) IS DISTINCT FROM (e.count, e.amount)
        """)
        return self._count("energy_entry_day"), [
            (
                row[0],
                self.env._(
                    "Account %(account)s, %(kind)s: reports have %(summed)s in %(summed_count)s "
                    "entries, there are %(amount)s in %(count)s.",
                    account=row[1],
                    kind=row[2],
                    summed=row[3],
                    amount=row[4],
                    summed_count=row[5],
                    count=row[6],
                ),
            )
            for row in rows
        ]
