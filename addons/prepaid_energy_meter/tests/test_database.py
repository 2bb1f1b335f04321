import asyncio
from unittest.mock import patch

import psycopg2
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.tests import TransactionCase, tagged

from ..connector import database
from ..connector.database import Database

LOST = psycopg2.OperationalError("server closed the connection unexpectedly")


@tagged("post_install", "-at_install")
class TestDatabase(PropertyCase, TransactionCase):
    """The connector outlives its connections to PostgreSQL."""

    def call(self, *errors):
        """Call a function that fails with these errors first; return how often it ran."""
        left, runs = list(errors), []

        def function():
            runs.append(1)
            if left:
                raise left.pop(0)

        async def main():
            mine = Database(self.env.cr.dbname)
            try:
                await mine.call(function)
            finally:
                mine.close()

        with patch.object(database, "PAUSE", 0):
            asyncio.run(main())
        return len(runs)

    def test_what_lost_its_connection_runs_again(self):
        def check():
            try:
                runs = self.call(LOST, psycopg2.errors.AdminShutdown(), LOST)
            except psycopg2.Error as error:
                self.fail(repr(error))
            self.assertEqual(runs, 4)

        self.holds(check, (Database._until_there, "if not may_repeat(error):", "if True:"))

    def test_other_errors_end_it(self):
        with self.assertRaises(psycopg2.errors.UndefinedTable):
            self.call(psycopg2.errors.UndefinedTable())
