from datetime import datetime, timedelta
from decimal import Decimal

from odoo.addons.prepaid_energy import clock
from odoo.addons.prepaid_energy.tests.common import START, EnergyCase
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from ..connector import field, outbox, store
from ..modbus.driver import Snapshot
from ..modbus.errors import Encrypted
from ..modbus.identity import Identity
from ..models import energy_command_identity, energy_meter_status
from .common import FieldCommon, judge_addresses_by_no_list

STATUS = energy_meter_status.EnergyMeterStatus
HOUR = timedelta(hours=1)


class Reading:
    """What comes from the connector, put together."""

    def snapshot(self, meter, total, moment=None, identity=None, **values):
        return Snapshot(
            meter=meter.id,
            moment=moment or clock.now(self.env.cr),
            total=Decimal(total),
            identity=identity,
            **values,
        )

    def store(self, *snapshots):
        store.store(self.env, list(snapshots), [], lambda snapshot: False)
        self.env.invalidate_all()

    def readings(self, meter):
        return [
            (reading.total, reading.state, reading.reason)
            for reading in self.env["energy.reading"].search(
                [("meter_id", "=", meter.id)], order="moment, total"
            )
        ]

    def findings(self, meter):
        return self.env["energy.meter.finding"].search(
            [
                ("meter_id", "=", meter.id),
                ("state", "=", "open"),
                ("kind", "in", ("serial", "encryption", "multiplier")),
            ],
            order="id",
        )


