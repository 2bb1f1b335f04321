from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from psycopg2 import IntegrityError

from .. import rating_work
from ..models.energy_meter_plan import EnergyMeter, PlanLimits
from ..models.energy_supply import EnergySupply
from .planting import PropertyCase
from .rating_case import RatingCase


@tagged("post_install", "-at_install")
class TestBandSource(PropertyCase, RatingCase):
    """Who lets rate periods go by the meter's registers, and for which version they count."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tariff = cls.make_peak_and_valley()
        cls.engineer = cls.new_user("engineer", "bands_engineer")
        cls.operator = cls.new_user("operator", "bands_operator")

    def holding(self, slots):
        """Let all meters hold plans of so many times a day."""
        limits = PlanLimits(slots, frozenset({"peak", "valley"}))
        return patch.object(
            EnergyMeter, "_plan_limits", lambda self: dict.fromkeys(self.ids, limits)
        )

    def ask(self, account, since, user=None, is_plan_equal=True):
        env = self.env(
            user=user or self.engineer, context={"allowed_company_ids": self.company.ids}
        )
        action = account.supply_ids[:1].with_env(env).action_set_bands()
        with Form(env["energy.operation"].browse(action["res_id"])) as form:
            form.band_source = "meter"
            form.is_plan_equal = is_plan_equal
            form.since = since
        operation = form.record
        operation.action_confirm()
        return operation.line_ids

    def deliver(self, meter, day, peak, valley):
        """Deliver the registers of a midnight; a day uses 24 kWh. Settle."""
        self.set_clock(self.day(day))
        bands = (None, Decimal(peak), None, Decimal(valley))
        self.env["energy.reading"]._ingest(
            [(meter.id, self.day(day), Decimal(24 * day), bands, "poll")]
        )
        self.settle()

    def test_registers_count_for_the_version_that_was_read_back(self):

        def check():
            meter = self.make_meter("G1")
            self.set_clock(self.day(0))
            account = self.open_account(meter, tariff=self.tariff)
            self.deliver(meter, 1, "20", "4")
            with self.holding(3):
                line = self.ask(account, self.day(1))
            self.assertTrue(line.is_done, line.result)
            # 12 + 6 by platform time; then 20 x 1.00 + 4 x 0.50
            self.deliver(meter, 2, "40", "8")
            self.assertEqual(self.due(account), {"2026-03": "40.00"})
            # Another version from 4 March on: the meter still counts by the old plan.
            self.add_version(
                self.tariff,
                {"peak": ["1.000000"], "valley": ["0.500000"]},
                windows=[("peak", 8, 14)],
                rest="valley",
                date_from="2026-03-04",
            )
            self.deliver(meter, 3, "60", "12")
            self.deliver(meter, 4, "80", "16")
            # 22.00; by platform time 6 x 1.00 + 18 x 0.50
            self.assertEqual(self.due(account), {"2026-03": "77.00"})

        self.holds(
            check,
            (
                rating_work.Work.goes_by_meter,
                "return self.by_meter.get(since) == span.version.key",
                "return since in self.by_meter",
            ),
            (rating_work.Work.goes_by_meter, "if not self.by_meter:", "if True:"),
        )

    def test_another_meter_begins_by_platform_time(self):

        def check():
            old, new = self.make_meter("G2"), self.make_meter("G3")
            self.set_clock(self.day(0))
            account = self.open_account(old, tariff=self.tariff)
            with self.holding(3):
                self.assertTrue(self.ask(account, self.day(0)).is_done)
            self.set_clock(self.day(1))
            supply = self.exchange(account, old, new, self.day(1), 24, 0)
            self.assertEqual(supply.term_ids.band_source, "platform")
            self.assertFalse(supply.term_ids.plan_version_id)

        self.holds(
            check,
            (EnergySupply._continued, "== self.meter_id.id", "is not None"),
        )

    def test_what_keeps_registers_from_counting(self):
        meter = self.make_meter("G4")
        account = self.open_account(meter, tariff=self.tariff)
        with self.refused(UserError, "read and compared"):
            self.ask(account, self.day(0), is_plan_equal=False)
        with self.refused(AccessError, "do not have the right"):
            self.ask(account, self.day(0), self.operator)
        self.assertIn("no plan of rate periods", self.ask(account, self.day(0)).result)
        with self.holding(1):
            self.assertIn("the meter holds 1", self.ask(account, self.day(0)).result)
        with self.holding(3):
            self.env["energy.meter.finding"].create(
                {"meter_id": meter.id, "kind": "clock", "since": self.day(0)}
            )
            self.assertIn("clock is off", self.ask(account, self.day(0)).result)
        self.assertEqual(account.supply_ids.term_ids.band_source, "platform")
        # Nor by hand, be it in a draft.
        draft = self.open_account(self.make_meter("G5"), tariff=self.tariff, activate=False)
        term = draft.supply_ids.term_ids
        with self.refused(AccessError, "“Rate Periods By” only"):
            term.with_user(self.operator).write(
                {"band_source": "meter", "plan_version_id": self.tariff.version_ids.id}
            )
        with self.refused(IntegrityError, "check_plan"):
            term.band_source = "meter"
            term.flush_recordset()
