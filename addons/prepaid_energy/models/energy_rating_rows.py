from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import models
from odoo.tools import SQL

from ..bulk import values
from ..engine import Point
from ..local_time import local_midnight, month_first
from ..rating_work import Work

# Columns of the rows that name units; see `bulk.values`.
UNITS = {
    "account": "int",
    "commodity": "text",
    "supply": "int",
    "period_start": "date",
    "period_end": "date",
}
# The unit of a row of energy_rating_unit, as `Unit.key`; and that a row named `v` has it.
KEY = SQL("g.account_id, g.commodity, COALESCE(g.supply_id, 0), g.period_start, g.period_end")
SAME_UNIT = SQL(
    "g.account_id = v.account AND g.commodity = v.commodity"
    " AND COALESCE(g.supply_id, 0) = v.supply AND g.period_start = v.period_start"
    " AND g.period_end = v.period_end"
)


class EnergyRating(models.AbstractModel):
    """The rows that rating reads and writes: whole batches, a statement each."""

    _inherit = "energy.rating"

    def _load_works(self, account_ids, queued):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.id, s.account_id, s.meter_id, m.name, m.commodity, site.tz, s.start_at,
                   s.end_at, m.register_digits, k.settled_until, k.register::text, s.chain_id,
                   c.id, c.start_at
              FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_property site ON site.id = s.site_id
              LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
              LEFT JOIN energy_supply c ON c.id = s.counter_id
             WHERE s.account_id = ANY(%s) AND s.meter_id = ANY(%s)
             ORDER BY s.id
            """,
                account_ids,
                list(queued),
            )
        )
        works = []
        for row in rows:
            supply, account, meter, name, commodity, tz, start, end, digits, *rest = row
            until, register, chain, counter, counter_since = rest
            works.append(
                Work(
                    supply=supply,
                    account=account,
                    meter=meter,
                    meter_name=name,
                    commodity=commodity,
                    zone=ZoneInfo(tz),
                    start=start,
                    end=end,
                    modulus=Decimal(10) ** digits if digits else None,
                    since=queued[meter],
                    mark=Point(until, Decimal(register)) if until else None,
                    chain=chain or supply,
                    counter=counter,
                    counter_since=counter_since,
                )
            )
        works = [
            work
            for work in works
            if not (work.end is not None and work.is_append and work.mark.moment >= work.end)
        ]
        by_supply = {work.supply: work for work in works}
        for supply, since, tariff, multiplier in self.env.execute_query(
            SQL(
                "SELECT supply_id, since, tariff_id, multiplier::text FROM energy_supply_term"
                " WHERE supply_id = ANY(%s) ORDER BY supply_id, since",
                list(by_supply),
            )
        ):
            by_supply[supply].terms.append((since, tariff, Decimal(multiplier)))
        return works

    def _load_points(self, works):
        """Fetch the accepted readings that bound what is to be rated.

        What is added to begins at the mark; what is counted anew at the last reading before its
        first day. Both end with the first reading at or after the end of the supply.
        """
        if not works:
            return
        by_supply = {work.supply: work for work in works}
        bounds = [
            (work.supply, work.meter, work.mark.moment, True, work.end)
            if work.is_append
            else (
                work.supply,
                work.meter,
                max(local_midnight(work.first_day, work.zone), work.start),
                False,
                work.end,
            )
            for work in works
        ]
        for supply, moment, total, baseline in self.env.execute_query(
            SQL(
                """
                SELECT v.supply, r.moment, r.total::text, r.is_baseline
                  FROM %s
                  JOIN energy_reading_data r ON r.meter_id = v.meter AND r.state = 'accepted'
                       AND r.moment >= CASE WHEN v.is_mark THEN v.low ELSE COALESCE(
                            (SELECT max(p.moment) FROM energy_reading_data p
                              WHERE p.meter_id = v.meter AND p.state = 'accepted'
                                AND p.moment <= v.low), v.low) END
                       AND (v.until IS NULL OR r.moment <= COALESCE(
                            (SELECT min(n.moment) FROM energy_reading_data n
                              WHERE n.meter_id = v.meter AND n.state = 'accepted'
                                AND n.moment >= v.until), 'infinity'))
                 ORDER BY v.supply, r.moment
                """,
                values(
                    bounds,
                    supply="int",
                    meter="int",
                    low="timestamp",
                    is_mark="boolean",
                    until="timestamp",
                ),
            )
        ):
            by_supply[supply].points.append(Point(moment, Decimal(total), bool(baseline)))

    def _load_counted(self, works):
        """Return where use was counted that is counted anew.

        :return: list of (key of the unit of rating, earliest day)
        """
        recounted = {work.supply: work for work in works if work.mark and not work.is_append}
        if not recounted:
            return []
        rows = self.env.execute_query(
            SQL(
                """
            SELECT x.supply_id, %s, min(x.local_date)
              FROM %s
              JOIN energy_usage x ON x.supply_id = v.supply AND x.local_date >= v.first_day
              JOIN energy_rating_unit g ON g.id = x.unit_id
             GROUP BY x.supply_id, %s
            """,
                KEY,
                values(
                    [(work.supply, work.first_day) for work in recounted.values()],
                    supply="int",
                    first_day="date",
                ),
                KEY,
            )
        )
        return [(tuple(key), day) for _supply, *key, day in rows]

    def _load_usage(self, units, works):
        """Add what was counted before and still stands to the units' days."""
        if not units:
            return
        recounted = {work.supply: work.first_day for work in works if not work.is_append}
        rows = self.env.execute_query(
            SQL(
                """
            SELECT %s, x.local_date, x.supply_id,
                   x.version_id, x.band, x.tier, x.quantity::text, x.amount::text,
                   x.is_interpolated
              FROM %s
              JOIN energy_rating_unit g ON %s
                   AND g.month >= date_trunc('month', v.first_day)::date
              JOIN energy_usage x ON x.unit_id = g.id AND x.local_date >= v.first_day
             ORDER BY x.local_date
            """,
                KEY,
                values(
                    [(*unit.key, unit.first_day) for unit in units.values()],
                    **UNITS,
                    first_day="date",
                ),
                SAME_UNIT,
            )
        )
        for *key, day, supply, version, band, tier, quantity, amount, interpolated in rows:
            unit = units[tuple(key)]
            quantity, amount = Decimal(quantity), Decimal(amount)
            unit.old[day, supply, version, band, tier] = (quantity, amount, interpolated)
            if supply in recounted and day >= recounted[supply]:
                continue
            unit.days[day][supply, version, band] += quantity
            flag = (day, supply, version, band)
            unit.flags[flag] = unit.flags.get(flag, False) or interpolated

    def _load_months(self, units):
        """Fetch the posting rows of the units, made where they are missing."""
        needed = sorted(
            {
                (*unit.key, month_first(day))
                for unit in units.values()
                for day in (*unit.days, unit.first_day)
            }
        )
        if not needed:
            return
        self._fetch_months(units)
        missing = [key for key in needed if key[-1] not in units[key[:-1]].months]
        if not missing:
            return
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_rating_unit (account_id, site_id, company_id, currency_id, commodity,
                                            supply_id, period_start, period_end, month, due,
                                            posted, revision)
            SELECT a.id, a.site_id, a.company_id, a.currency_id, v.commodity, NULLIF(v.supply, 0),
                   v.period_start, v.period_end, v.month, 0, 0, 0
              FROM %s JOIN energy_account a ON a.id = v.account
            """,
                values(missing, **UNITS, month="date"),
            )
        )
        self._fetch_months(units)

    def _fetch_months(self, units):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT %s, g.month, g.id, g.due::text, g.posted::text, g.revision, c.rounding::text,
                   g.site_id, g.company_id, g.currency_id
              FROM %s
              JOIN energy_rating_unit g ON %s
              JOIN res_currency c ON c.id = g.currency_id
            """,
                KEY,
                values(list(units), **UNITS),
                SAME_UNIT,
            )
        )
        for *key, month, row, due, posted, revision, step, site, company, currency in rows:
            units[tuple(key)].months[month] = {
                "id": row,
                "due": Decimal(due),
                "posted": Decimal(posted),
                "revision": revision,
                "step": Decimal(step).normalize(),
                "site": site,
                "company": company,
                "currency": currency,
            }

    def _load_before(self, units, prices):
        """Fetch the cumulated use before their first day in work of the units that have tiers."""
        tiered = [
            unit
            for unit in units.values()
            if any(version.tier_limits for version in self._versions(unit, prices).values())
        ]
        if not tiered:
            return
        rows = self.env.execute_query(
            SQL(
                """
            SELECT %s, g.month, x.supply_id, x.version_id, x.band, sum(x.quantity)::text
              FROM %s
              JOIN energy_rating_unit g ON %s
              JOIN energy_usage x ON x.unit_id = g.id AND x.local_date < v.first_day
             GROUP BY %s, g.month, x.supply_id, x.version_id, x.band
             ORDER BY g.month, min(x.local_date), x.version_id, x.supply_id, x.band
            """,
                KEY,
                values([(*unit.key, unit.first_day) for unit in tiered], **UNITS, first_day="date"),
                SAME_UNIT,
                KEY,
            )
        )
        for *key, month, supply, version, band, quantity in rows:
            units[tuple(key)].before.append((month, supply, version, band, Decimal(quantity)))

    def _write_usage(self, units, lines):
        """Bring the usage rows to what was rated: changed ones only."""
        changed, gone = [], []
        supplies = {}
        for key, unit in units.items():
            new = {}
            for line in lines[key]:
                flag = unit.flags.get((line.date, line.supply, line.version, line.band), False)
                new[line.date, line.supply, line.version, line.band, line.tier] = (
                    line.quantity,
                    line.amount,
                    flag,
                )
            for cell, figures in new.items():
                if unit.old.get(cell) != figures:
                    day, supply, version, band, tier = cell
                    month = unit.months[month_first(day)]
                    supplies[supply] = None
                    changed.append(
                        (
                            supply,
                            unit.account,
                            month["id"],
                            month["site"],
                            month["company"],
                            month["currency"],
                            unit.commodity,
                            day,
                            band,
                            tier,
                            version,
                            *figures,
                        )
                    )
            gone.extend(cell for cell in unit.old.keys() - new.keys())
        if gone:
            self.env.cr.execute(
                SQL(
                    """
                DELETE FROM energy_usage x USING %s
                 WHERE x.local_date = v.local_date AND x.supply_id = v.supply
                   AND x.version_id = v.version AND x.band = v.band AND x.tier = v.tier
                """,
                    values(
                        gone,
                        local_date="date",
                        supply="int",
                        version="int",
                        band="text",
                        tier="int",
                    ),
                )
            )
        if changed:
            self.env.cr.execute(
                SQL(
                    """
                INSERT INTO energy_usage (supply_id, account_id, unit_id, site_id, company_id,
                       currency_id, commodity, local_date, band, tier, version_id, quantity,
                       amount, is_interpolated, meter_id)
                SELECT v.*, s.meter_id FROM %s JOIN energy_supply s ON s.id = v.supply
                    ON CONFLICT (supply_id, local_date, band, tier, version_id) DO UPDATE
                   SET quantity = EXCLUDED.quantity, amount = EXCLUDED.amount,
                       is_interpolated = EXCLUDED.is_interpolated
                """,
                    values(
                        changed,
                        supply="int",
                        account="int",
                        unit="int",
                        site="int",
                        company="int",
                        currency="int",
                        commodity="text",
                        local_date="date",
                        band="text",
                        tier="int",
                        version="int",
                        quantity="numeric",
                        amount="numeric",
                        flag="boolean",
                    ),
                )
            )
        self.env["energy.usage"].invalidate_model(flush=False)

    def _write_marks(self, works):
        rows = [
            (work.supply, work.points[-1].moment, work.points[-1].register)
            for work in works
            if work.points
        ]
        if rows:
            self.env.cr.execute(
                SQL(
                    """
                INSERT INTO energy_supply_mark (supply_id, settled_until, register)
                SELECT v.* FROM %s
                    ON CONFLICT (supply_id) DO UPDATE
                   SET settled_until = EXCLUDED.settled_until, register = EXCLUDED.register
                """,
                    values(rows, supply="int", moment="timestamp", register="numeric"),
                )
            )
        self.env["energy.supply.mark"].invalidate_model(flush=False)
