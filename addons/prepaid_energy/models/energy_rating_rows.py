from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import models
from odoo.tools import SQL

from ..bulk import array, values
from ..engine import Point
from ..local_time import local_midnight, month_first
from ..rating_work import MINIMUM, STANDING, Month, Work

ZERO = Decimal(0)

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
    """The rows that rating reads: whole batches, a statement each."""

    _inherit = "energy.rating"

    def _load_works(self, account_ids, queued):
        """Return all supplies of some accounts with their terms; `since` of those that are queued.

        :rtype: list of Work
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.id, s.account_id, s.meter_id, m.name, m.commodity, site.tz, s.start_at,
                   s.end_at, m.register_digits, k.settled_until, k.register::text, s.chain_id,
                   c.id, c.start_at, currency.rounding::text, a.site_id, a.company_id, a.currency_id
              FROM energy_supply s
              JOIN energy_account a ON a.id = s.account_id
              JOIN res_currency currency ON currency.id = a.currency_id
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_property site ON site.id = s.site_id
              LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
              LEFT JOIN energy_supply c ON c.id = s.counter_id
             WHERE s.account_id = ANY(%s::int[])
             ORDER BY s.id
            """,
                array(account_ids),
            )
        )
        works, steps = {}, {}
        for row in rows:
            supply, account, meter, name, commodity, tz, start, end, digits, *rest = row
            until, register, chain, counter, counter_since, step, site, company, currency = rest
            works[supply] = Work(
                supply=supply,
                account=account,
                meter=meter,
                meter_name=name,
                commodity=commodity,
                zone=ZoneInfo(tz),
                start=start,
                end=end,
                modulus=Decimal(10) ** digits if digits else None,
                since=queued.get(meter),
                mark=Point(until, Decimal(register)) if until else None,
                chain=chain or supply,
                counter=counter,
                counter_since=counter_since,
                step=steps.get(step) or steps.setdefault(step, Decimal(step).normalize()),
                place=(site, company, currency),
            )
        for supply, since, tariff, multiplier, addition, plan in self.env.execute_query(
            SQL(
                "SELECT supply_id, since, tariff_id, multiplier::text,"
                "       COALESCE(limit_addition, 0)::text,"
                "       CASE WHEN band_source = 'meter' THEN plan_version_id END"
                "  FROM energy_supply_term"
                " WHERE supply_id = ANY(%s::int[]) ORDER BY supply_id, since",
                array(works),
            )
        ):
            works[supply].terms.append((since, tariff, Decimal(multiplier), Decimal(addition)))
            if plan:
                works[supply].by_meter[since] = plan
        return list(works.values())

    def _load_points(self, works):
        """Fetch the accepted readings that bound what is to be rated.

        What is added to begins at the mark; what is counted anew at the last reading before its
        first day. Both end with the first reading at or after the end of the supply.
        """
        if not works:
            return
        by_supply = {work.supply: work for work in works}
        rows = self._points_added([work for work in works if work.is_append and work.end is None])
        rows += self._points_between(
            [work for work in works if not work.is_append or work.end is not None]
        )
        for supply, moment, total, is_baseline, is_estimate in rows:
            work = by_supply[supply]
            work.points.append(Point(moment, Decimal(total), is_baseline))
            if is_estimate:
                work.estimated.add(moment)

    def _points_added(self, works):
        """Fetch the readings from the mark on: what nearly all supplies ask."""
        if not works:
            return []
        return self.env.execute_query(
            SQL(
                """
            SELECT v.supply, r.moment, r.total::text, COALESCE(r.is_baseline, FALSE),
                   r.source = 'estimate'
              FROM %s
             CROSS JOIN LATERAL (
                   SELECT moment, total, is_baseline, source FROM energy_reading_data
                    WHERE meter_id = v.meter AND state = 'accepted' AND moment >= v.low
                      AND moment >= %s ORDER BY moment) r
             ORDER BY v.supply, r.moment
            """,
                values(
                    [(work.supply, work.meter, work.mark.moment) for work in works],
                    supply="int",
                    meter="int",
                    low="timestamp",
                ),
                # Partitions of the time before are not even looked at.
                min(work.mark.moment for work in works),
            )
        )

    def _points_between(self, works):
        """Fetch the readings around what is counted anew, or up to the end of a supply."""
        if not works:
            return []
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
        return self.env.execute_query(
            SQL(
                """
                SELECT v.supply, r.moment, r.total::text, COALESCE(r.is_baseline, FALSE),
                       r.source = 'estimate'
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
        )

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

    def _load_months(self, units):
        """Fetch the posting rows of the units.

        :return: dict of row id to (unit, month)
        """
        if not units:
            return {}
        rows = self.env.execute_query(
            SQL(
                """
            SELECT %s, g.month, g.id, g.due::text, g.posted::text, g.revision
              FROM %s JOIN energy_rating_unit g ON %s
            """,
                KEY,
                values(list(units), **UNITS),
                SAME_UNIT,
            )
        )
        found = {}
        for *key, month, row, due, posted, revision in rows:
            unit = units[tuple(key)]
            unit.months[month] = Month(row, Decimal(due), Decimal(posted), revision)
            found[row] = unit, month
        return found

    @staticmethod
    def _add_missing_months(units):
        """Add the posting rows that the units' days need; they stand without an id."""
        for unit in units.values():
            days = (unit.first_day, *unit.days, *(day for day, *_rest in unit.standing))
            for month in {month_first(day) for day in days} - unit.months.keys():
                unit.months[month] = Month(None, ZERO, ZERO, 0)

    def _load_usage(self, batch, rows):
        """Add what was counted before and still stands to the units' days.

        :param dict rows: what `_load_months` returned
        """
        wanted = [
            (row, unit.first_day)
            for row, (unit, month) in rows.items()
            if month >= month_first(unit.first_day)
        ]
        if not wanted:
            return
        recounted = {work.supply: work.first_day for work in batch.works if not work.is_append}
        found = self.env.execute_query(
            SQL(
                """
            SELECT x.unit_id, x.id, x.local_date, x.supply_id, x.version_id, x.band, x.tier,
                   x.quantity::text, x.amount::text, COALESCE(x.is_interpolated, FALSE),
                   COALESCE(x.is_estimated, FALSE)
              FROM %s JOIN energy_usage x ON x.unit_id = v.row AND %s
             ORDER BY x.local_date
            """,
                values(wanted, row="int", first_day="date"),
                SQL("(x.local_date >= v.first_day OR x.band = %s)", MINIMUM)
                if batch.may_have_minimum
                else SQL("x.local_date >= v.first_day"),
            )
        )
        for row, usage, day, supply, version, band, tier, quantity, amount, *flags in found:
            unit = rows[row][0]
            quantity, amount, flags = Decimal(quantity), Decimal(amount), tuple(flags)
            cell = (day, supply, version, band, tier)
            unit.old[cell] = (quantity, amount, *flags)
            unit.rows[cell] = usage
            if supply in recounted and day >= recounted[supply]:
                continue
            if tier:
                unit.add(day, supply, version, band, quantity, flags)
            elif band == STANDING:
                unit.standing[day, supply, version] = amount

    def _load_before(self, batch, rows):
        """Fetch the cumulated use before their first day in work of the units that have tiers."""
        tiered = {
            key
            for key, unit in batch.units.items()
            if any(version.is_tiered for version in self._versions(unit, batch.prices).values())
        }
        wanted = [
            (row, month, unit.first_day)
            for row, (unit, month) in rows.items()
            if month < unit.first_day and unit.key in tiered
        ]
        if not wanted:
            return
        found = self.env.execute_query(
            SQL(
                """
            SELECT x.unit_id, x.supply_id, x.version_id, x.band, sum(x.quantity)::text,
                   sum(x.amount)::text
              FROM %s
              JOIN energy_usage x ON x.unit_id = v.row AND x.local_date < v.first_day
                   AND x.band <> %s
             GROUP BY x.unit_id, v.month, x.supply_id, x.version_id, x.band
             ORDER BY v.month, min(x.local_date), x.version_id, x.supply_id, x.band
            """,
                values(wanted, row="int", month="date", first_day="date"),
                MINIMUM,
            )
        )
        for row, supply, version, band, quantity, amount in found:
            unit, month = rows[row]
            if band == STANDING:
                unit.standing_before[month] += Decimal(amount)
            else:
                unit.before.append((month, supply, version, band, Decimal(quantity)))
                unit.versions.add(version)
