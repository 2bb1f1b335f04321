import json

from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from ..modbus.profile import Profile
from ..models.energy_meter_profile_part import EnergyMeterProfilePart
from ..models.energy_meter_profile_shipped import FOLDER
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestProfile(PropertyCase, FieldCommon):
    def test_shipped_profiles_are_what_their_files_say(self):
        files = sorted(FOLDER.glob("*.json"))
        self.assertTrue(files)
        for file in files:
            wanted = Profile.from_dict(json.loads(file.read_text()))
            record = self.env["energy.meter.profile"].search([("code", "=", wanted.code)])
            self.assertEqual(record._profile(), wanted)
            self.assertTrue(record.is_shipped)

    def test_loading_again_changes_nothing(self):
        registers = self.env["energy.register"].search([])
        self.env["energy.meter.profile"]._load_shipped()
        self.assertEqual(self.env["energy.register"].search([]), registers)

    def test_loading_brings_a_shipped_profile_back_in_line(self):
        self.env.cr.execute(
            "UPDATE energy_register SET address = '0x0100'"
            " WHERE profile_id = %s AND meaning = 'total'",
            [self.power.id],
        )
        self.env.invalidate_all()
        self.assertEqual(self.power._profile().named("total").address, 0x100)
        self.env["energy.meter.profile"]._load_shipped()
        self.assertEqual(self.power._profile().named("total").address, 0)
        self.assertEqual(self.meter.profile_id, self.power)

    def test_shipped_profile_is_not_edited(self):
        engineer = self.user("engineer")
        for context in ({}, {"energy_loading": True}):
            profile = self.power.with_user(engineer).with_context(**context)
            with self.assertRaises(UserError):
                profile.max_gap = 5
            with self.assertRaises(UserError):
                profile.register_ids[0].address = "0x0007"
            with self.assertRaises(UserError):
                profile.register_ids[0].unlink()
            with self.assertRaises(UserError):
                profile.unlink()

    def test_every_part_of_a_shipped_profile_stays(self):
        parts = (self.power.register_ids[0], self.power.flag_ids[0])

        def check():
            for part in parts:
                for change in (
                    lambda part=part: part.write({"sequence": 99}),
                    lambda part=part: part.copy(),
                    lambda part=part: part.unlink(),
                ):
                    with self.assertRaises(UserError), self.env.cr.savepoint():
                        change()

        self.holds(check, (EnergyMeterProfilePart._changes, "_refuse_shipped", "exists"))

    def test_a_part_is_judged_with_the_whole_map(self):
        copy = self.power.copy()

        def check():
            for part, change in (
                (copy.register_ids[0], {"address": "x"}),
                (copy.flag_ids[0], {"mask": "x"}),
            ):
                with self.assertRaises(ValidationError), self.env.cr.savepoint():
                    part.write(change)
            self.env.invalidate_all()

        self.holds(check, (EnergyMeterProfilePart._check_profile, "_check_map", "exists"))

    def test_engineer_copies_and_edits_the_copy(self):
        copy = self.power.with_user(self.user("engineer")).copy()
        self.assertFalse(copy.is_shipped)
        self.assertEqual(copy.code, "acrel_ddsy1352_copy")
        self.assertEqual(copy._profile().registers, self.power._profile().registers)
        copy.register_ids.filtered(lambda r: r.meaning == "total").address = "0x0215"
        self.assertEqual(copy._profile().named("total").address, 0x215)
        copy.unlink()

    def test_contradiction_is_named(self):
        copy = self.power.copy()
        with self.assertRaisesRegex(ValidationError, "max_block"):
            copy.max_block = 200
        with self.assertRaisesRegex(ValidationError, "total"):
            copy.register_ids.filtered(lambda r: r.meaning == "total").type = "string"
        with self.assertRaisesRegex(ValidationError, "on 'x' is not within"):
            copy.control_on = "x"
        with self.assertRaisesRegex(ValidationError, "same words"):
            copy.control_on = copy.control_off

    def test_unit_follows_the_commodity(self):
        units = {r.meaning: r.unit for r in self.water.register_ids}
        self.assertEqual((units["total"], units["flow"]), ("m3", "m3/h"))
        self.assertFalse(units["supply_state"])
