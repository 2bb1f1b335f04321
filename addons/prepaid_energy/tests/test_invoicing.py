from datetime import date, timedelta

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import START, EnergyCase

MONTH = timedelta(days=31)


class InvoicingCase(EnergyCase):
    """An account with a meter, and a way to run its months."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.products = {
            product.category: product
            for product in cls.env["energy.billing.product"].search(
                [("company_id", "=", cls.company.id)]
            )
        }

    def set_tax(self, rate=None, included=True):
        taxes = self.env["account.tax"]
        if rate:
            taxes = taxes.create(
                {
                    "name": f"VAT {rate} {included}",
                    "amount": rate,
                    "amount_type": "percent",
                    "type_tax_use": "sale",
                    "company_id": self.company.id,
                    "price_include_override": "tax_included" if included else "tax_excluded",
                }
            )
        for product in self.products.values():
            product.product_id.taxes_id = taxes
        return taxes

    def use(self, account, day, total, meter=None):
        """Read a register at the end of a March day (0: its beginning) and settle."""
        self.read(meter or account.supply_ids[:1].meter_id, START + timedelta(days=day), total)
        self.settle()

    def month_over(self, *accounts):
        """Come to 3 April, from which March is invoiced."""
        now = START + MONTH + timedelta(days=2, hours=12)
        if self.env["energy.clock"].search([], limit=1).project_anchor < now:
            self.set_clock(now)

    def invoice(self, account, until=date(2026, 3, 31)):
        periods = self.env["energy.billing.period"]
        frozen = periods._freeze({account.id: until})
        return frozen._invoice()

    def assertLines(self, account, rows):
        """Compare the billed lines as (month, band, tier, quantity, amount)."""
        lines = self.env["energy.billing.line"].search(
            [("account_id", "=", account.id)], order="id"
        )
        self.assertEqual(
            [
                (
                    f"{line.month:%m}",
                    line.band,
                    line.tier,
                    f"{line.quantity:.3f}",
                    f"{line.amount:.2f}",
                )
                for line in lines
            ],
            rows,
        )


@tagged("post_install", "-at_install")
class TestInvoicing(InvoicingCase):
    """A period becomes one invoice with the sum of its entries."""

    def setUp(self):
        super().setUp()
        self.set_tax()
        self.meter = self.make_meter("I1")
        self.account = self.open_account(self.meter)

    def test_month_is_invoiced_with_its_registers(self):
        self.use(self.account, 10, "100")
        self.use(self.account, 32, "320")
        self.month_over()
        move = self.invoice(self.account)
        self.assertEqual(move.state, "posted")
        # 10 days 100, then 22 days 220: 21 of them in March, 10 kWh a day.
        self.assertLines(self.account, [("03", "flat", 1, "310.000", "186.00")])
        line = move.energy_period_id.line_ids
        self.assertEqual((line.register_from, line.register_to), (0, 310))
        self.assertEqual(move.amount_total, 186)
        self.assertEqual(move.invoice_date, date(2026, 3, 31))
        self.assertEqual(move.energy_period_id.state, "invoiced")
        item = move.invoice_line_ids
        self.assertEqual((item.quantity, item.price_unit), (310, 0.6))
        self.assertEqual(item.product_id, self.products["electricity"].product_id)
        self.assertIn("I1: 0.000 – 310.000", item.name)
        self.assertTrue(item.analytic_distribution)
        receivable = move.line_ids.filtered(lambda l: l.account_type == "asset_receivable")
        self.assertEqual(receivable.energy_account_id, self.account)

    def test_invoice_until_cuts_the_month(self):
        self.use(self.account, 10, "100")
        self.set_clock(START + timedelta(days=15))
        moves = self.account._invoice_until(date(2026, 3, 10))
        self.assertEqual(moves.amount_total, 60)
        self.assertEqual(moves.invoice_date, date(2026, 3, 10))
        self.use(self.account, 20, "150")
        periods = self.env["energy.billing.period"].search(
            [("account_id", "=", self.account.id)], order="date_from"
        )
        self.assertEqual(
            [(p.date_from, p.date_to, p.state) for p in periods],
            [
                (date(2026, 3, 1), date(2026, 3, 10), "invoiced"),
                (date(2026, 3, 11), date(2026, 3, 31), "open"),
            ],
        )
        moves = self.account._invoice_until(date(2026, 3, 20))
        self.assertEqual(moves.amount_total, 30)
        line = moves.energy_period_id.line_ids
        self.assertEqual((line.register_from, line.register_to), (100, 150))
