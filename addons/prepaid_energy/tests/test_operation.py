from datetime import timedelta

from lxml import etree
from odoo.exceptions import UserError
from odoo.tests import tagged

from ..wizard.energy_operation import ASKS
from .common import START, EnergyCase


@tagged("post_install", "-at_install")
class TestOperation(EnergyCase):
    """One operation on many rooms: one order each, a result a line."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.paid, cls.owing, cls.fixed = (cls.make_meter(name) for name in ("O1", "O2", "O3"))
        cls.env.cr.execute(
            "UPDATE energy_meter SET can_switch = FALSE WHERE id = %s", [cls.fixed.id]
        )
        cls.env.invalidate_all()
        accounts = [cls.open_account(meter) for meter in (cls.paid, cls.owing, cls.fixed)]
        accounts[0].wallet_ids._top_up(50, "test/paid", cls.method)
        cls.meters = cls.paid + cls.owing + cls.fixed

    def operate(self, action, meters=None):
        result = self.env["energy.operation"]._open(meters or self.meters, action)
        return self.env["energy.operation"].browse(result["res_id"])

    def test_each_room_has_its_result_and_a_refusal_stops_nobody(self):
        self.read(self.owing, START + timedelta(hours=1), "10")
        self.settle()
        operation = self.operate("on")
        self.assertEqual(operation.state, "done")
        results = {line.meter_id.name: (line.is_done, line.result) for line in operation.line_ids}
        self.assertEqual(results["O1"], (True, "Supply on ordered."))
        self.assertFalse(results["O2"][0])
        self.assertIn("6.01", results["O2"][1])
        self.assertEqual(results["O3"], (False, "This meter cannot be switched."))
        self.assertEqual(operation.failed_count, 2)

    def test_manager_grants_what_was_refused_for_arrears(self):
        self.read(self.owing, START + timedelta(hours=1), "10")
        self.settle()
        operation = self.operate("on", self.owing)
        with self.assertRaises(UserError):
            operation.action_grant()
        operation.granted_until = START + timedelta(hours=9)
        operation.action_grant()
        self.assertEqual(self.commands(self.owing)[-1][2:], ("on", "queued"))
        self.assertEqual(operation.failed_count, 0)

    def test_switching_off_asks_first_and_reading_does_not(self):
        operation = self.operate("off", self.paid)
        self.assertEqual(operation.state, "ask")
        self.assertEqual(self.commands(self.paid), [])
        operation.action_confirm()
        self.assertEqual(self.commands(self.paid), [(1, "supply", "off", "queued")])
        with self.assertRaises(UserError):
            operation.action_confirm()
        read = self.operate("read", self.paid)
        self.assertEqual(
            read.line_ids.result, "Nothing reads this meter: its readings are typed or imported."
        )

    def test_what_asks_can_be_confirmed(self):
        arch = etree.fromstring(self.env["energy.operation"].get_view(view_type="form")["arch"])
        conditions = [
            button.get("invisible") for button in arch.findall(".//button[@name='action_confirm']")
        ]
        for action in ASKS:
            self.assertTrue(any(f"'{action}'" in condition for condition in conditions), action)

    def test_tariff_is_set_for_all(self):
        dear = self.make_tariff("Dear", {"flat": ["2.000000"]})
        operation = self.operate("set_tariff", self.paid + self.owing)
        operation.write({"tariff_id": dear.id, "since": START + timedelta(hours=1)})
        operation.action_confirm()
        self.assertEqual(operation.line_ids.mapped("is_done"), [True, True])
        self.set_clock(START + timedelta(hours=2))
        self.assertEqual(
            self.env["energy.room"].search([("meter_id", "=", self.paid.id)]).tariff_id, dear
        )

    def test_going_live_shows_who_is_cut_and_cuts_them(self):
        self.site.supply_state = "watch"
        self.read(self.owing, START + timedelta(hours=1), "10")
        self.settle()
        action = self.site.action_go_live()
        operation = self.env["energy.operation"].with_context(**action["context"]).create({})
        self.assertEqual(operation.line_ids.meter_id, self.owing)
        operation.action_confirm()
        self.assertEqual(self.site.supply_state, "live")
        self.assertEqual(self.commands(self.owing), [(1, "supply", "off", "queued")])

    def test_reason_follows_the_balance(self):
        self.owing.is_protected = True
        for hour, total, figure in ((1, "10", "6.00"), (2, "20", "12.00")):
            self.read(self.owing, START + timedelta(hours=hour), total)
            self.settle()
            self.assertIn(figure, self.owing.control_id.decision_reason)
