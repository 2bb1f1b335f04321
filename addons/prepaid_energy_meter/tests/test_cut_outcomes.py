"""However a cut ends, a payment brings supply back, or somebody sees why not; and it ends once."""

from odoo.addons.prepaid_energy.models.energy_command_delivery import EnergyCommand as Delivery
from odoo.addons.prepaid_energy.models.energy_command_wish import EnergyCommand as Wish
from odoo.addons.prepaid_energy.models.energy_meter_finding_supply import (
    EnergyMeterFinding as SupplyFinding,
)
from odoo.addons.prepaid_energy.tests.common import START
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.tests import tagged

from ..modbus.device import ModbusDriver
from ..modbus.errors import ModbusException, NoAnswer
from .in_flight import HOUR, InFlightCase

#: What the relay does with a cut, and how that ends.
RELAYS = {
    "obeys": ({}, "confirmed"),
    "moves not": ({"moves": 0}, "failed"),
    "one of two contacts sticks": ({"moves": 1}, "failed"),
    "impossible": ({"moves": 0, "says": ModbusException(2)}, "failed"),
    "impossible, and moves": ({"says": ModbusException(2)}, "confirmed"),
    "impossible, and moves by half": ({"moves": 1, "says": ModbusException(3)}, "failed"),
    "device failure": ({"moves": 0, "says": ModbusException(4)}, "failed"),
    "device failure, and moves": ({"says": ModbusException(4)}, "confirmed"),
    "device failure, by half": ({"moves": 1, "says": ModbusException(4)}, "failed"),
    "busy, and moves": ({"says": ModbusException(6)}, "confirmed"),
    "no acknowledgement": ({"moves": 1, "says": NoAnswer("no answer in 1 s")}, "failed"),
    "refuses before the write": ({"reads": ModbusException(2)}, "failed"),
    "away for a day": ({"is_silent": True}, "expired"),
}


