"""A tariff version becomes the engine's value: figures by hand calculation."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged

from ..engine import unit_limits
from .common import START, EnergyCase

NATIONAL_DAY = datetime(2026, 10, 1) - timedelta(hours=8)


class TariffCase(EnergyCase):
    @classmethod
    def draft(cls, bands, tiers=(), windows=(), tariff=None, **values):
        """Make a tariff with a draft version.

        :param dict bands: list of prices by tier, by key; the first band takes the rest of the day
        :param tiers: values of tiers
        :param windows: values of windows, with `key`
        :param dict tariff: values of the tariff
        :param values: values of the version
        """
        tariff = cls.env["energy.tariff"].create(
            {"name": "Drafted", "company_id": cls.company.id, **(tariff or {})}
        )
        first = next(iter(bands))
        version = cls.env["energy.tariff.version"].create(
            {
                "tariff_id": tariff.id,
                "date_from": "2020-01-01",
                "tax_rate": 0,
                "band_ids": [
                    Command.create({"name": key.title(), "key": key, "is_rest": key == first})
                    for key in bands
                ],
                "tier_ids": [Command.create(tier) for tier in tiers],
                **values,
            }
        )
        ids = {band.key: band.id for band in version.band_ids}
        version.window_ids = [
            Command.create(
                {"sequence": number, "band_id": ids[window["key"]]}
                | {name: value for name, value in window.items() if name != "key"}
            )
            for number, window in enumerate(windows)
        ]
        version.price_ids = [
            Command.create({"band_id": ids[key], "tier": tier, "price": price})
            for key, prices in bands.items()
            for tier, price in enumerate(prices, 1)
        ]
        return version

    def prices(self, version):
        return {cell: str(price) for cell, price in version._build().prices.items()}

    @classmethod
    def day_calendar(cls, **values):
        """Make a calendar of Shanghai, worked from Monday to Friday."""
        return cls.env["resource.calendar"].create(
            {
                "name": "Days",
                "company_id": cls.company.id,
                "tz": "Asia/Shanghai",
                "attendance_ids": [
                    Command.create({"name": day, "dayofweek": day, "hour_from": 9, "hour_to": 17})
                    for day in "01234"
                ],
                **values,
            }
        )

    def leave(self, day, kind="holiday", days=1, **values):
        start = datetime.combine(day, datetime.min.time()) - timedelta(hours=8)
        return self.env["resource.calendar.leaves"].create(
            {
                "name": "Day",
                "company_id": self.company.id,
                "date_from": start,
                "date_to": start + timedelta(days=days, seconds=-1),
                "energy_day_type": kind,
                **values,
            }
        )


@tagged("post_install", "-at_install")
class TestTariffPrices(TariffCase):
    def test_a_net_price_becomes_gross_to_six_decimals(self):
        """City Power 2023/24: 209.67 and 240.5 cents, 15 % on top: 2.0967 x 1.15 = 2.411205."""
        version = self.draft(
            {"flat": [2.0967, 2.405]},
            tiers=[{"number": 1, "limit": 350}, {"number": 2}],
            tariff={"tax_included": False},
            tax_rate=15,
            per_day=1.2345675,
            per_month=200,
            minimum=10,
        )
        self.assertEqual(self.prices(version), {("flat", 1): "2.411205", ("flat", 2): "2.765750"})
        engine = version._build()
        # 1.234568 (as it is stored) x 1.15 = 1.4197532
        self.assertEqual(engine.per_day, Decimal("1.419753"))
        self.assertEqual(engine.per_month, Decimal("230"))
        self.assertEqual(engine.minimum, Decimal("11.5"))
        cells = version.price_ids.sorted("tier")
        self.assertEqual([f"{cell.gross:.6f}" for cell in cells], ["2.411205", "2.765750"])
        # 2.411205 x 15 / 115 = 0.3145050
        self.assertEqual(str(version._gross()[cells[0]].tax), "0.314505")

    def test_half_of_the_last_decimal_goes_up(self):
        """0.000050 x 1.05 = 0.0000525; half to even would give 0.000052."""
        version = self.draft({"flat": [0.00005]}, tariff={"tax_included": False}, tax_rate=5)
        self.assertEqual(self.prices(version), {("flat", 1): "0.000053"})

    def test_fees_are_added_to_every_price(self):
        """Beijing water: 2.07 / 4.07 and 1.57 resource fee, 1.36 sewage on 90 % of the use."""
        version = self.draft(
            {"flat": [2.07, 4.07]},
            tiers=[{"number": 1, "limit": 180}, {"number": 2}],
            tariff={"commodity": "water", "tier_period": "year"},
            fee_ids=[
                Command.create({"name": "Resource", "amount": 1.57}),
                Command.create({"name": "Sewage", "amount": 1.36, "share": 90}),
            ],
        )
        # 2.07 + 1.57 + 1.224
        self.assertEqual(self.prices(version), {("flat", 1): "4.864000", ("flat", 2): "6.864000"})
        self.assertEqual(str(version._gross()[version.price_ids[0]].fees), "2.794000")
        version.fee_ids[1].share = 100
        self.assertEqual(self.prices(version), {("flat", 1): "5.000000", ("flat", 2): "7.000000"})
        self.assertEqual(f"{version.price_ids.sorted('tier')[1].gross:.2f}", "7.00")

    def test_fees_bear_the_tax_and_are_rounded_once(self):
        """(0.5 + 0.333333 x 50 %) x 1.13 = (0.5 + 0.1666665) x 1.13 = 0.753333145."""
        version = self.draft(
            {"flat": [0.5]},
            tariff={"tax_included": False},
            tax_rate=13,
            fee_ids=[Command.create({"name": "Fee", "amount": 0.333333, "share": 50})],
        )
        self.assertEqual(self.prices(version), {("flat", 1): "0.753333"})

    def test_an_adder_is_the_same_in_every_rate_period(self):
        """Zhejiang: 0.568 / 0.288, tiers +0.05 and +0.30."""
        version = self.draft(
            {"valley": [0.288], "peak": [0.568]},
            tiers=[
                {"number": 1, "limit": 2760},
                {"number": 2, "limit": 4800, "adder": 0.05},
                {"number": 3, "adder": 0.30},
            ],
            windows=[{"key": "peak", "hour_from": 8, "hour_to": 22}],
            tariff={"tier_period": "year"},
            tier_pricing="adder",
        )
        self.assertFalse(version._problems())
        self.assertEqual(
            self.prices(version),
            {
                ("peak", 1): "0.568000",
                ("peak", 2): "0.618000",
                ("peak", 3): "0.868000",
                ("valley", 1): "0.288000",
                ("valley", 2): "0.338000",
                ("valley", 3): "0.588000",
            },
        )

    def test_a_free_quantity_is_the_first_tier(self):
        """50 free, tier 1 up to 240 counted from the beginning: 190 of it cost something."""
        version = self.draft(
            {"flat": [0.5, 0.6]},
            tiers=[{"number": 1, "limit": 240}, {"number": 2}],
            free_quantity=50,
            fee_ids=[Command.create({"name": "Fee", "amount": 0.1})],
        )
        engine = version._build()
        self.assertEqual(engine.tier_limits, (Decimal(50), Decimal(240)))
        month = date(2026, 3, 1)
        self.assertEqual(unit_limits(engine, month, month, Decimal(100)), (50, 340))
        self.assertEqual(
            self.prices(version),
            {("flat", 1): "0", ("flat", 2): "0.600000", ("flat", 3): "0.700000"},
        )
        self.assertEqual(version._tier_text(1), "free quantity")
        self.assertEqual(version._tier_text(2), "tier 1")

    def test_free_use_is_charged_nothing_and_billed_so(self):
        """300 kWh in March: 50 free, 190 x 0.5 + 60 x 0.6 = 131.00."""
        version = self.draft(
            {"flat": [0.5, 0.6]},
            tiers=[{"number": 1, "limit": 240}, {"number": 2}],
            free_quantity=50,
        )
        version.action_approve()
        meter = self.make_meter("F1")
        account = self.open_account(meter, tariff=version.tariff_id)
        self.read(meter, START + timedelta(days=1), "300")
        self.settle()
        self.assertEqual(self.entries(account), ["-131.00"])
        self.env["energy.billing.period"]._freeze({account.id: date(2026, 3, 1)}, cut=True)
        lines = self.env["energy.billing.line"].search([("account_id", "=", account.id)])
        self.assertEqual(
            sorted((line.tier, f"{line.quantity:g}", f"{line.price:g}") for line in lines),
            [(1, "50", "0"), (2, "190", "0.5"), (3, "60", "0.6")],
        )

    def test_limits_by_season(self):
        """Shenzhen: 260 / 600 from May to October, else 200 / 400."""
        version = self.draft(
            {"flat": [0.65, 0.70, 0.95]},
            tiers=[
                {"number": 1, "limit": 260, "month_from": "5", "month_to": "10"},
                {"number": 2, "limit": 600, "month_from": "5", "month_to": "10"},
                {"number": 3, "month_from": "5", "month_to": "10"},
                {"number": 1, "limit": 200, "month_from": "11", "month_to": "4"},
                {"number": 2, "limit": 400, "month_from": "11", "month_to": "4"},
                {"number": 3, "month_from": "11", "month_to": "4"},
            ],
        )
        self.assertFalse(version._problems())
        engine = version._build()
        self.assertEqual(engine.limits(5), (Decimal(260), Decimal(600)))
        self.assertEqual(engine.limits(10), (Decimal(260), Decimal(600)))
        self.assertEqual(engine.limits(4), (Decimal(200), Decimal(400)))
        self.assertEqual(engine.limits(12), (Decimal(200), Decimal(400)))
        self.assertEqual(
            [label for label, _prices in version._price_sheet()][:2],
            ["Nov – Apr: 0 to 200 kWh a month", "Nov – Apr: 200 to 400 kWh a month"],
        )

    def test_tiers_in_some_months_only(self):
        """Yunnan: tiers from December to April; the other months have one price."""
        version = self.draft(
            {"flat": [0.423625, 0.473625]},
            tiers=[
                {"number": 1, "limit": 170, "month_from": "12", "month_to": "4"},
                {"number": 2, "month_from": "12", "month_to": "4"},
            ],
            free_quantity=10,
        )
        engine = version._build()
        self.assertEqual(engine.limits(1), (Decimal(10), Decimal(170)))
        self.assertEqual(engine.limits(7), (Decimal(10),))
        self.assertFalse(version._problems())

    def test_the_tier_year(self):
        version = self.draft(
            {"flat": [0.4556, 0.5056]},
            tiers=[{"number": 1, "limit": 3000}, {"number": 2}],
            tariff={
                "tier_period": "year",
                "tier_year_month": "12",
                "tier_year_day": 16,
                "is_prorated": False,
            },
        )
        engine = version._build()
        self.assertEqual((engine.tier_year_month, engine.tier_year_day), (12, 16))
        self.assertEqual(engine.allocation, "proportional")
        self.assertFalse(engine.is_prorated)

    def test_the_tax_rate_is_that_of_the_product(self):
        tax = self.env["account.tax"].create(
            {"name": "13", "amount": 13, "company_id": self.company.id}
        )
        setting = self.env["energy.billing.product"].search(
            [("company_id", "=", self.company.id), ("category", "=", "electricity")]
        )
        setting.product_id.taxes_id = tax
        tariff = self.flat_tariff
        version = self.env["energy.tariff.version"].create(
            {"tariff_id": tariff.id, "date_from": "2031-01-01"}
        )
        self.assertEqual(version.tax_rate, 13)
        tax.amount = 9
        self.assertEqual(version.tax_rate, 13)
        used = tariff.version_ids.filtered(lambda version: version.state == "approved")
        with self.refused(UserError, "is approved"):
            used.tax_rate = 9


@tagged("post_install", "-at_install")
class TestTariffDays(TariffCase):
    """The day calendar: weekends, holidays, made-up working days, declared days."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.calendar = cls.day_calendar()
        cls.version = cls.draft(
            {"flat": [0.5], "valley": [0.2], "deep_valley": [0.1], "sharp": [2]},
            windows=[
                {"key": "valley", "day_type": "weekend", "hour_from": 0, "hour_to": 24},
                {"key": "deep_valley", "day_type": "holiday", "hour_from": 0, "hour_to": 24},
                {"key": "sharp", "day_type": "declared", "hour_from": 12, "hour_to": 14},
            ],
            tariff={"calendar_id": cls.calendar.id},
        )
        cls.version.action_approve()
        cls.tariff = cls.version.tariff_id

    def band(self, day, minute=720):
        plan = self.env["energy.tariff.version"]._engine(self.version.id).plan_of(day)
        (band,) = (band for start, end, band in plan if start <= minute < end)
        return band

    def test_weekdays_without_working_hours_are_weekend(self):
        self.assertEqual(self.band(date(2026, 3, 6)), "flat")
        self.assertEqual(self.band(date(2026, 3, 7)), "valley")
        self.assertEqual(self.band(date(2026, 3, 8)), "valley")
        gulf = self.day_calendar()
        gulf.attendance_ids.filtered(lambda a: a.dayofweek == "4").dayofweek = "6"
        self.assertEqual(gulf._energy_weekend(), "45")

    def test_working_hours_changed_later_do_not_move_an_approved_weekend(self):
        self.calendar.attendance_ids.filtered(lambda a: a.dayofweek == "4").unlink()
        self.env.registry.clear_cache()
        self.assertEqual(self.band(date(2026, 3, 6)), "flat")

    def test_a_leave_of_the_calendar_is_a_holiday_by_the_calendars_zone(self):
        self.assertEqual(self.band(date(2026, 10, 1)), "flat")
        leave = self.leave(date(2026, 10, 1), calendar_id=self.calendar.id)
        self.assertEqual(self.band(date(2026, 9, 30)), "flat")
        self.assertEqual(self.band(date(2026, 10, 1)), "deep_valley")
        self.assertEqual(self.band(date(2026, 10, 2)), "flat")
        leave.date_to += timedelta(days=6)
        self.assertEqual(self.band(date(2026, 10, 7)), "deep_valley")
        leave.unlink()
        self.assertEqual(self.band(date(2026, 10, 1)), "flat")

    def test_leaves_of_the_company_count_and_others_do_not(self):
        self.leave(date(2026, 10, 1))
        self.assertEqual(self.band(date(2026, 10, 1)), "deep_valley")
        self.leave(date(2026, 10, 2), calendar_id=self.day_calendar().id)
        self.assertEqual(self.band(date(2026, 10, 2)), "flat")
        resource = self.env["resource.resource"].create(
            {"name": "Ann", "calendar_id": self.calendar.id, "company_id": self.company.id}
        )
        self.leave(date(2026, 10, 5), calendar_id=self.calendar.id, resource_id=resource.id)
        self.assertEqual(self.band(date(2026, 10, 5)), "flat")

    def test_a_weekend_can_be_worked(self):
        leave = self.leave(date(2026, 10, 10), "workday", calendar_id=self.calendar.id)
        self.assertEqual(self.band(date(2026, 10, 10)), "flat")
        self.assertEqual(leave.time_type, "other", "it is no time off")

    def test_a_declared_day_comes_on_top(self):
        self.leave(date(2026, 7, 4), "declared", calendar_id=self.calendar.id)
        self.assertEqual(self.band(date(2026, 7, 4), 719), "valley")
        self.assertEqual(self.band(date(2026, 7, 4), 720), "sharp")
        self.assertEqual(self.band(date(2026, 7, 4), 840), "valley")
        self.assertEqual(self.band(date(2026, 7, 3), 720), "flat")

    def test_a_day_counts_where_its_midday_lies_in_the_leave(self):
        day = datetime(2026, 10, 1, 5)  # 13:00 in Shanghai: an afternoon off
        leave = self.leave(date(2026, 10, 1), calendar_id=self.calendar.id)
        leave.write({"date_from": day, "date_to": day + timedelta(hours=5)})
        self.assertEqual(self.band(date(2026, 10, 1)), "flat")
        # Typed in UTC as a whole day: from 08:00 in Shanghai to 08:00 of the next day.
        leave.write(
            {"date_from": datetime(2026, 10, 1), "date_to": datetime(2026, 10, 1, 23, 59, 59)}
        )
        self.assertEqual(self.band(date(2026, 10, 1)), "deep_valley")
        self.assertEqual(self.band(date(2026, 10, 2)), "flat")

    def test_a_day_named_late_is_rated_again(self):
        """2 March, a Monday, 24 kWh at 0.5; as a holiday at 0.1, as it was before without it."""
        meter = self.make_meter("D1")
        account = self.open_account(meter, tariff=self.tariff)
        for day in range(4):
            self.read(meter, START + timedelta(days=day), str(24 * day))
        self.settle()
        self.assertEqual(sum(map(Decimal, self.entries(account))), Decimal("-28.80"))
        other = self.make_meter("D2")
        self.open_account(other)
        self.read(other, START + timedelta(days=1), "5")
        self.settle()
        leave = self.leave(date(2026, 3, 2), calendar_id=self.calendar.id)
        queued = self.env["energy.settlement.queue"].search([])
        self.assertEqual(queued.meter_id, meter)
        self.assertEqual(queued.since, START + timedelta(days=1))
        self.settle()
        # 1 March is a Sunday: 24 x 0.2; 2 March 24 x 0.1; 3 March 24 x 0.5.
        self.assertEqual(sum(map(Decimal, self.entries(account))), Decimal("-19.20"))
        leave.unlink()
        self.settle()
        self.assertEqual(sum(map(Decimal, self.entries(account))), Decimal("-28.80"))

    def test_days_ahead_queue_nothing(self):
        meter = self.make_meter("D3")
        self.open_account(meter, tariff=self.tariff)
        self.read(meter, START + timedelta(days=1), "5")
        self.settle()
        self.leave(date(2026, 3, 2), calendar_id=self.calendar.id)
        self.assertFalse(self.env["energy.settlement.queue"].search([]))

    def test_tariffs_without_day_types_ask_no_calendar(self):
        version = self.flat_tariff.version_ids
        self.leave(date(2026, 3, 2))
        self.assertFalse(version._build().calendar.days)
        self.assertNotIn(
            self.flat_tariff, self.env["energy.tariff"]._of_calendars(self.flat_tariff.calendar_id)
        )

    def test_the_calendar_of_priced_use_stays(self):
        meter = self.make_meter("D4")
        self.open_account(meter, tariff=self.tariff)
        self.read(meter, START + timedelta(days=1), "5")
        self.settle()
        with self.refused(UserError, "it stays"):
            self.tariff.calendar_id = self.day_calendar()
