from odoo import api, models


class ProductTemplate(models.Model):
    _inherit = "product.template"

    @api.constrains("taxes_id")
    def _check_energy_taxes(self):
        """What energy is billed as has taxes in per cent."""
        # sudo: the rule holds whether or not the user sees the billing products
        self.env["energy.billing.product"].sudo().search(
            [("product_id.product_tmpl_id", "in", self.ids)]
        )._check_taxes()
