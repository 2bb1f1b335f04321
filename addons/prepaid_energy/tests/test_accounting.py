import re
from datetime import date, datetime, timedelta
from pathlib import Path

from odoo.tests import tagged

from .test_booking import BooksCase

PAGE = Path(__file__).parents[3] / "docs" / "accounting.md"
HOURS = timedelta(hours=1)
# Midnight of 30 March in Shanghai.
NIGHT = datetime(2026, 3, 29, 16)
STATE = re.compile(
    r"After it: balance (\S+), advances (\S+), receivables (\S+), not invoiced (\S+)\.$", re.M
)


def sections():
    """Return the page's walk-through: by number (list of table rows, state after it)."""
    text = PAGE.read_text().split("\n## The walk-through\n")[1].split("\n## ")[0]
    found = {}
    for part in text.split("\n### ")[1:]:
        rows = [
            tuple(cell.strip() for cell in line.strip("|").split("|"))
            for line in part.splitlines()
            if line.startswith("| 20")
        ]
        found[int(part.split(".")[0])] = (rows, STATE.search(part).groups())
    return found


@tagged("post_install", "-at_install")
class TestAccounting(BooksCase):
    """The accountant's walk-through, item by item as docs/accounting.md tells it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tariff = cls.make_tariff(
            "Peak and valley",
            {"peak": ["0.90"], "valley": ["0.40"]},
            windows=[("peak", 8, 20)],
            rest="valley",
        )
        cls.meter = cls.make_meter("W1")
        cls.account = cls.open_account(cls.meter, tariff=tariff)
        cls.vat = cls.env["account.account"].create(
            {"name": "VAT", "code": "225999", "account_type": "liability_current"}
        )
        tax = cls.env["account.tax"].create(
            {
                "name": "VAT 13 %",
                "amount": 13,
                "amount_type": "percent",
                "type_tax_use": "sale",
                "company_id": cls.company.id,
                "price_include_override": "tax_included",
            }
        )
        parts = tax.invoice_repartition_line_ids | tax.refund_repartition_line_ids
        parts.filtered(lambda part: part.repartition_type == "tax").account_id = cls.vat
        cls.company.energy_billing_product_ids.product_id.taxes_id = tax

    def name_of(self, line):
        named = {
            self.cash.default_account_id: "Cash",
            self.advances: "Advances",
            self.receivable(self.account): "Receivable",
            self.vat: "VAT",
        }
        is_sale = line.account_id.account_type in ("income", "income_other")
        return named.get(line.account_id) or ("Sales" if is_sale else line.account_id.name)

    def booked(self, after):
        """Return the rows of the journal items made after one, as the page writes them."""
        lines = self.env["account.move.line"].search(
            [
                ("id", ">", after),
                ("company_id", "=", self.company.id),
                ("parent_state", "=", "posted"),
                ("account_id", "!=", False),
            ]
        )
        return sorted(
            (
                f"{line.date}",
                self.name_of(line),
                f"{line.debit:.2f}" if line.debit else "",
                f"{line.credit:.2f}" if line.credit else "",
            )
            for line in lines
        )

    def state(self):
        self.env.invalidate_all()
        row = self.env["energy.reconciliation"].browse(self.account.id)
        self.assertEqual(row.difference, 0)
        self.assertEqual(row.not_booked, 0)
        names = ("balance", "advances", "receivables", "uninvoiced")
        return tuple(f"{row[name]:.2f}" for name in names)

    def test_walk_through(self):
        page = sections()
        self.assertEqual(sorted(page), list(range(1, 9)))
        steps = (
            self.top_up_100,
            self.use_130,
            self.make_invoice,
            self.settle_invoice,
            self.top_up_50,
            self.correct_late,
            self.close,
            self.refund_rest,
        )
        for number, step in enumerate(steps, 1):
            last = self.env["account.move.line"].search([], order="id desc", limit=1).id
            step()
            rows, state = page[number]
            with self.subTest(step=number):
                self.assertEqual(self.booked(last), sorted(rows))
                self.assertEqual(self.state(), state)

    def top_up_100(self):
        self.top_up(self.account, 100)
        self.run_bookings()

    def use_130(self):
        self.read(self.meter, NIGHT + 8 * HOURS, "0")
        self.read(self.meter, NIGHT + 32 * HOURS, "200")
        self.settle()
        self.run_bookings()

    def make_invoice(self):
        self.set_clock(datetime(2026, 4, 3, 4))
        self.account._invoice_until(date(2026, 3, 31))

    def settle_invoice(self):
        self.settle_books(self.account)

    def top_up_50(self):
        self.set_clock(datetime(2026, 4, 10, 4))
        self.top_up(self.account, 50)
        self.run_bookings()

    def correct_late(self):
        self.set_clock(datetime(2026, 4, 15, 4))
        self.read(self.meter, NIGHT + 20 * HOURS, "77.4")
        self.settle()
        self.run_bookings()

    def close(self):
        self.set_clock(datetime(2026, 4, 20, 4))
        self.account._invoice_until(date(2026, 4, 20))
        self.settle_books(self.account)

    def refund_rest(self):
        self.post(self.account, "refund", "-31.30", "refund/1", **self.by_cash())
        self.run_bookings()
