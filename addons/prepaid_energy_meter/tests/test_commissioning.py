import struct
from datetime import datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

from odoo.addons.prepaid_energy import clock
from odoo.addons.prepaid_energy.engine import credit
from odoo.addons.prepaid_energy.models.energy_meter_control_situation import EnergyMeterControl
from odoo.addons.prepaid_energy.tests.common import START, EnergyCase
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..connector import outbox, store
from ..modbus.driver import JobResult, Outcome, Snapshot
from ..modbus.identity import Identity
from ..modbus.planning import Block
from ..modbus.probing import RawBlock
from ..models.energy_meter_commissioned import EnergyMeter
from ..models.energy_meter_commissioning import EnergyMeterCommissioning as Sheet
from ..models.energy_meter_commissioning_check import EnergyMeterCommissioningCheck as Check
from ..models.energy_meter_commissioning_moved import EnergyGateway
from ..models.energy_meter_commissioning_moved import EnergyMeterCommissioning as Moved
from .common import judge_addresses_by_no_list

#: What a DDSY1352 without transformers shows; 10:00 in Shanghai is 02:00 UTC.
FOUND = {
    "serial": "00012345",
    "ct_ratio": "1",
    "pt_ratio": "1",
    "total": "100.50",
    "voltage": "231.0",
    "clock": "2026-03-01 00:00:30",
    "remaining_money": "0.00",
    "purchase_count": "0",
}
PLATE = {"serial": "12345", "ct": "1", "pt": "1", "display": "100.6"}


def raw_block(register, value):
    """A block of a probe's answer that holds a value, encoded by hand."""
    encoding = register.encoding
    if encoding.type == "string":
        data = value.encode().ljust(2 * encoding.words, b"\0")
    elif register.meaning == "clock":
        moment = datetime.fromisoformat(value)
        data = bytes((moment.year - 2000, moment.month, moment.day, 7, *moment.timetuple()[3:6], 0))
    else:
        data = int(Decimal(value) / encoding.scale).to_bytes(2 * encoding.words, "big")
    words = struct.unpack(f">{len(data) // 2}H", data)
    return RawBlock(Block(register.function, register.address, len(words)), words).as_json()


