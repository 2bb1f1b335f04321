from decimal import Decimal

from odoo import models


class EnergyChecker(models.AbstractModel):
    _inherit = "energy.checker"

    @property
    def RULES(self):
        return (*super().RULES, "deposits")

    def _titles(self):
        return {
            **super()._titles(),
            "deposits": self.env._(
                "Security deposits held are what their liability account holds, per company"
            ),
        }

    def _rule_deposits(self):
        applied = self.env["energy.wallet.entry"].search(
            [("cause_key", "=like", "deposit/%"), ("is_booked", "=", False)]
        )
        rows = self._pairs(
            """
            SELECT c.id, c.name, COALESCE(d.held, 0)::text, COALESCE(l.held, 0)::text,
                   COALESCE(e.applied, 0)::text
              FROM res_company c
              LEFT JOIN (SELECT company_id, sum(amount) AS held
                           FROM energy_security_deposit_move GROUP BY company_id) d
                   ON d.company_id = c.id
              LEFT JOIN LATERAL (
                   SELECT -sum(line.balance) AS held FROM account_move_line line
                    WHERE line.company_id = c.id AND line.parent_state = 'posted'
                      AND line.account_id = c.energy_deposit_account_id) l ON TRUE
              LEFT JOIN (SELECT company_id, sum(amount) AS applied
                           FROM energy_wallet_entry WHERE id = ANY(%s) GROUP BY company_id) e
                   ON e.company_id = c.id
        """,
            applied.ids,
        )
        findings = [
            (
                company,
                self.env._(
                    "Company %(company)s holds %(held)s as security deposits, its books say "
                    "%(books)s (%(applied)s applied and not booked yet).",
                    company=name,
                    held=held,
                    books=books,
                    applied=unbooked,
                ),
            )
            for company, name, held, books, unbooked in rows
            if Decimal(held) != Decimal(books) - Decimal(unbooked)
        ]
        below = self._pairs("""
            SELECT d.company_id, d.name FROM energy_security_deposit d
              JOIN energy_security_deposit_move m ON m.deposit_id = d.id
             GROUP BY d.id HAVING sum(m.amount) < 0 OR (sum(m.amount) = 0) <> (d.state = 'ended')
        """)
        findings += [
            (company, self.env._("Security deposit %s: its movements do not fit its state.", name))
            for company, name in below
        ]
        return self._count("energy_security_deposit_move"), findings
