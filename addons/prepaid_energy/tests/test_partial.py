from datetime import datetime, timedelta

from odoo.tests import new_test_user, tagged

from .common import START
from .test_booking import BooksCase


@tagged("post_install", "-at_install")
class TestPartial(BooksCase):
    """Money that reaches a prepaid invoice by any road of Odoo moves the balance."""

    def owing(self, account, amount):
        return self.invoice(self.charge(account, str(amount), 3))

    def register_payment(self, invoice, amount=None, user=None):
        wizard = self.env["account.payment.register"]
        if user:
            wizard = wizard.with_user(user)
        values = {"journal_id": self.cash.id}
        if amount:
            values["amount"] = amount
        wizard.with_context(active_model="account.move", active_ids=invoice.ids).create(
            values
        ).action_create_payments()
        self.env.invalidate_all()

    def came_from_books(self, account):
        entries = self.env["energy.wallet.entry"].search(
            [("account_id", "=", account.id), ("key", "=like", "partial/%")], order="id"
        )
        return [(entry.kind, f"{entry.amount:.2f}", entry.is_booked) for entry in entries]

    def test_register_payment_is_a_top_up(self):
        invoice = self.owing(self.account, 30)
        self.assertEqual(self.account.balance, -30)
        self.register_payment(invoice)
        self.assertEqual(self.came_from_books(self.account), [("top_up", "30.00", True)])
        self.assertEqual(self.account.balance, 0)
        partial = self.claim(invoice).matched_credit_ids
        self.assertEqual(partial.energy_entry_key, f"partial/{partial.id}")
        self.assertFalse(self.env["energy.booking"]._to_book(self.before))
        self.assertFalse(self.settle_books())

    def test_part_payment_moves_its_part(self):
        invoice = self.owing(self.account, 30)
        self.register_payment(invoice, 12.5)
        self.assertEqual(self.account.balance, -17.5)

    def test_accountant_without_energy_rights_can_register_it(self):
        accountant = new_test_user(
            self.env,
            "plain_accountant",
            groups="account.group_account_invoice",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        self.register_payment(self.owing(self.account, 30), user=accountant)
        self.assertEqual(self.account.balance, 0)

    def test_supply_returns_when_the_invoice_is_paid(self):
        meter = self.make_meter("P9")
        policy = self.policy.copy({"name": "Off at minus twenty", "overdraft": 20})
        account = self.open_account(meter, policy=policy)
        self.read(meter, START + timedelta(hours=1), "50")
        self.settle()
        self.assertEqual(self.commands(meter)[-1][2], "off")
        period = self.env["energy.billing.period"].search([("account_id", "=", account.id)])
        self.register_payment(self.invoice(period))
        self.assertEqual(account.balance, 0)
        self.assertEqual(self.commands(meter)[-1][2], "on")

    def test_undone_payment_takes_the_money_back(self):
        invoice = self.owing(self.account, 30)
        self.register_payment(invoice)
        self.claim(invoice).remove_move_reconcile()
        self.env.invalidate_all()
        self.assertEqual(
            self.came_from_books(self.account),
            [("top_up", "30.00", True), ("reversal", "-30.00", True)],
        )
        self.assertEqual(self.account.balance, -30)
        self.assertFalse(self.env["energy.booking"]._to_book(self.before))

    def test_invoice_set_back_to_draft_keeps_what_was_paid(self):
        self.book(self.top_up(self.account, 100))
        invoice = self.owing(self.account, 130)
        self.settle_books()
        self.register_payment(invoice)
        self.assertEqual(self.account.balance, 0)
        invoice.button_draft()
        self.env.invalidate_all()
        self.assertEqual(self.account.balance, 0)
        self.assertFalse(self.settle_books())
        self.assertChecked()
        invoice.action_post()
        self.assertEqual(self.claim(invoice).amount_residual, 0)

    def test_cancelled_invoice_takes_what_was_paid_on_it_off_the_balance(self):
        self.book(self.top_up(self.account, 100))
        invoice = self.owing(self.account, 130)
        self.settle_books()
        self.register_payment(invoice)
        invoice.button_cancel()
        self.env.invalidate_all()
        self.assertEqual(self.account.balance, -30)
        self.assertChecked()
        self.settle_books()
        self.assertChecked()

    def test_payment_set_back_to_draft_and_cancelled(self):
        invoice = self.owing(self.account, 30)
        self.register_payment(invoice)
        payment = self.env["account.payment"].search([], order="id desc", limit=1)
        payment.action_draft()
        self.env.invalidate_all()
        self.assertChecked()
        payment.action_cancel()
        self.env.invalidate_all()
        self.assertEqual(self.account.balance, -30)

    def test_credit_note_of_the_accountant_is_an_adjustment(self):
        invoice = self.owing(self.account, 30)
        credit = self.env["account.move"].create(
            {
                "move_type": "out_refund",
                "partner_id": self.account.partner_id.id,
                "company_id": self.company.id,
                "invoice_date": invoice.invoice_date,
                "invoice_line_ids": [
                    (0, 0, {"name": "Goodwill", "price_unit": 5, "tax_ids": [(5, 0, 0)]})
                ],
            }
        )
        credit.action_post()
        (self.claim(invoice) | self.claim(credit)).reconcile()
        self.env.invalidate_all()
        self.assertEqual(self.came_from_books(self.account), [("adjustment", "5.00", True)])

    def test_bank_statement_line_is_a_top_up(self):
        invoice = self.owing(self.account, 30)
        bank = self.bank_method.journal_id
        line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": bank.id,
                "date": invoice.date,
                "payment_ref": "Rent and power",
                "amount": 30,
                "partner_id": self.account.partner_id.id,
            }
        )
        suspense = line.move_id.line_ids.filtered(
            lambda item: item.account_id == bank.suspense_account_id
        )
        line.move_id.button_draft()
        suspense.account_id = self.receivable(self.account)
        line.move_id.action_post()
        (suspense | self.claim(invoice)).reconcile()
        self.env.invalidate_all()
        self.assertEqual(self.came_from_books(self.account), [("top_up", "30.00", True)])

    def test_credit_of_one_account_matched_with_another_moves_both(self):
        self.book(self.top_up(self.account, 100))
        own = self.owing(self.account, 60)
        settlement = self.settle_books()
        strange = self.owing(self.other, 60)
        self.claim(own).remove_move_reconcile()
        self.assertFalse(self.came_from_books(self.account))
        credit = settlement.line_ids.filtered(lambda line: line.account_id != self.advances)
        (credit | self.claim(strange)).reconcile()
        self.env.invalidate_all()
        self.assertEqual(self.came_from_books(self.account), [("adjustment", "-60.00", True)])
        self.assertEqual(self.came_from_books(self.other), [("adjustment", "60.00", True)])
        self.assertChecked()
        (credit | self.claim(strange)).remove_move_reconcile()
        self.env.invalidate_all()
        self.assertEqual(self.account.balance, 40)
        self.assertEqual(self.other.balance, -60)

    def test_settlement_from_the_own_balance_moves_nothing(self):
        self.set_clock(datetime(2026, 4, 2))
        self.book(self.top_up(self.account, 100))
        self.owing(self.account, 60)
        self.settle_books()
        self.assertFalse(self.came_from_books(self.account))
        self.assertEqual(self.account.balance, 40)

    def test_lowest_balance_is_credited(self):
        both = self.open_account(
            self.make_meter("P1"), has_wallet_per_commodity=True, activate=False
        )
        water = self.env["energy.wallet"].create({"account_id": both.id, "commodity": "water"})
        both.action_activate()
        electricity = both.wallet_ids - water
        period = self.charge(both, "30", 3)
        self.assertEqual({electricity.balance, water.balance}, {-30, 0})
        self.register_payment(self.invoice(period))
        self.assertEqual((electricity.balance, water.balance), (0, 0))

    def test_checker_finds_a_payment_that_moved_no_balance(self):
        self.plants_defect = True
        invoice = self.owing(self.account, 30)
        self.register_payment(invoice)
        self.assertChecked()
        self.env.cr.execute("ALTER TABLE energy_wallet_entry DISABLE TRIGGER USER")
        self.env.cr.execute("DELETE FROM energy_wallet_entry WHERE key LIKE 'partial/%'")
        self.env.cr.execute("ALTER TABLE energy_wallet_entry ENABLE TRIGGER USER")
        self.env.invalidate_all()
        found = {r["name"] for r in self.env["energy.checker"]._check() if r["findings"]}
        self.assertEqual(set(self.nightly()), found)
        self.assertIn("matchings", found)
