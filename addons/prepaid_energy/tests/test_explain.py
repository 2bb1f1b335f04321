from datetime import datetime, timedelta
from decimal import Decimal

from odoo.tests import tagged

from .common import START, EnergyCase

HOUR = timedelta(hours=1)
NEAR = Decimal("0.000000001")
ZONE = timedelta(hours=8)


def shanghai(month, day, hour=0, minute=0):
    """Return the naive UTC moment of a local time of 2026 in Shanghai."""
    return datetime(2026, month, day, hour, minute) - ZONE


class ExplainCase(EnergyCase):
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
        self.assertEqual(used, sum(line["quantity"] for line in lines if explained["since"]) or used)
        total = sum(line["amount_to_date"] for line in lines)
        self.assertAlmostEqual(total, explained["due"], delta=NEAR)
        self.assertLessEqual(abs(explained["rounded"] - explained["due"]), Decimal("0.005"))
        self.assertEqual(explained["difference"], explained["rounded"] - explained["posted_before"])
        self.assertEqual(explained["posted"], Decimal(f"{-entry.amount:.2f}"))
        self.assertEqual(explained["is_equal"], explained["difference"] == explained["posted"])

    def lines(self, explained):
        """Return (rate period, tier, to date, before, quantity, amount) with six decimals."""
        return [
            (line["band"], line["tier"])
            + tuple(f"{line[name]:.6f}" for name in ("to_date", "before", "quantity", "amount"))
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
