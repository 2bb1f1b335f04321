import logging
from contextlib import closing

from odoo import api, models
from odoo.modules.registry import Registry
from odoo.tools import SQL

from .. import clock
from ..bulk import values
from ..models.energy_wallet_turn import CONFLICTS

_logger = logging.getLogger(__name__)

BATCH = 500
CRON_SECONDS = 30
MOST_CONFLICTS = 20


class EnergyReadingReview(models.Model):
    """Carrying out decisions about many readings in batches, beside everybody's work."""

    _inherit = "energy.reading.review"

    @api.model
    def _work(self, review_ids=None, limit=BATCH):
        """Work off the next waiting readings of one decision in the present transaction.

        :param list review_ids: of these decisions only, or None
        :return: number of lines worked off
        """
        only = SQL("AND r.id = ANY(%s)", review_ids) if review_ids else SQL("")
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT l.id, l.review_id, l.reading_id
              FROM energy_reading_review_line l
              JOIN energy_reading_review r ON r.id = l.review_id AND r.state = 'working' %s
             WHERE l.state = 'waiting'
             ORDER BY l.review_id, l.id LIMIT %s FOR UPDATE OF l SKIP LOCKED
            """,
                only,
                limit,
            )
        )
        if not rows:
            self._finish()
            return 0
        review = self.browse(rows[0][1])
        lines = [(line, reading) for line, owner, reading in rows if owner == review.id]
        outcome = review._carry_out([reading for _line, reading in lines])
        results = [
            (line, "refused" if reading in outcome.refusals else "done", sentence)
            for line, reading in lines
            for sentence in [outcome.refusals.get(reading)]
        ]
        self._note(results)
        self._finish()
        self.env.ref("prepaid_energy.ir_cron_settle")._trigger()
        return len(lines)

    def _note(self, results):
        """Store what became of lines: tuples (id, state, sentence or None)."""
        self.env.cr.execute(
            SQL(
                "UPDATE energy_reading_review_line AS l SET state = v.state, result = v.result"
                "  FROM %s WHERE l.id = v.id",
                values(results, id="int", state="text", result="text"),
            )
        )
        self.env["energy.reading.review.line"].invalidate_model(flush=False)
        self.invalidate_model(["count", "done_count", "refused_count", "progress"], flush=False)

    def _finish(self):
        """Mark the decisions of which nothing waits any more."""
        self.env.cr.execute("""
            UPDATE energy_reading_review r SET state = 'done', done_at = energy_now()
             WHERE r.state = 'working' AND NOT EXISTS (
                   SELECT 1 FROM energy_reading_review_line l
                    WHERE l.review_id = r.id AND l.state = 'waiting')
        """)
        self.invalidate_model(["state", "done_at"], flush=False)

    @api.model
    def _run(self, deadline):
        """Work off waiting readings in transactions of its own, which it commits.

        :param float deadline: `clock.monotonic()` at which to stop
        :return: number of readings worked off
        """
        total, conflicts, limit = 0, 0, BATCH
        registry = Registry(self.env.cr.dbname)
        while clock.monotonic() < deadline:
            try:
                with closing(registry.cursor()) as cr:
                    count = self.with_env(self.env(cr=cr))._work(limit=limit)
                    cr.commit()  # pylint: disable=invalid-commit
            except CONFLICTS:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    raise
                continue
            except Exception as error:
                _logger.info("Deciding about %s readings failed", limit, exc_info=True)
                if limit > 1:
                    limit = 1
                    continue
                self._refuse_first(registry, error)
                count = 1
            conflicts = 0
            total += count
            if not count:
                break
        return total

    def _refuse_first(self, registry, error):
        """Refuse the reading that stands first, so that it does not keep the others waiting."""
        _logger.exception("A reading cannot be decided about; it is refused")
        with closing(registry.cursor()) as cr:
            review = self.with_env(self.env(cr=cr))
            line = review.env["energy.reading.review.line"].search(
                [("state", "=", "waiting"), ("review_id.state", "=", "working")],
                order="review_id, id",
                limit=1,
            )
            review._note([(line.id, "refused", str(error))])
            review._finish()
            cr.commit()  # pylint: disable=invalid-commit

    @api.model
    def _cron_work(self):
        """Scheduled action: work off what was decided about many readings."""
        done = self._run(clock.monotonic() + CRON_SECONDS)
        remaining = self.env["energy.reading.review.line"].search_count(
            [("state", "=", "waiting"), ("review_id.state", "=", "working")]
        )
        self.env["ir.cron"]._commit_progress(done, remaining=remaining if done else 0)
