from datetime import timedelta
from decimal import Decimal

from odoo.tests import tagged

from .common import START, EnergyCase


@tagged("post_install", "-at_install")
class TestReadingNeighbours(EnergyCase):
    """A reading is judged by the accepted readings next to it, wherever these lie."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A six-digit register through which 10 kW can pass: every neighbour makes a difference.
        cls.meter = cls.make_meter("N1", register_digits=6, max_power=10)
        cls.open_account(cls.meter)

    def states(self):
        """Return the readings as (hours after the start, register, state), oldest first."""
        self.env.cr.execute(
            "SELECT moment, total::text, state FROM energy_reading_data WHERE meter_id = %s"
            " ORDER BY moment, id",
            [self.meter.id],
        )
        return [
            ((moment - START) / timedelta(hours=1), Decimal(total), state)
            for moment, total, state in self.env.cr.fetchall()
        ]

    def deliver(self, *rows):
        """Deliver (hours after the start, register) at once."""
        self.set_clock(START + timedelta(days=400))
        return dict(
            self.env["energy.reading"]._ingest(
                [
                    (self.meter.id, START + timedelta(hours=hours), Decimal(total), None, "poll")
                    for hours, total in rows
                ]
            )
        )

    def test_first_reading_of_a_meter_is_accepted_whatever_it_says(self):
        meter = self.make_meter("N2", register_digits=6, max_power=10)
        self.set_clock(START)
        counts = self.env["energy.reading"]._ingest(
            [(meter.id, START, Decimal(765432), None, "poll")]
        )
        self.assertEqual(counts, {"accepted": 1})

    def test_newer_reading_is_judged_by_the_latest_one(self):
        self.assertEqual(self.deliver((1, 9)), {"accepted": 1})
        # 21 kWh in two hours since the latest one, at most 20 and what five minutes let through.
        self.assertEqual(self.deliver((3, 31)), {"held": 1})
        self.assertEqual(self.deliver((3, 29)), {"accepted": 1})

    def test_late_reading_is_judged_by_both_sides(self):
        self.deliver((10, 50))
        self.assertEqual(self.deliver((5, 20)), {"accepted": 1})
        # Between 20 and 50, but 50 cannot be reached in the hour that is left.
        self.assertEqual(self.deliver((9, 30)), {"held": 1})
        self.assertEqual(self.deliver((7, 51)), {"held": 1})
        self.assertEqual(self.deliver((4, 21)), {"held": 1})

    def test_repeated_reading_counts_once_and_the_accepted_value_stays(self):
        self.deliver((1, 5), (2, 10))
        self.assertEqual(self.deliver((2, 10)), {"duplicate": 1})
        self.assertEqual(self.deliver((1, 5)), {"duplicate": 1})
        self.assertEqual(self.deliver((1, 6), (2, 11)), {"superseded": 2})
        # In one delivery as well.
        self.assertEqual(
            self.deliver((3, 15), (3, 15), (3, 16)),
            {"accepted": 1, "duplicate": 1, "superseded": 1},
        )
        accepted = [row for row in self.states() if row[2] == "accepted"]
        self.assertEqual(
            [row[:2] for row in accepted],
            [(0, Decimal(0)), (1, Decimal(5)), (2, Decimal(10)), (3, Decimal(15))],
        )

    def test_latest_reading_is_found_beyond_the_recent_window(self):
        self.deliver((1, 5))
        months = 70 * 24
        # 16 800 kWh could pass since, 20 000 could not; a fall is none of a fresh meter.
        self.assertEqual(self.deliver((months, 20000)), {"held": 1})
        self.assertEqual(self.deliver((months, 4)), {"held": 1})
        self.assertEqual(self.deliver((months, 16000)), {"accepted": 1})

    def test_late_reading_far_back_has_neighbours_far_off(self):
        self.deliver((100 * 24, 20000))
        self.assertEqual(self.deliver((50 * 24, 20001)), {"held": 1})
        self.assertEqual(self.deliver((50 * 24, 10000)), {"accepted": 1})
        self.assertEqual(self.deliver((25 * 24, 5000), (75 * 24, 15000)), {"accepted": 2})

    def test_readings_of_one_delivery_are_neighbours(self):
        # In any order: 9 and 27 fit only behind each other.
        self.assertEqual(self.deliver((3, 27), (1, 9), (2, 18)), {"accepted": 3})
        self.assertEqual(self.deliver((5, 40), (4, 60)), {"accepted": 1, "held": 1})

    def test_held_reading_is_nobodys_neighbour(self):
        self.assertEqual(self.deliver((1, 5000)), {"held": 1})
        self.assertEqual(self.deliver((2, 15)), {"accepted": 1})

    def test_reading_of_a_later_month_than_now_is_a_neighbour(self):
        """Where the clock was put back, what was read before is still judged by."""
        self.deliver((70 * 24, 100))
        self.set_clock(START + timedelta(days=2))
        late = [(self.meter.id, START + timedelta(days=1), Decimal(101), None, "poll")]
        self.assertEqual(self.env["energy.reading"]._ingest(late), {"held": 1})
        self.assertEqual(self.states()[1][2], "held")

    def test_use_is_queued_from_the_neighbour_of_the_first_new_reading(self):
        self.deliver((10, 50))
        self.env.cr.execute("DELETE FROM energy_settlement_queue")
        self.deliver((5, 20), (7, 30), (12, 60))
        self.env.cr.execute("SELECT meter_id, since FROM energy_settlement_queue")
        self.assertEqual(self.env.cr.fetchall(), [(self.meter.id, START)])

    def test_each_meter_is_judged_by_its_own_facts(self):
        """Width, power and multiplier of a meter are its own, however many come at once."""
        wide = self.make_meter("N3", register_digits=8, max_power=10)
        narrow = self.make_meter("N4", register_digits=6, max_power=10)
        strong = self.make_meter("N5", register_digits=6, max_power=400)
        transformed = self.make_meter("N6", register_digits=6, max_power=400)
        for meter in (wide, narrow, strong, transformed):
            self.open_account(meter)
        transformed.supply_ids.term_ids.multiplier = 40
        self.set_clock(START + timedelta(days=1))
        moment = START + timedelta(hours=1)
        readings = self.env["energy.reading"]
        # 10 kW pass 10.83 in an hour and five minutes, 400 kW 433.3, through 40 : 1 10.83.
        for total, states in (
            ("11", ("held", "held", "accepted", "held")),
            ("10.8", ("accepted", "accepted", "superseded", "accepted")),
        ):
            for meter, state in zip((wide, narrow, strong, transformed), states, strict=True):
                self.assertEqual(
                    readings._ingest([(meter.id, moment, Decimal(total), None, "poll")]),
                    {state: 1},
                )
        counts = readings._ingest(
            [
                (meter.id, moment + timedelta(hours=1), Decimal(total), None, "poll")
                for meter, total in (
                    (wide, "20"),
                    (narrow, "1000000"),
                    (strong, "440"),
                    (transformed, "30"),
                )
            ]
        )
        self.assertEqual(counts, {"accepted": 2, "held": 2})
