"""A small history of two accounts, drawn from a seed, and what it costs by hand.

What it costs is worked out in fractions, quarter of an hour by quarter of an hour, and shares no
code with the rating engine; the rules are those of `docs/rating.md`.
"""

import random
from calendar import monthrange
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
# Zone and first local day: the three weeks hold the change of the clocks, where there is one.
PLACES = (
    ("Asia/Shanghai", date(2026, 4, 20)),
    ("Asia/Kathmandu", date(2026, 4, 20)),
    ("Europe/London", date(2026, 3, 15)),
    ("Europe/London", date(2026, 10, 18)),
    ("America/New_York", date(2026, 2, 22)),
    ("America/New_York", date(2026, 10, 20)),
    ("Australia/Lord_Howe", date(2026, 3, 21)),
    ("Australia/Lord_Howe", date(2026, 9, 22)),
)


@dataclass
class Version:
    """Prices by tier (text) by rate period, limits, and hours of *peak*; the rest is *valley*."""

    since: date
    prices: dict
    limits: tuple
    peak: tuple

    def band(self, hour):
        return "peak" if self.peak[0] <= hour < self.peak[1] else "valley"


@dataclass
class Reading:
    """One delivery of a register. `truth` is what finally stands: a figure, or None for nothing."""

    meter: str
    moment: datetime
    total: Decimal
    truth: Decimal | None
    baseline: bool = False


@dataclass
class Supply:
    """A meter of an account from one moment to another, with its multipliers by moment."""

    account: int
    meter: str
    start: datetime
    opening: Decimal
    end: datetime | None = None
    closing: Decimal | None = None
    multipliers: list = field(default_factory=list)


