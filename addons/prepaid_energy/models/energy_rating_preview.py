from odoo import api, models
from odoo.tools import SQL

from ..bulk import values
from ..engine import round_half_up
from ..rating_work import Prices

# Accounts that are rated together: what bounds memory, whatever the number of accounts.
BATCH = 400


class EnergyRating(models.AbstractModel):
    """What rating would post, before anybody decides."""

    _inherit = "energy.rating"

    @api.model
    def _preview(self, queued, suppose=None, failures=None):
        """Return what settling would charge more or less, without posting it.

        Nothing is written or locked, and nothing supposed gets into caches that others share.

        :param dict queued: moment (naive UTC) from which each meter id is rated again
        :param suppose: function without arguments: what it does to the database holds while the
            differences are worked out, and is undone afterwards
        :param dict failures: takes the `RatingRefused` of accounts that could not be rated, by id
        :return: dict of account id to dict of first day of month to the difference (Decimal,
            above zero where more would be charged); months and accounts without one are missing
        """
        if suppose is None:
            self.env.flush_all()
            return self._differences(queued, failures)
        registry = self.env.registry
        with self.env.cr.savepoint() as savepoint:
            suppose()
            self.env.flush_all()
            found = self._differences(queued, failures)
            savepoint.rollback()
        if registry.cache_invalidated:
            # What was supposed may have been looked up since.
            registry.clear_cache()
        return found

    def _differences(self, queued, failures):
        prices = Prices(self.env, cached=False)
        accounts = self._concerned(queued)
        found = {}
        for first in range(0, len(accounts), BATCH):
            batch = self._rated(accounts[first : first + BATCH], queued, prices)
            if failures is not None:
                failures.update(batch.failures)
            steps = {work.account: work.step for work in batch.supplies}
            for unit in batch.units.values():
                step = steps[unit.account]
                for month, row in unit.months.items():
                    if row.new_due is None:
                        continue
                    difference = round_half_up(row.new_due, step) - row.posted
                    if difference:
                        months = found.setdefault(unit.account, {})
                        months[month] = months.get(month, 0) + difference
        # Use that moved between units of one month may make no difference together.
        for account, months in list(found.items()):
            found[account] = {month: money for month, money in months.items() if money}
        return {account: months for account, months in found.items() if months}

    def _concerned(self, queued):
        """Return the accounts whose use at meters lies behind what changed, in order."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT s.account_id FROM %s
              JOIN energy_supply s ON s.meter_id = v.meter
                   AND (s.end_at IS NULL OR s.end_at >= v.since)
              JOIN energy_account a ON a.id = s.account_id AND a.state <> 'draft'
             ORDER BY s.account_id
            """,
                values(sorted(queued.items()), meter="int", since="timestamp"),
            )
        )
        return [row[0] for row in rows]
