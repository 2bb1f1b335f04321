"""A payment meets a cut, and a connector dies, at every point of an order's way (C1, C2, C6)."""

from odoo.addons.prepaid_energy.models.energy_command_delivery import EnergyCommand
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.tests import tagged

from ..modbus.device import ModbusDriver
from .in_flight import InFlightCase

POINTS = (
    "queued",
    "taken",
    "sent",
    "write_sent",
    "before_read_back",
    "after_read_back",
    "order_confirmed",
)


@tagged("post_install", "-at_install")
class TestOrdersInFlight(PropertyCase, InFlightCase):
    def check_payment(self, point, kill):
        orders = self.live(**{point: ("pay", "kill") if kill else ("pay",)})
        self.assertTrue(self.relay.is_closed, "the relay ends on")
        self.assertLessEqual(len(self.relay.writes), 2, "at most one extra switching")
        self.assertEqual(orders.mapped("value"), ["off", "on"])
        self.assertEqual(orders[1].state, "confirmed")
        done = "confirmed" if point == "order_confirmed" else "overtaken"
        if point == "after_read_back" and not kill:
            done = "confirmed"
        if point in ("queued", "taken"):
            self.assertEqual(orders[0].state, "overtaken")
            self.assertNotIn("off", self.relay.writes)
        else:
            self.assertIn(orders[0].state, (done, "confirmed"))
        self.assertEqual(self.meter.status_id.supply_state, "on")
        self.assertEqual(self.meter.control_id.wanted, "on")

    def test_payment_while_a_cut_is_in_flight(self):
        for point in POINTS:
            for kill in (False, True) if point != "queued" else (False,):
                with self.subTest(point=point, kill=kill):
                    self.undone(self.check_payment, point, kill)

    def test_defects_are_caught(self):
        """The cut is written although a payment came; the payment's order is overtaken."""
        self.holds(
            lambda: self.undone(self.check_payment, "taken", False),
            (ModbusDriver._start, "if reason:", "if False:"),
        )
        self.holds(
            lambda: self.undone(self.check_payment, "write_sent", True),
            (EnergyCommand._take, "AND h.number > c.number", "AND h.number < c.number"),
        )

    def check_killed(self, point):
        orders = self.live(**{point: ("kill",)})
        self.assertFalse(self.relay.is_closed)
        self.assertEqual(self.relay.writes, ["off"], "written once")
        self.assertEqual(orders.mapped("state"), ["confirmed"])

    def test_killed_connector_is_followed_by_one_that_reads_first(self):
        """C6: once it may have been written, nobody writes it again."""
        for point in POINTS[1:]:
            with self.subTest(point=point):
                self.undone(self.check_killed, point)

    def test_only_the_last_of_many_wishes_is_carried_out(self):
        """C2: a hundred orders while the meter was away."""
        for _turn in range(50):
            self.meter.control_id._order_by_person("off", "Works")
            self.meter.control_id._order_by_person("hold", "Works done")
        self.connector()
        self.assertEqual(self.relay.writes, ["on"])
        orders = self.env["energy.command"].search([("meter_id", "=", self.meter.id)], order="id")
        self.assertEqual(orders.mapped("state"), ["overtaken"] * 99 + ["confirmed"])
