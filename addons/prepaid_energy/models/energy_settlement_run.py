import logging
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import odoo.modules.module
from odoo import api, models
from odoo.modules.registry import Registry
from odoo.tools import SQL

from .. import clock
from ..crash_points import reached
from ..lost_connection import is_lost
from .energy_settlement import CONCERNED
from .energy_wallet_turn import CONFLICTS

_logger = logging.getLogger(__name__)

# Accounts settled in one transaction, which should take no longer than 0.2 s.
BATCH = 1000
# Threads of one run: one rates while the other waits for the database. Fewer accounts than these
# are not worth a second one.
LANES = 2
FEW = 100
# Rows of the queue that are looked at together.
ROWS_AHEAD = 40 * BATCH
MOST_CONFLICTS = 20
CRON_SECONDS = 30
SECONDS_BETWEEN_TELLING = 1


class Run:
    """What the lanes of one run share."""

    def __init__(self, registry, deadline):
        self.registry = registry
        self.deadline = deadline
        # Lists of account ids; no account stands in two of them.
        self.parts = deque()
        self.total = 0
        self.is_untold = False
        self._conflicts = 0
        self._told = 0.0
        self._lock = threading.Lock()

    @property
    def is_in_time(self):
        return self.deadline is None or clock.monotonic() < self.deadline

    @property
    def may_tell(self):
        """Whether screens were told long enough ago to be told again."""
        return clock.monotonic() - self._told >= SECONDS_BETWEEN_TELLING

    def note(self, count, was_told):
        """Take in how many accounts a part came to."""
        with self._lock:
            self._conflicts = 0
            self.total += count
            if count and was_told:
                self._told, self.is_untold = clock.monotonic(), False
            elif count:
                self.is_untold = True

    def note_conflict(self):
        """Count a conflict with another transaction.

        :return: whether to try again: so many in a row are none by chance
        """
        with self._lock:
            self._conflicts += 1
            return self._conflicts <= MOST_CONFLICTS


