"""The properties of the books, each with a planted defect that its check catches (A1-A5, L15)."""

from datetime import date

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .. import invoice_work
from ..models import (
    account_move,
    energy_billing_freeze,
    energy_billing_freeze_lines,
    energy_billing_period,
    energy_book_settlement,
    energy_booking,
    energy_rating,
    energy_reconciliation,
)
from . import test_invoicing
from .planting import PropertyCase
from .test_booking import BooksCase
from .test_invoicing import MARCH, InvoicingCase

FREEZE = energy_billing_freeze.EnergyBillingPeriod
LINES = energy_billing_freeze_lines.EnergyBillingPeriod
PERIOD = energy_billing_period.EnergyBillingPeriod
BOOKING = energy_booking.EnergyBooking
MOVE = account_move.AccountMove
WORK = invoice_work.InvoiceWork


@tagged("post_install", "-at_install")
class TestBookProperties(PropertyCase, BooksCase):
    """Deposits are balances and what is charged and not invoiced, per account (A1, A5)."""

    def assertBooks(self, advances, receivables):
        """The books agree for both accounts; of the first they have these figures."""
        self.env.invalidate_all()
        rows = self.env["energy.reconciliation"].browse((self.account | self.other).ids)
        self.assertEqual([f"{row.difference:.2f}" for row in rows], ["0.00", "0.00"])
        self.assertEqual(
            (f"{rows[0].advances:.2f}", f"{rows[0].receivables:.2f}"), (advances, receivables)
        )

    def test_books_agree_after_every_step(self):
        def check():
            top_up = self.top_up(self.account, 100)
            self.assertBooks("0.00", "0.00")
            self.book(top_up)
            self.assertBooks("100.00", "0.00")
            period = self.charge(self.account, "130", 3)
            self.assertBooks("100.00", "0.00")
            self.invoice(period)
            self.assertBooks("100.00", "130.00")
            self.settle_books()
            self.assertBooks("0.00", "30.00")
            self.book(self.top_up(self.account, 50))
            self.settle_books()
            self.assertBooks("20.00", "0.00")
            self.book(self.post(self.account, "refund", "-45", "refund/1", **self.by_cash()))
            self.assertBooks("0.00", "25.00")
            transfer = self.post(self.account, "transfer", "-5", "out", cause_key="in")
            transfer |= self.post(self.other, "transfer", "5", "in", cause_key="out")
            self.book(transfer)
            self.assertBooks("0.00", "30.00")
            self.assertChecked()

        settlement = energy_book_settlement.EnergyBookSettlement
        self.holds(
            check,
            (BOOKING._debit_lines, "(receivable, wanted - covered)", "(receivable, covered)"),
            (BOOKING._payment_values, '"amount": abs(entry.amount)', '"amount": 1 + entry.amount'),
            (
                MOVE._energy_name_account,
                "WHERE m.id = ANY(%s) AND",
                "WHERE m.id = ANY(%s) AND FALSE AND",
            ),
            (
                settlement._post_pairs,
                '"energy_account_id": account,',
                '"energy_account_id": False,',
            ),
        )

    def test_money_of_another_customer_is_visible(self):
        def check():
            self.book(self.top_up(self.account, 100))
            invoice = self.invoice(self.charge(self.account, "130", 3))
            self.settle_books()
            payment = self.env["account.payment"].create(
                {
                    "payment_type": "inbound",
                    "partner_type": "customer",
                    "partner_id": self.other.partner_id.id,
                    "amount": 30,
                    "journal_id": self.cash.id,
                }
            )
            payment.action_post()
            (self.claim(invoice) | self.claim(payment.move_id)).reconcile()
            self.env.invalidate_all()
            row = self.env["energy.reconciliation"].search(
                [("paid_by_others", "!=", 0), ("company_id", "=", self.company.id)]
            )
            self.assertEqual((row.account_id, row.paid_by_others), (self.account, 30))
            self.assertBooks("0.00", "0.00")

        self.holds(
            check,
            (
                energy_reconciliation.EnergyReconciliation._terms,
                "other.partner_id IS DISTINCT FROM line.partner_id",
                "other.partner_id IS NULL",
            ),
        )


