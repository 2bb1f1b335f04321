"""The money does not depend on how and when readings come: random pieces, orders and repetitions.

Each case is settled in one go, reading by reading, and in a random order with repetitions, and
compared with a calculation that shares no code with the product. Each has planted defects.
"""

import os
import random
from datetime import timedelta
from decimal import Decimal

from odoo.tests import tagged

from .. import rating_work
from ..models.energy_rating import EnergyRating
from ..models.energy_rating_rows import EnergyRating as Rows
from ..models.energy_rating_standing import EnergyRating as Standing
from .hourly_rating import HourlyRating
from .planting import PropertyCase
from .rating_case import RatingCase

SEED = int(os.environ.get("ENERGY_SEED", "20260301"))
TWO_BANDS = {
    "prices": {"peak": ["0.617", "0.677", "0.917"], "valley": ["0.307", "0.357", "0.607"]},
    "windows": [("peak", 8, 22)],
    "rest": "valley",
}


@tagged("post_install", "-at_install")
class TestRatingOrder(PropertyCase, RatingCase):
    """Hourly, daily, monthly, in any order: the same to the cent (T2, R1)."""

    def registers(self, dice, start, days):
        """Return readings (moment, register as text) in order of time, the first one at the start.

        Midnights, the ends of months and whole hours among them; some stretches without use.
        """
        moments = {start + timedelta(seconds=dice.randrange(1, days * 86400)) for _ in range(8)}
        moments |= {self.day(dice.randrange(1, days)) for _ in range(3)}
        moments |= {self.day(31), start + timedelta(days=days)}
        register, rows = Decimal(0), [(start, "0")]
        for moment in sorted(moment for moment in moments if moment > start):
            if dice.random() > 0.1:
                hours = (moment - rows[-1][0]) / timedelta(hours=1)
                register += Decimal(dice.randrange(1, round(100 * hours) + 2)) / 100
            rows.append((moment, str(register)))
        return rows

    def order_does_not_matter(self, number, plan, terms=None, charges=None, start=0, days=70):
        """Return a check of one tariff; `plan` is what both the product and `HourlyRating` take."""

        def check():
            dice = random.Random(f"{SEED}/{number}")
            tariff = self.make_tariff(f"Case {number}", **plan, charges=charges, **(terms or {}))
            begin = self.day(start)
            names = ("A", "B")
            readings = {name: self.registers(dice, begin, days) for name in names}
            rows = sorted(
                (moment, name, total) for name, own in readings.items() for moment, total in own[1:]
            )
            mixed = rows + [dice.choice(rows) for _repetition in range(6)]
            dice.shuffle(mixed)
            found = {}
            for order, deliveries, every in (
                ("at once", rows, len(rows)),
                ("one by one", rows, 1),
                ("in any order", mixed, 3),
            ):
                meters = {name: self.make_meter(f"{number}{order}{name}") for name in names}
                self.set_clock(begin)
                account = self.open_account(*meters.values(), tariff=tariff, start=begin)
                if order == "in any order":
                    self.set_clock(rows[-1][0])
                for position, (moment, name, total) in enumerate(deliveries, 1):
                    self.read(meters[name], moment, total)
                    if position % every == 0:
                        self.settle()
                self.settle()
                found[order] = (self.due(account), *self.figures(account))
                self.assertEqual(
                    f"{account.balance:.2f}",
                    f"{-sum(map(Decimal, found[order][0].values())):.2f}",
                )
            model = HourlyRating(
                **plan,
                **{name: str(value) for name, value in (charges or {}).items()},
                **self.model_terms(terms or {}),
            )
            expected = model.posted(begin, readings)
            self.assertEqual(found["at once"][0], expected, f"seed {SEED}")
            for order in ("one by one", "in any order"):
                for one, other in zip(found[order], found["at once"], strict=True):
                    self.assertEqual(one, other, f"{order}, seed {SEED}")

        return check

    @staticmethod
    def model_terms(terms):
        return {
            "period": terms.get("tier_period", "month"),
            "begins": (int(terms.get("tier_year_month", 1)), terms.get("tier_year_day", 1)),
            "scope": terms.get("tier_scope", "account"),
        }

    def figures(self, account):
        """Return all usage lines and exact dues, as the database has them."""
        supplies = {
            supply.id: position for position, supply in enumerate(account.supply_ids.sorted("id"))
        }
        self.env.cr.execute(
            "SELECT supply_id, local_date, band, tier, trim_scale(quantity)::text,"
            "       trim_scale(amount)::text, is_interpolated, is_estimated FROM energy_usage"
            " WHERE account_id = %s ORDER BY supply_id, local_date, band, tier",
            [account.id],
        )
        lines = [(supplies[row[0]], *row[1:]) for row in self.env.cr.fetchall()]
        self.env.cr.execute(
            "SELECT period_start, supply_id, month, due::text, posted::text"
            "  FROM energy_rating_unit WHERE account_id = %s ORDER BY 1, 2, 3",
            [account.id],
        )
        dues = [
            (row[0], supplies.get(row[1]), *row[2:])
            for row in self.env.cr.fetchall()
            if Decimal(row[3])
        ]
        return lines, dues, self.mark(account)

    def test_flat_price(self):
        self.holds(
            self.order_does_not_matter(1, {"prices": {"flat": ["0.123457"]}}),
            (rating_work.Unit.add, "] += quantity", "] = quantity"),
            (EnergyRating._rate_unit, "dues[month_first(day)] -= amount", "pass"),
        )

    def test_tiers_to_date_with_a_month_begun_late(self):
        plan = {**TWO_BANDS, "limits": ("80", "160.5")}
        self.holds(
            self.order_does_not_matter(2, plan, start=11),
            (
                EnergyRating._counter,
                "first_day = local_date(begin, own[0].zone)",
                "pass",
            ),
            (Rows._load_before, "x.local_date < v.first_day", "x.local_date <= v.first_day"),
        )

    def test_tiers_of_a_year_by_month(self):
        plan = {**TWO_BANDS, "limits": ("250", "600"), "allocation": "proportional"}
        terms = {"tier_period": "year", "tier_year_month": "2"}
        self.holds(
            self.order_does_not_matter(3, plan, terms),
            (EnergyRating._rate_unit, "if month >= first:", "if month > first:"),
            (
                rating_work.Work.unit_key,
                "supply, start, end",
                "supply, day.replace(day=1), end",
            ),
        )

    def test_tiers_per_meter(self):
        plan = {**TWO_BANDS, "limits": ("60", "140")}
        self.holds(
            self.order_does_not_matter(4, plan, {"tier_scope": "meter"}),
            (rating_work.Work.unit_key, "if prices.is_per_meter(version):", "if False:"),
        )

    def test_chronological_tiers_with_unequal_steps(self):
        plan = {**TWO_BANDS, "limits": ("100", "220"), "allocation": "chronological"}
        self.holds(
            self.order_does_not_matter(5, plan),
            (EnergyRating._rate_unit, '== "chronological"', '== "to_date"'),
        )

    def test_quarters_with_their_own_day_and_standing_charges(self):
        plan = {**TWO_BANDS, "limits": ("200", "400"), "allocation": "proportional"}
        terms = {"tier_period": "quarter", "tier_year_month": "1", "tier_year_day": 15}
        charges = {"per_day": 0.37, "per_month": 10}
        self.holds(
            self.order_does_not_matter(6, plan, terms, charges),
            (Standing._gather_standing, "<= span.end", "< span.end"),
            (EnergyRating._rate_unit, "in unit.standing_before.items()", "in ()"),
            (
                Rows._load_usage,
                "unit.standing[day, supply, version] = amount",
                "pass",
            ),
        )

    def test_minimum_charge_of_the_account(self):
        plan = {"prices": {"flat": ["0.1"]}}
        self.holds(
            self.order_does_not_matter(7, plan, None, {"per_day": 0.2, "minimum": 60}, start=9),
            (Standing._month_in_service, "work.settled < stop", "False"),
            (
                Standing._add_minimum,
                "minimum_due(version, row.new_due, days, month)",
                "minimum_due(version, row.new_due, 31, month)",
            ),
        )

    def test_everything_at_once(self):
        plan = {**TWO_BANDS, "limits": ("250", "600"), "allocation": "to_date"}
        terms = {"tier_period": "year", "tier_year_month": "3", "tier_scope": "meter"}
        charges = {"per_day": 0.15, "per_month": 7, "minimum": 45}
        self.holds(self.order_does_not_matter(8, plan, terms, charges, start=3))