class SmallHistory:
    """Two accounts of three meters over three weeks; one of the meters is replaced.

    `A1` (account 0) is replaced by `A9`; `A2` (account 0) gets another transformer and a register
    that begins anew; `B1` (account 1) rolls over. One reading of each of `A1`, `A2` is corrected or
    rejected. The tariff has a second version from a day on.
    """

    def __init__(self, seed, zone, first_day, allocation):
        dice = self.dice = random.Random(seed)
        self.zone = ZoneInfo(zone)
        self.first_day = first_day
        self.days = 21
        self.allocation = allocation
        self.start = self.midnight(first_day)
        self.end = self.midnight(first_day + self.days * DAY)
        self.versions = [self._version(date(2020, 1, 1))]
        self.versions.append(self._version(first_day + dice.randrange(4, 17) * DAY))
        self.exchange_at = self._moment(6, 14)
        self.ratio_at, self.ratio = self._moment(4, 18), dice.choice((2, 5, 20))
        self.reset_at = self._moment(4, 18)
        self.supplies = [
            Supply(0, "A1", self.start, Decimal(500)),
            Supply(0, "A9", self.exchange_at, Decimal("3.5")),
            Supply(0, "A2", self.start, Decimal(700)),
            Supply(1, "B1", self.start, Decimal(99_990)),
        ]
        for supply in self.supplies:
            supply.multipliers = [(supply.start, 1)]
        self.supplies[2].multipliers.append((self.ratio_at, self.ratio))
        self.readings = []
        for supply in self.supplies:
            self._read(supply)

    def midnight(self, day):
        """Return the naive UTC moment at which a local day begins."""
        local = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return local.astimezone(UTC).replace(tzinfo=None)

    def _moment(self, first, last):
        """Return a moment of a day between two, at a quarter of an hour."""
        day = self.start + self.dice.randrange(first, last) * DAY
        return day + self.dice.randrange(1, 95) * QUARTER

    def _version(self, since):
        dice = self.dice
        first = dice.randrange(5, 10)
        return Version(
            since,
            {
                band: [str(Decimal(dice.randrange(100_000, 990_000)).scaleb(-6)) for _tier in "123"]
                for band in ("peak", "valley")
            },
            (dice.randrange(60, 120), dice.randrange(150, 300)),
            (first, first + dice.randrange(3, 12)),
        )

    def _read(self, supply):
        """Draw the readings of a supply, some of them wrong."""
        dice, stop = self.dice, self.exchange_at if supply.meter == "A1" else self.end
        moments = {supply.start + timedelta(minutes=dice.randrange(1, 30_000)) for _ in range(7)}
        moments |= {self.midnight(self.first_day + n * DAY) for n in dice.sample(range(2, 20), 3)}
        moments = {moment for moment in moments if supply.start < moment < stop}
        if stop == self.end:
            moments.add(stop)
        else:
            supply.end = stop
        if supply.meter == "A2":
            moments.add(self.reset_at)
        register, before, is_new = supply.opening, supply.start, False
        rows = []
        for moment in sorted(moments | {stop}):
            hours = (moment - before) / timedelta(hours=1)
            register += Decimal(dice.randrange(0, round(60 * hours) + 2)) / 100
            before = moment
            if supply.meter == "A2" and moment == self.reset_at:
                register, is_new = Decimal(dice.randrange(100)) / 10, True
            if moment == supply.end:
                supply.closing = register
                continue
            shown = register % 100_000 if supply.meter == "B1" else register
            baseline = is_new and moment == self.reset_at
            rows.append(Reading(supply.meter, moment, shown, shown, baseline))
        self.readings += rows
        if supply.meter not in ("A1", "A2"):
            return
        # A wrong figure that can be believed: half-way from the reading before.
        firm = [pair for pair in pairwise(rows) if not (pair[0].baseline or pair[1].baseline)]
        low, wrong = dice.choice(firm or [(rows[0], rows[0])])
        half = ((low.total + wrong.total) / 2).quantize(Decimal("0.01"))
        if half == wrong.total:
            return
        if supply.meter == "A1":
            wrong.total = half
        else:
            moment = low.moment + (wrong.moment - low.moment) / 2
            self.readings.append(
                Reading(supply.meter, moment.replace(second=0, microsecond=0), half, None)
            )

    # --- what it costs -----------------------------------------------------------------------

    def expected(self):
        """Return (exact amount by (account, month, rate period, tier), posted by the first two)."""
        use = defaultdict(Fraction)
        for supply in self.supplies:
            for place, quantity in self._cells(supply):
                use[supply.account, *place] += quantity
        amounts = defaultdict(Fraction)
        for account in (0, 1):
            months = {day.replace(day=1) for owner, day, *_rest in use if owner == account}
            for month in months:
                own = {
                    (day, version, band): quantity
                    for (owner, day, version, band), quantity in use.items()
                    if owner == account and day.replace(day=1) == month
                }
                for (band, tier), money in self._money(own, month).items():
                    amounts[account, month, band, tier] += money
        posted = defaultdict(Fraction)
        for (account, month, *_rest), money in amounts.items():
            posted[account, month] += money
        return amounts, {place: _half_up(money, "0.01") for place, money in posted.items()}

    def points(self, supply):
        """Return what finally stands of a supply's registers: (moment, register, baseline)."""
        points = [(supply.start, supply.opening, False)]
        for reading in self.readings:
            if reading.meter == supply.meter and reading.truth is not None:
                points.append((reading.moment, reading.truth, reading.baseline))
        if supply.end:
            points.append((supply.end, supply.closing, False))
        return sorted(points)

    def _cells(self, supply):
        """Yield ((local day, version, rate period), quantity), each boundary's register rounded."""
        for (since, low, _b), (until, high, baseline) in pairwise(self.points(supply)):
            if baseline:
                continue
            low, high = Fraction(low), Fraction(high)
            if high < low:
                high += 100_000
            moment, lower, place = since, low, self._place(supply, since)
            while moment < until:
                moment = min(moment - (moment - datetime(2020, 1, 1)) % QUARTER + QUARTER, until)
                following = None if moment == until else self._place(supply, moment)
                if following == place:
                    continue
                passed = Fraction((moment - since) // timedelta(seconds=1))
                length = Fraction((until - since) // timedelta(seconds=1))
                upper = _half_up(low + (high - low) * passed / length, "0.000001")
                yield place[:3], (upper - lower) * place[3]
                lower, place = upper, following

    def _place(self, supply, moment):
        local = moment.replace(tzinfo=UTC).astimezone(self.zone)
        [version] = [
            number
            for number, version in enumerate(self.versions)
            if version.since <= local.date()
            and all(other.since > local.date() for other in self.versions[number + 1 :])
        ]
        ratio = [ratio for since, ratio in supply.multipliers if since <= moment][-1]
        return local.date(), version, self.versions[version].band(local.hour), ratio

    def _money(self, use, month):
        """Return the exact money of an account's month by (rate period, tier)."""
        by_day = self.allocation == "chronological"
        segments = defaultdict(lambda: defaultdict(Fraction))
        for (day, version, band), quantity in use.items():
            segments[(day if by_day else None, version)][band] += quantity
        money, counter = defaultdict(Fraction), Fraction(0)
        for place in sorted(segments, key=lambda place: (place[0] or month, place[1])):
            bands, version = segments[place], self.versions[place[1]]
            total = sum(bands.values())
            bounds = [Fraction(0), *self._limits(version, month), None]
            for tier, (low, high) in enumerate(pairwise(bounds), 1):
                top = counter + total if high is None else min(counter + total, high)
                inside = top - max(low, counter)
                if inside > 0:
                    for band, quantity in bands.items():
                        price = Fraction(version.prices[band][tier - 1])
                        money[band, tier] += inside * quantity / total * price
            counter += total
        return money

    def _limits(self, version, month):
        if self.first_day <= month:
            return list(map(Fraction, version.limits))
        length = monthrange(month.year, month.month)[1]
        share = Fraction(length - self.first_day.day + 1, length)
        return [_half_up(limit * share, "0.001") for limit in version.limits]


def _half_up(value, step):
    step = Fraction(step)
    return (value / step + Fraction(1, 2)).__floor__() * step
