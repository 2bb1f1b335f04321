from unittest.mock import patch

from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..connector import outbox
from ..connector.field import load_field
from ..database_identity import database_identity
from ..models.energy_command_armed import EnergyCommand as Armed
from ..models.energy_command_armed import EnergyGateway as ArmedGateway
from .common import FieldCommon

GATEWAY = "odoo.addons.prepaid_energy_meter.models.energy_gateway.database_identity"


@tagged("post_install", "-at_install")
class TestArming(PropertyCase, FieldCommon):
    def refusals(self):
        """Why each of on and off by a person, on by payment, off for arrears is refused."""
        self.gateway.invalidate_recordset()
        return [
            bool(self.gateway._write_refusal(value, cause))
            for value, cause in (
                ("on", "person"),
                ("off", "person"),
                ("on", "payment"),
                ("off", "arrears"),
            )
        ]

    def test_new_gateway_reads_only(self):
        self.assertEqual(self.gateway.armed, "no")
        self.assertEqual(self.refusals(), [True] * 4)

    def test_armed_gateway_switches_but_cuts_nobody(self):
        self.gateway.action_arm()
        self.assertEqual(self.gateway.armed, "on_only")
        self.assertEqual(self.refusals(), [False, False, False, True])

    def test_released_gateway_cuts(self):
        self.gateway.action_arm()
        self.gateway.action_release_cuts()
        self.assertEqual(self.gateway.armed, "all")
        self.assertEqual(self.refusals(), [False] * 4)

    def test_cuts_are_released_after_arming_only(self):
        with self.assertRaises(UserError):
            self.gateway.action_release_cuts()

    def test_another_database_writes_nothing(self):
        self.gateway.action_arm()
        self.gateway.action_release_cuts()
        with patch(GATEWAY, return_value="a copy"):
            self.assertEqual(self.refusals(), [True] * 4)
            self.assertEqual(self.gateway.armed, "other")
            self.gateway.action_arm()
            self.assertEqual(self.refusals(), [False, False, False, True])

    def test_disarmed_gateway_reads_only(self):
        self.gateway.action_arm()
        self.gateway.action_disarm()
        self.assertEqual(self.refusals(), [True] * 4)

    def test_what_may_be_written_is_searched_for(self):
        engineer = self.user("engineer")
        viewer = self.user("viewer")

        def found(user):
            return [
                state
                for state in ("no", "on_only", "all", "other")
                if self.gateway
                in self.env["energy.gateway"].with_user(user).search([("armed", "=", state)])
            ]

        self.assertEqual(found(viewer), ["no"])
        self.gateway.with_user(engineer).action_arm()
        self.assertEqual(found(viewer), ["on_only"])
        self.gateway.action_release_cuts()
        self.assertEqual(found(viewer), ["all"])
        meters = self.env["energy.meter"].with_user(viewer)
        self.assertIn(self.meter, meters.search([("armed", "=", "all")]))
        self.assertNotIn(self.meter, meters.search([("armed", "!=", "all")]))
        with patch(GATEWAY, return_value="a copy"):
            self.assertEqual(found(viewer), ["other"])

    def test_gateways_are_grouped_by_what_they_may_write(self):
        values = {"site_id": self.site.id, "host": "192.0.2.11"}
        gateways = self.gateway.create(
            [{**values, "name": f"Riser {n}", "port": 500 + n} for n in range(4)]
        )
        reads, turns_on, switches, other = gateways
        (turns_on | switches).action_arm()
        switches.action_release_cuts()
        other.sudo().armed_identity = "another"
        user = self.user("viewer", [self.site])
        groups = gateways.with_user(user).formatted_read_group(
            [("id", "in", gateways.ids)], ["armed"], ["id:array_agg"]
        )
        self.assertEqual(
            {group["armed"]: group["id:array_agg"] for group in groups},
            {
                "no": reads.ids,
                "on_only": turns_on.ids,
                "all": switches.ids,
                "other": other.ids,
            },
        )
        self.assertTrue(gateways.fields_get(["armed"], ["groupable"])["armed"]["groupable"])

    def test_identity_changes_with_the_uuid(self):
        before = database_identity(self.env.cr)
        self.env["ir.config_parameter"].set_param("database.uuid", "restored")
        self.env.flush_all()
        self.assertNotEqual(database_identity(self.env.cr), before)
        self.assertEqual(len(before.split("/")), 4)

    def test_who_may_arm_and_release(self):
        for role in ("viewer", "cashier", "operator", "finance"):
            with self.assertRaises(AccessError):
                self.gateway.with_user(self.user(role)).action_arm()
        engineer = self.gateway.with_user(self.user("engineer"))
        engineer.action_arm()
        with self.assertRaises(AccessError):
            engineer.action_release_cuts()
        self.gateway.with_user(self.user("manager")).action_release_cuts()
        self.assertEqual(self.gateway.armed, "all")

    def test_identity_is_written_by_the_buttons_only(self):
        manager = self.user("manager")
        identity = database_identity(self.env.cr)
        with self.assertRaises(AccessError):
            self.gateway.with_user(manager).write({"armed_identity": identity})
        gateways = self.env["energy.gateway"].with_user(manager)
        values = {"name": "Made armed", "site_id": self.site.id, "host": "192.0.2.99"}
        for name in ("armed_identity", "cut_release_identity"):
            with self.assertRaises(AccessError):
                gateways.create({**values, name: identity})
        defaults = {"default_armed_identity": identity, "default_cut_release_identity": identity}
        self.assertEqual(gateways.with_context(**defaults).create(values).armed, "no")

    def waits(self):
        """What each supply order of the meter waits for, in order; False: it may go out."""
        orders = self.env["energy.command"].search([("meter_id", "=", self.meter.id)], order="id")
        return orders.mapped("waits_for")

    def undone(self, check):
        def whole():
            self.env.cr.execute("SAVEPOINT arming")
            try:
                check()
            finally:
                self.env.cr.execute("ROLLBACK TO SAVEPOINT arming")
                self.env.invalidate_all()

        return whole

    def test_orders_wait_for_arming_and_go_out_with_it(self):
        """Also where the gateway is disarmed after the order was taken."""

        def check():
            self.meter.control_id._order_by_person("on", "")
            self.assertEqual(self.waits(), ["armed"])
            self.assertEqual(self.gateway.waiting_count, 1)
            self.assertEqual(self.env["energy.command"]._take(self.meter.ids), [])
            self.gateway.action_arm()
            self.assertEqual(self.waits(), [False])
            [order] = self.env["energy.command"]._take(self.meter.ids)
            self.gateway.action_disarm()
            why = outbox.may_write(self.env, order["id"], "01 10")
            self.assertIn("Arming of the gateway", why)
            self.assertEqual(self.env["energy.command"].browse(order["id"]).state, "queued")
            self.assertEqual(self.waits(), ["armed"])
            self.gateway.action_arm()
            self.assertEqual(outbox.may_write(self.env, order["id"], "01 10"), "")

        self.holds(
            self.undone(check),
            (Armed._command, "self.browse(ids)._wait_for_gateways()", "pass"),
            (ArmedGateway.write, "self._waiting()._wait_for_gateways()", "pass"),
        )

    def test_restored_database_holds_back_what_was_on_its_way(self):
        """Its connector marks it when it loads the field, and asks again before the write."""

        def check():
            self.gateway.action_arm()
            order = self.order(self.meter, "on", cause="payment")
            with patch(GATEWAY, return_value="a copy"):
                self.env.invalidate_all()
                [taken] = self.env["energy.command"]._take(self.meter.ids)
                why = outbox.may_write(self.env, taken["id"], "01 10")
                self.assertEqual((order.state, order.waits_for), ("queued", "armed"), why)
                order._no_longer_waits()
                load_field(self.env)
                self.assertEqual(order.waits_for, "armed")
            self.env.invalidate_all()
            load_field(self.env)
            self.assertFalse(order.waits_for)

        self.holds(
            self.undone(check),
            (Armed._check, "self._wait_for_gateways()", "pass"),
            (load_field, 'env["energy.command"].search(waiting)._wait_for_gateways()', "pass"),
        )

    def test_cuts_wait_for_their_release(self):
        self.gateway.action_arm()
        self.order(self.meter, "off", cause="arrears")
        self.assertEqual(self.waits(), ["cuts_released"])
        self.assertEqual(self.env["energy.command"]._take(self.meter.ids), [])
        self.gateway.action_release_cuts()
        self.assertEqual(self.waits(), [False])

    def test_who_orders_is_told_and_somebody_finds_it_under_today(self):
        done = self.meter.control_id._order_by_person("on", "")
        self.assertIn("Gateway Riser 1 is not armed", done)
        findings = self.env["energy.meter.finding"]
        findings._watch(self.site)
        finding = findings.search([("gateway_id", "=", self.gateway.id)])
        self.assertEqual((finding.kind, finding.state), ("armed", "open"))
        self.assertIn("1 commands wait", finding.details)
        self.gateway.action_arm()
        findings._watch(self.site)
        self.assertEqual(finding.state, "closed")
        waiting = self.gateway.action_open_waiting()["domain"]
        self.assertFalse(self.env["energy.command"].search(waiting))

    def test_what_was_ordered_while_somebody_armed_is_found_to_be_free(self):
        self.gateway.action_arm()
        order = self.order(self.meter, "on")
        order._let_wait("armed")
        self.env["energy.meter.finding"]._watch(self.site)
        self.assertFalse(order.waits_for)

    def test_meter_behind_another_gateway_waits_for_that_one(self):
        order = self.order(self.meter, "on")
        other = self.gateway.copy({"name": "Riser 2", "host": "192.0.2.11"})
        other.action_arm()
        self.meter.gateway_id = other
        load_field(self.env)
        self.assertFalse(order.waits_for)

    def test_permitted_order_is_noted_as_sent(self):
        self.gateway.action_arm()
        command = self.order(self.meter, "on")
        self.assertEqual(outbox.may_write(self.env, command.id, "01 10"), "")
        self.assertEqual((command.state, command.request), ("sent", "01 10"))

    def test_overtaken_order_is_not_written(self):
        self.gateway.action_arm()
        first = self.order(self.meter, "off")
        self.order(self.meter, "on")
        self.assertTrue(outbox.may_write(self.env, first.id, "01 10"))
        self.assertEqual(first.state, "overtaken")