class EnergySettlement(models.AbstractModel):
    """Working the queue off: accounts that are due, in parts that have none in common.

    A part is one transaction. Two lanes settle different parts, so they never meet at a row.
    """

    _inherit = "energy.settlement"

    @api.model
    def _run(self, deadline=None):
        """Settle until the queue is empty, in transactions of its own, which it commits.

        :param float deadline: `clock.monotonic()` at which to stop, or None
        :return: number of accounts settled
        """
        run = Run(Registry(self.env.cr.dbname), deadline)
        while run.is_in_time:
            try:
                parts, dropped = self._next_parts(run.registry)
            except CONFLICTS:
                if not run.note_conflict():
                    raise
                continue
            before = run.total
            run.parts.extend(parts)
            self._work_in_lanes(run)
            if run.total == before and not dropped:
                # Nothing is due, or others are at it.
                break
        if run.is_untold:
            with closing(run.registry.cursor()) as cr:
                self._in(cr).env["energy.room"]._tell()
                cr.commit()  # pylint: disable=invalid-commit
        return run.total

    @api.model
    def _settle_here(self, batch=BATCH):
        """Settle what is queued, once, in the present transaction: for demo data and tests.

        :param int batch: about how many accounts are rated together
        :return: number of accounts settled
        """
        groups, _dropped = self._due(None)
        return sum(self._settle(part) for part in parts_of(groups, batch))

    def _next_parts(self, registry):
        """Return the accounts that are next in the queue, in parts for all lanes alike.

        :return: (list of lists of account ids, number of rows dropped)
        """
        with closing(registry.cursor()) as cr:
            groups, dropped = self._in(cr)._due(ROWS_AHEAD)
            cr.commit()  # pylint: disable=invalid-commit
        count = len({account for group in groups for account in group})
        if count < FEW:
            return parts_of(groups, BATCH), dropped
        rounds = -(-count // (BATCH * LANES))
        return parts_of(groups, -(-count // (rounds * LANES))), dropped

    def _due(self, limit):
        """Return which accounts are next in the queue; drop what concerns meters of nobody.

        :param int limit: how many rows of the queue are looked at; None for all
        :return: (list of lists of account ids, each those that one meter served; number of rows
            dropped)
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT q.meter_id, %s FROM (
                   SELECT h.meter_id, min(h.since) AS since, min(h.id) AS first FROM (
                          SELECT id, meter_id, since FROM energy_settlement_queue
                           WHERE not_before IS NULL OR not_before <= energy_now()
                           ORDER BY id LIMIT %s) h
                    GROUP BY h.meter_id) q
             ORDER BY q.first
            """,
                CONCERNED,
                limit,
            )
        )
        idle = [meter for meter, accounts in rows if not accounts]
        if not idle:
            return [accounts for _meter, accounts in rows], 0
        self.env.cr.execute(
            SQL(
                "DELETE FROM energy_settlement_queue q WHERE meter_id = ANY(%s) AND %s = '{}'",
                idle,
                CONCERNED,
            )
        )
        return [accounts for _meter, accounts in rows if accounts], self.env.cr.rowcount

    def _work_in_lanes(self, run):
        """Settle all parts of a run: in this thread, and beside it where there are several."""
        # A test's transaction is one for all threads.
        if len(run.parts) < 2 or odoo.modules.module.current_test:
            self._work(run)
            return
        with ThreadPoolExecutor(LANES - 1) as beside:
            others = [beside.submit(self._work, run) for _lane in range(LANES - 1)]
            try:
                self._work(run)
            finally:
                # After a failure the others stop as well.
                run.parts.clear()
        for other in others:
            other.result()

    def _work(self, run):
        """Settle part after part until none is left."""
        while run.is_in_time:
            try:
                part = run.parts.popleft()
            except IndexError:
                return
            # Another process may have approved a tariff since.
            run.registry.check_signaling()
            tell = run.may_tell
            try:
                with closing(run.registry.cursor()) as cr:
                    count = self._in(cr)._settle(part, tell)
                    reached("before_commit")
                    cr.commit()  # pylint: disable=invalid-commit
                    reached("after_commit")
            except CONFLICTS:
                if not run.note_conflict():
                    raise
                run.parts.appendleft(part)
                continue
            except Exception:
                _logger.info("Settling %s accounts failed, trying parts", len(part), exc_info=True)
                self._settle_parts(run.registry, part)
                count, tell = len(part), False
            run.note(count, tell)

    def _in(self, cr):
        return self.with_env(self.env(cr=cr))

    def _settle_parts(self, registry, accounts):
        """Settle accounts in ever smaller parts.

        A part that fails is halved; an account that fails alone is set aside. A connection that was
        lost is no account's fault: the run ends, and whoever runs it tries again.
        """
        parts = [accounts]
        while parts:
            part = parts.pop()
            try:
                with closing(registry.cursor()) as cr:
                    self._in(cr)._settle(part, tell=False)
                    cr.commit()  # pylint: disable=invalid-commit
            except CONFLICTS:
                continue
            except Exception as error:
                if is_lost(error):
                    raise
                if len(part) > 1:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                    continue
                _logger.exception("Account %s cannot be settled; it is set aside", part[0])
                with closing(registry.cursor()) as cr:
                    self._in(cr).env["energy.settlement.problem"]._record(part[0], str(error))
                    cr.commit()  # pylint: disable=invalid-commit

    @api.model
    def _cron_settle(self):
        """Scheduled action: settle what is queued, where no connector does it, and tell managers
        what keeps use from being charged."""
        done = self._run(clock.monotonic() + CRON_SECONDS)
        self.env.cr.execute(
            "SELECT count(*) FROM energy_settlement_queue"
            " WHERE not_before IS NULL OR not_before <= energy_now()"
        )
        # Where nothing was done another worker is at it; the next run looks again.
        remaining = self.env.cr.fetchone()[0] if done else 0
        self.env["ir.cron"]._commit_progress(done, remaining=remaining)
        self.env["energy.settlement.problem"]._tell_managers()


def parts_of(groups, size):
    """Put accounts into parts, in the order in which they come.

    Accounts of one group come into one part: what is queued for a meter is done when all accounts
    that it served are settled together. Where two of them have their parts already, the next run
    finds that meter at the head of its queue.

    :param list groups: lists of account ids
    :param int size: a part with so many is full
    :return: list of lists; no account stands in two of them
    """
    parts, place = [], {}
    for group in groups:
        part = next((place[account] for account in group if account in place), None)
        if part is None:
            if not parts or len(parts[-1]) >= size:
                parts.append([])
            part = parts[-1]
        for account in group:
            if account not in place:
                place[account] = part
                part.append(account)
    return parts
