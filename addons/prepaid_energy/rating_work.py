"""What rating works on: supplies, units of rating and prices, as values."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .engine import (
    Point,
    Span,
    local_date,
    local_midnight,
    tier_period_end,
    tier_period_start,
    unit_limits,
)
from .local_time import month_last

ONE_DAY = timedelta(days=1)
# Rate periods of lines that are charged by time rather than by use.
STANDING, MINIMUM = "standing", "minimum"
# From here on two readings are too far apart to say how the use ran between them.
GAP = timedelta(hours=1)


def plus(one, other):
    """Return the sum of two amounts, each a Decimal or a Fraction; a Decimal where both are."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one + other
    return Fraction(one) + Fraction(other)


@dataclass(slots=True)
class Work:
    """A supply of an account that is rated, and what is known of it.

    `since` is the earliest moment from which something changed; None where nothing did, and the
    supply is here because others share a tier counter or a minimum charge with it.
    """

    supply: int
    account: int
    meter: int
    meter_name: str
    commodity: str
    zone: ZoneInfo
    start: datetime
    end: datetime | None
    modulus: Decimal | None
    since: datetime | None
    mark: Point | None
    # The smallest unit of the account's currency; its site, company and currency.
    step: Decimal | None = None
    place: tuple = ()
    chain: int | None = None
    counter: int | None = None
    counter_since: datetime | None = None
    # (since, tariff id, multiplier, addition to tier limits), in order of time.
    terms: list = field(default_factory=list)
    # For which version the meter's own band registers count, by when such terms begin; and these,
    # by moment and band.
    by_meter: dict = field(default_factory=dict)
    registers: dict = field(default_factory=dict)
    points: list = field(default_factory=list)
    # Moments of points that are estimates, and of points that nobody read (see `engine.split`).
    estimated: set = field(default_factory=set)
    virtual: set = field(default_factory=set)
    spans: list = field(default_factory=list)
    cells: list = field(default_factory=list)

    @property
    def is_append(self):
        """Only readings after the mark are new; what was settled before stands."""
        return self.mark is not None and self.since >= self.mark.moment

    @property
    def is_over(self):
        """All was settled up to its end, and what changed lies behind that."""
        return (
            self.end is not None
            and self.mark is not None
            and self.mark.moment >= self.end
            and self.since > self.end
        )

    @property
    def first_day(self) -> date:
        """The first local day whose use is counted anew (or added to)."""
        if self.is_append:
            return local_date(self.mark.moment, self.zone)
        return local_date(max(self.since, self.start), self.zone)

    @property
    def last_point(self):
        """The reading up to which the supply is settled with this, or None."""
        if self.since is None or (not self.points and self.is_append):
            return self.mark
        if self.points and self.points[-1].moment >= self.start:
            return self.points[-1]
        return None

    @property
    def settled(self):
        """The moment up to which the supply is settled with this, at most its end; or None."""
        point = self.last_point
        if point is None:
            return None
        return point.moment if self.end is None else min(point.moment, self.end)

    def spans_between(self, start, stop, prices):
        """Return the engine's spans of this supply inside a time, by its terms.

        :raise RatingRefused: where a part of it has no price
        """
        spans = []
        for position, (since, tariff, multiplier, _addition) in enumerate(self.terms):
            low, high = max(since, self.start, start), stop
            if position + 1 < len(self.terms):
                high = min(high, self.terms[position + 1][0])
            if low < high:
                spans.extend(prices.spans(tariff, low, high, self.zone, multiplier))
        return spans

    def goes_by_meter(self, span):
        """Whether use of a span is put into rate periods by the meter's registers.

        The terms say so, and the meter's plan was read back to be that of the span's version.
        """
        if not self.by_meter:
            return False
        since = max(term[0] for term in self.terms if term[0] <= span.start)
        return self.by_meter.get(since) == span.version.key

    def addition_at(self, moment):
        """Return what is added to each tier limit, a month, by the terms at a moment."""
        addition = Decimal(0)
        if self.start <= moment:
            for since, _tariff, _multiplier, added in self.terms:
                if since <= moment:
                    addition = added
        return addition

    def counts_from(self, unit, prices):
        """Return the first moment whose use moves the tier counter of a unit, or None.

        That is where the unit's own tier period and counter begin to price it: not the time under
        a tariff without tiers, or with other tier periods.
        """
        low = max(self.start, local_midnight(unit.period_start, self.zone))
        high = local_midnight(unit.period_end, self.zone)
        if self.end is not None:
            high = min(high, self.end)
        for position, (since, tariff, *_rest) in enumerate(self.terms):
            start, stop = max(low, since), high
            if position + 1 < len(self.terms):
                stop = min(stop, self.terms[position + 1][0])
            if start >= stop:
                continue
            for moment, _end, key in prices.parts(tariff, start, stop, self.zone):
                if prices.version(key).limits(unit.period_start.month) and unit.key == (
                    self.unit_key(key, local_date(moment, self.zone), prices)
                ):
                    return moment
        return None

    def is_counted_by(self, unit):
        """Whether a unit of this account and commodity has this supply's tier counter."""
        if unit.supply:
            return unit.supply in (self.chain, self.counter)
        return not self._has_own_counter(unit.period_start)

    def _has_own_counter(self, period_start):
        """Whether its meter's counter began anew inside a tier period, be it on the first day."""
        return bool(self.counter) and self.counter_since > local_midnight(period_start, self.zone)

    def unit_key(self, version, day, prices):
        """Return the key of the unit of rating to which a local date's use of a version belongs.

        :param int version: key of the version
        """
        start, end = prices.tier_period(version, day)
        if prices.is_per_meter(version):
            supply = self.chain
        elif self.counter and prices.version(version).is_tiered and self._has_own_counter(start):
            supply = self.counter
        else:
            supply = 0
        return self.account, self.commodity, supply, start, end


