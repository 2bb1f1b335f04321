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
    energy_agreement_template_id = fields.Many2one(
        "energy.agreement.template",
        string="Default Supply Agreement",
        ondelete="restrict",
        help="Empty: the standard text.",
    )

    energy_service_fee_percent = fields.Float(
        string="Service Fee (%)",
        digits=(5, 2),
        help="Taken from each top-up as a charge item of its own. 0: none.",
    )
    energy_top_up_limit = fields.Monetary(
        string="Ask Above", help="The counter asks again for a top-up above it. 0: never."
    )
    energy_requires_shift = fields.Boolean(
        string="Sell in a Shift Only",
        help="The counter takes money of cashiers with an open shift only.",
    )

    energy_tariff_second_person = fields.Boolean(
        string="Tariffs Need a Second Person",
        help="Whoever submitted a version of a tariff does not approve it.",
    )
    energy_gap_shape = fields.Selection(
        [("linear", "Evenly"), ("comparable", "Like comparable days before")],
        string="Spread Gaps",
        required=True,
        default="linear",
        help="How use between readings more than an hour apart is spread over that time: evenly, "
        "or hour by hour as on days of the same kind in the three weeks before. A new choice "
        "counts for what is charged from now on; what was charged stays, until it is counted anew "
        "for another reason.",
    )
    energy_estimate_after = fields.Integer(
        string="Estimate After (Hours)",
        help="A meter without a reading for this long is charged by estimates from comparable "
        "days until it answers again; then what was estimated is made good. 0: never.",
    )

    _check_energy_estimate_after = models.Constraint(
        "CHECK (energy_estimate_after >= 0)", "Estimates begin after a number of hours, or never."
    )
    _check_energy_service_fee = models.Constraint(
        "CHECK (energy_service_fee_percent >= 0 AND energy_service_fee_percent < 100)",
        "A service fee is 0 to less than 100 per cent of the top-up.",
    )
    _check_energy_top_up_limit = models.Constraint(
        "CHECK (energy_top_up_limit >= 0)", "The limit of a top-up is an amount, or 0 for none."
    )

    def _energy_set_up_books(self):
        """Make what selling energy needs in the books of a company that has a chart of accounts.

        What exists already is never changed.
        """
        for company in self:
            self.env["energy.payment.method"]._set_up(company)

    def _energy_first_site(self):
        """Return the site whose days are the company's; none where it has no site."""
        self.ensure_one()
        return self.env["energy.property"].search(
            [("kind", "=", "site"), ("company_id", "=", self.id)], order="id", limit=1
        )
