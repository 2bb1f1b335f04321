from datetime import timedelta
from decimal import Decimal

from odoo.tests import Form, tagged

from .common import START, EnergyCase

HOUR = timedelta(hours=1)


@tagged("post_install", "-at_install")
class TestMeterRegister(EnergyCase):
    """A meter shows the last register that was read of it, whoever read it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("L1", max_power=10)
        cls.account = cls.open_account(cls.meter, register=100.5)

    def deliver(self, hours, total, source="typed"):
        moment = START + hours * HOUR
        self.set_clock(moment)
        self.env["energy.reading"]._ingest([(self.meter.id, moment, Decimal(total), None, source)])

    def shown(self):
        self.env.invalidate_all()
        return self.meter.register, self.meter.read_at and (self.meter.read_at - START) / HOUR

    def test_meter_that_nobody_read_shows_nothing(self):
        meter = self.make_meter("L2")
        self.assertEqual((meter.register, meter.read_at), (0, False))

    def test_meter_read_by_hand_shows_what_was_accepted_last(self):
        self.assertEqual(self.shown(), (100.5, 0))
        self.deliver(2, "110")
        self.assertEqual(self.shown(), (110, 2))
        # Held, as it is more than 10 kW can make it, until a person accepts it.
        self.deliver(3, "200")
        self.assertEqual(self.shown(), (110, 2))
        held = self.env["energy.reading"].search(
            [("meter_id", "=", self.meter.id), ("state", "=", "held")]
        )
        held._accept("Seen again.", overrule=True)
        self.assertEqual(self.shown(), (200, 3))
        with Form(self.meter) as form:
            self.assertEqual(form.register, 200)
        held._reject("Misread.")
        self.assertEqual(self.shown(), (110, 2))

    def test_meter_with_a_driver_shows_what_the_field_says(self):
        self.env.cr.execute(
            "UPDATE energy_meter SET driver = 'field' WHERE id = %s", [self.meter.id]
        )
        self.deliver(2, "110", "poll")
        # The field reports a register as it is, be it held.
        self.env["energy.meter.status"]._report(
            [{"meter_id": self.meter.id, "read_at": START + 3 * HOUR, "total": Decimal("5000.25")}]
        )
        self.assertEqual(self.shown(), (5000.25, 3))
        # A person went there since.
        self.deliver(5, "130")
        self.assertEqual(self.shown(), (130, 5))
