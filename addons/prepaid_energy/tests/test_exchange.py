from datetime import timedelta

from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .common import START, EnergyCase

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@tagged("post_install", "-at_install")
class TestExchange(EnergyCase):
    """A meter is replaced: the account goes on, nothing is charged twice or forgotten."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tiers = cls.make_tariff("Tiers", {"flat": ["0.500000", "1.000000"]}, limits=(100,))
        cls.old = cls.make_meter("X1", is_protected=True, cut_priority=3)
        cls.new = cls.make_meter("X2")
        cls.account = cls.open_account(cls.old, tariff=cls.tiers, register=1000)

    def exchange(self, moment, closing, opening, **values):
        exchange = self.env["energy.meter.exchange"].create(
            {
                "supply_id": self.account.supply_ids.filtered(lambda s: not s.end_at).id,
                "moment": moment,
                "new_meter_id": self.new.id,
                "opening_register": opening,
                "reason": "Display broken",
                **values,
            }
        )
        if closing is not None:
            exchange.closing_register = closing
        exchange.action_confirm()
        return exchange

    def money(self):
        self.settle()
        return f"{self.account.balance:.2f}"

    def test_counter_is_carried(self):
        self.read(self.old, START + 5 * DAY, "1080")
        self.set_clock(START + 6 * DAY)
        exchange = self.exchange(START + 6 * DAY, 1090, 5)
        # 90 kWh at 0.50
        self.assertEqual(self.money(), "-45.00")
        self.read(self.new, START + 10 * DAY, "45")
        # 10 more at 0.50, 30 at 1.00
        self.assertEqual(self.money(), "-80.00")
        self.assertEqual(exchange.state, "done")
        old, new = self.account.supply_ids.sorted("start_at")
        self.assertEqual((old.end_at, old.closing_register), (START + 6 * DAY, 1090))
        self.assertEqual((new.start_at, new.opening_register), (START + 6 * DAY, 5))
        self.assertEqual(new.tariff_id, self.tiers)
        self.assertFalse(new.counter_id)
        self.assertFalse(self.old.account_id)
        self.assertEqual(self.new.account_id, self.account)
        # The old meter goes on counting on the test bench: that is nobody's use.
        self.read(self.old, START + 11 * DAY, "1200")
        self.assertEqual(self.money(), "-80.00")

    def test_counter_begins_anew(self):
        self.read(self.old, START + 5 * DAY, "1080")
        self.set_clock(START + 6 * DAY + HOUR)
        self.exchange(START + 6 * DAY + HOUR, 1090, 5, carry_counter=False)
        self.assertEqual(self.money(), "-45.00")
        self.read(self.new, START + 10 * DAY, "45")
        # 40 kWh in tiers of their own, at 0.50
        self.assertEqual(self.money(), "-65.00")
        self.read(self.new, START + 12 * DAY, "125")
        # 120 by the new meter. From 7 March on the limit is 100 x 25 / 31 = 80.645:
        # 80.645 x 0.50 + 39.355 x 1.00 = 79.68, and the old one's 45.00
        self.assertEqual(self.money(), "-124.68")
        supply = self.account.supply_ids.sorted("start_at")[-1]
        self.assertEqual(supply.counter_id, supply)
        # The month ends the tiers of both: April begins at zero.
        self.read(self.new, START + 31 * DAY, "125")
        self.read(self.new, START + 35 * DAY, "185")
        self.assertEqual(self.money(), "-154.68")
        # A late reading of the old meter's time finds the old tiers.
        self.read(self.old, START + 2 * DAY, "1020")
        self.assertEqual(self.money(), "-154.68")

    def test_use_charged_beyond_a_past_moment_comes_back(self):
        self.read(self.old, START + 40 * DAY, "1200")
        # March: 155 kWh = 50.00 + 55.00; 9 days of April: 45 kWh = 22.50
        self.assertEqual(self.money(), "-127.50")
        self.set_clock(START + 41 * DAY)
        self.exchange(START + 20 * DAY, None, 0)
        old = self.account.supply_ids.sorted("start_at")[0]
        # Half of 40 days of 200 kWh, on the straight line.
        self.assertEqual(old.closing_register, 1100)
        self.assertEqual(self.money(), "-50.00")

    def test_new_meter_takes_the_place_of_the_old_one(self):
        self.old.control_id._order_by_person("hold", "Hospital")
        self.set_clock(START + HOUR)
        self.exchange(START + HOUR, 1000, 0)
        self.assertEqual(self.new.property_id, self.old.property_id)
        self.assertTrue(self.new.is_protected)
        self.assertEqual(self.new.cut_priority, 3)
        self.assertEqual(self.new.control_id.mode, "held_on")
        self.assertEqual(self.commands(self.new), [(1, "supply", "on", "queued")])
        self.assertEqual(self.old.control_id.mode, "prepaid")
        self.assertFalse(self.old.control_id.wanted)

    def test_form_proposes_the_last_reading(self):
        self.read(self.old, START + DAY, "1050")
        self.set_clock(START + 2 * DAY)
        action = self.account.supply_ids.action_replace_meter()
        form = Form(
            self.env["energy.meter.exchange"].with_context(**action["context"]),
            "prepaid_energy.energy_meter_exchange_view_form",
        )
        self.assertEqual((form.read_at, form.closing_register), (START + DAY, 1050))
        self.assertEqual(form.account_id, self.account)
        form.closing_register = 1060
        form.new_meter_id = self.new
        form.reason = "Larger size"
        exchange = form.save()
        self.assertEqual(exchange.closing_register, 1060)
        exchange.action_cancel()
        self.assertEqual(exchange.state, "cancelled")
        with self.refused(UserError, "carried out or cancelled"):
            exchange.action_confirm()

    def test_registers_that_do_not_fit_are_named(self):
        self.read(self.old, START + DAY, "1050")
        self.read(self.new, START + HOUR, "30")
        self.set_clock(START + 2 * DAY)
        with self.refused(UserError, "X1: 1040.* stated, ≥ 1050 expected"):
            self.exchange(START + 2 * DAY, 1040, 40)
        with self.refused(UserError, "X2: 20.* stated, ≥ 30 expected"):
            self.exchange(START + 2 * DAY, 1060, 20)
        with self.refused(UserError, "lies in the future"):
            self.exchange(START + 3 * DAY, 1060, 40)
        other = self.make_meter("X3")
        self.open_account(other)
        with self.refused(UserError, "X3 serves account"):
            self.exchange(START + 2 * DAY, 1060, 40, new_meter_id=other.id)
        self.assertFalse(self.account.supply_ids.end_at)

    def test_checker_sees_ended_supplies(self):
        """A planted defect: use of the old meter that is counted short."""
        self.read(self.old, START + DAY, "1050")
        self.set_clock(START + 2 * DAY)
        self.exchange(START + 2 * DAY, 1060, 0)
        self.settle()
        self.assertChecked()
        self.plants_defect = True
        supply = self.account.supply_ids.sorted("start_at")[0]
        self.env.cr.execute(
            "UPDATE energy_usage SET quantity = quantity - 1 WHERE supply_id = %s"
            " AND local_date = %s",
            [supply.id, "2026-03-01"],
        )
        findings = self.env["energy.checker"]._rule_usage()[1]
        self.assertIn("X1: its registers show 60", findings[0][1])
