from odoo import models


class EnergyChecker(models.AbstractModel):
    _inherit = "energy.checker"

    @property
    def RULES(self):
        """What is checked before, and what reports have summed up."""
        return (*super().RULES, "rollup")

    def _rule_rollup(self):
        """What reports have summed up is the sum of the entries before the mark"""
        rows = self._pairs("""
            SELECT a.name, COALESCE(d.kind, e.kind), COALESCE(d.amount, 0)::text,
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
            self.env._(
                "Account %(account)s, %(kind)s: reports have %(summed)s in %(summed_count)s "
                "entries, there are %(amount)s in %(count)s.",
                account=row[0],
                kind=row[1],
                summed=row[2],
                amount=row[3],
                summed_count=row[4],
                count=row[5],
            )
            for row in rows
        ]
