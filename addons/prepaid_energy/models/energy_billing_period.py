from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..bulk import values


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
        check_company=True,
    )
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="account_id.currency_id")
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    date_from = fields.Date(string="From", required=True, readonly=True)
    date_to = fields.Date(string="To", required=True, readonly=True)
    state = fields.Selection(
        [("open", "Open"), ("invoiced", "Invoiced")], required=True, default="open", readonly=True
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
    total = fields.Monetary(
        compute="_compute_total", help="Deductions of the period, not yet or already billed."
    )

    _dates_uniq = models.UniqueIndex(
        "(account_id, date_from)", "An account has one billing period a date."
    )
    _check_dates = models.Constraint(
        "CHECK (date_to >= date_from)", "A period ends after it begins."
    )

    @api.depends("date_from", "account_id.name")
    def _compute_display_name(self):
        for period in self:
            period.display_name = f"{period.account_id.name} {period.date_from:%Y-%m}"

    @api.depends("entry_ids.amount")
    def _compute_total(self):
        totals = dict(
            self.env["energy.wallet.entry"]._read_group(
                [("period_id", "in", self.ids), ("kind", "in", ("use", "charge", "share"))],
                ["period_id"],
                ["amount:sum"],
            )
        )
        for period in self:
            period.total = -totals.get(period, 0.0)

    @api.model
    def _open_for(self, months):
        """Return the open billing period of each account and month, made where it is missing.

        A month that is invoiced already hands its differences to the earliest open period after it.

        :param set months: pairs of account id and first day of the month
        :return: dict of pair to period id
        """
        if not months:
            return {}
        periods = self._fetch_open(months)
        missing = sorted(months - periods.keys())
        if missing:
            self.env.cr.execute(
                SQL(
                    """
                INSERT INTO energy_billing_period
                       (account_id, company_id, site_id, date_from, date_to, state,
                        create_uid, create_date, write_uid, write_date)
                SELECT a.id, a.company_id, a.site_id, v.first,
                       (v.first + interval '1 month - 1 day')::date, 'open',
                       %(user)s, energy_real_now(), %(user)s, energy_real_now()
                  FROM %(months)s JOIN energy_account a ON a.id = v.account
                    ON CONFLICT (account_id, date_from) DO NOTHING
                """,
                    user=self.env.uid,
                    months=values(missing, account="int", first="date"),
                )
            )
            periods = self._fetch_open(months)
        still_missing = months - periods.keys()
        if still_missing:
            raise UserError(
                _(
                    "Every billing period from %(first)s on of account %(account)s is invoiced.",
                    first=min(still_missing)[1],
                    account=self.env["energy.account"].browse(min(still_missing)[0]).name,
                )
            )
        return periods

    @api.model
    def _fetch_open(self, months):
        """Return the earliest open period from each month on, where there is one."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.account, v.first, p.id
              FROM %s
              JOIN LATERAL (
                   SELECT id, date_from FROM energy_billing_period p
                    WHERE p.account_id = v.account AND p.date_from >= v.first
                      AND p.state = 'open'
                    ORDER BY p.date_from LIMIT 1) p ON TRUE
             WHERE p.date_from = v.first OR EXISTS (
                   SELECT 1 FROM energy_billing_period i
                    WHERE i.account_id = v.account AND i.date_from = v.first)
            """,
                values(sorted(months), account="int", first="date"),
            )
        )
        return {(account, first): period for account, first, period in rows}
