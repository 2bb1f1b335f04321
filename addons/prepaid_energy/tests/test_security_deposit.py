from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import START
from .test_balance_request import RequestCase


@tagged("post_install", "-at_install")
class TestSecurityDeposit(RequestCase):
    """A guarantee: its own liability, never part of a balance."""

    def receive(self, amount=300, user=None, **values):
        deposit = self.as_user(user or self.cashier)["energy.security.deposit"].create(
            {
                "account_id": self.account.id,
                "amount": amount,
                "method_id": self.method.id,
                **values,
            }
        )
        deposit.action_receive()
        return deposit

    def liability(self):
        lines = self.env["account.move.line"].search(
            [
                ("account_id", "=", self.company.energy_deposit_account_id.id),
                ("parent_state", "=", "posted"),
            ]
        )
        return -sum(lines.mapped("balance"))

    def give_back(self, deposit, user=None, **values):
        action = deposit.with_env(self.as_user(user or self.cashier)).action_return()
        defaults = {
            name.removeprefix("default_"): value for name, value in action["context"].items()
        }
        return self.as_user(user or self.cashier)["energy.balance.request"].create(
            {**defaults, **values}
        )

    def test_received_deposit_is_a_liability_and_no_balance(self):
        shift = self.open_shift(self.cashier)
        deposit = self.receive()
        self.assertEqual(deposit.state, "held")
        self.assertTrue(deposit.name.startswith("SD"))
        self.assertEqual(self.account.deposit_held, 300)
        self.assertEqual((self.account.balance, self.account.available), (0, 0))
        self.assertEqual(self.liability(), 300)
        self.assertRecordValues(
            deposit.move_ids,
            [
                {
                    "kind": "received",
                    "amount": 300,
                    "method_id": self.method.id,
                    "shift_id": shift.id,
                    "user_id": self.cashier.id,
                    "key": f"deposit/{deposit.id}/1",
                }
            ],
        )
        deposit.action_receive()
        self.assertEqual(self.liability(), 300)
        payment = self.env["account.payment"].search(
            [("energy_entry_key", "=", deposit.move_ids.key)]
        )
        self.assertEqual(payment.partner_id, self.account.partner_id)

    def test_deposit_is_taken_in_a_shift_where_the_company_wants_it(self):
        self.company.energy_requires_shift = True
        for method in self.methods:
            with self.refused(UserError, "in a shift only"):
                self.receive(method_id=method.id, reference="4711")
        with self.refused(UserError, "in a shift only"):
            self.receive(user=self.finance)
        transfer = self.methods.filtered(lambda method: method.kind == "transfer")
        self.receive(user=self.finance, method_id=transfer.id, reference="4711")
        self.open_shift(self.cashier)
        self.assertTrue(self.receive().move_ids.shift_id)

    def test_deposit_names_the_payment_where_its_method_wants_it(self):
        transfer = self.methods.filtered(lambda method: method.kind == "transfer")
        for reference in (False, "  "):
            with self.refused(UserError, "Type the number of the payment"):
                self.receive(method_id=transfer.id, reference=reference)
        self.assertEqual(self.receive(method_id=transfer.id, reference="4711").held, 300)

    def test_deposit_is_taken_before_the_account_opens(self):
        draft = self.open_account(self.make_meter("D9"), activate=False)
        self.assertEqual(self.receive(account_id=draft.id).held, 300)

    def test_deposit_of_an_opening_is_received_with_it(self):
        account = self.open_account(
            self.make_meter("D8"), opening_deposit=120, opening_deposit_method_id=self.method.id
        )
        self.assertEqual((account.deposit_held, account.deposit_ids.state), (120, "held"))
        self.assertEqual((account.balance, self.liability()), (0, 120))

    def test_applied_deposit_is_booked_against_the_liability(self):
        deposit = self.receive()
        self.use(2, "100")
        self.submit("deposit_apply", 60, deposit_id=deposit.id)
        self.assertEqual(self.liability(), 300)
        self.env["energy.booking"]._book(
            self.env["energy.wallet.entry"].search([("cause_key", "=like", "deposit/%")])
        )
        self.assertEqual(self.liability(), 240)

    def test_deposit_goes_back_in_parts_and_above_the_limit_by_a_second_person(self):
        deposit = self.receive()
        part = self.give_back(deposit, amount=100)
        part.action_submit()
        self.assertEqual(part.state, "done")
        self.assertEqual((deposit.held, deposit.state), (200, "held"))
        self.assertEqual(self.liability(), 200)
        with self.refused(UserError, "only"):
            self.give_back(deposit, amount=200.01).action_submit()
        rest = self.give_back(deposit)
        self.assertEqual(rest.amount, 200)
        rest.action_submit()
        self.assertEqual(rest.state, "waiting")
        # No money of the balance is asked for.
        self.assertEqual(self.account.available, 0)
        rest.with_env(self.as_user(self.finance)).action_approve()
        rest.with_env(self.as_user(self.controller)).action_approve()
        self.assertEqual((deposit.held, deposit.state), (0, "ended"))
        self.assertEqual(self.liability(), 0)
        self.assertEqual(deposit.move_ids.mapped("amount"), [300, -100, -200])
        self.assertFalse(self.account.entry_ids)

    def test_deposit_pays_what_is_owed_and_no_more(self):
        deposit = self.receive()
        self.use(2, "100")
        self.assertEqual(self.account.balance, -60)
        values = {"deposit_id": deposit.id}
        with self.refused(UserError, "60.00"):
            self.submit("deposit_apply", 60.01, **values)
        with self.refused(AccessError, "by finance"):
            self.submit("deposit_apply", 60, user=self.cashier, **values)
        request = self.ask("deposit_apply", **values)
        self.assertEqual(request.amount, 60)
        request.action_submit()
        self.assertEqual((self.account.balance, deposit.held), (0, 240))
        entry = self.env["energy.wallet.entry"].search([("key", "=", f"request/{request.id}")])
        self.assertEqual((entry.kind, entry.amount), ("transfer", 60))
        self.assertEqual(entry.cause_key, deposit.move_ids[-1].key)

    def test_deposit_of_another_account_is_not_touched(self):
        deposit = self.receive()
        with self.refused(UserError, "of this account"):
            self.submit(
                "deposit_return",
                50,
                account=self.other,
                deposit_id=deposit.id,
                method_id=self.method.id,
            )

    def test_received_deposits_and_movements_are_not_changed(self):
        deposit = self.receive()
        with self.refused(UserError, "not changed"):
            deposit.amount = 5
        with self.refused(AccessError, "buttons"):
            deposit.state = "ended"
        with self.refused(UserError, "never deleted"):
            deposit.unlink()
        for attempt in (
            lambda: deposit.move_ids.sudo().write({"amount": 5}),
            lambda: deposit.move_ids.sudo().unlink(),
        ):
            with self.refused(UserError, "never"):
                attempt()
        with self.refused(AccessError):
            self.receive(user=self.make_user("viewer"))
        operator = self.as_user(self.make_user("operator"))
        draft = operator["energy.security.deposit"].create(
            {"account_id": self.account.id, "amount": 5, "method_id": self.method.id}
        )
        with self.refused(AccessError, "by cashiers"):
            draft.action_receive()

    def test_receipts_of_deposits(self):
        deposit = self.receive()
        deposit.action_print_receipt()
        request = self.give_back(deposit, amount=80)
        request.action_submit()
        request.action_print_receipt()
        request.action_print_receipt()
        receipts = self.env["energy.receipt"].search(
            [("account_id", "=", self.account.id)], order="number"
        )
        self.assertRecordValues(
            receipts,
            [
                {"kind": "deposit", "amount": 300, "prepaid": 0, "user_id": self.cashier.id},
                {"kind": "deposit_return", "amount": 80, "prepaid": 0, "user_id": self.cashier.id},
            ],
        )

    def test_checker_finds_a_deposit_that_the_books_do_not_have(self):
        self.plants_defect = True
        deposit = self.receive()
        self.read(self.meter, START + timedelta(hours=1), "0")
        payment = self.env["account.payment"].search(
            [("energy_entry_key", "=", deposit.move_ids.key)]
        )
        payment.action_draft()
        names = {r["name"] for r in self.env["energy.checker"]._check() if r["findings"]}
        self.assertEqual(names, {"deposits"})
