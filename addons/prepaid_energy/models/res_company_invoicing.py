from odoo import fields, models

# Registers are read to a thousandth of a unit.
QUANTITY_DIGITS = 3


class ResCompany(models.Model):
    """What periodic invoicing needs of a company."""

    _inherit = "res.company"

    energy_invoice_day = fields.Integer(
        string="Invoice on Day",
        required=True,
        default=3,
        help="Day of the month from which the month before is invoiced. Readings that come later "
        "are billed with the next month.",
    )
    energy_billing_product_ids = fields.One2many("energy.billing.product", "company_id")

    _energy_check_invoice_day = models.Constraint(
        "CHECK (energy_invoice_day BETWEEN 1 AND 28)", "The invoice day lies between 1 and 28."
    )

    def _energy_set_up_books(self):
        result = super()._energy_set_up_books()
        precision = self.env.ref("uom.decimal_product_uom")
        if precision.digits < QUANTITY_DIGITS:
            # More decimals change no figure that exists.
            precision.digits = QUANTITY_DIGITS
        for company in self:
            self.env["energy.billing.product"]._set_up(company)
        return result
