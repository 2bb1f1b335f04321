from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestTariffPlan(FieldCommon):
    """What of a tariff a meter of the field can hold itself: its profile says."""

    def version(self, windows):
        company = self.meter.company_id
        tariff = self.env["energy.tariff"].create({"name": "Plan", "company_id": company.id})
        keys = ["flat", *dict.fromkeys(key for key, _start, _end in windows)]
        version = self.env["energy.tariff.version"].create(
            {
                "tariff_id": tariff.id,
                "date_from": "2026-01-01",
                "band_ids": [
                    Command.create({"name": key, "key": key, "is_rest": key == "flat"})
                    for key in keys
                ],
            }
        )
        bands = {band.key: band.id for band in version.band_ids}
        version.window_ids = [
            Command.create({"band_id": bands[key], "hour_from": start, "hour_to": end})
            for key, start, end in windows
        ]
        return version

    def test_a_ddsy_holds_fourteen_times_of_five_rate_periods(self):
        limits = self.meter._plan_limits()[self.meter.id]
        self.assertEqual((limits.slots, len(limits.bands), limits.plans), (14, 5, 1))
        self.assertIn("14 times a day", self.meter.plan_capacity)
        # Six peaks of an hour make 13 times, seven make 15.
        six = self.version([("peak", 2 * hour + 1, 2 * hour + 2) for hour in range(6)])
        self.assertFalse(six._refusals(self.meter)[self.meter.id])
        seven = self.version([("peak", 2 * hour + 1, 2 * hour + 2) for hour in range(7)])
        self.assertIn("15 times", seven._refusals(self.meter)[self.meter.id])
        own = self.version([("other_1", 8, 9)])
        self.assertIn("does not know other_1", own._refusals(self.meter)[self.meter.id])

    def test_a_water_meter_holds_no_plan(self):
        meter = self.create_meter("W77", 77, self.water, commodity="water")
        self.assertIsNone(meter._plan_limits()[meter.id])

    def test_a_plan_names_bands_that_are_known(self):
        copy = self.power.copy()
        with self.assertRaisesRegex(ValidationError, "unknown band 'dawn'"):
            copy.plan_bands = "flat, dawn"
