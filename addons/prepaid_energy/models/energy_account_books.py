from decimal import Decimal

from odoo import fields, models
from odoo.tools import SQL

from ..engine import Advances


class EnergyAccount(models.Model):
    """What the books say of an account."""

    _inherit = "energy.account"

    book_revision = fields.Integer(
        readonly=True,
        copy=False,
        help="Counts bookings, so that two of them at a time cannot use the same advance.",
    )

    def _lock_books(self):
        """Keep other transactions from booking on these accounts until this one ends.

        A transaction that is older than another one's booking ends with a serialization failure
        and is repeated with fresh figures.
        """
        self.flush_model()
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_account AS a SET book_revision = COALESCE(a.book_revision, 0) + 1
              FROM (SELECT id FROM energy_account WHERE id = ANY(%s)
                     ORDER BY id FOR NO KEY UPDATE) locked
             WHERE a.id = locked.id
            """,
                self.ids,
            ),
            # A conflict is expected, and whoever catches it decides whether it is worth a line.
            log_exceptions=False,
        )
        self.invalidate_model(["book_revision"], flush=False)

    def _advances(self, since):
        """Return what these accounts have paid ahead by the posted journal items.

        :param date since: days before it are added up, as only it and later days are asked for
        :return: dict of account id to `Advances`
        """
        self.env["account.move.line"].flush_model()
        self.env["account.move"].flush_model(["state", "date"])
        rows = self.env.execute_query(
            SQL(
                """
            SELECT line.energy_account_id, GREATEST(line.date, %(since)s), sum(-line.balance)::text
              FROM account_move_line line
              JOIN res_company c ON c.id = line.company_id
                   AND c.energy_advances_account_id = line.account_id
             WHERE line.energy_account_id = ANY(%(accounts)s) AND line.parent_state = 'posted'
             GROUP BY 1, 2
            """,
                since=since,
                accounts=self.ids,
            )
        )
        days = {account: [] for account in self.ids}
        for account, day, amount in rows:
            days[account].append((day, Decimal(amount)))
        return {account: Advances(movements) for account, movements in days.items()}

    def _ask_about_books(self, summary, note):
        """Make what the books refused of this account somebody's to-do, once."""
        self.ensure_one()
        if summary not in self.activity_ids.mapped("summary"):
            self.activity_schedule("mail.mail_activity_data_todo", summary=summary, note=note)
