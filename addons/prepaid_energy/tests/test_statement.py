import io
from datetime import date, timedelta
from decimal import Decimal

from odoo.tests import tagged
from odoo.tools import mute_logger
from odoo.tools.pdf import PdfReader

from .common import START, EnergyCase

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


@tagged("post_install", "-at_install")
class TestStatement(EnergyCase):
    """The statement of a month: opening + received − used = closing, as the invoice says it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tariff = cls.make_tariff(
            "Peak and valley",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        cls.meter = cls.make_meter("S1")
        cls.account = cls.open_account(cls.meter, tariff=cls.tariff, register=100)

    def statement(self, month):
        [statement] = self.account._statements(month)
        return statement

    def play(self):
        """1 kWh an hour: 31 x (14 x 1.00 + 10 x 0.50) = 589.00 in March, 19.00 a day in April."""
        self.top_up(self.account, 600, key="till/1")
        self.read(self.meter, START + timedelta(days=32), "868")
        self.settle()
        self.top_up(self.account, 50, key="till/2")

    def test_months_follow_on_each_other(self):
        self.play()
        march, april = self.statement(MARCH), self.statement(APRIL)
        self.assertEqual(
            (march.opening, march.received, march.earned, march.closing),
            (Decimal("0.00"), Decimal("600.00"), Decimal("589.00"), Decimal("11.00")),
        )
        self.assertEqual(
            (april.opening, april.received, april.earned, april.closing),
            (Decimal("11.00"), Decimal("50.00"), Decimal("19.00"), Decimal("42.00")),
        )
        self.assertEqual(float(april.closing), self.account.balance)
        self.assertFalse(march.is_final)
        self.assertEqual(
            {(line["band"], str(line["quantity"].normalize())) for line in march.use},
            {("Peak", "434"), ("Valley", "3.1E+2")},
        )

    def test_invoiced_month_says_what_the_invoice_says(self):
        self.play()
        [invoice] = self.account._invoice_until(date(2026, 3, 31))
        march = self.statement(MARCH)
        self.assertTrue(march.is_final)
        self.assertEqual(march.invoice, invoice)
        self.assertEqual(march.earned, Decimal(f"{invoice.amount_total:.2f}"))
        lines = {line["band"]: line for line in march.use}
        self.assertEqual(lines["Peak"]["amount"], Decimal("434.00"))
        self.assertEqual(lines["Valley"]["amount"], Decimal("155.00"))
        self.assertEqual((lines["Peak"]["start"], lines["Peak"]["end"]), (100.0, 844.0))

    def test_print_for_a_site_and_a_month(self):
        self.play()
        wizard = self.env["energy.statement"].create(
            {"month": "2026-03-17", "site_id": self.site.id}
        )
        action = wizard.action_print()
        self.assertEqual(action["data"]["account_ids"], self.account.ids)
        html, _kind = self.env["ir.actions.report"]._render_qweb_html(
            "prepaid_energy.report_statement", self.account.ids, data=action["data"]
        )
        text = html.decode()
        for expected in ("2026-03", "600.00", "589.00", "11.00", "434.000", "S1"):
            self.assertIn(expected, text)

    def test_a_month_is_the_sites(self):
        """In Shanghai, 1 April begins on 31 March at 16:00 UTC."""
        april = START + timedelta(days=31)
        hour = timedelta(hours=1)
        self.set_clock(april - hour)
        wizard = self.env["energy.statement"]
        self.assertEqual(wizard.default_get(["month"])["month"], date(2026, 2, 1))
        self.set_clock(april + hour)
        for context in (
            {},
            {"active_model": "energy.account", "active_ids": self.account.ids},
        ):
            fresh = wizard.with_context(**context)
            self.assertEqual(fresh.default_get(["month"])["month"], MARCH)
        closed = self.open_account(self.make_meter("S3"))
        opened = self.open_account(self.make_meter("S4"), start=april + hour)
        (closed | opened).flush_recordset()
        for account, name, moment in (
            (closed, "closed_at", april + hour),
            (opened, "opened_at", april + hour),
        ):
            self.env.cr.execute(
                f"UPDATE energy_account SET {name} = %s WHERE id = %s", [moment, account.id]
            )
        self.env.invalidate_all()
        for month, expected in (
            ("2026-03-01", self.account | closed),
            ("2026-04-01", self.account | closed | opened),
            ("2026-05-01", self.account | opened),
        ):
            action = wizard.create({"month": month, "site_id": self.site.id}).action_print()
            self.assertEqual(set(action["data"]["account_ids"]), set(expected.ids), month)

    def test_several_statements_are_one_file(self):
        self.play()
        accounts = self.account | self.open_account(self.make_meter("S2"))
        report = self.env["ir.actions.report"].with_context(force_report_rendering=True)
        # No server answers in a test, and Debian's build says what else it cannot do.
        with mute_logger("odoo.addons.base.models.ir_actions_report"):
            content, kind = report._render_qweb_pdf(
                "prepaid_energy.report_statement", accounts.ids, data={"month": "2026-03-01"}
            )
        self.assertEqual(kind, "pdf")
        self.assertEqual(len(PdfReader(io.BytesIO(content)).pages), 2)
