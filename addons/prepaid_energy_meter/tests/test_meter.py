from unittest.mock import patch

from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestMeter(FieldCommon):
    def refused(self, error, unit, **values):
        with self.assertRaises(error), mute_logger("odoo.sql_db"):
            self.create_meter(f"REFUSED-{unit}", unit, **values)
            self.env.flush_all()

    def test_unit_numbers_are_1_to_247_and_unique_on_a_gateway(self):
        for unit in (0, 248, 255, -1, self.meter.unit_id):
            self.refused(IntegrityError, unit)
        self.create_meter("LAST", 247)

    def test_archived_meter_frees_its_unit(self):
        self.meter.active = False
        self.env.flush_all()
        self.create_meter("SUCCESSOR", self.meter.unit_id)

    def test_modbus_needs_gateway_and_profile(self):
        self.refused(IntegrityError, 9, gateway_id=False)
        self.refused(IntegrityError, 9, profile_id=False)

    def test_gateway_of_another_site_is_refused(self):
        self.refused(ValidationError, 9, property_id=self.other_room.id)

    def test_profile_of_another_commodity_is_refused(self):
        self.refused(ValidationError, 9, profile=self.water, commodity="electricity")

    def test_profile_says_whether_it_can_be_switched(self):
        self.assertTrue(self.meter.can_switch)
        plain = self.power.copy({"can_switch": False, "write_functions": False})
        self.meter.profile_id = plain
        self.assertFalse(self.meter.can_switch)
        self.meter.write({"driver": "none"})
        self.assertFalse(self.meter.can_switch)

    def test_change_of_field_data_is_announced(self):
        gateways = type(self.env["energy.gateway"])
        for change in ({"unit_id": 77}, {"read_interval": 5}, {"active": False}):
            with patch.object(gateways, "_notify_field") as announced:
                self.meter.write(change)
            announced.assert_called_once()
        with patch.object(gateways, "_notify_field") as announced:
            self.meter.write({"is_protected": True})
        announced.assert_not_called()
