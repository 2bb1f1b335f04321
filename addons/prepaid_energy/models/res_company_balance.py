from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    energy_refund_limit = fields.Monetary(
        string="Refunds Without Approval Up To",
        help="A refund above this amount, and a security deposit returned above it, needs a "
        "second person with the role Finance. 0: always.",
    )
    energy_adjustment_limit = fields.Monetary(
        string="Adjustments Without Approval Up To",
        help="An adjustment or write-off above this amount needs a second person with the role "
        "Finance. 0: always.",
    )

    _check_energy_limits = models.Constraint(
        "CHECK (energy_refund_limit >= 0 AND energy_adjustment_limit >= 0)",
        "A limit is an amount of zero or more.",
    )
