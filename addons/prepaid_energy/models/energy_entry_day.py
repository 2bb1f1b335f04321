from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from .energy_wallet_entry import KINDS
from .energy_wallet_entry_side import origin_kind

# Entries younger than this are read as they are: a transaction under way may still add one.
SLACK = timedelta(hours=1)
# As much as one transaction sums up.
STEP = timedelta(days=31)
COLUMNS = SQL(
    "wallet_id, account_id, site_id, company_id, currency_id, local_date, month, kind, "
    "origin_kind, category, method_id, user_id"
)
MARK = SQL("(SELECT moment FROM energy_entry_day_mark)")


def summed(moments):
    """Return the statement that sums up entries by the day and month they belong to.

    :param SQL moments: condition on the entry `e`
    """
    return SQL(
        """
        SELECT %(columns)s, min(id) AS first_id, count(*) AS count, sum(amount) AS amount
          FROM (SELECT e.*, %(origin)s AS origin_kind,
                       date_trunc('month', COALESCE(p.date_from, e.local_date))::date AS month
                  FROM energy_wallet_entry e
                  LEFT JOIN energy_billing_period p ON p.id = e.period_id
                 WHERE %(moments)s) entry
         GROUP BY %(columns)s""",
        columns=COLUMNS,
        origin=origin_kind("e"),
        moments=moments,
    )


def days_of_entries():
    """Return all entries by day: what is rolled up, and what is younger than the mark.

    Columns as in `COLUMNS`, and id, count, amount.
    """
    return SQL(
        """
        SELECT 2 * id::bigint AS id, %(columns)s, count, amount FROM energy_entry_day
         UNION ALL
        SELECT 2 * first_id + 1, %(columns)s, count, amount FROM (%(young)s) young""",
        columns=COLUMNS,
        young=summed(SQL("e.moment >= COALESCE(%s, '-infinity')", MARK)),
    )


class EnergyEntryDay(models.Model):
    """Balance entries summed up by day, up to a mark on their moment: what reports read.

    Written by `_roll_up` only; the checker's rule `rollup` compares it with the entries.
    """

    _name = "energy.entry.day"
    _description = "Balance entries of a day"
    _log_access = False
    _allow_sudo_commands = False
    _order = "local_date desc, id"
    _rec_name = "local_date"

    wallet_id = fields.Many2one("energy.wallet", required=True, readonly=True, ondelete="restrict")
    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="restrict"
    )
    site_id = fields.Many2one("energy.property", required=True, readonly=True, ondelete="restrict")
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    currency_id = fields.Many2one("res.currency", required=True, readonly=True, ondelete="restrict")
    local_date = fields.Date(string="Date", required=True, readonly=True)
    month = fields.Date(
        required=True, readonly=True, help="First day of the billing period's month, or the date's."
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    origin_kind = fields.Selection(
        KINDS, required=True, readonly=True, help="Of a reversal: the kind that it undoes."
    )
    category = fields.Selection(
        [("electricity", "Electricity"), ("water", "Water"), ("other", "Other")],
        string="Class",
        required=True,
        readonly=True,
    )
    method_id = fields.Many2one("energy.payment.method", readonly=True, ondelete="restrict")
    user_id = fields.Many2one("res.users", required=True, readonly=True, ondelete="restrict")
    count = fields.Integer(string="Entries", required=True, readonly=True)
    amount = fields.Monetary(required=True, readonly=True)

    _key_uniq = models.UniqueIndex(
        "(wallet_id, local_date, month, kind, origin_kind, category, COALESCE(method_id, 0),"
        " user_id)",
        "A day of entries is summed up once.",
    )
    _company_date_idx = models.Index("(company_id, local_date)")

    def init(self):
        self.env.cr.execute("""
            CREATE TABLE IF NOT EXISTS energy_entry_day_mark (moment timestamp);
            INSERT INTO energy_entry_day_mark
            SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM energy_entry_day_mark);
        """)

    @api.model
    def _cron_roll_up(self):
        """Scheduled action: sum up what is older than the slack."""
        while self._roll_up():
            if not self.env["ir.cron"]._commit_progress(1):
                return

    @api.model
    def _roll_up(self, until=None):
        """Sum up the next entries and move the mark, both or neither.

        :param datetime until: entries before this moment; before now less the slack if None
        :return: whether there is more to sum up
        """
        after, until = self._stretch(until)
        if after is None or after >= until:
            return False
        end = min(until, after + STEP)
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_entry_day AS day (%(columns)s, count, amount)
            SELECT %(columns)s, count, amount FROM (%(entries)s) entries
                ON CONFLICT (wallet_id, local_date, month, kind, origin_kind, category,
                             COALESCE(method_id, 0), user_id)
                DO UPDATE SET count = day.count + EXCLUDED.count,
                              amount = day.amount + EXCLUDED.amount
            """,
                columns=COLUMNS,
                entries=summed(SQL("e.moment >= %s AND e.moment < %s", after, end)),
            )
        )
        self.env.cr.execute(SQL("UPDATE energy_entry_day_mark SET moment = %s", end))
        self.invalidate_model(flush=False)
        return end < until

    def _stretch(self, until):
        """Return from which moment to which there is something to sum up; the mark is locked."""
        # A clock that runs faster passes more of its time while a transaction is under way.
        query = SQL(
            """
            SELECT moment, (SELECT min(moment) FROM energy_wallet_entry),
                   energy_now() - %s * GREATEST(1, (SELECT speed::float FROM energy_clock LIMIT 1))
              FROM energy_entry_day_mark FOR NO KEY UPDATE
            """,
            SLACK,
        )
        mark, first, settled = self.env.execute_query(query)[0]
        return (first if mark is None else mark), (until or settled)

    @api.model
    def _start_again(self):
        """Forget what is summed up; the next run does it anew."""
        self.env.cr.execute("DELETE FROM energy_entry_day")
        self.env.cr.execute("UPDATE energy_entry_day_mark SET moment = NULL")
        self.invalidate_model(flush=False)


class EnergyClock(models.Model):
    _inherit = "energy.clock"

    @api.model
    def _set(self, moment=None, speed=1.0):
        """Override: a clock that is put back makes moments before the mark once more."""
        result = super()._set(moment, speed)
        rows = self.env.execute_query(
            SQL("SELECT moment > energy_now() FROM energy_entry_day_mark")
        )
        if rows[0][0]:
            self.env["energy.entry.day"]._start_again()
        return result