@tagged("post_install", "-at_install")
class TestInvoiceProperties(PropertyCase, InvoicingCase):
    """Every entry is on exactly one invoice, to the cent (A2-A4, L15)."""

    def setUp(self):
        super().setUp()
        self.set_tax()
        self.meter = self.make_meter("Z1")
        self.account = self.open_account(self.meter)

    def posted_total(self):
        """Return what the account's posted invoices less credit notes come to."""
        moves = self.env["account.move"].search(
            [("partner_id", "=", self.account.partner_id.id), ("state", "=", "posted")]
        )
        documents = moves.filtered(lambda m: m.move_type in ("out_invoice", "out_refund"))
        return f"{sum(documents.mapped('amount_total_signed')):.2f}"

    def charged(self):
        entries = self.account.entry_ids.filtered(lambda one: one.kind == "use")
        return f"{-sum(entries.mapped('amount')):.2f}"

    def test_month_end_while_charging_bills_every_entry_once(self):
        def check():
            self.use(self.account, 20, "100")
            self.use(self.account, 33, "165")  # 5 kWh a day: 155 of them in March
            march = self.invoice(self.account)
            self.assertEqual(march.amount_total, 93.0)
            # Read at the end of the month, delivered after it was invoiced: 6 kWh more.
            self.use(self.account, 31, "161")
            self.pass_to(63)
            april = self.invoice(self.account, date(2026, 4, 30))
            self.assertEqual(self.posted_total(), self.charged())
            uses = self.account.entry_ids.filtered(lambda one: one.kind == "use").sorted("id")
            self.assertEqual(
                [(f"{one.amount:.2f}", one.note, one.period_id.move_id) for one in uses],
                # April had 10 kWh, and has 4.
                [
                    ("-60.00", "2026-03", march),
                    ("-33.00", "2026-03", march),
                    ("-6.00", "2026-04", april),
                    ("-3.60", "2026-03", april),
                    ("3.60", "2026-04", april),
                ],
            )
            self.assertChecked()

        self.holds(
            check,
            (PERIOD._periods_for, 'if state != "open" and', 'if state == "void" and'),
            (LINES._use_rows, "billed + money,", "money,"),
            (FREEZE._next_open, "AND state = 'open'", "AND state <> 'open'"),
        )

    def test_whatever_is_done_to_an_invoice_its_entries_are_invoiced_once(self):
        def check():
            self.use(self.account, 31, "217")
            self.pass_to(33)
            move = self.invoice(self.account)
            self.assertFalse(self.invoice(self.account))
            move.button_draft()
            self.assertFalse(self.invoice(self.account))
            move.action_post()
            self.assertFalse(self.invoice(self.account))
            part = move._reverse_moves([{"date": MARCH}])
            part.invoice_line_ids.quantity = 1
            part.action_post()
            self.assertFalse(self.invoice(self.account))
            part.button_draft()
            part.button_cancel()
            whole = move._reverse_moves([{"date": MARCH}], cancel=True)
            self.assertEqual(whole.amount_total, 130.2)
            again = self.invoice(self.account)
            self.assertEqual(again.amount_total, 130.2)
            self.assertFalse(self.invoice(self.account))
            with self.refused(UserError, "invoiced again"):
                whole.button_draft()
            self.assertEqual(self.posted_total(), self.charged())
            # A cancelled document cannot come back beside the one that took its place.
            again.button_draft()
            again.button_cancel()
            third = self.invoice(self.account)
            again.button_draft()
            with self.refused(UserError, "is invoiced by"):
                again.action_post()
            self.assertEqual(third.state, "posted")
            self.assertEqual(self.posted_total(), self.charged())

        self.holds(
            check,
            (
                MOVE._energy_claim,
                "if period.move_id and period.move_id != self:",
                "if False:",
            ),
            (
                MOVE._energy_credited,
                "self.currency_id.compare_amounts(self.amount_total, original.amount_total) == 0",
                "True",
            ),
            (
                MOVE._post,
                '{"state": "closed", "move_id": False}',
                '{"state": "invoiced", "move_id": False}',
            ),
            (MOVE._energy_release, '"state": "closed"', '"state": "invoiced"'),
        )

    def exact(self, function, *args):
        """Call a function that invoices; what makes it refuse to post is a failure here."""
        try:
            function(*args)
        except (UserError, ValidationError, ValueError) as error:
            self.fail(str(error))

    def test_total_is_the_sum_of_the_entries_with_any_tax_and_rounding(self):
        self.tiered = self.make_tariff(
            "Tiers and bands",
            {"peak": ["0.617283", "1.017283"], "valley": ["0.317419", "0.717419"]},
            limits=(91,),
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        month = test_invoicing.TestExactTotals.month

        def check():
            for rate, included in ((13, True), (19, False), (7.7, True)):
                for method in ("round_per_line", "round_globally"):
                    account = month(self, f"T{rate}{method}")
                    self.pass_to(33)
                    self.company.tax_calculation_rounding_method = method
                    self.set_tax(rate, included)
                    self.exact(lambda account=account: self.assertExact(self.invoice(account)))

        self.holds(
            check,
            (WORK._priced, "**self._manual_amounts(taxes, gross),", ""),
            (WORK._manual_amounts, "net = gross - tax_total", "net = gross"),
            (
                LINES._use_rows,
                'cents = share - cell["cents"]',
                'cents = share - cell["cents"] + (period["step"] if tier == 2 else 0)',
            ),
        )

    def test_currency_of_five_cents(self):
        codes = iter("ABCDEFGH")

        def check():
            self.exact(
                test_invoicing.TestExactTotals.in_currency, self, 0.05, f"Q{next(codes)}X", 13, True
            )

        self.holds(
            check,
            (
                energy_rating.EnergyRating._drafts,
                "target = round_half_up(row.new_due, steps[unit.account])",
                'target = round_half_up(row.new_due, Decimal("0.01"))',
            ),
            (WORK._priced, "**self._manual_amounts(taxes, gross),", ""),
        )
