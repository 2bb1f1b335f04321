from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    energy_advances_account_id = fields.Many2one(
        "account.account",
        string="Advances from Energy Customers",
        check_company=True,
        ondelete="restrict",
        help="Liability that holds what customers have paid ahead for energy. "
        "Every journal item on it names its energy account.",
    )
    energy_credit_policy_id = fields.Many2one(
        "energy.credit.policy", string="Default Credit Policy", ondelete="restrict"
    )

    def _energy_set_up_books(self):
        """Make what selling energy needs in the books of a company that has a chart of accounts.

        What exists already is never changed.
        """
        for company in self:
            self.env["energy.payment.method"]._set_up(company)
