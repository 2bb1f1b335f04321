from odoo.tests import tagged
from odoo.tools import file_open, mute_logger

from .common import FieldCommon

OPTIONS = {
    "has_headers": True,
    "quoting": '"',
    "separator": ",",
    "encoding": "utf-8",
    "date_format": "",
    "datetime_format": "",
    "float_thousand_separator": "",
    "float_decimal_separator": ".",
}
METERS = 300


@tagged("post_install", "-at_install")
class TestMeterImport(FieldCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with file_open("prepaid_energy_meter/static/import/meters.csv") as template:
            cls.columns = template.readline().strip().split(",")
        cls.rooms = cls.env["energy.property"].create(
            [{"name": f"R{n:03}", "kind": "room", "parent_id": cls.site.id} for n in range(METERS)]
        )
        cls.buses = cls.env["energy.gateway"].create(
            [
                {"name": f"Import {n}", "site_id": cls.site.id, "host": f"192.0.2.{100 + n}"}
                for n in range(2)
            ]
        )

    def row(self, n, **values):
        return {
            "name": f"IMP{n:05}",
            "commodity": "Electricity",
            "property_id": self.rooms[n].complete_name,
            "driver": "Modbus",
            "gateway_id": f"Import {n // 200}",
            "unit_id": str(n % 200 + 1),
            "profile_id": "acrel_ddsy1352" if n % 2 else "Acrel DDSY1352",
            "read_interval": "15",
            "plate_ct": "20" if n % 3 else "1",
            "plate_pt": "1",
            "register_digits": "6",
            "max_power": "15",
            "is_protected": "",
            **values,
        }

    def load(self, rows):
        """Import rows as the screen does, by an engineer."""
        lines = [self.columns, *([row[name] for name in self.columns] for row in rows)]
        importer = (
            self.env["base_import.import"]
            .with_user(self.user("engineer"))
            .create(
                {
                    "res_model": "energy.meter",
                    "file": "\n".join(",".join(line) for line in lines).encode(),
                    "file_type": "text/csv",
                    "file_name": "meters.csv",
                }
            )
        )
        preview = importer.parse_preview(dict(OPTIONS))
        self.assertNotIn("error", preview)
        return importer.execute_import(self.columns, self.columns, dict(OPTIONS))

    def test_hundreds_of_meters_in_one_sheet(self):
        result = self.load([self.row(n) for n in range(METERS)])
        self.assertEqual(result["messages"], [])
        meters = self.env["energy.meter"].browse(result["ids"])
        self.assertEqual(len(meters), METERS)
        self.assertEqual(self.buses.mapped("meter_count"), [200, 100])
        self.assertEqual(meters.profile_id, self.power)
        self.assertFalse(any(meters.mapped("is_commissioned")))
        self.assertRecordValues(
            meters[7],
            [
                {
                    "name": "IMP00007",
                    "property_id": self.rooms[7].id,
                    "unit_id": 8,
                    "read_interval": 15,
                    "plate_ct": 20,
                }
            ],
        )
        sheet = self.env["energy.meter.commissioning"].create({"meter_id": meters[7].id})
        self.assertEqual([sheet._line(c).typed_value for c in ("ct", "pt")], ["20", "1"])

    def test_faulty_lines_are_named_and_nothing_is_taken(self):
        rows = [self.row(n) for n in range(6)]
        rows[1]["gateway_id"] = "No such riser"
        rows[2]["profile_id"] = "no_such_type"
        rows[3]["property_id"] = "Nowhere"
        rows[5]["driver"] = "Telepathy"
        with mute_logger("odoo.sql_db"):
            result = self.load(rows)
        self.assertFalse(result["ids"])
        self.assertEqual({message["rows"]["from"] for message in result["messages"]}, {1, 2, 3, 5})
        self.assertFalse(self.buses.meter_ids)

    def test_two_meters_of_one_number_are_refused(self):
        rows = [self.row(n) for n in range(4)]
        rows[3]["unit_id"] = rows[2]["unit_id"]
        with mute_logger("odoo.sql_db"):
            result = self.load(rows)
        [message] = result["messages"]
        self.assertEqual(message["rows"]["from"], 3)
        self.assertIn("unit number", message["message"])
        self.assertFalse(self.buses.meter_ids)

    def test_template_is_offered(self):
        [template] = self.env["energy.meter"].get_import_templates()
        self.assertTrue(template["template"].endswith("/static/import/meters.csv"))
        known = self.env["energy.meter"]._fields
        self.assertEqual([name for name in self.columns if name not in known], [])
