from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from ..models.energy_multiplier_change import EnergyMultiplierChange
from ..models.energy_rating_preview import EnergyRating as Preview
from .common import START, EnergyCase
from .planting import PropertyCase

DAY = timedelta(days=1)


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
                "_add([(self.meter_id.id, self.moment)])",
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
