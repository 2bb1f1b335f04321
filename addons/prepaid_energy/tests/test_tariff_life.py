"""Draft, submitted, approved; copies; what stays as it is."""

from datetime import date, timedelta
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import START
from .test_tariff_engine import TariffCase


@tagged("post_install", "-at_install")
class TestTariffLife(TariffCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.version = cls.draft(
            {"flat": [0.6, 0.7], "peak": [0.9, 1.0]},
            tiers=[{"number": 1, "limit": 200}, {"number": 2}],
            windows=[{"key": "peak", "hour_from": 8, "hour_to": 22}],
            fee_ids=[Command.create({"name": "Surcharge", "amount": 0.01})],
        )
        cls.tariff = cls.version.tariff_id
        cls.finance, cls.manager = (
            cls.new_user(role, f"tariff_{role}") for role in ("finance", "manager")
        )

    def by(self, user, version=None):
        return (version or self.version).with_user(user).with_context(tracking_disable=True)

    def test_finance_submits_and_a_manager_approves(self):
        own = self.by(self.finance)
        own.date_from = "2026-01-01"
        own.action_submit()
        self.assertEqual(self.version.state, "submitted")
        self.assertEqual(self.version.submitted_by_id, self.finance)
        self.assertTrue(self.version.submitted_at)
        with self.refused(UserError, "is submitted"):
            own.per_day = 1
        with self.refused(UserError, "is submitted"):
            own.price_ids[:1].price = 1
        with self.refused(UserError, "is submitted"):
            own.unlink()
        with self.refused():
            own.action_approve()
        self.assertFalse(self.tariff._version_starts(self.tariff.id))
        self.by(self.manager).action_approve()
        self.assertEqual(self.version.state, "approved")
        self.assertEqual(self.version.approved_by_id, self.manager)
        self.assertEqual(
            self.tariff._version_starts(self.tariff.id), ((date(2026, 1, 1), self.version.id),)
        )
        with self.refused():
            own.action_draft()

    def test_a_refusal_needs_a_reason(self):
        self.by(self.finance).action_submit()
        manager = self.by(self.manager)
        with self.refused(UserError, "Enter the reason"):
            manager.action_refuse()
        with self.refused():
            self.by(self.finance).action_refuse()
        manager.refusal = "Peak begins at 9"
        manager.action_refuse()
        self.assertEqual(self.version.state, "draft")
        self.assertIn("Peak begins at 9", self.version.message_ids[0].body)
        self.assertEqual(self.version.refusal, "Peak begins at 9")
        self.by(self.finance).action_submit()
        self.assertFalse(self.version.refusal)

    def test_the_authors_own_approval_is_a_setting(self):
        self.company.energy_tariff_second_person = True
        manager = self.by(self.manager)
        with self.refused(UserError, "second person"):
            manager.action_approve()
        manager.action_submit()
        with self.refused(UserError, "second person"):
            manager.action_approve()
        self.company.energy_tariff_second_person = False
        manager.action_approve()
        self.assertEqual(self.version.state, "approved")

    def test_nobody_types_who_approved(self):
        with self.refused():
            self.by(self.manager).approved_by_id = self.finance
        with self.refused():
            self.by(self.finance).state = "approved"
        with self.refused():
            self.by(self.finance).create(
                {"tariff_id": self.tariff.id, "date_from": "2030-01-01", "state": "approved"}
            )

    def test_an_approved_version_is_not_submitted_again(self):
        self.version.action_approve()
        with self.refused(UserError, "is approved"):
            self.version.action_submit()
        self.version.action_draft()
        self.assertFalse(self.version.approved_by_id)

    def test_consequences_are_shown_first(self):
        question = {"type": "ir.actions.act_window"}
        with patch.object(type(self.version), "_consequences", lambda self: question):
            self.assertEqual(self.version.action_approve(), question)
            self.assertEqual(self.version.state, "draft")
        self.version._approve()
        self.assertEqual(self.version.state, "approved")

    def test_an_incomplete_version_is_not_submitted(self):
        self.version.price_ids[:1].is_priced = False
        with self.refused(UserError, "“Flat” has no price in tier 1"):
            self.version.action_submit()

    def test_what_versions_were_approved_with_stays(self):
        self.version.action_approve()
        with self.refused(ValidationError, "Set them back to draft"):
            self.tariff.tax_included = False
        with self.refused(ValidationError, "Set them back to draft"):
            self.tariff.tier_period = "year"
        self.tariff.write({"note": "<p>Notice</p>", "tax_included": True})
        self.version.action_draft()
        self.tariff.tax_included = False
        self.assertFalse(self.version._build().prices["flat", 1] == 0)

    def test_a_copy_has_parts_of_its_own(self):
        self.version.action_approve()
        copied = self.version.copy({"date_from": "2027-01-01"})
        self.assertEqual(copied.state, "draft")
        self.assertFalse(copied.approved_by_id)
        for part in ("band_ids", "window_ids", "price_ids", "tier_ids", "fee_ids"):
            self.assertEqual(len(copied[part]), len(self.version[part]), part)
            self.assertFalse(copied[part] & self.version[part])
        self.assertLessEqual(copied.window_ids.band_id, copied.band_ids)
        self.assertLessEqual(copied.price_ids.band_id, copied.band_ids)
        one, other = self.version._build(), copied._build()
        self.assertEqual(one.prices, other.prices)
        self.assertEqual(one.windows, other.windows)
        self.assertEqual(one.tier_limits, other.tier_limits)
        copied.price_ids[:1].price = 5
        copied.action_approve()
        self.assertEqual(str(self.version._build().prices["flat", 1]), "0.610000")
        self.assertEqual(self.version.copy().date_from, date(2020, 1, 2))

    def test_a_new_version_begins_on_a_free_first_of_a_month(self):
        self.version.action_approve()
        action = self.version.action_new_version()
        first = self.env["energy.tariff.version"].browse(action["res_id"])
        self.assertEqual(first.date_from, date(2026, 4, 1))
        second = self.version.action_new_version()
        self.assertEqual(
            self.env["energy.tariff.version"].browse(second["res_id"]).date_from, date(2026, 5, 1)
        )

    def test_used_versions_stay(self):
        self.version.action_approve()
        meter = self.make_meter("L1")
        self.open_account(meter, tariff=self.tariff)
        self.read(meter, START + timedelta(days=1), "5")
        self.settle()
        with self.refused(UserError, "has priced use"):
            self.version.action_draft()
        with self.refused(UserError, "is approved"):
            self.version.unlink()
        with self.refused(ValidationError, "is in use"):
            self.tariff.tier_scope = "meter"
