import logging
from contextlib import closing
from datetime import timedelta
from itertools import product
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import SQL

from ..models.energy_meter_control_person import EnergyMeterControl as Persons
from ..models.energy_meter_control_situation import EnergyMeterControl as Situations
from .common import START, EnergyCase
from .planting import PropertyCase

# What is different from the ordinary: columns by table.
CIRCUMSTANCES = (
    {},
    {"account": {"payment_mode": "postpaid"}},
    {"meter_control": {"mode": "held_on"}},
    {"meter_control": {"mode": "forced_off"}},
    {"meter": {"is_protected": True}},
    {"meter": {"is_commissioned": False}},
)
# (decision, wanted) as they stand before.
BEFORE = (
    (None, None),
    ("enough", None),
    ("enough", "off"),
    ("postpaid", None),
    ("arrears", "off"),
    ("protected", None),
)
# What must be decided somewhere, so that something is compared.
REACHED = {"enough", "postpaid", "arrears", "already", "protected", "held_on", "forced_off"} | {
    "not_commissioned"
}


@tagged("post_install", "-at_install")
class TestSupply(PropertyCase, EnergyCase):
    """Deciding, persons' orders, and what the outbox does with them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("S1")
        cls.account = cls.open_account(cls.meter)
        cls.control = cls.meter.control_id

    def test_site_in_watch_decides_and_cuts_nobody(self):
        self.site.supply_state = "watch"
        self.use(1, "10")
        self.assertEqual(self.account.balance, -6)
        self.assertEqual(self.control.decision, "would_cut_watch")
        self.assertEqual(self.commands(self.meter), [])
        self.site.supply_state = "live"
        self.assertEqual(self.commands(self.meter), [(1, "supply", "off", "queued")])

    def test_site_in_trial_cuts_chosen_rooms_only(self):
        self.site.supply_state = "trial"
        self.use(1, "10")
        self.assertEqual(self.control.decision, "would_cut_trial")
        self.meter.property_id.is_trial = True
        self.assertEqual(self.commands(self.meter), [(1, "supply", "off", "queued")])

    def test_protected_stale_and_held_figures_are_never_cut(self):
        self.meter.is_protected = True
        self.use(1, "10")
        self.assertEqual(self.control.decision, "protected")
        self.meter.is_protected = False
        self.set_clock(START + timedelta(hours=40))
        self.account._decide()
        self.assertEqual(self.control.decision, "stale")
        self.set_clock(START + timedelta(hours=2))
        self.read(self.meter, START + timedelta(hours=2), "5")
        self.account._decide()
        self.assertEqual(self.control.decision, "held_reading")
        self.assertEqual(self.commands(self.meter), [])

    def test_cut_is_asked_again_before_the_write(self):
        self.use(1, "10")
        order = self.env["energy.command"]._take(self.meter.ids)[0]
        command = self.env["energy.command"].browse(order["id"])
        self.assertEqual(command._check(), "")
        self.meter.is_protected = True
        self.assertIn("Protected", command._check())
        self.assertEqual(command.state, "overtaken")
        self.meter.is_protected = False
        self.account._decide()
        self.assertEqual(len(self.commands(self.meter)), 2)

    def test_payment_overtakes_a_cut(self):
        self.use(1, "10")
        cut = self.env["energy.command"].search([("meter_id", "=", self.meter.id)])
        entry = self.top_up(self.account, 50)
        self.assertIn("later command", cut._check())
        taken = self.env["energy.command"]._take(self.meter.ids)
        self.assertEqual([(order["number"], order["value"]) for order in taken], [(2, "on")])
        self.assertEqual(entry.command_ids.number, 2)
        self.assertEqual(entry.command_ids.cause, "payment")

    def test_an_order_that_ends_unwritten_is_logged_once_that_is_committed(self):
        self.use(1, "10")
        self.env.cr.postcommit.clear()
        self.top_up(self.account, 50)
        cut, lit = self.env["energy.command"].search([("meter_id", "=", self.meter.id)], order="id")
        logger = "odoo.addons.prepaid_energy.models.energy_command_delivery"
        with self.assertNoLogs(logger, logging.INFO):
            self.env["energy.command"]._take(self.meter.ids)
        with self.assertLogs(logger, logging.INFO) as logged:
            self.env.cr.postcommit.run()
        self.assertEqual(
            [record.getMessage() for record in logged.records],
            [f"Order {cut.id}, supply off: overtaken by a later one"],
        )
        self.assertEqual((cut.state, lit.state), ("overtaken", "queued"))

    def test_forced_off_is_not_undone_by_a_payment(self):
        self.control._order_by_person("off", "Works on site")
        self.assertEqual(self.control.mode, "forced_off")
        self.top_up(self.account, 50)
        self.assertEqual(self.commands(self.meter), [(1, "supply", "off", "queued")])
        self.control._order_by_person("prepaid", "")
        self.assertEqual(self.commands(self.meter)[-1], (2, "supply", "on", "queued"))
        self.assertEqual(self.control.mode, "prepaid")

    def test_supply_on_in_arrears_needs_the_missing_amount_or_a_grant(self):
        self.use(1, "10")
        with self.assertRaisesRegex(UserError, "6.01"):
            self.control._order_by_person("on", "")
        self.control._order_by_person("on", "", START + timedelta(hours=5))
        self.assertEqual(self.commands(self.meter)[-1], (2, "supply", "on", "queued"))
        self.use(2, "11")
        self.assertEqual(self.control.decision, "granted")
        self.use(6, "12")
        self.assertEqual(self.commands(self.meter)[-1], (3, "supply", "off", "queued"))

    def order_on(self):
        """Return what a person is told who orders supply on."""
        try:
            return self.control._order_by_person("on", "")
        except UserError as error:
            return str(error)

    def test_supply_on_ends_forced_off_only(self):
        """What is held on stays so, and a grant that runs is not shortened; both in arrears."""

        def check():
            self.env.cr.execute("SAVEPOINT supply")
            until = START + timedelta(hours=5)
            self.control._order_by_person("hold", "Hospital bed")
            self.use(1, "10")
            self.assertEqual(self.order_on(), "Supply on ordered.")
            self.assertEqual(self.control.mode, "held_on")
            self.use(2, "11")
            self.assertEqual(
                self.commands(self.meter),
                [(1, "supply", "on", "queued"), (2, "supply", "on", "queued")],
            )
            self.control._order_by_person("off", "Works")
            self.control._order_by_person("on", "", until)
            self.assertEqual((self.control.mode, self.control.granted_until), ("prepaid", until))
            self.assertIn("granted until", self.order_on())
            self.assertEqual(self.control.granted_until, until)
            self.set_clock(until)
            self.assertIn("In arrears", self.order_on())
            self.env.cr.execute("ROLLBACK TO SAVEPOINT supply")
            self.env.invalidate_all()

        self.holds(
            check,
            (Persons._order_on, '"held_on" if self.mode == "held_on" else "prepaid"', '"prepaid"'),
            (Persons._order_on, "if self._is_granted():", "if False:"),
            (Persons._is_granted, "and self.granted_until > clock.now(self.env.cr)", ""),
        )

    def test_held_on_is_never_cut_and_returns_to_the_balance(self):
        self.control._order_by_person("hold", "Hospital bed")
        self.use(1, "10")
        self.assertEqual(self.commands(self.meter), [(1, "supply", "on", "queued")])
        self.control._order_by_person("prepaid", "")
        self.assertEqual(self.commands(self.meter)[-1], (2, "supply", "off", "queued"))

    def test_expired_cut_is_decided_anew(self):
        self.use(1, "10")
        self.set_clock(START + timedelta(hours=26))
        self.assertEqual(self.env["energy.command"]._take(self.meter.ids), [])
        self.assertEqual(self.commands(self.meter)[0][3], "expired")
        self.use(26, "10.5")
        self.assertEqual(self.commands(self.meter)[-1], (2, "supply", "off", "queued"))

    def test_restore_needs_more_than_the_restore_threshold(self):
        self.policy.write({"cut_off": 0, "restore": 20})
        self.use(1, "10")
        self.top_up(self.account, 26)
        self.assertEqual(len(self.commands(self.meter)), 1)
        self.assertEqual(self.control.decision, "already")
        self.assertEqual(f"{self.control.missing:.2f}", "0.01")
        self.top_up(self.account, 0.01)
        self.assertEqual(self.commands(self.meter)[-1], (2, "supply", "on", "queued"))

    def test_missing_price_sets_the_account_aside_until_there_is_one(self):
        tariff = self.make_tariff("Later", {"flat": ["1.000000"]}, date_from="2026-03-02")
        meter = self.make_meter("S2")
        account = self.open_account(meter, tariff=tariff)
        self.read(meter, START + timedelta(hours=30), "30")
        self.read(self.meter, START + timedelta(hours=30), "3")
        self.settle()
        problem = self.env["energy.settlement.problem"].search([])
        self.assertEqual(problem.account_id, account)
        self.assertIn("no approved price", problem.message)
        self.assertEqual(self.entries(account), [])
        self.assertEqual(self.entries(self.account), ["-1.80"])
        self.add_version(tariff, {"flat": ["0.500000"]}, date_from="2026-02-01")
        self.settle()
        self.assertFalse(self.env["energy.settlement.problem"].search([]))
        # 24 h at 0.50 on 1 March, 6 h at 1.00 on 2 March
        self.assertEqual(self.entries(account), ["-18.00"])
        self.assertChecked()

    def test_supplies_are_found_and_grouped_by_their_present_tariff(self):
        dear = self.make_tariff("Dear", {"flat": ["1.000000"]})
        other = self.open_account(self.make_meter("S2"), tariff=dear)
        self.account.supply_ids._set_tariff(dear, START + timedelta(hours=2))
        supplies = self.env["energy.supply"]

        def found(tariff):
            return supplies.search([("tariff_id", "=", tariff.id)])

        def groups():
            return supplies._read_group(
                [("company_id", "=", self.company.id)], ["tariff_id"], ["__count"]
            )

        # Not yet.
        self.assertEqual(
            (found(self.flat_tariff), found(dear)), (self.account.supply_ids, other.supply_ids)
        )
        self.assertEqual(dict(groups()), {self.flat_tariff: 1, dear: 1})
        self.set_clock(START + timedelta(hours=3))
        self.assertEqual(len(found(dear)), 2)
        self.assertEqual(found(self.flat_tariff), supplies)
        self.assertEqual(groups(), [(dear, 2)])
        self.assertTrue(supplies.fields_get(["tariff_id"])["tariff_id"]["groupable"])
        self.assertEqual(supplies.search([("tariff_id", "ilike", "dear")]), found(dear))

    def test_tariff_changes_from_a_moment_on(self):
        self.use(1, "10")
        dear = self.make_tariff("Dear", {"flat": ["6.000000"]})
        self.env["energy.supply"].search([("meter_id", "=", self.meter.id)])._set_tariff(
            dear, START + timedelta(hours=2)
        )
        self.use(3, "30")
        # 20 kWh at 0.60, then 10 of the 20 kWh between 1:00 and 3:00 at 6.00
        self.assertEqual(self.account.balance, -(20 * 0.6 + 10 * 6))
        self.assertChecked()

    def outcome(self, balance, overdraft, before, changes):
        """Return what is wanted and ordered after deciding in a situation; leave no trace of it."""
        rows = {"meter": self.meter, "account": self.account, "meter_control": self.control}
        savepoint = self.env.cr.savepoint()
        with closing(savepoint):
            for table, key, change in (
                ("wallet", self.account.wallet_ids.id, {"balance": balance}),
                ("credit_policy", self.policy.id, {"overdraft": overdraft}),
                (
                    "meter_control",
                    self.control.id,
                    dict(zip(("decision", "wanted"), before, strict=True)),
                ),
                *((table, rows[table].id, change) for table, change in changes.items()),
            ):
                for column, value in change.items():
                    self.env.cr.execute(
                        SQL(
                            "UPDATE %s SET %s = %s WHERE id = %s",
                            SQL.identifier(f"energy_{table}"),
                            SQL.identifier(column),
                            value,
                            key,
                        )
                    )
            self.env.invalidate_all(flush=False)
            self.account._decide()
            control = self.control
            outcome = (
                (control.wanted, control.wanted_cause, control.decision),
                (control.decided_balance, control.missing),
                self.commands(self.meter),
            )
        self.env.invalidate_all(flush=False)
        return outcome

    def test_only_who_is_in_question_is_decided_about_and_nobody_is_missed(self):
        self.use(1, "10")
        self.policy.write({"cut_off": 10, "restore": 20, "level_ids": [Command.clear()]})
        self.env.flush_all()
        places = [("10.01", 0), ("10.00", 0), ("9.99", 0), ("5.01", 5), ("5.00", 5), ("4.99", 5)]

        def check():
            decisions = set()
            for (balance, overdraft), *situation in product(places, BEFORE, CIRCUMSTANCES):
                asked = self.outcome(balance, overdraft, *situation)
                with patch.object(Situations, "_in_question", lambda _self, ids: ids):
                    always = self.outcome(balance, overdraft, *situation)
                self.assertEqual(asked, always, (balance, overdraft, *situation))
                decisions.add(asked[0][2])
            self.assertLessEqual(REACHED, decisions)

        self.holds(
            check,
            (Situations._in_question, "> COALESCE(p.cut_off", ">= COALESCE(p.cut_off"),
            (Situations._in_question, "ELSE 'enough' END", "ELSE c.decision END"),
            (Situations._in_question, "THEN 'postpaid'", "THEN c.decision"),
            (Situations._in_question, "c.mode = 'prepaid' AND", ""),
            (Situations._in_question, "AND c.wanted IS DISTINCT FROM 'off'", ""),
            (Situations._in_question, "(a.payment_mode = 'postpaid'", "(TRUE"),
        )
