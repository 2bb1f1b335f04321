from collections import Counter
from decimal import Decimal
from itertools import chain

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..bulk import array

# Statements are written in the order in which their tables are best joined: planning takes longer
# than the little there is to gain by another one.
AS_WRITTEN = "SET LOCAL join_collapse_limit = 1"
# Of a row `q` of the queue: the accounts that its meter served after it.
CONCERNED = SQL("""
    ARRAY(SELECT s.account_id FROM energy_supply s
            JOIN energy_account a ON a.id = s.account_id AND a.state <> 'draft'
           WHERE s.meter_id = q.meter_id AND (s.end_at IS NULL OR s.end_at > q.since))""")


class EnergySettlement(models.AbstractModel):
    """Settling: rate → post → decide → command, many accounts at a time.

    Here is the one transaction of it, which locks the wallets of some accounts first, in id order,
    passing over locked ones. It can be killed at any moment and run by any number of workers: what
    is in the queue is worked off once. `energy_settlement_run.py` works the queue off.
    """

    _name = "energy.settlement"
    _description = "Settlement"

    @api.model
    def _settle(self, account_ids, tell=True):
        """Settle what is queued for some accounts in the present transaction.

        Must be the first thing the transaction does. The caller commits.

        :param list account_ids: accounts; those of which a balance is locked are passed over
        :param bool tell: whether room lists on screens are told; else the caller does it later
        :return: number of accounts settled
        """
        # Takes no snapshot: locking is still the first to look at data.
        self.env.cr.execute(AS_WRITTEN)
        wallets = self._lock(account_ids)
        locked = {state[3] for state in wallets.values()}
        queue = self._queued(sorted(locked))
        # Another worker may have settled some since they were chosen.
        accounts = sorted(locked.intersection(chain.from_iterable(row[3] for row in queue)))
        if not accounts:
            return 0
        failures = self._work_off(queue, accounts, wallets)
        for account, refused in failures.items():
            self.env["energy.settlement.problem"]._record(
                account, str(refused), refused.cause, refused.meter, refused.tariff
            )
        if tell:
            self.env["energy.room"]._tell()
        return len(accounts)

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

    def _lock(self, account_ids):
        """Lock the wallets of accounts in the order of ids, passing over locked ones.

        :return: as `energy.wallet._lock`; accounts of which a wallet is locked elsewhere are left
            out
        """
        self.env.cr.execute(
            SQL(
                """
            SELECT w.id, w.balance::text, w.last_number, w.head, w.account_id, w.site_id,
                   w.company_id, w.currency_id,
                   (SELECT count(*) FROM energy_wallet o WHERE o.account_id = w.account_id)
              FROM energy_wallet w WHERE w.account_id = ANY(%s::int[])
             ORDER BY w.id FOR NO KEY UPDATE OF w SKIP LOCKED
            """,
                array(sorted(account_ids)),
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
            SELECT q.id, q.meter_id, q.since, %s
              FROM (SELECT DISTINCT meter_id FROM energy_supply
                    WHERE account_id = ANY(%s::int[])) m
             -- By its index, whatever was known of the queue when it was analyzed last.
             CROSS JOIN LATERAL (SELECT id, meter_id, since FROM energy_settlement_queue
                                  WHERE meter_id = m.meter_id OFFSET 0) q
            """,
                CONCERNED,
                array(accounts),
            )
        )

    def _finish(self, queue, settled):
        """Delete the queue rows all of whose accounts were settled here."""
        done = set(settled)
        self.env.cr.execute(
            SQL(
                """
            WITH mended AS (
                 DELETE FROM energy_settlement_problem WHERE account_id = ANY(%s::int[]))
            DELETE FROM energy_settlement_queue WHERE id = ANY(%s::bigint[])
            """,
                array(settled),
                array(
                    row for row, _meter, _since, concerned in queue if done.issuperset(concerned)
                ),
            )
        )
        self.env["energy.settlement.problem"].invalidate_model(flush=False)
