"""The form of a version: problems in words, picture, price table, cells, derived prices."""

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from ..engine.tariff_check import SENTENCES
from ..models.energy_meter_plan import PlanLimits
from .test_tariff_engine import TariffCase


@tagged("post_install", "-at_install")
class TestTariffProblems(TariffCase):
    def assertProblem(self, version, pattern):
        self.assertRegex("\n".join(version._problems()), pattern)

    def test_every_code_of_the_engine_has_a_sentence(self):
        version = self.flat_tariff.version_ids
        self.assertEqual(set(version._sentences()), set(SENTENCES))

    def test_a_gap_names_its_hours_days_and_months(self):
        version = self.draft(
            {"peak": [1], "valley": [0.5]},
            windows=[
                {"key": "peak", "hour_from": 8, "hour_to": 22},
                {"key": "valley", "hour_from": 22, "hour_to": 7.5, "month_from": "3"},
                {"key": "valley", "hour_from": 22, "hour_to": 8, "month_to": "2"},
            ],
        )
        version.band_ids.is_rest = False
        self.assertProblem(version, "from 07:30 to 08:00: Working day, Mar – Dec")
        self.assertProblem(version, "from 07:30 to 08:00: Weekend, Mar – Dec")
        # 10 months of 306 days, 30 minutes each
        self.assertEqual(version.coverage, "9,180 minutes of a leap year have no rate period.")

    def test_an_unmeant_overlap_is_named_and_a_meant_one_is_not(self):
        windows = [
            {"key": "peak", "hour_from": 8, "hour_to": 12},
            {"key": "sharp", "hour_from": 10, "hour_to": 11},
        ]
        version = self.draft({"flat": [0.5], "peak": [1], "sharp": [2]}, windows=windows)
        self.assertFalse(version._problems())
        version.window_ids[1].hour_to = 13
        self.assertProblem(
            version,
            r"Window 1 \(Peak, 08:00–12:00\) and Window 2 \(Sharp, 10:00–13:00\) overlap from "
            "10:00 to 12:00",
        )

    def test_the_last_tier_is_open(self):
        version = self.draft(
            {"flat": [1, 2]}, tiers=[{"number": 1, "limit": 100}, {"number": 2, "limit": 200}]
        )
        self.assertProblem(version, "The last tier is closed: use above 200 has no price")
        version.tier_ids[1].limit = 0
        self.assertFalse(version._problems())

    def test_the_last_tier_of_each_season_is_open(self):
        """Winter ends at 400: above it there is tier 3 in summer only."""
        tiers = [
            {"number": 1, "limit": 260, "month_from": "5", "month_to": "10"},
            {"number": 2, "limit": 600, "month_from": "5", "month_to": "10"},
            {"number": 3, "month_from": "5", "month_to": "10"},
            {"number": 1, "limit": 200, "month_from": "11", "month_to": "4"},
            {"number": 2, "limit": 400, "month_from": "11", "month_to": "4"},
        ]
        version = self.draft({"flat": [0.65, 0.70, 0.95]}, tiers=tiers)
        self.assertEqual(
            version._problems(),
            [
                "Nov – Apr: The last tier is closed: use above 400 has no price. Empty the limit "
                "of the last tier, or add an open tier after it."
            ],
        )
        version.tier_ids = [Command.create({"number": 3, "month_from": "11", "month_to": "4"})]
        self.assertFalse(version._problems())

    def test_an_adder_is_the_same_in_every_season(self):
        """0.65 + 0.05 is the price of tier 2 all year; + 0.10 in winter would be a second one."""
        seasons = [("5", "10", 260), ("11", "4", 200)]
        version = self.draft(
            {"flat": [0.65]},
            tiers=[
                tier | {"month_from": first, "month_to": last}
                for first, last, limit in seasons
                for tier in ({"number": 1, "limit": limit}, {"number": 2, "adder": 0.05})
            ],
            tier_pricing="adder",
        )
        self.assertFalse(version._problems())
        self.assertEqual(self.prices(version)["flat", 2], "0.700000")
        winter = version.tier_ids.filtered(lambda tier: (tier.number, tier.month_from) == (2, "11"))
        winter.adder = 0.1
        self.assertProblem(version, "Tier 2 has the adders 0.05, 0.1. ")
        with self.refused(UserError, "make a version for each season"):
            version.action_submit()

    def test_limits_rise(self):
        version = self.draft(
            {"flat": [1, 2, 3]},
            tiers=[{"number": 1, "limit": 300}, {"number": 2, "limit": 200}, {"number": 3}],
        )
        self.assertProblem(version, "The limit 200 of tier 2 is below 300")
        version.tier_ids[1].number = 4
        self.assertProblem(version, "Number the tiers 1, 2, 3")

    def test_seasonal_limits_need_monthly_tiers(self):
        tiers = [
            {"number": 1, "limit": 170, "month_from": "12", "month_to": "4"},
            {"number": 2, "month_from": "12", "month_to": "4"},
        ]
        version = self.draft({"flat": [1, 2]}, tiers=tiers, tariff={"tier_period": "year"})
        self.assertProblem(version, "Limits by season need tiers that are counted by month")

    def test_months_with_limits_of_two_seasons(self):
        tiers = [
            {"number": 1, "limit": 170, "month_from": "12", "month_to": "4"},
            {"number": 1, "limit": 200, "month_from": "4", "month_to": "11"},
        ]
        version = self.draft({"flat": [1, 2]}, tiers=tiers)
        self.assertProblem(version, "Apr has limits of two seasons")

    def test_the_free_quantity_lies_below_the_first_limit(self):
        version = self.draft(
            {"flat": [1, 2]}, tiers=[{"number": 1, "limit": 50}, {"number": 2}], free_quantity=60
        )
        self.assertProblem(version, "first limit 50 is within the free quantity 60")

    def test_prices_that_are_missing_are_named_together(self):
        version = self.draft(
            {"flat": [], "peak": [1]},
            tiers=[{"number": 1, "limit": 50}, {"number": 2}],
            windows=[{"key": "peak", "hour_from": 8, "hour_to": 9}],
            free_quantity=10,
        )
        self.assertEqual(
            version._problems(),
            ["“Flat” has no price in tier 1, tier 2.", "“Peak” has no price in tier 2."],
        )

    def test_a_band_never_in_force(self):
        version = self.draft({"flat": [1], "peak": [2]})
        self.assertProblem(version, "“Peak” is never in force")

    def test_a_negative_derived_price(self):
        version = self.draft(
            {"flat": [0.1]},
            tiers=[{"number": 1, "limit": 50}, {"number": 2, "adder": -0.2}],
            tier_pricing="adder",
        )
        self.assertProblem(version, "price of “Flat” in tier 2 is below zero: -0.1")

    def test_chronological_tiers_with_unequal_steps_say_so(self):
        """Shanghai's steps are 0.06 in the peak and 0.03 in the valley."""
        version = self.draft(
            {"valley": [0.307, 0.337], "peak": [0.617, 0.677]},
            tiers=[{"number": 1, "limit": 260}, {"number": 2}],
            windows=[{"key": "peak", "hour_from": 6, "hour_to": 22}],
            tariff={"allocation": "chronological"},
        )
        self.assertFalse(version._problems())
        self.assertIn("depends on counting day by day", version.hints)
        version.price_ids.filtered(
            lambda price: price.tier == 2 and price.band_id.key == "valley"
        ).price = 0.367
        self.assertFalse(version.hints)


