from datetime import date, datetime

from odoo.exceptions import UserError
from odoo.tests import tagged

from .test_booking import BooksCase

APRIL_10 = datetime(2026, 4, 10, 2, 0)


@tagged("post_install", "-at_install")
class TestSettlementBooks(BooksCase):
    """Invoices are settled from advances, oldest first, never beyond what was paid ahead."""

    def items_of(self, move):
        return [
            (line.account_id, f"{line.balance:.2f}", line.energy_account_id)
            for line in move.line_ids.sorted("id")
        ]

    def open_amount(self, invoice):
        return f"{self.claim(invoice).amount_residual:.2f}"

    def test_invoice_is_settled_as_far_as_paid_and_the_rest_by_the_next_top_up(self):
        self.book(self.top_up(self.account, 100))
        invoice = self.invoice(self.charge(self.account, "130", 3))
        self.set_clock(APRIL_10)
        first = self.settle_books(self.account)
        self.assertEqual(
            self.items_of(first),
            [
                (self.advances, "100.00", self.account),
                (self.receivable(self.account), "-100.00", self.account),
            ],
        )
        self.assertEqual(first.date, date(2026, 3, 31))
        self.assertEqual(first.journal_id, self.company.energy_journal_id)
        self.assertEqual(self.open_amount(invoice), "30.00")
        self.assertFalse(self.settle_books(self.account))
        self.top_up(self.account, 50)
        self.run_bookings()
        second = self.env["account.move"].search(
            [("journal_id", "=", self.company.energy_journal_id.id)], order="id desc", limit=1
        )
        self.assertEqual(second.date, date(2026, 4, 10))
        self.assertEqual(self.open_amount(invoice), "0.00")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(self.account.balance, 20)
        self.assertChecked()

    def test_one_entry_a_run_with_a_pair_an_account(self):
        for account in (self.account, self.other):
            self.book(self.top_up(account, 100))
        invoices = [
            self.invoice(self.charge(account, "60", 3)) for account in (self.account, self.other)
        ]
        move = self.settle_books()
        self.assertEqual(len(move), 1)
        self.assertEqual(len(move.line_ids), 4)
        self.assertEqual([invoice.payment_state for invoice in invoices], ["paid", "paid"])

    def test_oldest_invoice_is_settled_first(self):
        self.charge(self.account, "50", 3)
        older, newer = self.invoice(self.charge(self.account, "20", 4)).sorted("invoice_date")
        self.set_clock(datetime(2026, 5, 2))
        self.book(self.top_up(self.account, 55))
        self.settle_books(self.account)
        self.assertEqual(self.open_amount(older), "0.00")
        self.assertEqual(self.open_amount(newer), "15.00")

    def test_later_use_of_the_advance_limits_what_is_settled_at_the_invoice_date(self):
        self.book(self.top_up(self.account, 100))
        invoice = self.invoice(self.charge(self.account, "90", 3))
        self.set_clock(APRIL_10)
        self.book(self.post(self.account, "refund", "-40", "refund/1", **self.by_cash()))
        moves = self.settle_books(self.account)
        self.assertEqual([(move.date, move.amount_total) for move in moves], [
            (date(2026, 3, 31), 60),
        ])  # fmt: skip
        self.assertEqual(self.open_amount(invoice), "30.00")

    def test_credit_note_settles_debts_first_and_the_rest_becomes_an_advance(self):
        self.book(self.top_up(self.account, 100))
        invoice = self.invoice(self.charge(self.account, "130", 3))
        self.settle_books(self.account)
        month = date(2026, 4, 1)
        periods = self.env["energy.billing.period"]._open_for({(self.account.id, month)})
        period = self.env["energy.billing.period"].browse(periods[self.account.id, month])
        self.post(self.account, "charge", "41.30", "late/1", period_id=period.id)
        credit = self.invoice(period)
        self.assertEqual(credit.move_type, "out_refund")
        self.set_clock(datetime(2026, 5, 2))
        move = self.settle_books(self.account)
        self.assertEqual(self.open_amount(invoice), "0.00")
        self.assertEqual(self.open_amount(credit), "0.00")
        self.assertEqual(
            self.items_of(move),
            [
                (self.advances, "-11.30", self.account),
                (self.receivable(self.account), "11.30", self.account),
            ],
        )

    def test_debt_of_one_account_is_never_settled_from_another(self):
        self.book(self.top_up(self.other, 100))
        invoice = self.invoice(self.charge(self.account, "60", 3))
        self.assertFalse(self.settle_books())
        self.assertEqual(self.open_amount(invoice), "60.00")

    def test_settlement_in_a_locked_month_moves_to_the_next_open_day(self):
        self.book(self.top_up(self.account, 100))
        invoice = self.invoice(self.charge(self.account, "60", 3))
        self.company.fiscalyear_lock_date = date(2026, 3, 31)
        self.set_clock(APRIL_10)
        move = self.settle_books(self.account)
        self.assertGreater(move.date, date(2026, 3, 31))
        self.assertEqual(invoice.payment_state, "paid")

    def test_settlement_set_back_to_draft_is_not_posted_again_where_the_money_left(self):
        self.book(self.top_up(self.account, 100))
        self.invoice(self.charge(self.account, "60", 3))
        first = self.settle_books(self.account)
        first.button_draft()
        self.assertChecked()
        self.assertFalse(self.settle_books(self.account))
        first.action_post()
        self.assertChecked()
        first.button_draft()
        self.book(self.post(self.account, "refund", "-50", "refund/1", **self.by_cash()))
        with self.assertRaisesRegex(UserError, "do not cover"), self.env.cr.savepoint():
            first.action_post()
        self.env.invalidate_all()
        self.assertChecked()

    def test_cancelled_settlement_is_made_anew(self):
        self.book(self.top_up(self.account, 100))
        invoice = self.invoice(self.charge(self.account, "60", 3))
        self.settle_books(self.account).button_cancel()
        self.assertEqual(self.open_amount(invoice), "60.00")
        self.assertChecked()
        self.assertTrue(self.settle_books(self.account))
        self.assertEqual(self.open_amount(invoice), "0.00")

    def test_failing_account_is_set_aside_and_the_rest_is_settled(self):
        for account in (self.account, self.other):
            self.book(self.top_up(account, 100))
            self.invoice(self.charge(account, "60", 3))
        archived = self.env["account.account"].create(
            {"name": "Old", "code": "119999", "account_type": "asset_receivable"}
        )
        bad = self.env["account.move.line"].search(
            [
                ("energy_account_id", "=", self.other.id),
                ("account_id", "=", self.receivable(self.other).id),
            ]
        )
        self.env.cr.execute(
            "UPDATE account_move_line SET account_id = %s WHERE id = %s", [archived.id, bad.id]
        )
        self.env.invalidate_all()
        archived.active = False
        moves = self.settle_books()
        self.assertEqual(moves.line_ids.energy_account_id, self.account)
        self.assertEqual(
            self.other.activity_ids.mapped("summary"), ["Invoices are not settled from the balance"]
        )

    def test_two_hundred_accounts_take_a_bounded_number_of_queries(self):
        def settled(number, name):
            for index in range(number):
                account = self.open_account(self.make_meter(f"{name}{index}"))
                self.book(self.top_up(account, 100))
                self.invoice(self.charge(account, "60", 3))
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.settle_books()
            return self.env.cr.sql_log_count - before

        settled(1, "W")
        few, many = settled(2, "F"), settled(12, "M")
        self.assertLess(many - few, 10 * 8)
