from datetime import date
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_invoicing import MARCH, InvoicingCase


@tagged("post_install", "-at_install")
class TestInvoiceLife(InvoicingCase):
    """Whatever an accountant does with an invoice: never twice in the books, never dropped."""

    def setUp(self):
        super().setUp()
        self.set_tax(13)
        self.meter = self.make_meter("J1")
        self.account = self.open_account(self.meter)
        self.use(self.account, 31, "217.31")
        self.pass_to(33)
        self.move = self.invoice(self.account)
        self.period = self.move.energy_period_id
        self.assertEqual(self.move.amount_total, 130.39)

    def credit(self, move, **values):
        wizard = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"journal_id": move.journal_id.id, "date": MARCH, **values})
        )
        action = wizard.reverse_moves()
        note = self.env["account.move"].browse(action["res_id"])
        if note.state == "draft":
            note.action_post()
        return note

    def claims(self):
        return (self.period.state, self.period.move_id)

    def test_reset_to_draft_keeps_the_invoice(self):
        self.move.button_draft()
        self.assertEqual(self.claims(), ("invoiced", self.move))
        self.assertFalse(self.invoice(self.account))
        self.assertChecked()
        self.move.action_post()
        self.assertEqual(self.claims(), ("invoiced", self.move))
        self.assertEqual(self.move.amount_total, 130.39)

    def test_changed_total_is_not_posted(self):
        self.move.button_draft()
        self.move.invoice_line_ids.quantity = 100
        with self.assertRaisesRegex(UserError, "must stay"):
            self.move.action_post()

    def test_cancelled_invoice_is_made_again(self):
        self.move.button_cancel()
        self.assertEqual(self.claims(), ("closed", self.move.browse()))
        self.assertChecked()
        again = self.invoice(self.account)
        self.assertEqual(again.amount_total, 130.39)
        self.move.button_draft()
        with self.assertRaisesRegex(UserError, "is invoiced by"):
            self.move.action_post()
        self.assertEqual(self.claims(), ("invoiced", again))

    def test_cancelled_invoice_can_be_posted_after_all(self):
        self.move.button_cancel()
        self.move.button_draft()
        self.assertEqual(self.claims(), ("closed", self.move.browse()))
        self.move.action_post()
        self.assertEqual(self.claims(), ("invoiced", self.move))
        self.assertFalse(self.invoice(self.account))

    def test_deleted_draft_is_made_again(self):
        self.move.button_draft()
        self.move.name = False
        self.move.with_context(force_delete=True).unlink()
        self.assertEqual(self.period.state, "closed")
        self.assertChecked()
        self.assertEqual(self.invoice(self.account).amount_total, 130.39)

    def test_full_credit_note_frees_the_period(self):
        note = self.credit(self.move)
        self.assertEqual(note.amount_total, 130.39)
        self.assertEqual(self.receivable(note).energy_account_id, self.account)
        self.assertEqual(self.claims(), ("closed", self.move.browse()))
        self.assertChecked()
        with self.assertRaisesRegex(UserError, "credited"):
            self.move.button_draft()
        note.button_draft()
        self.assertEqual(self.claims(), ("invoiced", self.move))
        self.assertChecked()
        note.action_post()
        self.assertEqual(self.claims(), ("closed", self.move.browse()))
        again = self.invoice(self.account)
        self.assertEqual(again.amount_total, 130.39)
        self.assertEqual(
            again.invoice_line_ids.mapped("name"), self.move.invoice_line_ids.mapped("name")
        )
        with self.assertRaisesRegex(UserError, "invoiced again"):
            note.button_draft()
        with self.assertRaisesRegex(UserError, "invoiced again"):
            note.button_cancel()
        self.assertEqual(self.claims(), ("invoiced", again))

    def test_duplicate_claims_nothing(self):
        copy = self.move.copy()
        self.assertFalse(copy.energy_period_id)
        self.assertFalse(self.receivable(copy).energy_account_id)

    def test_locked_month_moves_the_accounting_date(self):
        meter = self.make_meter("J2")
        account = self.open_account(meter)
        self.use(account, 31, "100", meter)
        self.pass_to(33)
        self.company.fiscalyear_lock_date = MARCH
        move = self.invoice(account)
        self.assertEqual(move.state, "posted")
        self.assertEqual(move.invoice_date, MARCH)
        self.assertGreater(move.date, MARCH)
        self.assertEqual(move.amount_total, 60)
        self.assertFalse(self.invoice(account))
        with self.assertRaises(UserError):
            self.move.button_draft()
            self.env.flush_all()
        self.company.fiscalyear_lock_date = False

    def test_hard_locked_month_moves_the_accounting_date(self):
        meter = self.make_meter("J3")
        account = self.open_account(meter)
        self.use(account, 31, "100", meter)
        self.pass_to(33)
        self.company.hard_lock_date = MARCH
        move = self.invoice(account)
        self.assertEqual((move.state, move.amount_total), ("posted", 60))
        self.assertGreater(move.date, MARCH)


