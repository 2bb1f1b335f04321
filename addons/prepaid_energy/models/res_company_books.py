from odoo import fields, models

# Code from which a free one is looked for, account type: by country of the chart of accounts.
ACCOUNTS = {
    "energy_advances_account_id": ("liability_current", {"": "221500", "cn": "220300"}),
    "energy_deposit_account_id": ("liability_current", {"": "221600", "cn": "224100"}),
    "energy_adjustment_account_id": ("expense", {"": "659000", "cn": "671100"}),
    "energy_write_off_account_id": ("expense", {"": "659100", "cn": "670200"}),
}


class ResCompany(models.Model):
    """What selling energy needs in the books of a company."""

    _inherit = "res.company"

    energy_journal_id = fields.Many2one(
        "account.journal",
        check_company=True,
        ondelete="restrict",
        domain="[('type', '=', 'general'), ('company_id', '=', id)]",
        help="Settlements of invoices, transfers, adjustments and write-offs are booked here.",
    )
    energy_adjustment_account_id = fields.Many2one(
        "account.account",
        string="Balance Adjustments",
        check_company=True,
        ondelete="restrict",
        help="The other side of adjustments, and of opening balances taken over.",
    )
    energy_write_off_account_id = fields.Many2one(
        "account.account",
        string="Energy Debts Written Off",
        check_company=True,
        ondelete="restrict",
        help="The other side of write-offs.",
    )
    energy_deposit_account_id = fields.Many2one(
        "account.account",
        string="Security Deposits",
        check_company=True,
        ondelete="restrict",
        help="Liability that holds security deposits; they are no part of a balance.",
    )

    def _energy_set_up_books(self):
        """Override to make the accounts and the journal of energy."""
        for company in self:
            for name in ACCOUNTS:
                company._energy_set_up_account(name)
            company._energy_set_up_journal()
        return super()._energy_set_up_books()

    def _energy_set_up_advances_account(self):
        """Make the company's own advances account; an account that exists already is never changed.

        :return: the account
        :rtype: recordset of `account.account`
        """
        self.ensure_one()
        return self._energy_set_up_account("energy_advances_account_id")

    def _energy_set_up_deposit_account(self):
        """Make the company's security deposit account; one that exists already is never changed.

        :return: the account
        :rtype: recordset of `account.account`
        """
        self.ensure_one()
        return self._energy_set_up_account("energy_deposit_account_id")

    def _energy_set_up_account(self, name):
        """Make one of the company's own accounts, with a free code; a branch uses its parent's.

        :param str name: a key of `ACCOUNTS`
        :return: the account
        """
        self.ensure_one()
        if not self[name]:
            if self.parent_id:
                self[name] = self.root_id._energy_set_up_account(name)
                return self[name]
            account_type, codes = ACCOUNTS[name]
            country = (self.chart_template or "")[:2]
            accounts = self.env["account.account"].with_company(self)
            self[name] = accounts.create(
                {
                    "name": self._energy_account_name(name),
                    "code": accounts._search_new_account_code(codes.get(country, codes[""])),
                    "account_type": account_type,
                    "reconcile": account_type == "liability_current",
                    "company_ids": [(4, self.id)],
                }
            )
        return self[name]

    def _energy_account_name(self, name):
        return {
            "energy_advances_account_id": self.env._("Advances from energy customers"),
            "energy_deposit_account_id": self.env._("Security deposits of energy customers"),
            "energy_adjustment_account_id": self.env._("Adjustments of energy balances"),
            "energy_write_off_account_id": self.env._("Energy debts written off"),
        }[name]

    def _energy_set_up_journal(self):
        self.ensure_one()
        if self.energy_journal_id:
            return
        if self.parent_id:
            self.root_id._energy_set_up_journal()
            self.energy_journal_id = self.root_id.energy_journal_id
            return
        journals = self.env["account.journal"].with_company(self)
        taken = set(
            journals.with_context(active_test=False)
            .search([("company_id", "=", self.id), ("code", "=like", "ENRG%")])
            .mapped("code")
        )
        codes = ["ENRG", *(f"ENRG{number}" for number in range(1, 10))]
        self.energy_journal_id = journals.create(
            {
                "name": self.env._("Energy"),
                "code": next(code for code in codes if code not in taken),
                "type": "general",
                "company_id": self.id,
                "show_on_dashboard": False,
            }
        )

    def _energy_forget_books(self):
        """Let go of accounts and journals, before another chart of accounts replaces them."""
        names = [*ACCOUNTS, "energy_journal_id"]
        self.write(dict.fromkeys(names, False))
        methods = self.env["energy.payment.method"].with_context(active_test=False)
        methods.search([("company_id", "in", self.ids)]).unlink()
