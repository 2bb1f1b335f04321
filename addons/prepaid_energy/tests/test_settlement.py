from datetime import timedelta

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common import START, EnergyCase


@tagged("post_install", "-at_install")
class TestSettlement(EnergyCase):
    """From an accepted reading to the balance and the order."""

    def test_use_is_charged_and_supply_follows_the_balance(self):
        meter = self.make_meter("E1")
        account = self.open_account(meter, register=100)
        self.top_up(account, 10)
        self.read(meter, START + timedelta(hours=1), "110")
        self.settle()
        self.assertEqual(self.entries(account), ["-6.00"])
        self.assertEqual(account.balance, 4.0)
        self.assertEqual(self.commands(meter), [])
        self.read(meter, START + timedelta(hours=2), "117")
        self.settle()
        self.assertAlmostEqual(account.balance, -0.20)
        self.assertEqual(self.commands(meter), [(1, "supply", "off", "queued")])
        self.assertEqual(meter.control_id.decision, "arrears")
        self.top_up(account, 5)
        self.assertEqual(
            self.commands(meter), [(1, "supply", "off", "queued"), (2, "supply", "on", "queued")]
        )
        self.assertChecked()

    def test_day_month_and_bands_are_split_at_boundaries(self):
        tariff = self.make_tariff(
            "Peak and valley",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        meter = self.make_meter("E2")
        account = self.open_account(meter, tariff=tariff)
        self.top_up(account, 1000)
        # One interval of 32 days at 1 kWh an hour: 31 March days of 14 h peak and 10 h valley.
        self.read(meter, START + timedelta(days=32), "768")
        self.settle()
        # March 31 x (14 x 1.00 + 10 x 0.50) = 589.00; 1 April 19.00
        self.assertEqual(self.entries(account), ["-589.00", "-19.00"])
        usage = self.env["energy.usage"].search([("account_id", "=", account.id)])
        self.assertEqual(len(usage), 64)
        self.assertTrue(all(usage.mapped("is_interpolated")))
        self.assertChecked()

    def test_any_order_and_any_number_of_deliveries_give_the_same(self):
        tariff = self.make_tariff(
            "Tiers", {"flat": ["0.538000", "0.588000", "0.838000"]}, limits=(50, 120)
        )
        straight, shuffled = self.make_meter("E3"), self.make_meter("E4")
        accounts = [self.open_account(meter, tariff=tariff) for meter in (straight, shuffled)]
        for account in accounts:
            self.top_up(account, 500)
        readings = [(START + timedelta(days=day), str(day * 7)) for day in range(1, 40)]
        self.set_clock(readings[-1][0])
        for moment, total in readings:
            self.read(straight, moment, total)
            self.settle()
        for position in (38, 3, 17, 17, 0, 38, 5, 30, 29, 31, *range(39)):
            self.read(shuffled, *readings[position])
            self.settle()
        self.assertEqual(*[account.balance for account in accounts])
        # March: 217 kWh = 50 x 0.538 + 70 x 0.588 + 97 x 0.838 = 149.346; April: 56 kWh to
        # midnight of 9 April = 50 x 0.538 + 6 x 0.588 = 30.428
        self.assertEqual(f"{accounts[0].balance:.2f}", "320.22")
        self.assertEqual(
            [
                round(unit.posted, 2)
                for unit in self.env["energy.rating.unit"].search(
                    [("account_id", "=", accounts[1].id)], order="month"
                )
            ],
            [149.35, 30.43],
        )
        self.assertChecked()

    def test_meters_that_serve_nobody_hold_nobody_up(self):
        vacant = self.make_meter("E8")
        for hour in range(1, 40):
            self.read(vacant, START + timedelta(hours=hour), str(hour))
        meter = self.make_meter("E9")
        account = self.open_account(meter)
        self.read(meter, START + timedelta(hours=40), "10")
        self.env["energy.settlement"]._settle_here(batch=5)
        self.assertEqual(self.entries(account), ["-6.00"])
        self.assertFalse(self.env["energy.settlement.queue"].search([]))

    def test_meter_in_service_stays_on_its_site(self):
        meter = self.make_meter("E10")
        self.open_account(meter)
        other = self.env["energy.property"].create(
            {"name": "Hill Side", "kind": "site", "tz": "UTC", "company_id": self.company.id}
        )
        with self.assertRaisesRegex(ValidationError, "stays on its site"):
            meter.property_id.parent_id = other
