from datetime import datetime, timedelta
from decimal import Decimal

from odoo.tests import tagged

from ..models.energy_rating import EnergyRating
from ..models.energy_reading_gap import EnergyRating as Gaps
from ..rating_work import Work
from .common import START, EnergyCase
from .planting import PropertyCase

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MARCH_2 = START + DAY  # a Monday


class GapCase(EnergyCase):
    """Meters read every hour whose use is all by day: 1 kWh an hour from 8:00 to 20:00."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_clock(MARCH_2)
        cls.halves = cls.make_tariff(
            "Day and night",
            {"peak": ["1.000000"], "valley": ["0.100000"]},
            windows=[("peak", 8, 20)],
            rest="valley",
        )

    @staticmethod
    def register(moment, begin=MARCH_2):
        """Return what the register shows: from `begin` (a midnight) on 12 kWh by day."""
        days, rest = divmod(moment - begin, DAY)
        return Decimal(days * 12) + max(Decimal(0), min(Decimal(rest // HOUR) - 8, Decimal(12)))

    @classmethod
    def hourly(cls, meter, start, end):
        """Deliver the hourly readings after `start` up to `end`."""
        cls.set_clock(max(end, cls.env["energy.clock"].search([], limit=1).project_anchor))
        rows = []
        moment = start + HOUR
        while moment <= end:
            rows.append((meter.id, moment, cls.register(moment), None, "poll"))
            moment += HOUR
        return cls.env["energy.reading"]._ingest(rows)

    def used(self, account, day=None):
        """Return the use by rate period (of a date), and whether any of it is interpolated."""
        domain = [("account_id", "=", account.id)]
        if day:
            domain.append(("local_date", "=", day))
        usage = self.env["energy.usage"].search(domain)
        return {
            band: round(sum(usage.filtered(lambda x, b=band: x.band == b).mapped("quantity")), 6)
            for band in ("peak", "valley")
        }

    def money(self, account):
        self.settle()
        return f"{account.balance:.2f}"


@tagged("post_install", "-at_install")
class TestGap(GapCase, PropertyCase):
    """Use between readings more than an hour apart is spread as the company chose."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("G1")
        cls.account = cls.open_account(cls.meter, tariff=cls.halves, start=MARCH_2)

    def flags(self, day):
        usage = self.env["energy.usage"].search(
            [("account_id", "=", self.account.id), ("local_date", "=", day)]
        )
        return set(usage.mapped("is_interpolated"))

    def test_linear_by_default(self):
        self.hourly(self.meter, MARCH_2, MARCH_2 + 3 * DAY)
        self.read(self.meter, MARCH_2 + 4 * DAY, "48")
        self.settle()
        # Monday to Wednesday by day only; Thursday evenly: 6 kWh by day, 6 by night.
        self.assertEqual(self.used(self.account), {"peak": 42, "valley": 6})
        self.assertEqual(self.money(self.account), "-42.60")
        self.assertEqual(self.flags("2026-03-05"), {True})
        self.assertEqual(self.flags("2026-03-04"), {False})

    def test_like_comparable_days(self):
        self.company.energy_gap_shape = "comparable"
        self.hourly(self.meter, MARCH_2, MARCH_2 + 3 * DAY)
        self.read(self.meter, MARCH_2 + 4 * DAY, "54")
        self.settle()
        # 18 kWh on Thursday, all by day as on the days before.
        self.assertEqual(self.used(self.account), {"peak": 54, "valley": 0})
        self.assertEqual(self.money(self.account), "-54.00")
        self.assertEqual(self.flags("2026-03-05"), {True})
        self.assertEqual(self.flags("2026-03-04"), {False})

    def test_nothing_comparable_is_linear(self):
        self.company.energy_gap_shape = "comparable"
        self.read(self.meter, MARCH_2 + DAY, "12")
        self.settle()
        self.assertEqual(self.used(self.account), {"peak": 6, "valley": 6})

    def test_choice_changes_nothing_that_is_settled(self):
        self.hourly(self.meter, MARCH_2, MARCH_2 + 3 * DAY)
        self.read(self.meter, MARCH_2 + 4 * DAY, "48")
        self.settle()
        self.company.energy_gap_shape = "comparable"
        self.settle()
        self.assertEqual(self.entries(self.account), ["-42.60"])
        # What is counted anew for another reason follows the choice.
        self.read(self.meter, MARCH_2 + 3 * DAY - timedelta(minutes=30), "36")
        self.assertEqual(self.money(self.account), "-48.00")

    def test_pieces_and_order_do_not_matter(self):
        """Settled at once or reading by reading, in any order, a gap is spread the same way."""
        self.company.energy_gap_shape = "comparable"
        other = self.make_meter("G2")
        second = self.open_account(other, tariff=self.halves, start=MARCH_2)
        self.hourly(self.meter, MARCH_2, MARCH_2 + 2 * DAY)
        self.read(self.meter, MARCH_2 + 3 * DAY, "31")
        self.hourly(self.meter, MARCH_2 + 4 * DAY, MARCH_2 + 5 * DAY)
        self.settle()
        self.read(other, MARCH_2 + 3 * DAY, "31")
        self.settle()
        self.hourly(other, MARCH_2 + 4 * DAY, MARCH_2 + 5 * DAY)
        self.settle()
        self.hourly(other, MARCH_2 + DAY, MARCH_2 + 2 * DAY)
        self.settle()
        self.hourly(other, MARCH_2, MARCH_2 + DAY)
        self.settle()
        self.assertEqual(self.used(self.account), self.used(second))
        self.assertEqual(self.account.balance, second.balance)

    def check_late_day_shapes_the_gap_again(self):
        """A change of a comparable day long before a gap counts the gap anew."""
        self.company.energy_gap_shape = "comparable"
        meter = self.make_meter(f"G{self.env['energy.meter'].search_count([]) + 10}")
        account = self.open_account(meter, tariff=self.halves, start=MARCH_2)
        # Monday is read late; Tuesday not at all; Wednesday by its ends.
        self.read(meter, MARCH_2 + DAY, "12")
        self.read(meter, MARCH_2 + 2 * DAY, "24")
        self.read(meter, MARCH_2 + 3 * DAY, "36")
        self.settle()
        self.assertEqual(self.used(account), {"peak": 18, "valley": 18})
        self.hourly(meter, MARCH_2, MARCH_2 + DAY - HOUR)
        self.settle()
        self.assertEqual(self.used(account), {"peak": 36, "valley": 0})
        self.assertEqual(f"{account.balance:.2f}", "-36.00")

    def test_late_day_shapes_the_gap_again(self):
        self.holds(
            self.check_late_day_shapes_the_gap_again,
            # What was settled once stands, whatever comes.
            (Work.is_append.fget, "self.since >= self.mark.moment", "True"),
            # The days before the gap are not looked at.
            (Gaps._shapes, "before.moment - HISTORY, key", "before.moment, key"),
        )

    def check_three_months_at_once(self):
        """T10: 90 days as one reading are spread over their months before tiers apply."""
        blocks = self.make_tariff(
            "TNB blocks",
            {"flat": ["0.218000", "0.334000", "0.516000", "0.546000", "0.571000"]},
            limits=(200, 300, 600, 900),
        )
        start = datetime(2026, 12, 31, 16)
        meter = self.make_meter(f"T{self.env['energy.meter'].search_count([])}")
        self.set_clock(start)
        account = self.open_account(meter, tariff=blocks, start=start)
        self.read(meter, start + 90 * DAY, "1350")
        self.settle()
        # 465, 420 and 465 kWh: 162.14 + 138.92 + 162.14, never 652.55.
        self.assertEqual(self.entries(account), ["-162.14", "-138.92", "-162.14"])
        self.assertEqual(f"{account.balance:.2f}", "-463.20")

    def test_three_months_at_once(self):
        self.holds(
            self.check_three_months_at_once,
            # As one lump, on its first day.
            (
                EnergyRating._rated,
                "[cell for cell in self._split",
                "[cell._replace(date=first_day) for cell in self._split",
            ),
        )

    def test_invoice_shows_the_registers_of_the_shape(self):
        """A register at a month end inside a gap is the one that the charge was made with."""
        self.company.energy_gap_shape = "comparable"
        begin = START + 29 * DAY  # Monday 30 March
        meter = self.make_meter("G9")
        self.set_clock(begin)
        account = self.open_account(meter, tariff=self.halves, start=begin)
        rows = [
            (
                meter.id,
                begin + hours * HOUR,
                self.register(begin + hours * HOUR, begin),
                None,
                "poll",
            )
            for hours in range(1, 25)
        ]
        self.set_clock(begin + 3 * DAY)
        self.env["energy.reading"]._ingest(rows)
        # Nothing from Tuesday 6:00 to Wednesday 12:00.
        self.read(meter, begin + 30 * HOUR, "12")
        self.read(meter, begin + 60 * HOUR, "28")
        self.settle()
        # On Tuesday 12 kWh by day, of 16 in the gap: 4 are left for Wednesday from 8 to 12.
        self.assertEqual(self.used(account, "2026-03-31"), {"peak": 12, "valley": 0})
        lines = self.env["energy.billing.line"]
        bound = (account.supply_ids.id, begin + 2 * DAY)
        registers = lines._at({bound}, lines._fetch_supplies({bound[0]}))
        self.assertEqual(registers, {bound: 24})

    def test_explanation_follows_the_shape(self):
        """What a charge is explained by is what it was made with, also inside a shaped gap."""
        self.company.energy_gap_shape = "comparable"
        self.hourly(self.meter, MARCH_2, MARCH_2 + 3 * DAY)
        self.read(self.meter, MARCH_2 + 4 * DAY, "54")
        self.settle()
        entry = self.env["energy.wallet.entry"].search(
            [("account_id", "=", self.account.id), ("kind", "=", "use")], order="id desc", limit=1
        )
        self.assertEqual(entry.amount, -54)
        explained = self.env["energy.explanation"]._explain(entry)
        self.assertNotIn("valley", {line["band"] for line in explained["lines"] if line["amount"]})
