from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product

from odoo.exceptions import UserError
from odoo.tests import tagged

from .. import tariff_money, tariff_templates
from .common import START, EnergyCase
from .planting import PropertyCase


def local(year, month, day):
    """Return the naive UTC moment of a midnight in Shanghai."""
    return datetime(year, month, day) - timedelta(hours=8)


class TemplateCase(EnergyCase):
    @classmethod
    def template(cls, code):
        return cls.env["energy.tariff.template"].search([("code", "=", code)])

    @classmethod
    def from_template(cls, code, date_from="2026-01-01", rate=1):
        """Make a draft tariff by the wizard; return its version."""
        choice = cls.env["energy.tariff.choice"].create(
            {"template_id": cls.template(code).id, "date_from": date_from, "rate": rate}
        )
        tariff = cls.env["energy.tariff"].browse(choice.action_confirm()["res_id"])
        return tariff.version_ids

    def first_tier(self, version):
        return {
            price.band_id.key: f"{price.price:.4f}"
            for price in version.price_ids
            if price.tier == 1
        }


@tagged("post_install", "-at_install")
class TestTariffTemplates(PropertyCase, TemplateCase):
    """Every template becomes a tariff that prices use, or lacks nothing but its prices."""

    def test_every_template_becomes_a_tariff(self):
        for code, content in tariff_templates.templates().items():
            with self.subTest(code):
                version = self.from_template(code)
                tariff = version.tariff_id
                self.assertEqual((version.state, tariff.company_id), ("draft", self.company))
                self.assertEqual(tariff.name, content["name"]["en"])
                self.assertEqual(tariff.source, content["source"]["en"])
                problems = [problem.code for problem in version._build().problems()]
                if tariff_templates.needs_prices(content):
                    self.assertEqual(problems, ["price_none"] * len(content["bands"]))
                    self.assertTrue(version._problems())
                else:
                    self.assertEqual(problems, [])
                    self.assertEqual(version._problems(), [])
                    version.action_approve()
                    self.assertEqual(version.state, "approved")

    def test_times_of_every_template_are_those_of_its_file(self):
        for code, content in tariff_templates.templates().items():
            rest = next((band["key"] for band in content["bands"] if band.get("is_rest")), None)
            built = self.from_template(code)._build()
            windows = tariff_templates.windows(content)
            for month, kind, declared in product(
                range(1, 13), ("workday", "weekend", "holiday"), (False, True)
            ):
                day = [rest] * 1440
                for band, (first, last), days, start, end in windows:
                    inside = first <= month <= last if first <= last else not last < month < first
                    if inside and (days in ("all", kind) or (days == "declared" and declared)):
                        for minute in range(start, start + ((end - start) % 1440 or 1440)):
                            day[minute % 1440] = band
                found = [
                    band
                    for start, end, band in built.day_plan(month, kind, declared)
                    for _minute in range(start, end)
                ]
                self.assertEqual(found, day, (code, month, kind, declared))

    def test_templates_are_found_by_name_number_and_kind(self):
        templates = self.env["energy.tariff.template"]
        self.assertEqual(
            templates.search([("document", "ilike", "331号"), ("customers", "=", "business")]),
            self.template("cn_guangdong_business"),
        )
        for typed, code in (
            ("Beijing water", "cn_beijing_water"),
            ("〔2025〕426", "cn_jiangsu_business"),
        ):
            found = templates.name_search(typed)
            self.assertEqual([row[0] for row in found], self.template(code).ids)
        self.assertEqual(
            templates.search([("commodity", "=", "water"), ("certainty", "=", "official")]),
            self.template("cn_beijing_water"),
        )
        rows = templates.search([])
        self.assertEqual(len(rows), len(tariff_templates.templates()))
        self.assertTrue(all(rows.mapped("preview")))
        self.assertTrue(all(rows.mapped("country_id")))
        self.assertTrue(all(rows.mapped("currency_id")))
        preview = self.template("cn_shenzhen_household").preview
        for text in ("10:00–12:00, 14:00–19:00", "May–October", "260, 600", "+0.05, +0.30"):
            self.assertIn(text, preview)

    def test_source_and_what_it_is_worth_go_along(self):
        tariff = self.from_template("cn_beijing_water").tariff_id
        self.assertEqual(str(tariff.source_date), "2014-04-29")
        self.assertIn("China Daily", tariff.source)
        self.assertIn("Official text", tariff.note)
        memory = self.from_template("cn_shanghai_household").tariff_id
        self.assertFalse(memory.source_date)
        self.assertIn("Partly from memory", memory.note)
        self.assertIn("0.487, is from memory", memory.note)

    def test_names_are_there_in_every_language_installed(self):
        self.env["res.lang"]._activate_lang("zh_CN")
        version = self.from_template("cn_zhejiang_household")
        chinese = version.with_context(lang="zh_CN")
        self.assertEqual(chinese.tariff_id.name, "浙江居民（年阶梯、峰谷）")
        self.assertEqual(chinese.band_ids.mapped("name"), ["高峰", "低谷"])
        self.assertEqual(version.band_ids.mapped("name"), ["Peak", "Valley"])
        self.assertEqual(
            self.template("cn_zhejiang_household").with_context(lang="zh_CN").name,
            "浙江居民（年阶梯、峰谷）",
        )

    def test_another_currency_is_converted_or_refused(self):
        choice = self.env["energy.tariff.choice"].create(
            {"template_id": self.template("gb_price_cap_2024_q3").id, "name": "Flats"}
        )
        self.assertTrue(choice.is_foreign)
        with self.refused(UserError, "The template is in GBP, Harbour Estates keeps CNY"):
            choice.action_confirm()
        choice.rate = 9.123457
        tariff = self.env["energy.tariff"].browse(choice.action_confirm()["res_id"])
        self.assertEqual(tariff.name, "Flats")
        # 0.2236 x 9.123457 = 2.0400049852; 0.6012 x 9.123457 = 5.4850223484
        self.assertEqual(f"{tariff.version_ids.price_ids.price:.6f}", "2.040005")
        self.assertEqual(f"{tariff.version_ids.per_day:.6f}", "5.485022")

    def test_a_tariff_from_a_template_is_like_any(self):
        version = self.from_template("cn_zhejiang_household")
        version.window_ids.hour_from = 7
        version.price_ids.filtered(lambda price: price.tier == 1)[0].price = 0.6
        version.tariff_id.name = "Ours"
        version.action_approve()
        self.assertEqual(version.state, "approved")

    def test_peak_and_valley_follow_from_base_and_ratio(self):
        """粤发改价格〔2021〕331号: 1.7 : 1 : 0.38 in fen to two decimals; published prices."""
        version = self.from_template("cn_guangdong_business")

        def check():
            for base, peak, valley in ((0.6542, "1.1121", "0.2486"), (0.6002, "1.0203", "0.2281")):
                version.base_price = base
                version.action_derive_prices()
                prices = self.first_tier(version)
                self.assertEqual((prices["peak"], prices["valley"]), (peak, valley))
                self.assertEqual(prices["flat"], f"{base:.4f}")
            self.assertEqual(prices["sharp"], "1.2754")  # 0.6002 x 1.7 x 1.25 = 1.275425

        self.holds(
            check,
            (tariff_money.derived_price, "ROUND_HALF_UP", "'ROUND_DOWN'"),
            (tariff_money.derived_price, "EXACT.multiply(base, ratio)", "base"),
        )
        version.action_approve()
        shenzhen = self.from_template("cn_shenzhen_household")
        self.assertEqual(
            self.first_tier(shenzhen), {"peak": "1.1121", "flat": "0.6542", "valley": "0.2486"}
        )
        built = shenzhen._build()
        # Higher tiers cost 0.05 and 0.30 more in every rate period.
        self.assertEqual(
            [built.price("peak", tier) for tier in (1, 2, 3)],
            [Decimal("1.1121"), Decimal("1.1621"), Decimal("1.4121")],
        )
        self.assertEqual(built.price("valley", 3), Decimal("0.5486"))
        self.assertEqual([built.limits(month)[0] for month in (4, 5, 10, 11)], [200, 260, 260, 200])

    def test_tiers_of_a_part_of_the_year_and_their_own_first_day(self):
        yunnan = self.from_template("cn_yunnan_household")._build()
        self.assertEqual(
            [len(yunnan.limits(month)) for month in range(1, 13)],
            [2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 2],
        )
        self.assertEqual(yunnan.price("flat", 1), Decimal("0.423625"))
        guizhou = self.from_template("cn_guizhou_household")._build()
        self.assertEqual(
            (guizhou.tier_period, guizhou.tier_year_month, guizhou.tier_year_day), ("year", 12, 1)
        )
        water = self.from_template("cn_beijing_water")._build()
        self.assertEqual([water.price("flat", tier) for tier in (1, 2, 3)], [5, 7, 9])
        self.assertEqual(water.allocation, "proportional")

    def test_who_keeps_tariffs_takes_them_from_templates(self):
        for role, may in (("finance", True), ("manager", True), ("operator", False)):
            user = self.new_user(role, f"templates_{role}")
            choices = self.env(user=user)["energy.tariff.choice"]
            values = {"template_id": self.template("cn_zhejiang_household").id}
            if may:
                action = choices.create(values).action_confirm()
                tariff = self.env["energy.tariff"].browse(action["res_id"])
                self.assertEqual(tariff.create_uid, user)
            else:
                with self.refused():
                    choices.create(values)


