import logging
from collections import Counter
from contextlib import closing
from decimal import Decimal

from odoo import api, models
from odoo.exceptions import UserError
from odoo.modules.registry import Registry
from odoo.tools import SQL

from .. import clock
from ..crash_points import reached
from .energy_wallet import CONFLICTS

_logger = logging.getLogger(__name__)

# Balances settled in one transaction, which should take no longer than 0.2 s.
BATCH = 800
# A meter may be queued several times: how many rows of the queue are looked at for each one.
ROWS_A_METER = 4
MOST_WORKERS = 8
MOST_CONFLICTS = 20
# Statements are written in the order in which their tables are best joined: planning takes longer
# than the little there is to gain by another one.
AS_WRITTEN = "SET LOCAL join_collapse_limit = 1"
CRON_SECONDS = 30
SECONDS_BETWEEN_TELLING = 1


class EnergySettlement(models.AbstractModel):
    """Settling: rate → post → decide → command, many accounts at a time.

    Each transaction locks the wallets of some accounts first, in id order, passing over locked
    ones. It can be killed at any moment and run by any number of workers: what is in the queue is
    worked off once.
    """

    _name = "energy.settlement"
    _description = "Settlement"

    @api.model
    def _settle(self, limit=BATCH, account_ids=None, tell=True):
        """Settle some accounts of the queue in the present transaction.

        Must be the first thing the transaction does. The caller commits.

        :param int limit: the most balances; None for all
        :param list account_ids: only these, or None
        :param bool tell: whether room lists on screens are told; else the caller does it later
        :return: (number of accounts settled, whether more is queued)
        """
        # Takes no snapshot: locking is still the first to look at data.
        self.env.cr.execute(AS_WRITTEN)
        wallets = self._lock_due(limit, account_ids)
        accounts = sorted({state[3] for state in wallets.values()})
        queue = self._queued(accounts)
        if not queue:
            return 0, self._has_more(accounts)
        failures = self._work_off(queue, accounts, wallets)
        for account, refused in failures.items():
            self.env["energy.settlement.problem"]._record(
                account, str(refused), refused.cause, refused.meter
            )
        if tell:
            self.env["energy.room"]._tell()
        return len(accounts), self._has_more(accounts)

    @api.model
    def _settle_now(self, locked):
        """Settle all that is queued for accounts in the present transaction.

        :param dict locked: what `energy.wallet._lock` returned for all balances of these accounts;
            brought up to date
        :raise UserError: where use of one of them cannot be priced
        """
        self.env.flush_all()
        accounts = sorted({state[3] for state in locked.values()})
        failures = self._work_off(self._queued(accounts), accounts, locked)
        if failures:
            raise UserError("\n".join(map(str, failures.values())))
        self.env["energy.room"]._tell()

    def _work_off(self, queue, accounts, wallets):
        """Rate and post what is queued, decide, and empty the queue of it.

        :return: dict of account id to the `RatingRefused` that says why its use cannot be priced
        """
        meters = {}
        for _row, meter, since, _concerned in queue:
            meters[meter] = min(since, meters.get(meter, since))
        drafts, failures = self.env["energy.rating"]._rate(accounts, meters)
        self.env["energy.wallet"]._post(drafts, wallets)
        self.env["energy.account"]._tell_late_differences(drafts, wallets)
        settled = [account for account in accounts if account not in failures]
        self.env["energy.meter.control"]._decide(settled)
        self._finish(queue, settled)
        return failures

    def _lock_due(self, limit, account_ids=None):
        """Lock the wallets of the accounts that are next in the queue.

        :return: as `energy.wallet._lock`
        """
        if account_ids:
            return self._lock_next(None, account_ids)
        # Where others are at the head of the queue, look further back.
        return self._lock_next(limit) or self._lock_next(limit, heads=MOST_WORKERS)

    def _lock_next(self, limit, account_ids=None, heads=1):
        """Lock the wallets of accounts among the next rows of the queue, in the order of ids.

        :param int heads: how many times `limit` meters are looked at
        :return: as `energy.wallet._lock`; accounts of which a wallet is locked elsewhere are left
            out
        """
        chosen, among = SQL("TRUE"), SQL("")
        if account_ids:
            chosen = SQL(
                "q.meter_id IN (SELECT meter_id FROM energy_supply WHERE account_id = ANY(%s))",
                account_ids,
            )
            among = SQL("AND s.account_id = ANY(%s)", account_ids)
        self.env.cr.execute(
            SQL(
                """
            WITH head AS MATERIALIZED (
                SELECT h.meter_id, min(h.since) AS since FROM (
                       SELECT q.id, q.meter_id, q.since FROM energy_settlement_queue q
                        WHERE (q.not_before IS NULL OR q.not_before <= energy_now()) AND %(chosen)s
                        ORDER BY q.id LIMIT %(rows)s) h
                 GROUP BY h.meter_id ORDER BY min(h.id) LIMIT %(meters)s),
            due AS (
                SELECT s.account_id FROM head q
                  JOIN energy_supply s ON s.meter_id = q.meter_id
                       AND (s.end_at IS NULL OR s.end_at > q.since) %(among)s
                  JOIN energy_account a ON a.id = s.account_id AND a.state <> 'draft')
            SELECT w.id, w.balance::text, w.last_number, w.head, w.account_id, w.site_id,
                   w.company_id, w.currency_id,
                   (SELECT count(*) FROM energy_wallet o WHERE o.account_id = w.account_id)
              FROM energy_wallet w WHERE w.account_id IN (SELECT account_id FROM due)
             ORDER BY w.id LIMIT %(limit)s FOR NO KEY UPDATE OF w SKIP LOCKED
            """,
                chosen=chosen,
                among=among,
                rows=limit and limit * heads * ROWS_A_METER,
                meters=limit and limit * heads,
                limit=limit,
            )
        )
        locked = self.env.cr.fetchall()
        counts = Counter(row[4] for row in locked)
        return {row[0]: [Decimal(row[1]), *row[2:8]] for row in locked if counts[row[4]] == row[8]}

    def _queued(self, accounts):
        """Return what is queued for the meters that serve, or served, these accounts.

        :return: list of (row id, meter, since, accounts concerned: those served after `since`)
        """
        return self.env.execute_query(
            SQL(
                """
            SELECT q.id, q.meter_id, q.since, ARRAY(
                   SELECT s.account_id FROM energy_supply s
                     JOIN energy_account a ON a.id = s.account_id AND a.state <> 'draft'
                    WHERE s.meter_id = q.meter_id AND (s.end_at IS NULL OR s.end_at > q.since))
              FROM (SELECT DISTINCT meter_id FROM energy_supply WHERE account_id = ANY(%s)) m
             -- By its index, whatever was known of the queue when it was analyzed last.
             CROSS JOIN LATERAL (SELECT id, meter_id, since FROM energy_settlement_queue
                                  WHERE meter_id = m.meter_id OFFSET 0) q
            """,
                accounts,
            )
        )

    def _finish(self, queue, settled):
        """Delete the queue rows all of whose accounts were settled here."""
        done = set(settled)
        self.env.cr.execute(
            SQL(
                """
            WITH mended AS (DELETE FROM energy_settlement_problem WHERE account_id = ANY(%s))
            DELETE FROM energy_settlement_queue WHERE id = ANY(%s)
            """,
                settled,
                [row for row, _meter, _since, concerned in queue if done.issuperset(concerned)],
            )
        )
        self.env["energy.settlement.problem"].invalidate_model(flush=False)

    def _has_more(self, accounts):
        """Say whether more is due; drop what concerns meters that serve nobody."""
        dropped = 0
        if len(accounts) <= BATCH // 8:
            # They may stand before others in the queue.
            self.env.cr.execute("""
                DELETE FROM energy_settlement_queue q
                 WHERE NOT EXISTS (SELECT 1 FROM energy_supply s
                                     JOIN energy_account a ON a.id = s.account_id
                                    WHERE s.meter_id = q.meter_id AND a.state <> 'draft'
                                      AND (s.end_at IS NULL OR s.end_at > q.since))
            """)
            dropped = self.env.cr.rowcount
        if not accounts:
            return bool(dropped)
        self.env.cr.execute(
            "SELECT 1 FROM energy_settlement_queue"
            " WHERE not_before IS NULL OR not_before <= energy_now() LIMIT 1"
        )
        return bool(self.env.cr.fetchone())

    # --- working the queue off -----------------------------------------------------------------

    @api.model
    def _run(self, deadline=None):
        """Settle until the queue is empty, in transactions of its own, which it commits.

        :param float deadline: `clock.monotonic()` at which to stop, or None
        :return: number of accounts settled
        """
        total, conflicts = 0, 0
        told, is_untold = 0.0, False
        registry = Registry(self.env.cr.dbname)
        while deadline is None or clock.monotonic() < deadline:
            # Another process may have approved a tariff since.
            registry.check_signaling()
            tell = clock.monotonic() - told >= SECONDS_BETWEEN_TELLING
            try:
                with closing(registry.cursor()) as cr:
                    count, has_more = self._in(cr)._settle(BATCH, tell=tell)
                    reached("before_commit")
                    cr.commit()  # pylint: disable=invalid-commit
                    reached("after_commit")
            except CONFLICTS:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    raise
                continue
            except Exception as error:
                _logger.info("Settling %s accounts failed, trying parts", BATCH, exc_info=True)
                count, has_more, tell = self._settle_parts(registry), True, False
                if not count:
                    raise error
            conflicts = 0
            total += count
            if count and tell:
                told, is_untold = clock.monotonic(), False
            elif count:
                is_untold = True
            if not has_more:
                break
        if is_untold:
            with closing(registry.cursor()) as cr:
                self._in(cr).env["energy.room"]._tell()
                cr.commit()  # pylint: disable=invalid-commit
        return total

    def _in(self, cr):
        return self.with_env(self.env(cr=cr))

    def _settle_parts(self, registry):
        """Settle the accounts at the head of the queue in ever smaller parts.

        A part that fails is halved; an account that fails alone is set aside.

        :return: number of accounts that were tried
        """
        with closing(registry.cursor()) as cr:
            accounts = sorted({state[3] for state in self._in(cr)._lock_due(BATCH).values()})
        parts = [accounts]
        while parts:
            part = parts.pop()
            try:
                with closing(registry.cursor()) as cr:
                    self._in(cr)._settle(None, part, tell=False)
                    cr.commit()  # pylint: disable=invalid-commit
            except CONFLICTS:
                continue
            except Exception as error:
                if len(part) > 1:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                    continue
                _logger.exception("Account %s cannot be settled; it is set aside", part[0])
                with closing(registry.cursor()) as cr:
                    self._in(cr).env["energy.settlement.problem"]._record(part[0], str(error))
                    cr.commit()  # pylint: disable=invalid-commit
        return len(accounts)

    @api.model
    def _cron_settle(self):
        """Scheduled action: settle what is queued, where no connector does it."""
        done = self._run(clock.monotonic() + CRON_SECONDS)
        self.env.cr.execute(
            "SELECT count(*) FROM energy_settlement_queue"
            " WHERE not_before IS NULL OR not_before <= energy_now()"
        )
        # Where nothing was done another worker is at it; the next run looks again.
        remaining = self.env.cr.fetchone()[0] if done else 0
        self.env["ir.cron"]._commit_progress(done, remaining=remaining)
