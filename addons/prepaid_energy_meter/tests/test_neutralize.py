from odoo.tests import tagged
from odoo.tools import file_open

from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestNeutralize(FieldCommon):
    def test_copy_reads_writes_and_orders_nothing(self):
        self.gateway.action_arm()
        self.gateway.action_release_cuts()
        command = self.order(self.meter, "off")
        self.env.flush_all()
        with file_open("prepaid_energy_meter/data/neutralize.sql") as file:
            self.env.cr.execute(file.read())
        self.env.invalidate_all()
        self.assertFalse(self.gateway.active)
        self.assertEqual(self.gateway.armed, "no")
        self.assertEqual(command.state, "failed")
