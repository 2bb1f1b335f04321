import logging

from odoo import api, models
from odoo.tools import SQL

from ..lost_connection import is_lost
from .energy_wallet_turn import CONFLICTS, MOST_TRIES

_logger = logging.getLogger(__name__)


class EnergyTask(models.AbstractModel):
    """Scheduled work on one piece after the other, each in a transaction of its own.

    A piece that fails does not stop the others; what the time did not suffice for comes first in
    the next run.
    """

    _name = "energy.task"
    _description = "Scheduled work, piece by piece"

    def init(self):
        # Real time: it says in which order to go on, and nothing of the flow.
        self.env.cr.execute("""
            CREATE TABLE IF NOT EXISTS energy_task_done (
                task varchar NOT NULL,
                piece varchar NOT NULL,
                done_at timestamp NOT NULL,
                PRIMARY KEY (task, piece));
        """)

    @api.model
    def _each(self, task, pieces, work, rest=None, failed=None):
        """Work on pieces, the one that waits longest first, and commit after each.

        :param str task: what the pieces are remembered by
        :param list pieces: ids or names
        :param work: function of a piece; returns whether there is more of it to do
        :param timedelta rest: real time within which what was done belongs to the same round;
            nothing is remembered if None
        :param failed: function of a piece and the error that it raised, which is logged already
        :return: whether all pieces are done, and not only as many as there was time for
        """
        due = self._due(task, pieces, rest)
        while due:
            piece = due[0]
            if not self._attempt(task, piece, work, failed):
                due.pop(0)
                if rest:
                    self._note(task, piece)
            if not self.env["ir.cron"]._commit_progress(1, remaining=len(due)):
                return not due
        return True

    def _due(self, task, pieces, rest):
        if not rest:
            return list(pieces)
        rows = self.env.execute_query(
            SQL(
                "SELECT piece, done_at > energy_real_now() - %s FROM energy_task_done"
                " WHERE task = %s ORDER BY done_at",
                rest,
                task,
            )
        )
        order = {piece: (place, is_done) for place, (piece, is_done) in enumerate(rows, 1)}
        waiting = {piece: order.get(str(piece), (0, False)) for piece in pieces}
        return sorted((p for p in pieces if not waiting[p][1]), key=lambda piece: waiting[piece][0])

    def _attempt(self, task, piece, work, failed):
        """Work on a piece, again from a fresh snapshot where others came between.

        :return: whether there is more of it to do
        """
        for _attempt in range(MOST_TRIES):
            try:
                with self.env.cr.savepoint():
                    return work(piece)
            except CONFLICTS:
                # What was committed stays.
                self.env.cr.rollback()
                self.env.transaction.reset()
            except Exception as error:
                if is_lost(error):
                    raise
                _logger.exception("%s: %s failed; the others go on", task, piece)
                if failed:
                    failed(piece, error)
                return False
        _logger.warning("%s: others were at %s each time; it waits for the next run", task, piece)
        return False

    def _note(self, task, piece):
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_task_done (task, piece, done_at) VALUES (%s, %s, energy_real_now())
                ON CONFLICT (task, piece) DO UPDATE SET done_at = EXCLUDED.done_at
            """,
                task,
                str(piece),
            )
        )