@dataclass(slots=True)
class Unit:
    """One unit of rating in work: an account's use of a commodity in one tier period.

    `supply` is 0, or the supply with which a tier counter of its own begins. `first_day` is the
    first local date that is rated anew.
    """

    account: int
    commodity: str
    supply: int
    period_start: date
    period_end: date
    first_day: date
    days: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(Decimal)))
    # Keys of the tariff versions of all its use.
    versions: set = field(default_factory=set)
    # (is interpolated, is estimated) by (day, supply, version, band)
    flags: dict = field(default_factory=dict)
    before: list = field(default_factory=list)
    # Standing charges: by (day, supply, version), and of the time before by month.
    standing: dict = field(default_factory=dict)
    standing_before: dict = field(default_factory=lambda: defaultdict(Decimal))
    # (quantity, amount, *flags) by (day, supply, version, band, tier): as stored, as rated now;
    # and the ids of what is stored.
    old: dict = field(default_factory=dict)
    new: dict = field(default_factory=dict)
    rows: dict = field(default_factory=dict)
    months: dict = field(default_factory=dict)

    @property
    def key(self):
        return self.account, self.commodity, self.supply, self.period_start, self.period_end

    def part(self, month):
        """Return the first day of a month's part of the tier period, and the first day after it."""
        return max(month, self.period_start), min(month_last(month) + ONE_DAY, self.period_end)

    def add(self, day, supply, version, band, quantity, flags):
        """Add use of a day."""
        self.versions.add(version)
        self.days[day][supply, version, band] += quantity
        place = (day, supply, version, band)
        known = self.flags.get(place)
        if known is not None and known != flags:
            flags = tuple(one or other for one, other in zip(known, flags, strict=True))
        self.flags[place] = flags


class Counter(NamedTuple):
    """The tier counter of a unit: its first local day, what is added a month, limits by version."""

    first_day: date
    addition: Decimal
    limits: dict


@dataclass(slots=True)
class Month:
    """What is due and posted for one local month of a unit; `id` None where it has no row yet."""

    id: int | None
    due: Decimal
    posted: Decimal
    revision: int
    new_due: object = None


@dataclass
class Batch:
    """All that is rated together.

    `failures` holds a `RatingRefused` by account id; `works` and `units` are those of the others.
    """

    prices: "Prices"
    supplies: list = field(default_factory=list)
    works: list = field(default_factory=list)
    units: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)
    _bounds: dict = field(default_factory=dict, repr=False)
    _by_account: dict = field(default_factory=lambda: defaultdict(list), repr=False)

    def of(self, unit):
        """Return all supplies of a unit's account and commodity, oldest first."""
        if not self._by_account:
            for work in sorted(self.supplies, key=lambda work: (work.start, work.supply)):
                self._by_account[work.account, work.commodity].append(work)
        return self._by_account[unit.account, unit.commodity]

    def used_until(self, unit, month):
        """Return the moment up to which use is counted in a month of a unit."""
        supplies = self.of(unit)
        first, end = self._moments(unit, month, supplies[0].zone)
        latest = None
        for work in supplies:
            if unit.supply and unit.supply not in (work.chain, work.counter):
                continue
            settled = work.settled
            if settled is not None and settled > first and (latest is None or settled > latest):
                latest = settled
        return latest if latest is None else min(latest, end)

    def _moments(self, unit, month, zone):
        """Return when a month's part of the tier period begins and ends."""
        key = (unit.period_start, unit.period_end, month, zone)
        moments = self._bounds.get(key)
        if moments is None:
            moments = self._bounds[key] = [local_midnight(day, zone) for day in unit.part(month)]
        return moments

    @cached_property
    def may_have_minimum(self):
        """Whether any tariff of these supplies has a minimum charge."""
        tariffs = {term[1] for work in self.supplies for term in work.terms}
        return any(self.prices.has_minimum(tariff) for tariff in tariffs)

    def refuse(self, account, failure):
        """Set an account aside."""
        self.failures.setdefault(account, failure)
        self.works = [work for work in self.works if work.account != account]
        self.units = {key: unit for key, unit in self.units.items() if unit.account != account}


