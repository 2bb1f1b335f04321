from datetime import datetime, timedelta
from decimal import Decimal

from odoo import Command
from odoo.tests import tagged

from .common import START, EnergyCase
from .planting import PropertyCase

HOUR = timedelta(hours=1)
NEAR = Decimal("0.000000001")
ZONE = timedelta(hours=8)


def shanghai(month, day, hour=0, minute=0):
    """Return the naive UTC moment of a local time of 2026 in Shanghai."""
    return datetime(2026, month, day, hour, minute) - ZONE


class ExplainCase(PropertyCase, EnergyCase):
    def explain(self, account, position=-1, kind="use"):
        """Return how an account's entry of a kind was made; its figures fit each other."""
        entries = self.env["energy.wallet.entry"].search(
            [("account_id", "=", account.id), ("kind", "=", kind)], order="id"
        )
        explained = self.env["energy.explanation"]._explain(entries[position])
        if kind == "use":
            self.check_figures(entries[position], explained)
        return explained

    def check_figures(self, entry, explained):
        """Every figure follows from those before it."""
        for supply in explained["supplies"]:
            parts = sum(cell["quantity"] for cell in supply["cells"])
            self.assertEqual(supply["quantity"], parts)
            if supply["stretches"]:
                self.assertEqual(
                    supply["quantity"], sum(part["quantity"] for part in supply["stretches"])
                )
            for part in supply["stretches"]:
                self.assertEqual(
                    part["quantity"],
                    (part["register_to"] - part["register_from"]) * part["multiplier"],
                )
        used = sum(supply["quantity"] for supply in explained["supplies"])
        lines = explained["lines"]
        for line in lines:
            self.assertEqual(line["quantity"], line["to_date"] - line["before"])
            self.assertEqual(line["amount"], line["amount_to_date"] - line["amount_before"])
            if line["tier"]:
                self.assertAlmostEqual(
                    line["amount_to_date"], line["to_date"] * line["price"], delta=NEAR
                )
        self.assertEqual(
            used, sum(line["quantity"] for line in lines if explained["since"]) or used
        )
        total = sum(line["amount_to_date"] for line in lines)
        self.assertAlmostEqual(total, explained["due"], delta=NEAR)
        self.assertLessEqual(abs(explained["rounded"] - explained["due"]), Decimal("0.005"))
        self.assertEqual(explained["difference"], explained["rounded"] - explained["posted_before"])
        self.assertEqual(explained["posted"], Decimal(f"{-entry.amount:.2f}"))
        self.assertEqual(explained["is_equal"], explained["difference"] == explained["posted"])

    def lines(self, explained):
        """Return (rate period, tier, to date, before, quantity, amount) with six decimals."""
        return [
            (
                line["band"],
                line["tier"],
                *(f"{line[name]:.6f}" for name in ("to_date", "before", "quantity", "amount")),
            )
            for line in explained["lines"]
        ]


