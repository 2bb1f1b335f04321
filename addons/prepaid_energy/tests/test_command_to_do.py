from datetime import timedelta

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.energy_command_delivery import EnergyCommand as Delivery
from ..models.energy_command_to_do import EnergyCommand
from ..models.energy_command_wish import EnergyCommand as Wish
from ..models.energy_command_wish import EnergyMeterControl as Wishes
from .common import START, EnergyCase
from .planting import PropertyCase


@tagged("post_install", "-at_install")
class TestCommandToDo(PropertyCase, EnergyCase):
    """An order that failed or expired stays somebody's to-do until it is dealt with."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter, cls.other = cls.make_meter("T1"), cls.make_meter("T2")
        cls.account = cls.open_account(cls.meter)

    def order(self, action="off", meter=None):
        meter = meter or self.meter
        meter.control_id._order_by_person(action, "Works")
        return self.env["energy.command"].search([("meter_id", "=", meter.id)], limit=1)

    def to_do(self, state="open", meter=None):
        return self.env["energy.meter.finding"].search(
            [
                ("kind", "=", "order"),
                ("meter_id", "=", (meter or self.meter).id),
                ("state", "=", state),
            ]
        )

    def test_failed_is_to_be_done_until_it_is_ordered_again(self):
        def check():
            self.env.cr.execute("SAVEPOINT to_do")
            command = self.order()
            self.assertFalse(self.to_do())
            command._fail("the valve is stuck")
            self.assertIn("the valve is stuck", self.to_do().details or "")
            self.assertEqual(self.to_do().command_id, command)
            self.order("hold")
            self.assertFalse(self.to_do())
            self.assertEqual(command.state, "failed")
            self.env.cr.execute("ROLLBACK TO SAVEPOINT to_do")
            self.env.invalidate_all()

        self.holds(
            check,
            (EnergyCommand._set, 'if state == "failed":', "if False:"),
            (EnergyCommand._command, "self._sync_to_do(standing.meter_id.ids)", "pass"),
        )

    def test_expired_is_to_be_done(self):
        def check():
            self.env.cr.execute("SAVEPOINT to_do")
            self.read(self.meter, START + timedelta(hours=1), "10")
            self.settle()
            self.set_clock(START + timedelta(hours=30))
            self.assertEqual(self.env["energy.command"]._take(self.meter.ids), [])
            self.assertIn("not carried out in time", self.to_do().details or "")
            self.env.cr.execute("ROLLBACK TO SAVEPOINT to_do")
            self.env.invalidate_all()

        self.holds(
            check,
            (
                Delivery._take,
                "self._sync_to_do([meter for meter, _kind, _cause in expired])",
                "pass",
            ),
        )

    def test_closed_with_a_reason_it_stays_closed_and_the_next_failure_is_another(self):
        self.order()._fail("the valve is stuck")
        first = self.to_do()
        first._close("A plumber comes tomorrow")
        self.assertFalse(self.to_do())
        self.order()._fail("the valve is stuck")
        self.assertTrue(self.to_do())
        self.assertNotEqual(self.to_do(), first)
        self.assertEqual((first.state, first.reason), ("closed", "A plumber comes tomorrow"))

    def test_many_are_ordered_again_at_once(self):
        for meter in (self.meter, self.other):
            self.order(meter=meter)._fail("no relay")
        both = self.to_do() | self.to_do(meter=self.other)
        operation = both.action_order_again()
        self.env["energy.operation"].browse(operation["res_id"]).action_confirm()
        self.assertFalse(self.to_do() | self.to_do(meter=self.other))
        self.order("hold")._fail("no relay")
        self.order(meter=self.other)._fail("no relay")
        with self.assertRaises(UserError):
            (self.to_do() | self.to_do(meter=self.other)).action_order_again()

    def cut(self):
        """Use what was never paid; return the cut."""
        self.read(self.meter, START + timedelta(hours=1), "10")
        self.settle()
        command = self.env["energy.command"].search([("meter_id", "=", self.meter.id)], limit=1)
        self.assertEqual((command.value, command.cause), ("off", "arrears"))
        return command

    def again(self, command):
        """Press *Order Again*; return its one line."""
        action = command.action_order_again()
        return self.env["energy.operation"].browse(action["res_id"]).line_ids

    def last(self):
        return self.env["energy.command"].search([("meter_id", "=", self.meter.id)], limit=1)

    def test_cut_is_ordered_again_as_the_cut_that_it_was(self):
        """A payment undoes it. It is ordered only where it is still due."""

        def check():
            self.env.cr.execute("SAVEPOINT to_do")
            command = self.cut()
            command._fail("the relay does not move")
            self.meter.is_protected = True
            line = self.again(self.to_do().command_id)
            self.assertFalse(line.is_done)
            self.assertIn("Protected", line.result or "")
            self.assertTrue(self.to_do())
            self.meter.is_protected = False
            self.assertTrue(self.again(command).is_done)
            last, control = self.last(), self.meter.control_id
            self.assertEqual((last.number, last.value, last.cause), (2, "off", "arrears"))
            self.assertEqual((control.mode, control.wanted_cause), ("prepaid", "arrears"))
            self.assertFalse(self.to_do())
            last._sent("01 10")
            last._confirm("01 03")
            self.top_up(self.account, 50)
            self.assertEqual((self.last().number, self.last().value), (3, "on"))
            self.env.cr.execute("ROLLBACK TO SAVEPOINT to_do")
            self.env.invalidate_all()

        self.holds(
            check,
            (Wish._again, '"off" if self.mode == "forced_off" else "again"', '"off"'),
            (Wishes._cut_again, "if why:", "if False:"),
            (Wishes._cut_again, 'self._write_wish("prepaid", "on", "policy")', "pass"),
        )

    def test_each_order_is_given_again_as_what_it_was(self):
        operations = {"off": "off", "on": "on", "hold": "hold"}
        self.top_up(self.account, 50)
        for action, again in operations.items():
            self.assertEqual(self.order(action)._again(), again)
        self.order("hold")
        self.assertEqual(self.order("on")._again(), "hold")

    def test_off_of_service_mode_is_given_again_without_changing_the_wish(self):
        self.top_up(self.account, 50)
        service = self.env["energy.service.mode"].create(
            {
                "property_id": self.meter.property_id.id,
                "worker": "Zhang San 138 0000 0000",
                "reason": "Socket circuit",
                "until": START + timedelta(hours=8),
                "turn_off": True,
            }
        )
        service.action_start()
        self.last()._fail("no relay")
        self.assertTrue(self.again(self.to_do().command_id).is_done)
        control = self.meter.control_id
        self.assertEqual((self.last().value, self.last().number), ("off", 2))
        self.assertEqual((control.mode, control.wanted != "off"), ("prepaid", True))
        service.action_end()
        self.assertEqual(self.last().value, "on")

    def test_cut_that_was_given_up_is_not_ordered_again_by_itself(self):
        def check():
            self.env.cr.execute("SAVEPOINT to_do")
            self.cut()._fail("nobody has confirmed how it is switched")
            self.to_do()._close("An engineer comes tomorrow")
            for hour in range(2, 6):
                self.read(self.meter, START + timedelta(hours=hour), str(10 + hour))
                self.settle()
            self.assertEqual(self.last().number, 1)
            self.assertFalse(self.to_do())
            # A payment orders on, whatever became of the cut.
            self.top_up(self.account, 50)
            self.assertEqual((self.last().number, self.last().value), (2, "on"))
            self.env.cr.execute("ROLLBACK TO SAVEPOINT to_do")
            self.env.invalidate_all()

        self.holds(
            check,
            (
                Delivery._fail,
                'self._note("failed", evidence, error)',
                "self._forget_wish(self.meter_id.ids)",
            ),
        )

    def test_wish_is_forgotten_only_where_nothing_can_be_off(self):
        """A cut that is no longer asked for, after one that was carried out and never undone."""

        def check():
            self.env.cr.execute("SAVEPOINT to_do")
            first = self.cut()
            first._sent("01 10")
            first._confirm("01 03")
            self.top_up(self.account, 50)
            self.read(self.meter, START + timedelta(hours=2), "200")
            self.settle()
            self.meter.is_protected = True
            [taken] = self.env["energy.command"]._take(self.meter.ids)
            self.assertIn("Protected", self.env["energy.command"].browse(taken["id"])._check())
            self.assertEqual(
                [state for *_rest, state in self.commands(self.meter)],
                ["confirmed", "overtaken", "overtaken"],
            )
            self.top_up(self.account, 200)
            self.assertEqual((self.last().number, self.last().value), (4, "on"))
            self.env.cr.execute("ROLLBACK TO SAVEPOINT to_do")
            self.env.invalidate_all()

        self.holds(
            check, (Wish._forget_wish, "c.sent_at IS NOT NULL OR c.state = 'confirmed'", "FALSE")
        )

    def test_what_waits_or_was_overtaken_is_no_to_do(self):
        self.order()._retry("no answer", counts=False)
        self.order("hold")
        self.env["energy.command"]._take(self.meter.ids)
        self.assertFalse(self.to_do())