@tagged("post_install", "-at_install")
class TestCutOutcomes(PropertyCase, InFlightCase):
    def bend(self, **behaviour):
        for name, value in behaviour.items():
            setattr(self.relay, name, value)

    def mend(self):
        self.bend(moves=2, says=None, reads=None, is_silent=False)

    def cut(self, name):
        """Have the supply cut by a relay of this kind; return the order."""
        behaviour, ends = RELAYS[name]
        self.bend(**behaviour)
        orders = self.live()
        if ends == "expired":
            self.set_clock(START + 30 * HOUR)
            self.connector()
        self.env.invalidate_all()
        self.assertEqual(orders.mapped("state"), [ends])
        return orders

    def pay(self):
        self.top_up(self.account, 50)
        self.settle()
        self.connector()
        self.env.invalidate_all()

    def assert_lit_or_told(self):
        self.assertEqual(self.meter.control_id.wanted, "on")
        self.env["energy.meter.finding"]._watch(self.site)
        if not self.relay.is_closed:
            self.assertTrue(self.to_dos("order", "state", "armed") or self.waiting())

    def waiting(self):
        return self.orders().filtered(lambda order: order.state in ("queued", "sent"))

    def check_payment(self, name):
        """The relay obeys again when it is told on: supply is on. Else somebody is told."""
        self.cut(name)
        self.mend()
        self.pay()
        self.assertTrue(self.relay.is_closed)
        self.assert_lit_or_told()
        if RELAYS[name][1] == "failed":
            self.assertFalse(self.to_dos("order"), "the payment's order has answered it")

    def check_lasting(self, name):
        self.cut(name)
        self.pay()
        self.assert_lit_or_told()

    def test_payment_after_any_end_of_a_cut(self):
        for name in RELAYS:
            with self.subTest(name=name):
                self.undone(self.check_payment, name)
                self.undone(self.check_lasting, name)

    def check_doubt(self):
        """A cut that moved one contact is asked about again, and must not be written any more."""
        self.bend(moves=1)
        [order] = self.live(after_read_back=("protect",))
        self.assertEqual((order.state, bool(order.sent_at)), ("overtaken", True))
        self.mend()
        self.pay()
        self.assertTrue(self.relay.is_closed)

    def test_cut_that_nobody_asks_for_any_more_may_have_been_written(self):
        self.undone(self.check_doubt)

    def check_unarmed(self):
        """A payment's order waits, is shown, and goes out when somebody arms the gateway."""
        self.cut("obeys")
        self.gateway.action_disarm()
        self.pay()
        self.assertEqual(self.waiting().mapped("waits_for"), ["armed"])
        self.set_clock(START + 100 * HOUR)
        self.connector()
        self.env["energy.meter.finding"]._watch(self.site)
        self.assertEqual(self.to_dos("armed").gateway_id, self.gateway)
        self.assertFalse(self.relay.is_closed)
        self.gateway.action_arm()
        self.connector()
        self.assertTrue(self.relay.is_closed)

    def test_payment_at_a_gateway_that_is_not_armed(self):
        self.undone(self.check_unarmed)

    def check_unreleased(self):
        """Cuts wait once, whoever uses on; what has waited for a day is decided anew."""
        self.gateway.action_disarm()
        self.gateway.action_arm()
        self.live()
        for hour in range(2, 30):
            self.read(self.meter, START + hour * HOUR, str(10 + hour))
            self.settle()
            self.connector()
        self.assertEqual(self.orders().mapped("waits_for"), ["cuts_released"])
        self.assertFalse(self.relay.writes)
        self.gateway.action_release_cuts()
        self.connector()
        self.assertEqual(self.orders().mapped("state"), ["overtaken", "confirmed"])
        self.assertFalse(any(self.relay.contacts))

    def test_cuts_that_are_not_released(self):
        self.undone(self.check_unreleased)
        self.undone(self.check_unreleased_paid)

    def check_unreleased_paid(self):
        self.gateway.action_disarm()
        self.gateway.action_arm()
        self.live()
        self.pay()
        self.gateway.action_release_cuts()
        self.connector()
        self.assertEqual(self.orders().mapped("state"), ["overtaken", "confirmed"])
        self.assertNotIn("off", self.relay.writes)

    def check_one_end(self, name):
        """What was given up is not ordered again by itself, and stays closed if it was closed."""
        self.cut(name)
        written = len(self.relay.writes)
        self.to_dos("order")._close("The tenant has promised to pay")
        for hour in range(2, 5):
            self.read(self.meter, START + hour * HOUR, str(10 + hour))
            self.settle()
            self.connector()
        self.assertEqual(len(self.orders()), 1)
        self.assertEqual(len(self.relay.writes), written)
        self.assertFalse(self.to_dos("order"))
        # Paid and used up: that is another matter.
        self.mend()
        self.pay()
        self.read(self.meter, START + 6 * HOUR, "200")
        self.settle()
        self.connector()
        self.assertEqual(self.orders()[-1].value, "off")
        self.assertFalse(any(self.relay.contacts))

    def test_cut_that_is_given_up_ends_once(self):
        for name, (_behaviour, ends) in RELAYS.items():
            if ends == "failed":
                with self.subTest(name=name):
                    self.undone(self.check_one_end, name)

    def check_again(self, name):
        """*Order Again* is the cut once more: what it turned off, a payment turns on."""
        [order] = self.cut(name)
        self.mend()
        to_do = self.to_dos("order")
        self.assertEqual(to_do.command_id, order)
        to_do.action_order_again()
        self.connector()
        self.assertFalse(any(self.relay.contacts))
        control = self.meter.control_id
        self.assertEqual((control.mode, control.wanted_cause), ("prepaid", "arrears"))
        self.pay()
        self.assertTrue(self.relay.is_closed)

    def test_cut_that_a_person_orders_again(self):
        for name in ("moves not", "one of two contacts sticks", "refuses before the write"):
            with self.subTest(name=name):
                self.undone(self.check_again, name)

    def check_unclear(self):
        """One contact alone is neither on nor off: somebody has to look, order or none."""
        self.cut("one of two contacts sticks")
        status = {"meter_id": self.meter.id, "supply_state": "unknown"}
        for hour in (2, 3):
            self.set_clock(START + hour * HOUR)
            self.env["energy.meter.status"]._report(
                [{**status, "supply_seen_at": START + hour * HOUR}]
            )
        self.env["energy.meter.finding"]._watch(self.site)
        self.assertIn("Neither on nor off", self.to_dos("state").details or "")

    def test_supply_that_stays_unclear_is_a_finding(self):
        self.undone(self.check_unclear)

    def test_defects_are_caught(self):
        forgets = (
            Delivery._fail,
            'self._note("failed", evidence, error)',
            'self.meter_id.control_id._write_wish("prepaid", "on", "policy")',
        )
        for check, *defects in (
            (
                lambda: self.undone(self.check_payment, "one of two contacts sticks"),
                forgets,
            ),
            (
                lambda: self.undone(self.check_payment, "impossible, and moves by half"),
                forgets,
            ),
            (
                lambda: self.undone(self.check_payment, "device failure, and moves"),
                (
                    ModbusDriver._start,
                    "is_final = error.code in ModbusException.NOT_POSSIBLE",
                    'return Outcome("failed", request=request, error=str(error))',
                ),
            ),
            (
                lambda: self.undone(self.check_one_end, "moves not"),
                forgets,
            ),
            (
                lambda: self.undone(self.check_doubt),
                (Wish._forget_wish, "c.sent_at IS NOT NULL OR c.state = 'confirmed'", "FALSE"),
            ),
            (
                lambda: self.undone(self.check_again, "moves not"),
                (Wish._again, 'if self.mode == "forced_off" else "again"', 'if True else ""'),
            ),
            (
                lambda: self.undone(self.check_unclear),
                (SupplyFinding._differing, "OR o.done_at IS NOT NULL", ""),
            ),
        ):
            with self.subTest(check=check):
                self.holds(check, *defects)
