from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from .common import START, EnergyCase


@tagged("post_install", "-at_install")
class TestCounter(EnergyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("DDS7000001")
        cls.meter.property_id.code = "A-0101"
        cls.account = cls.open_account(cls.meter)
        cls.account.partner_id.phone = "+86 138 0013 8000"
        cls.cashier = cls.new_user("cashier", "counter_cashier")
        cls.till = cls.env(
            user=cls.cashier, context={"allowed_company_ids": cls.company.ids, "lang": "en_US"}
        )
        cls.cash = cls.methods.filtered(lambda method: method.kind == "cash")
        cls.card = cls.methods.filtered(lambda method: method.kind == "card")

    def counter(self, amount, **values):
        return self.till["energy.top.up"].create(
            {"account_id": self.account.id, "amount": amount, **values}
        )

    def go_dark(self):
        """Use 12.00 for nothing paid: the supply is ordered off for arrears."""
        self.read(self.meter, START + timedelta(hours=1), "20")
        self.settle()
        self.assertEqual(self.commands(self.meter)[-1][2], "off")

    # --- finding the account -----------------------------------------------------------------

    def find(self, text, **context):
        found = self.till["energy.account"].with_context(**context).name_search(text)
        return [account_id for account_id, _name in found]

    def test_account_is_found_by_what_a_customer_can_say_or_show(self):
        other = self.open_account(self.make_meter("DDS70000011"))
        for text in (
            self.account.name,
            "DDS7000001",
            "dds7000001",
            "A-0101",
            "Room DDS7000001",
            "13800138000",
            "138 0013 8000",
            "+86 138 0013 8000",
            "00138",
            "Tenant DDS7000001",
        ):
            self.assertIn(self.account.id, self.find(text), text)
        # The counter takes a whole number for what it is.
        self.assertEqual(set(self.find("DDS7000001")), {self.account.id, other.id})
        for text in ("DDS7000001", "a-0101", "13800138000", self.account.name):
            self.assertEqual(self.find(text, energy_counter=True), self.account.ids, text)
        self.assertEqual(set(self.find("DDS700", energy_counter=True)), {self.account.id, other.id})
        # What is typed is no pattern.
        self.assertFalse(self.till["energy.account"]._by_whole_number("DDS70000_1"))

    def test_meter_that_serves_somebody_else_now_does_not_find_who_had_it(self):
        self.env.flush_all()
        self.account.supply_ids.sudo().end_at = START + timedelta(hours=1)
        self.set_clock(START + timedelta(hours=2))
        self.env["energy.occupancy"].search([("account_id", "=", self.account.id)])._end(
            START + timedelta(hours=1)
        )
        self.account.room_ids = False
        self.account.partner_id.name = "Somebody"
        self.assertNotIn(self.account.id, self.find("DDS7000001"))
        after = self.open_account(self.meter, start=START + timedelta(hours=1), register=0.0)
        self.assertEqual(self.find("DDS7000001", energy_counter=True), after.ids)

    # --- selling -----------------------------------------------------------------------------

    def test_money_is_taken_and_the_counter_says_what_became_of_it(self):
        top_up = self.counter(50)
        self.assertEqual(top_up.method_id, self.cash)
        action = top_up.action_confirm()
        self.assertEqual(action["res_id"], top_up.id)
        self.assertEqual(top_up.state, "done")
        self.assertEqual(
            (top_up.fee_taken, top_up.towards_debt, top_up.prepaid, top_up.balance_after),
            (0, 0, 50, 50),
        )
        self.assertEqual(top_up.result, "Supply is on.")
        self.assertEqual(top_up.receipt_name, "R2026-000001")
        receipt = self.env["energy.receipt"].search([("entry_key", "=", top_up.key)])
        self.assertEqual(action["context"]["energy_print"], [f"/energy/receipt/{receipt.id}/a5"])
        self.assertEqual(self.account.entry_ids.user_id, self.cashier)
        # Pressed again.
        top_up.action_confirm()
        self.assertEqual(self.entries(self.account, "top_up"), ["50.00"])
        self.assertEqual(self.env["energy.receipt"].search_count([]), 1)
        self.assertNotIn("res_id", top_up.action_next())

    def test_counter_without_paper_still_draws_the_receipt(self):
        top_up = self.counter(50, paper="none")
        self.assertEqual(top_up.action_confirm()["context"]["energy_print"], [])
        self.assertTrue(top_up.receipt_name)

    def test_method_and_paper_of_the_cashier_come_back(self):
        self.counter(50, method_id=self.card.id, reference="4711", paper="roll").action_confirm()
        next_one = Form(self.till["energy.top.up"])
        next_one.account_id = self.account
        self.assertEqual(next_one.method_id, self.card)
        self.assertEqual(next_one.paper, "roll")
        self.card.active = False
        self.assertEqual(self.counter(5).method_id, self.cash)

    def test_reference_is_typed_where_the_method_wants_it(self):
        for reference in (False, "  "):
            with self.refused(UserError, "Type the number"):
                self.counter(5, method_id=self.card.id, reference=reference).action_confirm()
        self.counter(5, method_id=self.card.id, reference=" 4711 ").action_confirm()
        self.assertEqual(self.account.entry_ids.reference, "4711")
        self.assertEqual(self.account.entry_ids.method_id, self.card)

    def test_energy_debt_comes_first(self):
        self.go_dark()
        top_up = self.counter(50)
        self.assertEqual((top_up.balance, top_up.debt), (-12, 12))
        self.assertIn("more brings", top_up.supply_note)
        top_up.action_confirm()
        self.assertEqual((top_up.towards_debt, top_up.prepaid, top_up.balance_after), (12, 38, 38))
        self.assertEqual(top_up.result, "Supply on has been ordered.")
        self.assertFalse(top_up.stays_off)

    # --- questions ---------------------------------------------------------------------------

    def assertAsked(self, top_up, *patterns):
        top_up.action_confirm()
        self.assertEqual(top_up.state, "ask")
        lines = top_up.question.splitlines()
        self.assertEqual(len(lines), len(patterns), lines)
        for line, pattern in zip(lines, patterns, strict=True):
            self.assertRegex(line, pattern)

    def test_same_account_and_amount_within_two_minutes_is_asked(self):
        self.counter(50).action_confirm()
        self.set_clock(START + timedelta(seconds=119))
        again = self.counter(50)
        self.assertAsked(again, "50.00 was taken .* 119 seconds ago by counter_cashier")
        self.assertEqual(len(self.account.entry_ids), 1)
        again.action_take_anyway()
        self.assertEqual(again.state, "done")
        self.assertEqual(self.account.balance, 100)
        other_amount = self.counter(51)
        other_amount.action_confirm()
        self.assertEqual(other_amount.state, "done")
        self.set_clock(START + timedelta(seconds=240))
        later = self.counter(50)
        later.action_confirm()
        self.assertEqual(later.state, "done")

    def test_amount_above_the_limit_is_asked(self):
        self.company.energy_top_up_limit = 1000
        at_limit = self.counter(1000)
        at_limit.action_confirm()
        self.assertEqual(at_limit.state, "done")
        above = self.counter(1000.01)
        self.assertAsked(above, "1,000.01 is more than .*1,000.00")
        above.action_back()
        self.assertEqual(above.state, "typed")
        above.amount = 10
        above.action_confirm()
        self.assertEqual(above.state, "done")

    def test_account_that_stays_off_is_asked_and_told_what_is_missing(self):
        self.go_dark()
        # At -12.00 it comes on above 0.00: 12.00 leaves one cent missing.
        top_up = self.counter(12)
        self.assertAsked(top_up, "Supply stays off: .*0.01 more is needed")
        self.assertEqual(self.account.balance, -12)
        top_up.action_take_anyway()
        self.assertTrue(top_up.stays_off)
        self.assertRegex(top_up.result, "0.01 more")
        enough = self.counter(0.01)
        enough.action_confirm()
        self.assertEqual(enough.state, "done")
        self.assertEqual(enough.result, "Supply on has been ordered.")

    def test_fee_counts_in_what_is_missing(self):
        self.go_dark()
        self.company.energy_service_fee_percent = 1
        # 12.12 less a fee of 0.12 is 12.00.
        self.assertAsked(self.counter(12.12), "0.01 more is needed")
        enough = self.counter(12.13)
        enough.action_confirm()
        self.assertEqual(enough.balance_after, 0.01)

    def test_supply_that_a_person_switched_off_is_asked_about(self):
        self.meter.control_id._order_by_person("off", "Renovation")
        top_up = self.counter(50)
        self.assertAsked(top_up, "DDS7000001 was switched off by a person")
        top_up.action_take_anyway()
        self.assertTrue(top_up.stays_off)

    def test_all_questions_stand_on_one_screen(self):
        self.go_dark()
        self.company.energy_top_up_limit = 4
        self.counter(5).action_confirm()
        self.assertFalse(self.entries(self.account, "top_up"))
        first = self.counter(5)
        self.assertAsked(first, "more than", "7.01 more")
        first.action_take_anyway()
        self.assertAsked(self.counter(5), "was taken", "more than", "2.01 more")

    def test_question_is_for_what_was_asked_about(self):
        self.company.energy_top_up_limit = 10
        top_up = self.counter(11)
        self.assertAsked(top_up, "11.00")
        top_up.amount = 5000
        top_up.action_take_anyway()
        self.assertEqual(top_up.state, "ask")
        self.assertIn("5,000.00", top_up.question)
        self.assertFalse(self.account.entry_ids)

    # --- several balances --------------------------------------------------------------------

    def test_balance_in_deepest_debt_is_proposed_else_the_one_that_is_off(self):
        water_tariff = self.make_tariff("Water", {"flat": ["4.000000"]}, commodity="water")
        power, water = self.make_meter("E1"), self.make_meter("W1", commodity="water")
        account = self.open_account(power, activate=False, has_wallet_per_commodity=True)
        self.env["energy.supply"].create(
            {
                "account_id": account.id,
                "meter_id": water.id,
                "start_at": START,
                "tariff_id": water_tariff.id,
            }
        )
        account.action_activate()
        wallets = {wallet.commodity: wallet for wallet in account.wallet_ids}

        def proposed():
            return self.till["energy.top.up"].new({"account_id": account.id}).wallet_id.commodity

        self.assertEqual(proposed(), account.wallet_ids[:1].commodity)
        for commodity, wallet in wallets.items():
            wallet._top_up(10, f"first/{commodity}", self.cash)
        water.control_id._order_by_person("off", "Leak")
        self.assertEqual(proposed(), "water")
        self.read(power, START + timedelta(hours=1), "20")  # 12.00 of 10.00
        self.read(water, START + timedelta(hours=1), "2")  # 8.00 of 10.00
        self.settle()
        self.assertEqual(proposed(), "electricity")
        self.read(water, START + timedelta(hours=2), "5")  # 20.00 of 10.00
        self.settle()
        self.assertEqual(proposed(), "water")

    # --- fee ---------------------------------------------------------------------------------

    def test_service_fee_is_a_charge_of_its_own(self):
        self.company.energy_service_fee_percent = 0.6
        form = Form(self.till["energy.top.up"])
        form.account_id = self.account
        form.amount = 100.5
        self.assertEqual(form.service_fee, 0.6)  # 0.603
        top_up = form.save()
        top_up.action_confirm()
        fee = self.env["energy.wallet.entry"].search([("kind", "=", "charge")])
        self.assertEqual(
            (fee.amount, fee.category, fee.key, fee.cause_key, fee.note),
            (-0.6, "other", f"{top_up.key}/fee", top_up.key, "Service fee"),
        )
        self.assertEqual(f"{fee.period_id.date_from}", "2026-03-01")
        self.assertEqual(
            (top_up.fee_taken, top_up.prepaid, top_up.balance_after), (0.6, 99.9, 99.9)
        )
        # Found again by its key, whatever the fee is now.
        self.company.energy_service_fee_percent = 5
        top_up.action_confirm()
        self.assertEqual(len(self.account.entry_ids), 2)

    def test_service_fee_is_rounded_half_up_to_the_currency(self):
        self.company.energy_service_fee_percent = 0.5
        for amount, fee in ((1, "0.01"), (0.99, "0.00"), (3, "0.02"), (4.99, "0.02")):
            wallet = self.account.wallet_ids
            self.assertEqual(f"{wallet._service_fee(wallet._decimal(amount)):.2f}", fee)
        self.top_up(self.account, 0.99)
        self.assertFalse(self.entries(self.account, "charge"))

    def test_debt_and_fee_and_prepaid_make_the_amount(self):
        self.go_dark()
        self.company.energy_service_fee_percent = 10
        small = self.counter(10)
        small.action_confirm()
        small.action_take_anyway()
        # 10.00 settles 9.00 of the debt of 12.00, 1.00 is the fee.
        self.assertEqual(
            (small.fee_taken, small.towards_debt, small.prepaid, small.balance_after),
            (1, 9, 0, -3),
        )
        large = self.counter(20)
        large.action_confirm()
        self.assertEqual(
            (large.fee_taken, large.towards_debt, large.prepaid, large.balance_after),
            (2, 3, 15, 15),
        )

    # --- shift -------------------------------------------------------------------------------

    def test_sale_names_the_cashier_s_open_shift(self):
        self.counter(5).action_confirm()
        self.assertFalse(self.account.entry_ids.shift_id)
        shift = self.env["energy.shift"].create(
            {"user_id": self.cashier.id, "company_id": self.company.id}
        )
        self.counter(6, method_id=self.card.id, reference="1").action_confirm()
        self.assertEqual(self.account.entry_ids[:1].shift_id, shift)

    def test_company_may_sell_in_a_shift_only(self):
        self.company.energy_requires_shift = True
        self.env["energy.shift"].create(
            {"user_id": self.env.user.id, "company_id": self.company.id}
        )
        with self.refused(UserError, "Open yours under Sales, My Shift"):
            self.counter(5).action_confirm()
        self.env["energy.shift"].create({"user_id": self.cashier.id, "company_id": self.company.id})
        self.counter(5).action_confirm()
        self.assertEqual(self.account.balance, 5)

    def test_payment_method_in_use_is_kept(self):
        self.counter(5).action_confirm()
        with self.refused(Exception, "restrict|still referenced|violates|another model"):
            self.cash.unlink()
        with self.refused(AccessError):
            self.cash.with_env(self.till).name = "Mine"