@tagged("post_install", "-at_install")
class TestTariffEditor(TariffCase):
    def test_cells_follow_rate_periods_and_tiers(self):
        version = self.draft({"flat": [0.5]})
        self.assertEqual(len(version.price_ids), 1)
        version.band_ids = [Command.create({"name": "Peak", "key": "peak"})]
        version.tier_ids = [
            Command.create({"number": 1, "limit": 100}),
            Command.create({"number": 2}),
        ]
        cells = {(cell.band_id.key, cell.tier): cell.is_priced for cell in version.price_ids}
        self.assertEqual(
            cells,
            {("flat", 1): True, ("flat", 2): False, ("peak", 1): False, ("peak", 2): False},
        )
        version.price_ids.filtered(lambda cell: not cell.is_priced).price = 0
        self.assertTrue(all(version.price_ids.mapped("is_priced")), "a typed zero is a price")
        version.tier_ids[1].unlink()
        self.assertEqual(version.price_ids.mapped("tier"), [1, 1])

    def test_guangdong_prices_are_derived(self):
        """Shenzhen: base 0.6542, peak 1.7, valley 0.38, sharp 1.7 x 1.25."""
        version = self.draft({"flat": [], "peak": [], "valley": [], "sharp": []}, base_price=0.6542)
        ratios = {"flat": 1, "peak": 1.7, "valley": 0.38, "sharp": 2.125}
        for band in version.band_ids:
            band.ratio = ratios[band.key]
        version.action_derive_prices()
        prices = {price.band_id.key: f"{price.price:.6f}" for price in version.price_ids}
        self.assertEqual(
            prices,
            {"flat": "0.654200", "peak": "1.112100", "valley": "0.248600", "sharp": "1.390200"},
        )
        # Only a part floats, and an adder: 0.2 + 0.4542 x 1.7 + 0.03 = 1.00214
        version.write({"base_price": 0.4542, "fixed_price": 0.2, "price_decimals": 6})
        peak = version.band_ids.filtered(lambda band: band.key == "peak")
        peak.adder = 0.03
        version.action_derive_prices()
        price = version.price_ids.filtered(lambda price: price.band_id == peak)
        self.assertEqual(f"{price.price:.6f}", "1.002140")
        version.base_price = 0
        with self.refused(UserError, "Enter the base price"):
            version.action_derive_prices()

    def test_the_picture_has_a_bar_for_each_season_and_kind_of_day(self):
        version = self.draft(
            {"flat": [0.5], "peak": [1], "sharp": [2]},
            windows=[
                {"key": "peak", "hour_from": 8, "hour_to": 12, "day_type": "workday"},
                {
                    "key": "sharp",
                    "hour_from": 10,
                    "hour_to": 11.5,
                    "month_from": "7",
                    "month_to": "9",
                    "day_type": "workday",
                },
            ],
        )
        rows = [(row["season"], row["day"], row["parts"]) for row in version.plan["rows"]]
        off = [[0, 1440, "flat"]]
        work = [[0, 480, "flat"], [480, 720, "peak"], [720, 1440, "flat"]]
        summer = [
            [0, 480, "flat"],
            [480, 600, "peak"],
            [600, 690, "sharp"],
            [690, 720, "peak"],
            [720, 1440, "flat"],
        ]
        self.assertEqual(
            rows,
            [
                ("all year", "Weekend, Holiday", off),
                ("Oct – Jun", "Working day", work),
                ("Jul – Sep", "Working day", summer),
            ],
        )
        self.assertEqual(version.plan["bands"][1]["price"], "1 / kWh")
        # 366 days of 1440 minutes
        self.assertIn("527,040 minutes", version.coverage)

    def test_the_picture_changes_while_the_form_is_edited(self):
        version = self.draft(
            {"flat": [0.5], "peak": [1]},
            windows=[{"key": "peak", "hour_from": 8, "hour_to": 12}],
        )
        with Form(version) as form:
            with form.window_ids.edit(0) as window:
                window.hour_to = 13
            self.assertEqual(form.plan["rows"][0]["parts"][1], [480, 780, "peak"])
            with form.tier_ids.new() as tier:
                tier.limit = 100
            with form.tier_ids.new() as tier:
                tier.month_from = "1"
            self.assertEqual([tier["number"] for tier in form.tier_ids._records], [1, 2])
            self.assertEqual(
                [column["name"] for column in form.price_columns["columns"]], ["Tier 1", "Tier 2"]
            )
            self.assertIn("has no price", form.problems)
        self.assertEqual(len(version.price_ids), 4)

    def test_the_price_of_a_tier_by_adder_changes_with_the_first(self):
        version = self.draft(
            {"flat": [0.5]},
            tiers=[{"number": 1, "limit": 100}, {"number": 2, "adder": 0.05}],
            tier_pricing="adder",
        )
        with Form(version) as form:
            with form.price_ids.edit(0) as price:
                price.price = 0.6
            self.assertEqual(form.price_columns["bands"][0]["gross"]["2"], [0.65, 0, 0])
        self.assertEqual([f"{price.gross:.2f}" for price in version.price_ids], ["0.60", "0.65"])

    def test_the_gross_price_changes_while_the_form_is_edited(self):
        version = self.draft({"flat": [0.5]}, tariff={"tax_included": False})
        with Form(version) as form:
            form.tax_rate = 13
            self.assertEqual(form.price_columns["bands"][0]["gross"]["1"], [0.565, 0, 0.065])
        self.assertEqual(f"{version.price_ids.gross:.6f}", "0.565000")


