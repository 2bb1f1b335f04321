from datetime import date, timedelta

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from ..bulk import array, values
from ..local_time import month_last


class EnergyBillingPeriod(models.Model):
    """One account's local month, or the part of it before or after a closing."""

    _name = "energy.billing.period"
    _description = "Billing period"
    _order = "date_from desc, account_id"
    _check_company_auto = True

    account_id = fields.Many2one(
        "energy.account",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="account_id.currency_id")
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    date_from = fields.Date(string="From", required=True, readonly=True)
    date_to = fields.Date(string="To", required=True, readonly=True)
    state = fields.Selection(
        [("open", "Open"), ("closed", "Frozen"), ("invoiced", "Invoiced")],
        required=True,
        default="open",
        readonly=True,
        help="Frozen: its figures stand, its invoice is to be made.",
    )
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    entry_ids = fields.One2many("energy.wallet.entry", "period_id", string="Balance Entries")
    line_ids = fields.One2many("energy.billing.line", "period_id", string="Billed")
    total = fields.Monetary(
        compute="_compute_total", help="Deductions of the period, not yet or already billed."
    )

    _dates_uniq = models.UniqueIndex(
        "(account_id, date_from)", "An account has one billing period a date."
    )
    _check_dates = models.Constraint(
        "CHECK (date_to >= date_from)", "A period ends after it begins."
    )

    @api.depends("date_from", "date_to", "account_id.name")
    def _compute_display_name(self):
        for period in self:
            period.display_name = f"{period.account_id.name} {period._label()}"

    def _label(self):
        """Return the month, or the dates where the period is part of one."""
        self.ensure_one()
        if self.date_from.day == 1 and self.date_to == month_last(self.date_from):
            return f"{self.date_from:%Y-%m}"
        return f"{self.date_from} – {self.date_to}"

    @api.depends("entry_ids.amount")
    def _compute_total(self):
        totals = dict(
            self.env["energy.wallet.entry"]._read_group(
                [("period_id", "in", self.ids), ("kind", "!=", "billed")],
                ["period_id"],
                ["amount:sum"],
            )
        )
        for period in self:
            period.total = -totals.get(period, 0.0)

    @api.model
    def _open_for(self, months):
        """Return the open billing period that takes what is charged for each account and month.

        It is the month's own, or, where that is frozen, the one that begins after the last frozen
        period of the account (in the middle of a month after a closing). Made where it is missing.
        So differences of a month all go into one period until that is frozen as well.

        :param set months: pairs of account id and first day of the month
        :return: dict of pair to period id
        """
        if not months:
            return {}
        begins, found = self._periods_for(months)
        missing = [month for month in months if month not in found]
        if missing:
            self.env.cr.execute(
                SQL(
                    """
                INSERT INTO energy_billing_period
                       (account_id, company_id, site_id, date_from, date_to, state,
                        create_uid, create_date, write_uid, write_date)
                SELECT DISTINCT a.id, a.company_id, a.site_id, v.begin,
                       (date_trunc('month', v.begin) + interval '1 month - 1 day')::date, 'open',
                       %(user)s, energy_real_now(), %(user)s, energy_real_now()
                  FROM %(begins)s JOIN energy_account a ON a.id = v.account
                    ON CONFLICT (account_id, date_from) DO NOTHING
                """,
                    user=self.env.uid,
                    begins=values(
                        [(month[0], begins[month]) for month in missing],
                        account="int",
                        begin="date",
                    ),
                )
            )
            found = self._periods_for(months)[1]
        return found

    def _periods_for(self, months):
        """Return where the periods for these months begin, and the ids of those that are there."""
        last_frozen, ids = {}, {}
        for account, period, date_from, date_to, state in self.env.execute_query(
            SQL(
                """
            SELECT account_id, id, date_from, date_to, state FROM energy_billing_period
             WHERE account_id = ANY(%s::int[]) AND date_to >= %s
            """,
                array({account for account, _first in months}),
                min(first for _account, first in months),
            )
        ):
            ids[account, date_from] = period
            if state != "open" and date_to > last_frozen.get(account, date.min):
                last_frozen[account] = date_to
        begins = {}
        for account, first in months:
            frozen = last_frozen.get(account)
            begins[account, first] = (
                first if frozen is None or frozen < first else frozen + timedelta(days=1)
            )
        return begins, {
            month: ids[month[0], begin]
            for month, begin in begins.items()
            if (month[0], begin) in ids
        }

    def action_freeze_and_invoice(self):
        """Freeze these periods, with the open ones before them, and invoice them."""
        if not self.env.user.has_group("prepaid_energy.group_energy_finance"):
            raise AccessError(_("Invoices are made by finance."))
        self.check_access("read")
        unfinished = self.filtered(
            lambda period: period.state == "open" and period.date_to >= period.site_id._today()
        )
        if unfinished:
            raise UserError(_("%s is not over yet.", unfinished[0].display_name))
        # sudo: periods and their lines are written by the flow only; the role has been checked
        own = self.sudo()
        opened = own.filtered(lambda period: period.state == "open")
        if opened:
            until = {}
            for period in opened:
                account = period.account_id.id
                until[account] = max(period.date_to, until.get(account, period.date_to))
            own |= self.sudo()._freeze(until)
        own.filtered(lambda period: period.state == "closed")._invoice()
        return True

    def action_open_invoice(self):
        """Open the invoice of this period."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
            "name": _("Invoice"),
        }

    def action_open_entries(self):
        """Open the balance entries of these periods."""
        return self.env["energy.wallet.entry"]._open([("period_id", "in", self.ids)])