@tagged("post_install", "-at_install")
class TestCommissioning(PropertyCase, EnergyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        judge_addresses_by_no_list(cls.env)
        cls.gateway = cls.env["energy.gateway"].create(
            {"name": "Riser 1", "site_id": cls.site.id, "host": "192.0.2.10"}
        )
        cls.gateway.action_arm()
        cls.gateway.action_release_cuts()
        cls.profile = cls.env["energy.meter.profile"].search([("code", "=", "acrel_ddsy1352")])
        cls.valve = cls.env["energy.meter.profile"].search([("code", "=", "kaifeng_xintai_valve")])

    def new_meter(self, name="12345", **values):
        number = self.env["energy.meter"].search_count([("gateway_id", "=", self.gateway.id)])
        return self.make_meter(
            name,
            driver="modbus",
            gateway_id=self.gateway.id,
            unit_id=number + 1,
            profile_id=self.profile.id,
            **values,
        )

    def open_sheet(self, meter):
        return self.env["energy.meter.commissioning"].browse(meter.action_commission()["res_id"])

    def answer(self, sheet, **found):
        """Bring the answer to the sheet's probe, as the connector does."""
        profile = sheet.profile_id._profile()
        blocks = [
            raw_block(profile.named(meaning), value)
            for meaning, value in {**FOUND, **found}.items()
            if profile.named(meaning)
        ]
        result = JobResult("confirmed", {"blocks": blocks}, request="01", response="01")
        outbox.finish_job(self.env, sheet.probe_id.id, result)
        sheet.invalidate_recordset()

    def type_plate(self, sheet, **plate):
        for check, value in {**PLATE, **plate}.items():
            sheet._line(check).typed_value = value

    def check_room(self, sheet, seen=True):
        sheet.room_person = "Mr Lee"
        for order, state in (("action_room_off", "off"), ("action_room_on", "on")):
            getattr(sheet, order)()
            command = sheet.off_command_id if state == "off" else sheet.on_command_id
            outbox.may_write(self.env, command.id, "01 10")
            outbox.confirm(self.env, command.id, Outcome("confirmed", state, "01 10", "01 03"))
        if seen:
            sheet.action_room_seen()

    def signed(self, meter):
        sheet = self.open_sheet(meter)
        sheet.action_read()
        self.answer(sheet, serial=meter.name)
        self.type_plate(sheet, serial=meter.name)
        self.check_room(sheet)
        sheet.action_sign()
        return sheet

    def states(self, sheet):
        return {line.check: line.state for line in sheet.line_ids}

    def test_from_the_first_reading_to_the_signature(self):
        meter = self.new_meter()
        self.assertFalse(meter.is_commissioned)
        sheet = self.open_sheet(meter)
        self.assertEqual(meter.action_commission()["res_id"], sheet.id, "begun once")
        sheet.action_read()
        self.assertTrue(sheet.is_waiting)
        self.assertEqual(sheet.probe_id.arguments["meter"], meter.id)
        self.answer(sheet)
        self.assertFalse(sheet.is_waiting)
        self.type_plate(sheet)
        self.assertEqual(
            self.states(sheet),
            {
                "serial": "ok",
                "ct": "ok",
                "pt": "ok",
                "multiplier": "none",
                "display": "ok",
                "phases": "ok",
                "clock": "ok",
                "own_prepaid": "ok",
                "opening": "ok",
                "room": "open",
            },
        )
        with self.refused(UserError, "Supply off and on in the room"):
            sheet.action_sign()
        self.check_room(sheet, seen=False)
        self.assertEqual(sheet._line("room").state, "open", "the relay alone says nothing of rooms")
        self.assertTrue(sheet.is_room_asked)
        sheet.action_room_seen()
        self.assertFalse(sheet.is_room_asked)
        sheet.action_sign()
        self.assertEqual((sheet.state, sheet.user_id), ("done", self.env.user))
        self.assertTrue(meter.is_commissioned)
        self.assertEqual(meter.control_id.mode, "prepaid")
        report = self.env["ir.actions.report"]._render_qweb_html(
            "prepaid_energy_meter.report_energy_meter_commissioning", sheet.ids
        )[0]
        for text in (b"Mr Lee", b"100.50", b"12345", b"Went off here and came back"):
            self.assertIn(text, report)

    def test_what_differs_is_named_and_needs_a_reason(self):
        for found, plate, check in (
            ({"serial": "99999"}, {}, "serial"),
            ({}, {"serial": "54321"}, "serial"),
            ({"ct_ratio": "20"}, {}, "ct"),
            ({}, {"pt": "100"}, "pt"),
            # 100.50 × 1 beside 103: more than can pass between two looks.
            ({}, {"display": "103"}, "display"),
            ({"voltage": "12.0"}, {}, "phases"),
            ({"clock": "2026-03-01 00:06:00"}, {}, "clock"),
            ({"remaining_money": "12.00"}, {}, "own_prepaid"),
        ):
            with self.subTest(check=check, found=found, plate=plate):
                meter = self.new_meter(name=f"{len(self.gateway.meter_ids)}")
                meter.name = f"1234{meter.id}"
                sheet = self.open_sheet(meter)
                sheet.action_read()
                self.answer(sheet, **{"serial": meter.name, **found})
                self.type_plate(sheet, **{"serial": meter.name, **plate})
                self.check_room(sheet)
                line = sheet._line(check)
                self.assertEqual(line.state, "mismatch")
                with self.refused(UserError, "give the reason"):
                    sheet.action_sign()
                sheet.line_ids.filtered(lambda line: line.state == "mismatch").reason = "Seen"
                sheet.action_sign()
                self.assertTrue(meter.is_commissioned)

    def test_multiplier_of_the_account_is_compared(self):
        meter = self.new_meter()
        account = self.open_account(meter)
        sheet = self.open_sheet(meter)
        sheet.action_read()
        # 100.50 × 20 = 2010 on the display.
        self.answer(sheet, ct_ratio="20")
        self.type_plate(sheet, ct="20", display="2010")
        self.assertEqual(sheet._line("display").state, "ok")
        self.assertEqual(sheet._line("multiplier").state, "mismatch")
        self.assertIn("charged × 1, the plate says × 20", sheet._line("multiplier").finding)
        self.assertEqual(account.supply_ids.multiplier, 1)

    def test_voltages(self):
        """The site's voltage, or what a transformer leaves: 57.7 to 120 V, by its other side."""
        primary = self.profile.copy({"figures": "primary"})
        for mains, profile, pt, voltage, state, expected in (
            # 184 to 264.5 V
            (230, self.profile, "1", "184.0", "ok", "184 to 264 V, the site's 230 V"),
            (230, self.profile, "1", "183.9", "mismatch", "184 to 264 V"),
            (230, self.profile, "1", "264.6", "mismatch", "184 to 264 V"),
            # 96 to 138 V
            (120, self.profile, "1", "127.0", "ok", "96 to 138 V, the site's 120 V"),
            (120, self.profile, "1", "231.0", "mismatch", "96 to 138 V"),
            (230, self.profile, "100", "57.7", "ok", "(PT 100) each phase should have 46 to 138 V"),
            (230, self.profile, "100", "231.0", "mismatch", "46 to 138 V"),
            # 10 kV / 100 V: 5773 V between a phase and earth
            (230, primary, "100", "5773.0", "ok", "4616 to 13800 V"),
            (230, primary, "100", "57.7", "mismatch", "4616 to 13800 V"),
        ):
            with self.subTest(mains=mains, pt=pt, voltage=voltage):
                self.site.nominal_voltage = mains
                sheet = self.open_sheet(self.new_meter(self.number()))
                sheet.meter_id.profile_id = profile
                sheet.action_read()
                self.type_plate(sheet, pt=pt)
                sheet._fill({**FOUND, "voltage": voltage}, clock.now(self.env.cr))
                line = sheet._line("phases")
                self.assertEqual(line.state, state)
                self.assertIn(expected, line.finding)

    def test_type_without_a_serial_register_says_so(self):
        water = self.make_meter(
            "W-1",
            "water",
            driver="modbus",
            gateway_id=self.gateway.id,
            unit_id=9,
            profile_id=self.valve.id,
        )
        sheet = self.open_sheet(water)
        self.assertFalse(sheet.has_serial)
        sheet._line("serial").typed_value = "W-1"
        self.assertIn("does not show its serial", sheet._line("serial").finding)
        self.assertEqual(self.states(sheet)["ct"], "none")

    def test_failed_reading_leaves_the_sheet_open(self):
        sheet = self.open_sheet(self.new_meter())
        sheet.action_read()
        outbox.finish_job(self.env, sheet.probe_id.id, JobResult("failed", error="exception 02"))
        sheet.invalidate_recordset()
        self.assertEqual((sheet.probe_state, sheet.probe_error), ("failed", "exception 02"))
        self.assertFalse(sheet.read_at)

    def test_orders_that_end_unwritten_are_told_to_the_sheet(self):
        meter = self.new_meter()
        sheet = self.open_sheet(meter)
        sheet.room_person = "Mr Lee"
        room = sheet._line("room")
        commands = self.env["energy.command"]

        def overtake_on():
            meter.control_id._order_by_person("on", "Asked for")
            commands._take(meter.ids)

        def drop_on():
            meter.control_id._order_by_person("on", "Asked for")
            sheet.on_command_id._check()

        for end in (overtake_on, drop_on):
            with self.subTest(end=end.__name__):
                sheet.action_room_off()
                sheet.action_room_on()
                outbox.confirm(
                    self.env,
                    sheet.off_command_id.id,
                    Outcome("confirmed", "off", "01 10", "01 03"),
                )
                self.assertEqual((room.state, room.finding_code), ("open", "under_way"))
                end()
                self.assertEqual((room.state, room.finding_code), ("mismatch", "failed"))
        judged = []
        with patch.object(
            type(sheet), "_order_ended", lambda _self, command: judged.append(command.id)
        ):
            sheet.action_read()
            first = sheet.probe_id
            sheet.action_read()
            commands._take_for_gateways(self.gateway.ids)
            self.assertEqual((judged, first.state), (first.ids, "overtaken"))
            self.set_clock(START + timedelta(minutes=30))
            commands._take_for_gateways(self.gateway.ids)
            self.assertEqual(judged, [first.id, sheet.probe_id.id])

    def test_room_is_not_turned_off_without_a_person_or_in_arrears(self):
        meter = self.new_meter()
        self.open_account(meter)
        sheet = self.open_sheet(meter)
        with self.refused(UserError, "who is in the room"):
            sheet.action_room_off()
        sheet.room_person = "Mr Lee"
        with self.refused(UserError, "in arrears"):
            sheet.action_room_off()
        self.assertEqual(self.commands(meter), [])

    def test_room_check_gives_back_what_the_supply_was(self):
        """Held on and a grant come back, also where off was pressed twice; in arrears, too."""
        meter = self.new_meter("12346")
        account = self.open_account(meter)
        self.top_up(account, 50)
        control = meter.control_id
        until = clock.now(self.env.cr) + timedelta(days=2)

        def check():
            self.env.cr.execute("SAVEPOINT room")
            for mode, granted in (("held_on", False), ("prepaid", until), ("prepaid", False)):
                control._order_by_person("hold" if mode == "held_on" else "on", "", granted or None)
                sheet = self.open_sheet(meter)
                sheet.room_person = "Mr Lee"
                for method in ("action_room_off", "action_room_off", "action_room_on"):
                    getattr(sheet, method)()
                self.assertEqual((control.mode, control.granted_until), (mode, granted))
                self.assertEqual((control.wanted, sheet.on_command_id.mode), ("on", mode))
                control._order_by_person("off", "")
            self.env.cr.execute("ROLLBACK TO SAVEPOINT room")
            self.env.invalidate_all()

        self.holds(
            check,
            (Sheet.action_room_on, '"hold" if self.mode_before == "held_on" else "on"', '"on"'),
            (Sheet.action_room_on, "granted or None", "None"),
            (Sheet.action_room_off, 'if mode == "forced_off":', "if False:"),
        )
        self.read(meter, clock.now(self.env.cr) + timedelta(hours=1), "90")
        self.settle()
        self.assertLess(account.balance, 0)
        sheet = self.open_sheet(meter)
        sheet.room_person = "Mr Lee"
        with self.assertRaisesRegex(UserError, "in arrears"):
            sheet.action_room_off()
        control._order_by_person("hold", "")
        sheet.action_room_off()
        sheet.action_room_on()
        self.assertEqual((control.mode, control.wanted), ("held_on", "on"))

    def ready(self, name):
        """A sheet on which everything agrees."""
        sheet = self.open_sheet(self.new_meter(name))
        sheet.action_read()
        self.answer(sheet, serial=name)
        self.type_plate(sheet, serial=name)
        self.check_room(sheet)
        self.assertFalse(sheet.open_count)
        return sheet

    def number(self):
        return str(70000 + self.env["energy.meter"].search_count([]))

    def check_what_the_field_showed_is_forgotten(self):
        """The room that went dark and the values are those of the address they were got at."""
        for change in (
            lambda meter: meter.write({"unit_id": 100 + meter.unit_id}),
            lambda meter: meter.write({"profile_id": self.profile.copy().id}),
            lambda meter: meter.write({"property_id": self.other_room(meter)}),
            lambda meter: meter.gateway_id.write({"host": f"192.0.2.{meter.id % 200}"}),
        ):
            sheet = self.ready(self.number())
            change(sheet.meter_id)
            self.assertFalse(sheet.off_command_id | sheet.on_command_id | sheet.probe_id)
            self.assertFalse(sheet.room_seen or sheet.read_at or sheet._line("opening").read_value)
            self.assertEqual(sheet._line("display").typed_value, "100.6", "that is on the plate")
            sheet.property_id = sheet.meter_id.property_id
            sheet.action_read()
            self.answer(sheet, serial=sheet.serial)
            self.assertEqual(sheet._line("room").state, "open")
            with self.refused(UserError, "Supply off and on in the room"):
                sheet.action_sign()
            self.check_room(sheet)
            sheet.action_sign()

    def other_room(self, meter):
        return self.make_meter(f"R{meter.id}").property_id.id

    def test_what_the_field_showed_is_forgotten_at_another_address(self):
        self.holds(
            self.check_what_the_field_showed_is_forgotten,
            (EnergyMeter.write, "sheets._forget_shown()", "pass"),
            (Moved._doubt, "._forget_shown()", ""),
            (Sheet._forget_shown, "begun._forget_room()", "pass"),
            (Sheet._forget_shown, "begun.line_ids._fill({}, None)", "pass"),
        )

    def test_room_is_not_switched_at_an_address_that_the_sheet_does_not_know(self):
        sheet = self.ready(self.number())
        sheet.meter_id.unit_id += 100
        for action in ("action_room_off", "action_room_on"):
            with self.refused(UserError, "was changed"):
                getattr(sheet, action)()

    def check_another_room_went_dark(self):
        """Who stands in the room says no: no reason signs that."""
        sheet = self.ready(self.number())
        sheet.action_room_not_seen()
        line = sheet._line("room")
        self.assertEqual(line.state, "mismatch")
        self.assertIn("the address is another meter's", line.finding)
        line.reason = "They were asleep"
        with self.refused(UserError, "Nothing is signed before"):
            sheet.action_sign()
        # Tried again: what was seen before counts no more.
        sheet.action_room_off()
        self.assertFalse(sheet.room_seen)
        with self.refused(UserError, "confirmed by the meter first"):
            sheet.action_room_seen()
        self.check_room(sheet)
        # Somebody else was there after all, or it was another room: nobody has seen that.
        for values in (
            {"room_person": "Mrs Wu"},
            {"property_id": self.other_room(sheet.meter_id)},
        ):
            self.check_room(sheet)
            sheet.write(values)
            self.assertFalse(sheet.room_seen)
            self.assertEqual(line.state, "open")
            sheet.property_id = sheet.meter_id.property_id

    def test_another_room_went_dark(self):
        self.holds(
            self.check_another_room_went_dark,
            (Sheet.action_sign, 'self.room_seen == "no"', "False"),
            (Sheet.action_room_off, "self._forget_room()", "pass"),
            (Sheet.action_room_seen, '.filtered(lambda c: c.state != "confirmed")', ".browse()"),
            (Sheet.write, "drafts._forget_room()", "pass"),
            (Sheet.write, 'elif "room_person" in vals:', "elif False:"),
            (Check._judge_room, '("ok", "") if sheet.room_seen', '("ok", "") if True'),
        )

    def test_supply_is_seen_coming_back(self):
        sheet = self.ready(self.number())
        with self.refused(AccessError):
            sheet.with_user(self.user_of("viewer")).action_room_seen()
        sheet.action_room_off()
        off = sheet.off_command_id
        outbox.may_write(self.env, off.id, "01 10")
        outbox.confirm(self.env, off.id, Outcome("confirmed", "off", "01 10", "01 03"))
        self.assertEqual(sheet._line("room").finding, "Turn the supply on again.")
        with self.refused(UserError, "Turn the supply on again first"):
            sheet.action_room_seen()
        sheet.action_room_not_seen()
        self.assertEqual(sheet.room_seen, "no")

    def test_signed_sheet_stays_as_it_is(self):
        engineer = self.new_user("engineer", "commissioner")
        sheet = self.signed(self.new_meter()).with_user(engineer)
        with self.refused(UserError, "stays as it is"):
            sheet.note = "x"
        with self.refused(UserError, "stays as it is"):
            sheet.line_ids[0].reason = "x"
        with self.refused(AccessError):
            sheet.line_ids[0].read_value = "x"
        with self.refused(UserError, "never deleted"):
            sheet.unlink()

    def user_of(self, role):
        return self.new_user(role, f"sign_{role}")

    def test_who_may_sign(self):
        sheet = self.open_sheet(self.new_meter())
        for role in ("viewer", "operator", "cashier", "finance"):
            user = self.user_of(role)
            self.assertTrue(sheet.with_user(user).name)
            for method in (
                "action_sign",
                "action_read",
                "action_room_off",
                "action_room_not_seen",
            ):
                with self.refused(AccessError):
                    getattr(sheet.with_user(user), method)()

    def check_changed_meter_is_commissioned_again(self):
        """Another address, type, serial number or room: nobody has signed for that."""
        other = self.profile.copy()
        for values in (
            {"unit_id": 77},
            {"profile_id": other.id},
            {"name": f"S{self.env['energy.meter'].search_count([])}"},
            {"property_id": self.make_meter(f"R{len(self.gateway.meter_ids)}").property_id.id},
        ):
            meter = self.new_meter(f"C{self.env['energy.meter'].search_count([])}")
            first = self.signed(meter)
            meter.read_interval = 15
            self.assertTrue(meter.is_commissioned)
            meter.write(values)
            self.assertFalse(meter.is_commissioned, values)
            self.assertEqual(first.state, "superseded")
            # Signed anew it is again.
            again = self.signed(meter)
            self.assertTrue(meter.is_commissioned)
            self.assertEqual(again.unit_id, meter.unit_id)
            meter.write({"unit_id": 100 + meter.id % 100})

    def test_changed_meter_is_commissioned_again(self):
        self.holds(
            self.check_changed_meter_is_commissioned_again,
            (EnergyMeter.write, "if IDENTITY & vals.keys():", "if False:"),
        )

    def shows(self, meter, serial, later=timedelta(minutes=30)):
        """A reading comes with which the meter says its serial number."""
        moment = clock.now(self.env.cr) + later
        self.env["energy.clock"]._set(moment, 0)
        identity = Identity((), {"serial": serial})
        snapshot = Snapshot(meter=meter.id, moment=moment, total=Decimal(100), identity=identity)
        store.store(self.env, [snapshot], [], lambda snapshot: False)
        self.env.invalidate_all()

    def check_gateway_at_another_address(self):
        """The sheet counts again once the meter has shown the sheet's serial number there."""
        with self.env.cr.savepoint() as savepoint:
            meter, water = self.new_meter("60001"), self.new_water()
            sheet = self.signed(meter)
            water._take_over_commissioned("test")
            self.shows(meter, "60001")
            self.assertTrue(meter.status_id.identified_at)
            self.gateway.write({"name": "Riser 1b", "host": self.gateway.host, "timeout": 2})
            self.assertEqual((meter | water).mapped("is_commissioned"), [True, True])
            self.gateway.host = "192.0.2.77"
            self.assertEqual((meter | water).mapped("is_commissioned"), [False, False])
            self.assertTrue(meter.is_serial_awaited)
            # Nothing tells a water meter of this type from another one.
            self.assertEqual(water.commissioning_ids.state, "superseded")
            # It is asked with its next reading, and what it showed before is still known of it.
            self.assertFalse(meter.status_id.identified_at)
            self.assertTrue(meter.status_id.serial_known)
            with self.refused(UserError, "never deleted"):
                sheet.unlink()
            # Asked at the old address, and stored only now.
            self.shows(meter, "60001", timedelta(0))
            self.assertFalse(meter.is_commissioned)
            self.shows(meter, "60002")
            self.assertFalse(meter.is_commissioned)
            self.assertEqual(sheet.state, "unconfirmed")
            self.shows(meter, "0060001")
            self.assertTrue(meter.is_commissioned)
            self.assertEqual((sheet.state, sheet.unconfirmed_since), ("done", False))
            self.assertFalse(water.is_commissioned)
            # The room, too, is what it was: a change of that supersedes as ever.
            self.gateway.port = 1502
            meter.property_id = water.property_id
            self.assertEqual(sheet.state, "superseded")
            self.shows(meter, "60001")
            self.assertFalse(meter.is_commissioned)
            savepoint.rollback()
        self.env.invalidate_all()

    def new_water(self):
        meter = self.make_meter("W1", commodity="water")
        values = {"driver": "modbus", "gateway_id": self.gateway.id, "unit_id": 88}
        meter.write({**values, "profile_id": self.valve.id})
        return meter

    def test_gateway_at_another_address(self):
        self.holds(
            self.check_gateway_at_another_address,
            (EnergyGateway.write, "if moved:", "if False:"),
            (Moved._doubt, "signed.filtered(", "signed.browse().filtered("),
            (Moved._doubt, "(signed - shown)._supersede()", "pass"),
            (Moved._doubt, "shown.meter_id.status_id._ask_again()", "pass"),
            (Moved._confirm_again, "moment > sheet.unconfirmed_since", "True"),
            (Moved._confirm_again, "same_serial(serial, sheet.serial)", "True"),
            (store.store, "_confirm_again(", "exists() and ("),
            (EnergyMeter.write, "sheet.state in SIGNED", 'sheet.state == "done"'),
        )

    def test_new_sheet_supersedes_the_old_one(self):
        meter = self.new_meter()
        first, second = self.signed(meter), self.signed(meter)
        self.assertEqual((first.state, second.state), ("superseded", "done"))
        self.assertTrue(meter.is_commissioned)

    def check_no_cut_before_the_signature(self):
        """In arrears the meter is read and charged; it is cut only once its sheet is signed."""
        number = self.env["energy.meter"].search_count([])
        meter = self.new_meter(f"A{number}")
        account = self.open_account(meter)
        self.top_up(account, 10)
        moment = self.env["energy.clock"].search([], limit=1).project_anchor
        self.read(meter, moment + timedelta(hours=1), "50")
        self.settle()
        self.assertEqual(f"{account.balance:.2f}", "-20.00")
        control = meter.control_id
        self.assertEqual((self.commands(meter), control.decision), ([], "not_commissioned"))
        self.assertIn("nobody has signed", control.decision_reason)
        self.assertTrue(control._cut_still_holds(meter.id))
        # A person's order is carried out.
        control._order_by_person("off", "test")
        off = self.env["energy.command"].search([("meter_id", "=", meter.id)], limit=1)
        self.assertEqual(outbox.may_write(self.env, off.id, "01 10"), "")
        outbox.confirm(self.env, off.id, Outcome("confirmed", "off", "01 10", "01 03"))
        control._write_wish("prepaid", "on")
        meter._take_over_commissioned("test")
        self.read(meter, moment + timedelta(hours=2), "51")
        self.settle()
        self.assertEqual(self.commands(meter)[-1][1:], ("supply", "off", "queued"))
        # The signature is gone before the order is written: it is not.
        meter.unit_id += 100
        cut = self.env["energy.command"].search([("meter_id", "=", meter.id)], limit=1)
        self.assertTrue(outbox.may_write(self.env, cut.id, "01 10"))
        self.assertEqual(cut.state, "overtaken")
        self.assertIn("Not commissioned", cut.error)

    def test_no_cut_before_the_signature(self):
        self.holds(
            self.check_no_cut_before_the_signature,
            (credit._while_on, "elif not facts.commissioned:", "elif False:"),
            (
                EnergyMeterControl._situations,
                "COALESCE(m.is_commissioned, TRUE)",
                "TRUE",
            ),
        )

    def test_typed_meter_needs_no_sheet(self):
        meter = self.make_meter("T-1")
        self.assertTrue(meter.is_commissioned)
        with self.refused(UserError, "read automatically"):
            self.env["energy.meter.commissioning"].create({"meter_id": meter.id})
        meter.write(
            {
                "driver": "modbus",
                "gateway_id": self.gateway.id,
                "unit_id": 50,
                "profile_id": self.profile.id,
            }
        )
        self.assertFalse(meter.is_commissioned)
