import base64
import json

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..modbus.profile import Profile
from ..models.energy_meter_profile_shipped import FOLDER
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestProfileFile(FieldCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engineer = cls.user("engineer")

    def wizard(self, data):
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        return (
            self.env["energy.profile.import"]
            .with_user(self.engineer)
            .create({"file": base64.b64encode(text)})
        )

    def exported(self, profile):
        return base64.b64decode(profile.file)

    def test_what_is_exported_is_what_was_there(self):
        for file in sorted(FOLDER.glob("*.json")):
            wanted = Profile.from_dict(json.loads(file.read_text()))
            record = self.env["energy.meter.profile"].search([("code", "=", wanted.code)])
            text = self.exported(record).decode()
            self.assertEqual(Profile.from_dict(json.loads(text)), wanted)
            # A register a line, as in the shipped files.
            lines = [line for line in text.splitlines() if '"meaning"' in line]
            self.assertEqual(len(lines), len(wanted.registers))

    def test_export_is_a_download(self):
        action = self.power.with_user(self.user("viewer")).action_export()
        self.assertRegex(action["url"], r"/file/acrel_ddsy1352\.json\?download=true$")

    def test_import_of_an_export_is_a_profile_of_its_own(self):
        wizard = self.wizard(self.exported(self.power))
        self.assertFalse(wizard.problems)
        self.assertEqual((wizard.name, wizard.code), ("Acrel DDSY1352", "acrel_ddsy1352_2"))
        self.assertIn("belongs to Acrel DDSY1352", wizard.summary)
        action = wizard.action_import()
        profile = self.env["energy.meter.profile"].browse(action["res_id"])
        self.assertFalse(profile.is_shipped)
        self.assertEqual(profile.code, "acrel_ddsy1352_2")
        self.assertEqual(profile._profile().registers, self.power._profile().registers)
        self.assertEqual(profile._profile().control, self.power._profile().control)
        # And so on with the next.
        self.assertEqual(self.wizard(self.exported(self.power)).code, "acrel_ddsy1352_3")
        wizard = self.wizard(self.exported(self.power))
        wizard.code = "acrel_ddsy1352"
        with self.assertRaisesRegex(UserError, "Another profile has the code"):
            wizard.action_import()

    def test_archived_profile_keeps_its_code(self):
        copy = self.power.copy()
        copy.active = False
        self.assertEqual(self.power.copy().code, "acrel_ddsy1352_copy_2")
        wizard = self.wizard(self.exported(copy))
        self.assertIn("archived", wizard.summary)
        self.assertEqual(wizard.code, "acrel_ddsy1352_copy_3")

    def test_faults_are_named_with_their_places(self):
        data = json.loads(self.exported(self.power))
        data["registers"][3]["type"] = "u33"
        data["registers"][5]["address"] = "12z"
        data["control"]["poll"] = "0"
        problems = self.wizard(data).problems.splitlines()
        self.assertEqual(len(problems), 3)
        self.assertIn("register 4 (band_3): unknown type 'u33'", problems[0])
        self.assertIn("register 6 (voltage): address '12z'", problems[1])
        self.assertIn("control: 0 < poll <= settle", problems[2])
        with self.assertRaisesRegex(UserError, "u33"):
            self.wizard(data).action_import()

    def test_what_is_no_profile_is_named_as_that(self):
        for text, sentence in (
            (b'{"code": 1,\n "name" 2}', "Line 2, column 9"),
            (b"\xff\xfe\x00", "no text"),
            (b"[1, 2]", "no names and values"),
            (b"{}", "unknown commodity"),
            (b"[" * 100_000, "no profile"),
        ):
            self.assertIn(sentence, self.wizard(text).problems)
        with self.assertRaisesRegex(UserError, "Choose a file"):
            self.env["energy.profile.import"].create({}).action_import()

    def test_somebody_else_s_word_is_not_taken_over(self):
        data = json.loads(self.exported(self.power))
        data["control"].update(certainty="C", confirmed="Somebody, somewhere")
        wizard = self.wizard(data)
        self.assertIn("not taken over", wizard.summary)
        profile = self.env["energy.meter.profile"].browse(wizard.action_import()["res_id"])
        self.assertFalse(profile.control_confirmation or profile.is_switch_usable)

    def test_only_engineers_import(self):
        for role in ("viewer", "operator", "finance"):
            with self.assertRaises(AccessError):
                self.env["energy.profile.import"].with_user(self.user(role)).create({})

    def test_editor_shows_reads_and_problems(self):
        self.assertEqual(
            self.power.block_plan,
            "Each reading: 0000-0010, 0224-0225\nOnce a day: 0022, 0213-0214, 0228-022B, 03A0-03A6",
        )
        eastron = self.env["energy.meter.profile"].search([("code", "=", "eastron_sdm120")])
        self.assertIn("0046-004B (04)", eastron.block_plan)
        copy = self.power.copy()
        total = copy.register_ids.filtered(lambda r: r.meaning == "total")
        self.assertEqual(total.place, "0000-0001")
        draft = copy.new(origin=copy)
        draft.register_ids.filtered(lambda r: r.meaning == "total").type = "string"
        self.assertIn("total", draft.problems)
        self.assertFalse(draft.block_plan)
        with self.assertRaises(ValidationError):
            total.type = "string"

    def test_profile_that_is_begun_says_nothing_yet(self):
        draft = self.env["energy.meter.profile"].new({})
        self.assertFalse(draft.problems or draft.block_plan)

    def test_copy_opens_the_copy(self):
        action = self.power.with_user(self.engineer).action_copy()
        copy = self.env["energy.meter.profile"].browse(action["res_id"])
        self.assertEqual((copy.code, copy.is_shipped), ("acrel_ddsy1352_copy", False))
