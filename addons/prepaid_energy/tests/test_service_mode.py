from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from ..models.energy_command_delivery import EnergyCommand as Delivery
from ..models.energy_command_service import EnergyCommand as Service
from ..models.energy_service_mode import EnergyServiceMode
from .common import START, EnergyCase
from .planting import PropertyCase

HOUR = timedelta(hours=1)


@tagged("post_install", "-at_install")
class TestServiceMode(PropertyCase, EnergyCase):
    """While somebody works in a room nothing turns its supply on."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("V1")
        cls.account = cls.open_account(cls.meter)
        cls.top_up(cls, cls.account, 5, "test/first")

    def work(self, place=None, start=True, **values):
        service = self.env["energy.service.mode"].create(
            {
                "property_id": (place or self.meter.property_id).id,
                "worker": "Zhang San 138 0000 0000",
                "reason": "Socket circuit",
                "until": START + 8 * HOUR,
                **values,
            }
        )
        if start:
            service.action_start()
        return service

    def take(self):
        return [(o["value"]) for o in self.env["energy.command"]._take(self.meter.ids)]

    def cut(self):
        self.read(self.meter, START + HOUR, "20")
        self.settle()
        self.last()._confirm("off")

    def undone(self, check):
        """Return a check that leaves nothing behind."""

        def whole():
            self.env.cr.execute("SAVEPOINT service_mode")
            try:
                check()
            finally:
                self.env.cr.execute("ROLLBACK TO SAVEPOINT service_mode")
                self.env.invalidate_all()

        return whole

    def test_a_payment_waits_and_the_off_goes_out(self):
        """The off of a meter that is offline is not made overtaken by the payment's order."""

        def check():
            self.cut()
            self.work()
            self.meter.control_id._order_by_person("off", "Make sure")
            self.env.cr.execute("UPDATE energy_meter_control SET mode = 'prepaid'")
            self.env.cr.execute("UPDATE energy_meter_control SET wanted_cause = 'arrears'")
            self.env.invalidate_all()
            self.top_up(self.account, 50)
            self.settle()
            self.assertEqual((self.last().value, self.last().waits_for), ("on", "service"))
            self.assertEqual(self.take(), ["off"])
            self.env["energy.command"].browse(
                self.env["energy.command"]._take(self.meter.ids)[0]["id"]
            )._confirm("off")
            self.assertEqual(self.take(), [])
            self.assertTrue(self.last()._check())
            self.assertEqual((self.last().state, self.last().waits_for), ("queued", "service"))

        self.holds(
            self.undone(check),
            (Service._command, "self._wait_for_service(list(blocked))", "pass"),
            (Delivery._take, "AND h.waits_for IS DISTINCT FROM 'service'", ""),
        )

    def test_nobody_turns_it_on(self):
        """Payment, person, manager, in bulk; whether ordered before or after the start."""

        def check():
            self.meter.control_id._order_by_person("hold", "The tenant is ill")
            before = self.last()
            self.work()
            self.assertEqual(before.waits_for, "service")
            done = self.meter.control_id._order_by_person("on", "Wants to cook")
            self.assertIn("Zhang San", done)
            self.assertEqual(self.take(), ["off"])
            self.last()._no_longer_waits()
            self.assertNotIn("on", self.take())
            self.last()._no_longer_waits()
            self.assertIn("Zhang San", self.last()._check())
            self.assertEqual((self.last().state, self.last().waits_for), ("queued", "service"))

        self.holds(
            self.undone(check),
            (
                EnergyServiceMode._start,
                'self.env["energy.command"].sudo()._wait_for_service',
                "str",
            ),
            (Service._hold_back, "if blocked:", "if not blocked:"),
            (Service._check, "if not blocked:", "if True:"),
        )

    def test_it_turns_off_and_gives_back(self):
        service = self.work()
        self.assertEqual((self.last().value, self.last().cause), ("off", "person"))
        self.assertIn("Zhang San", self.last().reason)
        self.assertNotEqual(self.meter.control_id.mode, "forced_off")
        self.assertEqual(service.not_off, "V1")
        self.last()._confirm("off")
        self.env["energy.meter.status"]._report(
            [
                {
                    "meter_id": self.meter.id,
                    "supply_state": "off",
                    "supply_seen_at": START + HOUR,
                }
            ]
        )
        service.invalidate_recordset()
        self.assertFalse(service.not_off)
        service.action_end()
        self.assertEqual((self.last().value, self.last().waits_for), ("on", False))
        self.assertIn("End of service mode", self.last().reason)
        self.assertEqual(service.ended_by_id, self.env.user)

    def test_the_last_wish_is_carried_out_at_the_end(self):
        self.cut()
        service = self.work(turn_off=False)
        self.top_up(self.account, 50)
        self.settle()
        self.assertEqual(self.take(), [])
        service.action_end()
        self.assertEqual(self.take(), ["on"])

    def test_what_arrears_turned_off_meanwhile_stays_off(self):
        service = self.work()
        self.last()._confirm("off")
        self.cut()
        self.assertEqual(self.last().cause, "arrears")
        service.action_end()
        self.assertEqual(self.last().cause, "arrears")
        self.assertEqual(self.take(), [])

    def test_time_alone_never_ends_it(self):
        def check():
            service = self.work()
            self.last()._confirm("off")
            self.meter.control_id._order_by_person("on", "")
            self.set_clock(START + 9 * HOUR)
            self.env.invalidate_all()
            self.assertTrue(service.is_overdue)
            overdue = self.env["energy.service.mode"].search([("is_overdue", "=", True)])
            self.assertEqual(overdue, service)
            self.last()._no_longer_waits()
            self.assertEqual(self.take(), [])
            self.last()._no_longer_waits()
            self.assertTrue(self.last()._check())
            service.until = START + 12 * HOUR
            self.assertFalse(service.is_overdue)
            service.action_end()
            self.assertEqual(self.take(), ["on"])

        self.holds(
            self.undone(check),
            (
                EnergyServiceMode._active_for,
                "WHERE s.state = 'active'",
                "WHERE s.state = 'active' AND s.until > energy_now()",
            ),
        )

    def test_a_building_blocks_its_rooms_and_two_block_each(self):
        whole = self.work(self.site)
        room = self.work()
        whole.action_end()
        self.meter.control_id._order_by_person("on", "")
        self.assertEqual(self.last().waits_for, "service")
        room.action_end()
        self.assertEqual(self.take(), ["on"])

    def test_it_blocks_the_named_commodity_only(self):
        self.work(commodity="water", start=False)
        with self.assertRaisesRegex(UserError, "can be switched"):
            self.work(commodity="water")
        self.work(self.site, commodity="electricity")
        valve = self.make_meter("V2", "water")
        valve.control_id._order_by_person("hold", "")
        order = self.env["energy.command"].search([("meter_id", "=", valve.id)])
        self.assertFalse(order.waits_for)

    def test_who_sells_is_told(self):
        self.cut()
        self.work()
        self.env.invalidate_all()
        self.assertIn("Zhang San", self.account.service_notice)
        room = self.env["energy.room"].browse(self.meter.id)
        self.assertIn("Zhang San", room.service_notice)
        entry = self.top_up(self.account, 50)
        self.settle()
        outcome = self.env["energy.top.up"]._outcome(entry)
        self.assertIn("Zhang San", outcome["result"])
        self.assertTrue(outcome["stays_off"])

    def test_of_many_accounts_each_is_told_of_its_own_rooms(self):
        """As many queries for many accounts as for one."""
        self.work()
        meters = [self.make_meter(f"V{number}") for number in (2, 3, 4)]
        others = [self.open_account(meter) for meter in meters]
        self.work(meters[0].property_id, worker="Li Si")

        def told(accounts):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            notices = accounts.mapped("service_notice")
            return notices, self.cr.sql_log_count - before

        told(self.account)
        _notices, for_one = told(self.account)
        notices, for_all = told(self.account.union(*others))
        self.assertEqual(for_all, for_one)
        self.assertEqual(["Zhang San" in notice for notice in notices], [True, False, False, False])
        self.assertEqual(["Li Si" in notice for notice in notices], [False, True, False, False])

    def test_working_is_no_state_that_differs(self):
        self.work()
        self.last()._confirm("off")
        row = {"meter_id": self.meter.id, "supply_state": "off"}
        self.env["energy.meter.status"]._report([{**row, "supply_seen_at": START}])
        self.set_clock(START + HOUR)
        self.env["energy.meter.status"]._report([{**row, "supply_seen_at": START + HOUR}])
        self.env["energy.meter.finding"]._watch(self.site)
        self.assertFalse(self.env["energy.meter.finding"].search([("kind", "=", "state")]))

    def test_only_its_buttons_change_it(self):
        operator = self.new_user("operator", "service_operator")
        service = self.work().with_user(operator)
        with self.assertRaises(AccessError):
            service.state = "ended"
        with self.assertRaises(UserError):
            service.reason = "Another"
        with self.assertRaises(UserError):
            service.unlink()
        with self.assertRaises(UserError):
            service.action_start()
        service.action_end()
        with self.assertRaises(UserError):
            service.until = START + 20 * HOUR
        with self.assertRaises(UserError):
            service.action_end()

    def test_its_form_opens_without_a_place(self):
        operator = self.new_user("operator", "service_form")
        with Form(self.env["energy.service.mode"].with_user(operator)) as form:
            form.property_id = self.meter.property_id
            form.worker = "Zhang San"
            form.reason = "Socket circuit"
            form.until = START + 8 * HOUR
        self.assertEqual(form.record.meter_ids, self.meter)

    def test_the_planned_end_lies_ahead(self):
        with self.assertRaisesRegex(UserError, "to come"):
            self.work(until=START)
