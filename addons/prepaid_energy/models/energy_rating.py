from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

from odoo import _, api, models, tools
from odoo.tools import SQL

from ..bulk import array, values
from ..crash_points import reached
from ..engine import rate, rate_untiered, round_half_up, split
from ..local_time import local_date, month_first, month_last, month_name
from ..rating_work import STANDING, Batch, Counter, Prices, RatingRefused, Unit, plus
from .energy_wallet import Draft

EXACT = Decimal("0.000000000001")
ZERO = Decimal(0)
NO_FLAGS = (False, False)


class EnergyRating(models.AbstractModel):
    """The step *rate*: from accepted readings to rated use and the money due for it.

    All arithmetic is in `engine/`. The caller holds the locks of the accounts' wallets. The rows
    come from the database in `energy_rating_rows.py` and go to it in `energy_rating_writing.py`;
    what is charged by time rather than by use is in `energy_rating_standing.py`.
    """

    _name = "energy.rating"
    _description = "Rating"

    @api.model
    def _rate(self, account_ids, queued):
        """Rate what is queued for some accounts and write their use.

        :param list account_ids: accounts whose wallets are locked
        :param dict queued: earliest changed moment of each queued meter id
        :return: (list of `Draft` for the balances, dict of account id to the `RatingRefused` that
            says why its use cannot be priced); nothing is written for the latter
        """
        self._drop_overtaken(queued)
        batch = self._rated(account_ids, queued, Prices(self.env))
        self._write(batch)
        reached("usage_written")
        return self._drafts(batch), batch.failures

    def _rated(self, account_ids, queued, prices):
        """Rate what is queued for some accounts. Only reads.

        :rtype: Batch
        """
        batch = Batch(prices, supplies=self._load_works(account_ids, queued))
        batch.works = [
            work for work in batch.supplies if work.since is not None and not work.is_over
        ]
        self._load_points(batch.works)
        self._load_registers(batch.works)
        self._spread_gaps(batch.works, prices)
        for work in batch.works:
            if work.account in batch.failures or len(work.points) < 2:
                continue
            try:
                first_day = work.first_day
                work.cells = [cell for cell in self._split(work, prices) if cell.date >= first_day]
            except RatingRefused as refused:
                batch.refuse(work.account, self._of_meter(refused, work))
            except ValueError as error:
                batch.refuse(work.account, self._refusal(error, work))
        self._gather(batch)
        rows = self._load_months(batch.units)
        self._load_usage(batch, rows)
        self._add_missing_months(batch.units)
        self._load_before(batch, rows)
        for unit in list(batch.units.values()):
            if unit.account in batch.failures:
                continue
            try:
                self._rate_unit(unit, batch)
            except ValueError as error:
                batch.refuse(unit.account, RatingRefused("problem", self._cannot(error)))
        return batch

    @api.model
    @tools.ormcache("version_id")
    def _is_per_meter(self, version_id):
        """Whether the tariff of a version counts tiers per meter."""
        return self.env["energy.tariff.version"].browse(version_id).tariff_id.tier_scope == "meter"

    def _split(self, work, prices):
        """Return the use of a supply between its points, by day, version and rate period."""
        # Only what lies between the points matters: so all meters read together ask the same.
        first, last = work.points[0].moment, work.points[-1].moment
        stop = last if work.end is None else min(last, work.end)
        work.spans = work.spans_between(first, stop, prices)
        if not work.spans and (work.end is None or work.end > first) and work.start < last:
            raise RatingRefused("tariff", _("The supply has no tariff."))
        by_meter = [span for span in work.spans if work.goes_by_meter(span)]
        if not by_meter:
            return self._split_by_plan(work, work.spans)
        by_plan = [span for span in work.spans if not work.goes_by_meter(span)]
        return self._split_by_plan(work, by_plan) + self._split_by_registers(work, by_meter)

    @staticmethod
    def _split_by_plan(work, spans):
        return split(work.points, spans, work.zone, modulus=work.modulus, virtual=work.virtual)

    def _of_meter(self, refused, work):
        return RatingRefused(
            refused.cause,
            _("Meter %(meter)s: %(error)s", meter=work.meter_name, error=refused),
            work.meter,
            refused.tariff,
        )

    def _refusal(self, error, work):
        """Return why a supply's use cannot be split, as what a person can mend."""
        for before, after in pairwise(work.points):
            if after.register < before.register and not after.baseline and work.modulus is None:
                return RatingRefused(
                    "register",
                    _(
                        "Meter %(meter)s: the register falls from %(before)s to %(after)s on "
                        "%(day)s, and its number of digits is not known.",
                        meter=work.meter_name,
                        before=before.register,
                        after=after.register,
                        day=local_date(after.moment, work.zone),
                    ),
                    work.meter,
                )
        for span in work.spans:
            if problems := span.version.check():
                version = self.env["energy.tariff.version"].browse(span.version.key)
                return RatingRefused(
                    "band",
                    _(
                        "Meter %(meter)s: “%(version)s” does not price all use: %(problem)s",
                        meter=work.meter_name,
                        version=version.display_name,
                        problem=problems[0],
                    ),
                    work.meter,
                    version.tariff_id.id,
                )
        return RatingRefused(
            "problem",
            _("Meter %(meter)s: %(error)s", meter=work.meter_name, error=self._cannot(error)),
            work.meter,
        )

    def _cannot(self, error):
        return self.env._("The use cannot be calculated: %s", error)

    def _gather(self, batch):
        """Put the cells of all works into their units of rating."""
        units, prices = batch.units, batch.prices
        for work in batch.works:
            keys = {}
            bounds = self._estimated_cells(work) if work.estimated else ()
            for cell in work.cells:
                key = keys.get((cell.version, cell.date))
                if key is None:
                    key = keys[cell.version, cell.date] = work.unit_key(
                        cell.version, cell.date, prices
                    )
                is_estimated = bool(bounds) and (cell.date, cell.version, cell.band) in bounds
                self._unit(units, key, cell.date).add(
                    cell.date,
                    work.supply,
                    cell.version,
                    cell.band,
                    cell.quantity,
                    (cell.interpolated, is_estimated),
                )
            self._gather_standing(work, batch)
            self._gather_ended(work, batch)
        # What is counted anew may have lost all its use of a day or a month: that is rated as well.
        for key, day in self._load_counted(batch.works):
            self._unit(units, key, day)

    @staticmethod
    def _estimated_cells(work):
        """Return (date, version, band) of the cells that an estimated reading bounds."""
        return {
            (cell.date, cell.version, cell.band)
            for pair in pairwise(point for point in work.points if point.moment not in work.virtual)
            if any(point.moment in work.estimated for point in pair)
            for cell in split(pair, work.spans, work.zone, modulus=work.modulus)
            if cell.quantity
        }

    @staticmethod
    def _unit(units, key, day):
        unit = units.get(key)
        if unit is None:
            unit = units[key] = Unit(*key, day)
        elif day < unit.first_day:
            unit.first_day = day
        return unit

    def _rate_unit(self, unit, batch):
        """Put the unit's new lines and the months' dues into the unit."""
        versions = self._versions(unit, batch.prices)
        days = sorted(unit.days.items())
        is_tiered = any(version.is_tiered for version in versions.values())
        if is_tiered:
            counter = self._counter(unit, versions, batch)
            rated = rate(versions, unit.before, days, counter.limits)
            lines = rated.lines
        else:
            # Each day by itself: so a line never depends on the days rated with it.
            lines = rate_untiered(versions, days)
        for line in lines:
            self._add_line(unit, line)
        for (day, supply, version), amount in unit.standing.items():
            unit.new[day, supply, version, STANDING, 0] = (ZERO, amount, False, False)
        first = month_first(unit.first_day)
        if is_tiered and not any(
            version.allocation == "chronological" for version in versions.values()
        ):
            dues = defaultdict(Decimal, rated.due)
            for month, amount in unit.standing_before.items():
                dues[month] = plus(dues[month], amount)
            for (day, *_rest), amount in unit.standing.items():
                dues[month_first(day)] = plus(dues[month_first(day)], amount)
        else:
            # Lines do not change by what is used later: what is due changes as they do.
            dues = {month: row.due for month, row in unit.months.items()}
            for (day, *_rest), (_quantity, amount, *_flags) in unit.old.items():
                dues[month_first(day)] -= amount
            for (day, *_rest), (_quantity, amount, *_flags) in unit.new.items():
                dues[month_first(day)] += amount
        for month, row in unit.months.items():
            if month >= first:
                row.new_due = dues[month]
        self._add_minimum(unit, batch)

    @staticmethod
    def _add_line(unit, line):
        flags = unit.flags.get((line.date, line.supply, line.version, line.band), NO_FLAGS)
        unit.new[line.date, line.supply, line.version, line.band, line.tier] = (
            line.quantity,
            line.amount,
            *flags,
        )

    @staticmethod
    def _counter(unit, versions, batch):
        """Return from when the tier counter of a unit runs, and the limits it is held to.

        The first one that counts begins it for all; the addition is the highest that the terms then
        say of those in service.

        :param dict versions: the engine's versions of the unit's use, by key
        :rtype: Counter
        """
        prices = batch.prices
        own = [work for work in batch.of(unit) if work.is_counted_by(unit)]
        begins = [moment for work in own if (moment := work.counts_from(unit, prices))]
        first_day, addition = unit.period_start, ZERO
        if begins:
            begin = min(begins)
            first_day = local_date(begin, own[0].zone)
            addition = max(
                work.addition_at(begin) for work in own if work.end is None or work.end > begin
            )
        limits = {
            key: prices.unit_limits(version, unit.period_start, first_day, addition)
            for key, version in versions.items()
        }
        return Counter(first_day, addition, limits)

    @staticmethod
    def _versions(unit, prices):
        """Return the engine's tariff versions by key of all the unit's use."""
        return {key: prices.version(key) for key in unit.versions}

    def _drafts(self, batch):
        """Return the balance entries that bring what is posted to what is due."""
        updates, postings = [], []
        steps = {work.account: work.step for work in batch.supplies}
        for unit in batch.units.values():
            for month, row in unit.months.items():
                if row.new_due is None:
                    continue
                target = round_half_up(row.new_due, steps[unit.account])
                difference = target - row.posted
                revision = row.revision + (difference != 0)
                due = row.new_due
                if not isinstance(due, Decimal):
                    due = round_half_up(due, EXACT)
                updates.append((row.id, due, target, revision))
                if difference:
                    days = [day for day in unit.days if month_first(day) == month]
                    touched = max(days or [min(max(unit.first_day, month), month_last(month))])
                    postings.append((unit, month, row.id, revision, -difference, touched))
        if updates:
            self.env.cr.execute(
                SQL(
                    """
                UPDATE energy_rating_unit AS g
                   SET due = v.due, posted = v.posted, revision = v.revision
                  FROM %s WHERE g.id = v.id
                """,
                    values(updates, id="int", due="numeric", posted="numeric", revision="int"),
                )
            )
        self.env["energy.rating.unit"].invalidate_model(flush=False)
        if not postings:
            return []
        wallets = self._wallets({unit.account for unit, *_rest in postings})
        periods = self.env["energy.billing.period"]._open_for(
            {(unit.account, month) for unit, month, *_rest in postings}
        )
        return [
            Draft(
                wallet_id=wallets.get((unit.account, unit.commodity))
                or wallets[unit.account, None],
                kind="use",
                category=unit.commodity,
                amount=amount,
                key=f"use/{row}/{revision}",
                local_date=touched,
                note=month_name(month),
                user_id=self.env.uid,
                period_id=periods[unit.account, month],
                unit_id=row,
                revision=revision,
                used_until=batch.used_until(unit, month),
            )
            for unit, month, row, revision, amount, touched in postings
        ]

    def _wallets(self, account_ids):
        rows = self.env.execute_query(
            SQL(
                "SELECT account_id, commodity, id FROM energy_wallet"
                " WHERE account_id = ANY(%s::int[])",
                array(account_ids),
            )
        )
        return {(account, commodity): wallet for account, commodity, wallet in rows}