@tagged("post_install", "-at_install")
class TestIdentity(FieldCommon, Reading, PropertyCase):
    """C16, M12: another meter at the address is noticed, held off and named."""

    def setUp(self):
        super().setUp()
        self.now = clock.now(self.env.cr)
        self.gateway.action_arm()
        # A profile whose serial number register is sure, and the shipped one, where it is not.
        self.sure = self.power.copy()
        register = self.sure.register_ids.filtered(lambda r: r.meaning == "serial")
        register.certainty = "B"
        self.known = self.create_meter("1001", 11, self.sure)
        self.unsure = self.create_meter("1002", 12)

    def said(self, serial=None, **values):
        if serial is not None:
            values["serial"] = serial
        return Identity((), values)

    def assertAsked(self, moment, expected):
        # The clock of this test runs.
        self.assertLess(abs(moment - expected), timedelta(minutes=5))

    def may_switch(self, meter):
        """The reason why an order of a person is not written, or ""."""
        command = self.order(meter, "off")
        why = outbox.may_write(self.env, command.id, "01 10")
        if why:
            self.assertEqual((command.state, command.error), ("failed", why))
        return why

    def test_clock_is_not_set_where_another_meter_answers(self):
        self.sure.write({"clock_address": "0x0228", "clock_certainty": "B"})
        self.env.flush_all()
        command = self.known._order_clock()
        self.assertEqual(outbox.may_write(self.env, command.id, "01 10"), "")
        self.store(self.snapshot(self.known, "100", self.now, self.said("2002")))
        why = outbox.may_write(self.env, command.id, "01 10")
        self.assertIn("2002", why)
        self.assertEqual((command.state, command.error), ("failed", why))

    def check_stranger_is_held_off(self):
        meter = self.known
        self.store(self.snapshot(meter, "100", self.now - 2 * HOUR, self.said("0001001")))
        self.assertFalse(self.findings(meter))
        self.store(
            self.snapshot(
                meter, "7", self.now - HOUR, self.said("2002"), power=Decimal(9), supply_state="off"
            )
        )
        self.store(self.snapshot(meter, "8", self.now))
        self.assertEqual(
            self.readings(meter),
            [(100, "accepted", False), (7, "held", "stranger"), (8, "held", "stranger")],
        )
        finding = self.findings(meter)
        self.assertEqual(finding.kind, "serial")
        self.assertIn("2002", finding.details)
        self.assertIn("1001", finding.details)
        # What is shown of the meter stays its own.
        self.assertRecordValues(
            meter.status_id,
            [
                {
                    "total": 100,
                    "power": 0,
                    "supply_state": "unknown",
                    "serial_read": "2002",
                    "error": "another meter answers at this address",
                }
            ],
        )
        self.assertIn("2002", self.may_switch(meter))
        # It is back.
        self.store(self.snapshot(meter, "101", self.now, self.said("1001")))
        self.assertFalse(self.findings(meter))
        self.assertIn((101, "accepted", False), self.readings(meter))
        self.assertEqual(self.may_switch(meter), "")

    def test_stranger_is_held_off(self):
        self.holds(
            self.check_stranger_is_held_off,
            (STATUS._take_identities, "if same_serial(serial, plate):", "if True:"),
            (STATUS._strangers, "is_standing AND", "NOT is_standing AND"),
            (store._status_row, "if is_stranger:", "if False:"),
            (
                energy_command_identity.EnergyCommand._check,
                "if findings:",
                "if False:",
            ),
        )

    def check_unsure_register_holds_nothing_until_it_was_right_once(self):
        meter = self.unsure
        self.store(self.snapshot(meter, "100", self.now - 3 * HOUR, self.said("2002")))
        self.assertEqual(self.readings(meter), [(100, "accepted", False)])
        self.assertIn("compare it with the plate", self.findings(meter).details)
        self.assertEqual(self.may_switch(meter), "")
        # It shows its own number: from now on the register is known to be right.
        self.store(self.snapshot(meter, "101", self.now - 2 * HOUR, self.said("1002")))
        self.assertFalse(self.findings(meter))
        self.assertTrue(meter.status_id.serial_known)
        self.store(self.snapshot(meter, "102", self.now - HOUR, self.said("2002")))
        self.assertIn((102, "held", "stranger"), self.readings(meter))
        self.assertIn("2002", self.may_switch(meter))

    def test_unsure_register_holds_nothing_until_it_was_right_once(self):
        self.holds(
            self.check_unsure_register_holds_nothing_until_it_was_right_once,
            (STATUS._take_identities, 'is_sure = is_known or certainty != "C"', "is_sure = True"),
            (STATUS._take_identities, "is_known = True", "pass"),
        )

    def test_person_decides_that_it_is_the_meter(self):
        meter = self.known
        self.store(self.snapshot(meter, "100", self.now - HOUR, self.said("2002")))
        self.findings(meter)._close("The plate is wrong, the meter is right.")
        self.store(self.snapshot(meter, "101", self.now, self.said("2002")))
        self.assertIn((101, "accepted", False), self.readings(meter))
        self.assertEqual(self.may_switch(meter), "")

    def test_another_address_begins_anew(self):
        meter = self.known
        self.store(self.snapshot(meter, "100", self.now, self.said("1001")))
        loaded = {m.key: m for m in field.load_field(self.env)[0][self.gateway.id].meters}
        self.assertTrue(loaded[meter.id].serial_known)
        self.assertAsked(loaded[meter.id].identified_at, self.now)
        for change in ({"unit_id": 77}, {"name": "1003"}, {"profile_id": self.power.id}):
            self.store(self.snapshot(meter, "100", self.now, self.said(meter.name)))
            meter.write(change)
            self.assertRecordValues(
                meter.status_id,
                [{"serial_known": False, "serial_read": False, "identified_at": False}],
            )
        self.store(self.snapshot(meter, "100", self.now, self.said("1003")))
        meter.is_protected = True
        self.assertTrue(meter.status_id.serial_known)

    def test_silence_is_asked_again_in_an_hour(self):
        identity = Identity((), {"serial": "1001"}, {"clock": "no answer"}, silent=True)
        self.store(self.snapshot(self.known, "1", self.now, identity))
        self.assertAsked(self.known.status_id.identified_at, self.now - 23 * HOUR)

    def check_clock_is_compared_in_the_site_s_time(self):
        # 03:00 UTC is 11:00 in Shanghai; the meter shows 11:09:30.
        seen = datetime(2026, 3, 2, 3, 0, 0)
        identity = Identity((), clock=datetime(2026, 3, 2, 11, 9, 30), clock_seen_at=seen)
        self.store(self.snapshot(self.known, "1", self.now, identity))
        self.assertEqual(self.known.status_id.clock_offset, 570)
        identity = Identity((), clock=datetime(2026, 3, 2, 10, 59, 0), clock_seen_at=seen)
        self.store(self.snapshot(self.known, "1", self.now, identity))
        self.assertEqual(self.known.status_id.clock_offset, -60)

    def test_clock_is_compared_in_the_site_s_time(self):
        self.holds(
            self.check_clock_is_compared_in_the_site_s_time,
            (STATUS._take_identities, 'ZoneInfo(tz or "UTC")', 'ZoneInfo("UTC")'),
            (STATUS._take_identities, "identity.clock - wall", "wall - identity.clock"),
        )

    def check_encrypted_meter_is_not_written_to(self):
        meter = self.unsure
        self.store(self.snapshot(meter, "1", self.now, self.said(encryption=True)))
        self.assertEqual(self.findings(meter).kind, "encryption")
        self.assertIn("Turn it off at the meter", self.may_switch(meter))
        self.store(self.snapshot(meter, "1", self.now, self.said(encryption=False)))
        self.assertFalse(self.findings(meter))
        self.assertEqual(self.may_switch(meter), "")

    def test_meter_that_refuses_because_it_is_encrypted_is_found(self):
        miss = store.Miss(self.unsure.id, 0, True, Encrypted.TEXT)
        store.store(self.env, [], [miss], lambda snapshot: False)
        self.assertEqual(self.findings(self.unsure).kind, "encryption")
        self.assertEqual(self.unsure.status_id.error, Encrypted.TEXT)

    def test_encrypted_meter_is_not_written_to(self):
        self.holds(
            self.check_encrypted_meter_is_not_written_to,
            (STATUS._take_identities, "if identity.is_encrypted:", "if False:"),
            (energy_command_identity.EnergyCommand._check, "if findings:", "if False:"),
        )

    def test_template_reads_no_meter(self):
        template = self.env["energy.meter.profile"].search([("code", "=", "fineco_em115")])
        with self.assertRaisesRegex(ValidationError, "where the total is"):
            self.create_meter("1004", 14, template)

    def test_unsure_control_is_used_only_with_a_word(self):
        shipped = self.env["energy.meter.profile"].search([("code", "=", "sfere_prepaid")])
        meter = self.create_meter("1005", 15, shipped)
        self.assertTrue(shipped.can_switch)
        self.assertFalse(meter.can_switch)
        copy = shipped.copy()
        self.assertFalse(copy.is_switch_usable)
        copy.control_confirmation = "Li Wei, meter 1005, 2 March"
        meter.profile_id = copy
        self.assertTrue(meter.can_switch)
        self.assertFalse(copy.copy().control_confirmation)

    def test_control_key_goes_to_the_driver(self):
        self.known.control_key = "1aB2"
        self.env.flush_all()
        loaded = {m.key: m for m in field.load_field(self.env)[0][self.gateway.id].meters}
        self.assertEqual(loaded[self.known.id].control_key, 0x1AB2)
        with self.assertRaisesRegex(ValidationError, "four hexadecimal digits"):
            self.known.control_key = "xyz"


