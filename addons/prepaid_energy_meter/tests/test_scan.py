from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..connector import outbox
from ..modbus.driver import JobResult
from ..models.energy_gateway_scan_line import EnergyGatewayScanLine
from ..models.energy_gateway_to_do import EnergyCommand
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestScan(PropertyCase, FieldCommon):
    def new_scan(self, **values):
        return self.env["energy.gateway.scan"].create(
            {"gateway_id": self.gateway.id, "units": "1-5", **values}
        )

    def unit(self, number, **values):
        return {
            "unit": number,
            "profile": self.power.id,
            "told_by": "type_code",
            "also": [],
            "serial": f"SN{number}",
            "total": "10.00",
            "ct": "1",
            "pt": "1",
            "doubled": "",
            **values,
        }

    def answer(self, scan, *units):
        scan.action_start()
        result = {"done": 5, "of": 5, "units": list(units)}
        outbox.finish_job(self.env, scan.command_id.id, JobResult("confirmed", result))
        scan.invalidate_recordset()

    def verdicts(self, scan):
        return [(line.unit_id, line.verdict, line.is_chosen) for line in scan.line_ids]

    def test_order_names_units_and_likely_types_first(self):
        scan = self.new_scan(units="3, 1-2,5")
        scan.action_start()
        arguments = scan.command_id.arguments
        self.assertEqual(arguments["units"], [1, 2, 3, 5])
        self.assertEqual(arguments["profiles"][0] in scan.profile_ids.ids, True)
        first = self.env["energy.meter.profile"].browse(arguments["profiles"][0])
        self.assertEqual(first._scanned_by(), "type_code")
        self.assertTrue(scan.is_waiting)
        with self.assertRaises(UserError):
            scan.action_start()

    def test_default_types_are_those_that_can_be_recognised(self):
        profiles = self.new_scan().profile_ids
        self.assertIn(self.power, profiles)
        self.assertFalse(profiles.filtered(lambda p: p.certainty == "C" or not p._scanned_by()))

    def test_units_that_are_no_numbers_are_refused(self):
        for units in ("0-5", "1-248", "x", "5-1", "1,,2"):
            with self.assertRaises(ValidationError):
                self.new_scan(units=units)

    def test_what_is_known_is_said_of_each_unit(self):
        typed = self.env["energy.meter"].create({"name": "00SN4", "property_id": self.room.id})
        self.meter.name = "SN1"
        elsewhere = self.env["energy.gateway"].create(
            {"name": "Riser 2", "site_id": self.site.id, "host": "192.0.2.11"}
        )
        self.create_meter("SN5", 9).gateway_id = elsewhere
        scan = self.new_scan()
        self.answer(
            scan,
            self.unit(1),
            self.unit(2),
            self.unit(3),
            self.unit(4),
            self.unit(5),
            self.unit(6, doubled="its register goes back: 2, 1"),
            self.unit(7, profile=None, told_by="", serial=None),
            self.unit(8, told_by="total", serial=None),
        )
        self.assertEqual(
            self.verdicts(scan),
            [
                (1, "known", False),
                (2, "other", False),
                (3, "new", True),
                (4, "unassigned", True),
                (5, "moved", False),
                (6, "doubled", False),
                (7, "unknown", False),
                (8, "new", False),
            ],
        )
        lines = {line.unit_id: line for line in scan.line_ids}
        self.assertEqual((lines[1].meter_id, lines[4].meter_id), (self.meter, typed))
        self.assertIn("FIELD-2 is expected here, SN2 answers", lines[2].finding)
        self.assertIn("Riser 2, number 9", lines[5].finding)
        self.assertEqual(lines[8].name, "Riser 1/008")

    def test_another_type_where_a_meter_is_expected_is_not_in_order(self):
        codes = ("eastron_sdm630", "acrel_dtsy1352")
        eastron, three_phase = (
            self.env["energy.meter.profile"].search([("code", "=", code)]) for code in codes
        )
        silent = {"told_by": "total", "serial": None}
        nothing = {"profile": None, "told_by": "", "serial": None}
        looked_for = (self.power | self.water | eastron | three_phase).ids
        both = f"FIELD-1 is expected here, a {self.power.name}; "

        def verdict(profiles, **values):
            scan = self.new_scan(profile_ids=profiles)
            self.answer(scan, self.unit(1, **values))
            return scan.line_ids.verdict, scan.line_ids.finding or ""

        def check():
            for values, said, finding in (
                # No serial number tells these apart.
                ({**silent, "profile": eastron.id}, "other", both + f"a {eastron.name} answers"),
                (nothing, "unknown", both + "what answers is none"),
                ({"serial": None}, "known", ""),
                ({**silent, "profile": eastron.id, "also": [self.power.id]}, "known", ""),
                ({"serial": "FIELD-1"}, "known", ""),
                ({"serial": "FIELD-1", "profile": three_phase.id}, "other", three_phase.name),
            ):
                with self.env.cr.savepoint() as savepoint:
                    found = verdict(looked_for, **values)
                    self.assertEqual(found[0], said, values)
                    self.assertIn(finding, found[1])
                    self.assertEqual(bool(finding), bool(found[1]))
                    savepoint.rollback()
                self.env.invalidate_all()

        self.holds(
            check,
            (EnergyGatewayScanLine._verdict, "self._verdict_by_type(here)", '("known", here, "")'),
        )
        # The type of the meter was not looked for: only a type code speaks against it.
        self.assertEqual(verdict(eastron.ids, **silent, profile=eastron.id)[0], "known")
        self.assertIn("not looked for", verdict(eastron.ids, **nothing)[1])
        self.assertEqual(verdict(three_phase.ids, profile=three_phase.id, serial=None)[0], "other")

    def test_archived_meter_is_no_new_one(self):
        meters = self.env["energy.meter"]
        gone = meters.create({"name": "000 sn3", "property_id": self.room.id, "active": False})
        former = meters.create({"name": "SN4", "property_id": self.room.id, "active": False})
        present = meters.create({"name": "SN4", "property_id": self.room.id})
        # Nobody is expected where a meter was.
        self.create_meter("SN9", 5).active = False
        scan = self.new_scan()
        self.answer(scan, self.unit(3), self.unit(4), self.unit(5))
        self.assertEqual(
            self.verdicts(scan),
            [(3, "archived", False), (4, "unassigned", True), (5, "new", True)],
        )
        self.assertEqual(scan.line_ids.mapped("meter_id"), gone | present)
        self.assertNotIn(former, scan.line_ids.meter_id)
        self.assertIn("000 sn3 has this serial number", scan.line_ids[0].finding)
        scan.line_ids[0].is_chosen = True
        scan.action_create_meters()
        self.assertFalse(gone.active)
        self.assertEqual(meters.search_count([("name", "ilike", "SN3")]), 0)

    def test_one_click_creates_what_is_new_and_nothing_twice(self):
        typed = self.env["energy.meter"].create({"name": "SN4", "property_id": self.room.id})
        scan = self.new_scan()
        self.answer(
            scan,
            self.unit(3),
            self.unit(4),
            self.unit(7, profile=self.water.id, serial=None, told_by="total"),
            self.unit(8, doubled="answers with several serial numbers: A, B"),
        )
        lines = {line.unit_id: line for line in scan.line_ids}
        lines[3].property_id = self.room
        lines[7].is_chosen = True
        made = self.env["energy.meter"].search(scan.action_create_meters()["domain"])
        self.assertEqual(
            sorted((m.name, m.unit_id, m.profile_id, m.property_id) for m in made),
            sorted(
                [
                    ("SN3", 3, self.power, self.room),
                    ("SN4", 4, self.power, self.room),
                    ("Riser 1/007", 7, self.water, self.site),
                ]
            ),
        )
        self.assertIn(typed, made)
        self.assertEqual(made.mapped("is_commissioned"), [False] * 3)
        self.assertEqual(made.filtered(lambda m: m.unit_id == 7).commodity, "water")
        with self.assertRaisesRegex(UserError, "not here yet"):
            scan.action_create_meters()
        # The same scan again finds them all known.
        again = self.new_scan()
        self.answer(again, self.unit(3), self.unit(4), self.unit(7, profile=self.water.id))
        self.assertEqual([row[1] for row in self.verdicts(again)][:2], ["known", "known"])

    def test_stopped_keeps_what_was_found(self):
        scan = self.new_scan()
        scan.action_start()
        command = scan.command_id
        found = {"done": 3, "of": 5, "units": [self.unit(3)]}
        outbox.take_jobs(self.env, self.gateway.ids, [command.id], {command.id: found})
        for role in ("operator", "finance"):
            with self.assertRaises(AccessError):
                scan.with_user(self.user(role)).action_stop()
        engineer = self.user("engineer")
        scan.with_user(engineer).action_stop()
        self.assertEqual((command.state, scan.is_waiting, scan.progress), ("stopped", False, 60))
        self.assertIn(engineer.name, command.error)
        self.assertEqual(self.verdicts(scan), [(3, "new", True)])
        # The connector hears of it, and what its bus brings later changes nothing.
        _orders, unwanted = outbox.take_jobs(self.env, self.gateway.ids, [command.id], {})
        self.assertEqual(unwanted, {command.id})
        late = {"done": 5, "of": 5, "units": [self.unit(3), self.unit(4)]}
        outbox.finish_job(self.env, command.id, JobResult("confirmed", late))
        self.assertEqual((command.state, len(scan.line_ids)), ("stopped", 1))
        # It is nobody's to-do, and it can begin again; a second press does nothing.
        self.assertFalse(self.to_do())
        scan.action_stop()
        scan.action_start()
        self.assertTrue(scan.is_waiting)

    def test_stopped_before_anything_was_found(self):
        scan = self.new_scan()
        scan.action_start()
        scan.action_stop()
        self.assertEqual((scan.state, len(scan.line_ids)), ("stopped", 0))

    def to_do(self, state="open"):
        return self.env["energy.meter.finding"].search(
            [("gateway_id", "=", self.gateway.id), ("state", "=", state)]
        )

    def test_failed_scan_is_to_be_done_until_another_is_ordered(self):
        scan = self.new_scan()

        def check():
            with self.env.cr.savepoint() as savepoint:
                scan.action_start()
                failed = JobResult("failed", error="no profile to look for")
                outbox.finish_job(self.env, scan.command_id.id, failed)
                finding = self.to_do()
                self.assertIn("no profile to look for", finding.details or "")
                self.assertEqual((finding.kind, finding.site_id), ("order", self.site))
                self.assertIn("Riser 1", finding.display_name)
                self.assertEqual(finding.with_user(self.user("viewer")).gateway_id, self.gateway)
                finding.with_user(self.user("engineer")).action_order_again()
                self.assertTrue(scan.is_waiting)
                self.assertFalse(self.to_do())
                savepoint.rollback()
            self.env.invalidate_all()

        self.holds(
            check,
            (EnergyCommand._set, 'if state == "failed":', "if False:"),
            (
                EnergyCommand._command,
                'self._sync_to_do(standing.gateway_id.ids, "gateway_id")',
                "pass",
            ),
        )

    def test_order_to_a_gateway_that_nobody_took_is_to_be_done(self):
        command = self.gateway._order_job("probe", {"unit": 1, "profile": self.power.id})
        self.env.cr.execute(
            "ALTER TABLE energy_command DISABLE TRIGGER energy_command_refuse_change;"
            " UPDATE energy_command SET expires_at = energy_now() WHERE id = %s;"
            " ALTER TABLE energy_command ENABLE TRIGGER energy_command_refuse_change",
            [command.id],
        )
        outbox.take_jobs(self.env, self.gateway.ids, [], {})
        self.assertEqual(self.to_do().command_id, command)
        self.assertIn("Probe, was not carried out in time", self.to_do().details)
        self.to_do().with_user(self.user("engineer"))._close("The unit is gone")
        self.assertFalse(self.to_do())

    def test_unit_that_several_types_fit_is_not_created(self):
        electric = self.env["energy.meter.profile"].search([("code", "=", "acrel_adl400")])

        def check():
            with self.env.cr.savepoint() as savepoint:
                scan = self.new_scan()
                doubt = {"told_by": "total", "serial": None, "total": "0.00"}
                self.answer(
                    scan,
                    self.unit(3, profile=electric.id, also=[self.water.id], **doubt),
                    self.unit(4, profile=self.water.id, **doubt),
                )
                line, alone = scan.line_ids
                self.assertEqual((line.verdict, line.is_chosen), ("doubtful", False))
                self.assertIn(self.water.name, line.finding)
                line.is_chosen = True
                with self.assertRaises(UserError):
                    scan.action_create_meters()
                self.assertEqual((alone.verdict, alone.is_chosen), ("new", False))
                self.assertIn("it shows zero", alone.finding)
                savepoint.rollback()
            self.env.invalidate_all()

        self.holds(
            check,
            (EnergyGatewayScanLine._verdict, "if self.also_ids and self", "if False and self"),
        )

    def test_who_may_scan(self):
        scan = self.new_scan()
        self.assertTrue(scan.with_user(self.user("viewer")).units)
        for role in ("operator", "finance"):
            with self.assertRaises(AccessError):
                scan.with_user(self.user(role)).action_start()
        engineer = self.user("engineer")
        self.answer(scan.with_user(engineer), self.unit(3))
        with self.assertRaises(AccessError):
            scan.line_ids.with_user(engineer).verdict = "new"
        scan.with_user(engineer).action_create_meters()
        self.assertEqual(len(self.gateway.meter_ids), 3)

    def test_sheets_of_a_whole_gateway_are_begun_at_once(self):
        self.assertEqual(self.gateway.to_commission_count, 2)
        action = self.gateway.with_user(self.user("engineer")).action_commission()
        sheets = self.env["energy.meter.commissioning"].search(action["domain"])
        self.assertEqual(sheets.meter_id, self.meter | self.valve)
        self.gateway.action_commission()
        self.assertEqual(len(self.meter.commissioning_ids), 1)