@tagged("post_install", "-at_install")
class TestInvoiceRun(InvoicingCase):
    """The scheduled action."""

    def setUp(self):
        super().setUp()
        self.set_tax(13)
        self.accounts = self.env["energy.account"]
        for number in range(3):
            meter = self.make_meter(f"R{number}")
            account = self.open_account(meter)
            self.use(account, 31, "100", meter)
            self.accounts |= account

    def run_cron(self):
        cron = type(self.env["ir.cron"])
        rollback = patch.object(self.env.cr, "rollback", lambda: None)
        commit = patch.object(self.env.cr, "commit", lambda: None)
        with patch.object(cron, "_commit_progress", lambda *args, **values: 100), rollback, commit:
            self.env["energy.billing.period"]._cron_invoice()
        self.env.invalidate_all()

    def moves(self):
        return (
            self.env["energy.billing.period"]
            .search([("account_id", "in", self.accounts.ids)], order="account_id")
            .move_id
        )

    def test_nothing_is_due_before_the_invoice_day(self):
        self.pass_to(32.9)
        self.run_cron()
        self.assertFalse(self.moves())
        self.pass_to(33.1)
        self.run_cron()
        self.assertEqual(self.moves().mapped("amount_total"), [60, 60, 60])
        self.run_cron()
        self.assertEqual(len(self.moves()), 3)

    def test_one_bad_account_does_not_stop_the_rest(self):
        bad = self.accounts[1]
        water = self.products["water"]
        meter = self.make_meter("R9", commodity="water")
        tariff = self.make_tariff("Water", {"flat": ["4.100000"]}, commodity="water")
        account = self.open_account(meter, tariff=tariff)
        self.use(account, 31, "10", meter)
        self.accounts |= account
        product = water.product_id
        water.unlink()
        self.pass_to(34)
        for _run in range(2):
            with mute_logger("odoo.addons.prepaid_energy.models.energy_billing_invoice"):
                self.run_cron()
        self.assertEqual(self.moves().mapped("amount_total"), [60, 60, 60])
        period = self.env["energy.billing.period"].search([("account_id", "=", account.id)])
        self.assertEqual(period.state, "closed")
        self.assertEqual(len(account.activity_ids), 1)
        self.assertIn("water", account.activity_ids.note)
        self.assertFalse(bad.activity_ids)
        self.env["energy.billing.product"].create(
            {"company_id": self.company.id, "category": "water", "product_id": product.id}
        )
        self.run_cron()
        self.assertEqual(period.move_id.amount_total, 41)

    def test_account_that_fails_alone_in_its_batch_becomes_a_to_do(self):
        bad = self.accounts[0]
        model = self.registry["energy.billing.period"]
        genuine = model._freeze_and_invoice

        def failing(periods, due):
            if bad.id in due:
                raise ValueError("The use of March cannot be read")
            return genuine(periods, due)

        self.pass_to(34)
        place = "odoo.addons.prepaid_energy.models.energy_billing_invoice"
        with (
            patch.object(model, "_freeze_and_invoice", failing),
            patch(f"{place}.BATCH", 1),
            mute_logger(place),
        ):
            self.run_cron()
        self.assertEqual(len(self.moves()), 2)
        self.assertIn("cannot be read", bad.activity_ids.note)

    def test_batches_go_through_all_accounts(self):
        self.pass_to(34)
        with patch("odoo.addons.prepaid_energy.models.energy_billing_invoice.BATCH", 2):
            self.run_cron()
        self.assertEqual(len(self.moves()), 3)

    def test_a_company_has_its_own_invoice_day(self):
        self.pass_to(34)
        self.company.energy_invoice_day = 5
        self.run_cron()
        self.assertFalse(self.moves())
        self.pass_to(35.5)
        self.run_cron()
        self.assertEqual(len(self.moves()), 3)
        self.assertEqual(self.moves().company_id, self.company)

    def test_account_that_somebody_is_at_is_passed_over(self):
        self.pass_to(34)
        periods = type(self.env["energy.billing.period"])
        lock = periods._lock_to_freeze

        def held(periods, account_ids, skip_locked):
            self.assertTrue(skip_locked)
            rest = [account for account in account_ids if account != self.accounts[0].id]
            return lock(periods, rest, skip_locked)

        with patch.object(periods, "_lock_to_freeze", held):
            self.run_cron()
        self.assertEqual(len(self.moves()), 2)
        self.run_cron()
        self.assertEqual(len(self.moves()), 3)

    def test_freezing_hands_later_differences_to_the_next_period(self):
        account = self.accounts[0]
        self.pass_to(34)
        self.env["energy.billing.period"]._freeze({account.id: MARCH})
        first = (account.id, date(2026, 3, 1))
        target = self.env["energy.billing.period"]._open_for({first})[first]
        period = self.env["energy.billing.period"].browse(target)
        self.assertEqual((period.date_from, period.date_to), (date(2026, 4, 1), date(2026, 4, 30)))
