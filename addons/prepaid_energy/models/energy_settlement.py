import logging
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

BATCH = 400
MOST_CONFLICTS = 20
CRON_SECONDS = 30


class EnergySettlement(models.AbstractModel):
    """Settling: rate → post → decide → command, many accounts at a time.

    Each transaction locks the wallets of some accounts first, in id order, passing over locked
    ones. It can be killed at any moment and run by any number of workers: what is in the queue is
    worked off once.
    """

    _name = "energy.settlement"
    _description = "Settlement"

    @api.model
    def _settle(self, limit=BATCH, account_ids=None):
        """Settle some accounts of the queue in the present transaction.

        Must be the first thing the transaction does. The caller commits.

        :param int limit: the most accounts
        :param list account_ids: only these, or None
        :return: (number of accounts settled, whether more is queued)
        """
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
        for _row, meter, since in queue:
            meters[meter] = min(since, meters.get(meter, since))
        drafts, failures = self.env["energy.rating"]._rate(accounts, meters)
        self.env["energy.wallet"]._post(drafts, wallets)
        self.env["energy.account"]._tell_late_differences(drafts, wallets)
        settled = [account for account in accounts if account not in failures]
        self.env["energy.meter.control"]._decide(settled)
        self._finish(queue, settled)
        return failures

    def _lock_due(self, limit, account_ids):
        """Lock the wallets of the accounts that are next in the queue.

        :return: as `energy.wallet._lock`
        """
        chosen = SQL("AND s.account_id = ANY(%s)", account_ids) if account_ids else SQL("")
        self.env.cr.execute(
            SQL(
                """
            WITH head AS (
                SELECT meter_id, since FROM energy_settlement_queue
                 WHERE not_before IS NULL OR not_before <= energy_now()
                 ORDER BY id LIMIT %(rows)s),
            due AS (
                SELECT s.account_id FROM head q
                  JOIN energy_supply s ON s.meter_id = q.meter_id
                       AND (s.end_at IS NULL OR s.end_at > q.since)
                  JOIN energy_account a ON a.id = s.account_id AND a.state <> 'draft'
                 WHERE TRUE %(chosen)s)
            SELECT w.id, w.balance::text, w.last_number, w.head, w.account_id, w.site_id,
                   w.company_id, w.currency_id
              FROM energy_wallet w WHERE w.account_id IN (SELECT account_id FROM due)
             ORDER BY w.id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
            """,
                rows=limit * 4 if not account_ids else 1000000,
                chosen=chosen,
                limit=limit,
            )
        )
        wallets = {row[0]: [Decimal(row[1]), *row[2:]] for row in self.env.cr.fetchall()}
        if not wallets:
            return wallets
        counts = {}
        for state in wallets.values():
            counts[state[3]] = counts.get(state[3], 0) + 1
        rows = self.env.execute_query(
            SQL(
                "SELECT account_id, count(*) FROM energy_wallet WHERE account_id = ANY(%s)"
                " GROUP BY account_id",
                list(counts),
            )
        )
        whole = {account for account, count in rows if counts[account] == count}
        return {wallet: state for wallet, state in wallets.items() if state[3] in whole}

    def _queued(self, accounts):
        """Return the queue rows (id, meter, since) that concern these accounts or nobody."""
        return self.env.execute_query(
            SQL(
                """
            SELECT q.id, q.meter_id, q.since FROM energy_settlement_queue q
             WHERE EXISTS (SELECT 1 FROM energy_supply s WHERE s.meter_id = q.meter_id
                              AND s.account_id = ANY(%s))
            """,
                accounts,
            )
        )

    def _finish(self, queue, settled):
        """Delete the queue rows all of whose accounts were settled here."""
        self.env.cr.execute(
            SQL(
                """
            DELETE FROM energy_settlement_queue q
             WHERE q.id = ANY(%s) AND NOT EXISTS (
                   SELECT 1 FROM energy_supply s JOIN energy_account a ON a.id = s.account_id
                    WHERE s.meter_id = q.meter_id AND a.state <> 'draft'
                      AND (s.end_at IS NULL OR s.end_at > q.since)
                      AND NOT (s.account_id = ANY(%s)))
            """,
                [row for row, _meter, _since in queue],
                settled,
            )
        )
        self.env.cr.execute(
            SQL("DELETE FROM energy_settlement_problem WHERE account_id = ANY(%s)", settled)
        )
        self.env["energy.settlement.problem"].invalidate_model(flush=False)

    def _has_more(self, accounts):
        """Say whether more is due; drop what concerns meters that serve nobody."""
        if not accounts:
            self.env.cr.execute("""
                DELETE FROM energy_settlement_queue q
                 WHERE NOT EXISTS (SELECT 1 FROM energy_supply s
                                     JOIN energy_account a ON a.id = s.account_id
                                    WHERE s.meter_id = q.meter_id AND a.state <> 'draft'
                                      AND (s.end_at IS NULL OR s.end_at > q.since))
            """)
            # They may have stood before others in the queue.
            return bool(self.env.cr.rowcount)
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
        total, conflicts, limit = 0, 0, BATCH
        registry = Registry(self.env.cr.dbname)
        while deadline is None or clock.monotonic() < deadline:
            # Another process may have approved a tariff since.
            registry.check_signaling()
            try:
                with closing(registry.cursor()) as cr:
                    count, has_more = self._in(cr)._settle(limit)
                    reached("before_commit")
                    cr.commit()  # pylint: disable=invalid-commit
                    reached("after_commit")
            except CONFLICTS:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    raise
                continue
            except Exception as error:
                _logger.info(
                    "Settling %s accounts failed, trying them one by one", limit, exc_info=True
                )
                count, has_more = self._settle_singly(registry), True
                if not count:
                    raise error
            conflicts = 0
            total += count
            if not has_more:
                break
        return total

    def _in(self, cr):
        return self.with_env(self.env(cr=cr))

    def _settle_singly(self, registry):
        """Settle the accounts at the head of the queue one by one, setting failing ones aside."""
        with closing(registry.cursor()) as cr:
            accounts = sorted({state[3] for state in self._in(cr)._lock_due(BATCH, None).values()})
        for account in accounts:
            try:
                with closing(registry.cursor()) as cr:
                    self._in(cr)._settle(1, [account])
                    cr.commit()  # pylint: disable=invalid-commit
            except CONFLICTS:
                continue
            except Exception as error:
                _logger.exception("Account %s cannot be settled; it is set aside", account)
                with closing(registry.cursor()) as cr:
                    self._in(cr).env["energy.settlement.problem"]._record(account, str(error))
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
