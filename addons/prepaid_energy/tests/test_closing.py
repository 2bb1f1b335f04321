from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import START
from .test_account_change import ChangeCase

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class ClosingCase(ChangeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("C1")
        cls.account = cls.open_account(cls.meter, register=100)

    def all_entries(self, account):
        """Return an account's entries as (kind, amount), oldest first."""
        return [(entry.kind, f"{entry.amount:.2f}") for entry in account.entry_ids.sorted("id")]

    def balance(self, account):
        return f"{sum(account.wallet_ids.mapped('balance')):.2f}"

    def command(self, meter, value="on"):
        self.env["energy.command"]._command(
            [
                {
                    "meter_id": meter.id,
                    "kind": "supply",
                    "value": value,
                    "mode": "prepaid",
                    "cause": "policy",
                    "user_id": self.env.uid,
                }
            ]
        )
        return self.env["energy.command"].search([("meter_id", "=", meter.id)], limit=1)


@tagged("post_install", "-at_install")
class TestClosing(ClosingCase):
    """Final reading, last deductions, end of the supplies, and what is left."""

    def test_closing_with_a_typed_register_of_an_offline_meter(self):
        self.top_up(self.account, 50)
        self.read(self.meter, START + HOUR, "110")
        self.set_clock(START + 3 * HOUR)
        change = self.change(self.account, "close", registers={self.meter: 130})
        line = change.line_ids
        self.assertEqual((line.read_at, line.proposed_register), (START + HOUR, 110))
        # 30 kWh at 0.60; the reading of one o'clock was not charged before.
        self.assertEqual(
            self.all_entries(self.account)[:2], [("top_up", "50.00"), ("use", "-18.00")]
        )
        self.assertEqual(self.account.state, "closed")
        self.assertEqual(self.account.closed_at, START + 3 * HOUR)
        supply = self.account.supply_ids
        self.assertEqual((supply.end_at, supply.closing_register), (START + 3 * HOUR, 130))
        self.assertFalse(self.meter.account_id)
        self.assertFalse(self.account.occupancy_ids.filtered(lambda o: not o.end_at))
        self.assertFalse(
            self.env["energy.settlement.queue"].search([("meter_id", "=", self.meter.id)])
        )
        with self.refused(UserError, "in state"):
            self.change(self.account, "close")
        # What the meter counts now is nobody's.
        self.read(self.meter, START + 4 * HOUR, "140")
        self.settle()
        self.assertEqual(self.entries(self.account), ["-18.00"])

    def test_closing_at_a_past_moment_takes_back_what_was_charged_beyond(self):
        self.top_up(self.account, 500)
        self.read(self.meter, START + 40 * DAY, "300")
        self.settle()
        self.assertEqual(self.entries(self.account), ["-93.00", "-27.00"])
        change = self.change(self.account, "close", moment=START + 20 * DAY, leftover="refund")
        self.assertEqual(change.line_ids.register, 200, "half of 200 kWh on the straight line")
        self.assertEqual(sum(map(Decimal, self.entries(self.account))), Decimal("-60.00"))
        self.assertFalse(
            self.env["energy.usage"].search(
                [("account_id", "=", self.account.id), ("local_date", ">", "2026-03-20")]
            )
        )

    def test_registers_and_moments_that_cannot_be_known_are_refused(self):
        self.read(self.meter, START + DAY, "150")
        self.set_clock(START + DAY + HOUR)
        with self.refused(UserError, "C1: 140.* stated, ≥ 150 expected"):
            self.change(self.account, "close", registers={self.meter: 140})
        with self.refused(UserError, "C1: 160.* stated, 100 - 150 expected"):
            self.change(self.account, "close", moment=START + HOUR, registers={self.meter: 160})
        with self.refused(UserError, "lies in the future"):
            self.change(self.account, "close", moment=START + 2 * DAY)
        with self.refused(UserError, "does not last at"):
            self.change(self.account, "close", moment=START)
        self.assertEqual(self.account.state, "active")
        self.assertFalse(self.env["energy.reading"].search([("state", "=", "held")]))

    def test_debt_stays_and_can_still_be_paid(self):
        self.top_up(self.account, 10)
        self.set_clock(START + HOUR)
        self.change(self.account, "close", registers={self.meter: 200})
        self.assertEqual(self.balance(self.account), "-50.00")
        self.assertEqual(self.commands(self.meter), [], "a closed account is not cut")
        with self.refused(UserError, "owes .*50.00: it takes no more"):
            self.top_up(self.account, 50.01)
        self.top_up(self.account, 20)
        entry = self.top_up(self.account, 30, key="debt")
        self.assertEqual(self.top_up(self.account, 30, key="debt"), entry)
        self.assertEqual(self.balance(self.account), "0.00")
        with self.refused(UserError, "takes no top-up"):
            self.top_up(self.account, 1)

    def test_balances_of_several_commodities_pay_for_each_other(self):
        water_tariff = self.make_tariff("Water", {"flat": ["3.000000"]}, commodity="water")
        power, water = self.make_meter("C2"), self.make_meter("C3", commodity="water")
        account = self.open_account(power, has_wallet_per_commodity=True, activate=False)
        self.env["energy.supply"].create(
            {
                "account_id": account.id,
                "meter_id": water.id,
                "start_at": START,
                "tariff_id": water_tariff.id,
                "multiplier": 1,
            }
        )
        account.action_activate()
        account._wallet("electricity")._top_up(100, "power", self.method)
        self.set_clock(START + HOUR)
        self.change(account, "close", registers={power: 50, water: 4})
        # 100 - 50 x 0.60 = 70 pays 4 x 3.00 = 12; 58 are left.
        self.assertEqual(
            [entry[1] for entry in self.all_entries(account) if entry[0] == "transfer"],
            ["-12.00", "12.00"],
        )
        self.assertEqual(f"{account._wallet('water').balance:.2f}", "0.00")

    def test_what_is_left_moves_to_another_account_of_the_customer(self):
        other = self.open_account(self.make_meter("C4"), partner_id=self.account.partner_id.id)
        stranger = self.open_account(self.make_meter("C5"))
        self.top_up(self.account, 50)
        self.set_clock(START + HOUR)
        with self.refused(UserError, "another open account"):
            self.change(self.account, "close", leftover="transfer", to_account_id=stranger.id)
        self.change(
            self.account,
            "close",
            leftover="transfer",
            to_account_id=other.id,
            registers={self.meter: 110},
        )
        self.assertEqual(self.balance(self.account), "0.00")
        self.assertEqual(self.balance(other), "44.00")
        legs = self.env["energy.wallet.entry"].search([("kind", "=", "transfer")])
        self.assertEqual(set(legs.mapped("cause_key")), set(legs.mapped("key")))

    def test_everything_in_the_way_is_named_at_once(self):
        """L14: an unknown command, a held reading and a waiting refund."""
        self.top_up(self.account, 50)
        self.read(self.meter, START + HOUR, "110")
        self.settle()
        command = self.command(self.meter)
        command._sent("on")
        self.read(self.meter, START + 2 * HOUR, "90")
        refund = self.env["energy.balance.request"].create(
            {
                "kind": "refund",
                "account_id": self.account.id,
                "amount": 5,
                "method_id": self.method.id,
            }
        )
        self.company.energy_refund_limit = 1
        refund.action_submit()
        self.assertEqual(refund.state, "waiting")
        change = self.change(self.account, "close", confirm=False, registers={self.meter: 120})
        named = (
            rf"(?s)C1 #{command.number} Supply On was sent and not read back.*"
            rf"reading 90 of meter C1 of .* is held.*{refund.name} of .*5.00 waits"
        )
        self.assertRegex(change.obstacles, named)
        with self.refused(UserError, named):
            change.action_confirm()
        self.assertEqual((self.account.state, change.state), ("active", "draft"))
        # Planted defects: what is not looked at is not named.
        for check in ("_waiting_commands", "_held_readings", "_waiting_requests"):
            with patch.object(type(self.account), check, lambda *_args: []):
                self.assertNotRegex(
                    "\n".join(self.account._closing_obstacles(change.moment)), named
                )
        command._confirm("on")
        refund.action_cancel()
        self.read(self.meter, START + 3 * HOUR, "115")
        change.moment = START + 3 * HOUR
        self.assertFalse(change.obstacles)
        # A command that waits to be sent may still be sent.
        later = self.command(self.meter, "off")
        with self.refused(UserError, "waits to be sent"):
            change.action_confirm()
        later._fail("Given up")
        self.assertEqual(change.line_ids.register, 115)
        change.action_confirm()
        self.assertEqual(self.account.state, "closed")

    def test_use_without_a_price_is_in_the_way(self):
        self.env["energy.settlement.problem"]._record(self.account.id, "No price")
        self.set_clock(START + HOUR)
        with self.refused(UserError, "not charged: No price"):
            self.change(self.account, "close")

    def test_closing_invoices_and_asks_for_the_refund(self):
        self.top_up(self.account, 50)
        self.env["energy.booking"]._book(self.account.entry_ids)
        self.set_clock(START + 10 * DAY)
        change = self.change(self.account, "close", registers={self.meter: 130})
        period = self.env["energy.billing.period"].search([("account_id", "=", self.account.id)])
        self.assertEqual(
            (str(period.date_from), str(period.date_to), period.state),
            ("2026-03-01", "2026-03-11", "invoiced"),
        )
        invoice = period.move_id
        self.assertEqual((invoice.amount_total, invoice.payment_state), (18, "paid"))
        self.assertEqual(self.account.unbilled, 0)
        request = change.request_ids
        self.assertEqual((request.kind, request.amount), ("refund", 32))
        self.assertEqual(request.method_id, self.method)
        self.assertEqual(change.action_open_requests()["domain"], [("id", "in", request.ids)])

    def test_postpaid_account_gets_its_last_bill(self):
        meter = self.make_meter("C6")
        account = self.open_account(meter, payment_mode="postpaid")
        self.set_clock(START + DAY)
        self.change(account, "close", registers={meter: 30})
        self.assertEqual(self.all_entries(account), [("use", "-18.00"), ("billed", "18.00")])
        invoice = self.env["account.move"].search(
            [("energy_period_id.account_id", "=", account.id)]
        )
        self.assertEqual((invoice.amount_residual, invoice.state), (18, "posted"))
        self.assertFalse(account.balance_request_ids)

    def test_refund_that_an_operator_causes_waits_for_finance(self):
        self.company.energy_refund_limit = 1000
        self.top_up(self.account, 50)
        self.set_clock(START + HOUR)
        operator = self.new_user("operator", "closing_operator")
        change = (
            self.env["energy.account.change"]
            .with_user(operator)
            .create({"kind": "close", "account_id": self.account.id, "reason": "Moves out"})
        )
        change.action_confirm()
        self.assertEqual(self.account.state, "closed")
        request = self.account.balance_request_ids
        self.assertEqual((request.state, request.requested_by_id), ("waiting", operator))
        self.assertEqual(self.balance(self.account), "50.00")
        finance = self.new_user("finance", "closing_finance")
        request.with_user(finance).action_approve()
        self.assertEqual(self.balance(self.account), "0.00")
        self.assertEqual(
            self.all_entries(self.account), [("top_up", "50.00"), ("refund", "-50.00")]
        )

    def test_supply_off_after_closing_is_a_persons_order(self):
        self.set_clock(START + HOUR)
        self.change(self.account, "close", is_supply_off=True)
        self.assertEqual(self.commands(self.meter), [(1, "supply", "off", "queued")])
        self.assertEqual(self.meter.control_id.mode, "forced_off")

    def test_reopened_account_goes_on_with_its_meters(self):
        self.top_up(self.account, 50)
        self.set_clock(START + HOUR)
        self.change(self.account, "close", registers={self.meter: 110})
        self.set_clock(START + 5 * HOUR)
        change = self.change(self.account, "reopen", registers={self.meter: 130})
        self.assertEqual(self.account.state, "active")
        self.assertFalse(self.account.closed_at)
        self.assertEqual(change.line_ids.supply_id, self.account.supply_ids.sorted("start_at")[0])
        self.read(self.meter, START + 6 * HOUR, "140")
        self.settle()
        # 10 kWh before, 10 after, 20 in between for nobody.
        self.assertEqual(self.balance(self.account), "38.00")
        self.assertEqual(
            self.account.occupancy_ids.filtered(lambda o: not o.end_at).room_id.ids,
            self.account.room_ids.ids,
        )
        self.account.balance_request_ids.action_cancel()
        self.set_clock(START + 7 * HOUR)
        self.change(self.account, "close")
        self.set_clock(START + 8 * HOUR)
        self.open_account(self.meter, start=START + 8 * HOUR, register=150)
        with self.refused(UserError, "C1 serves account"):
            self.change(self.account, "reopen")


@tagged("post_install", "-at_install")
class TestChangeOfCustomer(ClosingCase):
    """One closes, the other opens at the same moment with the same register."""

    def hand_over(self, moment, register, **values):
        change = self.change(
            self.account,
            "customer",
            moment=moment,
            registers={self.meter: register},
            new_partner_id=self.env["res.partner"].create({"name": "Successor"}).id,
            **values,
        )
        return change.new_account_id

    def test_charges_land_on_the_side_of_their_reading(self):
        """L13: readings before and after the moment wait to be charged when it is carried out."""
        self.top_up(self.account, 100)
        self.read(self.meter, START + 1 * HOUR, "110")
        self.read(self.meter, START + 3 * HOUR, "130")
        self.set_clock(START + 4 * HOUR)
        new = self.hand_over(START + 2 * HOUR, 120, leftover="transfer")
        self.settle()
        # 20 kWh before, 10 kWh after, at 0.60; 88.00 were left.
        self.assertEqual(
            self.all_entries(self.account),
            [("top_up", "100.00"), ("use", "-12.00"), ("transfer", "-88.00")],
        )
        self.assertEqual(self.all_entries(new), [("transfer", "88.00"), ("use", "-6.00")])
        self.assertEqual(new.supply_ids.opening_register, 120)
        self.assertEqual(new.supply_ids.tariff_id, self.flat_tariff)
        self.assertEqual(new.credit_policy_id, self.policy)
        self.assertEqual(new.room_ids, self.account.room_ids)
        self.assertEqual(self.meter.account_id, new)
        self.assertEqual(self.meter.property_id._main_occupancy().account_id, new)
        # Later and again: nothing moves.
        self.read(self.meter, START + 3 * HOUR, "130")
        self.settle()
        self.assertEqual(self.balance(new), "82.00")

    def test_charges_posted_before_move_with_their_reading(self):
        self.top_up(self.account, 100)
        self.read(self.meter, START + 1 * HOUR, "110")
        self.read(self.meter, START + 3 * HOUR, "130")
        self.settle()
        self.assertEqual(self.entries(self.account), ["-18.00"])
        new = self.hand_over(START + 2 * HOUR, 120, leftover="transfer")
        self.settle()
        self.assertEqual(self.entries(self.account), ["-18.00", "6.00"])
        self.assertEqual(self.entries(new), ["-6.00"])
        self.assertEqual(self.balance(self.account), "0.00")
        self.assertEqual(self.balance(new), "82.00")

    def test_balance_is_paid_back_instead(self):
        self.company.energy_refund_limit = 1
        self.top_up(self.account, 50)
        self.set_clock(START + HOUR)
        new = self.hand_over(START + HOUR, 110, leftover="refund")
        self.assertEqual(self.balance(self.account), "44.00")
        self.assertEqual(self.account.balance_request_ids.state, "waiting")
        self.assertFalse(new.entry_ids)
        self.assertEqual(new.action_open_changes()["domain"], [("account_id", "in", new.ids)])

    def test_debt_stays_with_who_made_it(self):
        self.set_clock(START + HOUR)
        new = self.hand_over(START + HOUR, 200, leftover="transfer")
        self.assertEqual(self.balance(self.account), "-60.00")
        self.assertEqual(self.balance(new), "0.00")

    def test_late_difference_stays_with_the_former_customer(self):
        self.top_up(self.account, 100)
        tariff = self.make_tariff(
            "Days",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 20)],
            rest="valley",
        )
        self.account.supply_ids._set_tariff(tariff, START + HOUR)
        self.set_clock(START + 24 * HOUR)
        new = self.hand_over(START + 24 * HOUR, 340, leftover="transfer")
        self.read(self.meter, START + 36 * HOUR, "400")
        self.settle()
        before = {account: self.balance(account) for account in (self.account, new)}
        # 240 kWh on a straight line: 10 an hour. In truth all but 10 were used at night.
        self.read(self.meter, START + 8 * HOUR, "330")
        self.settle()
        self.assertEqual(self.balance(new), before[new])
        difference = Decimal(self.balance(self.account)) - Decimal(before[self.account])
        self.assertGreater(difference, 0)
        activity = self.account.activity_ids
        self.assertEqual(len(activity), 1)
        self.assertIn(f"{difference:.2f}", activity.summary)
        self.assertEqual(activity.user_id, self.account._finance_user())

    def test_checker_finds_use_of_the_former_customer_at_the_next(self):
        """A planted defect: settling that looks at who has the meter now."""
        self.set_clock(START + 2 * HOUR)
        new = self.hand_over(START + 2 * HOUR, 120)
        self.settle()
        rating = type(self.env["energy.rating"])
        load = rating._load_works

        def load_of_present(records, account_ids, queued):
            works = load(records, account_ids, queued)
            for work in works:
                if work.end is None:
                    work.start, work.terms = START, [(START, *work.terms[0][1:])]
            return [work for work in works if work.end is None]

        with patch.object(rating, "_load_works", load_of_present):
            self.read(self.meter, START + HOUR, "105")
            self.settle()
        self.assertEqual(self.balance(new), "-12.00")
        self.plants_defect = True
        findings = self.env["energy.checker"]._rule_usage()[1]
        self.assertTrue(any("C1" in text for _company, text in findings), findings)