@tagged("post_install", "-at_install")
class TestPublishedBills(TemplateCase):
    """Bills that others published, from readings to the balance."""

    def bill(self, tariff, name, readings, start=START, commodity="electricity"):
        """Return the balance after each reading (moment, register) of a new account."""
        meter = self.make_meter(name, commodity)
        self.set_clock(start)
        account = self.open_account(meter, tariff=tariff, start=start)
        balances = []
        for moment, total in readings:
            self.read(meter, moment, total)
            self.settle()
            balances.append(f"{account.balance:.2f}")
        return account, balances

    def test_johannesburg_city_power_prepaid_2023(self):
        """City Power in BusinessTech, 2023-07-04: R733.85 and R791.57 before VAT."""
        readings = [(START + timedelta(days=9), "350"), (START + timedelta(days=20), "374")]
        net = self.from_template("za_city_power_2023")
        self.assertEqual(net.tax_rate, 15)
        net.tax_rate = 0
        net.action_approve()
        _account, balances = self.bill(net.tariff_id, "P1", readings)
        self.assertEqual(balances, ["-733.85", "-791.57"])
        # With VAT of 15 %: 350 x 2.411205 = 843.92175; and 24 x 2.76575 = 66.378 more
        gross = self.from_template("za_city_power_2023")
        gross.action_approve()
        _account, balances = self.bill(gross.tariff_id, "P2", readings)
        self.assertEqual(balances, ["-843.92", "-910.30"])

    def test_zhejiang_two_steps(self):
        """Zhejiang University's programming exercise 2-2: 0.53 to 50 kWh inclusive, then 0.58."""
        tariff = self.make_tariff("Two steps", {"flat": ["0.53", "0.58"]}, limits=(50,))
        readings = [
            (START + timedelta(days=3), "10"),
            (START + timedelta(days=9), "50"),
            (START + timedelta(days=20), "100"),
        ]
        _account, balances = self.bill(tariff, "P3", readings)
        self.assertEqual(balances, ["-5.30", "-26.50", "-55.50"])

    def test_beijing_water_through_a_year(self):
        """5, 7 and 9 yuan a m³ to 180 and 260 m³ a year, 25 m³ a month."""
        version = self.from_template("cn_beijing_water", "2025-01-01")
        version.action_approve()
        moments = [local(2025, month, 1) for month in range(2, 13)] + [local(2026, 1, 1)]
        readings = [(moment, str(25 * count)) for count, moment in enumerate(moments, 1)]
        account, balances = self.bill(
            version.tariff_id, "P4", readings, local(2025, 1, 1), commodity="water"
        )
        self.assertEqual(
            self.entries(account),
            ["-125.00"] * 7 + ["-165.00", "-175.00", "-175.00", "-205.00", "-225.00"],
        )
        self.assertEqual(balances[-1], "-1820.00")

    def test_malaysian_months_and_a_reading_after_three_of_them(self):
        """450 kWh in each of three months cost 463.20, read by month or once."""
        version = self.from_template("my_tnb_domestic_2014", "2025-01-01")
        version.action_approve()
        months = [(local(2025, month, 1), str(450 * (month - 4))) for month in (5, 6, 7)]
        account, _balances = self.bill(version.tariff_id, "P5", months, local(2025, 4, 1))
        self.assertEqual(self.entries(account), ["-154.40"] * 3)
        account, balances = self.bill(version.tariff_id, "P6", months[-1:], local(2025, 4, 1))
        self.assertEqual(balances, ["-463.20"])
        self.assertEqual(len(self.entries(account)), 3)

    def test_british_standing_charge_runs_by_the_day(self):
        """10 days at 60.12 p and 50 kWh at 22.36 p: 6.012 + 11.18 = 17.192."""
        version = self.from_template("gb_price_cap_2024_q3")
        version.action_approve()
        readings = [(START + timedelta(days=10), "50"), (START + timedelta(days=20), "50")]
        _account, balances = self.bill(version.tariff_id, "P7", readings)
        # 20 days: 12.024 + 11.18 = 23.204
        self.assertEqual(balances, ["-17.19", "-23.20"])
