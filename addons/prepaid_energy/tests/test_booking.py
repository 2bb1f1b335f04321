from datetime import date
from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.energy_wallet import Draft
from .common import EnergyCase


class BooksCase(EnergyCase):
    """Accounts, and short ways to move their balances and to read the books."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account = cls.open_account(cls.make_meter("B1"))
        cls.other = cls.open_account(cls.make_meter("B2"))
        cls.before = cls.env["energy.wallet.entry"].search([], limit=1).id
        cls.advances = cls.company.energy_advances_account_id
        cls.bank_method = cls.methods.filtered(lambda method: method.kind == "transfer")

    def post(self, account, kind, amount, key, **values):
        """Post one entry to an account's balance, dated today or as given."""
        wallet = account.wallet_ids[:1]
        draft = Draft(
            wallet_id=wallet.id,
            kind=kind,
            category="other",
            amount=Decimal(amount),
            key=key,
            local_date=values.pop("local_date", account.site_id._today()),
            note=values.pop("note", kind),
            user_id=self.env.uid,
            **values,
        )
        self.env["energy.wallet"]._post([draft], self.env["energy.wallet"]._lock(wallet.ids))
        return self.env["energy.wallet.entry"].search([("key", "=", key)])

    def by_cash(self):
        return {"journal_id": self.cash.id, "method_id": self.method.id}

    def book(self, *entries):
        booked = self.env["energy.booking"]._book(self.env["energy.wallet.entry"].concat(*entries))
        self.env.invalidate_all()
        return booked

    def run_bookings(self):
        """Run the scheduled action; a test's transaction cannot commit."""
        cron = type(self.env["ir.cron"])
        with patch.object(cron, "_commit_progress", lambda *args, **kwargs: 60):
            self.env["energy.booking"]._cron_book_entries()
        self.env.invalidate_all()

    def items(self, entry):
        """Return what books an entry: (account, amount, energy account, key), in order."""
        return [
            (
                line.account_id,
                f"{line.balance:.2f}",
                line.energy_account_id,
                line.energy_entry_key,
            )
            for line in entry.booking_id.line_ids.sorted(lambda line: (-line.balance, line.id))
        ]

    def no_one(self):
        return self.env["energy.account"]

    def charge(self, account, amount, month, key=None):
        """Charge a month's amount to the balance, and return its billing period."""
        first = date(2026, month, 1)
        periods = self.env["energy.billing.period"]._open_for({(account.id, first)})
        period = periods[account.id, first]
        key = key or f"charge/{account.id}/{period}"
        self.post(account, "charge", f"-{amount}", key, period_id=period)
        return self.env["energy.billing.period"].browse(period)

    def invoice(self, period):
        """Invoice everything of an account up to the end of a period."""
        account = period.account_id
        for product in account.company_id.energy_billing_product_ids.product_id:
            product.taxes_id = False
        return period._freeze({account.id: period.date_to})._invoice()

    def claim(self, invoice):
        """Return the journal item of what the customer owes on an invoice."""
        return invoice.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )

    def settle_books(self, *accounts, date=None):
        ids = [account.id for account in accounts] or None
        moves = self.env["energy.book.settlement"]._settle(ids, date)
        self.env.invalidate_all()
        return moves

    @classmethod
    def receivable(cls, account):
        partner = account.partner_id.with_company(cls.company)
        return partner.property_account_receivable_id


