"""Taking what an account has paid ahead without ever owing more than it paid, at any date."""

from collections import deque
from collections.abc import Iterable
from datetime import date
from decimal import Decimal


class Advances:
    """What one account has paid ahead, day by day; taking from it lowers every later day."""

    def __init__(self, days: Iterable[tuple[date, Decimal]] = ()):
        """Begin with the movements of the ledger.

        :param days: (date, amount), received above zero, used below; any order, dates may repeat
        """
        self._days: dict[date, Decimal] = {}
        for day, amount in days:
            self.add(day, amount)

    def add(self, day: date, amount: Decimal) -> None:
        """Receive an amount at a date; below zero it is used."""
        self._days[day] = self._days.get(day, Decimal(0)) + amount

    def lowest(self, day: date) -> Decimal:
        """Return the lowest balance at the end of a day or of any later one."""
        balance = sum((amount for at, amount in self._days.items() if at <= day), Decimal(0))
        lowest = balance
        for at in sorted(at for at in self._days if at > day):
            balance += self._days[at]
            lowest = min(lowest, balance)
        return lowest

    def take(self, day: date, wanted: Decimal) -> Decimal:
        """Use up to an amount at a date.

        :return: what the advances cover of it, at that day and at every later one
        """
        taken = max(min(wanted, self.lowest(day)), Decimal(0))
        if taken:
            self.add(day, -taken)
        return taken


def settle_open(
    items: Iterable[tuple[int, date, Decimal]], advances: Advances, today: date
) -> list[tuple[int, date, Decimal]]:
    """Plan how the open receivables of one account are settled from its advances.

    Each is settled at its own date as far as advances cover it then, the rest today. Where more was
    credited than charged (below zero), it goes back to the advances at its own date, first of all.

    :param items: (key, date, amount open), oldest first; below zero: a credit
    :param advances: brought up to date
    :return: (key, date, amount) in the same order of keys, signed like the items
    """
    items = list(items)
    plan = []
    for key, day, amount in items:
        if amount < 0:
            advances.add(day, -amount)
            plan.append((key, day, amount))
    for key, day, amount in items:
        if amount > 0:
            left = amount
            for at in dict.fromkeys((day, max(day, today))):
                taken = advances.take(at, left)
                if taken:
                    plan.append((key, at, taken))
                    left -= taken
    return plan


def match(
    debits: Iterable[tuple[int, Decimal]], credits: Iterable[tuple[int, Decimal]]
) -> list[tuple[int, int]]:
    """Pair debits with credits, oldest first on both sides.

    :param debits: (key, amount above zero), oldest first
    :param credits: likewise
    :return: (debit key, credit key) in the order in which they are matched
    """
    debits, credits = deque(debits), deque(credits)
    pairs = []
    while debits and credits:
        debit, owed = debits.popleft()
        credit, given = credits.popleft()
        pairs.append((debit, credit))
        if owed > given:
            debits.appendleft((debit, owed - given))
        elif given > owed:
            credits.appendleft((credit, given - owed))
    return pairs
