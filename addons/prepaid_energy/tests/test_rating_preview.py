from datetime import date
from decimal import Decimal
from unittest.mock import patch

from odoo.tests import tagged

from .rating_case import RatingCase

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


@tagged("post_install", "-at_install")
class TestRatingPreview(RatingCase):
    """What a change would cost, before it is made."""

    def rows(self):
        self.env.flush_all()
        found = []
        for table in (
            "energy_usage",
            "energy_rating_unit",
            "energy_wallet_entry",
            "energy_supply_mark",
            "energy_settlement_queue",
            "energy_settlement_problem",
            "energy_billing_period",
        ):
            self.env.cr.execute(f"SELECT t.*::text FROM {table} t ORDER BY 1")
            found.append(self.env.cr.fetchall())
        return found

    def test_what_is_queued_costs_what_is_posted_then(self):
        meters = [self.make_meter("R1"), self.make_meter("R2")]
        accounts = [self.open_account(meter) for meter in meters]
        for meter in meters:
            self.reads(meter, (10, "100"))
        self.read(meters[0], self.day(41), "410")
        queued = {meters[0].id: self.day(10), meters[1].id: self.day(0)}
        before = self.rows()
        found = self.env["energy.rating"]._preview(queued)
        self.assertEqual(self.rows(), before)
        self.assertEqual(found, {accounts[0].id: {MARCH: Decimal("126"), APRIL: Decimal("60")}})
        self.settle()
        self.assertEqual(self.due(accounts[0]), {"2026-03": "186.00", "2026-04": "60.00"})
        self.assertEqual(self.env["energy.rating"]._preview(queued), {})

    def test_late_price_is_supposed_and_undone(self):
        """T6: who would pay what, before the version is approved; twice adds nothing."""
        tariff = self.make_tariff("Late", {"flat": ["0.600000"]})
        meters = [self.make_meter(f"R{number}") for number in range(3, 8)]
        accounts = [self.open_account(meter, tariff=tariff) for meter in meters]
        for position, meter in enumerate(meters):
            self.reads(meter, (10, str(100 * position)))
        queued = {meter.id: self.day(5) for meter in meters}
        before = self.rows()

        def approve():
            self.add_version(tariff, {"flat": ["0.800000"]}, date_from="2026-03-06")

        with patch("odoo.addons.prepaid_energy.models.energy_rating_preview.BATCH", 2):
            found = self.env["energy.rating"]._preview(queued, approve)
        self.assertEqual(self.rows(), before)
        # Half of it at 0.20 more.
        self.assertEqual(
            found,
            {
                account.id: {MARCH: Decimal(10 * position)}
                for position, account in enumerate(accounts)
                if position
            },
        )
        self.assertEqual(len(tariff.version_ids), 1)
        self.env.registry.clear_cache()
        for meter in meters:
            self.reads(meter, (11, "500"))
        approve()
        self.settle()
        for position, account in enumerate(accounts):
            # All 500 at 0.60, and 0.20 more from the sixth day on.
            money = 300 + 0.2 * (500 - 50 * position)
            self.assertEqual(self.due(account)["2026-03"], f"{money:.2f}")

    def test_supposed_prices_stay_out_of_the_caches(self):
        tariff = self.make_tariff("Cached", {"flat": ["0.600000"]})
        meter = self.make_meter("R8")
        account = self.open_account(meter, tariff=tariff)
        self.reads(meter, (10, "100"))
        starts = tariff._version_starts(tariff.id)

        def approve():
            self.add_version(tariff, {"flat": ["0.800000"]}, date_from="2026-03-06")

        self.env["energy.rating"]._preview({meter.id: self.day(5)}, approve)
        self.assertEqual(tariff._version_starts(tariff.id), starts)
        self.reads(meter, (20, "200"))
        self.assertEqual(self.due(account), {"2026-03": "120.00"})

    def test_what_cannot_be_priced_is_told(self):
        meter = self.make_meter("R9", register_digits=0)
        account = self.open_account(meter)
        self.reads(meter, (10, "100"))
        failures = {}

        def fall():
            self.correct(meter, 0, "101")

        found = self.env["energy.rating"]._preview({meter.id: self.day(0)}, fall, failures)
        self.assertEqual(found, {})
        self.assertEqual([failures[account.id].cause], ["register"])
