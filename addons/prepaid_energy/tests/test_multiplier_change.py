from datetime import timedelta
from decimal import Decimal

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from ..engine import Limits
from ..models.energy_multiplier_change import EnergyMultiplierChange
from ..models.energy_rating_preview import EnergyRating as Preview
from ..models.energy_reading_acceptance import EnergyReading as Acceptance
from .common import START, EnergyCase
from .planting import PropertyCase

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@tagged("post_install", "-at_install")
class TestMultiplierChange(EnergyCase, PropertyCase):
    """A change of CT x PT: its consequence is shown first, then posted once."""

    def new_account(self):
        """Return meter and account at 0.60 a kWh, read every day for 60 days, 1 unit a day."""
        self.set_clock(START)
        meter = self.make_meter(f"M{self.env['energy.meter'].search_count([])}")
        account = self.open_account(meter)
        for day in range(1, 61):
            self.read(meter, START + day * DAY, str(day))
        self.settle()
        return meter, account

    def change(self, account, multiplier, confirm=True, **values):
        change = self.env["energy.multiplier.change"].create(
            {
                "supply_id": account.supply_ids[:1].id,
                "multiplier": multiplier,
                "reason": "Rating plate misread",
                **values,
            }
        )
        change.action_show_consequence()
        if confirm:
            change.action_confirm()
        self.env.invalidate_all()
        return change

    def check_correction_of_two_months(self):
        """R8: the multiplier was wrong from the start: re-rated, listed, one difference a month."""
        meter, account = self.new_account()
        # March 31 kWh, April 29 kWh at 0.60
        self.assertEqual(f"{account.balance:.2f}", "-36.00")
        change = self.change(account, 40, confirm=False, kind="correction")
        self.assertEqual(change.moment, START)
        self.assertEqual(change.old_multiplier, 1)
        # 39 times 31 and 29 kWh more
        expected = [["2026-03-01", "-725.40"], ["2026-04-01", "-678.60"]]
        self.assertEqual(change.consequence, expected)
        self.assertEqual(change.difference, -1404)
        # Nothing is posted yet.
        self.assertEqual(f"{account.balance:.2f}", "-36.00")
        self.assertEqual(account.supply_ids.multiplier, 1)
        before = len(self.entries(account))
        change.action_confirm()
        self.env.invalidate_all()
        self.assertEqual(f"{account.balance:.2f}", "-1440.00")
        self.assertEqual(self.entries(account)[before:], ["-725.40", "-678.60"])
        self.assertEqual(change.consequence, expected)
        self.assertEqual(change.state, "done")
        self.assertEqual(account.supply_ids.term_ids.mapped("multiplier"), [40])
        self.assertEqual(
            len(self.env["energy.wallet.entry"].search(change.action_open_entries()["domain"])),
            len(self.entries(account)),
        )
        # What comes is priced by the new multiplier.
        self.read(meter, START + 61 * DAY, "61")
        self.settle()
        self.assertEqual(f"{account.balance:.2f}", "-1464.00")

    def test_correction_of_two_months(self):
        self.holds(
            self.check_correction_of_two_months,
            # Shown and posted at once.
            (Preview._preview, "savepoint.rollback()", "pass"),
            # Only what comes is priced anew.
            (
                EnergyMultiplierChange._carry_out,
                "_add([(self.meter_id.id, self._since())])",
                "_add([])",
            ),
        )

    def check_change_on_a_day(self):
        """Transformers are changed: from that moment on, with the reading taken."""
        _meter, account = self.new_account()
        change = self.change(
            account, 2, moment=START + 50 * DAY + DAY / 2, has_register=True, register=50.75
        )
        # 9.25 kWh counted once more; without the reading it were 9.5.
        self.assertEqual(change.consequence, [["2026-04-01", "-5.55"]])
        self.assertEqual(f"{account.balance:.2f}", "-41.55")
        terms = account.supply_ids.term_ids.sorted("since")
        self.assertEqual(terms.mapped("multiplier"), [1, 2])
        self.assertEqual(terms.tariff_id, self.flat_tariff)

    def test_change_on_a_day(self):
        self.holds(
            self.check_change_on_a_day,
            (EnergyMultiplierChange._apply, "if self.has_register", "if False"),
        )

    def check_later_terms_follow(self):
        """A tariff that was set after the moment keeps the new multiplier."""
        _meter, account = self.new_account()
        dear = self.make_tariff("Dear", {"flat": ["1.000000"]})
        account.supply_ids._set_tariff(dear, START + 31 * DAY)
        self.settle()
        # 31 x 0.60 + 29 x 1.00
        self.assertEqual(f"{account.balance:.2f}", "-47.60")
        self.change(account, 2, moment=START + 21 * DAY)
        terms = account.supply_ids.term_ids.sorted("since")
        self.assertEqual(terms.mapped("multiplier"), [1, 2, 2])
        # 10 x 0.60 + 29 x 1.00 more
        self.assertEqual(f"{account.balance:.2f}", "-82.60")

    def test_later_terms_follow(self):
        self.holds(
            self.check_later_terms_follow,
            (
                EnergyMultiplierChange._set_terms,
                "later._correct_multiplier",
                "later[:0]._correct_multiplier",
            ),
        )

    def check_another_multiplier_ends_it(self):
        """100 in January, 200 in March, 100 again in May: January's is corrected to 150 alone."""
        _meter, account = self.new_account()
        self.change(account, 100, kind="correction")
        self.change(account, 200, moment=START + 20 * DAY)
        self.change(account, 100, moment=START + 40 * DAY)
        # 20 x 100 + 20 x 200 + 20 x 100 kWh at 0.60
        self.assertEqual(f"{account.balance:.2f}", "-4800.00")
        change = self.change(account, 150, kind="correction", moment=START)
        terms = account.supply_ids.term_ids.sorted("since")
        self.assertEqual(terms.mapped("multiplier"), [150, 200, 100])
        # 20 x 50 kWh more, in the first 20 days
        self.assertEqual(change.consequence, [["2026-03-01", "-600.00"]])
        self.assertEqual(f"{account.balance:.2f}", "-5400.00")

    def test_another_multiplier_ends_it(self):
        self.holds(
            self.check_another_multiplier_ends_it,
            (
                EnergyMultiplierChange._set_terms,
                "break",
                "continue",
            ),
        )

    def check_late_readings_go_by_the_multiplier_of_their_time(self):
        """R1: CT 10 until noon, 50 from then on; 100 kW can pass."""
        self.set_clock(START)
        meter = self.make_meter(f"L{self.env['energy.meter'].search_count([])}", max_power=100)
        account = self.open_account(meter, register=100.0)
        self.change(account, 10, kind="correction")
        self.read(meter, START + 2 * HOUR, "110")
        self.settle()
        self.set_clock(START + 4 * HOUR)
        self.change(account, 50, moment=START + 4 * HOUR)
        readings = self.env["energy.reading"]
        late = (meter.id, START + HOUR, Decimal(105), None, "poll")
        self.assertEqual(dict(readings._ingest([late], {late[:2]: Decimal(10)})), {"accepted": 1})
        self.assertEqual(
            readings._would_be([(meter.id, START + 1.5 * HOUR, Decimal(108))]).popitem()[1].state,
            "accepted",
        )
        # 7 units an hour: 70 kWh, then 350, of which nobody knows when they were used
        self.read(meter, START + 5 * HOUR, "131")
        self.settle()
        # 10 x 10 kWh to two o'clock; then 21 units evenly, of which 14 count 10 and 7 count 50
        self.assertEqual(f"{account.balance:.2f}", "-354.00")
        reading = readings.search([("meter_id", "=", meter.id), ("total", "=", 110)])
        outcome = reading._reject("Misread")
        # 105 to 131 in four hours: 19.5 x 10 + 6.5 x 50, where 5 x 10 + 14 x 10 + 7 x 50 were
        self.assertEqual(outcome.use, {meter.id: Decimal("-20")})

    def test_late_readings_go_by_the_multiplier_of_their_time(self):
        self.holds(
            self.check_late_readings_go_by_the_multiplier_of_their_time,
            (Limits.multiplier_at, "if since > moment:", "if False:"),
            (Acceptance._meter_facts, "tuple(changes)", "()"),
        )

    def test_consequence_is_in_the_smallest_unit_of_the_currency(self):
        """A currency of three decimals: 31 x 1.0025 and 29 x 1.0025 kWh at 0.60"""
        self.company.currency_id = self.env["res.currency"].create(
            {"name": "MIL", "symbol": "M", "rounding": 0.001}
        )
        _meter, account = self.new_account()
        change = self.change(account, 1.0025, confirm=False, kind="correction")
        # 18.6465 - 18.600, and 17.4435 - 17.400, half up
        expected = [["2026-03-01", "-0.047"], ["2026-04-01", "-0.044"]]
        self.assertEqual(change.consequence, expected)
        change.action_confirm()
        self.assertEqual(change.consequence, expected)

    def test_what_waits_is_not_counted_as_the_consequence(self):
        meter, account = self.new_account()
        self.read(meter, START + 61 * DAY, "61")
        change = self.change(account, 2, moment=START + 60 * DAY)
        # Day 61 is 30 April: 0.60 by the old multiplier, as much again by the change.
        self.assertEqual(change.consequence, [["2026-04-01", "-0.60"]])
        self.assertEqual(f"{account.balance:.2f}", "-37.20")

    def test_ratio_from_ratings(self):
        _meter, account = self.new_account()
        action = account.supply_ids.meter_id.action_change_multiplier()
        form = Form(
            self.env["energy.multiplier.change"].with_context(**action["context"]),
            "prepaid_energy.energy_multiplier_change_view_form",
        )
        self.assertEqual((form.old_multiplier, form.multiplier), (1, 1))
        form.ct_primary = 200
        self.assertEqual(form.multiplier, 40)
        form.pt_primary = 10000
        self.assertEqual(form.multiplier, 4000)
        form.ct_primary = 0
        form.pt_primary = 0
        form.multiplier = 15
        form.kind = "correction"
        self.assertEqual(form.moment, START)
        form.reason = "Typed wrongly"
        change = form.save()
        self.assertEqual(change.multiplier, 15)
        self.assertIn("MUL/", change.name)

    def test_consequence_is_shown_first(self):
        _meter, account = self.new_account()
        change = self.env["energy.multiplier.change"].create(
            {"supply_id": account.supply_ids.id, "multiplier": 2, "reason": "x"}
        )
        with self.refused(UserError, "consequence first"):
            change.action_confirm()
        change.action_show_consequence()
        self.assertEqual(change.consequence_text, "No balance changes.")
        # Typed anew it has another one.
        user = self.env.ref("base.user_admin")
        user.write({"company_ids": [(4, self.company.id)]})
        user.group_ids += self.env.ref("prepaid_energy.group_energy_manager")
        theirs = change.with_user(user).with_context(allowed_company_ids=self.company.ids)
        theirs.multiplier = 3
        self.assertFalse(change.consequence_at)
        with self.refused(AccessError, "never by hand"):
            theirs.consequence_at = START
        with self.refused(AccessError, "never by hand"):
            theirs.state = "done"

    def test_refusals(self):
        _meter, account = self.new_account()
        for pattern, values in (
            ("future", {"moment": START + 90 * DAY}),
            ("from Sunday|serves this account from", {"moment": START - DAY}),
            ("has this multiplier", {"multiplier": 1}),
        ):
            with self.refused(UserError, pattern):
                self.change(account, **{"multiplier": 2, **values})
        change = self.change(account, 2)
        with self.refused(UserError, "already"):
            change.action_confirm()
        with self.refused(UserError, "never deleted"):
            change.unlink()
