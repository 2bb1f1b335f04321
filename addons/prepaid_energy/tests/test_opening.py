from datetime import timedelta

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import file_open, mute_logger

from .common import START, EnergyCase

HOUR = timedelta(hours=1)


class OpeningCase(EnergyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls.new_user("operator,cashier", "opening_clerk")
        cls.operator = cls.new_user("operator", "opening_operator")

    def as_user(self, user):
        return self.env(user=user, context={"allowed_company_ids": self.company.ids})

    def draft(self, *meters, **values):
        return self.open_account(*meters, activate=False, **values)


@tagged("post_install", "-at_install")
class TestOpening(OpeningCase):
    def test_clerk_opens_an_account_with_electricity_and_water(self):
        env = self.as_user(self.clerk)
        power, water = self.make_meter("O1"), self.make_meter("O1W", "water")
        water.property_id = power.property_id
        water_tariff = self.make_tariff("Water", {"flat": ["5"]}, commodity="water")
        tenant = self.env["res.partner"].create({"name": "Sun Wei"})
        contact = self.env["res.partner"].create(
            {"name": "Sun Min", "phone": "13800001111", "function": "Daughter"}
        )
        with Form(env["energy.account"]) as form:
            form.partner_id = tenant
            form.room_ids.add(power.property_id)
            self.assertEqual(form.site_id, self.site)
            self.assertEqual(len(form.supply_ids), 2)
            for position, tariff in enumerate(
                {"electricity": self.flat_tariff, "water": water_tariff}[meter.commodity]
                for meter in (power, water)
            ):
                with form.supply_ids.edit(position) as line:
                    line.tariff_id = tariff
                    line.start_at = START
                    line.opening_register = 100 + position
            form.contact_ids.add(contact)
            form.capacity = 6
            form.opening_top_up = 200
            form.opening_method_id = self.method
        account = form.record
        account.action_activate()
        self.assertEqual(account.state, "active")
        self.assertEqual(account.opened_at, START)
        self.assertEqual(f"{account.balance:.2f}", "200.00")
        entry = account.entry_ids
        self.assertEqual(
            (entry.kind, entry.key, entry.method_id, entry.user_id),
            ("top_up", f"opening/{account.id}", self.method, self.clerk),
        )
        self.assertEqual(account.occupancy_ids.mapped("role"), ["main"])
        self.assertEqual(account.occupancy_ids.start_at, START)
        # 10 kWh × 0.60 + 2 m³ × 5 = 16
        self.read(power, START + HOUR, "110")
        self.read(water, START + HOUR, "103")
        self.settle()
        self.assertEqual(f"{account.balance:.2f}", "184.00")

    def test_everything_that_is_missing_is_said_at_once(self):
        method = self.methods.filtered("needs_reference")[:1]
        draft_tariff = self.env["energy.tariff"].create(
            {"name": "Unpriced", "company_id": self.company.id}
        )
        account = self.draft(
            self.make_meter("O2"),
            start=START + HOUR,
            tariff=draft_tariff,
            room_ids=False,
            opening_top_up=100,
            opening_deposit=300,
            opening_deposit_method_id=method.id,
        )
        with self.assertRaises(UserError) as refusal:
            account.with_env(self.as_user(self.operator)).action_activate()
        message = str(refusal.exception)
        for part in (
            "Choose the rooms",
            "“Unpriced” has no approved prices",
            "begins in the future",
            "First top-up: choose how it is paid",
            f"Type the number of the payment by “{method.name}”",
            "Only cashiers take money",
        ):
            self.assertIn(part, message)
        self.assertEqual(account.state, "draft")

    def test_multiplier_without_a_tariff_is_not_lost_silently(self):
        account = self.draft(self.make_meter("O14"), supply_ids=False)
        with self.refused(UserError, "other terms are kept with it"):
            account.supply_ids = [
                Command.create({"meter_id": self.make_meter("O15").id, "multiplier": 40})
            ]

    def test_deposit_is_received_at_the_opening_and_is_no_part_of_the_balance(self):
        account = self.draft(
            self.make_meter("O16"),
            opening_deposit=500,
            opening_deposit_method_id=self.method.id,
        ).with_env(self.as_user(self.clerk))
        account.action_activate()
        self.assertEqual(account.deposit_ids.mapped("state"), ["held"])
        self.assertEqual(account.deposit_ids.held, 500)
        self.assertEqual(account.balance, 0)

    def test_money_is_counted_in_the_shift_where_the_company_wants_one(self):
        self.company.energy_requires_shift = True
        draft = self.draft(
            self.make_meter("O17"), opening_top_up=50, opening_method_id=self.method.id
        ).with_env(self.as_user(self.clerk))
        with self.refused(UserError, "sells in a shift only"):
            draft.action_activate()
        shift = self.as_user(self.clerk)["energy.shift"].create({"journal_id": self.cash.id})
        draft.action_activate()
        self.assertEqual(draft.entry_ids.shift_id, shift)

    def test_draft_without_meters_is_refused(self):
        meter = self.make_meter("O3")
        account = self.draft(meter, supply_ids=False)
        with self.refused(UserError, "no meter"):
            account.action_activate()

    def test_first_top_up_goes_to_the_balance_of_its_commodity(self):
        power, water = self.make_meter("O4"), self.make_meter("O4W", "water")
        water_tariff = self.make_tariff("Water 2", {"flat": ["5"]}, commodity="water")
        account = self.draft(
            power,
            has_wallet_per_commodity=True,
            opening_top_up=50,
            opening_method_id=self.method.id,
        )
        account.supply_ids = [
            Command.create({"meter_id": water.id, "tariff_id": water_tariff.id, "start_at": START})
        ]
        with self.refused(UserError, "for which commodity"):
            account.action_activate()
        account.opening_commodity = "water"
        account.action_activate()
        self.assertEqual(
            {wallet.commodity: wallet.balance for wallet in account.wallet_ids},
            {"electricity": 0, "water": 50},
        )

    def test_one_bad_draft_does_not_stop_the_rest(self):
        good, bad, last = (self.draft(self.make_meter(f"O5{letter}")) for letter in "abc")
        bad.room_ids = False
        action = (good + bad + last).with_env(self.as_user(self.operator)).action_open_accounts()
        self.assertEqual((good + bad + last).mapped("state"), ["active", "draft", "active"])
        self.assertIn("Choose the rooms", bad.opening_problem)
        self.assertFalse(good.opening_problem)
        self.assertEqual(action["params"]["message"], "2 of 3 accounts opened.")
        self.assertEqual(action["params"]["next"]["domain"], [("id", "in", bad.ids)])
        bad.room_ids = bad.supply_ids.meter_id.property_id
        action = bad.action_open_accounts()
        self.assertEqual(bad.state, "active")
        self.assertFalse(bad.opening_problem)
        self.assertEqual(action["params"]["type"], "success")

    def test_viewer_opens_nothing(self):
        viewer = self.new_user("viewer", "opening_viewer")
        draft = self.draft(self.make_meter("O6"))
        with self.refused(AccessError):
            draft.with_env(self.as_user(viewer)).action_open_accounts()

    def test_register_that_does_not_fit_is_a_reason_in_a_batch(self):
        meter = self.make_meter("O7", max_power=10)
        self.set_clock(START + 3 * HOUR)
        self.read(meter, START + HOUR, "100")
        draft = self.draft(meter, start=START + 2 * HOUR, register=5000.0)
        draft.action_open_accounts()
        self.assertEqual(draft.state, "draft")
        self.assertIn("fit the readings of", draft.opening_problem)
        self.assertFalse(draft.wallet_ids)
        self.assertFalse(draft.occupancy_ids)

    def test_accounts_are_found_by_a_contact_and_his_phone(self):
        account = self.draft(self.make_meter("O8"))
        account.contact_ids = self.env["res.partner"].create(
            {"name": "Caretaker Gu", "phone": "+86 571 5550 4711"}
        )
        accounts = self.env["energy.account"]
        for text in ("Caretaker Gu", "5550 4711"):
            self.assertEqual(
                [found for found, _name in accounts.name_search(text)], account.ids, text
            )

    def test_way_of_paying_stays_once_opened(self):
        account = self.open_account(self.make_meter("O9"))
        with self.refused(UserError, "prepaid or postpaid"):
            account.payment_mode = "postpaid"

    def test_customer_brings_the_rooms_of_his_earlier_account(self):
        first, second = self.make_meter("O10"), self.make_meter("O11")
        account = self.open_account(first, second)
        form = Form(self.env["energy.account"])
        form.partner_id = account.partner_id
        self.assertEqual(form.room_ids[:], (first + second).property_id)
        self.assertEqual(form.site_id, self.site)
        # both meters serve his other account already
        self.assertFalse(len(form.supply_ids))

    def test_room_brings_its_main_occupant_as_customer(self):
        meter = self.make_meter("O12")
        account = self.open_account(meter)
        form = Form(self.env["energy.account"])
        form.room_ids.add(meter.property_id)
        self.assertEqual(form.partner_id, account.partner_id)


@tagged("post_install", "-at_install")
class TestImport(OpeningCase):
    """Drafts come from a spreadsheet, are checked there, and are opened with one click."""

    FIELDS = (
        "partner_id",
        "room_ids",
        "opening_top_up",
        "opening_method_id",
        "supply_ids/meter_id",
        "supply_ids/tariff_id",
        "supply_ids/multiplier",
        "supply_ids/start_at",
        "supply_ids/opening_register",
    )

    def load(self, rows):
        env = self.as_user(self.clerk)
        return env["energy.account"].load(list(self.FIELDS), rows)

    def test_rows_become_drafts_that_open_together(self):
        start = START.strftime("%Y-%m-%d %H:%M:%S")
        meters = [self.make_meter(f"IMP{number}") for number in range(3)]
        meters[0].property_id.code = "I-101"
        self.env["res.partner"].create([{"name": "Import One"}, {"name": "Import Two"}])
        meters[1].property_id.name = "Room I-102"
        result = self.load(
            [
                ["Import One", "I-101", "120", "Cash", "IMP0", "Flat", "1", start, "10.5"],
                ["", "", "", "", "IMP2", "Flat", "40", start, "7"],
                [
                    "Import Two",
                    "Harbour Gardens / Room I-102",
                    "",
                    "",
                    "IMP1",
                    "Flat",
                    "1",
                    start,
                    "0",
                ],
            ]
        )
        self.assertFalse(result["messages"])
        accounts = self.env["energy.account"].browse(result["ids"])
        self.assertEqual(accounts.mapped("state"), ["draft", "draft"])
        self.assertEqual(accounts[0].room_ids, meters[0].property_id)
        self.assertEqual(accounts[1].room_ids, meters[1].property_id)
        self.assertEqual(accounts.site_id, self.site)
        self.assertEqual(
            [
                (supply.meter_id.name, supply.tariff_id.name, supply.multiplier)
                for supply in accounts[0].supply_ids
            ],
            [("IMP0", "Flat", 1), ("IMP2", "Flat", 40)],
        )
        self.assertEqual(accounts[0].supply_ids[0].opening_register, 10.5)
        accounts.with_env(self.as_user(self.clerk)).action_open_accounts()
        self.assertEqual(accounts.mapped("state"), ["active", "active"])
        self.assertEqual(accounts.mapped("balance"), [120, 0])

    def test_row_with_an_unknown_meter_is_named(self):
        self.env["res.partner"].create({"name": "Import Three"})
        # Odoo tries the row in the database before it names what is wrong with it.
        with mute_logger("odoo.sql_db"):
            result = self.load([["Import Three", "", "", "", "NO-SUCH", "Flat", "1", "", "0"]])
        self.assertFalse(result["ids"])
        self.assertIn("NO-SUCH", result["messages"][0]["message"])

    def test_template_is_offered_and_names_fields_that_exist(self):
        (template,) = self.env["energy.account"].get_import_templates()
        with file_open(template["template"].lstrip("/")) as source:
            columns = source.readline().strip().split(",")
        for column in columns:
            first, _slash, second = column.partition("/")
            self.assertIn(first, self.env["energy.account"]._fields)
            if second:
                self.assertIn(second, self.env["energy.supply"]._fields)


@tagged("post_install", "-at_install")
class TestAddMeter(OpeningCase):
    def test_meter_is_added_to_an_active_account_and_charged(self):
        account = self.open_account(self.make_meter("M1"))
        self.read(account.supply_ids.meter_id, START + HOUR, "10")
        self.settle()
        second = self.make_meter("M2")
        env = self.as_user(self.operator)
        action = account.with_env(env).action_add_meter()
        form = Form(env[action["res_model"]].with_context(**action["context"]))
        form.meter_id = second
        self.assertEqual(form.tariff_id, self.flat_tariff)
        form.start_at = START + HOUR
        form.opening_register = 500
        form.multiplier = 2
        form.save().action_confirm()
        supply = account.supply_ids.filtered(lambda s: s.meter_id == second)
        self.assertEqual((supply.multiplier, supply.tariff_id), (2, self.flat_tariff))
        self.assertIn(second.property_id, account.room_ids)
        self.assertIn(second.property_id, account.occupancy_ids.room_id)
        self.read(second, START + 2 * HOUR, "505")
        self.settle()
        # 10 × 0.60 = 6.00, then 5 × 2 × 0.60 = 6.00 more
        self.assertEqual(f"{account.balance:.2f}", "-12.00")

    def test_water_added_gets_its_own_balance_where_each_commodity_has_one(self):
        account = self.open_account(self.make_meter("M3"), has_wallet_per_commodity=True)
        tariff = self.make_tariff("Water 3", {"flat": ["5"]}, commodity="water")
        account._add_meter(self.make_meter("M4", "water"), tariff, 1, START, 0)
        self.assertEqual(account.wallet_ids.mapped("commodity"), ["electricity", "water"])

    def test_tiers_count_the_added_meter_too(self):
        tariff = self.make_tariff("Tiers", {"flat": ["1", "2"]}, limits=(100,))
        first, second = self.make_meter("M5"), self.make_meter("M6")
        account = self.open_account(first, tariff=tariff)
        self.read(first, START + HOUR, "90")
        self.settle()
        account._add_meter(second, tariff, 1, START + HOUR, 0)
        self.read(second, START + 2 * HOUR, "30")
        self.settle()
        # 120 of both: 100 × 1 + 20 × 2
        self.assertEqual(f"{account.balance:.2f}", "-140.00")

    def test_meter_of_another_account_or_for_a_draft_is_refused(self):
        account = self.open_account(self.make_meter("M7"))
        other = self.open_account(self.make_meter("M8"))
        draft = self.draft(self.make_meter("M9"))
        with self.refused(Exception, "another account|energy_supply_meter_excl"):
            account._add_meter(other.supply_ids.meter_id, self.flat_tariff, 1, START, 0)
        with self.refused(UserError, "active accounts"):
            draft._add_meter(self.make_meter("M10"), self.flat_tariff, 1, START, 0)
        with self.refused(UserError, "opened later"):
            account._add_meter(self.make_meter("M11"), self.flat_tariff, 1, START - HOUR, 0)


@tagged("post_install", "-at_install")
class TestAlarmAmounts(EnergyCase):
    def fee_state(self, meter):
        self.env.invalidate_all()
        return self.env["energy.room"].browse(meter.id).fee_state

    def test_room_shows_the_alarm_level_that_the_balance_has_reached(self):
        policy = self.env["energy.credit.policy"].create(
            {
                "name": "Fifty below zero",
                "company_id": self.company.id,
                "overdraft": 50,
                "level_ids": [
                    Command.create({"sequence": 1, "amount": 100}),
                    Command.create({"sequence": 2, "amount": 20}),
                    Command.create({"sequence": 3, "amount": 0}),
                ],
            }
        )
        meter = self.make_meter("AL1")
        account = self.open_account(meter, policy=policy)
        self.top_up(account, 160, "test/alarm")
        found = []
        # 160.00 less 0.60 a kWh
        for hour, register in enumerate(("99", "100", "233", "234", "267", "350", "351"), start=1):
            self.read(meter, START + hour * HOUR, register)
            self.settle()
            found.append((f"{account.balance:.2f}", self.fee_state(meter)))
        self.assertEqual(
            found,
            [
                ("100.60", "normal"),
                ("100.00", "alarm_1"),
                ("20.20", "alarm_1"),
                ("19.60", "alarm_2"),
                ("-0.20", "alarm_3"),
                ("-50.00", "arrears"),
                ("-50.60", "arrears"),
            ],
        )

    def test_new_policy_begins_with_three_levels_above_its_cut_off(self):
        policy = self.env["energy.credit.policy"].create(
            {
                "name": "Deep",
                "company_id": self.company.id,
                "cut_off": 10,
                "restore": 10,
                "overdraft": 100,
            }
        )
        self.assertEqual(policy.level_ids.mapped("amount"), [-40, -70, -80])
        form = Form(self.env["energy.credit.policy"])
        self.assertEqual([line["amount"] for line in form.level_ids._records], [50, 20, 10])

    def test_levels_fall_and_stay_above_the_cut_off(self):
        first, _second, third = self.policy.level_ids
        with self.refused(ValidationError, "below the one before"):
            first.amount = 20
        with self.refused(ValidationError, "must lie above"):
            third.amount = 0
        with self.refused(ValidationError, "must lie above"):
            self.policy.write({"cut_off": 10, "restore": 10})
        with self.refused(Exception, "1, 2 and 3|check_sequence"):
            self.policy.level_ids = [Command.create({"sequence": 4, "amount": 5})]
        self.policy.level_ids = [
            Command.update(level.id, {"amount": amount})
            for level, amount in zip(self.policy.level_ids, (15, 12, 5), strict=True)
        ]
        self.assertEqual(self.policy.level_ids.mapped("amount"), [15, 12, 5])
        self.policy.level_ids = [Command.clear()]
        self.assertFalse(self.policy.level_ids)


@tagged("post_install", "-at_install")
class TestPostpaid(EnergyCase):
    def test_postpaid_is_never_cut_by_its_balance(self):
        meter = self.make_meter("PP1")
        account = self.open_account(meter, payment_mode="postpaid")
        self.read(meter, START + HOUR, "1000")
        self.settle()
        self.assertEqual(f"{account.balance:.2f}", "-600.00")
        self.assertEqual(self.commands(meter), [])
        self.assertEqual(meter.control_id.decision, "postpaid")
        room = self.env["energy.room"].browse(meter.id)
        self.assertEqual((room.fee_state, room.is_in_arrears), ("normal", False))
        self.assertFalse(account.is_low)

    def test_same_balance_prepaid_is_cut(self):
        meter = self.make_meter("PP2")
        self.open_account(meter)
        self.read(meter, START + HOUR, "1000")
        self.settle()
        self.assertEqual([command[2] for command in self.commands(meter)], ["off"])

    def test_person_turns_a_postpaid_supply_off_and_on_whatever_is_owed(self):
        meter = self.make_meter("PP3")
        self.open_account(meter, payment_mode="postpaid")
        self.read(meter, START + HOUR, "1000")
        self.settle()
        control = meter.control_id.sudo()
        control._order_by_person("off", "test")
        self.settle()
        self.assertEqual(control.wanted, "off")
        control._order_by_person("on", "test")
        self.assertEqual(control.wanted, "on")
