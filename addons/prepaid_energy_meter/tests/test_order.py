from datetime import timedelta

from odoo.addons.prepaid_energy import clock
from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import SQL

from ..connector import store
from ..modbus.driver import JobResult
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestOrder(FieldCommon):
    def probe(self, unit=1):
        return self.gateway._order_job(
            "probe", {"unit": unit, "profile": self.power.id, "meter": None}
        )

    def take(self, under_way=()):
        orders = self.env["energy.command"]._take_for_gateways(self.gateway.ids, under_way)
        return [order["id"] for order in orders]

    def test_order_bears_target_arguments_and_origin(self):
        command = self.probe()
        self.assertRecordValues(
            command,
            [
                {
                    "gateway_id": self.gateway.id,
                    "meter_id": False,
                    "number": 1,
                    "state": "queued",
                    "cause": "person",
                    "site_id": self.site.id,
                    "arguments": {"unit": 1, "profile": self.power.id, "meter": None},
                    "expires_at": clock.now(self.env.cr) + timedelta(minutes=10),
                }
            ],
        )
        self.assertEqual(command.display_name, "Riser 1 #1 Probe")
        self.assertEqual(self.probe(2).number, 2)

    def test_later_order_overtakes_its_own_kind_and_unit_only(self):
        first, other_unit, scan = self.probe(1), self.probe(2), self.gateway._order_job("scan", {})
        later = self.probe(1)
        self.assertEqual(self.take(), (other_unit | scan | later).ids)
        self.assertEqual(first.state, "overtaken")
        self.assertEqual((other_unit | scan | later).mapped("state"), ["queued"] * 3)

    def test_order_to_a_gateway_leaves_supply_orders_alone(self):
        supply = self.order(self.meter, "off")
        scan = self.gateway._order_job("scan", {})
        self.assertEqual(self.take(), scan.ids)
        [taken] = self.env["energy.command"]._take(self.meter.ids)
        self.assertEqual(taken["id"], supply.id)

    def test_order_expires_unless_it_is_under_way(self):
        command = self.probe()
        self.env.cr.execute(
            SQL("UPDATE energy_command SET expires_at = energy_now() WHERE id = %s", command.id)
        )
        self.assertEqual(self.take(under_way=command.ids), [])
        command.invalidate_recordset()
        self.assertEqual(command.state, "queued")
        self.assertEqual(self.take(), [])
        self.assertEqual(command.state, "expired")

    def test_end_of_a_job_is_noted(self):
        command = self.probe()
        result = JobResult("confirmed", {"registers": [1]}, request="01 03", response="01 03 02")
        store.finish_job(self.env, command.id, result)
        self.assertRecordValues(
            command,
            [
                {
                    "state": "confirmed",
                    "result": {"registers": [1]},
                    "request": "01 03",
                    "response": "01 03 02",
                }
            ],
        )
        self.assertTrue(command.sent_at and command.done_at)

    def test_job_that_reached_nothing_is_tried_again_and_ends(self):
        command = self.probe()
        for tries in range(1, 5):
            store.finish_job(self.env, command.id, JobResult("untouched", error="no answer"))
            self.assertEqual((command.state, command.tries), ("queued", tries))
            self.assertEqual(self.take(), [], "it pauses")
        store.finish_job(self.env, command.id, JobResult("untouched", error="no answer"))
        self.assertEqual((command.state, command.error), ("failed", "no answer"))

    def test_progress_is_noted_and_unwanted_orders_are_told(self):
        first = self.probe()
        later = self.probe()
        orders, unwanted = store.take_jobs(
            self.env, self.gateway.ids, first.ids, {first.id: {"done": 3}}
        )
        self.assertEqual([order["id"] for order in orders], later.ids)
        self.assertIn(self.power.id, orders[0]["profiles"])
        self.assertEqual(unwanted, set(first.ids))
        self.assertEqual(first.result, {"done": 3})

    def test_failed_order_is_given_again(self):
        command = self.probe()
        store.finish_job(self.env, command.id, JobResult("failed", error="refused"))
        command.action_order_again()
        again = self.env["energy.command"].search([("gateway_id", "=", self.gateway.id)], limit=1)
        self.assertEqual((again.number, again.arguments), (2, command.arguments))
        self.assertTrue(again.is_last)
        self.assertFalse(command.is_last)

    def test_only_engineers_order(self):
        for role in ("viewer", "cashier", "operator", "finance"):
            with self.assertRaises(AccessError):
                self.gateway.with_user(self.user(role))._order_job("scan", {})
        self.gateway.with_user(self.user("engineer"))._order_job("scan", {})
