from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    energy_deposit_account_id = fields.Many2one(
        "account.account",
        string="Security Deposits of Energy Customers",
        check_company=True,
        ondelete="restrict",
        help="Liability that holds what customers left as a guarantee. Never part of a balance.",
    )

    def _energy_set_up_books(self):
        super()._energy_set_up_books()
        for company in self:
            company._energy_set_up_deposit_account()

    def _energy_set_up_deposit_account(self):
        """Make the company's security deposit account; one that exists already is never changed.

        :rtype: recordset of `account.account`
        """
        self.ensure_one()
        if not self.energy_deposit_account_id:
            accounts = self.env["account.account"].with_company(self)
            self.energy_deposit_account_id = accounts.create(
                {
                    "name": self.env._("Security deposits of energy customers"),
                    "code": accounts._search_new_account_code("224100"),
                    "account_type": "liability_current",
                    "reconcile": True,
                    "company_ids": [(4, self.id)],
                }
            )
        return self.energy_deposit_account_id