@tagged("post_install", "-at_install")
class TestBooking(BooksCase):
    """Every kind of entry is booked once, on its accounts, and never twice."""

    def test_cash_top_up_goes_from_the_till_to_advances(self):
        entry = self.top_up(self.account, 80)
        self.assertEqual(self.env["energy.booking"]._to_book(entry.id - 1), entry)
        self.assertEqual(self.book(entry), entry)
        self.assertFalse(self.env["energy.booking"]._to_book(entry.id - 1))
        self.assertEqual(
            self.items(entry),
            [
                (self.cash.default_account_id, "80.00", self.no_one(), False),
                (self.advances, "-80.00", self.account, entry.key),
            ],
        )
        self.assertEqual(entry.booking_id.state, "posted")
        self.assertEqual(entry.payment_id.state, "paid")
        self.assertTrue(entry.is_booked)

    def test_bank_top_up_waits_for_the_statement(self):
        entry = self.account.wallet_ids._top_up(80, "till/1", self.bank_method, "T-1")
        self.book(entry)
        liquidity = entry.booking_id.line_ids.filtered(lambda line: line.balance > 0)
        self.assertNotEqual(liquidity.account_id, self.bank_method.journal_id.default_account_id)
        self.assertTrue(liquidity.account_id.reconcile)

    def test_several_top_ups_are_booked_in_one_go(self):
        entries = [self.top_up(self.account, amount, f"till/{amount}") for amount in (1, 2, 3)]
        self.book(*entries)
        self.assertEqual([entry.payment_id.amount for entry in entries], [1, 2, 3])
        self.assertFalse(self.account.activity_ids)

    def test_refund_leaves_by_the_way_of_its_journal(self):
        self.book(self.top_up(self.account, 80))
        entry = self.post(self.account, "refund", "-30", "refund/1", **self.by_cash())
        self.book(entry)
        self.assertEqual(
            self.items(entry),
            [
                (self.advances, "30.00", self.account, entry.key),
                (self.cash.default_account_id, "-30.00", self.no_one(), False),
            ],
        )
        self.assertEqual(entry.payment_id.payment_type, "outbound")

    def test_refund_beyond_the_advances_is_owed(self):
        self.book(self.top_up(self.account, 20))
        entry = self.post(self.account, "refund", "-30", "refund/1", **self.by_cash())
        self.book(entry)
        self.assertEqual(
            self.items(entry),
            [
                (self.advances, "20.00", self.account, entry.key),
                (self.receivable(self.account), "10.00", self.account, False),
                (self.cash.default_account_id, "-30.00", self.no_one(), False),
            ],
        )

    def test_reversal_of_a_cash_top_up_mirrors_it(self):
        top_up = self.top_up(self.account, 80)
        entry = self.post(
            self.account, "reversal", "-80", "reversal/1", cause_key=top_up.key, **self.by_cash()
        )
        self.book(top_up, entry)
        self.assertEqual(
            self.items(entry),
            [
                (self.advances, "80.00", self.account, entry.key),
                (self.cash.default_account_id, "-80.00", self.no_one(), False),
            ],
        )
        self.assertEqual(entry.booking_id.journal_id, self.cash)

    def test_reversal_of_a_bank_top_up_closes_what_waits_for_the_statement(self):
        top_up = self.account.wallet_ids._top_up(80, "till/1", self.bank_method, "T-1")
        entry = self.post(self.account, "reversal", "-80", "reversal/1", cause_key="till/1")
        self.book(top_up, entry)
        liquidity = top_up.booking_id.line_ids.filtered(lambda line: line.balance > 0)
        self.assertTrue(liquidity.reconciled)
        self.assertEqual(entry.booking_id.journal_id, self.bank_method.journal_id)

    def test_transfer_is_one_journal_entry_with_both_keys(self):
        self.book(self.top_up(self.account, 80))
        taken = self.post(self.account, "transfer", "-50", "move/1/out", cause_key="move/1/in")
        self.assertFalse(self.book(taken))
        given = self.post(self.other, "transfer", "50", "move/1/in", cause_key="move/1/out")
        self.assertEqual(self.book(taken, given), taken | given)
        self.assertEqual(
            self.items(given),
            [
                (self.advances, "50.00", self.account, taken.key),
                (self.advances, "-50.00", self.other, given.key),
            ],
        )
        self.assertEqual(taken.booking_id, given.booking_id)

    def test_deposit_applied_to_a_debt(self):
        deposit = self.env["energy.security.deposit"].create(
            {"account_id": self.account.id, "amount": 300, "method_id": self.method.id}
        )
        deposit.action_receive()
        key = deposit._move("applied", Decimal(-40)).key
        entry = self.post(self.account, "transfer", "40", "use/1", cause_key=key)
        self.book(entry)
        self.assertEqual(
            self.items(entry),
            [
                (self.company.energy_deposit_account_id, "40.00", self.no_one(), False),
                (self.advances, "-40.00", self.account, entry.key),
            ],
        )

    def test_adjustment_write_off_and_opening_have_their_other_side(self):
        adjustment = self.company.energy_adjustment_account_id
        written_off = self.company.energy_write_off_account_id
        self.assertTrue(adjustment and written_off and adjustment != written_off)
        for kind, account in (
            ("opening", adjustment),
            ("adjustment", adjustment),
            ("write_off", written_off),
        ):
            entry = self.post(self.account, kind, "15", f"{kind}/1")
            self.book(entry)
            self.assertEqual(
                self.items(entry),
                [
                    (account, "15.00", self.no_one(), False),
                    (self.advances, "-15.00", self.account, entry.key),
                ],
            )
        self.assertEqual(entry.booking_id.journal_id, self.company.energy_journal_id)

    def test_opening_with_a_method_is_money_received(self):
        entry = self.post(self.account, "opening", "15", "opening/1", **self.by_cash())
        self.book(entry)
        self.assertEqual(self.items(entry)[0][0], self.cash.default_account_id)

    def test_debit_without_any_advance_is_owed_and_carries_the_key(self):
        entry = self.post(self.account, "adjustment", "-7.50", "adjustment/1")
        self.book(entry)
        self.assertEqual(
            self.items(entry),
            [
                (self.receivable(self.account), "7.50", self.account, entry.key),
                (self.company.energy_adjustment_account_id, "-7.50", self.no_one(), False),
            ],
        )

    def test_debit_dated_before_its_advance_is_owed(self):
        self.book(self.top_up(self.account, 20))
        early = self.account.site_id._today().replace(day=1, month=2)
        entry = self.post(self.account, "adjustment", "-5", "adjustment/1", local_date=early)
        self.book(entry)
        self.assertEqual(self.items(entry)[0][0], self.receivable(self.account))

    def test_what_an_invoice_charges_is_never_booked(self):
        month = self.account.site_id._today().replace(day=1)
        periods = self.env["energy.billing.period"]._open_for({(self.account.id, month)})
        period = periods[self.account.id, month]
        for kind, amount in (("charge", "-4"), ("share", "-3"), ("billed", "12")):
            self.post(self.account, kind, amount, f"{kind}/1", period_id=period)
        self.post(self.account, "reversal", "4", "r/1", cause_key="charge/1", period_id=period)
        self.assertFalse(self.env["energy.booking"]._to_book(self.before))
        unbooked = [("account_id", "=", self.account.id), ("is_booked", "=", False)]
        self.assertFalse(self.env["energy.wallet.entry"].search(unbooked))

    def test_run_books_in_order_and_sets_a_failing_account_aside(self):
        first = self.top_up(self.account, 10, "till/1")
        bad = self.post(self.account, "refund", "-1", "refund/1")
        later = self.top_up(self.account, 20, "till/2")
        neighbour = self.top_up(self.other, 30, "till/3")
        self.run_bookings()
        self.assertTrue(first.is_booked and neighbour.is_booked)
        self.assertFalse(bad.is_booked or later.is_booked)
        self.run_bookings()
        self.assertEqual(
            self.account.activity_ids.mapped("summary"),
            [f"Balance entry {bad.number} is not in the books"],
        )
        self.assertIn("no journal", str(self.account.activity_ids.note))

    def test_refused_booking_is_a_to_do_and_loses_nothing(self):
        entry = self.top_up(self.account, 80)
        self.env.cr.execute(
            "UPDATE account_journal SET active = FALSE WHERE id = %s", [self.cash.id]
        )
        self.env.invalidate_all()
        self.env["account.payment.method.line"].search([("journal_id", "=", self.cash.id)]).unlink()
        self.assertFalse(self.book(entry))
        self.assertFalse(self.book(entry))
        self.assertEqual(len(self.account.activity_ids), 1)
        self.assertEqual(self.env["energy.booking"]._to_book(entry.id - 1), entry)
        self.assertEqual(self.account.balance, 80)

    def test_lock_date_moves_the_booking_and_loses_nothing(self):
        entry = self.top_up(self.account, 80)
        self.company.fiscalyear_lock_date = entry.local_date
        self.book(entry)
        self.assertGreater(entry.booking_id.date, entry.local_date)

    def test_payment_set_back_to_draft_is_unbooked_but_not_booked_beside(self):
        entry = self.top_up(self.account, 80)
        self.book(entry)
        payment = entry.payment_id
        payment.action_draft()
        self.env.invalidate_all()
        self.assertFalse(entry.is_booked)
        self.assertFalse(self.env["energy.booking"]._to_book(entry.id - 1))
        self.assertChecked()
        payment.action_post()
        self.env.invalidate_all()
        self.assertTrue(entry.is_booked)

    def test_cancelled_payment_is_booked_anew_and_stays_cancelled(self):
        entry = self.top_up(self.account, 80)
        self.book(entry)
        cancelled = entry.payment_id
        cancelled.action_draft()
        cancelled.action_cancel()
        self.assertEqual(self.env["energy.booking"]._to_book(entry.id - 1), entry)
        self.book(entry)
        self.assertNotEqual(entry.payment_id, cancelled)
        self.assertTrue(entry.is_booked)
        with self.assertRaisesRegex(UserError, "Leave it cancelled"):
            cancelled.action_draft()

    def test_cancelled_journal_entry_is_booked_anew_and_stays_cancelled(self):
        entry = self.post(self.account, "adjustment", "15", "adjustment/1")
        self.book(entry)
        cancelled = entry.booking_id
        cancelled.button_cancel()
        self.assertFalse(cancelled.line_ids.filtered("energy_entry_key"))
        self.book(entry)
        self.assertNotEqual(entry.booking_id, cancelled)
        with self.assertRaisesRegex(UserError, "Leave it cancelled"):
            cancelled.button_draft()

    def test_deleted_payment_is_booked_anew(self):
        entry = self.top_up(self.account, 80)
        self.book(entry)
        entry.payment_id.unlink()
        self.assertEqual(self.env["energy.booking"]._to_book(entry.id - 1), entry)

    def test_copy_of_a_payment_books_no_entry(self):
        entry = self.top_up(self.account, 80)
        self.book(entry)
        copied = entry.payment_id.copy()
        self.assertFalse(copied.energy_entry_key or copied.energy_account_id)

    def test_used_top_up_cannot_leave_the_books(self):
        top_up = self.top_up(self.account, 80)
        refund = self.post(self.account, "refund", "-30", "refund/1", **self.by_cash())
        self.book(top_up, refund)
        with self.assertRaisesRegex(UserError, "do not cover"), self.env.cr.savepoint():
            top_up.payment_id.action_draft()
        self.env.invalidate_all()
