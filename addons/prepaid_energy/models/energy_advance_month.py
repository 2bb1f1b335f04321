from odoo import fields, models
from odoo.tools import SQL

from .energy_entry_day import days_of_entries
from .energy_wallet_entry import CHARGED
from .energy_wallet_entry_side import RECEIVED


class EnergyAdvanceMonth(models.Model):
    """The roll-forward of balances: opening + received − used − refunded ± the rest = closing.

    One row an account and month, from its first entry to the present month as long as anything
    moves or is left, so that the closing figures of a month add up to all balances.
    """

    _name = "energy.advance.month"
    _description = "Advance roll-forward"
    _auto = False
    _order = "month desc, account_id"
    _rec_name = "month"
    _depends = {
        "energy.entry.day": ["amount"],
        "energy.wallet.entry": ["amount", "moment"],
        "energy.billing.period": ["date_from"],
    }

    account_id = fields.Many2one("energy.account", readonly=True)
    partner_id = fields.Many2one(related="account_id.partner_id")
    site_id = fields.Many2one("energy.property", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    month = fields.Date(readonly=True)
    opening = fields.Monetary(readonly=True, help="Closing figure of the month before.")
    received = fields.Monetary(readonly=True, help="Received: top-ups, less their reversals.")
    used = fields.Monetary(
        readonly=True, help="Earned: use, charge items and shares with tax, less their reversals."
    )
    refunded = fields.Monetary(readonly=True, help="Paid back to customers.")
    transferred = fields.Monetary(readonly=True, help="From or to other accounts and deposits.")
    adjusted = fields.Monetary(
        readonly=True, help="Adjustments, write-offs and balances taken over."
    )
    billed = fields.Monetary(
        readonly=True, help="Taken over by the bills of accounts that pay afterwards."
    )
    closing = fields.Monetary(readonly=True)

    @property
    def _table_query(self):
        # Filters on account, site, company and currency reach the entries through the windows,
        # because these are what the windows are partitioned by.
        return SQL(
            """
            SELECT a.account_id::bigint * 100000 + extract(year FROM g.month)::int * 12
                   + extract(month FROM g.month)::int AS id,
                   a.account_id, a.site_id, a.company_id, a.currency_id, g.month::date AS month,
                   CASE WHEN g.month = a.month THEN a.closing - a.change ELSE a.closing END
                   AS opening,
                   CASE WHEN g.month = a.month THEN a.received ELSE 0 END AS received,
                   CASE WHEN g.month = a.month THEN a.used ELSE 0 END AS used,
                   CASE WHEN g.month = a.month THEN a.refunded ELSE 0 END AS refunded,
                   CASE WHEN g.month = a.month THEN a.transferred ELSE 0 END AS transferred,
                   CASE WHEN g.month = a.month THEN a.billed ELSE 0 END AS billed,
                   CASE WHEN g.month = a.month
                        THEN a.change - a.received + a.used + a.refunded - a.transferred - a.billed
                        ELSE 0 END AS adjusted,
                   a.closing
              FROM (SELECT m.*, sum(m.change) OVER account AS closing,
                           lead(m.month) OVER account AS next_month
                      FROM (SELECT d.account_id, d.site_id, d.company_id, d.currency_id, d.month,
                                   sum(d.amount) AS change, %(received)s AS received,
                                   -%(used)s AS used, -%(refunded)s AS refunded,
                                   %(transferred)s AS transferred, %(billed)s AS billed
                              FROM (%(days)s) d
                             GROUP BY 1, 2, 3, 4, 5) m
                    WINDOW account AS (PARTITION BY m.account_id, m.site_id, m.company_id,
                                                    m.currency_id ORDER BY m.month)) a
              JOIN energy_property site ON site.id = a.site_id
             CROSS JOIN (SELECT energy_now() AS now) n
             CROSS JOIN LATERAL (
                   SELECT date_trunc('month', n.now AT TIME ZONE 'UTC' AT TIME ZONE site.tz)
                          AS month) present
             CROSS JOIN LATERAL generate_series(
                   a.month::timestamp, GREATEST(a.month, COALESCE(
                       a.next_month - interval '1 month', present.month)),
                   interval '1 month') g(month)
             WHERE g.month = a.month OR a.closing <> 0""",
            days=days_of_entries(),
            received=self._sum(
                SQL(
                    "d.origin_kind IN %s AND d.origin_kind <> 'refund'"
                    " OR d.origin_kind = 'opening' AND d.method_id IS NOT NULL",
                    RECEIVED,
                )
            ),
            used=self._sum(SQL("d.origin_kind IN %s", CHARGED)),
            refunded=self._sum(SQL("d.origin_kind = 'refund'")),
            transferred=self._sum(SQL("d.origin_kind = 'transfer'")),
            billed=self._sum(SQL("d.origin_kind = 'billed'")),
        )

    @staticmethod
    def _sum(condition):
        return SQL("COALESCE(sum(d.amount) FILTER (WHERE %s), 0)", condition)

    def action_open_entries(self):
        """Open the balance entries of this account and month."""
        self.ensure_one()
        days = self.env["energy.finance.day"].search(
            [("account_id", "=", self.account_id.id), ("month", "=", self.month)]
        )
        dates = days.mapped("local_date")
        domain = [("account_id", "=", self.account_id.id)]
        if dates:
            domain += [("local_date", ">=", min(dates)), ("local_date", "<=", max(dates))]
        return self.env["energy.wallet.entry"]._open(domain)
