from datetime import timedelta
from decimal import Decimal

import psycopg2
from odoo import Command
from odoo.tests import new_test_user, tagged

from ..models.energy_settlement_problem_telling import ACTIVITIES
from ..models.energy_settlement_problem_telling import EnergySettlementProblem as Telling
from .common import START, EnergyCase
from .planting import PropertyCase, planted

HOUR = timedelta(hours=1)


@tagged("post_install", "-at_install")
class TestUncharged(EnergyCase):
    """All use that is not charged stands in one report, with its cause and quantity."""

    def rows(self, **values):
        self.env.invalidate_all()
        found = self.env["energy.uncharged"].search([("company_id", "=", self.company.id)])
        return found.filtered(lambda row: all(row[name] == value for name, value in values.items()))

    def test_nothing_is_left_over_where_all_is_charged(self):
        meter = self.make_meter("N1")
        self.open_account(meter, register=100)
        self.read(meter, START + HOUR, "110")
        self.settle()
        self.assertFalse(self.rows())

    def test_held_reading(self):
        meter = self.make_meter("N2", max_power=5)
        account = self.open_account(meter, register=100)
        self.read(meter, START + HOUR, "5000")
        self.settle()
        row = self.rows(cause="held")
        self.assertEqual(row.meter_id, meter)
        self.assertEqual(row.account_id, account)
        self.assertEqual(row.since, START + HOUR)
        self.assertEqual(row.register, 5000)
        self.assertTrue(row.expected)
        self.assertEqual(row.responsible, "operator")
        self.assertTrue(row.to_do)
        action = row.action_open()
        self.assertEqual(
            self.env["energy.reading"].search(action["domain"]).mapped("total"), [5000]
        )

    def test_rejected_reading_is_listed_until_use_is_charged_across_it(self):
        meter = self.make_meter("N11", max_power=5)
        account = self.open_account(meter, register=100)
        self.read(meter, START + HOUR, "5000")
        spike = self.env["energy.reading"].search(
            [("meter_id", "=", meter.id), ("state", "=", "held")]
        )
        spike._reject("A spike")
        self.settle()
        self.assertEqual(self.rows().mapped("cause"), ["rejected"])
        self.read(meter, START + 2 * HOUR, "110")
        # Not charged yet.
        self.assertEqual(set(self.rows().mapped("cause")), {"rejected", "waiting"})
        self.settle()
        self.assertEqual(self.entries(account), ["-6.00"])
        self.assertFalse(self.rows())
        # Nor does a new beginning charge across it: the row of that stands for both.
        self.read(meter, START + 3 * HOUR, "50")
        fall = self.env["energy.reading"].search(
            [("meter_id", "=", meter.id), ("state", "=", "held")]
        )
        fall._reject("Misread")
        self.read(meter, START + 4 * HOUR, "3")
        fall = self.env["energy.reading"].search(
            [("meter_id", "=", meter.id), ("state", "=", "held")]
        )
        fall._accept("Reset", meaning="anew")
        self.settle()
        self.assertEqual(set(self.rows().mapped("cause")), {"rejected", "reset"})

    def test_use_after_the_end_of_a_supply(self):
        meter = self.make_meter("N3")
        account = self.open_account(meter, register=100)
        self.read(meter, START + HOUR, "110")
        self.settle()
        self.end(account.supply_ids, START + 2 * HOUR, "120")
        self.assertFalse(self.rows(cause="no_account"))
        self.read(meter, START + 3 * HOUR, "127.5")
        row = self.rows(cause="no_account")
        self.assertEqual((row.since, row.quantity), (START + 2 * HOUR, 7.5))
        self.assertFalse(row.until)
        self.assertFalse(row.account_id)
        other = self.make_meter("N3 other")
        # The next customer begins at 130: what ran before belongs to nobody.
        self.read(meter, START + 4 * HOUR, "130")
        self.open_account(
            meter,
            start=START + 4 * HOUR,
            register=130,
            room_ids=[Command.set(other.property_id.ids)],
        )
        self.read(meter, START + 5 * HOUR, "150")
        self.settle()
        row = self.rows(cause="no_account")
        self.assertEqual((row.until, row.quantity), (START + 4 * HOUR, 10))

    def end(self, supplies, moment, register):
        """End a supply as closing an account does."""
        self.set_clock(moment)
        supplies._end(moment, {supply.id: Decimal(register) for supply in supplies})
        self.settle()

    def test_meter_that_never_served_anybody(self):
        meter = self.make_meter("N4")
        self.read(meter, START, "40")
        self.assertFalse(self.rows())
        self.read(meter, START + HOUR, "42")
        row = self.rows(cause="no_account")
        self.assertEqual((row.meter_id, row.since, row.quantity), (meter, START, 2))

    def test_account_that_is_not_opened(self):
        meter = self.make_meter("N5")
        account = self.open_account(meter, register=100, activate=False)
        self.read(meter, START + HOUR, "104")
        row = self.rows()
        self.assertEqual((row.cause, row.account_id, row.quantity), ("draft", account, 4))
        account.action_activate()
        self.settle()
        self.assertFalse(self.rows())
        self.assertEqual(self.entries(account), ["-2.40"])

    def test_meter_without_readings(self):
        meter = self.make_meter("N6")
        self.open_account(meter, register=100)
        self.env.flush_all()
        # Any driver: the one of an add-on may ask for more than a name.
        self.env.cr.execute("UPDATE energy_meter SET driver = 'any' WHERE id = %s", [meter.id])
        self.env["energy.meter.status"]._report([{"meter_id": meter.id, "read_at": START + HOUR}])
        self.set_clock(START + 25 * HOUR)
        self.assertFalse(self.rows())
        self.set_clock(START + 26 * HOUR)
        self.assertEqual(self.rows().mapped("cause"), ["no_reading"])
        self.company.energy_estimate_after = 48
        self.assertFalse(self.rows())

    def test_use_not_settled_yet(self):
        meter = self.make_meter("N7")
        account = self.open_account(meter, register=100)
        self.settle()
        self.read(meter, START + HOUR, "103")
        row = self.rows()
        self.assertEqual((row.cause, row.account_id, row.quantity), ("waiting", account, 3))
        self.settle()
        self.assertFalse(self.rows())

    def test_multiplier_and_rollover_are_in_the_quantity(self):
        meter = self.make_meter("N8")
        account = self.open_account(meter, register=999990, activate=False)
        account.supply_ids.multiplier = 20
        self.read(meter, START, "999990")
        self.read(meter, START + HOUR, "5")
        # 999990 -> 1000000 -> 5 are 15 on the register, times 20
        self.assertEqual(self.rows(cause="draft").quantity, 300)

    def test_rows_are_one_a_cause_and_meter(self):
        for name in ("N9", "N10"):
            meter = self.make_meter(name, max_power=5)
            self.open_account(meter, register=100)
            for hour in (1, 2, 3):
                self.read(meter, START + hour * HOUR, str(5000 * hour))
        self.settle()
        rows = self.rows()
        self.assertEqual(rows.mapped("cause"), ["held", "held"])
        self.assertEqual(rows.mapped("count"), [3, 3])
        self.assertEqual(len(set(rows.ids)), 2)
        groups = self.env["energy.uncharged"]._read_group(
            [("company_id", "=", self.company.id)], ["cause", "site_id"], ["__count"]
        )
        self.assertEqual(groups, [("held", self.site, 2)])


