from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from odoo import models
from odoo.tools import SQL

from ..engine import edges, interpolate
from ..local_time import local_date, local_midnight, month_first, month_last
from ..rating_work import Batch, Month, Prices

ZERO = Decimal(0)
# Stretches between rate period edges are listed one by one up to this many.
MOST_STRETCHES = 24
ONE_DAY = timedelta(days=1)


class EnergyRating(models.AbstractModel):
    """Rating one month of a unit again from its accepted readings, to show how it is made.

    Nothing is written. What is rated stops at a given moment, so that an entry made then can be
    compared with it.
    """

    _inherit = "energy.rating"

    def _recount(self, unit, until, since=None):
        """Rate a month of a unit of rating again, through two moments.

        :param unit: record of `energy.rating.unit`
        :param datetime until: naive UTC; readings after it are left out
        :param datetime since: the same, not after it; None for the beginning of the tier period
        :return: dict of plain data: `due` and `due_before` (exact), `lines`, `supplies`, `counter`
        """
        prices = Prices(self.env)
        works = self._works_of(unit, prices)
        batch, after = self._counted(unit, works, until, prices)
        _batch, before = self._counted(unit, works, since, prices) if since else (None, None)
        return {
            "due": _due(after, unit.month),
            "due_before": _due(before, unit.month),
            "lines": self._explained_lines(unit.month, after, before, batch),
            "supplies": [
                explained
                for work in batch.works
                if (explained := self._explained_supply(work, unit, since, prices))
            ],
            "counter": self._explained_counter(unit.month, batch, after, before),
        }

    def _works_of(self, unit, prices):
        """Return all supplies of a unit's account, those of its commodity with their readings.

        Nothing of what was settled is known of them: all is counted from the beginning of the tier
        period.
        """
        start = local_midnight(unit.period_start, unit.site_id._zone())
        supplies = unit.account_id.supply_ids.filtered(lambda s: s.commodity == unit.commodity)
        works = self._load_works(unit.account_id.ids, dict.fromkeys(supplies.meter_id.ids, start))
        works = [
            replace(
                work, mark=None, since=work.since if work.end is None or work.end > start else None
            )
            for work in works
            if work.commodity == unit.commodity
        ]
        counted = [work for work in works if work.since is not None]
        self._load_points(counted)
        self._load_registers(counted)
        self._spread_gaps(counted, prices)
        return works

    def _counted(self, unit, works, moment, prices):
        """Rate a unit from the beginning of its tier period through a moment.

        :return: (`Batch`, the `Unit` or None)
        """
        part_end = min(month_last(unit.month) + ONE_DAY, unit.period_end)
        works = [
            _cut(work, moment, moment == local_midnight(part_end, work.zone)) for work in works
        ]
        batch = Batch(prices, supplies=works)
        batch.works = [work for work in works if len(work.points) > 1]
        for work in batch.works:
            first_day = work.first_day
            work.cells = [cell for cell in self._split(work, prices) if cell.date >= first_day]
        self._gather(batch)
        key = (
            unit.account_id.id,
            unit.commodity,
            unit.supply_id.id or 0,
            unit.period_start,
            unit.period_end,
        )
        counted = batch.units.get(key)
        if counted is not None:
            days = (*counted.days, *(day for day, *_rest in counted.standing))
            for month in {month_first(day) for day in days}:
                counted.months[month] = Month(None, ZERO, ZERO, 0)
            self._rate_unit(counted, batch)
        return batch, counted

    def _explained_lines(self, month, after, before, batch):
        """Return one line a supply, version, rate period and tier of a month."""
        found = defaultdict(lambda: [ZERO, ZERO, ZERO, ZERO])
        for position, unit in ((0, after), (2, before)):
            for cell, figures in unit.new.items() if unit else ():
                day, *key = cell
                if month_first(day) == month:
                    sums = found[tuple(key)]
                    sums[position] += figures[0]
                    sums[position + 1] += figures[1]
        names = {work.supply: work.meter_name for work in batch.supplies}
        return [
            {
                "supply": supply,
                "meter": names.get(supply, ""),
                "version": version,
                "band": band,
                "tier": tier,
                "tier_label": self.env["energy.tariff.version"].browse(version)._tier_label(tier),
                "to_date": quantity,
                "before": quantity_before,
                "quantity": quantity - quantity_before,
                "price": batch.prices.version(version).price(band, tier) if tier else None,
                "amount_to_date": amount,
                "amount_before": amount_before,
                "amount": amount - amount_before,
            }
            for (supply, version, band, tier), (
                quantity,
                amount,
                quantity_before,
                amount_before,
            ) in sorted(found.items(), key=lambda item: (item[0][3] == 0, item[0]))
        ]

    def _explained_counter(self, month, batch, after, before):
        """Return what the tier counter held before and after, and the limits it was held to."""
        if after is None:
            return []
        versions = self._versions(after, batch.prices)
        counter = self._counter(after, versions, batch)
        used = {True: ZERO, False: ZERO}
        for unit in (after, before):
            for day, cells in unit.days.items() if unit else ():
                if month_first(day) <= month:
                    used[unit is after] += sum(
                        quantity
                        for (_supply, version, _band), quantity in cells.items()
                        if counter.limits.get(version)
                    )
        return [
            {
                "version": key,
                "allocation": version.allocation,
                "period_start": after.period_start,
                "period_last": after.period_end - ONE_DAY,
                "first_day": counter.first_day,
                "days": (after.period_end - counter.first_day).days,
                "whole": (after.period_end - after.period_start).days,
                "addition": counter.addition,
                "limits": limits,
                "tariff_limits": version.limits(after.period_start.month),
                "before": used[False],
                "after": used[True],
            }
            for key, version in versions.items()
            if (limits := counter.limits[key])
        ]

    def _explained_supply(self, work, unit, since, prices):
        """Return the registers with which a supply's part of an entry begins and ends, and its use.

        Where nothing is new since the entry before, it counts anew from the month's beginning.

        :return: dict, or None where the supply has no use in that time and month
        """
        month = local_midnight(unit.month, work.zone)
        next_month = local_midnight(month_last(unit.month) + ONE_DAY, work.zone)
        points = work.points
        known = [point.moment for point in points if since and point.moment <= since]
        last = min(moment for moment in (points[-1].moment, next_month, work.end) if moment)
        begin = known[-1] if known and known[-1] < last else points[0].moment
        begin = max(begin, month, work.start)
        if begin >= last:
            return None
        inside = [point.moment for point in points if begin < point.moment <= last]
        terms = [term for term in work.terms if term[0] < last]
        first = max((n for n, term in enumerate(terms) if term[0] <= begin), default=0)
        cells = self._cells_between(work, begin, unit.month, prices)
        sources = self._sources(work.meter, points[0].moment, points[-1].moment)
        clock = self._whose_clock(work, begin, last, prices)
        return {
            "supply": work.supply,
            "meter": work.meter_name,
            "clock": clock,
            "start": _register(work, begin, sources),
            "end": _register(work, last, sources),
            "multipliers": [(term[0], term[2]) for term in terms[first:]],
            "readings": len(inside),
            "estimates": len([moment for moment in inside if moment in work.estimated]),
            "cells": cells,
            "quantity": sum((cell["quantity"] for cell in cells), ZERO),
            "stretches": self._stretches(work, begin, last, prices) if clock == "platform" else [],
        }

    def _cells_between(self, work, begin, month, prices):
        """Return the use of a supply in a month, after a moment, by day, version, rate period.

        :param datetime begin: of a reading, or the beginning of the month's use
        """
        found = defaultdict(lambda: [ZERO, False])
        for sign, part in (
            (1, work.points),
            (-1, [point for point in work.points if point.moment <= begin]),
        ):
            if len(part) < 2:
                continue
            for cell in self._split(replace(work, points=part), prices):
                sums = found[cell.date, cell.version, cell.band]
                sums[0] += sign * cell.quantity
                if sign > 0:
                    sums[1] = sums[1] or cell.interpolated
        return [
            {
                "date": day,
                "version": version,
                "band": band,
                "quantity": quantity,
                "is_interpolated": interpolated,
            }
            for (day, version, band), (quantity, interpolated) in sorted(found.items())
            if month_first(day) == month and quantity
        ]

    def _stretches(self, work, begin, end, prices):
        """Return the registers at each edge of a rate period between two moments, in order.

        Empty where there are too many to read, and where the register began anew between them.
        """
        if any(point.baseline for point in work.points if begin < point.moment <= end):
            return []
        found = []
        read = {point.moment for point in work.points} - work.virtual
        for span in work.spans_between(begin, end, prices):
            low, high = span.start, span.end
            day = local_date(low, work.zone)
            while low < high:
                for edge in edges(span.version, day, work.zone):
                    start, stop = max(edge.start, low), min(edge.end, high)
                    if start < stop:
                        found.append((start, stop, edge.band, span))
                        if len(found) > MOST_STRETCHES:
                            return []
                day = day + ONE_DAY
                low = max(low, local_midnight(day, work.zone))
        return [
            {
                "start": start,
                "end": stop,
                "band": band,
                "version": span.version.key,
                "multiplier": span.multiplier,
                "is_read": (start in read, stop in read),
                "register_from": (low := _raised(work, start)),
                "register_to": (high := _raised(work, stop)),
                "quantity": (high - low) * span.multiplier,
            }
            for start, stop, band, span in found
        ]

    def _sources(self, meter, first, last):
        """Return where a meter's accepted readings come from, by moment."""
        rows = self.env.execute_query(
            SQL(
                "SELECT moment, source FROM energy_reading_data WHERE meter_id = %s"
                " AND state = 'accepted' AND moment BETWEEN %s AND %s",
                meter,
                first,
                last,
            )
        )
        return dict(rows)


