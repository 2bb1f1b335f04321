from odoo import models
from odoo.tools import SQL

from ..bulk import copy_rows, values
from ..local_time import month_first
from .energy_rating_rows import KEY, UNITS

USAGE_COLUMNS = (
    "supply_id",
    "account_id",
    "meter_id",
    "unit_id",
    "site_id",
    "company_id",
    "currency_id",
    "commodity",
    "local_date",
    "band",
    "tier",
    "version_id",
    "quantity",
    "amount",
    "is_interpolated",
    "is_estimated",
)


class EnergyRating(models.AbstractModel):
    """The rows that rating writes: use, what is due by month, and marks; a statement each."""

    _inherit = "energy.rating"

    def _write(self, batch):
        """Bring usage and marks to what was rated."""
        self._make_months(batch.units)
        self._write_usage(batch)
        self._write_marks(batch.works)

    def _write_usage(self, batch):
        """Bring the usage rows to what was rated: changed ones only."""
        supplies = {work.supply: work for work in batch.supplies}
        added, changed, gone = [], [], []
        for unit in batch.units.values():
            old, new = unit.old, unit.new
            for cell, figures in new.items():
                known = old.get(cell)
                if known == figures:
                    continue
                if known is not None:
                    changed.append((unit.rows[cell], *figures))
                    continue
                day, supply, version, band, tier = cell
                added.append(
                    (
                        supply,
                        unit.account,
                        supplies[supply].meter,
                        unit.months[month_first(day)].id,
                        *supplies[supply].place,
                        unit.commodity,
                        day,
                        band,
                        tier,
                        version,
                        *figures,
                    )
                )
            gone.extend(unit.rows[cell] for cell in old.keys() - new.keys())
        if gone:
            self.env.cr.execute(SQL("DELETE FROM energy_usage WHERE id = ANY(%s)", gone))
        if changed:
            self.env.cr.execute(
                SQL(
                    """
                UPDATE energy_usage AS x
                   SET quantity = v.quantity, amount = v.amount,
                       is_interpolated = v.is_interpolated, is_estimated = v.is_estimated
                  FROM %s WHERE x.id = v.id
                """,
                    values(
                        changed,
                        id="bigint",
                        quantity="numeric",
                        amount="numeric",
                        is_interpolated="boolean",
                        is_estimated="boolean",
                    ),
                )
            )
        if added:
            copy_rows(self.env.cr, "energy_usage", USAGE_COLUMNS, added)
        self.env["energy.usage"].invalidate_model(flush=False)

    def _write_marks(self, works):
        """Note up to where each supply is settled; nowhere where all its readings went away."""
        added, moved, gone = [], [], []
        for work in works:
            point = work.last_point
            if point is not None:
                rows = moved if work.mark is not None else added
                is_estimate = point.moment in work.estimated
                rows.append((work.supply, point.moment, point.register, is_estimate))
            elif work.mark is not None:
                gone.append(work.supply)
        if gone:
            self.env.cr.execute(
                SQL("DELETE FROM energy_supply_mark WHERE supply_id = ANY(%s)", gone)
            )
        if added:
            copy_rows(
                self.env.cr,
                "energy_supply_mark",
                ("supply_id", "settled_until", "register", "is_estimated"),
                added,
            )
        if moved:
            self.env.cr.execute(
                SQL(
                    """
                UPDATE energy_supply_mark AS k
                   SET settled_until = v.moment, register = v.register,
                       is_estimated = v.is_estimated
                  FROM %s WHERE k.supply_id = v.supply
                """,
                    values(
                        moved,
                        supply="int",
                        moment="timestamp",
                        register="numeric",
                        is_estimated="boolean",
                    ),
                )
            )
        self.env["energy.supply.mark"].invalidate_model(flush=False)

    def _make_months(self, units):
        """Make the posting rows that are missing."""
        missing = {
            (*unit.key, month): row
            for unit in units.values()
            for month, row in unit.months.items()
            if row.id is None
        }
        if not missing:
            return
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_rating_unit AS g
                   (account_id, site_id, company_id, currency_id, commodity, supply_id,
                    period_start, period_end, month, due, posted, revision)
            SELECT a.id, a.site_id, a.company_id, a.currency_id, v.commodity, NULLIF(v.supply, 0),
                   v.period_start, v.period_end, v.month, 0, 0, 0
              FROM %s JOIN energy_account a ON a.id = v.account
            RETURNING %s, g.month, g.id
            """,
                values(sorted(missing), **UNITS, month="date"),
                KEY,
            )
        )
        for *key, row in self.env.cr.fetchall():
            missing[tuple(key)].id = row
