from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import _, api, models
from odoo.tools import SQL

from ..bulk import values
from .energy_wallet import Draft


class EnergyBillingPeriod(models.Model):
    """Freezing: from then on what a period bills stands, whatever is rated later."""

    _inherit = "energy.billing.period"

    @api.model
    def _freeze(self, until, cut=False, skip_locked=False):
        """Freeze the open periods of some accounts, in their order.

        In a transaction of its own this must be the first thing that it does. A settling
        transaction that began before conflicts with it and repeats itself, so that no entry gets
        into a frozen period.

        :param dict until: last date by account id; a period that ends later stays open
        :param bool cut: end the period in which that date lies with it, and freeze it too
        :param bool skip_locked: pass over accounts that others are at, instead of waiting
        :return: the periods frozen
        """
        self.flush_model()
        locked = self._lock_to_freeze(sorted(until), skip_locked)
        until = {state[3]: until[state[3]] for state in locked.values()}
        if cut:
            self._cut(until)
        frozen = self.browse()
        while until:
            periods = self._next_open(until)
            if not periods:
                break
            self._freeze_batch(periods, locked)
            frozen |= self.browse(periods)
        self.invalidate_model(flush=False)
        self.env["energy.billing.line"].invalidate_model(flush=False)
        return frozen

    def _lock_to_freeze(self, account_ids, skip_locked):
        """Lock the accounts' wallets and touch them.

        :return: as `energy.wallet._lock`, of the accounts all of whose wallets could be locked
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT id, account_id FROM energy_wallet WHERE account_id = ANY(%s)
             ORDER BY id FOR NO KEY UPDATE %s
            """,
                account_ids,
                SQL("SKIP LOCKED" if skip_locked else ""),
            )
        )
        held = [row[0] for row in rows]
        if skip_locked:
            partly = {
                account
                for (account,) in self.env.execute_query(
                    SQL(
                        "SELECT DISTINCT account_id FROM energy_wallet"
                        " WHERE account_id = ANY(%s) AND NOT id = ANY(%s)",
                        account_ids,
                        held,
                    )
                )
            }
            held = [wallet for wallet, account in rows if account not in partly]
        self.env.cr.execute(
            SQL("UPDATE energy_wallet SET balance = balance WHERE id = ANY(%s)", held)
        )
        return self.env["energy.wallet"]._lock(held)

    def _cut(self, until):
        """End the open period in which each date lies with it.

        Use that was charged already stays in its period: that never ends before the last day of it.
        """
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_billing_period p
               SET date_to = LEAST(p.date_to, GREATEST(v.until, (
                       SELECT max(x.local_date) FROM energy_usage x
                        WHERE x.account_id = p.account_id AND x.quantity <> 0
                          AND x.local_date BETWEEN p.date_from AND p.date_to)))
              FROM %s
             WHERE p.account_id = v.account AND p.state = 'open'
               AND v.until >= p.date_from AND v.until < p.date_to
            """,
                values(sorted(until.items()), account="int", until="date"),
            )
        )
        rows = self.env.execute_query(
            SQL(
                """
            SELECT p.account_id, p.date_to FROM %s JOIN energy_billing_period p
                ON p.account_id = v.account AND p.state = 'open'
               AND p.date_from <= v.until AND p.date_to > v.until
            """,
                values(sorted(until.items()), account="int", until="date"),
            )
        )
        until.update(rows)

    def _next_open(self, until):
        """Return the earliest open period of each account, as far as it ends by its date."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT p.id FROM %s
              JOIN LATERAL (SELECT id, date_to FROM energy_billing_period
                             WHERE account_id = v.account AND state = 'open'
                             ORDER BY date_from LIMIT 1) p ON p.date_to <= v.until
             ORDER BY p.id
            """,
                values(sorted(until.items()), account="int", until="date"),
            )
        )
        return [row[0] for row in rows]

    def _freeze_batch(self, period_ids, locked):
        """Freeze periods of different accounts.

        :param dict locked: what `energy.wallet._lock` returned for their accounts
        """
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_billing_period SET state = 'closed', write_uid = %s,
                   write_date = energy_real_now() WHERE id = ANY(%s)
            """,
                self.env.uid,
                period_ids,
            )
        )
        periods = self._fetch_frozen(period_ids)
        self._write_lines(periods)
        self._take_over(periods, locked)

    def _fetch_frozen(self, period_ids):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT p.id, p.account_id, p.site_id, p.company_id, a.currency_id,
                   c.rounding::text, site.tz, p.date_from, p.date_to, a.payment_mode
              FROM energy_billing_period p
              JOIN energy_account a ON a.id = p.account_id
              JOIN res_currency c ON c.id = a.currency_id
              JOIN energy_property site ON site.id = p.site_id
             WHERE p.id = ANY(%s)
            """,
                period_ids,
            )
        )
        names = (
            "id",
            "account",
            "site",
            "company",
            "currency",
            "step",
            "tz",
            "from",
            "to",
            "payment_mode",
        )
        periods = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
        for period in periods.values():
            period["step"] = Decimal(period["step"]).normalize()
            period["zone"] = ZoneInfo(period["tz"])
        return periods

    def _take_over(self, periods, locked):
        """Take what postpaid periods charge out of their balances: the bill claims it."""
        postpaid = {row["id"]: row for row in periods.values() if row["payment_mode"] == "postpaid"}
        if not postpaid:
            return
        drafts = [
            Draft(
                wallet_id=wallet,
                kind="billed",
                category="other",
                amount=Decimal(money),
                key=f"billed/{period}/{wallet}",
                local_date=postpaid[period]["to"],
                note=_("Billed until %s", postpaid[period]["to"]),
                user_id=self.env.uid,
                period_id=period,
            )
            for period, wallet, money in self.env.execute_query(
                SQL(
                    """
                SELECT period_id, wallet_id, (-sum(amount))::text FROM energy_wallet_entry
                 WHERE period_id = ANY(%s) AND kind <> 'billed'
                 GROUP BY period_id, wallet_id HAVING sum(amount) <> 0 ORDER BY 1, 2
                """,
                    list(postpaid),
                )
            )
        ]
        self.env["energy.wallet"]._post(drafts, locked)
