from odoo.tests import tagged

from .rating_case import RatingCase


@tagged("post_install", "-at_install")
class TestRatingUnits(RatingCase):
    """Where a tier counter begins and ends, and which limits it has (T9, H2)."""

    def yearly(self, **terms):
        """1 a year up to 1200, 2 above; by month proportional."""
        return self.make_tariff(
            "Year",
            {"flat": ["1.000000", "2.000000"]},
            limits=(1200,),
            allocation="proportional",
            tier_period="year",
            **terms,
        )

    def test_year_that_begins_in_december(self):
        """Opened before the year began: whole limits, counted from 1 December."""
        meter = self.make_meter("U1")
        start = self.day(-120)  # 1 November 2025
        account = self.open_account(
            meter, tariff=self.yearly(tier_year_month="12", is_prorated=True), start=start
        )
        # 10 kWh a day. The tier year from 1 November belongs to the one that began in December
        # 2024: 30 days of it, 1200 x 30 / 365 = 98.630 kWh.
        self.reads(meter, (-120, "0"), (-90, "300"), (31, "1510"))
        # November: 98.63 + 201.37 x 2; December to March 121 days: 1200, and 10 x 2 in March.
        self.assertEqual(
            self.due(account),
            {
                "2025-11": "501.37",
                "2025-12": "310.00",
                "2026-01": "310.00",
                "2026-02": "280.00",
                "2026-03": "320.00",
            },
        )
        self.assertEqual(
            [unit[0] for unit in self.units(account)], ["2024-12-01", *["2025-12-01"] * 4]
        )

    def test_new_customer_in_july_has_half_a_year(self):
        meter = self.make_meter("U2")
        start = self.day(122)  # 1 July
        account = self.open_account(meter, tariff=self.yearly(), start=start)
        # 184 of 365 days: 1200 x 184 / 365 = 604.932 kWh
        self.reads(meter, (153, "604.932"), (154, "614.932"))
        self.assertEqual(self.due(account), {"2026-07": "604.93", "2026-08": "20.00"})

    def test_limits_stay_whole_where_the_tariff_says_so(self):
        meter = self.make_meter("U3")
        start = self.day(122)
        account = self.open_account(meter, tariff=self.yearly(is_prorated=False), start=start)
        self.reads(meter, (153, "1200"), (154, "1210"))
        self.assertEqual(self.due(account), {"2026-07": "1200.00", "2026-08": "20.00"})

    def test_quarters_begin_on_their_own_day(self):
        """Quarters from the 15th of February, May, ...: April's half falls into either month."""
        tariff = self.make_tariff(
            "Quarter",
            {"flat": ["1.000000", "2.000000"]},
            limits=(740,),
            allocation="proportional",
            tier_period="quarter",
            tier_year_month="2",
            tier_year_day=15,
        )
        meter = self.make_meter("U4")
        account = self.open_account(meter, tariff=tariff)
        # Quarter of 89 days from 15 February, begun on day 14: 740 x 75 / 89 = 623.596 kWh.
        # 10 kWh a day: March 310, April 300, May 1 to 14: 140 of which 13.596 in tier 1;
        # the next quarter begins on 15 May: 17 days of May in tier 1.
        self.reads(meter, (92, "920"))
        self.assertEqual(
            self.units(account),
            [
                ("2026-02-15", "", "2026-03", "310.00"),
                ("2026-02-15", "", "2026-04", "300.00"),
                ("2026-02-15", "", "2026-05", "266.40"),
                ("2026-05-15", "", "2026-05", "170.00"),
            ],
        )
        self.assertEqual(self.due(account)["2026-05"], "436.40")

    def tiers(self, **terms):
        return self.make_tariff("Month", {"flat": ["0.500000", "1.000000"]}, limits=(100,), **terms)

    def test_two_meters_share_a_counter_or_have_their_own(self):
        for scope, posted in (("account", "80.00"), ("meter", "60.00")):
            meters = [self.make_meter(f"U5{scope}{number}") for number in (1, 2)]
            account = self.open_account(*meters, tariff=self.tiers(tier_scope=scope))
            for meter in meters:
                self.reads(meter, (10, "60"))
            # Together 100 x 0.50 + 20 x 1.00 = 70.00; each by itself 60 x 0.50 = 30.00
            self.assertEqual(
                self.due(account), {"2026-03": "70.00" if scope == "account" else "60.00"}
            )
            self.reads(meters[0], (11, "70"))
            # 10 more at 1.00; or still at 0.50
            self.assertEqual(
                self.due(account), {"2026-03": "80.00" if scope == "account" else "65.00"}, posted
            )

    def test_meter_counter_goes_on_with_the_meter_that_carries_it(self):
        meters = [self.make_meter(f"U6{number}") for number in (1, 2, 3)]
        account = self.open_account(meters[0], tariff=self.tiers(tier_scope="meter"))
        self.reads(meters[0], (10, "60"))
        self.set_clock(self.day(15))
        self.exchange(account, meters[0], meters[1], self.day(15), 80, 0)
        self.reads(meters[1], (20, "30"))
        # 80 + 30: 100 x 0.50 + 10 x 1.00
        self.assertEqual(self.units(account), [("2026-03-01", "U61", "2026-03", "60.00")])
        self.set_clock(self.day(20, 1))
        self.exchange(account, meters[1], meters[2], self.day(20, 1), 30, 0, carry_counter=False)
        self.reads(meters[2], (25, "40"))
        # Begins on 21 March: 100 x 11 / 31 = 35.484; 17.742 + 4.516 = 22.26
        self.assertEqual(
            self.units(account),
            [
                ("2026-03-01", "U61", "2026-03", "60.00"),
                ("2026-03-01", "U63", "2026-03", "22.26"),
            ],
        )

    def test_counter_begins_anew_on_the_first_day_of_a_period(self):
        """Late on 1 March: limits of the whole month, in a unit of its own."""
        old, new = self.make_meter("U71"), self.make_meter("U72")
        account = self.open_account(old, tariff=self.tiers())
        self.read(old, self.day(0, 10), "90")
        self.set_clock(self.day(0, 20))
        self.exchange(account, old, new, self.day(0, 20), 95, 0, carry_counter=False)
        self.reads(new, (10, "100"))
        self.assertEqual(
            self.units(account),
            [("2026-03-01", "", "2026-03", "47.50"), ("2026-03-01", "U72", "2026-03", "50.00")],
        )
        # April counts for both as if nothing had happened.
        self.reads(new, (31, "100"), (40, "200"))
        self.assertEqual(self.units(account)[-1], ("2026-04-01", "", "2026-04", "50.00"))

    def test_bigger_household(self):
        """100 kWh a month more for a family of five: from the period after it is known."""
        meter = self.make_meter("U8")
        account = self.open_account(meter, tariff=self.tiers())
        supply = account.supply_ids
        self.reads(meter, (10, "150"))
        # 100 x 0.50 + 50 x 1.00
        self.assertEqual(self.due(account), {"2026-03": "100.00"})
        self.env["energy.supply.term"].sudo().create(
            {
                "supply_id": supply.id,
                "since": self.day(12),
                "tariff_id": supply.tariff_id.id,
                "multiplier": 1,
                "limit_addition": 100,
            }
        )
        self.reads(meter, (31, "150"), (40, "350"), (41, "360"))
        # April: 200 x 0.50 + 10 x 1.00
        self.assertEqual(self.due(account), {"2026-03": "100.00", "2026-04": "110.00"})

    def test_successor_begins_anew_in_the_middle_of_a_month(self):
        """A change of customer on 16 March: 16 of 31 days, 51.613 kWh at 0.50."""
        meter = self.make_meter("U9")
        account = self.open_account(meter, tariff=self.tiers())
        self.top_up(account, 1000)
        self.reads(meter, (10, "100"))
        self.set_clock(self.day(15))
        change = self.env["energy.account.change"].create(
            {
                "kind": "customer",
                "account_id": account.id,
                "moment": self.day(15),
                "reason": "Moved",
                "new_partner_id": self.env["res.partner"].create({"name": "Successor"}).id,
                "leftover": "transfer",
            }
        )
        change.line_ids.register = 100
        change.action_confirm()
        self.reads(meter, (20, "200"))
        # 51.613 x 0.50 + 48.387 x 1.00 = 74.1935
        self.assertEqual(self.due(change.new_account_id), {"2026-03": "74.19"})
        self.assertEqual(self.due(account), {"2026-03": "50.00"})

    def test_counter_runs_on_under_another_tariff_with_the_same_period(self):
        meter = self.make_meter("U10")
        account = self.open_account(meter, tariff=self.tiers())
        dear = self.make_tariff("Dear", {"flat": ["0.700000", "1.500000"]}, limits=(120,))
        self.reads(meter, (10, "90"))
        account.supply_ids.sudo()._set_tariff(dear, self.day(10))
        self.reads(meter, (12, "140"))
        # 90 x 0.50; then 30 of the 120 are left at 0.70, 20 x 1.50
        self.assertEqual(self.units(account), [("2026-03-01", "", "2026-03", "96.00")])
