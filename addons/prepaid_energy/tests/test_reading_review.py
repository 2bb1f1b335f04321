import random
from datetime import timedelta
from decimal import Decimal

import psycopg2
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..engine import History
from ..models.energy_reading_acceptance import EnergyReading as Acceptance
from ..models.energy_reading_review import EnergyReading as Reviewed
from ..wizard.energy_reading_review_work import EnergyReadingReview as ReviewWork
from .common import START, EnergyCase
from .planting import PropertyCase

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class ReviewCase(EnergyCase, PropertyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("V1", max_power=5, register_digits=0)
        cls.account = cls.open_account(cls.meter, register=100.0)

    def reading(self, meter, moment, total=None):
        """Return the readings of a meter at a moment, oldest first."""
        domain = [("meter_id", "=", meter.id), ("moment", "=", moment)]
        if total is not None:
            domain.append(("total", "=", total))
        return self.env["energy.reading"].search(domain, order="id")

    def states(self, meter):
        """Return the registers of a meter with their states, oldest first."""
        return [
            (f"{reading.total:g}", reading.state)
            for reading in self.env["energy.reading"].search(
                [("meter_id", "=", meter.id)], order="moment, id"
            )
        ]

    def review(self, readings, action, confirm=True, **values):
        """Decide about readings over the form, as the list's buttons do."""
        action = getattr(readings, f"action_{action}")()
        review = self.env["energy.reading.review"].browse(action["res_id"])
        review.write({"reason": "on_site", **values})
        if confirm:
            review.action_confirm()
            self.settle()
        return review


@tagged("post_install", "-at_install")
class TestDecision(ReviewCase):
    """One reading: accept, correct, reject."""

    def test_to_do_says_what_was_expected_and_what_came(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 2 * HOUR, "500")
        self.read(self.meter, START + 3 * HOUR, "104")
        self.set_clock(START + 7 * HOUR)
        held = self.reading(self.meter, START + 2 * HOUR)
        self.assertEqual((held.state, held.reason), ("held", "too_fast"))
        self.assertEqual((held.previous_total, held.next_total, held.step), (102, 104, 398))
        self.assertEqual(held.account_id, self.account)
        self.assertEqual(held.age, "5 h")
        self.assertIn("398 kWh more than before", held.cause)
        found = self.env["energy.reading"].search([("account_id", "=", self.account.id)])
        self.assertIn(held, found)

    def test_accepted_spike_is_charged(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 2 * HOUR, "500")
        self.settle()
        self.assertEqual(self.entries(self.account), ["-1.20"])
        held = self.reading(self.meter, START + 2 * HOUR)
        review = self.review(held, "accept", note="welding")
        self.assertEqual((review.state, review.done_count), ("done", 1))
        # 398 kWh at 0.60.
        self.assertEqual(self.entries(self.account), ["-1.20", "-238.80"])
        self.assertEqual(held.note, "Checked on site: welding")
        self.assertEqual((held.decided_by_id, held.reason), (self.env.user, "too_fast"))

    def test_what_a_register_cannot_show_is_refused(self):
        self.read(self.meter, START + HOUR, "-3")
        self.read(self.meter, START + 2 * HOUR, "NaN")
        self.env["energy.reading"]._ingest(
            [(self.meter.id, START + 5 * HOUR, Decimal(101), None, "poll")]
        )
        held = self.env["energy.reading"].search([("state", "=", "held")], order="moment")
        self.assertEqual(held.mapped("reason"), ["negative", "not_a_number", "future"])
        review = self.review(held, "accept")
        self.assertEqual(review.refused_count, 3)
        results = review.line_ids.sorted("moment").mapped("result")
        for result, word in zip(results, ("below zero", "not a number", "future"), strict=True):
            self.assertIn(word, result)
        self.assertEqual(set(held.mapped("state")), {"held"})

    def test_second_accepted_one_at_a_moment_is_refused(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + HOUR, "103")
        self.assertEqual(
            self.states(self.meter),
            [("100", "accepted"), ("102", "accepted"), ("103", "superseded")],
        )
        review = self.review(self.reading(self.meter, START + HOUR, 103), "accept")
        self.assertIn("Another one is accepted", review.line_ids.result)

    def test_fall_needs_a_meaning(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 2 * HOUR, "1")
        held = self.reading(self.meter, START + 2 * HOUR)
        review = self.review(held, "accept")
        self.assertIn("say what that means", review.line_ids.result)
        review = self.review(held, "accept", meaning="rollover")
        self.assertIn("register digits", review.line_ids.result)
        self.assertEqual(held.state, "held")

    def test_rollover_is_charged_over_the_width(self):
        meter = self.make_meter("V2", register_digits=0)
        account = self.open_account(meter, register=998.0)
        self.read(meter, START + HOUR, "999")
        self.read(meter, START + 2 * HOUR, "1")
        self.review(
            self.reading(meter, START + 2 * HOUR),
            "accept",
            meaning="rollover",
            register_digits=3,
        )
        self.assertEqual(meter.register_digits, 3)
        # 1 kWh, then 2 kWh over the rollover.
        self.assertEqual(account.balance, -1.80)

    def test_register_that_begins_anew_charges_nothing_across(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 2 * HOUR, "1")
        self.read(self.meter, START + 3 * HOUR, "3")
        self.assertEqual([state for _total, state in self.states(self.meter)][2:], ["held"] * 2)
        review = self.review(
            self.reading(self.meter, START + 2 * HOUR), "accept", meaning="anew", confirm=False
        )
        self.assertIn("1 other held readings fit then", review.consequence)
        review.action_confirm()
        self.settle()
        # 2 kWh before, 2 kWh after; the one between is believed with it.
        self.assertEqual(self.account.balance, -2.40)
        self.assertEqual({state for _total, state in self.states(self.meter)}, {"accepted"})

    def test_dip_between_two_good_registers_does_not_begin_anew(self):
        def check():
            meter = self.make_meter("V0", max_power=5, register_digits=0)
            account = self.open_account(meter, register=900.0)
            for hour, total in enumerate(("902", "1", "904"), 1):
                self.read(meter, START + hour * HOUR, total)
            self.settle()
            dip = self.reading(meter, START + 2 * HOUR)
            review = self.review(dip, "accept", meaning="anew")
            self.assertEqual((dip.state, account.balance), ("held", -2.4))
            self.assertIn("too high to follow", review.line_ids.result)

        self.holds(check, (History._check_next, "if not (is_lower or is_fall)", "if not is_lower"))

    def test_last_register_before_the_reset_is_charged(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 2 * HOUR, "1")
        held = self.reading(self.meter, START + 2 * HOUR)
        refused = self.review(
            held, "accept", meaning="anew", has_last_register=True, last_register=90
        )
        self.assertIn("does not fit", refused.line_ids.result)
        self.review(held, "accept", meaning="anew", has_last_register=True, last_register=104.5)
        last = self.reading(self.meter, START + 2 * HOUR - timedelta(seconds=1))
        self.assertEqual((last.total, last.source, last.origin), (104.5, "typed", held.id))
        # 102 - 100 and 104.5 - 102.
        self.assertEqual(self.account.balance, -2.70)
        self.review(held, "reject")
        self.assertEqual(self.account.balance, -2.70)

    def test_wrongly_believed_register_is_rejected_and_later_ones_return(self):
        meter = self.make_meter("V3", register_digits=0)
        account = self.open_account(meter)
        self.read(meter, START + HOUR, "2")
        self.read(meter, START + 2 * HOUR, "9000")
        self.read(meter, START + 3 * HOUR, "4")
        self.read(meter, START + 4 * HOUR, "5")
        self.settle()
        self.assertEqual(account.balance, -5400)
        wrong = self.reading(meter, START + 2 * HOUR)
        self.review(wrong, "reject")
        self.assertEqual(account.balance, -3)
        self.assertEqual(
            self.states(meter),
            [
                ("0", "accepted"),
                ("2", "accepted"),
                ("9000", "rejected"),
                ("4", "accepted"),
                ("5", "accepted"),
            ],
        )
        refused = self.review(wrong, "accept")
        self.assertIn("next accepted reading is lower", refused.line_ids.result)
        # Undone: it is believed again, and what cannot follow it is held again.
        self.review(wrong, "accept", overrule=True)
        self.assertEqual(account.balance, -5400)
        self.assertEqual([state for _total, state in self.states(meter)][3:], ["held", "held"])

    def test_rejection_is_undone_by_accepting(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 2 * HOUR, "104")
        self.read(self.meter, START + 3 * HOUR, "105")
        self.settle()
        middle = self.reading(self.meter, START + 2 * HOUR)
        before = self.states(self.meter)
        self.review(middle, "reject")
        self.assertEqual(middle.state, "rejected")
        self.review(middle, "accept")
        self.assertEqual(self.states(self.meter), before)
        self.assertEqual(self.account.balance, -3)

    def test_corrected_reading_stands_beside_the_wrong_one(self):
        self.read(self.meter, START + HOUR, "104")
        self.settle()
        wrong = self.reading(self.meter, START + HOUR)
        review = self.review(wrong, "correct", total=103.0, reason="misread")
        self.assertEqual(review.done_count, 1)
        right = self.reading(self.meter, START + HOUR, 103)
        self.assertEqual((wrong.state, right.state), ("superseded", "accepted"))
        self.assertEqual((right.origin, right.source), (wrong.id, "typed"))
        self.assertEqual(right.note, "Misread or mistyped")
        self.assertEqual(self.entries(self.account), ["-2.40", "0.60"])

    def test_rejected_or_accepted_reading_releases_the_cut_at_once(self):
        def check():
            meter = self.make_meter("V4", max_power=5, register_digits=0)
            account = self.open_account(meter)
            self.read(meter, START + HOUR, "500")
            self.read(meter, START + HOUR + timedelta(minutes=30), "2")
            self.read(meter, START + 2 * HOUR, "400")
            self.settle()
            control = meter.control_id
            self.assertEqual((control.decision, control.wanted), ("held_reading", False))
            self.review(self.reading(meter, START + 2 * HOUR), "reject")
            self.env.invalidate_all()
            self.assertEqual((control.decision, control.wanted), ("arrears", "off"))
            self.assertEqual(account.balance, -1.2)

        self.holds(
            check,
            (
                Reviewed._review,
                "._add(list(outcome.queue.items()))",
                "._add([])",
            ),
        )

    def test_estimate_gives_way_to_what_is_accepted(self):
        meter = self.make_meter("E1", max_power=5, register_digits=0)
        account = self.open_account(meter)
        self.read(meter, START + HOUR, "2")
        self.read(meter, START + DAY, "400")
        held = self.reading(meter, START + DAY)
        self.company.energy_estimate_after = 12
        last = self.reading(meter, START + HOUR)
        self.env.cr.execute(
            "INSERT INTO energy_reading_data (meter_id, moment, total, source, state, origin,"
            " site_id, company_id) VALUES (%s, %s, 30, 'estimate', 'accepted', %s, %s, %s)",
            [meter.id, START + DAY, last.id, self.site.id, self.company.id],
        )
        with self.refused(UserError, "None of these"):
            self.reading(meter, START + DAY, 30).action_reject()
        self.review(held, "accept")
        self.assertEqual(self.reading(meter, START + DAY, 30).state, "superseded")
        self.assertEqual(account.balance, -240)

    def test_stated_register_is_corrected_not_rejected(self):
        opening = self.reading(self.meter, START)
        refused = self.review(opening, "reject")
        self.assertIn("correct it instead", refused.line_ids.result)
        self.read(self.meter, START + HOUR, "102")
        self.settle()
        self.review(opening, "correct", total=101.0)
        self.assertEqual(self.account.supply_ids.opening_register, 101)
        self.assertEqual(self.entries(self.account), ["-1.20", "0.60"])

    def test_reason_is_asked_for(self):
        self.read(self.meter, START + HOUR, "500")
        held = self.reading(self.meter, START + HOUR)
        for reason in (False, "other"):
            with self.refused(UserError, "Choose a reason"):
                self.review(held, "reject", reason=reason)
        review = self.review(held, "reject")
        with self.refused(UserError, "decided already"):
            review.action_confirm()
        with self.refused(UserError, "None of these"):
            held.action_reject()

    def test_engineers_decide(self):
        self.read(self.meter, START + HOUR, "500")
        held = self.reading(self.meter, START + HOUR)
        for role in ("viewer", "cashier", "operator", "finance"):
            user = self.new_user(role, f"review_{role}")
            with self.refused(AccessError, "Engineers and managers"):
                held.with_user(user).action_reject()
        engineer = self.new_user("engineer", "review_engineer")
        action = held.with_user(engineer).action_reject()
        review = self.env["energy.reading.review"].with_user(engineer).browse(action["res_id"])
        with self.refused(AccessError):
            review.state = "done"
        review.reason = "misread"
        self.assertTrue(review.consequence)
        review.action_confirm()
        self.assertEqual((held.state, held.decided_by_id), ("rejected", engineer))
        with self.refused(UserError, "stays as it is"):
            review.note = "later"
        with self.refused(UserError, "never deleted"):
            review.unlink()

    def test_consequence_is_what_is_posted(self):
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 2 * HOUR, "500")
        self.settle()
        held = self.reading(self.meter, START + 2 * HOUR)
        review = self.review(held, "accept", confirm=False)
        self.assertIn("use changes by +398.0000 kWh", review.consequence)
        self.assertIn("238.80", review.consequence)
        self.assertIn(self.account.display_name, review.consequence)
        self.assertEqual((held.state, self.account.balance), ("held", -1.2))
        review.action_confirm()
        self.settle()
        self.assertEqual(self.account.balance, -240)

    def test_database_refuses_to_change_a_reading(self):
        for statement in (
            "UPDATE energy_reading_data SET total = 1 WHERE meter_id = %s",
            "UPDATE energy_reading SET moment = moment + interval '1 h' WHERE meter_id = %s",
            "UPDATE energy_reading_data SET source = 'poll' WHERE meter_id = %s",
            "DELETE FROM energy_reading_data WHERE meter_id = %s",
            "DELETE FROM energy_reading WHERE meter_id = %s",
            "TRUNCATE energy_reading_data -- %s",
        ):
            with (
                self.subTest(statement),
                mute_logger("odoo.sql_db"),
                self.assertRaises(psycopg2.Error),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(statement, [self.meter.id])

    def test_rows_move_to_their_partition(self):
        early = START - timedelta(days=400)
        self.env["energy.reading"]._ingest(
            [(self.make_meter("V5").id, early, Decimal(5), None, "import")]
        )
        self.env.cr.execute("SELECT energy_reading_partition('2025-01-01')")
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(psycopg2.Error),
            self.env.cr.savepoint(),
        ):
            self.env.cr.execute("DELETE FROM energy_reading_data WHERE moment = %s", [early])


