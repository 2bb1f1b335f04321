from datetime import timedelta

from odoo.addons.prepaid_energy import clock
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..connector import outbox
from ..connector.job_kinds import make_job
from ..modbus.driver import JobResult
from ..modbus.identity import Identity
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
        self.gateway.action_arm()
        supply = self.order(self.meter, "off")
        scan = self.gateway._order_job("scan", {})
        self.assertEqual(self.take(), scan.ids)
        [taken] = self.env["energy.command"]._take(self.meter.ids)
        self.assertEqual(taken["id"], supply.id)

    def test_order_expires_unless_it_is_under_way(self):
        command = self.probe()
        self.env["ir.config_parameter"].set_param("prepaid_energy.clock_is_adjustable", "1")
        now = clock.now(self.env.cr)
        self.env["energy.clock"]._set(now + timedelta(minutes=10), 0)
        self.assertEqual(self.take(under_way=command.ids), [])
        command.invalidate_recordset()
        self.assertEqual(command.state, "queued")
        self.assertEqual(self.take(), [])
        self.assertEqual(command.state, "expired")

    def test_end_of_a_job_is_noted(self):
        command = self.probe()
        result = JobResult("confirmed", {"registers": [1]}, request="01 03", response="01 03 02")
        outbox.finish_job(self.env, command.id, result)
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
            outbox.finish_job(self.env, command.id, JobResult("untouched", error="no answer"))
            self.assertEqual((command.state, command.tries), ("queued", tries))
            self.assertEqual(self.take(), [], "it pauses")
        outbox.finish_job(self.env, command.id, JobResult("untouched", error="no answer"))
        self.assertEqual((command.state, command.error), ("failed", "no answer"))

    def test_progress_is_noted_and_unwanted_orders_are_told(self):
        first = self.probe()
        later = self.probe()
        orders, unwanted = outbox.take_jobs(
            self.env, self.gateway.ids, first.ids, {first.id: {"done": 3}}
        )
        self.assertEqual([order["id"] for order in orders], later.ids)
        self.assertIn(self.power.id, orders[0]["profiles"])
        self.assertEqual(unwanted, set(first.ids))
        self.assertEqual(first.result, {"done": 3})

    def test_failed_order_is_given_again(self):
        command = self.probe()
        outbox.finish_job(self.env, command.id, JobResult("failed", error="refused"))
        command.action_order_again()
        again = self.env["energy.command"].search([("gateway_id", "=", self.gateway.id)], limit=1)
        self.assertEqual((again.number, again.arguments), (2, command.arguments))

    def test_only_engineers_order(self):
        for role in ("viewer", "cashier", "operator", "finance"):
            with self.assertRaises(AccessError):
                self.gateway.with_user(self.user(role))._order_job("scan", {})
        self.gateway.with_user(self.user("engineer"))._order_job("scan", {})

    def test_clock_is_set_where_the_type_is_known_to_take_it_only(self):
        with self.assertRaisesRegex(UserError, "is not known"):
            self.meter._order_clock()
        own = self.power.copy({"clock_address": "0x0228", "clock_certainty": "C"})
        self.meter.profile_id = own
        with self.assertRaisesRegex(UserError, "nobody has confirmed"):
            self.meter._order_clock()
        own.clock_confirmation = "Lee, meter FIELD-1"
        command = self.meter.with_user(self.user("engineer"))._order_clock()
        self.assertRecordValues(
            command,
            [
                {
                    "kind": "clock",
                    "meter_id": self.meter.id,
                    "gateway_id": False,
                    "arguments": {"tz": "Asia/Shanghai"},
                }
            ],
        )
        self.gateway.action_arm()
        supply = self.order(self.meter, "off")
        [taken] = self.env["energy.command"]._take(self.meter.ids)
        self.assertEqual(taken["id"], supply.id, "a supply order goes first")
        self.gateway.action_disarm()
        self.assertEqual(command.state, "queued")
        gateway, order = outbox.take_meter_job(
            self.env, {"id": command.id, "meter_id": self.meter.id, "kind": "clock"}
        )
        self.assertEqual((gateway, order["meter"].unit), (self.gateway.id, 1))
        self.assertEqual(make_job({**order, "now": None}, None).kind, "clock")
        # A number once shown is compared before the write, however sure the register is.
        self.assertFalse(order["meter"].serial_known)
        self.meter.status_id._take_identities(
            {self.meter.id: Identity((), {"serial": "FIELD-1"})}, {}
        )
        _gateway, order = outbox.take_meter_job(
            self.env, {"id": command.id, "meter_id": self.meter.id, "kind": "clock"}
        )
        self.assertTrue(order["meter"].serial_known)
        # Not armed: nothing is written.
        self.assertIn("not armed", outbox.may_write(self.env, command.id, "01 10"))
        with self.assertRaises(AccessError):
            self.meter.with_user(self.user("operator"))._order_clock()
        command._fail("after the write the clock shows another time")
        to_do = self.env["energy.meter.finding"].search([("meter_id", "=", self.meter.id)])
        self.assertEqual((to_do.kind, to_do.state), ("order", "open"))
        self.meter.with_user(command.user_id)._order_clock()
        self.assertEqual(to_do.state, "closed")

    def test_job_of_an_unknown_kind_cannot_be_made(self):
        with self.assertRaisesRegex(ValueError, "unknown kind"):
            make_job({"id": 1, "kind": "dance", "arguments": {}}, None)
