from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

from odoo import models
from odoo.tools import SQL

from ..bulk import values
from ..engine import Point, interpolate
from ..local_time import local_midnight, month_last
from ..rating_work import GAP, Prices


class EnergyBillingLine(models.Model):
    """The registers with which a billed line begins and ends."""

    _inherit = "energy.billing.line"

    def _registers(self, spans):
        """Return the registers at the beginning and the end of what is billed.

        They are those of the period's first and last midnight, cut to the supply and to what is
        settled, each interpolated between the accepted readings around it as rating does. What is
        billed late for a month before begins where the last line of the supply for that month
        ended (a correction may end below); where the end is the same there are no registers.

        :param dict spans: period (as in freezing) by (supply id, month)
        :return: dict of (supply id, month) to (register, register); None where there is none
        """
        if not spans:
            return {}
        supplies = self._fetch_supplies({supply for supply, _month in spans})
        billed = self._fetch_billed(spans)
        wanted, found = {}, {}
        for (supply, month), period in spans.items():
            start, end, until, _meter, _digits = supplies[supply]
            first = max(month, period["from"])
            last = min(month_last(month), period["to"])
            is_late = last < first
            if is_late:
                first, last = month, month_last(month)
            low = max(local_midnight(first, period["zone"]), start)
            high = local_midnight(last + timedelta(days=1), period["zone"])
            high = min(moment for moment in (high, end, until) if moment is not None)
            wanted[supply, month] = (None if is_late else low, high) if low < high else None
        bounds = {
            (supply, moment)
            for (supply, _month), moments in wanted.items()
            for moment in moments or ()
            if moment is not None
        }
        at = self._at(bounds, supplies)
        for (supply, month), moments in wanted.items():
            if moments is None:
                continue
            low, high = moments
            register = at.get((supply, high))
            before = at.get((supply, low)) if low is not None else billed.get((supply, month))
            if low is not None or before != register:
                found[supply, month] = (before, register)
        return found

    def _fetch_supplies(self, supplies):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.id, s.start_at, s.end_at, k.settled_until, s.meter_id, m.register_digits
              FROM energy_supply s JOIN energy_meter m ON m.id = s.meter_id
              LEFT JOIN energy_supply_mark k ON k.supply_id = s.id WHERE s.id = ANY(%s)
            """,
                sorted(supplies),
            )
        )
        return {row[0]: row[1:] for row in rows}

    def _fetch_billed(self, spans):
        """Return the register at which what was billed of a month ended, by supply and month."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT ON (v.supply, v.month) v.supply, v.month, l.register_to::text
              FROM %s JOIN energy_billing_line l
                ON l.supply_id = v.supply AND l.month = v.month AND l.has_registers
             ORDER BY v.supply, v.month, l.id DESC
            """,
                values(list(spans), supply="int", month="date"),
            )
        )
        return {(supply, month): Decimal(register) for supply, month, register in rows}

    def _at(self, bounds, supplies):
        """Return the registers at moments, from the accepted readings around them.

        :param set bounds: pairs of supply id and moment
        :return: dict of pair to register; pairs without a reading on each side are missing
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.supply, v.at, before.moment, before.total::text, after.moment,
                   after.total::text
              FROM %s
              JOIN LATERAL (SELECT moment, total FROM energy_reading_data
                             WHERE meter_id = v.meter AND state = 'accepted' AND moment <= v.at
                             ORDER BY moment DESC LIMIT 1) before ON TRUE
              JOIN LATERAL (SELECT moment, total FROM energy_reading_data
                             WHERE meter_id = v.meter AND state = 'accepted' AND moment >= v.at
                             ORDER BY moment LIMIT 1) after ON TRUE
            """,
                values(
                    [(supply, supplies[supply][3], at) for supply, at in sorted(bounds)],
                    supply="int",
                    meter="int",
                    at="timestamp",
                ),
            )
        )
        gaps = defaultdict(set)
        for supply, _moment, since, low, until, high in rows:
            if until - since > GAP:
                gaps[supply].add((Point(since, Decimal(low)), Point(until, Decimal(high)), False))
        shapes = self.env["energy.rating"]._shapes(
            {supply: sorted(found) for supply, found in gaps.items()}, Prices(self.env)
        )
        registers = {}
        for supply, moment, since, low, until, high in rows:
            before, after = Point(since, Decimal(low)), Point(until, Decimal(high))
            for point in shapes.get(supply, ()):
                if since < point.moment <= moment:
                    before = max(before, point)
                if moment <= point.moment < until:
                    after = min(after, point)
            register = before.register
            if before.moment != moment:
                turn = Decimal(10) ** supplies[supply][4]
                if after.register < before.register:
                    after = Point(after.moment, after.register + turn)
                    register = interpolate(before, after, moment) % turn
                else:
                    register = interpolate(before, after, moment)
            registers[supply, moment] = register
        return registers
