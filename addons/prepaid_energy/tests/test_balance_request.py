from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from .common import START, EnergyCase


class RequestCase(EnergyCase):
    """Two accounts of one balance each, a cashier and two accountants."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("Q1")
        cls.account = cls.open_account(cls.meter)
        cls.other = cls.open_account(cls.make_meter("Q2"))
        cls.cashier = cls.make_user("cashier")
        cls.second_cashier = cls.make_user("cashier", "second_cashier")
        cls.finance = cls.make_user("finance")
        cls.controller = cls.make_user("finance", "controller")
        cls.company.energy_refund_limit = 100
        cls.company.energy_adjustment_limit = 20

    @classmethod
    def make_user(cls, role, login=None):
        return cls.new_user(role, f"request_{login or role}")

    def as_user(self, user):
        return self.env(user=user, context={"allowed_company_ids": self.company.ids})

    def ask(self, kind, amount=None, user=None, account=None, **values):
        """Make a request as the web client does; `submit` is left to the test."""
        if amount is not None:
            values["amount"] = amount
        return self.as_user(user or self.finance)["energy.balance.request"].create(
            {"kind": kind, "account_id": (account or self.account).id, **values}
        )

    def submit(self, *args, **kwargs):
        request = self.ask(*args, **kwargs)
        request.action_submit()
        return request

    def sell(self, amount, user=None, account=None, method=None, shift=None):
        """Sell as a cashier; returns the entry."""
        wallet = (account or self.account).wallet_ids
        sold = wallet.with_env(self.as_user(user or self.cashier)).sudo()
        key = f"sold/{wallet.id}/{wallet.last_number}"
        return sold._top_up(amount, key, method or self.method, shift=shift)

    def open_shift(self, user):
        return self.env["energy.shift"].create(
            {"user_id": user.id, "company_id": self.company.id, "name": f"S {user.login}"}
        )


@tagged("post_install", "-at_install")
class TestWords(RequestCase):
    """Settled, available, not yet billed, refundable."""

    def test_words_of_a_used_balance(self):
        self.policy.overdraft = 30
        self.sell(100)
        self.use(2, "50")  # 50 × 0.60
        wallet = self.account.wallet_ids
        self.assertEqual(wallet.balance, 70)
        self.assertEqual(wallet.unbilled, 30)
        self.assertEqual(wallet.refundable, 70)
        self.assertEqual(wallet.available, 100)
        self.assertEqual(wallet.settled_until, START + timedelta(hours=2))
        self.assertEqual(self.account.available, 100)
        self.assertEqual(self.account.unbilled, 30)
        self.assertEqual(self.account.settled_until, START + timedelta(hours=2))
        self.company.energy_refund_limit = 10
        request = self.submit("refund", 25)
        self.assertEqual(request.state, "waiting")
        self.assertEqual(wallet.available, 75)
        self.assertEqual(self.account.available, 75)
        request.action_cancel()
        self.assertEqual(self.account.available, 100)

    def test_settled_until_is_the_earliest_of_the_meters(self):
        late = self.make_meter("Q3")
        account = self.open_account(self.make_meter("Q4"), late)
        self.read(account.supply_ids.meter_id[0], START + timedelta(hours=5), "5")
        self.read(late, START + timedelta(hours=3), "5")
        self.settle()
        self.assertEqual(account.settled_until, START + timedelta(hours=3))
        untouched = self.open_account(self.make_meter("Q5"), start=START)
        self.assertEqual(untouched.settled_until, START)

    def test_only_a_posted_invoice_bills(self):
        self.plants_defect = True  # the invoice is not made by invoicing
        self.sell(100)
        self.use(2, "50")
        wallet = self.account.wallet_ids
        move = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.account.partner_id.id,
                "invoice_date": "2026-03-31",
                "invoice_line_ids": [Command.create({"name": "Use", "price_unit": 30})],
            }
        )
        period = self.env["energy.billing.period"].search([("account_id", "=", self.account.id)])
        period.sudo().write({"move_id": move.id})
        wallet.invalidate_recordset()
        self.assertEqual(wallet.unbilled, 30)
        move.action_post()
        wallet.invalidate_recordset()
        self.assertEqual(wallet.unbilled, 0)
        move.button_draft()
        wallet.invalidate_recordset()
        self.assertEqual(wallet.unbilled, 30)

    def test_many_accounts_take_as_many_queries_as_one(self):
        accounts = self.account | self.other

        def queries(records):
            self.env.invalidate_all()
            records.mapped("balance")
            before = self.env.cr.sql_log_count
            records.mapped("unbilled")
            records.mapped("available")
            records.mapped("settled_until")
            return self.env.cr.sql_log_count - before

        queries(accounts)
        self.assertEqual(queries(accounts), queries(self.account))


@tagged("post_install", "-at_install")
class TestRefund(RequestCase):
    def test_refund_is_carried_out_at_once_up_to_the_limit(self):
        self.sell(150)
        shift = self.open_shift(self.cashier)
        request = self.ask("refund", 100, user=self.cashier)
        self.assertEqual(request.method_id, self.method)
        self.assertFalse(request.needs_second_person)
        request.action_submit()
        self.assertEqual(request.state, "done")
        self.assertFalse(request.decided_by_id)
        entry = self.env["energy.wallet.entry"].search([("key", "=", f"request/{request.id}")])
        self.assertRecordValues(
            entry,
            [
                {
                    "kind": "refund",
                    "amount": -100,
                    "balance_after": 50,
                    "method_id": self.method.id,
                    "journal_id": self.cash.id,
                    "shift_id": shift.id,
                    "user_id": self.cashier.id,
                }
            ],
        )
        request.action_submit()
        self.assertEqual(self.account.balance, 50)

    def test_refund_above_the_limit_waits_for_a_second_person(self):
        self.sell(150)
        request = self.ask("refund", 101, user=self.finance)
        self.assertTrue(request.needs_second_person)
        request.action_submit()
        self.assertEqual(request.state, "waiting")
        self.assertEqual(self.account.balance, 150)
        self.assertEqual(len(request.activity_ids), 1)
        self.assertNotEqual(request.activity_ids.user_id, self.finance)
        with self.refused(AccessError, "second person"):
            request.action_approve()
        with self.refused(AccessError, "role Finance"):
            request.with_env(self.as_user(self.cashier)).action_approve()
        with self.refused(UserError, "not changed"):
            request.amount = 150
        for values in ({"state": "done"}, {"decided_by_id": self.finance.id}):
            with self.refused(AccessError, "buttons"):
                request.write(values)
        request.with_env(self.as_user(self.controller)).action_approve()
        self.assertEqual(request.state, "done")
        self.assertEqual(request.decided_by_id, self.controller)
        self.assertEqual(self.account.balance, 49)
        self.assertFalse(request.activity_ids)
        # Whoever approves as well does not pay twice.
        request.with_env(self.as_user(self.controller)).action_approve()
        self.assertEqual(self.entries(self.account, "refund"), ["-101.00"])

    def test_who_submits_is_the_first_person(self):
        self.sell(150)
        request = self.ask("refund", 101, user=self.cashier)
        request.with_env(self.as_user(self.controller)).action_submit()
        with self.refused(AccessError, "second person"):
            request.with_env(self.as_user(self.controller)).action_approve()
        request.with_env(self.as_user(self.finance)).action_approve()
        self.assertEqual(request.state, "done")

    def test_request_is_not_made_in_another_name(self):
        request = self.ask("refund", 5, requested_by_id=self.controller.id)
        self.assertEqual(request.requested_by_id, self.finance)
        with self.refused(AccessError, "buttons"):
            self.ask("refund", 5, state="waiting")
        with self.refused(AccessError, "buttons"):
            self.ask("refund", 5, decided_by_id=self.controller.id)

    def test_refused_and_cancelled_requests_move_nothing(self):
        self.sell(500)
        refused = self.submit("refund", 200)
        refused.with_env(self.as_user(self.controller)).action_refuse()
        self.assertEqual(refused.state, "refused")
        cancelled = self.submit("refund", 200, user=self.cashier)
        with self.refused(AccessError, "by who asked"):
            cancelled.with_env(self.as_user(self.second_cashier)).action_cancel()
        cancelled.action_cancel()
        for request in (refused, cancelled):
            for action in ("action_approve", "action_submit", "action_cancel"):
                with self.refused(UserError, "Refused|Cancelled"):
                    getattr(request.with_env(self.as_user(self.controller)), action)()
            with self.refused(UserError, "kept"):
                request.unlink()
        self.assertEqual(self.account.balance, 500)

    def test_no_more_than_the_balance_is_paid_back(self):
        self.policy.overdraft = 500
        self.sell(90)
        with self.refused(UserError, "90.00 of the balance of 90.00|can be given"):
            self.submit("refund", 90.01)
        self.submit("refund", 90)
        self.assertEqual(self.account.balance, 0)

    def test_refused_request_is_never_told_done_and_applies_after_a_top_up(self):
        """L8 of the money list: replaying what was refused is refused until it can be done."""
        request = self.ask("refund", 40, method_id=self.method.id)
        for _again in range(3):
            with self.refused(UserError, "can be given"):
                request.action_submit()
            self.assertEqual(request.state, "draft")
        self.sell(50)
        request.action_submit()
        request.action_submit()
        self.assertEqual(request.state, "done")
        self.assertEqual(self.entries(self.account, "refund"), ["-40.00"])
        self.assertEqual(self.account.balance, 10)

    def test_key_of_a_request_takes_no_other_body(self):
        """L7: the key of what was posted is refused for another amount."""
        self.sell(50)
        request = self.submit("refund", 40)
        wallet = self.account.wallet_ids
        draft = request.sudo()._refund_drafts()[0]
        posted = wallet._post([draft], wallet._lock(wallet.ids))
        self.assertFalse(posted)
        other = draft._replace(amount=Decimal("-1.00"))
        with self.refused(UserError, "used before"):
            wallet._post([other], wallet._lock(wallet.ids))

    def test_waiting_refunds_are_not_promised_twice(self):
        self.sell(150)
        first = self.submit("refund", 120)
        self.assertEqual(first.state, "waiting")
        with self.refused(UserError, "wait for approval"):
            self.submit("refund", 40)
        self.submit("refund", 30)
        first.with_env(self.as_user(self.controller)).action_approve()
        self.assertEqual(self.account.balance, 0)

    def test_approval_looks_at_the_balance_again(self):
        self.sell(150)
        request = self.submit("refund", 120)
        self.use(2, "100")
        with self.refused(UserError, "can be given"):
            request.with_env(self.as_user(self.controller)).action_approve()
        self.assertEqual(request.state, "waiting")

    def test_unbilled_credit_is_paid_back_after_its_invoice_only(self):
        self.sell(100)
        self.use(2, "50")
        [(account, _balance, _unbilled)] = (
            self.env["energy.wallet"]._positions(self.account.ids).values()
        )
        self.assertEqual(account, self.account.id)
        # A corrected reading credits more than the open period charged: −20 unbilled.
        refundable = self.env["energy.wallet"]._refundable(
            {
                1: (7, Decimal(90), Decimal(-20)),
                2: (8, Decimal(50), Decimal(0)),
                3: (8, Decimal(-30), Decimal(0)),
                4: (9, Decimal(-5), Decimal(30)),
            }
        )
        self.assertEqual(refundable, {1: Decimal(70), 2: Decimal(20), 3: Decimal(0), 4: Decimal(0)})

    def test_warns_when_more_goes_back_by_a_method_than_came(self):
        card = self.methods.filtered(lambda method: method.kind == "card")
        self.sell(60)
        self.sell(30, method=card)
        request = self.ask("refund", 40)
        self.assertEqual(request.method_id, card)
        self.assertIn("30.00", request.warning)
        request.method_id = self.method
        self.assertFalse(request.warning)

    def test_cash_is_paid_in_a_shift_where_the_company_wants_it(self):
        self.company.energy_requires_shift = True
        self.sell(50)
        request = self.ask("refund", 40, user=self.cashier)
        with self.refused(UserError, "in a shift only"):
            request.action_submit()
        self.open_shift(self.cashier)
        request.action_submit()
        self.assertTrue(request.shift_id)

    def test_refund_has_a_receipt(self):
        self.sell(50)
        request = self.submit("refund", 40, user=self.cashier)
        request.action_print_receipt()
        receipt = self.env["energy.receipt"].search([("entry_key", "=", f"request/{request.id}")])
        self.assertRecordValues(receipt, [{"kind": "refund", "amount": 40, "balance_after": 10}])

    def test_refund_switches_off(self):
        self.sell(50)
        self.read(self.meter, START + timedelta(hours=1), "0")
        self.settle()
        self.assertNotEqual(self.meter.control_id.wanted, "off")
        self.submit("refund", 50)
        self.assertEqual(self.meter.control_id.wanted, "off")

    def test_amounts_that_are_none_are_refused(self):
        self.sell(50)
        for amount in (float("nan"), float("inf"), 10.005, 1e13):
            with self.refused(UserError):
                self.submit("refund", amount)
        for amount in (0, -5):
            with self.refused(UserError, "above zero"):
                self.submit("refund", amount)
        self.assertEqual(self.account.balance, 50)

    def test_only_cashiers_and_finance_ask(self):
        self.sell(50)
        for role in ("viewer", "operator", "engineer"):
            with self.refused(AccessError):
                self.ask("refund", 5, user=self.make_user(role))
        for kind in ("transfer", "adjustment", "write_off"):
            request = self.ask(kind, 5, user=self.cashier)
            with self.refused(AccessError, "by finance"):
                request.action_submit()


@tagged("post_install", "-at_install")
class TestTransfer(RequestCase):
    def test_transfer_conserves_the_value(self):
        self.sell(100)
        request = self.ask("transfer", 80, to_account_id=self.other.id)
        self.assertIn("another customer", request.warning)
        request.action_submit()
        self.assertEqual((self.account.balance, self.other.balance), (20, 80))
        out, into = (
            self.env["energy.wallet.entry"].search([("key", "=", f"request/{request.id}/{side}")])
            for side in ("out", "in")
        )
        self.assertEqual((out.kind, into.kind), ("transfer", "transfer"))
        self.assertEqual((out.cause_key, into.cause_key), (into.key, out.key))
        self.assertEqual(out.amount + into.amount, 0)
        action = request.action_open_entries()
        self.assertEqual(self.env["energy.wallet.entry"].search(action["domain"]), out | into)

    def test_transfer_takes_no_overdraft(self):
        self.policy.overdraft = 500
        self.sell(100)
        with self.refused(UserError, "can be given"):
            self.submit("transfer", 100.01, to_account_id=self.other.id)
        self.submit("transfer", 100, to_account_id=self.other.id)

    def test_transfer_needs_another_balance_of_the_company(self):
        self.sell(100)
        for values in ({}, {"to_account_id": self.account.id}):
            with self.refused(UserError, "another balance"):
                self.submit("transfer", 5, **values)
        with self.refused(ValidationError, "another account"):
            self.ask(
                "transfer",
                5,
                to_account_id=self.other.id,
                to_wallet_id=self.account.wallet_ids.id,
            )

    def test_transfer_switches_the_other_on(self):
        meter = self.other.supply_ids.meter_id
        self.read(meter, START + timedelta(hours=1), "10")
        self.settle()
        self.assertEqual(meter.control_id.wanted, "off")
        self.sell(100)
        self.submit("transfer", 50, to_account_id=self.other.id)
        self.assertEqual(meter.control_id.wanted, "on")
        self.assertEqual(self.other.entry_ids[0].command_ids.value, "on")


@tagged("post_install", "-at_install")
class TestCorrections(RequestCase):
    reasoned = {"reason": "goodwill", "remark": "Lift out of order"}

    def test_adjustment_needs_a_reason_and_above_the_limit_a_second_person(self):
        for values in ({}, {"reason": "other"}, {"reason": "other", "remark": "  "}):
            with self.refused(UserError, "reason"):
                self.submit("adjustment", 5, **values)
        self.submit("adjustment", 20, **self.reasoned)
        self.submit("adjustment", -5, **self.reasoned)
        self.assertEqual(self.entries(self.account, "adjustment"), ["20.00", "-5.00"])
        for amount in (20.01, -20.01):
            request = self.submit("adjustment", amount, **self.reasoned)
            self.assertEqual(request.state, "waiting")
        self.company.energy_adjustment_limit = 0
        self.assertEqual(self.submit("adjustment", 0.01, **self.reasoned).state, "waiting")
        request.with_env(self.as_user(self.controller)).action_approve()
        self.assertEqual(f"{self.account.balance:.2f}", "-5.01")

    def test_write_off_gives_up_a_debt_and_no_more(self):
        self.company.energy_adjustment_limit = 1000
        with self.refused(UserError, "below zero"):
            self.submit("write_off", 5, **self.reasoned)
        self.use(2, "50")
        self.assertEqual(self.account.balance, -30)
        with self.refused(UserError, "30.00"):
            self.submit("write_off", 30.01, **self.reasoned)
        request = self.ask("write_off", **self.reasoned)
        self.assertEqual(request.amount, 30)
        request.action_submit()
        self.assertEqual(self.entries(self.account, "write_off"), ["30.00"])
        self.assertEqual(self.account.balance, 0)


@tagged("post_install", "-at_install")
class TestReversal(RequestCase):
    def reverse(self, entry, user=None, submit=True):
        action = entry.with_env(self.as_user(user or self.cashier)).action_reverse()
        values = {name.removeprefix("default_"): value for name, value in action["context"].items()}
        request = self.as_user(user or self.cashier)["energy.balance.request"].create(values)
        if submit:
            request.action_submit()
        return request

    def test_cashier_reverses_the_top_up_of_the_day(self):
        shift = self.open_shift(self.cashier)
        entry = self.sell(500, shift=shift)
        request = self.reverse(entry)
        self.assertEqual(request.state, "done")
        reversal = self.env["energy.wallet.entry"].search([("key", "=", f"reversal/{entry.key}")])
        self.assertRecordValues(
            reversal,
            [
                {
                    "kind": "reversal",
                    "amount": -500,
                    "balance_after": 0,
                    "cause_key": entry.key,
                    "method_id": self.method.id,
                    "shift_id": shift.id,
                    "period_id": False,
                }
            ],
        )
        self.assertFalse(entry.can_be_reversed)
        self.assertFalse(reversal.can_be_reversed)

    def test_top_up_is_reversed_once(self):
        entry = self.sell(50)
        request = self.reverse(entry)
        self.sell(200)
        self.assertEqual(entry.action_reverse()["res_id"], request.id)
        for user in (self.cashier, self.finance):
            again = self.ask("reversal", user=user, entry_key=entry.key)
            with self.refused(UserError, "reversed already"):
                again.action_submit()
            self.assertEqual(again.state, "draft")
        self.assertEqual(self.entries(self.account, "reversal"), ["-50.00"])

    def test_of_two_waiting_reversals_one_is_carried_out(self):
        entry = self.sell(50, user=self.second_cashier)
        requests = [self.ask("reversal", user=self.cashier, entry_key=entry.key) for _ in range(2)]
        for request in requests:
            request.action_submit()
            self.assertEqual(request.state, "waiting")
        finance = self.as_user(self.finance)
        requests[0].with_env(finance).action_approve()
        with self.refused(UserError, "reversed already"):
            requests[1].with_env(finance).action_approve()

    def test_what_a_cashier_may_not_reverse_waits_for_finance(self):
        def waits(entry, user=None):
            request = self.reverse(entry, user=user)
            self.assertEqual(request.state, "waiting")
            request.action_cancel()

        waits(self.sell(50), user=self.second_cashier)
        shift = self.open_shift(self.cashier)
        counted = self.sell(60, shift=shift)
        self.env.cr.execute("UPDATE energy_shift SET state = 'closed' WHERE id = %s", [shift.id])
        shift.invalidate_recordset()
        waits(counted)
        self.submit("refund", 80)
        waits(self.sell(5) and counted)
        yesterday = self.sell(10)
        self.set_clock(START + timedelta(days=1))
        waits(yesterday)
        request = self.reverse(yesterday, user=self.finance)
        self.assertEqual(request.state, "done")

    def test_finance_reverses_below_zero_and_supply_goes_off(self):
        entry = self.sell(50)
        self.use(2, "50")
        self.assertNotEqual(self.meter.control_id.wanted, "off")
        request = self.reverse(entry)
        self.assertEqual(request.state, "waiting")
        request.with_env(self.as_user(self.finance)).action_approve()
        self.assertEqual(self.account.balance, -30)
        self.assertEqual(self.meter.control_id.wanted, "off")

    def test_service_fee_goes_back_with_its_top_up(self):
        self.company.energy_service_fee_percent = 2
        entry = self.sell(100)
        wallet = self.account.wallet_ids
        fee = self.env["energy.wallet.entry"].search([("cause_key", "=", entry.key)])
        self.assertEqual((wallet.balance, wallet.unbilled, fee.amount), (98, 2, -2))
        request = self.reverse(entry)
        self.assertEqual(request.state, "done")
        reversals = self.env["energy.wallet.entry"].search(
            [("key", "in", [f"reversal/{entry.key}", f"reversal/{fee.key}"])], order="id"
        )
        self.assertRecordValues(
            reversals,
            [
                {"kind": "reversal", "amount": -100, "cause_key": entry.key, "period_id": False},
                {
                    "kind": "reversal",
                    "amount": 2,
                    "cause_key": fee.key,
                    "period_id": fee.period_id.id,
                },
            ],
        )
        self.assertEqual((wallet.balance, wallet.unbilled), (0, 0))

    def test_only_whole_top_ups_of_the_balance_are_reversed(self):
        entry = self.sell(50)
        self.use(1, "10")
        use = self.account.entry_ids.filtered(lambda one: one.kind == "use")
        for values, pattern in (
            ({"entry_key": use.key}, "that was wrong"),
            ({"entry_key": "no such entry"}, "that was wrong"),
            ({"entry_key": entry.key, "amount": 20}, "as a whole"),
            ({"entry_key": entry.key, "account": self.other}, "another balance"),
        ):
            with self.refused(UserError, pattern):
                self.submit("reversal", **values)


@tagged("post_install", "-at_install")
class TestPlantedDefects(RequestCase):
    """What the properties above must catch."""

    def test_refund_without_looking_is_caught(self):
        request = self.ask("refund", 40, method_id=self.method.id)
        with patch.object(type(request), "_check_refundable", lambda self, locked: None):
            request.action_submit()
        self.assertEqual(self.account.balance, -40, "the floor is only in _check_refundable")

    def test_second_reversal_without_looking_is_told_done(self):
        entry = self.sell(50)
        first = self.submit("reversal", user=self.cashier, entry_key=entry.key)
        self.sell(60)
        again = self.ask("reversal", user=self.cashier, entry_key=entry.key)
        with patch.object(type(first), "_check_reversal", lambda self, locked: None):
            again.action_submit()
        # The ledger's key still keeps the money right; the person would be told a falsehood.
        self.assertEqual(again.state, "done")
        self.assertEqual(self.entries(self.account, "reversal"), ["-50.00"])