@tagged("post_install", "-at_install")
class TestTariffMeters(TariffCase):
    def test_meters_without_a_plan_are_priced_by_the_platform(self):
        meter = self.make_meter("P1")
        self.open_account(meter)
        version = self.flat_tariff.version_ids
        self.assertEqual((version.meter_count, version.holder_count), (1, 0))
        self.assertIn("has no plan of rate periods", version.holder_text)
        self.assertEqual(version.action_open_meters()["domain"], [("id", "in", meter.ids)])
        self.assertFalse(meter.plan_capacity)

    def test_meters_follow_hours_that_are_typed(self):
        windows = [{"key": "peak", "hour_from": 0, "hour_to": 12}]
        version = self.draft({"flat": [1], "peak": [2]}, windows=windows)
        version.action_approve()
        self.open_account(self.make_meter("H1"), tariff=version.tariff_id)
        version.action_draft()
        limits = PlanLimits(2, frozenset({"flat", "peak"}))
        self.patch(
            type(self.env["energy.meter"]),
            "_plan_limits",
            lambda meters: dict.fromkeys(meters.ids, limits),
        )
        with Form(version) as form:
            self.assertEqual(form.holder_count, 1)
            with form.window_ids.edit(0) as window:
                window.month_to = "6"
            # Two seasons; the meter holds one plan a year.
            self.assertEqual(form.holder_count, 0)

    def test_what_a_meter_cannot_hold_is_named(self):
        version = self.draft(
            {"flat": [0.5], "peak": [1], "other_1": [2]},
            windows=[
                {"key": "peak", "hour_from": 8, "hour_to": 12},
                {"key": "other_1", "hour_from": 14, "hour_to": 15, "month_to": "3"},
            ],
        )
        five = frozenset({"sharp", "peak", "flat", "valley", "deep_valley"})
        demands = version._plan_demands()
        self.assertEqual(demands, (2, 5, {"flat", "peak", "other_1"}))
        for limits, pattern in (
            (PlanLimits(14, five), "needs 2 different days.*holds 1"),
            (PlanLimits(4, five, 2), "5 times; the meter holds 4"),
            (PlanLimits(14, five, 2), "does not know Other_1"),
        ):
            self.assertRegex(version._refusal(limits, demands), pattern)
        self.assertFalse(version._refusal(PlanLimits(5, five | {"other_1"}, 2), demands))
