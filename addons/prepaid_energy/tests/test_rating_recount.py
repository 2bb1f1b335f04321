from datetime import timedelta
from decimal import Decimal

from odoo.tests import tagged

from .. import rating_work
from ..models.energy_rating import EnergyRating
from ..models.energy_rating_rows import EnergyRating as Rows
from ..models.energy_rating_writing import EnergyRating as Writing
from .common import START
from .planting import PropertyCase
from .rating_case import DAY, RatingCase


@tagged("post_install", "-at_install")
class TestRatingRecount(PropertyCase, RatingCase):
    """Use that goes away, registers that begin anew, estimates, and what cannot be priced."""

    def tiers(self, **terms):
        return self.make_tariff("Tiers", {"flat": ["0.500000", "1.000000"]}, limits=(100,), **terms)

    def test_rejected_readings_take_their_use_back(self):

        def check():
            meter = self.make_meter("V1")
            account = self.open_account(meter, tariff=self.tiers())
            self.reads(meter, (10, "150"), (40, "300"))
            # 10 kWh: 150 to day 10, then 5 a day: March 105 more; April 45.
            self.assertEqual(self.due(account), {"2026-03": "205.00", "2026-04": "22.50"})
            self.decide(meter, 40, "rejected")
            self.settle()
            self.assertEqual(self.due(account), {"2026-03": "100.00"})
            self.assertEqual(self.mark(account), [10])
            self.decide(meter, 10, "rejected")
            self.settle()
            self.assertEqual(self.due(account), {})
            self.assertEqual(self.mark(account), [0])
            self.assertFalse(self.env["energy.usage"].search([("account_id", "=", account.id)]))
            self.assertEqual(account.balance, 0)
            # And the right ones come.
            self.reads(meter, (20, "120"))
            self.assertEqual(self.due(account), {"2026-03": "70.00"})

        self.holds(
            check,
            (EnergyRating._gather, "in self._load_counted(batch.works)", "in ()"),
            (EnergyRating._rate_unit, "if month >= first:", "if month > first:"),
            (
                rating_work.Work.last_point.fget,
                "return self.points[-1]",
                "return max(self.points[-1], self.mark or self.points[-1])",
            ),
        )

    def test_without_any_reading_nothing_is_settled(self):

        def check():
            meter = self.make_meter("V2")
            account = self.open_account(meter, tariff=self.tiers())
            self.reads(meter, (10, "150"))
            self.decide(meter, 10, "rejected")
            self.decide(meter, 0, "rejected")
            self.settle()
            self.assertEqual(self.due(account), {})
            self.assertFalse(account.supply_ids.mark_id)
            self.reads(meter, (1, "10"), (2, "15"))
            self.assertEqual(self.due(account), {"2026-03": "2.50"})

        self.holds(
            check,
            (Writing._write_marks, "elif work.mark is not None:", "elif False:"),
        )

    def test_charges_of_days_that_are_open_again_go_back(self):

        def check():
            tariff = self.make_tariff(
                "Days", {"flat": ["0.600000"]}, charges={"per_day": 0.5, "minimum": 20}
            )
            meter = self.make_meter("V3")
            account = self.open_account(meter, tariff=tariff)
            self.reads(meter, (10, "1"), (31, "2"))
            self.assertEqual(self.due(account), {"2026-03": "20.00"})
            self.decide(meter, 31, "rejected")
            self.settle()
            # 10 days and 1 kWh
            self.assertEqual(self.due(account), {"2026-03": "5.60"})
            self.assertFalse(self.lines(account, "minimum"))
            self.reads(meter, (33, "2.2"))
            self.assertEqual(self.due(account), {"2026-03": "20.00", "2026-04": "1.06"})

        self.holds(
            check,
            (Rows._load_usage, "if supply in recounted and", "if tier and supply in recounted and"),
        )

    def test_corrected_reading_three_months_back(self):
        """L12: dated now, across a price change and a tier; the balance as if right at once."""

        def check():
            tariff = self.tiers()
            self.add_version(
                tariff, {"flat": ["0.600000", "1.100000"]}, limits=(100,), date_from="2026-04-01"
            )
            wrong, right = self.make_meter("V4"), self.make_meter("V5")
            accounts = [self.open_account(meter, tariff=tariff) for meter in (wrong, right)]
            for meter, total in ((wrong, "180"), (right, "80")):
                self.reads(meter, (31, total), (61, "250"), (92, "400"))
            self.assertNotEqual(*[account.balance for account in accounts])
            self.correct(wrong, 31, "80")
            self.settle()
            self.assertEqual(*[f"{account.balance:.2f}" for account in accounts])
            # 80 x 0.50; 60 + 70 x 1.10; 60 + 50 x 1.10
            self.assertEqual(
                self.due(accounts[0]),
                {"2026-03": "40.00", "2026-04": "137.00", "2026-05": "115.00"},
            )
            self.assertEqual(len(self.entries(accounts[0])), 5)

        self.holds(
            check,
            (Rows._load_usage, "if supply in recounted and", "if False and"),
        )

    def test_exchange_with_a_wrong_closing_register(self):
        """R6: corrected later, the difference is posted once."""

        def check():
            old, new = self.make_meter("V6"), self.make_meter("V7")
            account = self.open_account(old, tariff=self.tiers())
            self.reads(old, (5, "50"))
            self.set_clock(self.day(6))
            self.exchange(account, old, new, self.day(6), 90, 0)
            self.reads(new, (10, "40"))
            # 130: 50.00 + 30.00
            self.assertEqual(self.due(account), {"2026-03": "80.00"})
            self.correct(old, 6, "60")
            self.settle()
            self.assertEqual(self.due(account), {"2026-03": "50.00"})
            self.assertEqual(self.entries(account), ["-25.00", "-20.00", "-35.00", "30.00"])

        self.holds(
            check,
            (
                rating_work.Work.unit_key,
                "supply = 0",
                "supply = self.supply",
            ),
        )

    def test_multiplier_corrected_for_two_months(self):
        """R8: rated again from the day on which it changed."""

        def check():
            meter = self.make_meter("V8")
            account = self.open_account(meter, tariff=self.tiers())
            self.reads(meter, (31, "62"), (61, "122"))
            self.assertEqual(self.due(account), {"2026-03": "31.00", "2026-04": "30.00"})
            supply = account.supply_ids
            self.env["energy.supply.term"].sudo().create(
                {
                    "supply_id": supply.id,
                    "since": self.day(10),
                    "tariff_id": supply.tariff_id.id,
                    "multiplier": 2,
                }
            )
            self.env["energy.settlement.queue"]._add([(meter.id, self.day(10))])
            self.settle()
            # 20 + 84: 50.00 + 4.00; 120: 50.00 + 20.00
            self.assertEqual(self.due(account), {"2026-03": "54.00", "2026-04": "70.00"})
            self.assertEqual(self.entries(account), ["-31.00", "-30.00", "-23.00", "-40.00"])

        self.holds(
            check,
            (
                rating_work.Work.spans_between,
                "high = min(high, self.terms[position + 1][0])",
                "break",
            ),
        )

    def test_tariff_with_other_tier_periods_from_a_past_day_on(self):
        """Old units are emptied, whatever the new ones are."""

        def check():
            year = self.make_tariff(
                "Year",
                {"flat": ["2.000000", "3.000000"]},
                limits=(365,),
                allocation="proportional",
                tier_period="year",
            )
            meter = self.make_meter("V9")
            account = self.open_account(meter, tariff=self.tiers())
            self.reads(meter, (31, "62"), (61, "122"))
            account.supply_ids.sudo()._set_tariff(year, self.day(10))
            self.settle()
            # 20 x 0.50; the counter of the year begins with its tariff, on 11 March: 296 days.
            self.reads(meter, (92, "358"))
            # 102 kWh before May: 194 x 2.00 + 42 x 3.00
            self.assertEqual(
                self.units(account),
                [
                    ("2026-01-01", "", "2026-03", "84.00"),
                    ("2026-01-01", "", "2026-04", "120.00"),
                    ("2026-01-01", "", "2026-05", "514.00"),
                    ("2026-03-01", "", "2026-03", "10.00"),
                    ("2026-04-01", "", "2026-04", "0.00"),
                ],
            )

        self.holds(
            check,
            (EnergyRating._gather, "in self._load_counted(batch.works)", "in ()"),
        )

    def test_register_that_begins_anew(self):

        def check():
            meter = self.make_meter("V10")
            account = self.open_account(meter, register=500)
            self.reads(meter, (2, "520"))
            self.env["energy.reading"]._ingest([(meter.id, self.day(3), Decimal(3), None, "typed")])
            self.env.cr.execute(
                "UPDATE energy_reading_data SET state = 'accepted', is_baseline = TRUE"
                " WHERE meter_id = %s AND state = 'held'",
                [meter.id],
            )
            self.env["energy.settlement.queue"]._add([(meter.id, self.day(2))])
            self.reads(meter, (5, "13"))
            # 20 before, 10 after; nothing of the day between.
            self.assertEqual(self.due(account), {"2026-03": "18.00"})
            self.read(meter, self.day(2, 12), "525")
            self.settle()
            self.assertEqual(self.due(account), {"2026-03": "21.00"})

        self.holds(
            check,
            (
                Rows._load_points,
                "Point(moment, Decimal(total), is_baseline)",
                "Point(moment, Decimal(total))",
            ),
        )

    def test_estimates_are_marked_until_a_reading_replaces_them(self):
        windows = [("peak", 8, 20)]
        tariff = self.make_tariff(
            "Bands", {"peak": ["1.000000"], "valley": ["0.500000"]}, windows=windows, rest="valley"
        )
        meter = self.make_meter("V11")
        account = self.open_account(meter, tariff=tariff)
        self.read(meter, self.day(0, 7), "7")
        self.read(meter, self.day(0, 10), "10")
        self.read(meter, self.day(1), "24", "estimate")
        self.settle()

        def marked():
            return [
                (f"{line.local_date:%m-%d}", line.band, line.is_estimated)
                for line in self.env["energy.usage"].search(
                    [("account_id", "=", account.id)], order="local_date, band"
                )
            ]

        # The valley before 07:00 was read, the one after 20:00 was not: one line.
        self.assertEqual(marked(), [("03-01", "peak", True), ("03-01", "valley", True)])
        self.read(meter, self.day(1, 2), "26")
        self.settle()
        self.assertEqual({line[2] for line in marked()}, {False})

    def test_entries_say_up_to_when_use_is_counted(self):

        def check():
            meters = [self.make_meter("V12"), self.make_meter("V13")]
            account = self.open_account(*meters)
            self.reads(meters[0], (5, "50"))
            self.reads(meters[1], (3, "30"))
            self.reads(meters[0], (35, "350"))
            self.reads(meters[0], (2, "19"))
            entries = self.env["energy.wallet.entry"].search(
                [("account_id", "=", account.id)], order="id"
            )
            self.assertEqual(
                [(entry.used_until - START) / DAY for entry in entries], [5, 5, 31, 35]
            )

        self.holds(
            check,
            (rating_work.Batch.used_until, "min(latest, end)", "latest"),
        )

    def test_cause_of_what_cannot_be_priced_stands_by_itself(self):
        no_price = self.make_tariff("Later", {"flat": ["1.000000"]}, date_from="2026-02-01")
        good, bad, fallen = (
            self.make_meter(name, register_digits=0) for name in ("W1", "W2", "W3")
        )
        accounts = [
            self.open_account(good),
            self.open_account(bad, tariff=no_price),
            self.open_account(fallen),
        ]
        self.env.cr.execute(
            "UPDATE energy_tariff_version SET date_from = '2026-03-20' WHERE tariff_id = %s",
            [no_price.id],
        )
        self.env.registry.clear_cache()
        for meter in (good, bad, fallen):
            self.read(meter, self.day(2), "10")
        self.correct(fallen, 0, "12")
        self.settle()
        self.assertEqual(self.due(accounts[0]), {"2026-03": "6.00"})
        problems = self.env["energy.settlement.problem"].search(
            [("account_id", "in", [account.id for account in accounts])]
        )
        self.assertEqual(
            {(problem.account_id, problem.cause, problem.meter_id) for problem in problems},
            {(accounts[1], "price", bad), (accounts[2], "register", fallen)},
        )
        by_cause = {problem.cause: problem.message for problem in problems}
        self.assertIn("W2", by_cause["price"])
        self.assertIn("2026-03-01", by_cause["price"])
        self.assertIn("falls from 12 to 10", by_cause["register"].replace(".0000", ""))
        self.assertFalse(accounts[1].entry_ids | accounts[2].entry_ids)
        self.correct(fallen, 0, "0")
        self.env.cr.execute("UPDATE energy_settlement_queue SET not_before = NULL")
        self.settle()
        self.assertEqual(self.due(accounts[2]), {"2026-03": "6.00"})

    def test_supply_that_ended_does_not_hear_of_its_meter_again(self):
        """Readings of the next customer leave what was settled alone."""
        meter, other = self.make_meter("V14"), self.make_meter("V15")
        account = self.open_account(meter, tariff=self.tiers())
        self.reads(meter, (5, "50"))
        self.set_clock(self.day(6))
        self.exchange(account, meter, other, self.day(6), 60, 0)
        mark = account.supply_ids.sorted("start_at")[0].mark_id
        self.assertEqual(mark.settled_until, START + timedelta(days=6))
        self.reads(meter, (8, "80"), (12, "120"))
        self.reads(meter, (10, "90"))
        self.assertEqual(mark.exists().settled_until, START + timedelta(days=6))
        self.assertEqual(self.due(account), {"2026-03": "30.00"})

    def test_bands_as_the_meter_counted_them(self):
        """T7: the registers' steps share the total's; what they lack goes to the rest."""
        tariff = self.make_tariff(
            "Meter",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 20)],
            rest="valley",
        )
        meter = self.make_meter("V16")
        account = self.open_account(meter, tariff=tariff, activate=False)
        account.supply_ids.term_ids.write(
            {"band_source": "meter", "plan_version_id": tariff.version_ids.id}
        )
        account.action_activate()
        # Of 24 kWh the plan would put half into each band; the meter counted 20 peak, and 3.99
        # valley: the rest of 0.01 is valley as well.
        for moment, total, peak, valley in (
            (1, "24", "20", "3.99"),
            (2, "48", "25", "22.99"),
        ):
            bands = (None, Decimal(peak), None, Decimal(valley))
            self.set_clock(self.day(moment))
            self.env["energy.reading"]._ingest(
                [(meter.id, self.day(moment), Decimal(total), bands, "poll")]
            )
        self.settle()
        # The opening reading has no band registers: the first day by the plan, 12 + 6.
        # The second day: 5 x 1.00 + 19 x 0.50
        self.assertEqual(
            [line[3:] for line in self.lines(account, "peak", "valley")],
            [
                ("12.000", "12.000000"),
                ("12.000", "6.000000"),
                ("5.000", "5.000000"),
                ("19.000", "9.500000"),
            ],
        )
        self.assertEqual(self.due(account), {"2026-03": "32.50"})
