from odoo import _, api, fields, models
from odoo.exceptions import ValidationError

CATEGORIES = [
    ("electricity", "Electricity"),
    ("water", "Water"),
    ("service_fee", "Service Fee"),
    ("other", "Other Charges"),
]
UNITS = {"electricity": "uom.product_uom_kwh", "water": "uom.product_uom_cubic_meter"}


class EnergyBillingProduct(models.Model):
    """As which product a company bills a commodity or charge."""

    _name = "energy.billing.product"
    _description = "Billing product"
    _order = "company_id, category"
    _check_company_auto = True
    _rec_name = "category"

    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    category = fields.Selection(CATEGORIES, string="What Is Billed", required=True)
    product_id = fields.Many2one(
        "product.product",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        help="Its taxes, income account and unit go on the invoice. Taxes are in per cent.",
    )
    is_collected = fields.Boolean(
        string="Collected for Another",
        help="The money belongs to another party, the supplier for example: it is no income.",
    )
    account_id = fields.Many2one(
        "account.account",
        string="Owed To",
        ondelete="restrict",
        check_company=True,
        domain=[("account_type", "in", ("liability_current", "liability_payable"))],
        help="Liability to the party for whom it is collected.",
    )

    _category_uniq = models.UniqueIndex(
        "(company_id, category)", "The company has a product for this already."
    )
    _check_account = models.Constraint(
        "CHECK (NOT is_collected OR account_id IS NOT NULL)",
        "What is collected for another is owed to somebody: choose the liability account.",
    )

    @api.constrains("product_id", "company_id")
    def _check_taxes(self):
        for setting in self:
            # sudo: taxes of the company are no secret of who chooses the product
            setting.sudo().product_id.taxes_id._filter_taxes_by_company(
                setting.company_id
            )._energy_check_percent()

    @api.constrains("is_collected", "account_id")
    def _check_liability(self):
        for setting in self:
            account = setting.sudo().account_id
            if setting.is_collected and account.internal_group != "liability":
                raise ValidationError(_("“%s” is no liability account.", account.display_name))

    @api.model
    def _set_up(self, company):
        """Give a company a product for each category that has none yet.

        Their tax is the company's sales tax where that is in per cent, else none.

        :param company: `res.company` that has a chart of accounts
        """
        existing = self.search([("company_id", "=", company.id)]).mapped("category")
        labels = dict(self._fields["category"]._description_selection(self.env))
        tax = company.account_sale_tax_id
        for category, _label in CATEGORIES:
            if category in existing:
                continue
            unit = self.env.ref(UNITS.get(category, "uom.product_uom_unit"))
            product = (
                self.env["product.product"]
                .with_company(company)
                .create(
                    {
                        "name": labels[category],
                        "type": "service",
                        "company_id": company.id,
                        "uom_id": unit.id,
                        "list_price": 0,
                        "purchase_ok": False,
                        "taxes_id": [
                            fields.Command.set(tax.ids if tax._energy_is_percent() else [])
                        ],
                        "supplier_taxes_id": [fields.Command.clear()],
                    }
                )
            )
            self.create({"company_id": company.id, "category": category, "product_id": product.id})
