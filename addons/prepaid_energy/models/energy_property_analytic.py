from odoo import fields, models


class EnergyProperty(models.Model):
    """Profit per site and building: what is billed there carries its analytic account."""

    _inherit = "energy.property"

    analytic_account_id = fields.Many2one(
        "account.analytic.account",
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        help="Income of this site or building is booked here; made with its first invoice.",
    )

    def _analytic_account(self):
        """Return the analytic account of a site or building, made when first needed."""
        self.ensure_one()
        if not self.analytic_account_id:
            self.analytic_account_id = self.env["account.analytic.account"].create(
                {
                    "name": self.complete_name or self.name,
                    "plan_id": self.env.ref("prepaid_energy.analytic_plan_property").id,
                    "company_id": self.company_id.id,
                }
            )
        return self.analytic_account_id
