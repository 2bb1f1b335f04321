from odoo import fields
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.tests import Form, tagged

from ..models.energy_meter_profile_part import EnergyMeterProfilePart as Part
from ..models.energy_meter_profile_signed import EnergyMeterProfile as Signed
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestProfileSigned(PropertyCase, FieldCommon):
    """What a sheet was signed for stands in the profile, too."""

    def setUp(self):
        super().setUp()
        self.copy = self.power.copy()
        self.meter.profile_id = self.copy
        self.sheets = self.env["energy.meter.commissioning"]

    def register(self, meaning):
        return self.copy.register_ids.filtered(lambda register: register.meaning == meaning)

    def tried(self, change):
        """Whether the meter, signed, has to be signed again after a change."""
        with self.env.cr.savepoint() as savepoint:
            self.meter._take_over_commissioned("test")
            change()
            is_signed = self.meter.is_commissioned
            sheet = self.meter.commissioning_ids
            self.assertEqual(sheet.state, "done" if is_signed else "superseded")
            savepoint.rollback()
        self.env.invalidate_all()
        return not is_signed

    def line(self, meaning, **values):
        return [fields.Command.update(self.register(meaning).id, values)]

    def check_what_is_signed_for(self):
        for change in (
            lambda: self.copy.write({"control_on": "0x1111"}),
            lambda: self.copy.write({"on_mask": "0x0008", "on_value": "0x0008"}),
            lambda: self.copy.write({"figures": "primary"}),
            lambda: self.register("total").write({"scale": "0.1"}),
            lambda: self.register("serial").unlink(),
            lambda: self.copy.write({"register_ids": self.line("ct_ratio", address="0x0300")}),
            lambda: self.copy.write({"register_ids": self.line("supply_state", word_order="BADC")}),
            # Unconfirmed, and then confirmed: nobody has signed for how it is switched.
            lambda: self.copy.write({"control_certainty": "C", "control_confirmation": False}),
        ):
            self.assertTrue(self.tried(change))

    def test_what_a_sheet_is_signed_for_is_signed_again(self):
        self.holds(
            self.check_what_is_signed_for,
            (Signed.write, "with self._compared():", "if True:"),
            (Part.write, "with (self.profile_id", "if (self.profile_id"),
            (Part.unlink, "with self.profile_id._compared():", "if True:"),
            (Signed._compared, "changed._sheets(SIGNED)._supersede()", "pass"),
            (Signed._basis, "return profile.values, control, registers", "return control"),
            (Signed._basis, "return profile.values, control, registers", "return registers"),
            (Signed._basis, "control.is_usable and", ""),
        )

    def check_what_is_not_signed_for(self):
        voltage = self.register("voltage")
        again = [
            fields.Command.clear(),
            *(
                fields.Command.create(register.copy_data()[0])
                for register in self.copy.register_ids
            ),
        ]
        for change in (
            lambda: self.copy.write({"source": "The same, in other words"}),
            lambda: self.copy.write({"settle": "5", "control_source": "page 7"}),
            lambda: self.copy.write({"control_confirmation": "Mr Lee, 17"}),
            lambda: voltage.write({"scale": "1"}),
            lambda: self.copy.write({"register_ids": again}),
            lambda: self.power.with_context(active_test=False)._load_shipped(),
        ):
            self.assertFalse(self.tried(change))

    def test_what_no_sheet_is_signed_for_leaves_it(self):
        self.holds(
            self.check_what_is_not_signed_for,
            (Signed._basis, "if register.meaning in SIGNED_FOR", "if True"),
            (Signed._basis, '"settle": 0, ', ""),
            (
                Signed._compared,
                'if self.env.context.get("energy_profile_compared") is _COMPARED:',
                "if False:",
            ),
        )

    def test_shipped_profile_with_another_text_supersedes_nothing(self):
        self.meter.profile_id = self.power
        self.meter._take_over_commissioned("test")
        for column in ("source = 'x'", "control_on = '0x1111'"):
            self.env.cr.execute(
                f"UPDATE energy_meter_profile SET {column} WHERE id = %s",
                [self.power.id],
            )
            self.env.invalidate_all()
            self.env["energy.meter.profile"]._load_shipped()
            self.assertNotEqual(self.power.source, "x")
            self.assertEqual(self.meter.is_commissioned, column.startswith("source"))

    def test_a_sheet_that_is_begun_forgets_what_was_read_by_the_old_map(self):
        sheet = self.sheets.create({"meter_id": self.meter.id})
        sheet._fill({"total": "100.50"}, fields.Datetime.now())
        self.register("voltage").scale = "1"
        self.assertTrue(sheet.read_at)
        self.register("total").scale = "0.1"
        self.assertFalse(sheet.read_at or sheet._line("opening").read_value)

    def test_the_form_says_so_before_it_is_saved(self):
        self.meter._take_over_commissioned("test")
        self.assertEqual(self.copy.signed_again_count, 0)
        with Form(self.copy) as form:
            form.source = "The same, in other words"
            self.assertEqual(form.signed_again_count, 0)
            form.control_on = "0x1111"
            self.assertEqual(form.signed_again_count, 1)
        self.assertEqual(self.copy.signed_again_count, 0)
        self.assertFalse(self.meter.is_commissioned)
