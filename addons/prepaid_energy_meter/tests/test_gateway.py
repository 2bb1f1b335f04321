import ipaddress

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from ..models.energy_gateway import ALLOWED_ADDRESSES
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestGateway(FieldCommon):
    def networks(self, text):
        self.env["ir.config_parameter"].set_param(ALLOWED_ADDRESSES, text)
        return self.env["energy.gateway"]._allowed_networks()

    def test_nothing_is_allowed_until_the_administrator_says_so(self):
        self.assertEqual(self.networks(False), ())

    def test_networks_are_read_from_the_setting(self):
        self.assertEqual(
            self.networks("10.0.0.0/8, 192.0.2.7  2001:db8::/32"),
            (
                ipaddress.ip_network("10.0.0.0/8"),
                ipaddress.ip_network("192.0.2.7/32"),
                ipaddress.ip_network("2001:db8::/32"),
            ),
        )

    def test_setting_that_is_no_network_is_an_error(self):
        with self.assertRaisesRegex(UserError, "no list of networks"):
            self.networks("10.0.0.0/8, meters.example.com")

    def test_gateway_has_its_status(self):
        self.assertEqual(len(self.gateway.status_id), 1)
        self.assertFalse(self.gateway.is_online)
        self.assertEqual(self.gateway.meter_count, 2)

    def test_address_is_an_address(self):
        for host in ("http://192.0.2.1", "a b", "user@host", " "):
            with self.assertRaises(ValidationError):
                self.gateway.host = host

    def test_endpoint_is_unique(self):
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.gateway.copy()
