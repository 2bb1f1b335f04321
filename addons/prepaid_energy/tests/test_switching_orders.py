"""Orders to relays and valves between being wanted and being written (C2, C7, C9, C15)."""

import logging
import socket
from datetime import timedelta
from unittest.mock import patch

import psycopg2
from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..models.energy_command import EnergyCommand as Outbox
from ..models.energy_command_delivery import EnergyCommand as Delivery
from ..models.energy_meter_control import EnergyMeterControl as Control
from ..wizard.energy_operation import EnergyOperation
from .switching_case import HOUR, MINUTE, START, SwitchingCase

WIZARD = "odoo.addons.prepaid_energy.wizard.energy_operation"


@tagged("post_install", "-at_install")
class TestSwitchingOrders(SwitchingCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Here each cut is looked at by itself.
        cls.site.write({"cut_rooms_hour": 100, "cut_one_in_day": 1})
        cls.meter = cls.rooms(1)
        cls.account = cls.meter.account_id
        cls.control = cls.meter.control_id

    def test_of_a_hundred_orders_only_the_last_is_carried_out(self):
        """C2: given alternately while the meter was offline."""

        def check():
            for _turn in range(50):
                self.control._order_by_person("hold", "Works on site")
                self.control._order_by_person("off", "Works on site")
            [order] = self.orders._take(self.meter.ids)
            last = self.last(self.meter)
            self.assertEqual((order["id"], order["value"]), (last.id, "off"))
            waiting = [("meter_id", "=", self.meter.id), ("state", "=", "queued")]
            self.assertEqual(self.orders.search(waiting), last)
            self.assertEqual(self.carry_out(self.meter), ["R0"])
            self.assertEqual(self.take(self.meter), [])

        self.holds(
            check,
            (Delivery._take, "AND h.number > c.number", "AND h.number < c.number"),
            (Delivery._take, "SET state = 'overtaken'", "SET state = 'queued'"),
        )

    def test_request_tried_five_times_leaves_one_order(self):
        """C7: and nothing outside the database is touched by it."""

        def check():
            meter = self.make_meter("T1")
            tries = []

            def request():
                operation = self.env["energy.operation"].create(
                    {
                        "action": "hold",
                        "reason": "works",
                        "line_ids": [Command.create({"meter_id": meter.id})],
                    }
                )
                operation.action_confirm()
                self.env.flush_all()
                tries.append(len(self.commands(meter)))
                if len(tries) < 5:
                    raise psycopg2.errors.SerializationFailure()

            def repeated():
                """What Odoo does with a request's transaction that conflicts."""
                while True:
                    try:
                        with self.env.cr.savepoint():
                            return request()
                    except psycopg2.errors.SerializationFailure:
                        self.env.invalidate_all()

            with patch.object(socket.socket, "connect", self.no_connection):
                repeated()
            self.assertEqual(tries, [1] * 5)
            self.assertEqual(self.commands(meter), [(1, "supply", "on", "queued")])

        self.holds(
            check,
            (
                Outbox._command,
                "if orders:",
                "import socket; socket.create_connection(('::1', 9))\n    if orders:",
            ),
        )

    @staticmethod
    def no_connection(_socket, address):
        raise AssertionError(f"{address} was called in a request's transaction")

    def cut(self, moment=START + HOUR, total="10"):
        self.use(self.meter, moment, total)
        [order] = self.orders._take(self.meter.ids)
        return self.orders.browse(order["id"])

    def assertDropped(self, command, why):
        self.assertIn(why.lower(), command._check().lower())
        self.assertEqual(command.state, "overtaken")
        self.assertIn(why.lower(), command.error.lower())

    def test_paid_before_the_write(self):
        def check():
            command = self.cut()
            self.top_up(self.account, 50)
            self.assertDropped(command, "later command")

        self.holds(check, (Delivery._check, "if self.env.cr.fetchone():", "if False:"))

    def test_what_changed_before_the_write_is_asked_again(self):
        """Protected, granted, held, site in watch, too old: each is the reason then."""
        changes = {
            "Protected": lambda meter: meter.write({"is_protected": True}),
            "protected": lambda meter: meter.control_id.write(
                {"granted_until": START + timedelta(hours=30)}
            ),
            "A reading is held": lambda meter: self.read(meter, START + HOUR + MINUTE, "4"),
            "site in watch": lambda _meter: self.site.write({"supply_state": "watch"}),
            "Figures too old": lambda _meter: self.set_clock(START + 40 * HOUR),
        }

        def check(why):
            meter = self.rooms(1, prefix=f"Q{why[:3]}")
            self.use(meter, START + HOUR)
            [order] = self.orders._take(meter.ids)
            command = self.orders.browse(order["id"])
            self.assertEqual(command._check(), "")
            changes[why](meter)
            self.assertDropped(command, why)
            self.assertEqual(meter.control_id.wanted, "on")
            self.site.supply_state = "live"
            self.set_clock(START)

        for why in changes:
            self.holds(
                lambda why=why: check(why),
                (Control._cuts_refused, 'if decision.wanted == "off"', "if True"),
                (
                    Delivery._check,
                    "if why:\n        self._set(",
                    "if False:\n        self._set(",
                ),
            )
            self.env["energy.meter"].search([("name", "=like", "Q%")]).write({"name": f"was {why}"})

    def test_reading_corrected_before_the_write(self):
        """The reading that brought the cut was wrong: it is rejected, and settled anew."""

        command = self.cut()
        reading = self.env["energy.reading"].search([("meter_id", "=", self.meter.id)], limit=1)
        review = self.env["energy.reading.review"].browse(reading.action_reject()["res_id"])
        review.reason = "on_site"
        review.action_confirm()
        self.settle()
        self.assertDropped(command, "later command")
        self.assertEqual(self.last(self.meter).value, "on")

    def test_tenant_changed_before_the_write(self):
        """The meter serves somebody else by then, who owes as well: the cut was not theirs."""

        def check():
            command = self.cut()
            self.set_clock(START + HOUR + MINUTE)
            self.env.cr.execute(
                "UPDATE energy_supply SET end_at = %s, closing_register = 10 WHERE meter_id = %s",
                [START + HOUR, self.meter.id],
            )
            self.env.cr.execute(
                "UPDATE energy_occupancy SET end_at = %s WHERE account_id = %s",
                [START + HOUR, self.account.id],
            )
            self.env.invalidate_all()
            other = self.open_account(self.meter, start=START + HOUR, register=10.0)
            self.read(self.meter, START + HOUR + timedelta(seconds=50), "11")
            self.settle()
            self.assertLess(other.balance, 0)
            self.assertDropped(command, "serves another account")

        self.plants_defect = True
        self.holds(
            check,
            (Control._cuts_refused, "not in (None, False, situation.account)", "is Ellipsis"),
            (Control._decide, '"account_id": situation.account', '"account_id": None'),
        )

    def test_meter_taken_out_before_the_write(self):
        def check():
            command = self.cut()
            self.env.cr.execute(
                "UPDATE energy_supply SET end_at = %s, closing_register = 10 WHERE meter_id = %s",
                [START + HOUR, self.meter.id],
            )
            self.env.invalidate_all()
            self.assertDropped(command, "no active account")

        self.plants_defect = True
        self.holds(
            check,
            (
                Delivery._check,
                'elif self.value == "off" and self.cause == "arrears":',
                "elif False:",
            ),
        )

    def operate(self, user, action, reason="works"):
        operation = (
            self.env["energy.operation"]
            .with_user(user)
            .create(
                {
                    "action": action,
                    "reason": reason,
                    "line_ids": [Command.create({"meter_id": self.meter.id})],
                }
            )
        )
        operation.action_confirm()
        return operation

    def test_who_may_not_is_refused_and_it_is_logged(self):
        """C15: without the right, of another site, with no reason."""
        before = self.commands(self.meter)

        def check():
            for role in ("viewer", "cashier", "finance"):
                user = users[role]
                for action in ("on", "off", "hold", "prepaid", "read"):
                    with (
                        self.assertLogs(WIZARD, logging.INFO) as logged,
                        self.assertRaises(AccessError),
                        self.env.cr.savepoint(),
                    ):
                        self.operate(user, action)
                    self.assertIn(f"User {user.id} was refused", logged.output[0])
                    self.assertIn(str(self.meter.id), logged.output[0])
            with (
                self.assertLogs(WIZARD, logging.INFO) as logged,
                self.assertRaisesRegex(UserError, "Choose a reason"),
                self.env.cr.savepoint(),
            ):
                self.operate(operator, "off", reason=False)
            self.assertIn(f"User {operator.id} gave no reason", logged.output[0])
            self.assertEqual(self.commands(self.meter), before)

        users = {role: self.make_user(role) for role in ("viewer", "cashier", "finance")}
        operator = self.make_user("operator")
        self.holds(
            check,
            (
                EnergyOperation._check_ready,
                "if not self.env.user._is_energy(",
                "if self.env.user._is_energy(",
            ),
            (EnergyOperation._check_ready, "not self._reason_text()", "False"),
        )
        other = self.env["energy.property"].create(
            {"name": "Other", "kind": "site", "tz": "Asia/Shanghai", "company_id": self.company.id}
        )
        bound = self.make_user("operator", other)
        with (
            self.assertLogs("odoo.addons.base.models.ir_rule", logging.INFO),
            self.assertRaises(AccessError),
            self.env.cr.savepoint(),
        ):
            self.env["energy.operation"].with_user(bound)._open(self.meter.with_user(bound), "off")
        self.assertEqual(self.commands(self.meter), before)
