from datetime import timedelta
from unittest.mock import patch

import psycopg2
from odoo.tests import TransactionCase, tagged

from ..models import energy_task
from .planting import PropertyCase

LOGGER = "odoo.addons.prepaid_energy.models.energy_task"
ROUND = timedelta(minutes=10)


@tagged("post_install", "-at_install")
class TestTask(PropertyCase, TransactionCase):
    """Scheduled work goes on past what fails, and next time where its time was used up."""

    def setUp(self):
        super().setUp()
        self.done = []
        self.left = 60
        self.remaining = []
        self.round = 0

    def each(self, pieces, work, rest=ROUND, **values):
        def progress(_jobs, _done=0, remaining=None):
            self.remaining.append(remaining)
            return self.left

        with patch.object(type(self.env["ir.cron"]), "_commit_progress", progress):
            return self.env["energy.task"]._each(f"test {self.round}", pieces, work, rest, **values)

    def note(self, piece):
        self.done.append(piece)

    def next_round(self):
        self.done = []
        self.env.cr.execute("UPDATE energy_task_done SET done_at = done_at - interval '1 day'")

    def test_one_that_fails_stops_no_other(self):
        def work(piece):
            self.env.cr.execute("SELECT energy_real_now()")
            if piece == 2:
                self.env.cr.execute("UPDATE energy_clock SET speed = 999")
                raise ValueError("not this one")
            self.note(piece)

        failed = []
        self.env.cr.execute("SELECT speed FROM energy_clock")
        before = self.env.cr.fetchall()
        with self.assertLogs(LOGGER, "ERROR") as log:
            self.assertTrue(self.each([1, 2, 3], work, failed=lambda *args: failed.append(args)))
        self.assertIn("ValueError: not this one", log.output[0])
        self.assertEqual((self.done, failed[0][0], len(failed)), ([1, 3], 2, 1))
        self.env.cr.execute("SELECT speed FROM energy_clock")
        self.assertEqual(self.env.cr.fetchall(), before)

    def test_goes_on_where_its_time_was_used_up(self):
        def check():
            self.round, self.done = self.round + 1, []
            self.left = 0
            self.assertFalse(self.each([1, 2, 3], self.note))
            self.assertEqual((self.done, self.remaining[-1]), ([1], 2))
            self.left = 60
            self.assertTrue(self.each([1, 2, 3], self.note))
            self.assertEqual(self.done, [1, 2, 3])
            self.next_round()
            self.left = 0
            self.each([1, 2, 3], self.note)
            self.next_round()
            self.left = 60
            self.each([1, 2, 3, 4], self.note)
            self.assertEqual(self.done, [4, 2, 3, 1])

        task = energy_task.EnergyTask
        self.holds(
            check,
            (task._each, "if not self.env", "if not 1 + self.env"),
            (task._due, "if not waiting[p][1]", "if True"),
            (task._due, "key=lambda piece: waiting[piece][0]", "key=lambda piece: 0"),
        )

    def test_a_piece_of_several_parts(self):
        parts = {"a": 3, "b": 1}

        def work(piece):
            self.note(piece)
            parts[piece] -= 1
            return parts[piece] > 0

        self.assertTrue(self.each(["a", "b"], work))
        self.assertEqual(self.done, ["a", "a", "a", "b"])
        self.assertEqual(self.remaining, [2, 2, 1, 0])

    def test_repeated_where_others_came_between(self):
        tries = []

        def work(piece):
            tries.append(piece)
            if len(tries) < 3:
                raise psycopg2.errors.SerializationFailure

        with patch.object(self.env.cr, "rollback"):
            self.assertTrue(self.each([1], work))
        self.assertEqual(tries, [1, 1, 1])

    def test_a_lost_connection_is_no_fault_of_a_piece(self):
        def work(_piece):
            raise psycopg2.InterfaceError("gone")

        with self.assertRaises(psycopg2.InterfaceError):
            self.each([1], work)
