from decimal import Decimal

from odoo.tests import tagged

from ..engine import registers, review
from ..models.energy_reading_acceptance import EnergyReading
from ..models.energy_reading_review import EnergyReading as Review
from .planting import PropertyCase
from .rating_case import RatingCase


@tagged("post_install", "-at_install")
class TestBandRegisters(RatingCase, PropertyCase):
    """Band registers that cannot be right hold the reading, where the use goes by them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # By the plan a day's 24 kWh cost 12 x 1.00 + 12 x 0.50 = 18.00
        cls.tariff = cls.make_peak_and_valley()

    def new_account(self, source="meter"):
        self.set_clock(self.day(0))
        meter = self.make_meter(f"B{self.env['energy.meter'].search_count([])}")
        account = self.open_account(meter, tariff=self.tariff, activate=False)
        account.supply_ids.term_ids.write(
            {"band_source": source, "plan_version_id": self.tariff.version_ids.id}
        )
        account.action_activate()
        return meter, account

    def deliver(self, meter, *rows):
        """Deliver registers of midnights (day, peak, valley) at once; a day uses 24 kWh. Settle."""
        self.set_clock(self.day(rows[-1][0]))
        self.env["energy.reading"]._ingest(
            [
                (
                    meter.id,
                    self.day(day),
                    Decimal(24 * day),
                    (None, Decimal(peak), None, Decimal(valley)),
                    "poll",
                )
                for day, peak, valley in rows
            ]
        )
        self.settle()
        self.env.invalidate_all()

    def readings(self, meter):
        return self.env["energy.reading"].search(
            [("meter_id", "=", meter.id), ("source", "=", "poll")], order="moment"
        )

    def states(self, meter):
        return [
            reading.reason if reading.state == "held" else reading.state
            for reading in self.readings(meter)
        ]

    def check_fall(self, *, at_once):
        """Peak falls while the total rises: held, and charged only when a person believes it."""
        with self.env.cr.savepoint() as savepoint:
            meter, account = self.new_account()
            rows = [
                (1, "20", "4"),
                (2, "25", "23"),
                (3, "3", "44"),
                (4, "13", "58"),
                (5, "1", "94"),
            ]
            for part in [rows] if at_once else [[row] for row in rows]:
                self.deliver(meter, *part)
            self.assertEqual(self.states(meter), ["accepted"] * 2 + ["bands"] * 3)
            self.assertEqual(self.readings(meter)[2].expected, "Σ 24 ± 0.27")
            self.assertEqual(self.due(account), {"2026-03": "32.50"})  # 18.00 + 5 + 19 x 0.50
            self.readings(meter)[2]._accept("The meter's peak register was reset.")
            self.settle()
            self.env.invalidate_all()
            # What follows fits the one that is believed now, but for one that falls again.
            self.assertEqual(self.states(meter), ["accepted"] * 4 + ["bands"])
            # The third day by the plan, the fourth by the registers: 18.00 + 10 + 14 x 0.50
            self.assertEqual(self.due(account), {"2026-03": "67.50"})
            savepoint.rollback()
        self.env.invalidate_all()

    def test_fall_of_a_band_register_is_held(self):
        ingest = EnergyReading._ingest
        self.holds(
            lambda: self.check_fall(at_once=False),
            (ingest, "bands=counted,", "bands=None,"),
            (ingest, "registers[meter].get(previous and previous.moment)", "None"),
            (EnergyReading._registers_before, "registers[meter][moment] = by_band(bands)", "pass"),
            (Review._histories, "by_band(bands) if meter in by_meter else None", "None"),
            (review.History._verdict, "bands=row.bands", "bands=None"),
            (registers._fell, "return any(", "return False and any("),
        )

    def test_fall_within_one_delivery_is_held(self):
        self.holds(
            lambda: self.check_fall(at_once=True),
            (EnergyReading._ingest, "registers[meter][moment] = counted", "pass"),
        )

    def test_registers_that_do_not_add_up_are_held(self):
        meter, account = self.new_account()
        self.deliver(meter, (1, "20", "4"))
        self.deliver(meter, (2, "40", "30"))
        self.assertEqual(self.states(meter), ["accepted", "bands"])
        # The next one closes the gap: what was held is neither billed nor lost.
        self.deliver(meter, (3, "30", "42"))
        self.assertEqual(self.states(meter), ["accepted", "bands", "accepted"])
        # 18.00, and over two days 10 x 1.00 + 38 x 0.50
        self.assertEqual(self.due(account), {"2026-03": "47.00"})

    def test_where_nothing_goes_by_them_they_hold_nothing(self):
        def check():
            with self.env.cr.savepoint() as savepoint:
                meter, account = self.new_account("platform")
                self.deliver(meter, (1, "20", "4"))
                self.deliver(meter, (2, "3", "30"), (3, "1", "2"))
                self.assertEqual(self.states(meter), 3 * ["accepted"])
                self.assertEqual(self.due(account), {"2026-03": "54.00"})
                savepoint.rollback()
            self.env.invalidate_all()

        self.holds(check, (EnergyReading._by_meter, "t.band_source = 'meter'", "TRUE"))
