from datetime import timedelta
from functools import partial

import psycopg2
from odoo.exceptions import UserError
from odoo.tests import tagged

from ..kept_rows import refuse_changes
from ..models.energy_command_attempt import EnergyCommandAttempt
from ..models.energy_command_delivery import EnergyCommand as Delivery
from ..models.energy_command_delivery import Evidence
from ..models.energy_command_evidence import EnergyCommand
from .common import START, EnergyCase
from .planting import PropertyCase

HERE = Evidence("host:17", "→ 01 10\n← 01 10")


@tagged("post_install", "-at_install")
class TestCommandEvidence(PropertyCase, EnergyCase):
    """Every order tells who, why, when, from where, what was tried and how it ended."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("E1")
        cls.account = cls.open_account(cls.meter)

    def cut(self):
        """Cut the meter for arrears; return the order."""
        self.read(self.meter, START + timedelta(hours=1), "10")
        self.settle()
        return self.last()

    def live_through_orders(self):
        """Orders of every cause and every end; return them."""
        command = self.cut()
        command._sent("01 10", HERE)
        command._retry("the device shows on", "01 03", evidence=HERE)
        command._confirm("01 03", HERE)
        self.top_up(self.account, 50)
        self.settle()
        command = self.last()
        command._retry("no answer", counts=False, evidence=HERE)
        command._sent("01 10", HERE)
        command._fail("exception 02", evidence=HERE)
        for action in ("off", "hold"):
            self.meter.control_id._order_by_person(action, "Works")
        command = self.last()
        command._sent("01 10", HERE)
        command._confirm("01 03", HERE)
        self.env["energy.command"]._take(self.meter.ids)
        return self.env["energy.command"].search([("meter_id", "=", self.meter.id)], order="id")

    def test_an_end_is_noted_once(self):
        """Who lost the connection while committing does it again."""

        def check(end):
            order = self.cut()
            order._sent("01 10", HERE)
            for _time in range(2):
                getattr(order, end)("as it came", evidence=HERE)
            outcomes = order.attempt_ids.mapped("outcome")
            self.assertEqual(outcomes, ["written", order.state])
            self.assertEqual(order.state, {"_confirm": "confirmed", "_fail": "failed"}[end])

        for end in ("_confirm", "_fail"):
            with self.subTest(end=end), self.env.cr.savepoint(flush=False) as savepoint:
                self.holds(
                    partial(check, end),
                    (getattr(Delivery, end), "if self.state ==", "if 0 and self.state =="),
                )
                savepoint.rollback()
            self.env.invalidate_all()

    def assertTold(self):
        orders = self.live_through_orders()
        self.assertEqual(len(orders), 4)
        for order in orders:
            told = (order.user_id, order.reason, order.created_at, order.origin, order.cause)
            self.assertTrue(all(told), order)
            self.assertIn(order.state, ("confirmed", "failed", "overtaken"))
            self.assertTrue(order.done_at)
        tried = orders.filtered(lambda order: order.state != "overtaken")
        for order in tried:
            self.assertEqual(order.attempt_ids[-1:].outcome, order.state)
            self.assertEqual(
                order.attempt_ids.mapped("number"), [*range(1, len(order.attempt_ids) + 1)]
            )
            for attempt in order.attempt_ids:
                self.assertEqual((attempt.holder, attempt.frames), HERE)
                self.assertTrue(attempt.moment)
        self.assertEqual(
            [order.attempt_ids.mapped("outcome") for order in tried],
            [
                ["written", "unconfirmed", "confirmed"],
                ["unreached", "written", "failed"],
                ["written", "confirmed"],
            ],
        )
        self.assertEqual(tried[0].attempt_ids[1].error, "the device shows on")
        self.assertIn("6.00 has reached", orders[0].reason)

    def test_every_order_tells_everything(self):
        """C19."""
        self.holds(
            self.assertTold,
            (Delivery._sent, 'self._note("written", evidence)', "pass"),
            (Delivery._confirm, 'self._note("confirmed", evidence)', "pass"),
            (Delivery._retry, 'if self.state == "sent"', 'if self.state != "sent"'),
            (Delivery._retry, "self._note_unreached(evidence, error)", "pass"),
            (Delivery._fail, 'self._note("failed", evidence, error)', "pass"),
            (EnergyCommandAttempt._note, "frames=frames or None", "frames=None"),
            (EnergyCommandAttempt._note, "1 + (SELECT count(*)", "2 + (SELECT count(*)"),
        )

    def test_a_meter_that_is_away_for_long_fills_no_table(self):
        """A month of attempts is a few rows; what was written has all of them."""

        def check():
            with self.env.cr.savepoint() as savepoint:
                self.meter.control_id._order_by_person("off", "Works")
                command = self.last()
                for _attempt in range(100):
                    command._retry("no answer", counts=False, evidence=HERE)
                self.assertEqual((command.unreached, command.tries), (100, 0))
                self.assertEqual(command.attempt_ids.mapped("outcome"), 7 * ["unreached"])
                self.assertEqual(command.error, "no answer")
                self.assertEqual(command.attempt_ids.mapped("frames"), 7 * [HERE.frames])
                for _attempt in range(2):
                    command._sent("01 10", HERE)
                    command._retry("the device shows on", "01 03", evidence=HERE)
                    for _silence in range(3):
                        command._retry("no answer", counts=False, evidence=HERE)
                command._sent("01 10", HERE)
                command._confirm("01 03", HERE)
                self.assertEqual(
                    command.attempt_ids[7:].mapped("outcome"),
                    2 * ["written", "unconfirmed", "unreached"] + ["written", "confirmed"],
                )
                numbers = [*range(1, len(command.attempt_ids) + 1)]
                self.assertEqual(command.attempt_ids.mapped("number"), numbers)
                savepoint.rollback()
            self.env.invalidate_all()

        self.holds(
            check,
            (EnergyCommand._note_unreached, "count.bit_count() == 1", "True"),
            (EnergyCommand._note_unreached, "count.bit_count() == 1", "False"),
            (EnergyCommand._note_unreached, 'last.outcome != "unreached" or ', ""),
            (Delivery._set, "unreached=unreached", "unreached=False"),
        )

    def test_an_order_dropped_before_the_write_says_why(self):
        command = self.cut()
        self.top_up(self.account, 50)
        self.settle()
        why = command._check()
        command._dropped(why, HERE)
        self.assertEqual(command.state, "overtaken")
        self.assertEqual(command.attempt_ids.mapped("outcome"), ["dropped"])
        self.assertEqual(command.attempt_ids.error, "A later command took its place.")

    def assertKept(self):
        """ORM, superuser and SQL are refused."""
        EnergyCommand.init(self.env["energy.command"])
        EnergyCommandAttempt.init(self.env["energy.command.attempt"])
        command = self.cut()
        changes = {
            "state": "'confirmed'",
            "value": "'on'",
            "reason": "'Nothing'",
            "user_id": "2",
            "origin": "'elsewhere'",
            "created_at": "now()",
            "number": "77",
            "cause": "'person'",
        }
        for column, value in changes.items():
            if column != "state":
                self.assertRefused(f"UPDATE energy_command SET {column} = {value}")
        command._sent("01 10", HERE)
        command._confirm("01 03", HERE)
        for column, value in {**changes, "tries": "9", "error": "'none'"}.items():
            self.assertRefused(f"UPDATE energy_command SET {column} = {value}")
        self.assertRefused("UPDATE energy_command_attempt SET frames = NULL")
        self.assertRefused("UPDATE energy_command SET state = 'queued'")
        for table in ("energy_command_attempt", "energy_command"):
            self.assertRefused(f"DELETE FROM {table}")
            self.assertRefused(f"TRUNCATE {table} CASCADE")
        self.meter.control_id._order_by_person("off", "Works")
        self.assertRefused("DELETE FROM energy_command WHERE state = 'queued'")
        self.assertRefused("TRUNCATE energy_meter CASCADE")
        self.assertRefused("DELETE FROM energy_meter")

    def assertRefused(self, statement):
        with self.refused(psycopg2.IntegrityError):
            self.env.cr.execute(statement)

    def test_orders_and_attempts_are_never_changed(self):
        self.holds(
            self.assertKept,
            (EnergyCommand.init, "IF OLD.state IN ('queued', 'sent')", "IF TRUE"),
            (EnergyCommand.init, "IF OLD.state IN ('queued', 'sent')\n", "IF OLD.state <> 'x'\n"),
            (
                EnergyCommand.init,
                "AND to_jsonb(NEW) - ARRAY[{columns}] = to_jsonb(OLD) - ARRAY[{columns}]",
                "AND {bool(columns)}",
            ),
            (refuse_changes, "BEFORE UPDATE OR DELETE ON", "BEFORE DELETE ON"),
            (refuse_changes, "BEFORE UPDATE OR DELETE ON", "BEFORE UPDATE ON"),
        )

    def test_orm_is_refused_too(self):
        command = self.cut()
        command._sent("01 10", HERE)
        for record in (command, command.attempt_ids):
            with self.assertRaises(UserError):
                record.write({"error": "none"})
            with self.assertRaises(UserError):
                record.unlink()
            with self.assertRaises(UserError):
                record.create({})

    def test_a_meter_with_orders_stays(self):
        meter = self.make_meter("E2")
        meter.control_id._order_by_person("off", "Works")
        with self.refused(psycopg2.IntegrityError):
            meter.unlink()
            self.env.flush_all()