@tagged("post_install", "-at_install")
class TestExplain(ExplainCase):
    """Every entry of use is made again from its readings, and its figures add up."""

    def household(self, **values):
        return self.make_tariff(
            "Household",
            {"peak": ["0.617", "0.677"], "valley": ["0.307", "0.337"]},
            limits=(260,),
            windows=[("peak", 6, 22)],
            rest="valley",
            **values,
        )

    def test_the_example_of_the_manual(self):
        """docs/rating.md, line by line."""
        explanation = type(self.env["energy.explanation"])
        rating = type(self.env["energy.rating"])
        self.holds(
            self.check_the_example,
            # what is posted before is not taken off
            (explanation._explain_use, "rounded - posted_before,", "rounded,"),
            # readings after the entry count
            (rating._recount, "works, until, prices)", "works, unit._moments()[1], prices)"),
            # what stood before is left out
            (rating._explained_lines, "quantity - quantity_before", "quantity"),
            # a price of another tier
            (rating._explained_lines, ".price(band, tier)", ".price(band, 1)"),
            # the register is that of the reading before
            (rating._stretches, "(high := _raised(work, stop))", "(high := _raised(work, start))"),
            # the multiplier is forgotten
            (rating._stretches, "(high - low) * span.multiplier", "(high - low) * 2"),
        )

    def check_the_example(self):
        meter = self.make_meter("X1")
        start = shanghai(5, 1)
        self.set_clock(start)
        # 5000 at midnight of 1 May; 150 kWh in hours of peak and 90 in hours of valley before
        # 07:00 of the 21st, at which the register stands at 5240.
        account = self.open_account(meter, tariff=self.household(), start=start, register=5000)
        self.top_up(account, 1000)
        register = Decimal(5000)
        for moment, used in (
            (shanghai(5, 1, 6), 40),  # valley
            (shanghai(5, 1, 22), 100),  # peak
            (shanghai(5, 2, 6), 50),  # valley
            (shanghai(5, 2, 22), 50),  # peak
            (shanghai(5, 21, 6), 0),
            (shanghai(5, 21, 7), 0),
        ):
            register += used
            self.read(meter, moment, str(register))
        self.settle()
        self.assertEqual(register, Decimal("5240"))
        self.assertEqual(self.entries(account), ["-120.18"])
        first = self.explain(account)
        self.assertTrue(first["is_equal"])
        self.assertEqual(f"{first['due']:.2f}", "120.18")
        self.assertEqual(first["posted_before"], 0)

        self.read(meter, shanghai(5, 21, 23, 40), "5273.40")
        self.settle()
        self.assertEqual(self.entries(account), ["-120.18", "-20.24"])
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        supply = explained["supplies"][0]
        self.assertEqual(
            [
                (supply[end]["moment"], supply[end]["register"], supply[end]["is_read"])
                for end in ("start", "end")
            ],
            [
                (shanghai(5, 21, 7), Decimal("5240"), True),
                (shanghai(5, 21, 23, 40), Decimal("5273.40"), True),
            ],
        )
        self.assertEqual(supply["clock"], "platform")
        self.assertEqual(supply["multipliers"], [(start, 1)])
        self.assertEqual(
            [
                (part["band"], part["register_from"], part["register_to"], part["quantity"])
                for part in supply["stretches"]
            ],
            [
                ("peak", Decimal("5240"), Decimal("5270.06"), Decimal("30.06")),
                ("valley", Decimal("5270.06"), Decimal("5273.40"), Decimal("3.34")),
            ],
        )
        self.assertTrue(all(cell["is_interpolated"] for cell in supply["cells"]))
        (counter,) = explained["counter"]
        self.assertEqual(
            (counter["before"], counter["after"], counter["limits"]),
            (Decimal("240"), Decimal("273.40"), (Decimal("260"),)),
        )
        self.assertEqual(
            self.lines(explained),
            [
                ("peak", 1, "171.234821", "150.000000", "21.234821", "13.101884"),
                ("peak", 2, "8.825179", "0.000000", "8.825179", "5.974646"),
                ("valley", 1, "88.765179", "90.000000", "-1.234821", "-0.379090"),
                ("valley", 2, "4.574821", "0.000000", "4.574821", "1.541715"),
            ],
        )
        self.assertEqual(f"{explained['due']:.6f}", "140.419155")
        self.assertEqual(explained["rounded"], Decimal("140.42"))
        self.assertEqual(explained["posted_before"], Decimal("120.18"))
        self.assertEqual(explained["difference"], Decimal("20.24"))
        self.assertEqual(explained["correction"], 0)
        self.assertTrue(self.explain(account, 0)["is_equal"])

    def test_flat_price_and_multiplier(self):
        meter = self.make_meter("X2")
        account = self.open_account(meter, register=100, activate=False)
        account.supply_ids.multiplier = 40
        account.action_activate()
        self.read(meter, START + HOUR, "100.25")
        self.settle()
        # 0.25 x 40 = 10 kWh at 0.60
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        self.assertEqual(
            self.lines(explained),
            [("flat", 1, *["10.000000", "0.000000"], "10.000000", "6.000000")],
        )
        self.assertEqual(explained["supplies"][0]["multipliers"], [(START, Decimal(40))])
        self.assertEqual(explained["supplies"][0]["end"]["register"], Decimal("100.25"))
        self.assertEqual(explained["counter"], [])
        self.assertEqual(explained["posted"], Decimal("6.00"))

    def test_rate_periods_over_a_month_end_in_a_gap(self):
        tariff = self.make_tariff(
            "Peak and valley",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        meter = self.make_meter("X3")
        account = self.open_account(meter, tariff=tariff)
        self.read(meter, START + timedelta(days=30), "720")
        self.settle()
        # 30 days of 14 h peak and 10 h valley, at 1 kWh an hour
        self.assertEqual(self.entries(account), ["-570.00"])
        self.read(meter, START + timedelta(days=32), "768")
        self.settle()
        # One more day in March: 14 x 1.00 + 10 x 0.50; and the first of April
        self.assertEqual(self.entries(account), ["-570.00", "-19.00", "-19.00"])
        march = self.explain(account, 1)
        self.assertTrue(march["is_equal"])
        end = march["supplies"][0]["end"]
        april_first = START + timedelta(days=31)
        self.assertEqual((end["moment"], end["register"]), (april_first, Decimal("744")))
        self.assertFalse(end["is_read"])
        self.assertEqual(
            (end["before"], end["after"]), (START + timedelta(days=30), START + timedelta(days=32))
        )
        self.assertEqual(
            self.lines(march),
            [
                ("peak", 1, "434.000000", "420.000000", "14.000000", "14.000000"),
                ("valley", 1, "310.000000", "300.000000", "10.000000", "5.000000"),
            ],
        )
        april = self.explain(account, 2)
        self.assertTrue(april["is_equal"])
        self.assertEqual(april["supplies"][0]["start"]["register"], Decimal("744"))
        self.assertEqual(april["supplies"][0]["quantity"], 24)
        self.assertEqual(
            self.lines(april),
            [
                ("peak", 1, "14.000000", "0.000000", "14.000000", "14.000000"),
                ("valley", 1, "10.000000", "0.000000", "10.000000", "5.000000"),
            ],
        )

    def test_tiers_to_date_with_two_meters(self):
        tariff = self.make_tariff("Tiers", {"flat": ["0.50", "1.00"]}, limits=(100,))
        meters = [self.make_meter("X4"), self.make_meter("X5")]
        account = self.open_account(*meters, tariff=tariff)
        for meter, used in zip(meters, ("60", "20"), strict=True):
            self.read(meter, START + HOUR, used)
        self.settle()
        for meter, used in zip(meters, ("120", "80"), strict=True):
            self.read(meter, START + 2 * HOUR, used)
        self.settle()
        # 80 x 0.50; then 200: 100 x 0.50 + 100 x 1.00 = 150
        self.assertEqual(self.entries(account), ["-40.00", "-110.00"])
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        (counter,) = explained["counter"]
        self.assertEqual((counter["before"], counter["after"]), (80, 200))
        # Both tiers are shared 120 : 80.
        self.assertEqual(
            [
                (line["meter"], *figures)
                for line, figures in zip(explained["lines"], self.lines(explained), strict=True)
            ],
            [
                ("X4", "flat", 1, "60.000000", "60.000000", "0.000000", "0.000000"),
                ("X4", "flat", 2, "60.000000", "0.000000", "60.000000", "60.000000"),
                ("X5", "flat", 1, "40.000000", "20.000000", "20.000000", "10.000000"),
                ("X5", "flat", 2, "40.000000", "0.000000", "40.000000", "40.000000"),
            ],
        )

    def test_yearly_tiers_by_the_months_own_shares(self):
        tariff = self.env["energy.tariff"].create(
            {
                "name": "Yearly",
                "commodity": "electricity",
                "company_id": self.company.id,
                "tier_period": "year",
            }
        )
        self.assertEqual(tariff.allocation, "proportional")
        self.add_version(
            tariff,
            {"peak": ["1.00", "2.00"], "valley": ["0.50", "1.50"]},
            limits=(1000,),
            windows=[("peak", 0, 12)],
            rest="valley",
        )
        meter = self.make_meter("X6")
        january, february = shanghai(1, 1), shanghai(2, 1)
        self.set_clock(january)
        account = self.open_account(meter, tariff=tariff, start=january)
        # January: 300 peak, 500 valley; on 1 February 150 peak, 250 valley, of which 200 in tier 1
        self.read(meter, january + 12 * HOUR, "300")
        self.read(meter, january + 24 * HOUR, "800")
        self.read(meter, february, "800")
        self.settle()
        self.read(meter, february + 12 * HOUR, "950")
        self.read(meter, february + 24 * HOUR, "1200")
        self.settle()
        # 300 x 1.00 + 500 x 0.50 = 550; February's tiers 200 : 200 over 150 : 250
        # = 75 x 1.00 + 125 x 0.50 + 75 x 2.00 + 125 x 1.50 = 475
        self.assertEqual(self.entries(account), ["-550.00", "-475.00"])
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        (counter,) = explained["counter"]
        self.assertEqual((counter["before"], counter["after"]), (0, 1200))
        self.assertEqual(counter["allocation"], "proportional")
        self.assertEqual(
            [row[:3] + row[-1:] for row in self.lines(explained)],
            [
                ("peak", 1, "75.000000", "75.000000"),
                ("peak", 2, "75.000000", "150.000000"),
                ("valley", 1, "125.000000", "62.500000"),
                ("valley", 2, "125.000000", "187.500000"),
            ],
        )

    def test_limits_of_a_unit_that_begins_late(self):
        tariff = self.make_tariff("Late", {"flat": ["0.50", "1.00"]}, limits=(310,))
        meter = self.make_meter("X7")
        start = shanghai(3, 22)
        self.set_clock(start)
        account = self.open_account(meter, tariff=tariff, start=start)
        self.read(meter, start + HOUR, "150")
        self.settle()
        # 10 of 31 days: 100 kWh in tier 1
        self.assertEqual(self.entries(account), ["-100.00"])
        (counter,) = self.explain(account)["counter"]
        self.assertEqual((counter["limits"], counter["tariff_limits"]), ((100,), (310,)))
        self.assertEqual((counter["days"], counter["whole"]), (10, 31))

    def test_rate_periods_by_the_meters_registers(self):
        tariff = self.make_tariff(
            "Meter",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 20)],
            rest="valley",
        )
        meter = self.make_meter("X14")
        account = self.open_account(meter, tariff=tariff, activate=False)
        account.supply_ids.term_ids.write(
            {"band_source": "meter", "plan_version_id": tariff.version_ids.id}
        )
        account.action_activate()
        for hours, total, peak, valley in ((24, "24", "20", "4"), (48, "48", "25", "23")):
            self.set_clock(START + hours * HOUR)
            bands = (None, Decimal(peak), None, Decimal(valley))
            self.env["energy.reading"]._ingest(
                [(meter.id, START + hours * HOUR, Decimal(total), bands, "poll")]
            )
            self.settle()
        # By the plan, for want of earlier registers: 12 + 6; then 5 x 1.00 + 19 x 0.50
        self.assertEqual(self.entries(account), ["-18.00", "-14.50"])
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        (supply,) = explained["supplies"]
        self.assertEqual((supply["clock"], supply["stretches"]), ("meter", []))
        self.assertEqual(
            [(cell["band"], cell["quantity"]) for cell in supply["cells"]],
            [("peak", 5), ("valley", 19)],
        )

    def test_gap_spread_like_comparable_days(self):
        self.company.energy_gap_shape = "comparable"
        tariff = self.make_tariff(
            "Peak and valley",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 20)],
            rest="valley",
        )
        meter = self.make_meter("X17")
        # Monday to Thursday: 1 kWh each hour from 8 to 20 and nothing else; Friday is not read.
        monday = shanghai(3, 2)
        self.set_clock(monday)
        account = self.open_account(meter, tariff=tariff, start=monday)
        rows, total = [], 0
        for hour in range(1, 4 * 24 + 1):
            total += 8 < (hour - 1) % 24 + 1 <= 20
            rows.append((meter.id, monday + hour * HOUR, Decimal(total), None, "poll"))
        self.set_clock(monday + 120 * HOUR)
        self.env["energy.reading"]._ingest(rows)
        self.settle()
        self.read(meter, monday + 120 * HOUR, str(total + 12))
        self.settle()
        # 48 and 12 kWh, all in peak hours
        self.assertEqual(self.entries(account), ["-48.00", "-12.00"])
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        (supply,) = explained["supplies"]
        self.assertEqual(
            [(part["band"], part["quantity"]) for part in supply["stretches"]],
            [("valley", 0), ("peak", 12), ("valley", 0)],
        )
        self.assertEqual([part["is_read"] for part in supply["stretches"]][1], (False, False))

    def test_standing_charge_is_a_line(self):
        tariff = self.make_tariff("Standing", {"flat": ["0.50"]})
        tariff.version_ids.action_draft()
        tariff.version_ids.per_day = 0.25
        tariff.version_ids.action_approve()
        meter = self.make_meter("X16")
        account = self.open_account(meter, tariff=tariff)
        self.read(meter, START + 48 * HOUR, "10")
        self.settle()
        # 10 x 0.50 and two days
        self.assertEqual(self.entries(account), ["-5.50"])
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        self.assertEqual(
            [(line["band"], line["tier"], line["amount"]) for line in explained["lines"]],
            [("flat", 1, 5), ("standing", 0, Decimal("0.50"))],
        )

    def test_a_price_is_shown_with_its_parts(self):
        tariff = self.env["energy.tariff"].create(
            {
                "name": "Water in parts",
                "commodity": "water",
                "company_id": self.company.id,
                "tax_included": False,
            }
        )
        version = self.env["energy.tariff.version"].create(
            {
                "tariff_id": tariff.id,
                "date_from": "2020-01-01",
                "tax_rate": 3,
                "tier_pricing": "adder",
                "band_ids": [Command.create({"name": "All", "key": "flat", "is_rest": True})],
                "tier_ids": [
                    Command.create({"number": 1, "limit": 10}),
                    Command.create({"number": 2, "adder": 2}),
                ],
                "fee_ids": [Command.create({"name": "Sewage", "amount": 1.36, "share": 90})],
            }
        )
        version.price_ids.filtered(lambda row: row.tier == 1).price = 2.07
        version.action_approve()
        meter = self.make_meter("X13", commodity="water")
        account = self.open_account(meter, tariff=tariff)
        self.read(meter, START + HOUR, "15")
        self.settle()
        # (2.07 + 0.9 x 1.36) x 1.03 = 3.39282; 2 more: 5.45282; 10 and 5 of them: 61.1923
        self.assertEqual(self.entries(account), ["-61.19"])
        explained = self.explain(account)
        first, second = explained["versions"][version.id]["prices"]
        self.assertEqual(
            (first["price"], second["price"]), (Decimal("3.392820"), Decimal("5.452820"))
        )
        for price in (first, second):
            self.assertEqual(sum(part["amount"] for part in price["parts"]), price["price"])
        self.assertEqual(
            [(part["name"], f"{part['amount']:.5f}") for part in second["parts"]],
            [
                ("price", "2.07000"),
                ("tier adder", "2.00000"),
                ("Sewage", "1.22400"),
                ("tax 3 %", "0.15882"),
            ],
        )
        page = self.env["energy.explanation"].browse(
            account.entry_ids[:1].action_explain()["res_id"]
        )
        self.assertIn("Sewage 1.2240", str(page.body))

    def test_late_reading_is_shown_as_a_correction(self):
        tariff = self.make_tariff(
            "Peak and valley",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        meter = self.make_meter("X8")
        account = self.open_account(meter, tariff=tariff)
        self.read(meter, START + 10 * HOUR, "10")
        self.settle()
        # Evenly: 8 kWh valley, 2 peak
        self.assertEqual(self.entries(account), ["-6.00"])
        self.assertTrue(self.explain(account)["is_equal"])
        # All of it was used before 8 o'clock.
        self.read(meter, START + 8 * HOUR, "10")
        self.settle()
        self.assertEqual(self.entries(account), ["-6.00", "1.00"])
        correction = self.explain(account)
        self.assertTrue(correction["is_equal"])
        self.assertEqual(correction["posted"], Decimal("-1.00"))
        self.assertEqual(correction["correction"], Decimal("-1.00"))
        self.assertEqual(
            [(row["register"], row["is_late"]) for row in correction["changes"]], [("10", True)]
        )
        first = self.explain(account, 0)
        self.assertFalse(first["is_equal"])
        self.assertEqual(first["difference"], Decimal("5.00"))
        self.assertEqual([other["amount"] for other in first["later"]], [Decimal("1.00")])
        self.assertEqual(first["difference"] - first["posted"], -first["later"][0]["amount"])

    def test_new_use_and_correction_in_one_entry(self):
        meter = self.make_meter("X9")
        tariff = self.make_tariff("Dear", {"flat": ["2.00"]}, date_from="2020-01-01")
        account = self.open_account(meter, tariff=tariff)
        self.read(meter, START + 10 * HOUR, "10")
        self.settle()
        self.assertEqual(self.entries(account), ["-20.00"])
        # Half the price, from the same day on, approved late; and 4 kWh more.
        self.add_version(tariff, {"flat": ["1.00"]}, date_from="2026-03-01")
        self.read(meter, START + 12 * HOUR, "14")
        self.settle()
        self.assertEqual(self.entries(account), ["-20.00", "6.00"])
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        self.assertEqual(explained["correction"], Decimal("-10.00"))
        self.assertEqual(explained["supplies"][0]["quantity"], 4)
        self.assertEqual(explained["posted"], Decimal("-6.00"))

    def test_rolled_over_register(self):
        meter = self.make_meter("X10")
        account = self.open_account(meter, register=999990)
        self.read(meter, START + HOUR, "999998")
        self.settle()
        self.read(meter, START + 2 * HOUR, "7")
        self.settle()
        explained = self.explain(account)
        self.assertTrue(explained["is_equal"])
        supply = explained["supplies"][0]
        self.assertEqual((supply["end"]["register"], supply["quantity"]), (7, 9))

    def test_pages_of_all_kinds(self):
        meter = self.make_meter("X11")
        account = self.open_account(meter, register=0)
        self.top_up(account, 50)
        self.read(meter, START + 3 * HOUR, "9")
        self.settle()
        self.assertEqual(self.entries(account), ["-5.40"])
        for entry in account.entry_ids:
            action = entry.action_explain()
            page = self.env["energy.explanation"].browse(action["res_id"])
            self.assertEqual(page.entry_id, entry)
            text = str(page.body)
            self.assertIn("5.40" if entry.kind == "use" else "50.00", text)
            html = self.env["ir.actions.report"]._render_qweb_html(
                "prepaid_energy.report_explanation", entry.ids
            )[0]
            self.assertIn(account.name, html.decode())
        top_up = self.explain(account, kind="top_up")
        self.assertEqual(top_up["who"], self.env.user.name)
        self.assertEqual(top_up["method"], self.method.name)
        self.assertEqual(top_up["amount"], Decimal("50.00"))
        usage = self.env["energy.usage"].search([("account_id", "=", account.id)])
        self.assertEqual(usage.action_explain()["res_model"], "energy.explanation")

    def test_refund_names_who_asked_and_who_approved(self):
        account = self.open_account(self.make_meter("X12"))
        self.top_up(account, 50)
        request = self.env["energy.balance.request"].create(
            {
                "kind": "adjustment",
                "account_id": account.id,
                "amount": -7,
                "reason": "goodwill",
                "remark": "Lift broke",
            }
        )
        request.action_submit()
        finance = self.new_user("finance", "energy_approver")
        request.with_user(finance).action_approve()
        explained = self.explain(account, kind="adjustment")
        self.assertEqual(explained["amount"], Decimal("-7.00"))
        self.assertEqual(explained["request"]["name"], request.name)
        self.assertEqual(explained["request"]["remark"], "Lift broke")
        self.assertEqual(explained["request"]["decided_by"], request.decided_by_id.name)


@tagged("post_install", "-at_install")
class TestExplainEstimate(ExplainCase):
    """What rests on an estimate is marked."""

    # The estimate is made by hand, where nothing estimates.
    plants_defect = True

    def test_estimates_are_marked(self):
        meter = self.make_meter("X15")
        account = self.open_account(meter)
        self.read(meter, START + 3 * HOUR, "9", source="estimate")
        self.settle()
        (supply,) = self.explain(account)["supplies"]
        self.assertEqual(supply["estimates"], 1)
        self.assertTrue(supply["end"]["is_estimated"])
        self.assertFalse(supply["start"]["is_estimated"])