@tagged("post_install", "-at_install")
class TestCauses(PropertyCase, EnergyCase):
    """Use that cannot be priced is held and told once, at no price; it is charged by itself."""

    def hold(self, meter, account, cause, hours):
        """Use comes that cannot be priced: it waits, with its cause."""
        before = self.entries(account)
        for hour in hours:
            self.read(meter, START + hour * HOUR, str(100 + 10 * hour))
            self.env.cr.execute("UPDATE energy_settlement_queue SET not_before = NULL")
            self.settle()
        self.assertEqual(self.entries(account), before)
        problem = self.env["energy.settlement.problem"].search([("account_id", "=", account.id)])
        self.assertEqual((len(problem), problem.cause), (1, cause))
        self.assertEqual(problem.tries, len(hours))
        row = self.env["energy.uncharged"].search([("meter_id", "=", meter.id)])
        self.assertEqual(row.mapped("cause"), [cause])
        self.assertEqual(row.message, problem.message)
        self.assertEqual(row.account_id, account)
        self.assertTrue(row.to_do)
        self.assertTrue(row.action_open()["res_model"])
        return row

    def released(self, meter, account, *charged):
        """The cause is gone: what waited is charged at the next settling."""
        self.settle()
        self.assertEqual(self.entries(account), list(charged))
        self.assertFalse(self.env["energy.settlement.problem"].search([]))
        self.assertFalse(self.env["energy.uncharged"].search([("meter_id", "=", meter.id)]))

    def test_missing_price(self):
        tariff = self.make_tariff("Later", {"flat": ["0.60"]})
        meter = self.make_meter("M1")
        account = self.open_account(meter, tariff=tariff, register=100)
        tariff.version_ids.action_draft()
        row = self.hold(meter, account, "price", (1, 2, 3))
        self.assertEqual((row.quantity, row.since, row.until), (30, START, START + 3 * HOUR))
        self.assertEqual(row.action_open()["res_model"], "energy.tariff")
        tariff.version_ids.action_approve()
        self.released(meter, account, "-18.00")

    def test_missing_tariff(self):
        meter = self.make_meter("M2")
        account = self.open_account(meter, register=100)
        self.settle()
        self.env.flush_all()
        self.env.cr.execute(
            "DELETE FROM energy_supply_term WHERE supply_id = %s", [account.supply_ids.id]
        )
        self.env.invalidate_all()
        row = self.hold(meter, account, "tariff", (1, 2))
        self.assertEqual(row.quantity, 20)
        # What sets the tariff again: the first terms of the supply.
        self.env["energy.supply.term"].create(
            {
                "supply_id": account.supply_ids.id,
                "since": START,
                "tariff_id": self.flat_tariff.id,
            }
        )
        self.env["energy.settlement.problem"].search([]).action_try_again()
        self.env.flush_all()
        # No tariff lacks anything: the account is told of.
        self.new_managers()
        self.assertEqual(
            {told[:2] for told in self.activities()}, {("Tariff Missing", account.display_name)}
        )
        self.released(meter, account, "-12.00")
        self.assertEqual(self.activities(), [])

    def test_missing_band(self):
        tariff = self.make_tariff(
            "Hole",
            {"peak": ["1.00"], "valley": ["0.50"]},
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        meter = self.make_meter("M3")
        account = self.open_account(meter, tariff=tariff, register=100)
        self.env.flush_all()
        # A defect that no form lets through.
        rest = tariff.version_ids.band_ids.filtered("is_rest")
        self.env.cr.execute("UPDATE energy_tariff_band SET is_rest = FALSE WHERE id = %s", rest.ids)
        self.env.invalidate_all()
        self.env.registry.clear_cache()
        row = self.hold(meter, account, "band", (1,))
        self.assertEqual(row.quantity, 10)
        tariff.version_ids.action_draft()
        rest.is_rest = True
        tariff.version_ids.action_approve()
        self.released(meter, account, "-5.00")

    def activities(self):
        """Tell managers, and return the kinds, tariffs or accounts, and managers of activities."""
        self.env.flush_all()
        self.env["energy.settlement.problem"]._tell_managers()
        self.env.invalidate_all()
        kinds = [self.env.ref(name).id for name in ACTIVITIES.values()]
        activities = self.env["mail.activity"].search(
            [("activity_type_id", "in", kinds), ("user_id", "in", self.managers.ids)]
        )
        return activities.mapped(lambda one: (one.activity_type_id.name, one.res_name, one.user_id))

    def new_managers(self):
        """Two managers of the company, and one of another."""
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.managers = self.env["res.users"].union(
            *(
                new_test_user(
                    self.env,
                    login,
                    groups="prepaid_energy.group_energy_manager",
                    company_id=company.id,
                    company_ids=[Command.set(company.ids)],
                )
                for login, company in (
                    ("first", self.company),
                    ("second", self.company),
                    ("third", elsewhere),
                )
            )
        )
        return self.managers[:2]

    def test_managers_are_told_once_of_each_tariff(self):
        """Three accounts of two tariffs without a price: one activity a tariff and manager."""

        def check():
            first, second = self.new_managers()
            accounts, tariffs = [], []
            for name, count in (("North", 2), ("South", 1)):
                tariff = self.make_tariff(name, {"flat": ["0.60"]})
                tariffs.append(tariff)
                for number in range(count):
                    meter = self.make_meter(f"T{name}{number}")
                    accounts.append(self.open_account(meter, tariff=tariff, register=100))
                    self.read(meter, START + HOUR, "110")
                tariff.version_ids.action_draft()
            self.assertEqual(self.activities(), [])
            self.settle()
            told = [
                ("Price Missing", tariff, user)
                for tariff in ("North", "South")
                for user in (first, second)
            ]
            self.assertCountEqual(self.activities(), told)
            self.assertCountEqual(self.activities(), told)
            north = tariffs[0].activity_ids.filtered(lambda one: one.user_id in self.managers)
            self.assertIn("“North” has no approved price", north[0].note)
            # Marked as done, they do not come again while the cause stands.
            north.action_feedback(feedback="Looking for the sheet")
            self.assertCountEqual(self.activities(), told[2:])
            tariffs[0].version_ids.action_approve()
            self.settle()
            self.assertCountEqual(self.activities(), told[2:])
            tariffs[1].version_ids.action_approve()
            self.settle()
            self.assertEqual(self.activities(), [])

        self.holds(
            check,
            (Telling._tell_managers, "known.add(place)", "pass"),
            (Telling._tell_managers, "if place in wanted:", "if True:"),
            (Telling._tell_managers, "active_test=False", "active_test=True"),
            (Telling._tell_of, "record.company_id not in user.company_ids", "False"),
        )

    def test_managers_are_told_by_the_scheduled_action(self):
        tariff = self.make_tariff("Later", {"flat": ["0.60"]})
        meter = self.make_meter("M5")
        self.open_account(meter, tariff=tariff, register=100)
        tariff.version_ids.action_draft()
        self.read(meter, START + HOUR, "110")
        managers = self.new_managers()
        with self.enter_registry_test_mode():
            self.env.ref("prepaid_energy.ir_cron_settle").method_direct_trigger()
        self.env.invalidate_all()
        self.assertFalse(managers - tariff.activity_ids.user_id)

    def test_missing_policy_is_refused_by_the_database(self):
        account = self.open_account(self.make_meter("M4"))
        with self.refused(psycopg2.IntegrityError):
            self.env.cr.execute(
                "UPDATE energy_account SET credit_policy_id = NULL WHERE id = %s", account.ids
            )
        with self.refused(psycopg2.IntegrityError):
            self.policy.unlink()

    def test_what_is_held_is_found_by_the_report(self):
        """Planted defects: what hides a cause from the report makes its test fail."""
        model = type(self.env["energy.uncharged"])
        for check, defect in (
            (
                self.test_missing_price,
                (model._unsettled, "a.state <> 'draft'", "a.state = 'closed'"),
            ),
            (
                self.test_missing_price,
                (model._unsettled, "COALESCE(p.cause, 'waiting')", "'waiting'"),
            ),
        ):
            with (
                self.subTest(defect=defect[2]),
                self.assertRaises(AssertionError),
                self.env.cr.savepoint(),
                planted(*defect),
            ):
                check()
            self.env.invalidate_all()
