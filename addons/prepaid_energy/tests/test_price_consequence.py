from datetime import timedelta
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..models import energy_price_consequence
from .common import START, EnergyCase
from .planting import PropertyCase

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@tagged("post_install", "-at_install")
class TestPriceConsequence(PropertyCase, EnergyCase):
    """A price published late: listed with amounts first, posted once after."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accounts = [
            cls.open_account(cls.make_meter(name), register=0) for name in ("P1", "P2", "P3")
        ]
        # 30 days at 10, 20 and 0 kWh a day, at 0.60
        for day in range(1, 31):
            for account, daily in zip(cls.accounts, (10, 20, 0), strict=True):
                cls.read(account.supply_ids.meter_id, START + day * DAY, str(day * daily))
        cls.settle()

    def version(self, price="0.700000", date_from="2026-03-11"):
        """Make a draft version of the flat tariff, three weeks late."""
        version = self.add_version(self.flat_tariff, {"flat": [price]}, date_from="2030-01-01")
        version.action_draft()
        version.date_from = date_from
        version.flush_recordset()
        return version

    def ask(self, version):
        """Ask for the approval; return the consequences shown."""
        action = version.action_approve()
        self.assertTrue(action, "Nothing was asked.")
        self.assertEqual(action["res_model"], "energy.price.consequence")
        return self.env["energy.price.consequence"].browse(action["res_id"])

    def posted(self):
        return [self.entries(account) for account in self.accounts]

    def check_listed_then_posted_once(self):
        # What was read and not settled yet is a consequence by the change of its price only.
        self.read(self.accounts[0].supply_ids.meter_id, START + 30 * DAY + HOUR, "301")
        before = self.posted()
        version = self.version()
        consequence = self.ask(version)
        # From 11 March on: 20 days of 10 and 20 kWh at 0.10 more
        self.assertEqual(consequence.state, "shown")
        self.assertEqual(
            [(line.account_id, round(line.amount, 2)) for line in consequence.line_ids],
            [(self.accounts[1], 40.0), (self.accounts[0], 20.1)],
        )
        self.assertEqual((consequence.account_count, consequence.affected_count), (2, 3))
        self.assertAlmostEqual(consequence.amount, 60.1)
        # Nothing is posted, and nothing is in force.
        self.assertEqual(self.posted(), before)
        self.settle()
        before[0].append("-0.60")
        self.assertEqual(self.posted(), before)
        self.assertEqual(version.state, "draft")
        self.assertEqual(len(self.flat_tariff._version_starts(self.flat_tariff.id)), 1)
        consequence.action_confirm()
        self.assertEqual(version.state, "approved")
        self.settle()
        after = self.posted()
        self.assertEqual(
            [entries[len(old) :] for entries, old in zip(after, before, strict=True)],
            [["-20.10"], ["-40.00"], []],
        )
        # Running it again adds nothing.
        self.env["energy.settlement.queue"]._add_version(version)
        self.settle()
        with self.refused(UserError, "decided already"):
            consequence.action_confirm()
        self.settle()
        self.assertEqual(self.posted(), after)
        self.assertIsNone(version._consequences())

    def test_listed_then_posted_once(self):
        model = energy_price_consequence.EnergyPriceConsequence
        version = type(self.env["energy.tariff.version"])
        rating = type(self.env["energy.rating"])
        self.holds(
            self.check_listed_then_posted_once,
            # what is supposed stays in force
            (rating._preview, "savepoint.rollback()", "pass"),
            # it is not supposed at all
            (model._differences, "self._suppose, refused", "None, refused"),
            # what waits to be settled anyway is taken for a consequence
            (model._differences, "rating._preview(queued)", "{}"),
            # approved without being asked
            (version._consequences, "if shown or not waiting:", "if True:"),
            # what was posted already is posted again
            (rating._drafts, "target - row.posted", "target"),
        )

    def test_a_version_of_the_future_asks_nothing(self):
        version = self.version(date_from="2026-06-01")
        self.assertFalse(version.action_approve())
        self.assertEqual(version.state, "approved")
        self.assertFalse(self.env["energy.price.consequence"].search([]))

    def test_left_as_it_is(self):
        before = self.posted()
        version = self.version()
        consequence = self.ask(version)
        consequence.action_cancel()
        with self.refused(UserError, "decided already"):
            consequence.action_confirm()
        self.settle()
        self.assertEqual(self.posted(), before)
        self.assertEqual(version.state, "draft")

    def test_many_accounts_are_computed_in_batches(self):
        with patch.object(energy_price_consequence, "BATCH", 1):
            consequence = self.ask(self.version())
            self.assertEqual((consequence.state, consequence.done_count), ("computing", 0))
            with self.refused(UserError, "being computed"):
                consequence.action_confirm()
            self.assertFalse(consequence._compute_batch())
            self.assertEqual((consequence.done_count, round(consequence.progress)), (1, 33))
            while not consequence._compute_batch():
                pass
        self.assertEqual(consequence.state, "shown")
        self.assertEqual(consequence.line_ids.mapped("amount"), [40.0, 20.0])

    def compute(self, between=lambda: 60):
        """Run the scheduled action with batches of one account."""
        jobs = type(self.env["ir.cron"])
        with (
            patch.object(energy_price_consequence, "BATCH", 1),
            patch.object(jobs, "_commit_progress", lambda *args, **values: between()),
        ):
            self.env["energy.price.consequence"]._cron_compute()

    def waiting(self, *versions):
        with patch.object(energy_price_consequence, "BATCH", 1):
            return [self.ask(version) for version in versions]

    def test_cancelled_while_it_is_computed(self):
        def check():
            [consequence] = self.waiting(self.version())
            self.compute(
                lambda: consequence.state == "cancelled" or consequence.action_cancel() or 1
            )
            self.assertEqual((consequence.state, consequence.done_count), ("cancelled", 1))

        model = energy_price_consequence.EnergyPriceConsequence
        self.holds(check, (model._compute_batch, 'self._locked_state() != "computing"', "False"))

    def test_one_that_fails_is_set_aside(self):
        model = energy_price_consequence.EnergyPriceConsequence
        known = model._differences
        first, second = self.waiting(self.version(), self.version("0.800000", "2026-03-12"))

        def differences(consequence, rows):
            if consequence == first:
                raise ValueError("No such band")
            return known(consequence, rows)

        with (
            patch.object(model, "_differences", differences),
            self.assertLogs("odoo.addons.prepaid_energy.models.energy_task", "ERROR") as log,
        ):
            self.compute()
        self.assertIn("Traceback", log.output[0])
        self.assertEqual((first.state, first.message), ("failed", "No such band"))
        self.assertEqual((second.state, second.done_count), ("shown", 3))
        with self.refused(UserError, "No such band"):
            first.action_confirm()
        first.action_try_again()
        self.assertEqual((first.state, first.message), ("computing", False))
        self.compute()
        self.assertEqual((first.state, first.done_count), ("shown", 3))

    def test_a_dearer_price_before_a_later_version_counts_its_time_only(self):
        self.add_version(self.flat_tariff, {"flat": ["0.60"]}, date_from="2026-03-21")
        self.settle()
        consequence = self.ask(self.version())
        # 11 to 20 March: 10 days of 10 and 20 kWh at 0.10 more
        self.assertEqual(consequence.line_ids.mapped("amount"), [20.0, 10.0])

    def test_tariff_set_from_a_past_moment(self):
        dear = self.make_tariff("Dear", {"flat": ["1.000000"]})
        account = self.accounts[0]
        before = self.entries(account)
        operation = self.env["energy.operation"].create(
            {
                "action": "set_tariff",
                "tariff_id": dear.id,
                "since": START + 25 * DAY,
                "line_ids": [Command.create({"meter_id": account.supply_ids.meter_id.id})],
            }
        )
        action = operation.action_confirm()
        consequence = self.env[action["res_model"]].browse(action["res_id"])
        # 5 days of 10 kWh at 0.40 more
        self.assertEqual(consequence.line_ids.mapped("amount"), [20.0])
        self.settle()
        self.assertEqual(self.entries(account), before)
        self.assertEqual(account.supply_ids.term_ids.tariff_id, self.flat_tariff)
        result = consequence.action_confirm()
        self.assertTrue(self.env["energy.operation"].browse(result["res_id"]).line_ids.is_done)
        self.settle()
        self.assertEqual(self.entries(account), [*before, "-20.00"])
        self.assertEqual(account.supply_ids.term_ids.tariff_id, self.flat_tariff + dear)

    def test_only_managers_confirm(self):
        consequence = self.ask(self.version())
        for role in ("viewer", "finance", "engineer"):
            user = self.new_user(role, f"price_{role}")
            with self.refused(AccessError):
                consequence.with_user(user).action_confirm()
            with self.refused(AccessError):
                consequence.with_user(user).action_cancel()
        manager = self.new_user("manager", "price_manager")
        consequence.with_user(manager).action_confirm()
        self.assertEqual(consequence.confirmed_by_id, manager)
