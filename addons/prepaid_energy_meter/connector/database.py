"""Transactions of the connector: short, in threads, repeated where that can help."""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
from odoo import SUPERUSER_ID, api
from odoo.addons.prepaid_energy.lost_connection import is_lost
from odoo.modules.registry import Registry

_logger = logging.getLogger(__name__)

#: Another transaction was first: the same again, from a fresh snapshot. A unique index that was
#: filled meanwhile is one of these, because what is stored is judged anew.
CONFLICTS = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
    psycopg2.errors.UniqueViolation,
)
MOST_CONFLICTS = 20
#: Real seconds between two attempts to reach a database that is away.
PAUSE = 1.0
#: More than can be busy with readings, settling and leases: an order never waits for one.
THREADS = 8
THREAD_NAME = "energy"


def _is_of_database(error):
    return isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))


class _ConflictFilter(logging.Filter):
    """Keeps conflicts that are repeated here out of Odoo's log, where they look like errors."""

    def filter(self, record):
        is_ours = (record.threadName or "").startswith(THREAD_NAME)
        return not (
            is_ours
            and isinstance(record.args, tuple)
            and any(isinstance(argument, CONFLICTS) for argument in record.args)
        )


class Database:
    """Runs functions in transactions on one database.

    A function gets an environment of the superuser first, and may run several times.
    """

    def __init__(self, name):
        self.name = name
        self._filter = _ConflictFilter()
        logging.getLogger("odoo.sql_db").addFilter(self._filter)
        self._threads = ThreadPoolExecutor(
            THREADS, thread_name_prefix=THREAD_NAME, initializer=self._name_thread
        )

    def _name_thread(self):
        # Odoo's log names the database by the thread.
        threading.current_thread().dbname = self.name

    def close(self):
        """Wait for the transactions under way."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        logging.getLogger("odoo.sql_db").removeFilter(self._filter)

    async def run(self, function, *args, around_commit=None):
        """Run ``function(env, *args)`` in a transaction and commit it.

        :param around_commit: called with "before_commit" and "after_commit"
        :return: what the function returns
        """
        return await self._until_there(
            self._transaction, function, args, around_commit, may_repeat=_is_of_database
        )

    async def refresh(self):
        """Load the registry anew if the add-ons changed meanwhile."""
        await self.call(lambda: Registry(self.name).check_signaling())

    async def call(self, function, *args):
        """Run a function that looks after its transactions itself, in a thread.

        It runs again where the connection to the database was lost.
        """
        return await self._until_there(function, *args, may_repeat=is_lost)

    async def _until_there(self, function, *args, may_repeat):
        """Run a function in a thread, again and again while the database is away."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._threads, function, *args)
            except psycopg2.Error as error:
                if not may_repeat(error):
                    raise
                _logger.info("Trying again on database %s: %s", self.name, error)
                await asyncio.sleep(PAUSE)

    def _transaction(self, function, args, around_commit):
        registry = Registry(self.name)
        for attempt in range(MOST_CONFLICTS):
            try:
                with closing(registry.cursor()) as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    result = function(env, *args)
                    env.flush_all()
                    if around_commit:
                        around_commit("before_commit")
                    # This transaction is the connector's own, on a cursor of its own.
                    cr.commit()  # pylint: disable=invalid-commit
                if around_commit:
                    around_commit("after_commit")
                return result
            except CONFLICTS:
                if attempt == MOST_CONFLICTS - 1:
                    raise
        raise AssertionError("unreachable")
