from datetime import datetime, timedelta
from unittest.mock import patch

import psycopg2
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .common import START, EnergyCase


class ReceiptCase(EnergyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("DDS8000001")
        cls.account = cls.open_account(cls.meter)
        cls.receipts = cls.env["energy.receipt"]

    @classmethod
    def as_role(cls, role):
        user = cls.new_user(role, f"receipt_{role}")
        return cls.env(user=user, context={"allowed_company_ids": cls.company.ids, "lang": "en_US"})

    def pay(self, key, amount=10):
        self.account.wallet_ids._top_up(amount, key, self.method, "ref 1")
        return key

    def html(self, receipts, lang="en_US", paper="a5"):
        report = self.env["ir.actions.report"].with_context(lang=lang)
        page, _kind = report._render_qweb_html(
            f"prepaid_energy.action_report_receipt_{paper}", receipts.ids
        )
        return page.decode()


@tagged("post_install", "-at_install")
class TestReceipt(ReceiptCase):
    # --- numbers -----------------------------------------------------------------------------

    def test_numbers_have_no_gaps_in_a_company_and_year(self):
        keys = [self.pay(f"r/{number}", 10 + number) for number in range(4)]
        drawn = self.receipts._for([keys[2], keys[0], keys[2]])
        self.assertEqual(drawn.mapped("entry_key"), [keys[2], keys[0]])
        self.assertEqual(drawn.mapped("name"), ["R2026-000001", "R2026-000002"])
        drawn = self.receipts._for(keys)
        self.assertEqual(drawn.mapped("number"), [2, 3, 1, 4])
        # Found again by their keys.
        self.assertEqual(self.receipts._for(keys), drawn)
        # A year is the site's: in Shanghai 2027 begins at 16:00 UTC.
        self.set_clock(datetime(2026, 12, 31, 15, 59, 59))
        last = self.receipts._for([self.pay("r/last")])
        self.set_clock(datetime(2026, 12, 31, 16))
        first = self.receipts._for([self.pay("r/first")])
        self.assertEqual((last + first).mapped("name"), ["R2026-000005", "R2027-000001"])
        # Drawn in the next year, it is of the year of its payment.
        self.assertEqual(last.year, 2026)

    def test_numbers_of_two_companies_are_apart(self):
        mine = self.receipts._for([self.pay("r/mine")])
        other = self.env["res.company"].create({"name": "Hill Estates"})
        fact = self.receipts._facts(["r/mine"])["r/mine"]
        facts = {"r/theirs": {**fact, "company_id": other.id}}
        with patch.object(type(self.receipts), "_facts", lambda self, keys: facts):
            theirs = self.receipts._for(["r/theirs"])
        self.assertEqual((mine.number, theirs.number), (1, 1))

    def test_what_is_no_payment_gets_no_number(self):
        self.read(self.meter, START + timedelta(hours=1), "10")
        self.settle()
        use = self.account.entry_ids.filtered(lambda entry: entry.kind == "use")
        for key in (use.key, "r/unknown"):
            with self.refused(UserError, "no payment with the key"):
                self.receipts._for([key])
        self.assertEqual(self.receipts._for([self.pay("r/1")]).number, 1)

    def test_receipt_is_never_changed_or_deleted(self):
        receipt = self.receipts._for([self.pay("r/1")])
        with self.refused(UserError, "never changed"):
            receipt.amount = 1
        with self.refused(UserError, "never deleted"):
            receipt.unlink()
        with self.refused(UserError):
            self.receipts.with_env(self.as_role("manager")).create({"name": "R2026-000009"})
        for statement in (
            "UPDATE energy_receipt SET amount = 1",
            "UPDATE energy_receipt SET print_count = 0, number = 7",
            "DELETE FROM energy_receipt",
            "TRUNCATE energy_receipt",
        ):
            with self.refused(psycopg2.errors.RestrictViolation):
                self.env.cr.execute(statement)
        with self.refused(psycopg2.errors.UniqueViolation):
            self.env.cr.execute(
                "INSERT INTO energy_receipt SELECT (jsonb_populate_record(r, jsonb_build_object("
                "'id', 0, 'entry_key', 'r/2'))).* FROM energy_receipt r"
            )

    def test_receipt_keeps_what_was_paid(self):
        self.company.energy_service_fee_percent = 1
        self.read(self.meter, START + timedelta(hours=1), "20")  # 12.00
        self.settle()
        receipt = self.receipts._for([self.pay("r/1", 100)])
        self.assertEqual(
            (receipt.amount, receipt.service_fee, receipt.towards_debt, receipt.prepaid),
            (100, 1, 12, 87),
        )
        self.assertEqual(receipt.balance_after, 87)
        self.assertEqual((receipt.customer, receipt.meters), ("Tenant DDS8000001", "DDS8000001"))
        self.account.partner_id.name = "Somebody else"
        self.pay("r/2", 50)
        self.assertEqual(receipt.customer, "Tenant DDS8000001")
        self.assertEqual(receipt.balance_after, 87)

    # --- printing ----------------------------------------------------------------------------

    def test_every_further_print_is_marked_as_a_copy(self):
        receipt = self.receipts._for([self.pay("r/1")])
        self.assertNotIn("Copy No.", self.html(receipt))
        for number in (1, 2):
            page = " ".join(self.html(receipt, paper="roll").split())
            self.assertIn(f"Copy No. {number}", page)
        self.assertEqual((receipt.print_count, receipt.printed_by_id), (3, self.env.user))

    def test_receipt_says_what_it_must(self):
        self.company.energy_service_fee_percent = 1
        self.company.write({"street": "1 Quay Road", "city": "Shanghai", "vat": "91310000MA1"})
        receipt = self.receipts._for([self.pay("r/1", 1200)])
        for paper in ("a5", "roll"):
            page = " ".join(self.html(receipt, paper=paper).split())
            for text in (
                "Harbour Estates",
                "1 Quay Road",
                "91310000MA1",
                "R2026-000001",
                "03/01/2026 12:00:00 AM",  # midnight in Shanghai, the evening before in UTC
                self.account.name,
                "Room DDS8000001",
                "DDS8000001",
                "Tenant DDS8000001",
                "Cash",
                "ref 1",
                "One Thousand, Two Hundred Yuan",
                "Service fee",
                "12.00",
                "1,188.00",
                "This is a receipt, not a tax invoice.",
            ):
                self.assertIn(text, page)

    def test_amount_in_chinese_is_in_capital_figures(self):
        self.env["res.lang"]._activate_lang("zh_CN")
        receipt = self.receipts._for([self.pay("r/1", 1409.5)])
        self.assertIn("人民币壹仟肆佰零玖元伍角", self.html(receipt, lang="zh_CN"))

    def test_pdf_is_made_by_the_report(self):
        receipt = self.receipts._for([self.pay("r/1")])
        with patch.object(
            type(self.env["ir.actions.report"]), "_run_wkhtmltopdf", lambda *args, **kwargs: b"%PDF"
        ):
            pdf, kind = (
                self.env["ir.actions.report"]
                .with_context(force_report_rendering=True)
                ._render_qweb_pdf("prepaid_energy.action_report_receipt_a5", receipt.ids)
            )
        self.assertEqual(kind, "pdf")
        self.assertTrue(pdf.startswith(b"%PDF"))
        self.assertEqual(receipt.print_count, 1)

    def test_balance_entry_prints_its_receipt_and_draws_it_where_it_is_missing(self):
        key = self.pay("r/1")
        entry = self.env["energy.wallet.entry"].search([("key", "=", key)])
        self.assertFalse(self.receipts.search([]))
        for role in ("viewer", "operator"):
            with self.refused(AccessError, "printed by cashiers"):
                entry.with_env(self.as_role(role)).action_print_receipt()
        self.assertFalse(self.receipts.search([]))
        cashier = self.as_role("cashier")
        action = entry.with_env(cashier).action_print_receipt()
        receipt = self.receipts.search([])
        self.assertEqual(action["params"]["urls"], [f"/energy/receipt/{receipt.id}/a5"])
        cashier.user.energy_receipt_paper = "roll"
        action = receipt.with_env(cashier).action_print()
        self.assertEqual(action["params"]["urls"], [f"/energy/receipt/{receipt.id}/roll"])
        self.assertEqual(self.account.action_open_receipts()["domain"][0][2], self.account.ids)

    def test_money_is_taken_where_no_receipt_can_be_drawn(self):
        cashier = self.as_role("cashier")
        top_up = cashier["energy.top.up"].create({"account_id": self.account.id, "amount": 7})
        broken = patch.object(type(self.receipts), "_draw", side_effect=UserError("No number"))
        with broken, mute_logger("odoo.addons.prepaid_energy.wizard.energy_top_up"):
            action = top_up.action_confirm()
        self.assertEqual((top_up.state, self.account.balance), ("done", 7))
        self.assertFalse(top_up.receipt_name)
        self.assertEqual(action["context"]["energy_print"], [])
        top_up.action_print_again()
        self.assertEqual(self.receipts.search([]).entry_key, top_up.key)


@tagged("post_install", "-at_install")
class TestReceiptPage(ReceiptCase, HttpCase):
    """The page that the browser prints."""

    def get(self, role, receipt, paper="a5"):
        self.authenticate(f"receipt_{role}", f"receipt_{role}")
        return self.url_open(f"/energy/receipt/{receipt.id}/{paper}")

    def test_page_is_for_those_who_print(self):
        receipt = self.receipts._for([self.pay("r/1")])
        for role in ("cashier", "finance", "viewer"):
            self.as_role(role)
        self.env.flush_all()
        answer = self.get("cashier", receipt)
        self.assertEqual(answer.status_code, 200)
        self.assertIn("R2026-000001", answer.text)
        self.assertIn("Copy No.", self.get("finance", receipt, "roll").text)
        with mute_logger("odoo.http", "werkzeug"):
            self.assertEqual(self.get("viewer", receipt).status_code, 403)
            self.assertEqual(self.get("cashier", receipt, "letter").status_code, 404)
            missing = self.receipts.browse(receipt.id + 1000)
            self.assertEqual(self.get("cashier", missing).status_code, 404)
        self.opener.cookies.clear()
        self.assertIn("/web/login", self.url_open(f"/energy/receipt/{receipt.id}/a5").url)

    def test_page_of_another_company_or_site_is_refused(self):
        receipt = self.receipts._for([self.pay("r/1")])
        other = self.site.copy({"name": "Harbour Mall"})
        self.as_role("cashier").user.sudo().energy_site_ids = other
        self.env.flush_all()
        with mute_logger("odoo.http", "odoo.addons.base.models.ir_rule"):
            self.assertEqual(self.get("cashier", receipt).status_code, 403)
