"""The money is that of what finally stands, whatever the order in which it arrives (R1, H1).

Small histories with an exchange, another transformer, a register that rolls over and one that
begins anew, a correction, a rejection and a new version, in zones whose clocks change; delivered in
order and in random order and batches, with settlements between.
"""

import os
import random
from decimal import Decimal
from unittest.mock import patch

from odoo.tests import tagged

from ..engine import splitting
from ..models.energy_rating_rows import EnergyRating as Rows
from .common import EnergyCase
from .planting import PropertyCase
from .rating_case import RatingCase
from .small_history import DAY, PLACES, SmallHistory

SEED = os.environ.get("ENERGY_SEED", "20260301")
ARRIVALS = ("in order", "in any order")
LORD_HOWE = 6
ALLOCATIONS = ("to_date", "proportional", "chronological")


class Delivery:
    """One history in the database, and the steps that bring it there."""

    def __init__(self, case, history, name):
        self.case, self.history, self.env = case, history, case.env
        case.set_clock(history.start)
        first = history.versions[0]
        self.tariff = case.make_tariff(
            name,
            first.prices,
            limits=first.limits,
            windows=[("peak", *first.peak)],
            rest="valley",
            allocation=history.allocation,
        )
        self.meters = {
            supply.meter: case.make_meter(
                f"{name} {supply.meter}", register_digits=5 if supply.meter == "B1" else 6
            )
            for supply in history.supplies
        }
        self.accounts = [self.account(number) for number in (0, 1)]
        for account in self.accounts:
            case.top_up(account, 9000)

    def account(self, number):
        supplies = [
            supply
            for supply in self.history.supplies
            if supply.account == number and supply.start == self.history.start
        ]
        meters = [self.meters[supply.meter] for supply in supplies]
        account = self.case.open_account(
            *meters, tariff=self.tariff, start=self.history.start, activate=False
        )
        for supply in supplies:
            account.supply_ids.filtered(
                lambda own, meter=self.meters[supply.meter]: own.meter_id == meter
            ).opening_register = float(supply.opening)
        account.action_activate()
        return account

    # --- steps -------------------------------------------------------------------------------

    def steps(self):
        """Return (moment, what it needs, step): each step can be taken once what it needs was."""
        steps = []
        for reading in self.history.readings:
            steps.append((reading.moment, None, (self.read, reading)))
            if reading.total != reading.truth or reading.baseline:
                steps.append((reading.moment, (self.read, reading), (self.decide, reading)))
        history = self.history
        midnight = history.midnight(history.versions[1].since)
        steps.append((midnight, None, (self.approve, None)))
        steps.append((history.exchange_at, None, (self.exchange, None)))
        steps.append((history.ratio_at, None, (self.change_ratio, None)))
        return steps

    def read(self, reading):
        self.env["energy.reading"]._ingest(
            [(self.meters[reading.meter].id, reading.moment, reading.total, None, "poll")]
        )

    def stored(self, reading, *states):
        return self.env["energy.reading"].search(
            [
                ("meter_id", "=", self.meters[reading.meter].id),
                ("moment", "=", reading.moment),
                ("state", "in", states),
            ]
        )

    def decide(self, reading):
        """What a person says of a reading."""
        found = self.stored(reading, "accepted", "held")
        if reading.truth is None:
            outcome = found._reject("Misread")
        elif reading.baseline:
            outcome = found._accept("Reset", meaning="anew", overrule=True)
        else:
            outcome = found._correct(reading.truth, "Misread", overrule=True)
        self.case.assertFalse(outcome.refusals)

    def approve(self, _nothing):
        version = self.history.versions[1]
        self.case.add_version(
            self.tariff,
            version.prices,
            version.limits,
            [("peak", *version.peak)],
            "valley",
            date_from=version.since,
        )

    def exchange(self, _nothing):
        old, new = self.history.supplies[:2]
        self.case.exchange(
            self.accounts[0],
            self.meters[old.meter],
            self.meters[new.meter],
            new.start,
            float(old.closing),
            float(new.opening),
        )

    def change_ratio(self, _nothing):
        change = self.env["energy.multiplier.change"].create(
            {
                "supply_id": self.accounts[0]
                .supply_ids.filtered(lambda supply: supply.meter_id == self.meters["A2"])
                .id,
                "moment": self.history.ratio_at,
                "multiplier": self.history.ratio,
                "reason": "Other transformers",
            }
        )
        change.action_show_consequence()
        change.action_confirm()

    def in_order(self):
        """Take each step at its moment, and settle each day."""
        day = self.history.start
        for moment, _needed, (step, reading) in sorted(
            self.steps(), key=lambda step: (step[0], step[1] is not None)
        ):
            if moment >= day + DAY:
                self.case.settle()
                day = moment
            self.case.set_clock(moment)
            step(reading)
            self.env.flush_all()
        self.finish()

    def in_any_order(self, dice, is_mixed=True):
        """Take the steps when all is over: in random order and batches, some readings twice.

        :param bool is_mixed: False where decisions and documents follow when all readings are there
        """
        self.case.set_clock(self.history.end)
        steps = self.steps()
        again = [step for step in steps if step[2][0] == self.read]
        steps += dice.sample(again, len(again) // 3)
        dice.shuffle(steps)
        if not is_mixed:
            steps.sort(key=lambda step: step[2][0] != self.read)
        done = []
        while steps:
            row = next(row for row in steps if row[1] is None or row[1] in done)
            steps.remove(row)
            step, reading = row[2]
            step(reading)
            done.append((step, reading))
            self.env.flush_all()
            if dice.random() < 0.3 or (not is_mixed and step != self.read):
                self.case.settle()
        self.finish()

    def finish(self):
        """A person accepts what is right and still held, oldest first."""
        for reading in sorted(self.history.readings, key=lambda reading: reading.moment):
            if reading.truth is not None and not self.stored(reading, "accepted"):
                outcome = self.stored(reading, "held")._accept("Right", overrule=True)
                self.case.assertFalse(outcome.refusals)
        self.case.settle()

    # --- what came of it ---------------------------------------------------------------------

    def found(self):
        """Return (amount by (account, month, rate period, tier), posted by (account, month))."""
        ids = [account.id for account in self.accounts]
        self.env.cr.execute(
            "SELECT account_id, date_trunc('month', local_date)::date, band, tier,"
            "       sum(amount)::text FROM energy_usage WHERE account_id = ANY(%s)"
            " GROUP BY 1, 2, 3, 4 HAVING sum(amount) <> 0",
            [ids],
        )
        amounts = {
            (ids.index(row[0]), *row[1:4]): Decimal(row[4]) for row in self.env.cr.fetchall()
        }
        self.env.cr.execute(
            "SELECT account_id, month, sum(posted)::text FROM energy_rating_unit"
            " WHERE account_id = ANY(%s) GROUP BY 1, 2 HAVING sum(posted) <> 0",
            [ids],
        )
        posted = {(ids.index(row[0]), row[1]): Decimal(row[2]) for row in self.env.cr.fetchall()}
        return amounts, posted

    def lines(self):
        """Return all lines of use as they stand, meters by name."""
        self.env.cr.execute(
            "SELECT split_part(m.name, ' ', 2), u.local_date, u.band, u.tier,"
            "       v.date_from, trim_scale(u.quantity)::text, trim_scale(u.amount)::text,"
            "       u.is_interpolated"
            "  FROM energy_usage u JOIN energy_meter m ON m.id = u.meter_id"
            "  JOIN energy_tariff_version v ON v.id = u.version_id"
            " WHERE u.account_id = ANY(%s) ORDER BY 1, 2, 3, 4, 5",
            [[account.id for account in self.accounts]],
        )
        return self.env.cr.fetchall()


@tagged("post_install", "-at_install")
class TestRatingArrival(PropertyCase, RatingCase):
    def check(self, number, arrivals):
        """Deliver the history of a place and compare with what it costs by hand."""
        zone, first_day = PLACES[number]
        seed = f"{SEED}/{number}"
        history = SmallHistory(seed, zone, first_day, ALLOCATIONS[number % 3])
        site = self.env["energy.property"].create(
            {
                "name": f"Site {number}",
                "kind": "site",
                "tz": zone,
                "company_id": self.company.id,
                "supply_state": "live",
            }
        )
        lines = {}
        with (
            patch.object(EnergyCase, "site", site, create=True),
            patch.object(type(self), "site", site),
        ):
            for arrival in arrivals:
                delivery = Delivery(self, history, f"{number}-{arrival.replace(' ', '-')}")
                if arrival == "in order":
                    delivery.in_order()
                else:
                    delivery.in_any_order(random.Random(seed), arrival == "in any order")
                self.compare(delivery, f"{zone} {first_day} {arrival}, seed {SEED}")
                lines[arrival] = delivery.lines()
        one, *others = lines.values()
        for other in others:
            self.assertEqual(one, other, f"{zone} {first_day}, seed {SEED}")

    def compare(self, delivery, message):
        amounts, posted = delivery.history.expected()
        found, found_posted = delivery.found()
        self.assertEqual(
            {place: round(float(money), 8) for place, money in found.items()},
            {place: round(float(money), 8) for place, money in amounts.items() if money},
            message,
        )
        posted = {place: f"{float(money):.2f}" for place, money in posted.items() if money}
        self.assertEqual(
            {place: f"{money:.2f}" for place, money in found_posted.items()}, posted, message
        )
        for number, account in enumerate(delivery.accounts):
            due = sum(Decimal(money) for (own, _month), money in posted.items() if own == number)
            self.assertEqual(f"{account.balance:.2f}", f"{9000 - due:.2f}", message)

    def test_any_order_in_any_zone(self):
        for number, place in enumerate(PLACES):
            with self.subTest(place=place):
                # In order as well at every fourth place: that takes as long again.
                self.check(number, ARRIVALS[bool(number % 4) :])

    def test_what_comes_late_is_counted_anew(self):

        def check():
            self.check(LORD_HOWE, ("documents last",))

        self.holds(
            check,
            (
                Rows._load_points,
                "Point(moment, Decimal(total), is_baseline)",
                "Point(moment, Decimal(total))",
            ),
            (
                splitting._edges,
                "in even_stretches(day, zone):",
                "in even_stretches(day, zone)[:1]:",
            ),
        )