class Prices:
    """The tariff versions and their spans that rating asks for, each looked up once a batch.

    :param bool cached: False where the transaction supposes what it does not commit: what is found
        then stays out of the caches that others share
    """

    def __init__(self, env, cached=True):
        self._env = env
        versions, tariffs = env["energy.tariff.version"], env["energy.tariff"]
        if cached:
            self._engine = versions._engine
            self._starts = tariffs._version_starts
            self._scope = env["energy.rating"]._is_per_meter
        else:
            self._engine = lambda key: type(versions)._engine.__wrapped__(versions, key)
            self._starts = lambda key: type(tariffs)._version_starts.__wrapped__(tariffs, key)
            rating = env["energy.rating"]
            self._scope = lambda key: type(rating)._is_per_meter.__wrapped__(rating, key)
        self._versions = {}
        self._per_meter = {}
        self._parts = {}
        self._spans = {}
        self._minimum = {}
        self._periods = {}
        self._limits = {}

    def version(self, key):
        """Return an approved version as the engine's value."""
        version = self._versions.get(key)
        if version is None:
            version = self._versions[key] = self._engine(key)
        return version

    def tier_period(self, key, day):
        """Return the first day of the tier period of a version on a day, and the day after it."""
        period = self._periods.get((key, day))
        if period is None:
            version = self.version(key)
            period = (tier_period_start(version, day), tier_period_end(version, day))
            self._periods[key, day] = period
        return period

    def unit_limits(self, version, *place):
        """Return `engine.unit_limits` of a version."""
        limits = self._limits.get((version.key, place))
        if limits is None:
            limits = self._limits[version.key, place] = unit_limits(version, *place)
        return limits

    def is_per_meter(self, key):
        """Whether the tariff of a version counts tiers per meter."""
        if key not in self._per_meter:
            self._per_meter[key] = self._scope(key)
        return self._per_meter[key]

    def has_minimum(self, tariff):
        """Whether any version of a tariff has a minimum charge."""
        if tariff not in self._minimum:
            self._minimum[tariff] = any(
                self.version(key).minimum for _day, key in self._starts(tariff)
            )
        return self._minimum[tariff]

    def spans(self, tariff, start, end, zone, multiplier):
        """Return the engine's spans of a tariff from `start` to `end`.

        :raise RatingRefused: where the first part of that time has no price
        """
        key = (tariff, start, end, zone, multiplier)
        spans = self._spans.get(key)
        if spans is None:
            spans = self._spans[key] = self._priced(tariff, start, end, zone, multiplier)
        return spans

    def parts(self, tariff, start, end, zone):
        """Return (start, end, key of the version in force) inside a time; none before the first."""
        place = (tariff, start, end, zone)
        parts = self._parts.get(place)
        if parts is None:
            starts = [(local_midnight(day, zone), key) for day, key in self._starts(tariff)]
            ends = [*(moment for moment, _key in starts), end][1:]
            parts = self._parts[place] = [
                (max(start, low), min(end, high), key)
                for (low, key), high in zip(starts, ends, strict=True)
                if max(start, low) < min(end, high)
            ]
        return parts

    def _priced(self, tariff, start, end, zone, multiplier):
        parts = self.parts(tariff, start, end, zone)
        if not parts or parts[0][0] > start:
            raise RatingRefused(
                "price",
                self._env._(
                    "Tariff “%(tariff)s” has no approved price for use from %(start)s on.",
                    tariff=self._env["energy.tariff"].browse(tariff).name,
                    start=local_date(start, zone),
                ),
                tariff=tariff,
            )
        return [Span(low, high, multiplier, self.version(key)) for low, high, key in parts]


class RatingRefused(Exception):
    """Use of an account cannot be priced; the text says why and what to do.

    :param str cause: key of the reason, see `energy.settlement.problem`
    :param str text: the sentence, translated
    :param int meter: id of the meter whose use it is, or None
    :param int tariff: id of the tariff that is to be mended, or None
    """

    def __init__(self, cause, text, meter=None, tariff=None):
        super().__init__(text)
        self.cause = cause
        self.meter = meter
        self.tariff = tariff
