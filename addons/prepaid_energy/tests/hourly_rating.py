"""What use costs, worked out apart from the product: hour by hour, in fractions.

For a site in Shanghai (no change of clocks) and rate periods that change at whole hours. Shares no
code with the rating engine; the rules are those of `docs/rating.md`.
"""

from calendar import monthrange
from collections import defaultdict
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

EAST = timedelta(hours=8)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def half_up(value, step):
    step = Fraction(step)
    return (value / step + Fraction(1, 2)).__floor__() * step


def later(first, months):
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, first.day)


class HourlyRating:
    """One account whose meters have one tariff with one version.

    :param dict prices: list of prices (text) by tier, by rate period
    :param windows: (rate period, first hour, hour after it); the other hours are `rest`
    :param str period: month, quarter or year
    :param tuple begins: month and day on which tier years begin
    """

    def __init__(
        self,
        prices,
        limits=(),
        windows=(),
        rest="flat",
        period="month",
        begins=(1, 1),
        scope="account",
        allocation="to_date",
        per_day="0",
        per_month="0",
        minimum="0",
    ):
        self.prices = {band: list(map(Fraction, tiers)) for band, tiers in prices.items()}
        self.limits = list(map(Fraction, limits))
        self.bands = [rest] * 24
        for band, first, end in windows:
            for hour in range(first, end):
                self.bands[hour] = band
        self.months = {"month": 1, "quarter": 3, "year": 12}[period] if limits else 1
        self.begins = begins if limits else (1, 1)
        self.scope = scope
        self.allocation = allocation
        self.per_day, self.per_month = Fraction(per_day), Fraction(per_month)
        self.minimum = Fraction(minimum)

    def posted(self, start, readings):
        """Return what is posted, by month ("2026-03"), as text.

        :param start: naive UTC, a whole hour, at which all meters begin
        :param dict readings: list of (moment, register) in order of time by meter; the first one is
            at `start`
        """
        if self.scope == "account":
            units = [self._unit(start, readings)]
        else:
            units = [self._unit(start, {meter: rows}) for meter, rows in readings.items()]
        total = defaultdict(Fraction)
        for unit in units:
            for (_period, month), money in unit.items():
                total[month] += half_up(money, Fraction(1, 100))
        return {month: f"{float(money):.2f}" for month, money in sorted(total.items()) if money}

    def _unit(self, start, readings):
        """Return the exact money by (tier period, month) of meters that count together."""
        use, settled, periods = defaultdict(Fraction), [], set()
        for rows in readings.values():
            for day, band, quantity in self._hours(rows):
                use[day, band] += quantity
                periods.add((self._period(day), f"{day:%Y-%m}"))
            settled.append(rows[-1][0])
        first_day = (start + EAST).date()
        due = defaultdict(Fraction)
        for period in sorted({period for period, _month in periods}):
            own = {key: used for key, used in use.items() if self._period(key[0]) == period}
            for month, money in self._energy(own, self._limits(period, first_day)).items():
                due[period, month] += money
        for until in settled:
            day = first_day
            while start_of(day + DAY) <= until:
                length = monthrange(day.year, day.month)[1]
                due[self._period(day), f"{day:%Y-%m}"] += self.per_day + self.per_month / length
                day += DAY
        for period, month in periods:
            first = max(date.fromisoformat(f"{month}-01"), period)
            length = monthrange(first.year, first.month)[1]
            end = min(first.replace(day=1) + timedelta(days=length), later(period, self.months))
            if min(settled) >= start_of(end):
                days = (end - max(first, first_day)).days
                least = self.minimum * days / length
                due[period, month] = max(due[period, month], least)
        return due

    def _period(self, day):
        month, first = self.begins
        found = later(date(day.year - 2, month, first), 0)
        while later(found, self.months) <= day:
            found = later(found, self.months)
        return found

    def _limits(self, period, first_day):
        end = later(period, self.months)
        if first_day <= period:
            return self.limits
        share = Fraction((end - first_day).days, (end - period).days)
        return [half_up(limit * share, Fraction(1, 1000)) for limit in self.limits]

    def _hours(self, rows):
        """Yield (day, rate period, quantity) of the hours, each register rounded at each hour."""
        for (since, low), (until, high) in pairwise(rows):
            low, high = Fraction(low), Fraction(high)
            moment, register = since, low
            while moment < until:
                hour = moment.replace(minute=0, second=0, microsecond=0)
                stop = min(hour + HOUR, until)
                after = high
                if stop < until:
                    passed = Fraction((stop - since) // timedelta(seconds=1))
                    length = (until - since) // timedelta(seconds=1)
                    after = half_up(low + (high - low) * passed / length, Fraction(1, 10**6))
                local = moment + EAST
                yield local.date(), self.bands[local.hour], after - register
                moment, register = stop, after

    def _cost(self, use, counter, limits):
        """Return what use by rate period costs behind a counter."""
        total = sum(use.values())
        if not total:
            return Fraction(0)
        money, low = Fraction(0), Fraction(0)
        for tier, high in enumerate([*limits, None]):
            inside = (counter + total if high is None else min(counter + total, high)) - max(
                counter, low
            )
            if inside > 0:
                money += sum(
                    inside * quantity / total * self.prices[band][tier]
                    for band, quantity in use.items()
                )
            low = high
        return money

    def _energy(self, use, limits):
        """Return the money of one tier period by month."""
        due, counter = defaultdict(Fraction), Fraction(0)
        so_far, before = defaultdict(Fraction), Fraction(0)
        step = "%Y-%m-%d" if self.allocation == "chronological" else "%Y-%m"
        parts = defaultdict(lambda: defaultdict(Fraction))
        for (day, band), quantity in use.items():
            parts[f"{day:{step}}"][band] += quantity
        for part in sorted(parts):
            if self.allocation == "to_date":
                for band, quantity in parts[part].items():
                    so_far[band] += quantity
                cost = self._cost(so_far, Fraction(0), limits)
                due[part[:7]] += cost - before
                before = cost
            else:
                due[part[:7]] += self._cost(parts[part], counter, limits)
                counter += sum(parts[part].values())
        return due


def start_of(day):
    """Return the naive UTC moment at which a local day begins."""
    return datetime(day.year, day.month, day.day) - EAST
