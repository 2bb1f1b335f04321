from odoo import _, api, fields, models
from odoo.tools import SQL

from .energy_wallet_entry_books import IS_BOOKED, IS_CHARGED

TERMS = ("advances", "receivables", "not_booked", "balance", "uninvoiced")


class EnergyReconciliation(models.Model):
    """What the books say of each account beside what its balance says.

    Advances − receivables open + entries not booked = balance + charges not invoiced. The row's id
    is the account's.
    """

    _name = "energy.reconciliation"
    _description = "Account reconciliation"
    _auto = False
    _order = "account_id desc"
    _rec_name = "account_id"
    _allow_sudo_commands = False
    _depends = {
        "energy.account": ["partner_id", "site_id", "company_id", "room_ids"],
        "energy.wallet": ["balance"],
        "energy.billing.period": ["move_id"],
        "res.company": ["energy_advances_account_id"],
        "account.move": ["state"],
        "account.move.line": [
            "account_id",
            "amount_residual",
            "balance",
            "energy_account_id",
            "energy_entry_key",
            "parent_state",
            "partner_id",
        ],
        "account.partial.reconcile": ["amount", "debit_move_id", "credit_move_id"],
    }

    account_id = fields.Many2one("energy.account", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    site_id = fields.Many2one("energy.property", readonly=True)
    building_id = fields.Many2one("energy.property", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    advances = fields.Monetary(
        readonly=True, help="Posted on the advances account: received and not yet used."
    )
    receivables = fields.Monetary(
        string="Receivables Open", readonly=True, help="Invoiced, not settled or paid."
    )
    not_booked = fields.Monetary(readonly=True, help="Balance entries that are not in the books.")
    balance = fields.Monetary(readonly=True, help="What the balances of the account say.")
    uninvoiced = fields.Monetary(
        string="Not Invoiced", readonly=True, help="Charged to the balance, on no posted invoice."
    )
    difference = fields.Monetary(
        readonly=True,
        help="Advances − receivables open + not booked − balance − not invoiced: always zero.",
    )
    differs = fields.Boolean(readonly=True)
    paid_by_others = fields.Monetary(
        readonly=True,
        help="Matched on invoices of the account with items of another partner. Often a landlord "
        "or employer, sometimes a payment matched with the wrong customer.",
    )

    @property
    def _table_query(self):
        """One branch a term, grouped once, so that a filter on accounts reaches every branch."""
        return SQL(
            """
            SELECT t.account_id AS id, t.account_id, a.partner_id, a.company_id, a.site_id,
                   place.building_id, a.currency_id, t.advances, t.receivables, t.not_booked,
                   t.balance, t.uninvoiced, t.paid_by_others, d.difference,
                   d.difference <> 0 AS differs
              FROM (SELECT account_id, %(sums)s FROM (%(terms)s) term GROUP BY account_id) t
              JOIN energy_account a ON a.id = t.account_id
             CROSS JOIN LATERAL (
                   SELECT t.advances - t.receivables + t.not_booked - t.balance - t.uninvoiced
                          AS difference) d
              LEFT JOIN LATERAL (
                   SELECT min(p.building_id) AS building_id
                     FROM energy_account_property_rel r JOIN energy_property p
                          ON p.id = r.property_id
                    WHERE r.account_id = a.id) place ON TRUE
            """,
            sums=SQL(", ").join(
                SQL(
                    "COALESCE(sum(amount) FILTER (WHERE term = %s), 0) AS %s",
                    name,
                    SQL.identifier(name),
                )
                for name in (*TERMS, "paid_by_others")
            ),
            terms=self._terms(),
        )

    @api.model
    def _terms(self):
        """Return the query of (account_id, term, amount) that the report adds up.

        A journal entry that is set back to draft keeps its matchings. As long as one side of a
        matching is a draft, the other side is open, and what it moved is not booked.
        """
        return SQL(
            """
            SELECT id AS account_id, 'balance' AS term, 0::numeric AS amount FROM energy_account
             UNION ALL
            SELECT account_id, 'balance', balance FROM energy_wallet
             UNION ALL
            SELECT line.energy_account_id, 'advances', -line.balance
              FROM account_move_line line
              JOIN res_company c ON c.id = line.company_id
                   AND c.energy_advances_account_id = line.account_id
             WHERE line.energy_account_id IS NOT NULL AND line.parent_state = 'posted'
             UNION ALL
            SELECT line.energy_account_id, 'receivables', line.amount_residual
              FROM account_move_line line
              JOIN account_account ledger ON ledger.id = line.account_id
                   AND ledger.account_type = 'asset_receivable'
             WHERE line.energy_account_id IS NOT NULL AND line.parent_state = 'posted'
             UNION ALL
            SELECT line.energy_account_id, 'receivables',
                   CASE WHEN line.id = match.debit_move_id THEN match.amount
                        ELSE -match.amount END
              FROM (%(loose)s) match
              JOIN account_move_line line ON line.id IN (match.debit_move_id, match.credit_move_id)
              JOIN account_account ledger ON ledger.id = line.account_id
                   AND ledger.account_type = 'asset_receivable'
             WHERE line.energy_account_id IS NOT NULL AND line.parent_state = 'posted'
             UNION ALL
            SELECT e.account_id, 'not_booked', e.amount
              FROM (%(loose)s) match
              JOIN energy_wallet_entry e
                   ON e.key IN (match.energy_entry_key, match.energy_entry_key || '/credit')
             UNION ALL
            SELECT e.account_id, 'not_booked', e.amount
              FROM energy_wallet_entry e
             WHERE e.kind NOT IN ('use', 'charge', 'share', 'billed')
               AND NOT %(charged)s AND NOT %(booked)s
             UNION ALL
            SELECT e.account_id, 'uninvoiced', -e.amount
              FROM energy_wallet_entry e
              LEFT JOIN energy_billing_period p ON p.id = e.period_id
              LEFT JOIN account_move invoice ON invoice.id = p.move_id
             WHERE %(charged)s AND invoice.state IS DISTINCT FROM 'posted'
             UNION ALL
            SELECT line.energy_account_id, 'paid_by_others', match.amount
              FROM account_move_line line
              JOIN account_account ledger ON ledger.id = line.account_id
                   AND ledger.account_type = 'asset_receivable'
              JOIN account_partial_reconcile match ON match.debit_move_id = line.id
              JOIN account_move_line other ON other.id = match.credit_move_id
             WHERE line.energy_account_id IS NOT NULL
               AND other.partner_id IS DISTINCT FROM line.partner_id
            """,
            charged=IS_CHARGED,
            booked=IS_BOOKED,
            loose=SQL("""
            SELECT p.* FROM account_partial_reconcile p
              JOIN account_move_line d ON d.id = p.debit_move_id
              JOIN account_move_line c ON c.id = p.credit_move_id
             WHERE 'posted' <> ANY (ARRAY[d.parent_state, c.parent_state])
            """),
        )

    def action_open_journal_items(self):
        """Open the journal items of advances and prepaid receivables of these accounts."""
        return {
            "type": "ir.actions.act_window",
            "name": _("Journal Items"),
            "res_model": "account.move.line",
            "view_mode": "list,form",
            "domain": [("energy_account_id", "in", self.ids), ("parent_state", "=", "posted")],
        }

    def action_open_not_booked(self):
        """Open the balance entries of these accounts that are not in the books."""
        return self.env["energy.wallet.entry"]._open(
            [("account_id", "in", self.ids), ("is_booked", "=", False)]
        )

    def action_open_entries(self):
        """Open the balance entries of these accounts."""
        return self.account_id.action_open_entries()

    def action_open_periods(self):
        """Open the billing periods of these accounts."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_billing_period"
        )
        return dict(action, domain=[("account_id", "in", self.ids)])
