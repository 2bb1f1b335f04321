from odoo import fields, models
from odoo.tools import SQL

from .energy_entry_day import days_of_entries
from .energy_wallet_entry import KINDS
from .energy_wallet_entry_side import SIDES, side


class EnergyFinanceDay(models.Model):
    """Money by day: all balance entries, each on one side of the business.

    Received, earned and moved are measures of their own, so that no total adds them up.
    """

    _name = "energy.finance.day"
    _description = "Money by day"
    _auto = False
    _order = "local_date desc, id desc"
    _rec_name = "local_date"
    _depends = {
        "energy.entry.day": ["count", "amount"],
        "energy.wallet.entry": ["amount", "moment"],
        "energy.billing.period": ["date_from"],
    }

    wallet_id = fields.Many2one("energy.wallet", string="Balance", readonly=True)
    account_id = fields.Many2one("energy.account", readonly=True)
    site_id = fields.Many2one("energy.property", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    local_date = fields.Date(string="Date", readonly=True)
    month = fields.Date(
        readonly=True, help="Month of the billing period that charges it, or of the date."
    )
    side = fields.Selection(SIDES, readonly=True)
    kind = fields.Selection(KINDS, readonly=True)
    origin_kind = fields.Selection(
        KINDS,
        string="Counts As",
        readonly=True,
        help="The kind; of a reversal, the kind that it undoes.",
    )
    category = fields.Selection(
        [("electricity", "Electricity"), ("water", "Water"), ("other", "Other")],
        string="Class",
        readonly=True,
    )
    method_id = fields.Many2one("energy.payment.method", string="Payment Method", readonly=True)
    user_id = fields.Many2one("res.users", string="Cashier", readonly=True)
    count = fields.Integer(string="Entries", readonly=True)
    amount = fields.Monetary(
        string="Change of Balances",
        readonly=True,
        help="Signed as on the balances, over all sides.",
    )
    received = fields.Monetary(readonly=True, help="Top-ups less refunds and reversals.")
    earned = fields.Monetary(
        readonly=True, help="Use, charge items and shares with tax, less their reversals."
    )
    moved = fields.Monetary(
        readonly=True, help="Transfers, adjustments, write-offs and what was billed."
    )

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT d.*, CASE d.side WHEN 'received' THEN d.amount ELSE 0 END AS received,
                   CASE d.side WHEN 'earned' THEN -d.amount ELSE 0 END AS earned,
                   CASE d.side WHEN 'moved' THEN d.amount ELSE 0 END AS moved
              FROM (SELECT d.*, %(side)s AS side FROM (%(days)s) d) d""",
            side=side(SQL("d.origin_kind"), SQL("d.method_id")),
            days=days_of_entries(),
        )

    def action_open_entries(self):
        """Open the balance entries that these figures sum up."""
        self.ensure_one()
        return self.env["energy.wallet.entry"]._open(
            [
                ("wallet_id", "=", self.wallet_id.id),
                ("local_date", "=", self.local_date),
                ("kind", "=", self.kind),
                ("category", "=", self.category),
                ("method_id", "=", self.method_id.id),
                ("user_id", "=", self.user_id.id),
            ]
        )
