from datetime import date

from odoo.tests import tagged

from .. import rating_work
from ..engine.rating import _Segment
from ..models.energy_rating import EnergyRating
from .common import START
from .planting import PropertyCase
from .rating_case import RatingCase


@tagged("post_install", "-at_install")
class TestRatingCounter(PropertyCase, RatingCase):
    """From which day a tier counter runs, and the limits of its days (T9)."""

    def on(self, *day):
        """Return a date's number of days after 1 March 2026, as `day` takes it."""
        return (date(*day) - date(2026, 3, 1)).days

    def yearly(self, price_1, price_2, limit, **terms):
        return self.make_tariff(
            "Year",
            {"flat": [price_1, price_2]},
            limits=(limit,),
            allocation="proportional",
            tier_period="year",
            **terms,
        )

    def document(self, account, kind, number, register):
        self.set_clock(self.day(number))
        change = self.env["energy.account.change"].create(
            {
                "kind": kind,
                "account_id": account.id,
                "moment": self.day(number),
                "reason": "Moved",
                "leftover": "refund",
            }
        )
        change.line_ids.register = register
        change.action_confirm()
        self.settle()

    def test_first_year_of_tiers_has_its_days(self):
        """Shanghai's 2012 in 2028, a leap year too: tiers from 1 July, customers of long ago."""

        def check():
            tariff = self.make_tariff(
                "Shanghai",
                {"flat": ["0.617"]},
                allocation="proportional",
                tier_period="year",
            )
            self.add_version(
                tariff, {"flat": ["0.617", "0.677"]}, limits=(3120,), date_from="2028-07-01"
            )
            meter = self.make_meter("Y1")
            account = self.open_account(meter, tariff=tariff)
            self.reads(
                meter,
                (self.on(2028, 7, 1), "9000"),
                *((self.on(2028, 7 + n, 1), str(9000 + 400 * n)) for n in range(1, 6)),
                (self.on(2029, 1, 1), "11400"),
            )
            # 3120 x 184 / 366 = 1568.525: reached in the fourth month, with 368.525 of it at 0.617
            # and 31.475 at 0.677. Together 1568.525 x 0.617 + 831.475 x 0.677 = 1530.69.
            half = {month: money for month, money in self.due(account).items() if month > "2028-06"}
            self.assertEqual(
                half,
                {
                    "2028-07": "246.80",
                    "2028-08": "246.80",
                    "2028-09": "246.80",
                    "2028-10": "248.69",
                    "2028-11": "270.80",
                    "2028-12": "270.80",
                },
            )
            self.assertEqual(f"{sum(map(float, half.values())):.2f}", "1530.69")
            self.reads(meter, (self.on(2029, 2, 1), "14520"), (self.on(2029, 3, 1), "14530"))
            # The next year has all of it.
            self.assertEqual(
                {month: money for month, money in self.due(account).items() if month > "2029"},
                {"2029-01": "1925.04", "2029-02": "6.77"},
            )

        self.holds(
            check,
            (
                rating_work.Work.counts_from,
                "if prices.version(key).limits(unit.period_start.month) and unit.key == (",
                "if True or unit.key == (",
            ),
        )

    def test_account_that_is_open_again_has_the_days_from_then_on(self):
        """Zhejiang: closed in one year, open again on 1 July of the next."""

        def check():
            meter = self.make_meter("Y2")
            account = self.open_account(meter, tariff=self.yearly("0.538", "0.588", 2760))
            self.top_up(account, 9000)
            self.reads(meter, (100, "1000"))
            self.document(account, "close", 100, 1000)
            july = self.on(2027, 7, 1)
            self.document(account, "reopen", july, 1000)
            self.reads(meter, (july + 31, "2391.342"), (july + 32, "2401.342"))
            # 2760 x 184 / 365 = 1391.342; x 0.538 = 748.54; then 10 x 0.588
            due = self.due(account)
            self.assertEqual((due["2027-07"], due["2027-08"]), ("748.54", "5.88"))

        self.holds(
            check,
            (
                rating_work.Work.counts_from,
                "high = min(high, self.end)",
                "pass",
            ),
            (EnergyRating._counter, "first_day = local_date(begin, own[0].zone)", "pass"),
        )

    def test_account_that_is_open_again_in_the_same_year_goes_on_counting(self):
        meter = self.make_meter("Y3")
        account = self.open_account(meter, tariff=self.yearly("1", "2", 3060))
        self.top_up(account, 9000)
        # 3060 x 306 / 365 = 2565.370, from 1 March on
        self.reads(meter, (30, "2000"))
        self.document(account, "close", 30, 2000)
        self.document(account, "reopen", 122, 2000)
        self.reads(meter, (153, "2565.370"), (154, "2575.370"))
        due = self.due(account)
        self.assertEqual((due["2026-07"], due["2026-08"]), ("565.37", "20.00"))

    def test_month_whose_tiers_begin_late(self):
        """As in a year: what was used without tiers moves no counter, and has no part of limits."""

        def check():
            for allocation in ("to_date", "proportional", "chronological"):
                tariff = self.make_tariff(allocation, {"flat": ["0.500000"]}, allocation=allocation)
                self.add_version(
                    tariff,
                    {"flat": ["0.500000", "1.000000"]},
                    limits=(100,),
                    date_from="2026-03-16",
                )
                self.set_clock(START)
                meter = self.make_meter(f"Y4 {allocation}")
                account = self.open_account(meter, tariff=tariff)
                self.reads(meter, (10, "60"), (15, "90"), (31, "180"))
                # 100 x 16 / 31 = 51.613: 90 x 0.50; 51.613 x 0.50; 38.387 x 1.00
                self.assertEqual(self.due(account), {"2026-03": "109.19"}, allocation)

        self.holds(
            check,
            (_Segment.counted.fget, "if self.limits else _ZERO", ""),
            (
                rating_work.Work.counts_from,
                "prices.version(key).limits(unit.period_start.month)",
                "True",
            ),
        )

    def test_months_under_a_tariff_of_years_before(self):
        """From tiers a year to tiers a month: the month counts its own days."""
        meter = self.make_meter("Y5")
        account = self.open_account(meter, tariff=self.yearly("1", "2", 1200))
        monthly = self.make_tariff("Month", {"flat": ["0.500000", "1.000000"]}, limits=(100,))
        self.reads(meter, (15, "90"))
        account.supply_ids.sudo()._set_tariff(monthly, self.day(15))
        self.reads(meter, (31, "180"))
        # 90 x 1.00; then as above 25.81 + 38.39
        self.assertEqual(
            self.units(account),
            [
                ("2026-01-01", "", "2026-03", "90.00"),
                ("2026-03-01", "", "2026-03", "64.19"),
            ],
        )

    def test_addition_that_came_with_a_later_meter(self):
        """What explains an entry names the addition that its limits hold, no other."""

        def check():
            first, second = self.make_meter("Y6"), self.make_meter("Y7")
            account = self.open_account(first, tariff=self.yearly("1", "2", 365))
            self.reads(first, (60, "30"))
            self.set_clock(self.day(61))
            account._add_meter(
                second, account.supply_ids.tariff_id, 1, self.day(61), 0, limit_addition=100
            )
            self.reads(first, (70, "40"))
            self.reads(second, (70, "10"))

            def counter():
                entry = self.env["energy.wallet.entry"].search(
                    [("account_id", "=", account.id)], order="id desc", limit=1
                )
                (counter,) = self.env["energy.explanation"]._explain(entry)["counter"]
                return counter["addition"], counter["limits"], counter["first_day"]

            # 365 x 306 / 365, from 1 March on
            self.assertEqual(counter(), (0, (306,), date(2026, 3, 1)))
            january = self.on(2027, 1, 1)
            self.reads(first, (january, "50"), (january + 1, "55"))
            # The next year begins with both: 365 + 12 x 100.
            self.assertEqual(counter(), (100, (1565,), date(2027, 1, 1)))

        self.holds(
            check,
            (EnergyRating._counter, "begin = min(begins)", "begin = max(begins)"),
        )

    def test_counter_begins_anew_where_the_first_use_is_none(self):
        """A second meter from a past day on brings limits of more days, though it used nothing."""
        first, second = self.make_meter("Y8"), self.make_meter("Y9")
        plain = self.make_tariff("Plain", {"flat": ["1.000000"]})
        tiers = self.yearly("1", "2", 365)
        account = self.open_account(first, second, tariff=plain)
        account.supply_ids.filtered(lambda s: s.meter_id == first).sudo()._set_tariff(
            tiers, self.day(30)
        )
        self.reads(second, (60, "0"))
        self.reads(first, (30, "0"), (60, "300"))
        # From 31 March on 276 kWh: 2 of 31 March and April, 10 a day; 24 beyond.
        self.assertEqual(self.due(account), {"2026-03": "10.00", "2026-04": "314.00"})
        account.supply_ids.filtered(lambda s: s.meter_id == second).sudo()._set_tariff(
            tiers, self.day(10)
        )
        self.settle()
        # From 11 March on 296 kWh: 4 beyond.
        self.assertEqual(self.due(account), {"2026-03": "10.00", "2026-04": "294.00"})