def _due(unit, month):
    """Return the exact amount due of a month of a rated unit."""
    row = unit and unit.months.get(month)
    return row.new_due if row else ZERO


def _cut(work, moment, with_next):
    """Return a supply with its readings through a moment.

    :param bool with_next: also the first one after it, where none is at the moment: a month ends
        between two readings, and its use with it
    """
    points = [point for point in work.points if point.moment <= moment]
    if with_next and points and points[-1].moment < moment:
        points += work.points[len(points) : len(points) + 1]
    return replace(work, points=points, spans=[], cells=[])


def _raised(work, moment):
    """Return the register at a moment between readings; each roll-over before adds its width."""
    turns = ZERO
    for before, following in pairwise(work.points):
        after = following
        if after.register < before.register and not after.baseline and work.modulus:
            after = after._replace(register=after.register + work.modulus)
        if before.moment <= moment <= after.moment:
            if moment == after.moment:
                return after.register + turns
            if moment == before.moment:
                return before.register + turns
            return interpolate(before, after, moment) + turns
        if after is not following:
            turns += work.modulus
    raise ValueError(f"{moment} does not lie between the readings of meter {work.meter_name}.")


def _register(work, moment, sources):
    """Return a register and how it is known: read, or interpolated between two readings."""
    register = _raised(work, moment)
    if work.modulus:
        register %= work.modulus
    read = [point.moment for point in work.points if point.moment not in work.virtual]
    before = max((known for known in read if known <= moment), default=moment)
    after = min((known for known in read if known >= moment), default=moment)
    return {
        "moment": moment,
        "register": register,
        "is_read": moment in read,
        "source": sources.get(moment),
        "before": before,
        "after": after,
        "is_estimated": bool({before, after} & work.estimated),
    }
