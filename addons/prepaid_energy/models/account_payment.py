import logging

from odoo import _, api, fields, models
from odoo.tools import SQL

_logger = logging.getLogger(__name__)

BATCH = 50


class AccountPayment(models.Model):
    _inherit = "account.payment"

    energy_account_id = fields.Many2one(
        "energy.account", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    energy_entry_key = fields.Char(
        readonly=True, copy=False, help="Key of the balance entry that this payment books."
    )

    _energy_entry_key_uniq = models.UniqueIndex(
        "(energy_entry_key) WHERE energy_entry_key IS NOT NULL", "This top-up is booked already."
    )

    def _prepare_move_line_default_vals(self, write_off_line_vals=None, force_balance=None):
        """Override of `account` to name the energy account on what touches its advances."""
        lines = super()._prepare_move_line_default_vals(write_off_line_vals, force_balance)
        if self.energy_account_id:
            advances = self.company_id.energy_advances_account_id
            for line in lines:
                if line.get("account_id") == advances.id:
                    line["energy_account_id"] = self.energy_account_id.id
        return lines

    @api.model
    def _cron_book_top_ups(self):
        """Scheduled action: a posted payment for every top-up that has none yet.

        One that accounting refuses becomes a to-do on its account and does not stop the rest; it
        is tried again with the next run.
        """
        cron = self.env["ir.cron"]
        last = 0
        while entries := self._top_ups_to_book(last, BATCH):
            for entry in entries:
                self._book_top_up(entry)
                last = entry.id
                if not cron._commit_progress(1):
                    self.env.ref("prepaid_energy.ir_cron_book_top_ups")._trigger()
                    return

    @api.model
    def _top_ups_to_book(self, after, limit):
        """Return the next top-ups that no payment books.

        :param int after: id of the last entry looked at
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT e.id FROM energy_wallet_entry e
             WHERE e.kind = 'top_up' AND e.id > %s
               AND NOT EXISTS (SELECT 1 FROM account_payment p WHERE p.energy_entry_key = e.key)
             ORDER BY e.id LIMIT %s
            """,
                after,
                limit,
            )
        )
        return self.env["energy.wallet.entry"].browse(row[0] for row in rows)

    @api.model
    def _book_top_up(self, entry):
        """Make and post the payment of one top-up.

        :param entry: `energy.wallet.entry`
        """
        company = entry.company_id
        try:
            with self.env.cr.savepoint():
                payment = self.with_company(company).create(
                    {
                        "payment_type": "inbound",
                        "partner_type": "customer",
                        "partner_id": entry.partner_id.id,
                        "amount": entry.amount,
                        "currency_id": entry.currency_id.id,
                        "date": entry.local_date,
                        "journal_id": entry.journal_id.id,
                        "destination_account_id": company._energy_set_up_advances_account().id,
                        "memo": " ".join(filter(None, [entry.account_id.name, entry.reference])),
                        "energy_account_id": entry.account_id.id,
                        "energy_entry_key": entry.key,
                    }
                )
                payment.action_post()
                return payment
        except Exception as error:
            _logger.info("Top-up %s could not be booked", entry.key, exc_info=True)
            self._ask_to_book(entry, error)
            return self.browse()

    @api.model
    def _ask_to_book(self, entry, error):
        """Make an unbooked top-up somebody's to-do, once."""
        account = entry.account_id
        summary = _("Top-up %s is not in the books", entry.number)
        if summary not in account.activity_ids.mapped("summary"):
            account.activity_schedule(
                "mail.mail_activity_data_todo",
                summary=summary,
                note=_(
                    "%(amount)s of %(date)s: %(error)s",
                    error=error,
                    date=entry.local_date,
                    amount=entry.currency_id.format(entry.amount),
                ),
            )
