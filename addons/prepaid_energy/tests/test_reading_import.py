import io
from datetime import datetime, timedelta

import openpyxl
from odoo.tests import tagged
from odoo.tools import file_open, mute_logger

from .common import START, EnergyCase

DAY = timedelta(days=1)
OPTIONS = {
    "has_headers": True,
    "quoting": '"',
    "separator": ",",
    "encoding": "utf-8",
    "date_format": "",
    "datetime_format": "%Y-%m-%d %H:%M:%S",
    "float_thousand_separator": "",
    "float_decimal_separator": ".",
}
FIELDS = ["meter_id", "moment", "register", "note"]


@tagged("post_install", "-at_install")
class TestImport(EnergyCase):
    """Files of readings: CSV and XLSX, through Odoo's own import."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meters = [
            cls.make_meter(name, max_power=5, register_digits=5) for name in ("10001", "10002")
        ]
        cls.accounts = [cls.open_account(meter, register=50.0) for meter in cls.meters]
        cls.set_clock(START + 30 * DAY)
        cls.user = cls.new_user(
            "operator",
            "import_operator",
            tz="Asia/Shanghai",
        )
        cls.sheet = (
            cls.env["energy.reading.sheet"]
            .with_user(cls.user)
            .create({"property_id": cls.site.id, "moment": START + 30 * DAY})
        )

    def load(self, content, kind="text/csv", mapped=FIELDS, **options):
        """Import a file as the screen does: read it, map its columns, load its lines."""
        importer = (
            self.env["base_import.import"]
            .with_user(self.user)
            .with_context(default_sheet_id=self.sheet.id, tz="Asia/Shanghai")
            .create(
                {
                    "res_model": "energy.reading.sheet.line",
                    "file": content,
                    "file_type": kind,
                    "file_name": "readings",
                }
            )
        )
        options = {**OPTIONS, **options}
        preview = importer.parse_preview(dict(options))
        self.assertNotIn("error", preview)
        result = importer.execute_import(list(mapped), list(mapped), options)
        return preview, result

    def csv(self, *rows):
        return "\n".join(["Meter,Read On,Reading,Reason", *rows]).encode()

    def test_csv_becomes_readings(self):
        preview, result = self.load(
            self.csv("10001,2026-03-30 09:30:00,60.5,", "10002,2026-03-30 09:35:00,70,")
        )
        # Columns are found by their names.
        self.assertEqual(
            [preview["matches"][column][0] for column in range(4)],
            ["meter_id", "moment", "register", "note"],
        )
        self.assertFalse(result["messages"])
        lines = self.sheet.line_ids
        self.assertEqual(lines.mapped("source"), ["import"] * 2)
        # 09:30 in Shanghai.
        self.assertEqual(lines[0].moment, datetime(2026, 3, 30, 1, 30))
        self.sheet.action_confirm()
        self.settle()
        self.assertEqual(lines.mapped("state"), ["accepted"] * 2)
        self.assertEqual([account.balance for account in self.accounts], [-6.3, -12])
        readings = self.env["energy.reading"].search([("source", "=", "import")])
        self.assertEqual(set(readings.mapped("total")), {60.5, 70})
        self.assertEqual(readings.user_id, self.user)

    def test_xlsx_with_columns_of_its_own(self):
        book = openpyxl.Workbook()
        page = book.active
        page.append(["电表编号", "Remark", "When", "kWh"])
        page.append([10001, "ok", datetime(2026, 3, 30, 9, 30), 60.25])
        page.append(["10002", None, "2026-03-30 09:35:00", "1,070.5"])
        stream = io.BytesIO()
        book.save(stream)
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        _preview, result = self.load(
            stream.getvalue(),
            kind,
            mapped=["meter_id", "note", "moment", "register"],
            float_thousand_separator=",",
            sheet="Sheet",
        )
        self.assertFalse(result["messages"])
        self.assertEqual(self.sheet.line_ids.mapped("register"), [60.25, 1070.5])
        self.assertEqual(self.sheet.line_ids[0].moment, datetime(2026, 3, 30, 1, 30))

    @mute_logger("odoo.sql_db")
    def test_wrong_lines_are_named_and_nothing_is_stored(self):
        _preview, result = self.load(
            self.csv(
                "10001,2026-03-30 09:30:00,60.5,",
                "99999,2026-03-30 09:30:00,60.5,",
                "10002,2026-03-30 09:30:00,-3,",
                "10002,2027-03-30 09:30:00,61,",
                "10002,2026-03-29 09:30:00,1234567,",
            )
        )
        self.assertFalse(result["ids"])
        self.assertFalse(self.sheet.line_ids)
        found = [
            (message["rows"]["from"], message["message"])
            for message in result["messages"]
            if message["type"] == "error"
        ]
        for line, words in (
            (1, "99999"),
            (2, "below zero"),
            (3, "lies in the future"),
            (4, "more than 5 digits"),
        ):
            self.assertTrue(
                any(row == line and words in message for row, message in found), (line, found)
            )
        self.assertFalse(any(row == 0 for row, _message in found), found)

    def test_only_the_wrong_line_is_named(self):
        _preview, result = self.load(
            self.csv("10001,2026-03-30 09:30:00,60.5,", "10002,2026-03-30 09:30:00,-3,")
        )
        found = [(message["rows"]["from"], message["message"]) for message in result["messages"]]
        self.assertEqual(found, [(1, "Meter 10002: a register cannot be below zero.")])
        self.assertFalse(self.sheet.line_ids)

    def test_registers_that_are_no_numbers_are_named(self):
        _preview, result = self.load(
            self.csv("10001,2026-03-30 09:30:00,60.5,", "10002,2026-03-30 09:30:00,sixty,")
        )
        self.assertFalse(result.get("ids"))
        self.assertIn("sixty", result["messages"][0]["message"])
        self.assertFalse(self.sheet.line_ids)

    @mute_logger("odoo.sql_db")
    def test_meter_that_stands_twice_is_named(self):
        _preview, result = self.load(
            self.csv("10001,2026-03-30 09:30:00,60.5,", "10001,2026-03-30 09:30:00,61,")
        )
        self.assertFalse(result["ids"])
        self.assertIn("stands twice", result["messages"][-1]["message"])

    def test_decimal_commas(self):
        _preview, result = self.load(
            self.csv('10001,2026-03-30 09:30:00,"1.060,5",'),
            float_thousand_separator=".",
            float_decimal_separator=",",
        )
        self.assertFalse(result["messages"])
        self.assertEqual(self.sheet.line_ids.register, 1060.5)

    def test_template_can_be_imported(self):
        self.set_clock(START + 31 * DAY)
        (template,) = self.env["energy.reading.sheet.line"].get_import_templates()
        with file_open(template["template"].lstrip("/"), "rb") as file:
            content = file.read()
        _preview, result = self.load(content)
        self.assertFalse(result["messages"])
        self.assertEqual(self.sheet.line_ids.mapped("register"), [1234.56, 87.2])

    def test_file_is_imported_into_the_sheet(self):
        action = self.sheet.action_import()
        self.assertEqual(action["tag"], "import")
        self.assertEqual(action["params"]["context"], {"default_sheet_id": self.sheet.id})
