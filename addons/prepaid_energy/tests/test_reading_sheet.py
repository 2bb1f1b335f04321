import base64
from datetime import timedelta
from decimal import Decimal

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from ..engine import acceptance
from ..models.energy_reading_sheet_line import EnergyReadingSheetLine
from .common import START, EnergyCase
from .planting import PropertyCase

DAY = timedelta(days=1)
PIXEL = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPgPAAEDAQAIicLsAAAAAElFTkSuQmCC"
    )
)


@tagged("post_install", "-at_install")
class TestSheet(EnergyCase, PropertyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("S1", max_power=5, register_digits=4)
        cls.water = cls.make_meter("S2", "water", register_digits=5)
        cls.water_tariff = cls.make_tariff("Water", {"flat": ["3.000000"]}, commodity="water")
        cls.account = cls.open_account(cls.meter, register=100.0)
        cls.water_account = cls.open_account(cls.water, tariff=cls.water_tariff, register=20.0)
        cls.users = {
            role: cls.new_user(role, f"sheet_{role}") for role in ("viewer", "operator", "engineer")
        }

    def sheet(self, role="operator", registers=None, **values):
        """Make a sheet with registers by meter, read 30 days after the opening."""
        moment = values.setdefault("moment", START + 30 * DAY)
        self.set_clock(max(moment, self.env["energy.clock"].search([], limit=1).project_anchor))
        lines = [
            Command.create({"meter_id": meter.id, "register": register})
            for meter, register in (registers or {}).items()
        ]
        return (
            self.env["energy.reading.sheet"]
            .with_user(self.users[role])
            .create(
                {
                    "property_id": self.site.id,
                    "line_ids": lines,
                    **values,
                }
            )
        )

    def readings(self, meter, **values):
        return self.env["energy.reading"].search(
            [("meter_id", "=", meter.id), *[(name, "=", value) for name, value in values.items()]],
            order="moment, id",
        )

    def test_sheet_is_filled_typed_and_confirmed(self):
        sheet = self.sheet()
        sheet.action_fill()
        self.assertEqual(sheet.line_ids.meter_id, self.meter + self.water)
        self.assertEqual((sheet.count, sheet.read_count), (2, 0))
        with self.refused(UserError, "No register is typed"):
            sheet.action_confirm()
        line = sheet.line_ids.filtered(lambda line: line.meter_id == self.meter)
        self.assertEqual((line.previous_register, line.previous_moment), (100, START))
        with Form(line) as form:
            form.register = 250.5
            self.assertTrue(form.is_read)
            self.assertEqual((form.use, form.check_result), (150.5, "fits"))
        line.photo = PIXEL
        sheet.action_confirm()
        self.settle()
        self.assertEqual(sheet.line_ids.mapped("state"), ["accepted", "passed"])
        self.assertEqual(self.entries(self.account), ["-90.30"])
        reading = self.readings(self.meter, source="typed")[-1]
        self.assertEqual((reading.total, reading.user_id), (250.5, self.users["operator"]))
        self.assertEqual(reading.sheet_line_id, line)
        self.assertEqual(reading.photo_url, f"/web/image/energy.reading.sheet.line/{line.id}/photo")
        self.assertEqual((self.meter.register, self.meter.read_at), (250.5, reading.moment))
        with self.refused(UserError, "stays as it is"):
            line.with_user(self.users["engineer"]).register = 3
        with self.refused(UserError, "never deleted"):
            sheet.unlink()

    def test_only_meters_that_were_not_read_for_days(self):
        self.read(self.water, START + 28 * DAY, "22")
        sheet = self.sheet(unread_days=5)
        sheet.action_fill()
        self.assertEqual(sheet.line_ids.meter_id, self.meter)
        with self.refused(UserError, "No meter is missing"):
            sheet.action_fill()
        water = self.sheet(commodity="water")
        water.action_fill()
        self.assertEqual(water.line_ids.meter_id, self.water)

    def test_zero_is_a_register_too(self):
        meter = self.make_meter("S3")
        account = self.open_account(meter)
        self.assertEqual(account.balance, 0)
        sheet = self.sheet(registers={meter: 0})
        self.assertFalse(sheet.line_ids.is_read)
        sheet.line_ids.is_read = True
        sheet.action_confirm()
        self.assertEqual(sheet.line_ids.state, "accepted")

    def test_swapped_digits_ask_for_a_reason_and_a_right(self):
        """R14"""

        def check():
            meter = self.make_meter("S4", max_power=5, register_digits=4)
            account = self.open_account(meter, register=100.0)
            sheet = self.sheet(registers={meter: 9415.0})
            line = sheet.line_ids
            self.assertEqual(line.check_result, "implausible")
            self.assertIn("100 - 3700", line.warning)
            with self.refused(UserError, "write down why"):
                sheet.action_confirm()
            line.note = "Reads so"
            sheet.action_confirm()
            self.settle()
            # Without the right it waits for somebody who has it; nothing is charged.
            self.assertEqual((line.state, account.balance), ("held", 0))
            again = self.sheet("engineer", {meter: 9416.0}, moment=START + 30 * DAY + DAY / 24)
            again.line_ids.note = "Workshop, seen on site"
            again.action_confirm()
            self.settle()
            self.assertEqual(again.line_ids.state, "accepted")
            reading = self.readings(meter, state="accepted")[-1]
            self.assertEqual(reading.note, "Workshop, seen on site")
            self.assertEqual(reading.decided_by_id, self.users["engineer"])
            self.assertEqual(account.balance, -5589.6)

        self.holds(
            check,
            (EnergyReadingSheetLine._lacks_reason, "not (self.note", "False and not (self.note"),
            (
                EnergyReadingSheetLine._store,
                'reading.state == "held" and line.note and may_overrule',
                'reading.state == "held" and line.note',
            ),
        )

    def test_far_more_than_usual_asks_too(self):
        """R14: no limit on the power is known, but what is usual"""

        def check():
            meter = self.make_meter("S5", register_digits=6)
            account = self.open_account(meter, register=100.0)
            for day in range(1, 21):
                self.read(meter, START + day * DAY, f"{100 + 10 * day}")
            self.settle()
            self.assertEqual(account.balance, -120)
            sheet = self.sheet(registers={meter: 1310.0})
            line = sheet.line_ids
            # 10 a day are usual: at most 300 + 10 days × 10 × 3 + 1.
            self.assertEqual((line.check_result, line.expected), ("unusual", "300 - 601"))
            line.note = "Digits checked twice"
            sheet.action_confirm()
            self.settle()
            self.assertEqual((line.state, account.balance), ("held", -120))
            reading = self.readings(meter, state="held")
            self.assertEqual((reading.reason, reading.expected), ("unusual", "300 - 601"))
            self.assertIn("far more than usual", line.result)
            engineer = self.sheet("engineer", {meter: 1320.0}, moment=START + 31 * DAY)
            engineer.line_ids.note = "Heating"
            engineer.action_confirm()
            self.settle()
            self.assertEqual(account.balance, -732)

        self.holds(
            check,
            (EnergyReadingSheetLine._store, "line in unusual and not may_overrule", "False"),
        )

    def test_new_meter_in_the_place_of_the_old_one_asks(self):
        """R2, R5: 31 days of 55 kW are 40,920 kWh, and 39,080 would be a rollover of five digits"""

        def check():
            meter = self.make_meter("S6", max_power=55, register_digits=5)
            account = self.open_account(meter, register=61000.0)
            moment = START + 31 * DAY
            sheet = self.sheet("engineer", {meter: 80.0}, moment=moment)
            line = sheet.line_ids
            self.assertEqual((line.use, line.check_result), (39080, "implausible"))
            self.assertEqual(line.warning, "Expected ≥ 61000.")
            line.note = "It shows that"
            sheet.action_confirm()
            self.settle()
            # Nor does a reason make it a rollover.
            self.assertEqual((line.state, account.balance), ("held", 0))
            self.assertEqual(self.readings(meter, state="held").reason, "fell")

        self.holds(
            check,
            (
                acceptance._judge_step,
                "wrapped <= limits.modulus * ROLLOVER_PART and",
                "(wrapped <= limits.modulus * ROLLOVER_PART or limits.max_power) and",
            ),
            (EnergyReadingSheetLine._step, "if step < 0 and digits", "if False"),
        )

    def test_rollover_asks_for_a_reason_and_a_right(self):
        """R2, R14: 99,990 to 10 are 20 kWh over the end of five digits"""

        def check():
            meter = self.make_meter("S7", max_power=55, register_digits=5)
            account = self.open_account(meter, register=99990.0)
            sheet = self.sheet(registers={meter: 10.0})
            line = sheet.line_ids
            self.assertEqual((line.use, line.check_result), (20, "unusual"))
            self.assertIn("with 20 kWh used", line.warning)
            with self.refused(UserError, "write down why"):
                sheet.action_confirm()
            line.note = "Rolled over"
            sheet.action_confirm()
            self.settle()
            self.assertEqual((line.state, account.balance), ("held", 0))
            self.assertEqual(self.readings(meter, state="held").reason, "fell")
            again = self.sheet("engineer", {meter: 11.0}, moment=START + 31 * DAY)
            again.line_ids.note = "Rolled over, seen on site"
            again.action_confirm()
            self.settle()
            # 21 kWh at 0.60.
            self.assertEqual((again.line_ids.state, account.balance), ("accepted", -12.6))

        self.holds(
            check,
            (
                EnergyReadingSheetLine._judge,
                "elif before and self._figure() < before.register:",
                "elif False:",
            ),
        )

    def test_what_was_typed_before_is_known(self):
        for _time in range(2):
            sheet = self.sheet(registers={self.meter: 150.0})
            sheet.action_confirm()
        self.assertEqual(sheet.line_ids.state, "duplicate")
        other = self.sheet(registers={self.meter: 151.0})
        self.assertIn("150 is accepted at that moment", other.line_ids.warning)
        other.line_ids.note = "Looked again"
        other.action_confirm()
        self.assertEqual((other.line_ids.state, other.line_ids.result), ("superseded", "150"))
        self.settle()
        self.assertEqual(self.account.balance, -30)

    def test_impossible_lines_are_refused(self):
        stranger = self.site.copy({"name": "Harbour Mall"})
        home, type(self).site = self.site, stranger
        try:
            foreign = self.make_meter("S6")
        finally:
            type(self).site = home
        for values, words in (
            ({"register": -1}, "below zero"),
            ({"register": 10000}, "more than 4 digits"),
            ({"moment": START + 100 * DAY}, "lies in the future"),
            ({"meter_id": foreign.id}, "does not stand on"),
        ):
            with self.refused(ValidationError, words):
                self.sheet(
                    line_ids=[Command.create({"meter_id": self.meter.id, "register": 1, **values})]
                )

    def test_one_reading_is_typed_from_the_meter(self):
        action = self.meter.with_user(self.users["operator"]).action_type_reading()
        self.set_clock(START + DAY)
        context = {**action["context"], "allowed_company_ids": self.company.ids}
        sheets = self.env["energy.reading.sheet"].with_user(self.users["operator"])
        with Form(sheets.with_context(**context)) as form, form.line_ids.edit(0) as line:
            self.assertEqual(line.meter_id, self.meter)
            line.register = 110
            self.assertEqual((line.check_result, line.use), ("fits", 10))
        form.record.action_confirm()
        self.assertEqual(form.record.line_ids.state, "accepted")
        self.assertEqual(
            self.env["energy.room"].browse(self.meter.id).action_type_reading()["res_model"],
            "energy.reading.sheet",
        )

    def test_rights(self):
        with self.refused():
            self.sheet("viewer")
        sheet = self.sheet(registers={self.meter: 150.0})
        with self.refused():
            sheet.with_user(self.users["viewer"]).action_confirm()
        with self.refused(AccessError, "by “Confirm”"):
            sheet.state = "done"
        with self.refused(AccessError, "by “Confirm”"):
            sheet.line_ids.state = "accepted"
        with self.refused(AccessError, "by “Confirm”"):
            sheet.line_ids = [Command.create({"meter_id": self.water.id, "state": "accepted"})]
        sheet.action_cancel()
        with self.refused(UserError, "stays as it is"):
            sheet.action_confirm()
        self.assertEqual(
            self.readings(self.meter).mapped(lambda reading: Decimal(str(reading.total))),
            [Decimal(100)],
        )
