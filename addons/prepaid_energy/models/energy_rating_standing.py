from datetime import timedelta

from odoo import models

from ..engine import (
    local_date,
    local_midnight,
    minimum_due,
    round_half_up,
    standing,
)
from ..local_time import month_first
from ..rating_work import MINIMUM, RatingRefused, plus
from .energy_rating import EXACT, ZERO

ONE_DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)


class EnergyRating(models.AbstractModel):
    """What is charged by time: standing charges of a supply's days, minimum of a unit's month.

    A day belongs to the supply that serves when it ends, and to the version then in force.
    """

    _inherit = "energy.rating"

    def _gather_standing(self, work, batch):
        """Put the standing charges of the days that a work completes into their units."""
        first_day, prices = work.first_day, batch.prices
        for span in work.spans:
            version = span.version
            if not version.per_day and not version.per_month:
                continue
            day = max(first_day, local_date(span.start, work.zone))
            while local_midnight(day + ONE_DAY, work.zone) <= span.end:
                key = work.unit_key(version.key, day, prices)
                unit = self._unit(batch.units, key, day)
                unit.standing[day, work.supply, version.key] = standing(version, day)
                day += ONE_DAY

    def _gather_ended(self, work, batch):
        """Look at the minimum charge of a supply that ended where it was settled already."""
        if work.cells or not batch.may_have_minimum:
            return
        if work.settled != work.end or not self._may_have_minimum(work, batch):
            return
        day = local_date(work.end - INSTANT, work.zone)
        moment = local_midnight(day, work.zone)
        for span in work.spans_between(moment, work.end, batch.prices):
            version = span.version
            key = work.unit_key(version.key, day, batch.prices)
            self._unit(batch.units, key, day)

    @staticmethod
    def _may_have_minimum(work, batch):
        return any(batch.prices.has_minimum(term[1]) for term in work.terms)

    def _add_minimum(self, unit, batch):
        """Add what is missing to the minimum charge of the unit's months that are over."""
        if not batch.may_have_minimum:
            return
        supplies = batch.of(unit)
        if not any(self._may_have_minimum(work, batch) for work in supplies):
            return
        first = month_first(unit.first_day)
        for month, row in unit.months.items():
            if month < first:
                continue
            found = self._month_in_service(unit, month, supplies, batch.prices)
            if found is None:
                continue
            supply, version, day, days = found
            missing = minimum_due(version, row.new_due, days, month)
            if missing:
                row.new_due = plus(row.new_due, missing)
                amount = round_half_up(missing, EXACT)
                unit.new[day, supply, version.key, MINIMUM, 0] = (ZERO, amount, False, False)

    def _month_in_service(self, unit, month, supplies, prices):
        """Return by which supply and version, on which day and for how many a minimum is charged.

        :return: (supply id, engine's version, last day in service, number of days in service); None
            where the unit served on no day of the month, or one of its supplies is not settled yet
        """
        first, after = unit.part(month)
        zone = supplies[0].zone
        start, end = local_midnight(first, zone), local_midnight(after, zone)
        serving = [
            work for work in supplies if work.start < end and (work.end is None or work.end > start)
        ]
        days, members, last = set(), [], None
        for work in serving:
            stop = end if work.end is None else min(end, work.end)
            try:
                spans = self._spans_in(work, unit, max(start, work.start), stop, prices)
            except RatingRefused:
                # Without a price it is not settled either.
                return None
            for span in spans:
                if work.settled is None or work.settled < stop:
                    return None
                members.append(work)
                if last is None or span.end > last[0]:
                    last = (span.end, span.version)
                day = local_date(span.start, zone)
                while local_midnight(day + ONE_DAY, zone) <= span.end:
                    days.add(day)
                    day += ONE_DAY
        if not days:
            return None
        day = local_date(last[0] - INSTANT, zone)
        return members[0].supply, last[1], day, len(days)

    @staticmethod
    def _spans_in(work, unit, start, stop, prices):
        """Return the spans of a supply inside a time that belong to a unit."""
        return [
            span
            for span in work.spans_between(start, stop, prices)
            if work.unit_key(span.version.key, local_date(span.start, work.zone), prices)
            == unit.key
        ]
