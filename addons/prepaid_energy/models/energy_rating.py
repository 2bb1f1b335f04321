from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import _, models
from odoo.tools import SQL

from ..bulk import values
from ..crash_points import reached
from ..engine import Point, Span, rate, round_half_up, split, tier_period_start
from ..local_time import local_date, local_midnight, month_first
from .energy_wallet import Draft

EXACT = Decimal("0.000000000001")
# Columns of the rows that statements take; see `bulk.values`.
BOUNDS = {"supply": "int", "meter": "int", "low": "timestamp", "until": "timestamp"}
UNITS = {"account": "int", "commodity": "text", "period_start": "date"}


@dataclass
class Work:
    """A supply whose use is to be rated, and what is known of it."""

    supply: int
    account: int
    meter: int
    meter_name: str
    commodity: str
    zone: ZoneInfo
    start: datetime
    end: datetime | None
    modulus: Decimal | None
    since: datetime
    mark: Point | None
    terms: list = field(default_factory=list)
    points: list = field(default_factory=list)
    cells: list = field(default_factory=list)

    @property
    def is_append(self):
        """Only readings after the mark are new; what was settled before stands."""
        return self.mark is not None and self.since >= self.mark.moment

    @property
    def first_day(self) -> date:
        """The first local day whose use is counted anew (or added to)."""
        if self.is_append:
            return local_date(self.mark.moment, self.zone)
        return local_date(max(self.since, self.start), self.zone)


@dataclass
class Unit:
    """One unit of rating in work: an account's use of a commodity in one tier period."""

    account: int
    commodity: str
    period_start: date
    first_day: date
    days: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(Decimal)))
    flags: dict = field(default_factory=dict)
    before: list = field(default_factory=list)
    old: dict = field(default_factory=dict)
    months: dict = field(default_factory=dict)

    @property
    def key(self):
        return self.account, self.commodity, self.period_start


class Prices:
    """The tariff versions and their spans that rating asks for, each looked up once a batch."""

    def __init__(self, env):
        self._tariffs = env["energy.tariff"]
        self._engine = env["energy.tariff.version"]._engine
        self._versions = {}
        self._spans = {}

    def version(self, key):
        """Return an approved version as the engine's value."""
        version = self._versions.get(key)
        if version is None:
            version = self._versions[key] = self._engine(key)
        return version

    def spans(self, tariff, start, end, zone, multiplier):
        """Return the engine's spans of a tariff from `start` to `end`.

        :raise RatingRefused: where the first part of that time has no price
        """
        key = (tariff, start, end, zone, multiplier)
        spans = self._spans.get(key)
        if spans is None:
            priced = self._tariffs._spans(tariff, start, end, zone)
            if not priced or priced[0][0] > start:
                raise RatingRefused(_(
                    "Tariff “%(tariff)s” has no approved price for use from %(start)s on.",
                    tariff=self._tariffs.browse(tariff).name, start=start))
            spans = self._spans[key] = [
                Span(low, high, multiplier, self.version(version))
                for low, high, version in priced]
        return spans


class RatingRefused(Exception):
    """Use of an account cannot be priced; the text says why and what to do."""


