"""What rating works on: supplies, units of rating and prices, as values."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from .engine import Point, Span
from .local_time import local_date

# From here on two readings are too far apart to say how the use ran between them.
GAP = timedelta(hours=1)


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
    chain: int | None = None
    counter: int | None = None
    counter_since: datetime | None = None
    terms: list = field(default_factory=list)
    points: list = field(default_factory=list)
    # Moments of the points that are estimates, and of those that only shape a gap.
    estimates: set = field(default_factory=set)
    virtual: set = field(default_factory=set)
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
    flags: dict = field(default_factory=dict)
    before: list = field(default_factory=list)
    old: dict = field(default_factory=dict)
    months: dict = field(default_factory=dict)

    @property
    def key(self):
        return self.account, self.commodity, self.supply, self.period_start, self.period_end


class Prices:
    """The tariff versions and their spans that rating asks for, each looked up once a batch."""

    def __init__(self, env):
        self._env = env
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
                raise RatingRefused(
                    self._env._(
                        "Tariff “%(tariff)s” has no approved price for use from %(start)s on.",
                        tariff=self._tariffs.browse(tariff).name,
                        start=start,
                    )
                )
            spans = self._spans[key] = [
                Span(low, high, multiplier, self.version(version)) for low, high, version in priced
            ]
        return spans


class RatingRefused(Exception):
    """Use of an account cannot be priced; the text says why and what to do."""
