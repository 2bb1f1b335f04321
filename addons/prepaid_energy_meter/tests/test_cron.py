from unittest.mock import patch

from odoo.tests import tagged

from ..connector import Connector, store
from ..models.energy_gateway import CRON_SECONDS
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestCron(FieldCommon):
    """The scheduled action that does the connector's work where none is alive."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["energy.gateway"].search([("id", "!=", cls.gateway.id)]).active = False
        cls.env.cr.execute("UPDATE energy_gateway_status SET lease_until = NULL")
        cls.job = cls.env.ref("prepaid_energy_meter.ir_cron_collect_readings")

    def collect(self):
        """Run the action; return for how many seconds each connector was to run, and whether the
        action is to run again."""
        runs = []
        triggers = self.env["ir.cron.trigger"]
        triggers.search([("cron_id", "=", self.job.id)]).unlink()
        with (
            patch.object(Connector, "run", lambda connector: runs.append(connector.seconds)),
            patch.object(type(self.env["ir.cron"]), "_commit_progress"),
        ):
            self.env["energy.gateway"]._cron_collect()
        return runs, triggers.search_count([("cron_id", "=", self.job.id)]) == 1

    def test_works_for_a_while_and_comes_again(self):
        self.assertEqual(self.collect(), ([CRON_SECONDS], True))
        self.assertLessEqual(CRON_SECONDS, 40)

    def test_leaves_the_field_to_a_connector(self):
        store.beat(self.env, "another", self.gateway.ids, [])
        self.assertEqual(self.collect(), ([], False))
        store.release(self.env, "another")
        self.assertEqual(self.collect(), ([CRON_SECONDS], True))

    def test_has_nothing_to_do_without_gateways(self):
        self.gateway.active = False
        self.env.flush_all()
        self.assertEqual(self.collect(), ([], False))
