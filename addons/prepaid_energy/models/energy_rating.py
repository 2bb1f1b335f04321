from collections import defaultdict
from decimal import Decimal

from odoo import _, models
from odoo.tools import SQL

from ..bulk import values
from ..crash_points import reached
from ..engine import rate, round_half_up, split, tier_period_end, tier_period_start
from ..local_time import local_midnight, month_first
from ..rating_work import Prices, RatingRefused, Unit
from .energy_wallet import Draft

EXACT = Decimal("0.000000000001")


class EnergyRating(models.AbstractModel):
    """The step *rate*: from accepted readings to rated use and the money due for it.

    All arithmetic is in `engine/`. The caller holds the locks of the accounts' wallets. The rows
    come from and go to the database in `energy_rating_rows.py`.
    """

    _name = "energy.rating"
    _description = "Rating"

    def _rate(self, account_ids, queued):
        """Rate what is queued for some accounts and write their use.

        :param list account_ids: accounts whose wallets are locked
        :param dict queued: earliest changed moment of each queued meter id
        :return: (list of `Draft` for the balances, dict of account id to the reason why its use
            cannot be priced); nothing is written for the latter
        """
        prices = Prices(self.env)
        works = self._load_works(account_ids, queued)
        self._load_points(works)
        works = self._without_overtaken(works, account_ids, queued)
        estimated = self._estimated_days(works)
        self._spread_gaps(works)
        failures = {}
        for work in works:
            if work.account in failures or len(work.points) < 2:
                continue
            try:
                first_day = work.first_day
                work.cells = [cell for cell in self._split(work, prices) if cell.date >= first_day]
            except (RatingRefused, ValueError) as error:
                failures[work.account] = _(
                    "Meter %(meter)s: %(error)s", meter=work.meter_name, error=error
                )
        works = [work for work in works if work.account not in failures]
        units = self._gather(works, prices)
        self._load_usage(units, works)
        self._load_months(units)
        self._load_before(units, prices)
        lines = {key: self._rate_unit(unit, prices) for key, unit in units.items()}
        self._write_usage(units, lines)
        self._mark_estimated(works, estimated)
        self._write_marks(works)
        reached("usage_written")
        return self._drafts(units), failures

    @staticmethod
    def _split(work, prices):
        """Return the use of a supply between its points, by day, version and rate period."""
        spans = []
        first, last = work.points[0].moment, work.points[-1].moment
        # Only what lies between the points matters: so all meters read together ask the same.
        stop = last if work.end is None else min(last, work.end)
        for position, (since, tariff, multiplier) in enumerate(work.terms):
            start = max(since, work.start, first)
            end = stop
            if position + 1 < len(work.terms):
                end = min(end, work.terms[position + 1][0])
            if start < end:
                spans.extend(prices.spans(tariff, start, end, work.zone, multiplier))
        if not spans and (work.end is None or work.end > first) and work.start < last:
            raise RatingRefused(_("The supply has no tariff."))
        return split(work.points, spans, work.zone, modulus=work.modulus, virtual=work.virtual)

    def _gather(self, works, prices):
        """Put the cells of all works into their units of rating."""
        units = {}
        for work in works:
            for cell in work.cells:
                version = prices.version(cell.version)
                unit = self._unit(units, self._unit_key(work, version, cell.date), cell.date)
                unit.days[cell.date][work.supply, cell.version, cell.band] += cell.quantity
                flag = (cell.date, work.supply, cell.version, cell.band)
                unit.flags[flag] = unit.flags.get(flag, False) or cell.interpolated
        # What is counted anew may have lost all its use of a day or a month: that is rated as well.
        for key, day in self._load_counted(works):
            self._unit(units, key, day)
        return units

    @staticmethod
    def _unit_key(work, version, day):
        """Return the key of the unit of rating to which use of a local date belongs."""
        start, end = tier_period_start(version, day), tier_period_end(version, day)
        supply = 0
        is_reset = work.counter and work.counter_since > local_midnight(start, work.zone)
        if version.tier_limits and is_reset:
            # The counter began anew inside this tier period, be it on its first day.
            supply = work.counter
        return work.account, work.commodity, supply, start, end

    @staticmethod
    def _unit(units, key, day):
        unit = units.get(key)
        if unit is None:
            unit = units[key] = Unit(*key, day)
        unit.first_day = min(unit.first_day, day)
        return unit

    def _rate_unit(self, unit, prices):
        """Return the unit's new usage lines and put the months' dues into the unit."""
        days = sorted((day, dict(cells)) for day, cells in unit.days.items())
        versions = self._versions(unit, prices)
        is_tiered = any(version.tier_limits for version in versions.values())
        rated = rate(versions, unit.before, days)
        if is_tiered:
            for month, due in rated.due.items():
                unit.months[month]["new_due"] = due
        else:
            changed = defaultdict(Decimal)
            for (day, *_rest), (_quantity, amount, _flag) in unit.old.items():
                changed[month_first(day)] -= amount
            for line in rated.lines:
                changed[month_first(line.date)] += line.amount
            for month, difference in changed.items():
                unit.months[month]["new_due"] = unit.months[month]["due"] + difference
        return rated.lines

    @staticmethod
    def _versions(unit, prices):
        """Return the engine's tariff versions by key of all the unit's use."""
        keys = {key for cells in unit.days.values() for _supply, key, _band in cells}
        keys.update(key for _month, _supply, key, _band, _quantity in unit.before)
        return {key: prices.version(key) for key in keys}

    def _drafts(self, units):
        """Return the balance entries that bring what is posted to what is due."""
        updates, postings = [], []
        for unit in units.values():
            for month, row in unit.months.items():
                if "new_due" not in row:
                    continue
                target = round_half_up(row["new_due"], row["step"])
                difference = target - row["posted"]
                revision = row["revision"] + (difference != 0)
                due = row["new_due"]
                if not isinstance(due, Decimal):
                    due = round_half_up(due, EXACT)
                updates.append((row["id"], due, target, revision))
                if difference:
                    touched = max(
                        (day for day in unit.days if month_first(day) == month),
                        default=unit.first_day,
                    )
                    postings.append((unit, month, row["id"], revision, -difference, touched))
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
                note=f"{month:%Y-%m}",
                user_id=self.env.uid,
                period_id=periods[unit.account, month],
                unit_id=row,
                revision=revision,
            )
            for unit, month, row, revision, amount, touched in postings
        ]

    def _wallets(self, account_ids):
        rows = self.env.execute_query(
            SQL(
                "SELECT account_id, commodity, id FROM energy_wallet WHERE account_id = ANY(%s)",
                sorted(account_ids),
            )
        )
        return {(account, commodity): wallet for account, commodity, wallet in rows}
