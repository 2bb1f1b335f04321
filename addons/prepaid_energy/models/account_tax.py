from odoo import _, api, models
from odoo.exceptions import ValidationError


class AccountTax(models.Model):
    _inherit = "account.tax"

    @api.constrains("amount_type", "children_tax_ids")
    def _check_energy_percent(self):
        """A tax that energy is billed with stays in per cent."""
        taxes = self | self.search([("children_tax_ids", "in", self.ids)])
        if not taxes:
            return
        # sudo: the rule holds whether or not the user sees the billing products
        billed = (
            self.env["energy.billing.product"]
            .sudo()
            .search([("product_id.taxes_id", "in", taxes.ids)])
        )
        billed._check_taxes()

    def _energy_is_percent(self):
        """Say whether all these taxes are in per cent of the amount."""
        return all(
            tax.amount_type == "percent"
            for tax in self | self.filtered(lambda tax: tax.amount_type == "group").children_tax_ids
            if tax.amount_type != "group"
        )

    def _energy_check_percent(self):
        """Refuse taxes of which a gross amount cannot be split by a rate.

        :raise ValidationError: where one is not in per cent
        """
        for tax in self:
            if not tax._energy_is_percent():
                raise ValidationError(
                    _(
                        "Tax “%s” is not in per cent of the price. Energy is priced with its tax "
                        "included: choose a tax in per cent, or a group of such taxes.",
                        tax.name,
                    )
                )
