import random
from decimal import Decimal
from unittest.mock import patch

from odoo.tests import tagged

from ..engine import credit, splitting
from ..models import energy_estimate
from ..models.energy_meter_control_situation import EnergyMeterControl
from ..models.energy_rating import EnergyRating
from ..models.energy_reading_acceptance import EnergyReading as Acceptance
from .planting import PropertyCase
from .test_gap import DAY, HOUR, MARCH_2, GapCase


@tagged("post_install", "-at_install")
class TestEstimate(GapCase, PropertyCase):
    """A silent meter is charged by estimates; what was read takes their place."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.energy_estimate_after = 48
        cls.estimates = cls.env["energy.estimate"]

    def new_meter(self, days=7, paid=0):
        """Return a meter and its account, read hourly for some days from Monday 2 March on."""
        self.set_clock(MARCH_2)
        meter = self.make_meter(f"E{self.env['energy.meter'].search_count([])}")
        account = self.open_account(meter, tariff=self.halves, start=MARCH_2)
        if paid:
            self.top_up(account, paid)
        self.hourly(meter, MARCH_2, MARCH_2 + days * DAY)
        self.settle()
        return meter, account

    def estimate(self, moment):
        """Let the scheduled action run at a moment, and settle."""
        self.set_clock(moment)
        meters = self.estimates._silent()
        self.estimates._make(meters)
        self.settle()

    def readings(self, meter, state="accepted"):
        """Return moments and totals of a meter's estimates in a state."""
        return [
            ((reading.moment - MARCH_2) / DAY, reading.total)
            for reading in self.env["energy.reading"].search(
                [("meter_id", "=", meter.id), ("source", "=", "estimate"), ("state", "=", state)],
                order="moment",
            )
        ]

    def estimated_days(self, account):
        usage = self.env["energy.usage"].search(
            [("account_id", "=", account.id), ("is_estimated", "=", True)]
        )
        return sorted({f"{day:%d}" for day in usage.mapped("local_date")})

    def test_off_by_default(self):
        self.company.energy_estimate_after = 0
        meter, _account = self.new_meter()
        self.estimate(MARCH_2 + 30 * DAY)
        self.assertEqual(self.readings(meter), [])

    def test_made_at_midnights_after_the_set_time(self):
        meter, account = self.new_meter()
        self.assertEqual(self.money(account), "-84.00")
        self.estimate(MARCH_2 + 9 * DAY - HOUR)
        self.assertEqual(self.readings(meter), [])
        self.estimate(MARCH_2 + 9 * DAY + HOUR)
        # 12 kWh a day, by day only, as on the workdays before.
        self.assertEqual(self.readings(meter), [(8, 96), (9, 108)])
        self.assertEqual(self.money(account), "-108.00")
        self.assertEqual(self.used(account), {"peak": 108, "valley": 0})
        self.assertEqual(self.estimated_days(account), ["09", "10"])
        self.assertTrue(account.supply_ids.mark_id.is_estimated)
        # Once more makes nothing more, a day later one more.
        self.estimate(MARCH_2 + 9 * DAY + 2 * HOUR)
        self.assertEqual(self.money(account), "-108.00")
        self.estimate(MARCH_2 + 10 * DAY)
        self.assertEqual(self.readings(meter), [(8, 96), (9, 108), (10, 120)])

    def test_scheduled_action_works_in_pieces(self):
        """Nights made one by one are those made at once."""
        one, first = self.new_meter()
        for day in range(9, 15):
            self.estimate(MARCH_2 + day * DAY + HOUR)
        two, second = self.new_meter()
        self.estimate(MARCH_2 + 14 * DAY + HOUR)
        self.assertEqual(self.readings(one), self.readings(two))
        self.assertEqual(first.balance, second.balance)

    def test_scheduled_action(self):
        """Killed before it commits, the next run does it all; one more does nothing."""
        accounts = [self.new_meter() for _number in range(3)]
        self.set_clock(MARCH_2 + 9 * DAY + HOUR)
        commits = []

        def commit(_jobs, processed=0, **_values):
            commits.append(processed)
            if len(commits) == 1:
                raise KeyboardInterrupt

        jobs = type(self.env["ir.cron"])
        with patch.object(jobs, "_commit_progress", commit):
            with patch.object(energy_estimate, "BATCH", 1), self.assertRaises(KeyboardInterrupt):
                self.estimates._cron_estimate()
            self.estimates._cron_estimate()
            self.estimates._cron_estimate()
        # What was not committed is done again, and nothing a third time.
        self.assertEqual(commits, [1, 3])
        self.settle()
        for meter, account in accounts:
            self.assertEqual(self.readings(meter), [(8, 96), (9, 108)])
            self.assertEqual(self.money(account), "-108.00")

    def check_true_up(self):
        """What was read supersedes the estimates; the balance is as if there had been none."""
        meter, account = self.new_meter()
        self.estimate(MARCH_2 + 10 * DAY + HOUR)
        self.assertEqual(self.money(account), "-120.00")
        self.read(meter, MARCH_2 + 11 * DAY, "92")
        self.settle()
        self.assertEqual(self.readings(meter), [])
        self.assertEqual(self.readings(meter, "superseded"), [(8, 96), (9, 108), (10, 120)])
        # 8 kWh over four days, evenly: half by day at 1.00, half by night at 0.10.
        self.assertEqual(self.money(account), "-88.40")
        self.assertEqual(self.estimated_days(account), [])
        self.assertFalse(account.supply_ids.mark_id.is_estimated)
        self.assertEqual(self.entries(account)[-1], "31.60")

    def test_reading_at_the_moment_of_an_estimate(self):
        meter, account = self.new_meter()
        self.estimate(MARCH_2 + 10 * DAY + HOUR)
        self.read(meter, MARCH_2 + 10 * DAY, "90")
        self.assertEqual(self.money(account), "-87.30")
        self.assertEqual(self.readings(meter), [])

    def test_true_up(self):
        self.holds(
            self.check_true_up,
            # Judged by estimates the reading would be held.
            (Acceptance._neighbours, "if not is_estimate\n", ""),
            (EnergyRating._add_line, "*flags,", "flags[0], True,"),
        )

    def test_gap_shape_counts_for_the_true_up(self):
        self.company.energy_gap_shape = "comparable"
        meter, account = self.new_meter()
        self.estimate(MARCH_2 + 10 * DAY + HOUR)
        self.read(meter, MARCH_2 + 10 * DAY + 12 * HOUR, "130")
        self.assertEqual(self.money(account), "-130.00")
        self.assertEqual(self.used(account), {"peak": 130, "valley": 0})

    def check_reading_from_the_middle_of_the_silence(self):
        """A late reading from the silence ends all estimates; they are made anew from it."""
        meter, account = self.new_meter()
        self.estimate(MARCH_2 + 11 * DAY + HOUR)
        self.assertEqual(self.money(account), "-132.00")
        self.read(meter, MARCH_2 + 8 * DAY, "90")
        self.settle()
        self.assertEqual(self.readings(meter), [])
        self.assertEqual(self.money(account), "-87.30")
        self.estimate(MARCH_2 + 11 * DAY + 2 * HOUR)
        self.assertEqual([total for _day, total in self.readings(meter)], [102, 114, 126])
        self.assertEqual(self.money(account), "-123.30")

    def test_reading_from_the_middle_of_the_silence(self):
        self.holds(
            self.check_reading_from_the_middle_of_the_silence,
            (Acceptance._ingest, "previous.moment if previous else moment", "moment"),
        )

    def test_late_reading_before_the_silence(self):
        """What comes late from before the silence leaves the estimates in place."""
        meter, account = self.new_meter()
        self.estimate(MARCH_2 + 9 * DAY + HOUR)
        self.read(meter, MARCH_2 + 6 * DAY + HOUR / 2, "72")
        self.assertEqual(self.money(account), "-108.00")
        self.assertEqual(self.readings(meter), [(8, 96), (9, 108)])
        self.assertEqual(self.estimated_days(account), ["09", "10"])

    def check_race(self):
        """An estimate and a reading stored at once: whoever settles sees both, and believes one."""
        meter, account = self.new_meter()
        self.set_clock(MARCH_2 + 10 * DAY + HOUR)
        silent = self.estimates._silent()
        self.read(meter, MARCH_2 + 9 * DAY + HOUR, "90")
        self.settle()
        before = account.balance
        # As if made before the reading was seen.
        self.estimates._make(silent)
        self.assertEqual(len(self.readings(meter)), 3)
        self.settle()
        self.assertEqual(self.readings(meter), [])
        self.assertEqual(account.balance, before)
        self.assertFalse(account.supply_ids.mark_id.is_estimated)

    def test_race(self):
        self.holds(
            self.check_race,
            (energy_estimate.EnergyRating._drop_overtaken, "if not self", "if self"),
        )

    def check_never_cut_on_estimates(self):
        """D6, D7: estimates bring the balance below zero, and nothing is cut; what is read cuts."""
        meter, account = self.new_meter(paid=100)
        self.assertEqual(account.balance, 16)
        self.estimate(MARCH_2 + 10 * DAY + HOUR)
        self.assertEqual(f"{account.balance:.2f}", "-20.00")
        self.assertEqual(self.commands(meter), [])
        control = meter.control_id
        self.assertEqual(control.decision, "estimated")
        self.assertIn("estimated while a meter is silent", control.decision_reason)
        self.assertIn("20.00", control.decision_reason)
        self.assertTrue(control._cut_still_holds(meter.id))
        # The meter answers: now its figures are real.
        self.read(meter, MARCH_2 + 10 * DAY + HOUR, "125")
        self.settle()
        self.assertEqual(
            [command[1:] for command in self.commands(meter)], [("supply", "off", "queued")]
        )

    def test_never_cut_on_estimates(self):
        self.holds(
            self.check_never_cut_on_estimates,
            (credit._while_on, "elif facts.estimated:", "elif False:"),
        )

    def check_other_meter_of_the_balance_is_not_cut(self):
        """A meter that is read is not cut on a balance that another one's estimates took below."""
        self.set_clock(MARCH_2)
        number = self.env["energy.meter"].search_count([])
        silent, read = self.make_meter(f"E{number}"), self.make_meter(f"E{number + 1}")
        account = self.open_account(silent, read, tariff=self.halves, start=MARCH_2)
        self.top_up(account, 200)
        self.hourly(silent, MARCH_2, MARCH_2 + 7 * DAY)
        self.hourly(read, MARCH_2, MARCH_2 + 10 * DAY)
        self.estimate(MARCH_2 + 10 * DAY + HOUR)
        self.assertEqual(f"{account.balance:.2f}", "-40.00")
        self.assertEqual(read.control_id.decision, "estimated")
        self.assertEqual(self.commands(read), [])

    def test_other_meter_of_the_balance_is_not_cut(self):
        self.holds(
            self.check_other_meter_of_the_balance_is_not_cut,
            (
                EnergyMeterControl._estimated,
                "WHERE k.is_estimated",
                "WHERE k.is_estimated AND FALSE",
            ),
        )

    def test_held_reading_is_no_silence(self):
        meter, _account = self.new_meter()
        self.read(meter, MARCH_2 + 8 * DAY, "10")
        self.estimate(MARCH_2 + 12 * DAY)
        self.assertEqual(self.readings(meter), [])

    def test_supply_off_uses_nothing(self):
        meter, _account = self.new_meter()
        self.env["energy.meter.status"]._report([{"meter_id": meter.id, "supply_state": "off"}])
        self.estimate(MARCH_2 + 12 * DAY)
        self.assertEqual(self.readings(meter), [])

    def test_nothing_known_is_not_invented(self):
        self.set_clock(MARCH_2)
        meter = self.make_meter("E0")
        self.open_account(meter, tariff=self.halves, start=MARCH_2)
        self.estimate(MARCH_2 + 12 * DAY)
        self.assertEqual(self.readings(meter), [])

    def test_closing_ends_the_estimates(self):
        meter, account = self.new_meter()
        self.estimate(MARCH_2 + 10 * DAY + HOUR)
        moment = MARCH_2 + 10 * DAY + 2 * HOUR
        self.set_clock(moment)
        supply = account.supply_ids
        supply._end(moment, {supply.id: Decimal("100")})
        self.settle()
        self.assertEqual(self.readings(meter), [])
        self.assertEqual(sum(self.used(account).values()), 100)

    def check_sixty_days(self):
        """R12: the first reading is a baseline; 60 days of silence are spread and marked."""
        self.company.energy_estimate_after = 0
        meter, account = self.new_meter(days=2, paid=30)
        self.set_clock(MARCH_2 + 62 * DAY)
        account._decide()
        self.assertEqual(self.commands(meter), [])
        self.read(meter, MARCH_2 + 62 * DAY, "744")
        self.settle()
        usage = self.env["energy.usage"].search(
            [("account_id", "=", account.id), ("local_date", ">=", "2026-03-04")]
        )
        self.assertEqual(set(usage.mapped("is_interpolated")), {True})
        self.assertEqual(sum(self.used(account).values()), 744)
        months = self.env["energy.rating.unit"].search([("account_id", "=", account.id)])
        self.assertEqual(len(months), 3)

    def test_sixty_days(self):
        self.holds(
            self.check_sixty_days,
            (
                splitting.split,
                "marked = after.moment - before.moment > marked_gap",
                "marked = False",
            ),
        )

    def test_ninety_days_estimated_then_read(self):
        """T10: tiers count by month in the estimates and in what is read; it ends the same."""
        blocks = self.make_tariff(
            "TNB blocks",
            {"flat": ["0.218000", "0.334000", "0.516000", "0.546000", "0.571000"]},
            limits=(200, 300, 600, 900),
        )
        start = MARCH_2 + 30 * DAY  # 1 April
        balances = []
        for is_estimated in (True, False):
            self.set_clock(start)
            meter = self.make_meter(f"T{self.env['energy.meter'].search_count([])}")
            account = self.open_account(meter, tariff=blocks, start=start)
            rows = [
                (meter.id, start + hour * HOUR, Decimal(hour) / 2, None, "poll")
                for hour in range(1, 7 * 24 + 1)
            ]
            self.set_clock(start + 7 * DAY)
            self.env["energy.reading"]._ingest(rows)
            for day in (30, 61, 91):
                self.set_clock(start + day * DAY + HOUR)
                silent = [row for row in self.estimates._silent() if row["meter"] == meter.id]
                self.estimates._make(silent if is_estimated else [])
                self.settle()
            if is_estimated:
                # 12 kWh a day: April 360 = 43.60 + 33.40 + 60 x 0.516, May 372, June 360
                self.assertEqual(f"{account.balance:.2f}", "-330.07")
            self.read(meter, start + 91 * DAY + HOUR, "1360")
            self.settle()
            balances.append(f"{account.balance:.2f}")
            self.assertEqual(self.readings(meter), [])
        self.assertEqual(balances[0], balances[1])

    def test_any_order_with_estimates_in_between(self):
        """However readings arrive and estimates are made: the last reading settles all."""
        self.company.energy_gap_shape = "comparable"
        moments = [MARCH_2 + number * 9 * HOUR for number in range(1, 27)]
        end = MARCH_2 + 12 * DAY
        balances, made = set(), 0
        for seed in range(6):
            chance = random.Random(seed)
            self.set_clock(MARCH_2)
            meter = self.make_meter(f"E{self.env['energy.meter'].search_count([])}")
            account = self.open_account(meter, tariff=self.halves, start=MARCH_2)
            self.hourly(meter, MARCH_2, MARCH_2 + 2 * DAY)
            self.settle()
            self.set_clock(end - HOUR)
            late = chance.sample(moments, len(moments)) if seed else moments
            for moment in late:
                self.read(meter, moment, str(self.register(moment)))
                if seed and chance.random() < 0.3:
                    self.estimates._make(
                        [row for row in self.estimates._silent() if row["meter"] == meter.id]
                    )
                if chance.random() < 0.5:
                    self.settle()
            self.read(meter, end, "150")
            self.settle()
            self.assertEqual(self.readings(meter), [], seed)
            made += len(self.readings(meter, "superseded"))
            balances.add(f"{account.balance:.2f}")
        self.assertEqual(len(balances), 1)
        self.assertTrue(made)

    def test_checker_finds_estimates_beside_readings(self):
        """Each way in which estimates could be taken for read is found, and named."""
        meter, account = self.new_meter()
        self.estimate(MARCH_2 + 10 * DAY + HOUR)
        checker = self.env["energy.checker"]
        self.assertEqual(checker._rule_estimates(), (3, []))
        with self.env.cr.savepoint() as savepoint:
            self.env.cr.execute(
                "UPDATE energy_supply_mark SET is_estimated = FALSE WHERE supply_id = %s",
                [account.supply_ids.id],
            )
            _count, findings = checker._rule_estimates()
            self.assertEqual(len(findings), 1)
            self.assertIn(f"{meter.name}: by what it is settled", findings[0][1])
            savepoint.rollback()
        self.env.invalidate_all()
        with self.env.cr.savepoint() as savepoint:
            self.set_clock(MARCH_2 + 11 * DAY + HOUR)
            silent = self.estimates._silent()
            self.read(meter, MARCH_2 + 10 * DAY + 2 * HOUR, "130")
            self.settle()
            self.estimates._make(silent)
            self.env.cr.execute("DELETE FROM energy_settlement_queue")
            _count, findings = checker._rule_estimates()
            self.assertEqual(len(findings), 1)
            self.assertIn(f"{meter.name} has estimates beside later readings", findings[0][1])
            savepoint.rollback()
        self.env.invalidate_all()
