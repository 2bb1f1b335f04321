import ipaddress

from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from ..connector import field, store
from ..modbus.errors import NotAllowed
from ..modbus.line import Line
from ..models.energy_gateway_attended import UNATTENDED_AFTER
from ..models.res_config_settings import ALLOWED_ADDRESSES, ALLOWED_DEVICES
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestGateway(PropertyCase, FieldCommon):
    def allow(self, text=False, devices=False):
        self.env["ir.config_parameter"].set_param(ALLOWED_ADDRESSES, text)
        self.env["ir.config_parameter"].set_param(ALLOWED_DEVICES, devices)
        return self.env["energy.gateway"]._allowed()

    def serial(self, **values):
        return self.env["energy.gateway"].create(
            {
                "name": "Cellar",
                "site_id": self.site.id,
                "kind": "serial",
                "serial_device": "/dev/ttyUSB0",
                **values,
            }
        )

    def test_nothing_is_allowed_until_the_administrator_says_so(self):
        allowed = self.allow()
        self.assertEqual((allowed.networks, allowed.devices), ((), frozenset()))

    def test_lists_are_read_from_the_settings(self):
        allowed = self.allow("10.0.0.0/8, 192.0.2.7  2001:db8::/32", "/dev/ttyUSB0 /dev/ttyS1")
        self.assertEqual(
            allowed.networks,
            (
                ipaddress.ip_network("10.0.0.0/8"),
                ipaddress.ip_network("192.0.2.7/32"),
                ipaddress.ip_network("2001:db8::/32"),
            ),
        )
        self.assertEqual(allowed.devices, {"/dev/ttyUSB0", "/dev/ttyS1"})

    def test_setting_that_cannot_be_read_is_an_error(self):
        for addresses in ("10.0.0.0/8, meters.example.com", "0.0.0.0/0", "10.0.0.1/8"):
            with self.assertRaisesRegex(UserError, "no list of networks"):
                self.allow(addresses)
        for devices in ("ttyUSB0", "/dev/../etc/passwd", "/etc/passwd"):
            with self.assertRaisesRegex(UserError, "no list of devices"):
                self.allow("", devices)

    def test_connector_is_told_what_is_wrong_with_the_setting(self):
        self.env["ir.config_parameter"].set_param(ALLOWED_ADDRESSES, "everything")
        allowed, why = field.allowed_networks(self.env)
        self.assertEqual(allowed.networks, ())
        self.assertIn("no list of networks", why)

    def test_administrator_sets_the_lists_on_a_screen(self):
        with Form(self.env["res.config.settings"]) as form:
            form.energy_allowed_addresses = "10.20.0.0/16"
            form.energy_allowed_devices = "/dev/ttyUSB0"
        form.record.execute()
        allowed = self.env["energy.gateway"]._allowed()
        self.assertEqual(allowed.networks, (ipaddress.ip_network("10.20.0.0/16"),))
        self.assertEqual(allowed.devices, {"/dev/ttyUSB0"})
        with Form(self.env["res.config.settings"]) as form:
            form.energy_allowed_addresses = "meters"
        with self.assertRaisesRegex(UserError, "no list of networks"):
            form.record.execute()

    def test_gateway_that_was_scanned_is_archived_not_deleted(self):
        other = self.env["energy.gateway"].create(
            {"name": "Riser 2", "site_id": self.site.id, "host": "192.0.2.11"}
        )
        other._order_job("probe", {"unit": 1, "profile": self.power.id})
        with self.assertRaisesRegex(UserError, "Riser 2 was ordered.*archive"):
            other.unlink()
        other.active = False
        self.env["energy.gateway"].create(
            {"name": "Riser 3", "site_id": self.site.id, "host": "192.0.2.12"}
        ).unlink()

    def test_what_a_dead_connector_said_does_not_stand(self):
        attended = type(self.gateway)._compute_attended

        def lapse(seconds):
            self.env.cr.execute(
                "UPDATE energy_gateway_status SET lease_until = energy_real_now()"
                " - %s * interval '1 second' WHERE gateway_id = %s",
                [seconds, self.gateway.id],
            )
            self.gateway.invalidate_recordset()
            found = self.env["energy.gateway"].search([("is_unattended", "=", True)])
            self.assertEqual(self.gateway.is_unattended, self.gateway in found)
            rest = self.env["energy.gateway"].search([("is_unattended", "=", False)])
            self.assertEqual(found & rest, found.browse())
            self.assertEqual(bool(self.gateway.unattended_since), self.gateway.is_unattended)
            return self.gateway.lease_holder, self.gateway.is_online, self.gateway.is_unattended

        def check():
            self.assertEqual(lapse(-8), ("here", True, False))
            # The scheduled action has ended a run and begins the next one.
            self.assertEqual(lapse(1), (False, True, False))
            self.assertEqual(lapse(UNATTENDED_AFTER + 1), (False, False, True))

        # One that was just created is not told of.
        self.assertFalse(self.gateway.is_unattended)
        store.beat(self.env, "here", self.gateway.ids, [(self.gateway.id, True, 0, "", 1, 0, True)])
        self.holds(
            check,
            (
                attended,
                "CASE WHEN s.lease_until > energy_real_now() THEN s.lease_holder END",
                "s.lease_holder",
            ),
            (attended, "is_online and not is_unattended", "is_online"),
        )
        store.beat(self.env, "here", self.gateway.ids, [])
        store.release(self.env, "here")
        self.gateway.invalidate_recordset()
        self.assertEqual((self.gateway.lease_holder, self.gateway.is_unattended), (False, False))
        lapse(UNATTENDED_AFTER + 1)
        self.gateway.active = False
        self.env.flush_all()
        self.gateway.invalidate_recordset()
        self.assertFalse(self.gateway.is_unattended)

    def test_gateway_has_its_status(self):
        self.assertEqual(len(self.gateway.status_id), 1)
        self.assertFalse(self.gateway.is_online)
        self.assertEqual(self.gateway.meter_count, 2)

    def test_address_is_an_address(self):
        for host in ("http://192.0.2.1", "a b", "user@host", " ", "", "0x7f.1", "2130706433"):
            with self.assertRaises(ValidationError):
                self.gateway.host = host

    def test_address_is_judged_when_it_is_saved(self):
        self.allow("192.0.2.0/24, 169.254.0.0/16")
        for host in ("127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"):
            with self.assertRaises(ValidationError):
                self.gateway.host = host
        for host in ("192.0.2.99", "169.254.3.4", "meters.example.com"):
            self.gateway.host = host
            self.assertFalse(self.gateway.is_not_allowed)
        self.gateway.host = "198.51.100.1"
        self.assertTrue(self.gateway.is_not_allowed)
        self.allow("127.0.0.0/8")
        self.gateway.host = "127.0.0.1"
        self.assertFalse(self.gateway.is_not_allowed)

    def test_refusal_is_kept_by_its_code_and_shown_as_a_sentence(self):
        health = (self.gateway.id, False, 3)
        for code in NotAllowed.REASONS:
            refused = NotAllowed(code, "meters.example.com (10.0.0.5)")
            self.env.cr.execute(
                "UPDATE energy_gateway_status SET lease_holder = 'here' WHERE gateway_id = %s",
                [self.gateway.id],
            )
            store.beat(self.env, "here", self.gateway.ids, [(*health, refused.noted, 0, 3, False)])
            self.gateway.invalidate_recordset()
            self.assertIn(f" {code} ", self.gateway.status_id.error)
            self.assertEqual(self.gateway.error, str(refused))
        # Every sentence is a term that can be translated.
        told = self.gateway.message_ids.mapped("body")
        self.assertTrue(any("10.0.0.5) is no device" in body for body in told), told)
        self.gateway.status_id.sudo().error = "10.0.0.5:502: Connection refused"
        self.assertEqual(self.gateway.error, "10.0.0.5:502: Connection refused")
        self.gateway.status_id.sudo().error = False
        self.assertFalse(self.gateway.error)

    def test_endpoint_is_unique(self):
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.gateway.copy()

    def test_one_bus_has_one_gateway_however_its_address_is_spelled(self):
        self.allow("192.0.2.0/24, 2001:db8::/32")
        values = {"site_id": self.site.id, "port": 1502}
        for first, second in (
            ("192.0.2.77", " 192.0.2.77 "),
            ("192.0.2.78", "::ffff:192.0.2.78"),
            ("2001:db8::1", "[2001:0DB8:0:0::0001]"),
            ("riser.example.com", "Riser.Example.COM. "),
        ):
            gateways = self.env["energy.gateway"]
            gateway = gateways.create({**values, "name": "One", "host": first})
            with (
                self.subTest(host=second),
                self.assertRaises(IntegrityError),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                gateways.create({**values, "name": "Two", "host": second})
            gateway.host = second
            self.assertEqual((gateway.host, gateway._line().host), (first, first))

    def test_gateway_shows_where_the_list_of_addresses_cannot_be_read(self):
        self.env["ir.config_parameter"].set_param(ALLOWED_ADDRESSES, "meters")
        self.assertTrue(self.gateway.is_not_allowed)
        with self.assertRaisesRegex(UserError, "no list of networks"):
            self.gateway.host = "192.0.2.77"

    def test_serial_device_must_be_listed(self):
        with self.assertRaisesRegex(ValidationError, "has not listed"), self.env.cr.savepoint():
            self.serial()
        self.allow("", "/dev/ttyUSB0")
        first = self.serial()
        self.assertFalse(first.host)
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.serial()
        self.serial(serial_machine="another-computer")

    def test_gateway_needs_what_its_kind_needs(self):
        for values in ({"host": False}, {"kind": "rtu_tcp", "host": False}):
            with self.assertRaises(ValidationError):
                self.gateway.write(values)

    def test_delay_between_frames_follows_the_kind(self):
        self.assertEqual(self.gateway.frame_delay, 0)
        self.gateway.echoes_numbers = False
        self.assertEqual(self.gateway.frame_delay, 20)
        self.gateway.frame_delay = 35
        self.assertEqual(self.gateway.frame_delay, 35)
        self.gateway.kind = "rtu_tcp"
        self.assertEqual(self.gateway.frame_delay, 20)

    def test_quiet_time_is_at_least_the_time_out(self):
        self.gateway.timeout = 3
        with self.assertRaisesRegex(ValidationError, "at least the time-out"):
            self.gateway.kind = "rtu_tcp"
        self.gateway.write({"kind": "rtu_tcp", "quiet_time": 3})

    def test_connector_gets_the_settings(self):
        self.allow("192.0.2.0/24", "/dev/ttyUSB0")
        self.gateway.write(
            {
                "kind": "rtu_tcp",
                "port": 4001,
                "timeout": 0.5,
                "connect_timeout": 2,
                "retries": 1,
                "frame_delay": 30,
                "quiet_time": 1.5,
            }
        )
        serial = self.serial(baud="2400", parity="E", serial_machine="cellar-pc")
        gateways, _faults = field.load_field(self.env)
        self.assertEqual(
            gateways[self.gateway.id].line,
            Line(
                kind="rtu_tcp",
                host="192.0.2.10",
                port=4001,
                timeout=0.5,
                connect_timeout=2.0,
                pause=0.03,
                quiet=1.5,
                retries=1,
            ),
        )
        self.assertEqual(gateways[serial.id].machine, "cellar-pc")
        line = gateways[serial.id].line
        self.assertEqual((line.device, line.baud, line.parity), ("/dev/ttyUSB0", 2400, "E"))

    def test_reads_are_cut_to_what_the_gateway_takes(self):
        self.gateway.write({"max_block": 6, "max_gap": 0})
        meters = field.load_field(self.env)[0][self.gateway.id].meters
        for meter in meters:
            longest = max(register.words for register in meter.profile.registers)
            for block in meter.profile.poll_blocks:
                self.assertLessEqual(block.count, max(6, longest))
            needed = {
                register.address + word
                for register in meter.profile.polled
                for word in range(register.words)
            }
            read = {
                block.address + word
                for block in meter.profile.poll_blocks
                for word in range(block.count)
            }
            self.assertEqual(read, needed)