@tagged("post_install", "-at_install")
class TestProperties(ReviewCase):
    """Properties of group R and L12, each with planted defects."""

    def test_order_and_repetition_do_not_matter(self):
        """R1"""
        # Three days, with more use every hour.
        registers = [(START + 3 * n * HOUR, f"{100 + n * n / 4}") for n in range(1, 25)]

        def check():
            random.seed(4)
            accounts = []
            for name in ("ordered", "random"):
                meter = self.make_meter(f"V-{name}", max_power=5, register_digits=0)
                accounts.append(self.open_account(meter, register=100.0))
                rows = list(registers)
                if name == "random":
                    rows = [row for row in rows for _time in range(random.randint(1, 5))]
                    random.shuffle(rows)
                self.set_clock(START + 4 * DAY)
                for moment, total in rows:
                    self.read(meter, moment, total)
                    if random.random() < 0.3:
                        self.settle()
                self.settle()
            ordered, shuffled = accounts
            self.assertEqual(shuffled.balance, ordered.balance)
            self.assertEqual(ordered.balance, -86.4)
            self.assertEqual(*(self.used(account) for account in accounts))
            self.assertEqual(*(self.states(account.supply_ids.meter_id) for account in accounts))

        self.holds(
            check,
            (Acceptance._ingest, "queue.append(", "following or queue.append("),
        )

    def used(self, account):
        return [
            (usage.local_date, usage.band, usage.tier, usage.quantity, usage.amount)
            for usage in self.env["energy.usage"].search(
                [("account_id", "=", account.id)], order="local_date, band, tier"
            )
        ]

    def test_rejected_or_held_reading_never_comes_back_by_a_replay(self):
        """R1"""

        def check():
            meter = self.make_meter("V6", max_power=5, register_digits=0)
            account = self.open_account(meter)
            self.read(meter, START + HOUR, "500")
            for _time in range(3):
                self.assertEqual(self.read(meter, START + HOUR, "500"), {"duplicate": 1})
            self.read(meter, START + 2 * HOUR, "3")
            accepted = self.reading(meter, START + 2 * HOUR)
            for reading in (self.reading(meter, START + HOUR), accepted):
                self.review(reading, "reject")
            twice = [(meter.id, START + 2 * HOUR, Decimal("3.00"), None, "poll")] * 2
            self.assertEqual(self.env["energy.reading"]._ingest(twice), {"duplicate": 2})
            self.settle()
            self.assertEqual(
                self.states(meter), [("0", "accepted"), ("500", "rejected"), ("3", "rejected")]
            )
            self.assertEqual(account.balance, 0)

        self.holds(
            check,
            (Acceptance._ingest, "verdict = DUPLICATE", "pass"),
            (Acceptance._set_aside, "state <> 'accepted'", "state = 'held'"),
        )

    def test_falls_are_held_and_rollovers_known_by_the_width(self):
        """R2"""
        for digits, before, after, state in (
            (0, "500", "499", "held"),
            (0, "500", "3", "held"),
            (0, "500", "0", "held"),
            (0, "999999.99", "1", "held"),
            (6, "999999.99", "1", "accepted"),
            (6, "500", "3", "held"),
            (7, "999999.99", "1", "held"),
        ):
            with self.subTest(digits=digits, before=before, after=after):
                meter = self.make_meter(f"W{digits}/{before}/{after}", register_digits=digits)
                self.open_account(meter, register=float(before))
                self.read(meter, START + HOUR, after)
                self.assertEqual(self.states(meter)[-1][1], state)
                # Decided: it began anew, whatever its width.
                if state == "held":
                    self.review(self.reading(meter, START + HOUR), "accept", meaning="anew")
                    self.read(meter, START + 2 * HOUR, f"{Decimal(after) + 1}")
                    self.assertEqual(self.states(meter)[-1][1], "accepted")
        self.settle()

    def test_one_bad_value_is_billed_across(self):
        """R3"""

        def check():
            meter = self.make_meter("V7", max_power=5, register_digits=0)
            account = self.open_account(meter)
            for hour, total in enumerate(("2", "50", "4"), 1):
                self.read(meter, START + hour * HOUR, total)
            self.settle()
            self.assertEqual(
                [state for _total, state in self.states(meter)],
                ["accepted", "accepted", "held", "accepted"],
            )
            self.assertEqual(account.balance, -2.4)
            self.review(self.reading(meter, START + 2 * HOUR), "reject")
            self.assertEqual(account.balance, -2.4)

        check()

    def test_meter_swapped_without_a_record(self):
        """R5"""
        self.read(self.meter, START + HOUR, "102")
        self.read(self.meter, START + 3 * HOUR, "7")
        self.settle()
        held = self.reading(self.meter, START + 3 * HOUR)
        self.assertEqual((held.state, self.account.balance), ("held", -1.2))
        action = held.action_replace_meter()
        new = self.make_meter("V8", max_power=5, register_digits=0)
        exchange = (
            self.env["energy.meter.exchange"]
            .with_context(**action["context"])
            .create({"new_meter_id": new.id, "reason": "Swapped", "closing_register": 103})
        )
        self.assertEqual((exchange.opening_register, exchange.moment), (7, held.moment))
        exchange.action_confirm()
        # The held register was the new meter's: the old one has no say in it.
        self.review(held, "reject", reason="replaced")
        self.read(new, START + 4 * HOUR, "9")
        self.settle()
        # 2 and 1 kWh of the old meter, 2 of the new one.
        self.assertEqual(self.account.balance, -3)

    def test_wrong_closing_register_of_a_replacement(self):
        """R6"""

        def check():
            meter, new = (
                self.make_meter(name, max_power=5, register_digits=0) for name in ("X1", "X2")
            )
            account = self.open_account(meter)
            self.read(meter, START + HOUR, "2")
            moment = START + 3 * HOUR
            self.set_clock(moment)
            exchange = self.env["energy.meter.exchange"].create(
                {
                    "supply_id": account.supply_ids.id,
                    "new_meter_id": new.id,
                    "moment": moment,
                    "closing_register": 8,
                    "reason": "Defect",
                }
            )
            exchange.action_confirm()
            self.read(new, START + 4 * HOUR, "1")
            self.settle()
            self.assertEqual(account.balance, -5.4)
            self.review(self.reading(meter, moment), "correct", total=6.0)
            self.assertEqual(account.balance, -4.2)
            old = account.supply_ids.filtered("end_at")
            self.assertEqual(old.closing_register, 6)
            self.assertFalse(self.env["energy.wallet.entry"]._broken_links())

        self.holds(
            check,
            (Reviewed._write_stated, "if row.number is None and row.stated", "if False"),
        )

    def test_two_values_for_one_moment(self):
        """R10"""

        def check():
            meter = self.make_meter("V9", max_power=5, register_digits=0)
            account = self.open_account(meter)
            self.read(meter, START + HOUR, "2")
            for total in ("3", "1", "3", "2"):
                self.read(meter, START + HOUR, total)
            self.settle()
            self.assertEqual(
                self.states(meter),
                [
                    ("0", "accepted"),
                    ("2", "accepted"),
                    ("3", "superseded"),
                    ("1", "superseded"),
                ],
            )
            self.assertEqual(account.balance, -1.2)

        self.holds(check, (Acceptance._ingest, "verdict = DUPLICATE", "pass"))

    def test_correction_three_months_back(self):
        """L12: across a price change and a tier boundary, as if right from the start"""
        tariff = self.make_tariff("Steps", {"flat": ["0.500000", "0.800000"]}, limits=(50,))
        self.add_version(
            tariff, {"flat": ["0.600000", "0.900000"]}, limits=(50,), date_from="2026-03-20"
        )
        history = [(10, "30"), (25, "90"), (40, "130"), (75, "260"), (100, "300")]

        def check():
            accounts = []
            for name, wrong in (("right", None), ("wrong", "55")):
                meter = self.make_meter(f"L-{name}", register_digits=0)
                account = self.open_account(meter, tariff=tariff)
                accounts.append(account)
                self.set_clock(START + 101 * DAY)
                for day, total in history:
                    self.read(meter, START + day * DAY, wrong if day == 25 and wrong else total)
                    self.settle()
            right, wrong = accounts
            self.assertNotEqual(right.balance, wrong.balance)
            before = len(self.entries(wrong))
            meter = wrong.supply_ids.meter_id
            self.review(self.reading(meter, START + 25 * DAY), "correct", total=90.0)
            self.assertEqual(wrong.balance, right.balance)
            self.assertEqual(self.used(wrong), self.used(right))
            # One difference a month touched: March and April.
            entries = self.env["energy.wallet.entry"].search(
                [("account_id", "=", wrong.id), ("kind", "=", "use")], order="id"
            )[before:]
            self.assertEqual(entries.mapped("note"), ["2026-03", "2026-04"])

        self.holds(
            check,
            (History._touch, "before.moment if before is not None else row.moment", "self.now"),
        )


