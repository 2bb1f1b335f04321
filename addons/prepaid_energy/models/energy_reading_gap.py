from bisect import bisect_left, bisect_right
from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from operator import attrgetter
from zoneinfo import ZoneInfo

from odoo import models
from odoo.tools import SQL

from ..bulk import values
from ..engine import Calendar, Point, shaped
from ..engine.shaping import HISTORY
from ..rating_work import GAP, RatingRefused

MOMENT = attrgetter("moment")


class EnergyRating(models.AbstractModel):
    """Gaps between readings, spread like comparable days before them where the company chose so.

    The shape of a gap follows from readings alone: its ends and what was read in the three weeks
    before. What changes one of those readings queues its meter from there on, so the gap is counted
    anew with it.
    """

    _inherit = "energy.rating"

    def _spread_gaps(self, works, prices):
        """Put virtual points into the gaps of works whose company spreads by comparable days."""
        gaps = {}
        for work in works:
            found = [
                (before, after, bool(work.estimated & {before.moment, after.moment}))
                for before, after in pairwise(work.points)
                if after.moment - before.moment > GAP
            ]
            if found:
                gaps[work.supply] = found
        shapes = self._shapes(gaps, prices)
        for work in works:
            points = shapes.get(work.supply)
            if points:
                work.virtual = {point.moment for point in points}
                work.points = sorted([*work.points, *points], key=MOMENT)

    def _shapes(self, gaps, prices):
        """Return the virtual points inside gaps.

        What lies around an estimate is always shaped, as the estimate was made so. Where a supply
        begins or ends inside a gap, both supplies keep to the straight line, so that they share one
        register.

        :param dict gaps: list of (`Point` before, `Point` after, whether one is an estimate) by
            supply id, in order of time
        :param prices: `Prices`, whose calendars say which days are comparable
        :return: dict of supply id to list of `Point`
        """
        if not gaps:
            return {}
        supplies = self._shaped_supplies(gaps)
        chosen = {}
        for supply, (_meter, _zone, start, end, _modulus, is_comparable) in supplies.items():
            found = [
                (before, after)
                for before, after, is_estimated in gaps[supply]
                if (is_comparable or is_estimated)
                and not before.moment < start < after.moment
                and not (end and before.moment < end < after.moment)
            ]
            if found:
                chosen[supply] = found
        if not chosen:
            return {}
        histories = self._histories(
            {
                supply: (supplies[supply][0], found[0][0].moment - HISTORY, found[-1][0].moment)
                for supply, found in chosen.items()
            }
        )
        calendars = self._calendars(
            {
                (supply, before.moment): supplies[supply][1]
                for supply, found in chosen.items()
                for before, _after in found
            },
            prices,
        )
        shapes = defaultdict(list)
        for supply, found in chosen.items():
            _meter, zone, _start, _end, modulus, _is_comparable = supplies[supply]
            history = histories.get(supply, [])
            for before, after in found:
                first = bisect_left(history, before.moment - HISTORY, key=MOMENT)
                last = bisect_right(history, before.moment, key=MOMENT)
                shapes[supply] += shaped(
                    before,
                    after,
                    history[first:last],
                    zone,
                    calendars[supply, before.moment],
                    modulus,
                )
        return shapes

    def _shaped_supplies(self, supply_ids):
        self.env["res.company"].flush_model(["energy_gap_shape"])
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.id, s.meter_id, site.tz, s.start_at, s.end_at, m.register_digits,
                   c.energy_gap_shape = 'comparable'
              FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_property site ON site.id = s.site_id
              JOIN res_company c ON c.id = s.company_id
             WHERE s.id = ANY(%s)
            """,
                sorted(supply_ids),
            )
        )
        return {
            supply: (
                meter,
                ZoneInfo(tz),
                start,
                end,
                Decimal(10) ** digits if digits else None,
                is_comparable,
            )
            for supply, meter, tz, start, end, digits, is_comparable in rows
        }

    def _histories(self, bounds):
        """Return what was read of meters, estimates left out.

        :param dict bounds: (meter id, from, until) by any key
        :return: dict of key to list of `Point`, in order of time
        """
        histories = defaultdict(list)
        for key, moment, total, is_baseline in self.env.execute_query(
            SQL(
                """
            SELECT v.key, r.moment, r.total::text, COALESCE(r.is_baseline, FALSE)
              FROM %s
              JOIN energy_reading_data r ON r.meter_id = v.meter AND r.state = 'accepted'
                   AND r.source <> 'estimate' AND r.moment BETWEEN v.low AND v.high
             ORDER BY v.key, r.moment
            """,
                values(
                    [(key, *bound) for key, bound in bounds.items()],
                    key="int",
                    meter="int",
                    low="timestamp",
                    high="timestamp",
                ),
            )
        ):
            histories[key].append(Point(moment, Decimal(total), is_baseline))
        return histories

    def _calendars(self, wanted, prices):
        """Return the calendars of the tariffs by which supplies are priced at moments.

        :param dict wanted: time zone by (supply id, moment)
        :param prices: `Prices`
        :return: dict of the same pairs to `Calendar`; without a price the plain one
        """
        terms = defaultdict(list)
        for supply, since, tariff in self.env.execute_query(
            SQL(
                "SELECT supply_id, since, tariff_id FROM energy_supply_term"
                " WHERE supply_id = ANY(%s) ORDER BY supply_id, since",
                sorted({supply for supply, _moment in wanted}),
            )
        ):
            terms[supply].append((since, tariff))
        calendars = {}
        for (supply, moment), zone in wanted.items():
            calendars[supply, moment] = Calendar()
            own = [term for term in terms[supply] if term[0] <= moment] or terms[supply][:1]
            if own:
                # Without a price nothing is charged, however its gaps are shaped.
                with suppress(RatingRefused):
                    spans = prices.spans(own[-1][1], moment, moment + GAP, zone, Decimal(1))
                    calendars[supply, moment] = spans[0].version.calendar
        return calendars
