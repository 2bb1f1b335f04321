"""What everybody owes, calculated apart from the add-ons: minute by minute, in fractions.

It takes the tariffs of `site_plan.py` and the registers that the simulator shows, and shares no
code with the rating engine. The rules are those of the tariffs' description:

- between two readings use flows evenly; a register at a moment that was not read is rounded half
  up to six decimals;
- tiers count the month's use of a commodity over all meters of an account; what falls into a tier
  is shared over the rate periods as the month's use is;
- what an account owes for a commodity and a month is rounded half up to the cent, once.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import pairwise

from site_plan import METERS, TARIFFS, ZONE, Tariff

MINUTE = timedelta(minutes=1)
BY_SERIAL = {meter.serial: meter for meter in METERS}


def half_up(value: Fraction, step: Fraction) -> Fraction:
    return (value / step + Fraction(1, 2)).__floor__() * step


@cache
def day_of(tariff: str, is_workday: bool) -> list[str]:
    """The rate period of each minute of a day."""
    plan = TARIFFS[tariff]
    minutes = [plan.rest] * 1440
    for window in plan.windows:
        if window.days == "workday" and not is_workday:
            continue
        first, end = round(window.hour_from * 60), round(window.hour_to * 60)
        if end <= first:
            end += 1440
        for minute in range(first, end):
            minutes[minute % 1440] = window.period
    return minutes


def cost(tariff: Tariff, use: dict[str, Fraction]) -> Fraction:
    """What the use of one month costs, by rate period, before rounding."""
    total = sum(use.values())
    if not total:
        return Fraction(0)
    bounds = [Fraction(0), *map(Fraction, tariff.limits), None]
    price_of = {period: list(map(Fraction, prices)) for period, prices in tariff.prices.items()}
    money = Fraction(0)
    for tier, (low, high) in enumerate(pairwise(bounds)):
        in_tier = max(total - low, 0) if high is None else max(min(total, high) - low, 0)
        for period, quantity in use.items():
            money += in_tier * quantity / total * price_of[period][tier]
    return money


class Ledger:
    """Balances of all accounts, from registers and payments."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[datetime, Fraction]] = {}
        self._use: dict[tuple, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
        self._tariff: dict[tuple, Tariff] = {}
        self._due: dict[tuple, Fraction] = {}
        self._paid: dict[int, Fraction] = defaultdict(Fraction)

    def pay(self, account: int, amount: str) -> None:
        self._paid[account] += Fraction(amount)

    def read(self, serial: str, moment: datetime, register: str | Fraction) -> None:
        """Take the register of a meter at a moment (naive UTC, whole minutes)."""
        register = Fraction(register)
        before, self._last[serial] = self._last.get(serial), (moment, register)
        if before is None:
            return
        meter = BY_SERIAL[serial]
        for (month, period), quantity in self._parts(meter.tariff, *before, moment, register):
            unit = meter.account, meter.commodity, month
            self._use[unit][period] += quantity
            self._tariff[unit] = TARIFFS[meter.tariff]
            self._due.pop(unit, None)

    @staticmethod
    def _parts(tariff, start, first, end, last):
        """Yield ((month, rate period), quantity) of the use between two readings."""
        local = start.replace(tzinfo=UTC).astimezone(ZONE)
        length = (end - start) // MINUTE
        lower, part_of = first, None
        for passed in range(length):
            day = day_of(tariff, local.weekday() < 5)
            part = local.strftime("%Y-%m"), day[60 * local.hour + local.minute]
            if part_of is not None and part != part_of:
                upper = half_up(
                    first + (last - first) * Fraction(passed, length), Fraction(1, 10**6)
                )
                yield part_of, upper - lower
                lower = upper
            part_of = part
            local += MINUTE
        yield part_of, last - lower

    def balance(self, account: int) -> Fraction:
        for unit in self._use:
            if unit not in self._due:
                self._due[unit] = half_up(
                    cost(self._tariff[unit], self._use[unit]), Fraction(1, 100)
                )
        due = sum(money for unit, money in self._due.items() if unit[0] == account)
        return self._paid[account] - due

    def used(self, account: int) -> Fraction:
        """All use of an account, of whatever commodity."""
        return sum(
            (sum(use.values()) for unit, use in self._use.items() if unit[0] == account),
            Fraction(0),
        )