@tagged("post_install", "-at_install")
class TestMultiplierRead(EnergyCase, Reading, PropertyCase):
    """R7 from the field: CT × PT as the meter says it, against its supply."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        judge_addresses_by_no_list(cls.env)

    def new_meter(self, multiplier, code="acrel_ddsy1352"):
        profile = self.env["energy.meter.profile"].search([("code", "=", code)])
        judge_addresses_by_no_list(self.env)
        gateway = self.env["energy.gateway"].create(
            {
                "name": "Riser",
                "site_id": self.site.id,
                "host": f"192.0.2.{self.env['energy.gateway'].search_count([]) + 1}",
            }
        )
        meter = self.make_meter(
            f"M{gateway.id}",
            driver="modbus",
            gateway_id=gateway.id,
            unit_id=1,
            profile_id=profile.id,
        )
        self.set_clock(START)
        account = self.open_account(meter, activate=False)
        account.supply_ids.multiplier = multiplier
        account.action_activate()
        return meter, account

    def read_at(self, meter, hours, total, multiplier):
        self.set_clock(START + hours * HOUR)
        ratio = None if multiplier is None else Decimal(multiplier)
        identity = Identity(()) if hours == 1 else None
        self.store(self.snapshot(meter, total, START + hours * HOUR, identity, multiplier=ratio))

    def check_other_ratio_is_held_until_it_is_cleared(self):
        meter, _account = self.new_meter(1)
        self.read_at(meter, 1, "10", 40)
        self.read_at(meter, 2, "11", 40)
        self.assertEqual(
            self.readings(meter)[-2:], [(10, "held", "multiplier"), (11, "held", "multiplier")]
        )
        self.assertIn("Reports the multiplier 40", self.findings(meter).details)
        self.assertEqual(meter.status_id.multiplier_read, 40)
        # The meter's setting is put right.
        self.read_at(meter, 3, "12", 1)
        self.assertEqual(self.readings(meter)[-1], (12, "accepted", False))
        self.assertFalse(self.findings(meter))

    def test_other_ratio_is_held_until_it_is_cleared(self):
        self.holds(
            self.check_other_ratio_is_held_until_it_is_cleared,
            (STATUS._differing_multipliers, "was or read[meter]", "False and read[meter]"),
            (store.store, "if ratio is not None", "if False"),
            (STATUS._differing_multipliers, "was or ", ""),
        )

    def test_right_ratio_and_none_are_accepted(self):
        meter, _account = self.new_meter(40)
        self.read_at(meter, 1, "10", 40)
        self.read_at(meter, 2, "11", None)
        self.assertEqual(
            [state for _total, state, _why in self.readings(meter)[-2:]], ["accepted"] * 2
        )
        self.assertFalse(self.findings(meter))

    def test_meter_in_nobody_s_service_is_not_judged(self):
        meter, _account = self.new_meter(1)
        other = self.make_meter(
            "FREE",
            driver="modbus",
            gateway_id=meter.gateway_id.id,
            unit_id=2,
            profile_id=meter.profile_id.id,
        )
        self.read_at(other, 1, "10", 40)
        self.assertEqual(self.readings(other), [(10, "accepted", False)])

    def test_figures_with_the_ratio_in_them_are_not_multiplied_again(self):
        code = "eastron_sdm630"
        meter, account = self.new_meter(1, code)
        self.read_at(meter, 1, "10", 1)
        self.assertEqual(self.readings(meter)[-1][1], "accepted")
        supply = account.supply_ids
        self.assertEqual(supply._what_is_missing(), [])
        term = supply.term_ids
        self.env.cr.execute(
            "UPDATE energy_supply_term SET multiplier = 40 WHERE id = %s", [term.id]
        )
        self.env.invalidate_all()
        self.assertRegex(supply._what_is_missing()[0], "ratio in them already.*not 40")
        # What comes is held, whoever set the multiplier and however.
        self.read_at(meter, 2, "11", 1)
        self.assertEqual(self.readings(meter)[-1], (11, "held", "multiplier"))