class EnergyRating(models.AbstractModel):
    """The step *rate*: from accepted readings to rated use and the money due for it.

    All arithmetic is in `engine/`; this only moves rows. The caller holds the locks of the
    accounts' wallets.
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
        failures = {}
        for work in works:
            if work.account in failures or len(work.points) < 2:
                continue
            try:
                first_day = work.first_day
                work.cells = [
                    cell for cell in self._split(work, prices) if cell.date >= first_day]
            except (RatingRefused, ValueError) as error:
                failures[work.account] = _("Meter %(meter)s: %(error)s",
                                           meter=work.meter_name, error=error)
        works = [work for work in works if work.account not in failures]
        units = self._gather(works, prices)
        self._load_usage(units, works)
        self._load_months(units)
        self._load_before(units, prices)
        lines = {key: self._rate_unit(unit, prices) for key, unit in units.items()}
        self._write_usage(units, lines)
        self._write_marks(works)
        reached("usage_written")
        return self._drafts(units), failures

    # --- reading what is there ---------------------------------------------------------------

    def _load_works(self, account_ids, queued):
        rows = self.env.execute_query(SQL(
            """
            SELECT s.id, s.account_id, s.meter_id, m.name, m.commodity, site.tz, s.start_at,
                   s.end_at, m.register_digits, k.settled_until, k.register::text
              FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_property site ON site.id = s.site_id
              LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
             WHERE s.account_id = ANY(%s) AND s.meter_id = ANY(%s)
             ORDER BY s.id
            """, account_ids, list(queued)))
        works = [
            Work(supply=supply, account=account, meter=meter, meter_name=name,
                 commodity=commodity, zone=ZoneInfo(tz), start=start, end=end,
                 modulus=Decimal(10) ** digits if digits else None, since=queued[meter],
                 mark=Point(until, Decimal(register)) if until else None)
            for supply, account, meter, name, commodity, tz, start, end, digits, until, register
            in rows]
        works = [work for work in works if not (
            work.end is not None and work.is_append and work.mark.moment >= work.end)]
        by_supply = {work.supply: work for work in works}
        for supply, since, tariff, multiplier in self.env.execute_query(SQL(
                "SELECT supply_id, since, tariff_id, multiplier::text FROM energy_supply_term"
                " WHERE supply_id = ANY(%s) ORDER BY supply_id, since", list(by_supply))):
            by_supply[supply].terms.append((since, tariff, Decimal(multiplier)))
        return works

    def _load_points(self, works):
        """Fetch the accepted readings that bound what is to be rated."""
        by_supply = {work.supply: work for work in works}
        appended = [work for work in works if work.is_append]
        for work in appended:
            work.points.append(work.mark)
        recounted = [work for work in works if not work.is_append]
        bounds = [
            (work.supply, work.meter, work.mark.moment, work.end) for work in appended
        ]
        if bounds:
            for supply, moment, total in self.env.execute_query(SQL(
                """
                SELECT v.supply, r.moment, r.total::text
                  FROM %s
                  JOIN energy_reading_data r ON r.meter_id = v.meter AND r.state = 'accepted'
                       AND r.moment > v.low
                       AND (v.until IS NULL OR r.moment <= COALESCE(
                            (SELECT min(n.moment) FROM energy_reading_data n
                              WHERE n.meter_id = v.meter AND n.state = 'accepted'
                                AND n.moment >= v.until), 'infinity'))
                 ORDER BY v.supply, r.moment
                """, values(bounds, **BOUNDS))):
                by_supply[supply].points.append(Point(moment, Decimal(total)))
        bounds = [
            (work.supply, work.meter,
             max(local_midnight(work.first_day, work.zone), work.start), work.end)
            for work in recounted]
        if bounds:
            for supply, moment, total in self.env.execute_query(SQL(
                """
                SELECT v.supply, r.moment, r.total::text
                  FROM %s
                  JOIN energy_reading_data r ON r.meter_id = v.meter AND r.state = 'accepted'
                       AND r.moment >= COALESCE(
                            (SELECT max(p.moment) FROM energy_reading_data p
                              WHERE p.meter_id = v.meter AND p.state = 'accepted'
                                AND p.moment <= v.low), v.low)
                       AND (v.until IS NULL OR r.moment <= COALESCE(
                            (SELECT min(n.moment) FROM energy_reading_data n
                              WHERE n.meter_id = v.meter AND n.state = 'accepted'
                                AND n.moment >= v.until), 'infinity'))
                 ORDER BY v.supply, r.moment
                """, values(bounds, **BOUNDS))):
                by_supply[supply].points.append(Point(moment, Decimal(total)))

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
        return split(work.points, spans, work.zone, modulus=work.modulus)

    def _gather(self, works, prices):
        """Put the cells of all works into their units of rating."""
        units = {}
        for work in works:
            # A day that is counted anew may have lost all its use: its unit is rated as well.
            days = {(cell.date, cell.version) for cell in work.cells}
            if not work.cells and not work.is_append and work.points:
                days = {(work.first_day, None)}
            for cell in work.cells:
                period_start = tier_period_start(prices.version(cell.version), cell.date)
                unit = self._unit(units, work, period_start, cell.date)
                unit.days[cell.date][work.supply, cell.version, cell.band] += cell.quantity
                flag = (cell.date, work.supply, cell.version, cell.band)
                unit.flags[flag] = unit.flags.get(flag, False) or cell.interpolated
            for day, version in days:
                if version is None:
                    self._unit(units, work, month_first(day), day)
        return units

    @staticmethod
    def _unit(units, work, period_start, day):
        key = work.account, work.commodity, period_start
        unit = units.get(key)
        if unit is None:
            unit = units[key] = Unit(work.account, work.commodity, period_start, day)
        unit.first_day = min(unit.first_day, day)
        return unit

    def _load_usage(self, units, works):
        """Add what was counted before and still stands to the units' days."""
        if not units:
            return
        recounted = {work.supply: work.first_day for work in works if not work.is_append}
        rows = self.env.execute_query(SQL(
            """
            SELECT g.account_id, g.commodity, g.period_start, x.local_date, x.supply_id,
                   x.version_id, x.band, x.tier, x.quantity::text, x.amount::text,
                   x.is_interpolated
              FROM %s
              JOIN energy_rating_unit g ON g.account_id = v.account
                   AND g.commodity = v.commodity AND g.period_start = v.period_start
                   AND g.month >= date_trunc('month', v.first_day)::date
              JOIN energy_usage x ON x.unit_id = g.id AND x.local_date >= v.first_day
             ORDER BY x.local_date
            """, values([(*unit.key, unit.first_day) for unit in units.values()],
                        **UNITS, first_day="date")))
        for (account, commodity, start, day, supply, version, band, tier, quantity, amount,
             interpolated) in rows:
            unit = units[account, commodity, start]
            quantity, amount = Decimal(quantity), Decimal(amount)
            unit.old[day, supply, version, band, tier] = (quantity, amount, interpolated)
            if supply in recounted and day >= recounted[supply]:
                continue
            unit.days[day][supply, version, band] += quantity
            flag = (day, supply, version, band)
            unit.flags[flag] = unit.flags.get(flag, False) or interpolated

    def _load_months(self, units):
        """Fetch the posting rows of the units, made where they are missing."""
        needed = sorted({
            (*unit.key, month_first(day)) for unit in units.values()
            for day in (*unit.days, unit.first_day)})
        if not needed:
            return
        self._fetch_months(units)
        missing = [key for key in needed if key[3] not in units[key[:3]].months]
        if not missing:
            return
        self.env.cr.execute(SQL(
            """
            INSERT INTO energy_rating_unit (account_id, site_id, company_id, currency_id, commodity,
                                            period_start, month, due, posted, revision)
            SELECT a.id, a.site_id, a.company_id, a.currency_id, v.commodity, v.period_start,
                   v.month, 0, 0, 0
              FROM %s JOIN energy_account a ON a.id = v.account
            """, values(missing, **UNITS, month="date")))
        self._fetch_months(units)

    def _fetch_months(self, units):
        rows = self.env.execute_query(SQL(
            """
            SELECT g.account_id, g.commodity, g.period_start, g.month, g.id, g.due::text,
                   g.posted::text, g.revision, c.rounding::text, g.site_id, g.company_id,
                   g.currency_id
              FROM %s
              JOIN energy_rating_unit g ON g.account_id = v.account
                   AND g.commodity = v.commodity AND g.period_start = v.period_start
              JOIN res_currency c ON c.id = g.currency_id
            """, values(list(units), **UNITS)))
        for (account, commodity, start, month, row, due, posted, revision, step, site, company,
             currency) in rows:
            units[account, commodity, start].months[month] = {
                "id": row, "due": Decimal(due), "posted": Decimal(posted), "revision": revision,
                "step": Decimal(step).normalize(), "site": site, "company": company,
                "currency": currency}

    # --- rating ------------------------------------------------------------------------------

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

    def _load_before(self, units, prices):
        """Fetch the cumulated use before their first day in work of the units that have tiers."""
        tiered = [
            unit for unit in units.values()
            if any(version.tier_limits for version in self._versions(unit, prices).values())]
        if not tiered:
            return
        rows = self.env.execute_query(SQL(
            """
            SELECT g.account_id, g.commodity, g.period_start, g.month, x.supply_id, x.version_id,
                   x.band, sum(x.quantity)::text
              FROM %s
              JOIN energy_rating_unit g ON g.account_id = v.account
                   AND g.commodity = v.commodity AND g.period_start = v.period_start
              JOIN energy_usage x ON x.unit_id = g.id AND x.local_date < v.first_day
             GROUP BY g.account_id, g.commodity, g.period_start, g.month, x.supply_id,
                   x.version_id, x.band
             ORDER BY g.month, min(x.local_date), x.version_id, x.supply_id, x.band
            """, values([(*unit.key, unit.first_day) for unit in tiered],
                        **UNITS, first_day="date")))
        for account, commodity, start, month, supply, version, band, quantity in rows:
            units[account, commodity, start].before.append(
                (month, supply, version, band, Decimal(quantity)))

    # --- writing -----------------------------------------------------------------------------

    def _write_usage(self, units, lines):
        """Bring the usage rows to what was rated: changed ones only."""
        changed, gone = [], []
        supplies = {}
        for key, unit in units.items():
            new = {}
            for line in lines[key]:
                flag = unit.flags.get((line.date, line.supply, line.version, line.band), False)
                new[line.date, line.supply, line.version, line.band, line.tier] = (
                    line.quantity, line.amount, flag)
            for cell, figures in new.items():
                if unit.old.get(cell) != figures:
                    day, supply, version, band, tier = cell
                    month = unit.months[month_first(day)]
                    supplies[supply] = None
                    changed.append((
                        supply, unit.account, month["id"], month["site"], month["company"],
                        month["currency"], unit.commodity, day, band, tier, version, *figures))
            gone.extend(cell for cell in unit.old.keys() - new.keys())
        if gone:
            self.env.cr.execute(SQL(
                """
                DELETE FROM energy_usage x USING %s
                 WHERE x.local_date = v.local_date AND x.supply_id = v.supply
                   AND x.version_id = v.version AND x.band = v.band AND x.tier = v.tier
                """, values(gone, local_date="date", supply="int", version="int", band="text",
                            tier="int")))
        if changed:
            self.env.cr.execute(SQL(
                """
                INSERT INTO energy_usage (supply_id, account_id, unit_id, site_id, company_id,
                       currency_id, commodity, local_date, band, tier, version_id, quantity,
                       amount, is_interpolated, meter_id)
                SELECT v.*, s.meter_id FROM %s JOIN energy_supply s ON s.id = v.supply
                    ON CONFLICT (supply_id, local_date, band, tier, version_id) DO UPDATE
                   SET quantity = EXCLUDED.quantity, amount = EXCLUDED.amount,
                       is_interpolated = EXCLUDED.is_interpolated
                """, values(changed, supply="int", account="int", unit="int", site="int",
                            company="int", currency="int", commodity="text", local_date="date",
                            band="text", tier="int", version="int", quantity="numeric",
                            amount="numeric", flag="boolean")))
        self.env["energy.usage"].invalidate_model(flush=False)

    def _write_marks(self, works):
        rows = [(work.supply, work.points[-1].moment, work.points[-1].register)
                for work in works if work.points]
        if rows:
            self.env.cr.execute(SQL(
                """
                INSERT INTO energy_supply_mark (supply_id, settled_until, register)
                SELECT v.* FROM %s
                    ON CONFLICT (supply_id) DO UPDATE
                   SET settled_until = EXCLUDED.settled_until, register = EXCLUDED.register
                """, values(rows, supply="int", moment="timestamp", register="numeric")))
        self.env["energy.supply.mark"].invalidate_model(flush=False)

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
                    touched = max((day for day in unit.days if month_first(day) == month),
                                  default=unit.first_day)
                    postings.append((unit, month, row["id"], revision, -difference, touched))
        if updates:
            self.env.cr.execute(SQL(
                """
                UPDATE energy_rating_unit AS g
                   SET due = v.due, posted = v.posted, revision = v.revision
                  FROM %s WHERE g.id = v.id
                """, values(updates, id="int", due="numeric", posted="numeric", revision="int")))
        self.env["energy.rating.unit"].invalidate_model(flush=False)
        if not postings:
            return []
        wallets = self._wallets({unit.account for unit, *_rest in postings})
        periods = self.env["energy.billing.period"]._open_for(
            {(unit.account, month) for unit, month, *_rest in postings})
        return [
            Draft(
                wallet_id=wallets.get((unit.account, unit.commodity))
                or wallets[unit.account, None],
                kind="use", category=unit.commodity, amount=amount, key=f"use/{row}/{revision}",
                local_date=touched, note=f"{month:%Y-%m}", user_id=self.env.uid,
                period_id=periods[unit.account, month], unit_id=row, revision=revision)
            for unit, month, row, revision, amount, touched in postings]

    def _wallets(self, account_ids):
        rows = self.env.execute_query(SQL(
            "SELECT account_id, commodity, id FROM energy_wallet WHERE account_id = ANY(%s)",
            sorted(account_ids)))
        return {(account, commodity): wallet for account, commodity, wallet in rows}
