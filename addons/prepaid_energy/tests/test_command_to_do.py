from datetime import timedelta

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.energy_command_delivery import EnergyCommand as Delivery
from ..models.energy_command_to_do import EnergyCommand
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

    def test_what_waits_or_was_overtaken_is_no_to_do(self):
        self.order()._retry("no answer", counts=False)
        self.order("hold")
        self.env["energy.command"]._take(self.meter.ids)
        self.assertFalse(self.to_do())
