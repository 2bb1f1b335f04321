from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from operator import itemgetter

from dateutil.relativedelta import relativedelta
from odoo import api, models
from odoo.tools import SQL

from .. import clock
from ..bulk import array, copy_rows, values
from ..engine import ACCEPTED, Limits, Point, Verdict, judge

STORED = (
    "meter_id",
    "moment",
    "total",
    "source",
    "state",
    "reason",
    "expected",
    "site_id",
    "company_id",
    "user_id",
)
BANDS = tuple(f"band_{number}" for number in range(1, 9))
# How far back a meter's latest reading is looked for first.
RECENT = timedelta(days=31)
MONTH = relativedelta(months=1)
DUPLICATE = Verdict("duplicate")
STRANGER = Verdict("held", "stranger")
BY_HAND = frozenset({"typed", "import"})


def by_band(bands):
    """Return the band registers that were read, by column.

    :param bands: the values of BANDS from the first on, as Decimal, text or None
    """
    return {
        band: Decimal(register)
        for band, register in zip(BANDS, bands, strict=False)
        if register is not None
    }


class EnergyReading(models.Model):
    """The steps *accept* and store: each reading is judged against its neighbours, and kept."""

    _inherit = "energy.reading"

    @api.model
    def _ingest(self, rows, multipliers=None, strangers=()):
        """The steps *accept* and store: judge each reading, keep it, queue what is to be rated.

        :param list rows: tuples (meter id, moment naive UTC, total Decimal, band registers or
            None, source)
        :param dict multipliers: the multiplier read with a value, by (meter id, moment), where the
            meter says it
        :param strangers: ids of the meters at whose address another one answers: what came from
            there is held
        :return: Counter of accepted, held, duplicate and superseded
        """
        counts = Counter()
        if not rows:
            return counts
        self.env.flush_all()
        rows = sorted(rows, key=itemgetter(0, 1))
        now = clock.now(self.env.cr)
        facts = self._meter_facts({row[0] for row in rows})
        moments = {row[1] for row in rows}
        first, last = min(moments), max(moments)
        latest, neighbours, estimated = self._neighbours(rows, list(facts), first, max(last, now))
        set_aside = self._set_aside(list(facts), first, last)
        registers = self._registers_before(rows, latest, neighbours)
        multipliers = multipliers or {}
        stored, queue, overtaken, differing = [], [], set(), {}
        current = site = company = limits = newest = known = None
        has_bands, user = any(row[3] for row in rows), self.env.uid
        for meter, moment, total, bands, source in rows:
            if meter != current:
                current, newest, known = meter, latest.get(meter), None
                site, company, limits = facts[meter]
            if newest is None or newest.moment > moment:
                previous, same, following = neighbours[meter, moment]
            elif newest.moment < moment:
                previous, same, following = newest, None, None
            else:
                # Where it repeats the latest one nothing else matters.
                previous, same, following = None, newest, None
            # What was accepted before in this delivery is a neighbour as well.
            if known is not None:
                known = Point(*known)
                if known.moment == moment:
                    same = known
                elif previous is None or known.moment > previous.moment:
                    previous = known
            counted = before = None
            if bands and meter in registers:
                counted = by_band(bands)
                before = registers[meter].get(previous and previous.moment)
            verdict = judge(
                total,
                moment,
                previous,
                following,
                same,
                limits,
                now,
                multiplier=multipliers.get((meter, moment)) if multipliers else None,
                bands=counted,
                previous_bands=before,
            )
            if meter in strangers and verdict.state != "duplicate":
                verdict = STRANGER
            number = total if total is not None and total.is_finite() else None
            if set_aside and (meter, moment, number) in set_aside:
                # Held, or decided about by a person: it never comes back by being sent again.
                verdict = DUPLICATE
            counts[verdict.state] += 1
            if verdict is ACCEPTED:
                if known is None:
                    # What changes for the meter begins at its first new reading's neighbour.
                    queue.append((meter, previous.moment if previous else moment))
                known = moment, total
                if meter in registers:
                    registers[meter][moment] = counted
                if following is None and meter in estimated:
                    overtaken.add(meter)
            elif verdict.state == "duplicate":
                continue
            else:
                set_aside.add((meter, moment, number))
                if verdict.reason == "multiplier":
                    differing[meter] = (
                        moment,
                        multipliers[meter, moment],
                        limits.multiplier_at(moment),
                    )
            row = (
                meter,
                moment,
                number,
                source,
                verdict.state,
                verdict.reason or None,
                verdict.expected or None,
                site,
                company,
                user if source in BY_HAND else None,
            )
            if has_bands:
                bands = tuple(bands or ())
                row = (*row, *bands, *[None] * (len(BANDS) - len(bands)))
            stored.append(row)
        self._supersede_estimates(overtaken)
        columns = (*STORED, *BANDS) if has_bands else STORED
        copy_rows(self.env.cr, "energy_reading_data", columns, stored)
        self.env["energy.settlement.queue"]._add(queue)
        if multipliers:
            # sudo: findings belong to the flow, whoever delivers readings
            self.env["energy.meter.finding"].sudo()._sync_multipliers(multipliers, differing)
        return counts

    def _registers_before(self, rows, latest, neighbours):
        """Look up the band registers that those of the rows are compared with.

        :param latest, neighbours: as `_neighbours` returns them
        :return: dict of meter id to a dict of moment to the registers as `by_band` returns them,
            for the meters whose use goes by them
        """
        registers = {
            meter: {}
            for meter in self._by_meter({meter for meter, *_rest, bands, _ in rows if bands})
        }
        if not registers:
            return registers
        places = set()
        for meter, moment, *_rest in rows:
            if meter in registers:
                newest = latest.get(meter)
                if newest is None or newest.moment > moment:
                    newest = neighbours[meter, moment][0]
                if newest is not None:
                    places.add((meter, newest.moment))
        if places:
            for meter, moment, *bands in self.env.execute_query(
                SQL(
                    """
                SELECT r.meter_id, r.moment, %s
                  FROM %s
                  JOIN energy_reading_data r ON r.meter_id = v.meter AND r.moment = v.moment
                       AND r.state = 'accepted'
                """,
                    SQL(", ").join(SQL(f"r.{band}::text") for band in BANDS),
                    values(sorted(places), meter="int", moment="timestamp"),
                )
            ):
                registers[meter][moment] = by_band(bands)
        return registers

    def _by_meter(self, meter_ids):
        """Return the meters whose use goes, or went, into rate periods by their own registers.

        :rtype: set of int
        """
        if not meter_ids:
            return set()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT s.meter_id FROM energy_supply s
              JOIN energy_supply_term t ON t.supply_id = s.id AND t.band_source = 'meter'
             WHERE s.meter_id = ANY(%s::int[])
            """,
                array(meter_ids),
            )
        )
        return {meter for (meter,) in rows}

    def _set_aside(self, meters, first, last):
        """Return which readings of these meters came before and were not accepted.

        :param meters: ids
        :param first, last: the moments between which they lie
        :return: set of (meter id, moment, total or None)
        """
        # Joined, not compared with a list: there is hardly anything to join.
        found = self.env.execute_query(
            SQL(
                """
            SELECT r.meter_id, r.moment, r.total::text
              FROM unnest(%s::int[]) AS v(meter)
              JOIN energy_reading_data r ON r.meter_id = v.meter
             WHERE r.state <> 'accepted' AND r.source <> 'estimate'
               AND r.moment BETWEEN %s AND %s
            """,
                array(meters),
                first,
                last,
            )
        )
        return {
            (meter, moment, None if total is None else Decimal(total))
            for meter, moment, total in found
        }

    def _meter_facts(self, meter_ids):
        """Return what readings of meters are judged by and stored with.

        :param set meter_ids: ids
        :return: dict of meter id to (site id, company id, `Limits`)
        :raise ValueError: where there is no such meter
        """
        # Most meters of a site are of one kind.
        kinds = self.env.execute_query(
            SQL(
                """
            SELECT site_id, company_id, register_digits, max_power::text, array_agg(id)
              FROM energy_meter WHERE id = ANY(%s::int[])
             GROUP BY site_id, company_id, register_digits, max_power
            """,
                array(meter_ids),
            )
        )
        multipliers = self._multipliers(meter_ids)
        facts = {}
        for site, company, digits, max_power, meters in kinds:
            limits = Limits(
                modulus=Decimal(10) ** digits if digits else None,
                multiplier=Decimal(1),
                max_power=Decimal(max_power or 0) or None,
                clock_tolerance=timedelta(minutes=5),
            )
            facts |= dict.fromkeys(meters, (site, company, limits))
        for meter, found in multipliers.items():
            site, company, limits = facts[meter]
            # Where it is always the same one, that is all there is to know.
            changes = found if len({multiplier for _since, multiplier in found}) > 1 else ()
            limits = replace(limits, multiplier=found[-1][1], multipliers=tuple(changes))
            facts[meter] = site, company, limits
        missing = meter_ids - facts.keys()
        if missing:
            raise ValueError(f"Readings name meters that do not exist: {sorted(missing)}")
        return facts

    def _multipliers(self, meter_ids):
        """Return the multipliers of the meters that ever had one other than 1.

        :return: dict of meter id to a list of (moment from which on, multiplier), in order of time
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT s.meter_id FROM energy_supply s
              JOIN energy_supply_term t ON t.supply_id = s.id AND t.multiplier <> 1
             WHERE s.meter_id = ANY(%s::int[])
            """,
                array(meter_ids),
            )
        )
        found = defaultdict(list)
        if rows:
            for meter, since, multiplier in self.env.execute_query(
                SQL(
                    """
                SELECT s.meter_id, t.since, t.multiplier::text FROM energy_supply s
                  JOIN energy_supply_term t ON t.supply_id = s.id
                 WHERE s.meter_id = ANY(%s) ORDER BY t.since, s.id
                """,
                    [meter for (meter,) in rows],
                )
            ):
                found[meter].append((since, Decimal(multiplier)))
        return found

    def _neighbours(self, rows, meters, first, last):
        """Look up what the rows are judged by: accepted readings, and no estimates.

        Estimates are nobody's neighbours: what was read is judged by what was read.

        Nearly all rows are newer than anything of their meter: those need one look at the latest
        reading, and only the partitions of the last weeks.

        :param meters: the ids of their meters
        :param first: the first of their moments
        :param last: a moment after which hardly anything was read
        :return: (dict of meter id to its latest `Point`, dict of (meter, moment) to the three
            neighbours of the rows that are not newer than that, set of the meters that go on by
            estimates)
        """
        until = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + MONTH
        found = self.env.execute_query(
            SQL(
                """
            SELECT v.meter, r.moment, r.total::text, r.source = 'estimate'
              FROM unnest(%s::int[]) AS v(meter)
              JOIN LATERAL (
                   SELECT moment, total, source FROM energy_reading_data
                    WHERE meter_id = v.meter AND state = 'accepted'
                      AND moment >= %s AND moment < %s
                    ORDER BY moment DESC LIMIT 1) r ON TRUE
            """,
                array(meters),
                first - RECENT,
                until,
            )
        )
        # Estimates come after all that was read: a meter has some where its latest is one.
        estimated = {meter for meter, *_point, is_estimate in found if is_estimate}
        latest = {
            meter: Point(moment, Decimal(total))
            for meter, moment, total, is_estimate in found
            if not is_estimate
        }
        for meter, is_estimate in self._accepted_later(meters, until):
            latest.pop(meter, None)
            if is_estimate:
                estimated.add(meter)
        older = set()
        for row in rows:
            newest = latest.get(row[0])
            if newest is None or newest.moment > row[1]:
                older.add(row[:2])
        return latest, self._neighbours_anywhere(older), estimated

    def _accepted_later(self, meters, since):
        """Return which meters have accepted readings from a moment on: hardly ever any.

        Asked apart, so that the look at the latest readings leaves out the partitions that wait.

        :return: list of (meter id, whether some are estimates)
        """
        return self.env.execute_query(
            SQL(
                """
            SELECT r.meter_id, bool_or(r.source = 'estimate')
              FROM unnest(%s::int[]) AS v(meter)
              JOIN energy_reading_data r ON r.meter_id = v.meter
             WHERE r.state = 'accepted' AND r.moment >= %s
             GROUP BY r.meter_id
            """,
                array(meters),
                since,
            )
        )

    def _neighbours_anywhere(self, wanted):
        """Return the same for rows that are first of their meter, late or repeated."""
        if not wanted:
            return {}
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.meter, v.moment, p.moment, p.total::text, s.total::text,
                   f.moment, f.total::text, f.is_baseline
              FROM %s
              LEFT JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data r
                    WHERE r.meter_id = v.meter AND r.moment < v.moment
                      AND r.state = 'accepted' AND r.source <> 'estimate'
                    ORDER BY r.moment DESC LIMIT 1) p ON TRUE
              LEFT JOIN LATERAL (
                   SELECT total FROM energy_reading_data r
                    WHERE r.meter_id = v.meter AND r.moment = v.moment
                      AND r.state = 'accepted' AND r.source <> 'estimate') s ON TRUE
              LEFT JOIN LATERAL (
                   SELECT moment, total, is_baseline FROM energy_reading_data r
                    WHERE r.meter_id = v.meter AND r.moment > v.moment
                      AND r.state = 'accepted' AND r.source <> 'estimate'
                    ORDER BY r.moment LIMIT 1) f ON TRUE
            """,
                values(sorted(wanted), meter="int", moment="timestamp"),
            )
        )
        return {
            (meter, moment): (
                Point(before, Decimal(before_total)) if before else None,
                Point(moment, Decimal(same)) if same is not None else None,
                Point(after, Decimal(after_total), bool(baseline)) if after else None,
            )
            for meter, moment, before, before_total, same, after, after_total, baseline in rows
        }