@tagged("post_install", "-at_install")
class TestGroups(ReviewCase):
    """R13: thousands of held readings are worked in groups."""

    def hold_many(self, meters, count):
        """Store held readings: 200 and more on each of some meters, hour after hour."""
        for position, meter in enumerate(meters):
            self.env.cr.execute(
                """
                INSERT INTO energy_reading_data (meter_id, moment, total, source, state, reason,
                       expected, site_id, company_id)
                SELECT %s, %s + n * interval '1 minute', 5 + n, 'poll', 'held', 'fell', '>= 100',
                       %s, %s
                  FROM generate_series(1, %s) AS n
                """,
                [meter.id, START + (2 + position) * HOUR, self.site.id, self.company.id, count],
            )
        self.set_clock(START + 3 * DAY)

    def test_thousands_are_worked_in_groups(self):
        meters = [self.make_meter(f"G{n}", register_digits=0) for n in range(4)]
        accounts = [self.open_account(meter, register=100.0) for meter in meters]
        self.hold_many(meters, 500)
        self.read(self.meter, START + HOUR, "102")
        self.settle()
        healthy = self.states(self.meter), self.entries(self.account)
        held = self.env["energy.reading"].search([("state", "=", "held")])
        self.assertEqual(len(held), 2000)
        # By the search, not by the rows of the page.
        action = self.env["energy.reading.review"]._open(
            [("state", "=", "held"), ("reason", "=", "fell")], "accept"
        )
        review = self.env["energy.reading.review"].browse(action["res_id"])
        self.assertEqual(review.count, 2000)
        review.write({"reason": "reset", "meaning": "anew"})
        self.assertIn("Readings: 2000, of 4 meters", review.consequence)
        review.action_confirm()
        self.assertEqual((review.state, review.progress), ("working", 0))
        worked = []
        while review.state == "working":
            worked.append(review._work(limit=500))
            review.invalidate_recordset()
            if len(worked) == 1:
                # The healthy go on meanwhile.
                self.read(self.meter, START + 2 * HOUR, "104")
                self.settle()
                self.assertEqual(self.account.balance, -2.4)
        self.assertEqual(worked, [500] * 4)
        self.assertEqual((review.done_count, review.refused_count), (2000, 0))
        self.settle()
        # Each began anew at 6 and went up to 505.
        self.assertEqual([account.balance for account in accounts], [-299.4] * 4)
        self.assertEqual(self.states(self.meter)[:2], healthy[0])
        self.assertEqual(self.entries(self.account)[0], healthy[1][0])
        self.assertFalse(review._work())

    def test_what_is_refused_does_not_stop_the_rest(self):
        def check():
            good = self.make_meter("G8", max_power=5, register_digits=0)
            bad = self.make_meter("G9", register_digits=0)
            self.open_account(good)
            self.open_account(bad, register=100.0)
            self.read(good, START + HOUR, "500")
            self.read(bad, START + HOUR, "5")
            held = self.reading(good, START + HOUR) + self.reading(bad, START + HOUR)
            review = self.review(held, "accept")
            self.assertEqual(review.line_ids.mapped("state"), ["done", "refused"])
            self.assertEqual(held.mapped("state"), ["accepted", "held"])
            self.assertEqual(review.state, "done")

        self.holds(
            check,
            (
                ReviewWork._work,
                '"refused" if reading in outcome.refusals else "done"',
                '"done"',
            ),
        )

    def test_drafts_are_given_up(self):
        self.read(self.meter, START + HOUR, "500")
        review = self.review(self.reading(self.meter, START + HOUR), "reject", confirm=False)
        # The project clock says nothing of how long somebody has been at it.
        self.set_clock(review.create_date + timedelta(days=60))
        self.env["energy.reading.review"]._gc_drafts()
        self.assertTrue(review.exists())
        self.env.cr.execute(
            "UPDATE energy_reading_review SET create_date = energy_real_now() - interval '25 hours'"
            " WHERE id = %s",
            [review.id],
        )
        self.env.invalidate_all()
        self.env["energy.reading.review"]._gc_drafts()
        self.assertFalse(review.exists())
