import logging

from odoo import _, api, models
from odoo.tools import SQL

from ..invoice_work import InvoiceWork
from .energy_wallet_turn import CONFLICTS

_logger = logging.getLogger(__name__)

BATCH = 100
MOST_CONFLICTS = 20
# Until which local date each site's periods are due: the last day of the month before, or, before
# the company's invoice day, of the one before that.
DUE = SQL("""
    SELECT site.id AS site,
           (date_trunc('month', energy_now() AT TIME ZONE 'UTC' AT TIME ZONE site.tz
                       - (c.energy_invoice_day - 1) * interval '1 day')
            - interval '1 day')::date AS until
      FROM energy_property site JOIN res_company c ON c.id = site.company_id
     WHERE site.kind = 'site'
""")
# Many documents at once: nobody reads in the chatter that each was created.
QUIET = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
}


class EnergyBillingPeriod(models.Model):
    """Invoicing: one document a frozen period, whose total is the sum of the period's entries."""

    _inherit = "energy.billing.period"

    def _invoice(self, set_aside=False):
        """Make and post the invoices of these frozen periods in the present transaction.

        A period without lines needs none; one below zero becomes a credit note.

        :param bool set_aside: make an account that accounting refuses somebody's to-do, and go on
            with the rest
        :return: the documents
        :rtype: recordset of `account.move`
        """
        periods = self._lock_closed()
        moves = self.env["account.move"]
        for company, own in periods.grouped("company_id").items():
            if not set_aside:
                moves |= own._make_invoices(company)
                continue
            try:
                with self.env.cr.savepoint():
                    moves |= own._make_invoices(company)
                continue
            except CONFLICTS:
                raise
            except Exception:
                _logger.info("Invoicing %s periods singly", len(own), exc_info=True)
            for period in own:
                try:
                    with self.env.cr.savepoint():
                        moves |= period._make_invoices(company)
                except CONFLICTS:
                    raise
                except Exception as error:
                    _logger.info("Period %s could not be invoiced", period.id, exc_info=True)
                    summary = _("%s could not be invoiced", period._label())
                    self._ask(period.account_id, summary, error)
        return moves

    def _lock_closed(self):
        """Return those of these periods that are to be invoiced, by account and date.

        Locks them; another transaction that invoices them conflicts with this one.
        """
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT id FROM energy_billing_period WHERE id = ANY(%s) AND state = 'closed'
             ORDER BY account_id, date_from FOR NO KEY UPDATE
            """,
                self.ids,
            )
        )
        return self.browse(row[0] for row in rows)

    def _make_invoices(self, company):
        own = self.with_company(company).with_context(**QUIET)
        billed = own.filtered("line_ids")
        if billed:
            # sudo: invoices are made by the flow; the caller checked the role
            work = InvoiceWork(company.with_env(own.env).sudo())
            moves = work.env["account.move"].create(
                [period._invoice_values(work) for period in billed]
            )
            moves._post(soft=False)
        else:
            moves = self.env["account.move"]
        (own - billed).state = "invoiced"
        return moves

    def _invoice_values(self, work):
        """Return the values of a period's `account.move`.

        :param work: `InvoiceWork` of the company
        """
        sign = -1 if sum(self.line_ids.mapped("amount")) < 0 else 1
        account = self.account_id
        partner = account._invoice_title(self.date_to)
        position = work.position(partner)
        values = {
            "move_type": "out_refund" if sign < 0 else "out_invoice",
            "journal_id": work.journal.id,
            "company_id": work.company.id,
            "currency_id": work.currency.id,
            "partner_id": partner.id,
            "fiscal_position_id": position.id,
            "invoice_date": self.date_to,
            "invoice_origin": account.name,
            "energy_period_id": self.id,
            "invoice_line_ids": work.line_commands(
                self.line_ids, position, sign, partner.lang or self.env.lang
            ),
        }
        if account.payment_mode == "prepaid":
            # The balance pays at once.
            values.update(invoice_payment_term_id=False, invoice_date_due=self.date_to)
        return values

    def _ask(self, account, summary, error):
        """Make what could not be billed of an account somebody's to-do, once."""
        if summary not in account.activity_ids.mapped("summary"):
            account.activity_schedule(
                "mail.mail_activity_data_todo", summary=summary, note=str(error)
            )

    # --- scheduled -------------------------------------------------------------------------------

    @api.model
    def _cron_invoice(self):
        """Scheduled action: freeze and invoice every period that is due.

        In batches, a transaction each. An account that is refused becomes a to-do and is tried
        again with the next run.
        """
        cron = self.env["ir.cron"]
        last = 0
        while due := self._due(last, BATCH):
            cron._commit_progress(remaining=self._count_due(last))
            self._work_off(due)
            last = max(due)
            if not cron._commit_progress(len(due)):
                self.env.ref("prepaid_energy.ir_cron_invoice")._trigger()
                return

    def _work_off(self, due):
        """Freeze and invoice one batch, where it must be singly; see `_due`."""
        for _attempt in range(MOST_CONFLICTS):
            try:
                self._freeze_and_invoice(due)
                return
            except CONFLICTS:
                self.env.cr.rollback()
                self.env.transaction.reset()
            except Exception:
                _logger.info("Billing %s accounts singly", len(due), exc_info=True)
                self.env.cr.rollback()
                self.env.transaction.reset()
                break
        for account, until in due.items():
            try:
                self._freeze_and_invoice({account: until})
            except CONFLICTS:
                # Somebody else is at it: the next run looks again.
                self.env.cr.rollback()
                self.env.transaction.reset()
            except Exception as error:
                self.env.cr.rollback()
                self.env.transaction.reset()
                _logger.info("Account %s could not be billed", account, exc_info=True)
                self._ask(self.env["energy.account"].browse(account), _("Not billed"), error)
            self.env.cr.commit()  # pylint: disable=invalid-commit

    def _freeze_and_invoice(self, due):
        self._freeze(due, skip_locked=True)
        closed = self.search([("account_id", "in", list(due)), ("state", "=", "closed")])
        if closed._invoice(set_aside=True):
            self.env["energy.book.settlement"]._settle(list(due))

    @api.model
    def _due(self, after, limit):
        """Return the next accounts with periods to be frozen or invoiced.

        :param int after: id of the last account looked at
        :return: dict of account id to the last date that is due at its site
        """
        self.flush_model()
        self.env["res.company"].flush_model(["energy_invoice_day"])
        rows = self.env.execute_query(
            SQL(
                """
            SELECT p.account_id, max(d.until) FROM energy_billing_period p
              JOIN (%s) d ON d.site = p.site_id
             WHERE p.account_id > %s AND (p.state = 'closed'
                   OR p.state = 'open' AND p.date_to <= d.until)
             GROUP BY p.account_id ORDER BY p.account_id LIMIT %s
            """,
                DUE,
                after,
                limit,
            )
        )
        return dict(rows)

    def _count_due(self, after):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT count(DISTINCT p.account_id) FROM energy_billing_period p
              JOIN (%s) d ON d.site = p.site_id
             WHERE p.account_id > %s AND (p.state = 'closed'
                   OR p.state = 'open' AND p.date_to <= d.until)
            """,
                DUE,
                after,
            )
        )
        return rows[0][0]
