"""The lines of invoices, as `account` wants them."""

from decimal import Decimal

from odoo import _, fields
from odoo.exceptions import UserError

from .engine import round_half_up
from .rating_work import MINIMUM, STANDING

PRICE = Decimal("0.000001")
# Units of what is charged by time rather than by use, by rate period of the billed line.
UNITS = {STANDING: "uom.product_uom_day", MINIMUM: "uom.product_uom_unit"}


class InvoiceWork:
    """What the invoices of one company have in common, looked up once."""

    def __init__(self, company):
        """:param company: `res.company`, in whose environment the invoices are made"""
        self.env = company.env
        self.company = company
        self.currency = company.currency_id
        self.step = Decimal(str(self.currency.rounding)).normalize()
        self.journal = self.env["account.journal"].search(
            [("company_id", "=", company.id), ("type", "=", "sale")], limit=1
        )
        if not self.journal:
            raise UserError(_("%s has no sales journal.", company.name))
        products = self.env["energy.billing.product"].search([("company_id", "=", company.id)])
        self.products = {product.category: product for product in products}
        self.positions = {}
        self.places = {}
        self.net_prices = {}

    def position(self, partner):
        """Return the fiscal position of a customer."""
        if partner not in self.positions:
            self.positions[partner] = self.env["account.fiscal.position"]._get_fiscal_position(
                partner
            )
        return self.positions[partner]

    def line_commands(self, lines, position, sign, lang):
        """Return the commands that make an invoice's lines: one a product, band, tier and price.

        :param lines: `energy.billing.line` of one period
        :param position: its customer's `account.fiscal.position`
        :param int sign: -1 on a credit note
        :param str lang: the customer's language
        """
        groups = {}
        for line in lines.with_context(lang=lang):
            category = "service_fee" if line.kind == "fee" else line.category
            place = line.building_id or line.site_id
            key = (category, line.note, line.month, line.band, line.tier, line.price, place)
            groups.setdefault(key, line.browse())
            groups[key] |= line
        commands = []
        for (category, *_rest, place), group in groups.items():
            quantity = sign * sum(_decimal(line.quantity, 3) for line in group)
            gross = sign * sum(self._money(line.amount) for line in group)
            if quantity or gross:
                values = self._priced(
                    category, position, _decimal(group[0].price, 6), quantity, gross
                )
                if unit := UNITS.get(group[0].band):
                    values["product_uom_id"] = self.env.ref(unit).id
                values["name"] = group._invoice_text(values.pop("product"))
                values["analytic_distribution"] = {str(place._analytic_account().id): 100}
                commands.append(fields.Command.create(values))
        return commands

    def _money(self, amount):
        return round_half_up(_decimal(amount, 6), self.step)

    def _priced(self, category, position, price, quantity, gross):
        product, account, taxes = self._place(category, position)
        price_unit = float(self._price_unit(taxes, price))
        return {
            "product": product,
            "product_id": product.id,
            "product_uom_id": product.uom_id.id,
            "account_id": account.id,
            "tax_ids": [fields.Command.set(taxes.ids)],
            "quantity": float(quantity),
            "price_unit": price_unit,
            "discount": 0.0,
            "extra_tax_data": {
                "currency_id": self.currency.id,
                "price_unit": price_unit,
                "quantity": float(quantity),
                "discount": 0.0,
                "rate": 1.0,
                **self._manual_amounts(taxes, gross),
            },
        }

    def _place(self, category, position):
        """Return product, account and taxes of a category for customers of a fiscal position."""
        key = category, position
        if key not in self.places:
            setting = self.products.get(category)
            if not setting:
                raise UserError(
                    _(
                        "%(company)s has no billing product for “%(category)s”.",
                        company=self.company.name,
                        category=category,
                    )
                )
            product = setting.product_id
            account = (
                position.map_account(setting.account_id)
                if setting.is_collected
                else product.product_tmpl_id.get_product_accounts(position)["income"]
            )
            if not account:
                raise UserError(_("Product “%s” has no income account.", product.display_name))
            taxes = position.map_tax(product.taxes_id._filter_taxes_by_company(self.company))
            taxes._energy_check_percent()
            self.places[key] = product, account, taxes
        return self.places[key]

    def _computed(self, taxes, amount):
        """Return Odoo's unrounded tax details of a gross amount."""
        tax_model = self.env["account.tax"]
        base_line = tax_model._prepare_base_line_for_taxes_computation(
            {},
            tax_ids=taxes,
            price_unit=float(amount),
            quantity=1.0,
            currency_id=self.currency,
            rate=1.0,
            special_mode="total_included",
        )
        tax_model._add_tax_details_in_base_line(
            base_line, self.company, rounding_method="round_globally"
        )
        return base_line["tax_details"]

    def _price_unit(self, taxes, price):
        """Return the unit price as an invoice line wants it: without the taxes that go on top.

        :param Decimal price: gross, to six decimals
        """
        if not taxes:
            return price
        key = taxes, price
        if key not in self.net_prices:
            details = self._computed(taxes, price)
            net = details["raw_total_excluded_currency"] + sum(
                data["raw_tax_amount_currency"]
                for data in details["taxes_data"]
                if data["tax"].price_include
            )
            self.net_prices[key] = round_half_up(_decimal(net, 12), PRICE)
        return self.net_prices[key]

    def _manual_amounts(self, taxes, gross):
        """Return what makes a line's total its gross amount, to the smallest unit of money.

        Quantity × price may miss it by an odd cent, in either rounding method of the company. These
        are amounts that Odoo itself keeps on a line (for down payments and the like): they stand as
        long as nobody changes its quantity, price, discount or taxes, so also when the invoice is
        reset to draft. Odoo looks at them only where `manual_tax_amounts` names something, hence
        the tax "0" of a line without taxes.

        :param Decimal gross: signed
        """
        amounts, tax_total = {"0": {}}, Decimal(0)
        details = self._computed(taxes, gross) if taxes else {"taxes_data": []}
        for data in details["taxes_data"]:
            tax_total += round_half_up(_decimal(data["raw_tax_amount_currency"], 12), self.step)
        net = gross - tax_total
        for data in details["taxes_data"]:
            tax = round_half_up(_decimal(data["raw_tax_amount_currency"], 12), self.step)
            base = round_half_up(_decimal(data["raw_base_amount_currency"], 12), self.step)
            if abs(base - net) <= self.step * len(taxes):
                base = net
            if data["is_reverse_charge"]:
                continue
            amounts[str(data["tax"].id)] = {
                "tax_amount_currency": float(tax),
                "tax_amount": float(tax),
                "base_amount_currency": float(base),
                "base_amount": float(base),
            }
        return {
            "manual_total_excluded_currency": float(net),
            "manual_total_excluded": float(net),
            "manual_tax_amounts": amounts,
        }


def _decimal(number, digits):
    return Decimal(f"{number:.{digits}f}")
