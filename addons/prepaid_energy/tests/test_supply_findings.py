from datetime import timedelta

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.energy_command_trip import EnergyCommand as Trip
from ..models.energy_meter_finding_supply import EnergyMeterFinding
from ..models.energy_meter_finding_supply import EnergyMeterStatus as Status
from .common import START, EnergyCase
from .planting import PropertyCase

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@tagged("post_install", "-at_install")
class TestSupplyFindings(PropertyCase, EnergyCase):
    """Trips, states that differ, and flow behind an off."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("F1")
        cls.account = cls.open_account(cls.meter)
        cls.findings = cls.env["energy.meter.finding"]
        cls.now = START

    def at(self, minutes):
        self.now = START + minutes * MINUTE
        self.set_clock(self.now)

    def see(self, state, meter=None, **values):
        """Have the field say how a supply is, now."""
        row = {
            "meter_id": (meter or self.meter).id,
            "supply_state": state,
            "supply_seen_at": self.now,
            "read_at": self.now,
            "trip_cause": None,
            "alarms": None,
            **values,
        }
        self.env["energy.meter.status"]._report([row])

    def watch(self):
        self.findings._watch(self.site)

    def standing(self, kind, meter=None):
        return self.findings.search(
            [
                ("meter_id", "=", (meter or self.meter).id),
                ("kind", "=", kind),
                ("is_standing", "=", True),
            ]
        )

    def cut_and_pay(self):
        """Cut for arrears, confirmed; then pay. Return the order to turn on."""
        self.read(self.meter, START + HOUR, "10")
        self.settle()
        self.last()._confirm("off")
        self.at(65)
        self.see("off")
        self.top_up(self.account, 50)
        self.settle()
        self.env.invalidate_all()
        return self.last()

    # --- trips ------------------------------------------------------------------------------------

    def test_a_trip_is_a_finding_with_its_cause_until_it_is_gone(self):
        self.see("off", trip_cause="overload")
        finding = self.standing("trip")
        self.assertIn("overload", finding.details)
        self.assertEqual(self.meter.trip_cause, "overload")
        self.see("on")
        self.assertFalse(self.standing("trip"))
        self.assertEqual(finding.state, "closed")

    def test_a_payment_does_not_undo_a_trip(self):
        """C11: also where arrears and a trip come together."""

        def check():
            self.env.cr.execute("SAVEPOINT before_check")
            order = self.cut_and_pay()
            self.assertEqual((order.value, order.cause), ("on", "payment"))
            self.see("off", trip_cause="load_control")
            self.assertTrue(order._check())
            self.assertEqual(order.state, "failed")
            self.assertIn("Load control", order.error)
            self.assertIn("own protection", self.meter.control_id.decision_reason)
            self.env.cr.execute("ROLLBACK TO SAVEPOINT before_check")
            self.env.invalidate_all()

        self.holds(
            check,
            (Trip._check, "status.trip_cause not in PROTECTION", "True"),
            (Trip._check, 'self._set("failed", error=why, done=True)', "pass"),
        )

    def test_a_person_may_after_looking(self):
        self.cut_and_pay()
        self.see("off", trip_cause="overload")
        self.meter.control_id._order_by_person("on", "Looked: the kettle is gone")
        self.assertEqual(self.last()._check(), "")

    def test_the_meters_own_money_is_no_protection(self):
        order = self.cut_and_pay()
        self.see("off", trip_cause="own_prepaid")
        self.assertEqual(order._check(), "")

    def test_off_is_written_whatever_tripped(self):
        self.see("off", trip_cause="overload")
        self.meter.control_id._order_by_person("off", "Works")
        self.assertEqual(self.last()._check(), "")

    def test_what_the_device_reports_is_a_finding(self):
        self.see("on", alarms="fault low_battery")
        self.assertIn("battery", self.standing("device").details)
        self.see("on", alarms="low_battery")
        self.assertEqual(self.standing("device").code, "device_low_battery")
        self.see("on")
        self.assertFalse(self.standing("device"))

    # --- state differs ----------------------------------------------------------------------------

    def test_a_supply_turned_off_elsewhere_is_found_and_not_taken_for_our_wish(self):
        """C12."""

        def check():
            self.env.cr.execute("SAVEPOINT before_check")
            self.at(1)
            self.see("on")
            self.at(30)
            self.see("off")
            self.watch()
            self.assertFalse(self.standing("state"), "not yet")
            self.at(45)
            self.see("off")
            self.watch()
            self.assertEqual(self.standing("state").code, "state_off")
            self.assertEqual(self.standing("state").since, START + 30 * MINUTE)
            self.top_up(self.account, 5)
            self.settle()
            self.env.invalidate_all()
            self.assertNotEqual(self.meter.control_id.wanted, "off")
            self.assertFalse(self.last())
            self.at(50)
            self.see("on")
            self.watch()
            self.assertFalse(self.standing("state"))
            self.env.cr.execute("ROLLBACK TO SAVEPOINT before_check")
            self.env.invalidate_all()

        differing = EnergyMeterFinding._differing
        self.holds(
            check,
            (differing, "company.energy_state_minutes * interval", "0 * interval"),
            (differing, "<> st.supply_state", "= 'off' AND FALSE"),
            (differing, "CASE WHEN s.id IS NOT NULL THEN 'on' END", "'off'"),
            (EnergyMeterFinding._watch, 'self._sync("state", self._differing(site), domain)', "0"),
        )

    def test_forced_on_elsewhere_while_off_is_wanted(self):
        self.meter.control_id._order_by_person("off", "Works")
        self.last()._confirm("off")
        self.see("off")
        self.at(20)
        self.see("on")
        self.at(31)
        self.see("on")
        self.watch()
        self.assertEqual(self.standing("state").code, "state_on")
        self.assertEqual(self.meter.control_id.mode, "forced_off")

    def test_an_order_under_way_is_no_difference(self):
        self.see("on")
        self.at(5)
        self.meter.control_id._order_by_person("off", "Works")
        self.at(60)
        self.see("on")
        self.watch()
        self.assertFalse(self.standing("state"))
        self.last()._fail("the relay does not move")
        self.watch()
        self.assertFalse(self.standing("state"), "nothing was seen since the order ended")
        self.at(75)
        self.see("on")
        self.watch()
        self.assertTrue(self.standing("state"))

    def test_what_is_not_seen_is_not_known(self):
        self.see("on")
        self.meter.control_id._order_by_person("off", "Works")
        self.last()._confirm("off")
        self.at(120)
        self.watch()
        self.see("unknown")
        self.watch()
        self.assertFalse(self.standing("state"))

    # --- off, but flowing -------------------------------------------------------------------------

    def off_for(self, minutes, used, power=0.0, meter=None):
        """Off is seen at once; so many minutes later this is counted and flows."""
        meter = meter or self.meter
        self.at(0)
        self.read(meter, START, "0")
        self.see("off", meter)
        self.at(minutes)
        self.read(meter, self.now, str(used))
        self.see("off", meter, power=power)
        self.watch()
        return self.standing("flowing", meter)

    def flow(self, minutes, power=0.0):
        """So many minutes after the start this flows through the supply that is off."""
        self.at(minutes)
        self.see("off", power=power)
        self.watch()

    def test_power_behind_an_off_is_an_alarm_with_its_curve(self):
        def check():
            self.env.cr.execute("SAVEPOINT before_check")
            self.off_for(30, 0, power=1.0)
            self.assertFalse(self.standing("flowing"), "one sample of power")
            self.flow(40, power=1.0)
            self.assertFalse(self.standing("flowing"), "for ten minutes")
            self.flow(45, power=0.04)
            self.flow(50, power=1.0)
            self.flow(62, power=1.0)
            self.assertFalse(self.standing("flowing"), "not all the time")
            self.flow(65, power=1.0)
            finding = self.standing("flowing")
            self.assertEqual(finding.code, "flowing_power")
            self.assertIn("1 kW", finding.details)
            self.assertIn("<svg", finding.curve)
            self.flow(66, power=0.0)
            self.assertFalse(self.standing("flowing"), "it has stopped")
            self.assertEqual(finding.state, "closed", "kept in the history")
            self.flow(67, power=1.0)
            for minutes in (70, 100):
                self.at(minutes)
                self.read(self.meter, self.now, str(minutes))
                self.see("on", power=1.0)
                self.watch()
            self.assertFalse(self.standing("flowing"))
            # What flowed before it was turned off again does not count.
            self.flow(101, power=1.0)
            self.flow(116, power=0.0)
            self.flow(117, power=1.0)
            for minutes in (118, 120):
                self.at(minutes)
                self.see("on", power=1.0)
            self.at(121)
            self.see("off")
            self.flow(130, power=1.0)
            self.flow(137, power=1.0)
            self.assertFalse(self.standing("flowing"))
            self.flow(145, power=1.0)
            self.assertTrue(self.standing("flowing"))
            self.env.cr.execute("ROLLBACK TO SAVEPOINT before_check")
            self.env.invalidate_all()

        flowing = EnergyMeterFinding._flowing
        self.holds(
            check,
            (flowing, "if power is not None:", "if False:"),
            (flowing, "WHEN st.flowing_since <= st.read_at - w.wait", "WHEN TRUE"),
            (flowing, "AND st.supply_state = 'off'", ""),
            (Status._keep_flowing, "st.power > v.most, FALSE", "st.power > 0, FALSE"),
            (Status._keep_flowing, "st.power > v.most THEN", "st.power > 0 THEN"),
            (
                Status._keep_flowing,
                "st.flowing_since >= st.supply_since",
                "st.flowing_since > '-infinity'",
            ),
        )

    def test_a_growing_register_is_enough(self):
        """0.05 kW for 15 minutes are 0.0125 kWh."""

        def check(used, is_found):
            self.env.cr.execute("SAVEPOINT before_check")
            self.assertEqual(bool(self.off_for(30, used)), is_found)
            self.env.cr.execute("ROLLBACK TO SAVEPOINT before_check")
            self.env.invalidate_all()

        flowing = EnergyMeterFinding._flowing
        self.holds(lambda: check(0.02, True), (flowing, "used > limit", "used > 9"))
        self.holds(
            lambda: check(0.01, False),
            (flowing, "used > limit", "used > 0"),
        )

    def test_an_alarm_ends_when_nothing_flows_any_more(self):
        """0.02 kWh once: found, over with the next quarter of an hour; 1 Wh a day is nothing."""

        def check():
            self.env.cr.execute("SAVEPOINT before_check")
            finding = self.off_for(30, 0.02)
            self.assertIn("0.02 kWh within 30 minutes", finding.details)
            self.assertIn("<svg", finding.curve)
            # 0.02 kWh in half an hour
            self.assertIn("highest 0.04 kW", finding.curve)
            for minutes, is_found in ((40, True), (60, False)):
                self.at(minutes)
                self.read(self.meter, self.now, "0.02")
                self.see("off")
                self.watch()
                self.assertEqual(bool(self.standing("flowing")), is_found, minutes)
            self.assertEqual(finding.state, "closed")
            for day in range(1, 31):
                self.at(60 + 1440 * day)
                self.read(self.meter, self.now, f"{0.02 + 0.001 * day:.3f}")
                self.see("off")
                self.watch()
                self.assertFalse(self.standing("flowing"), day)
            self.env.cr.execute("ROLLBACK TO SAVEPOINT before_check")
            self.env.invalidate_all()

        flowing = EnergyMeterFinding._flowing
        self.holds(
            check, (flowing, "AND moment <= last.moment - w.wait", "AND moment < last.moment")
        )
        since_the_off = (
            "ORDER BY moment DESC LIMIT 1) base",
            "ORDER BY moment LIMIT 1) base",
        )
        self.holds(check, (flowing, *since_the_off))

    def test_what_flows_right_after_the_off_is_waited_for(self):
        self.assertFalse(self.off_for(10, 0.5, power=1.0))

    def test_water_has_its_own_limit(self):
        """0.02 m³/h for 15 minutes are 5 litres."""
        meter = self.make_meter("F2", "water")
        self.assertFalse(self.off_for(30, 0.004, meter=meter))
        self.at(60)
        self.read(meter, self.now, "0.010")
        self.see("off", meter)
        self.watch()
        self.assertIn("0.006 m³", self.standing("flowing", meter).details)

    def test_closed_by_hand_it_stays_closed(self):
        self.off_for(30, 0, power=1.0)
        self.flow(45, power=1.0)
        finding = self.standing("flowing")
        with self.assertRaises(UserError):
            finding._close(" ")
        finding._close("The pump of the fire main")
        self.flow(50, power=2.0)
        self.assertEqual(finding.state, "closed")
        self.assertEqual(self.standing("flowing"), finding)
