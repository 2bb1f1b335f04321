"""Life on the site, hour by hour: meters count, balances fall, some go dark, some pay.

After every hour the database must say what the independent calculation says, to the cent, and the
relays must stand as the balances want it.
"""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import site_plan
from independent_rating import Ledger
from running_site import RunningSite
from site_plan import ACCOUNTS, HOUR, METERS


class Tenancy:
    def __init__(self, site: RunningSite) -> None:
        self.site = site
        self.ledger = Ledger()
        self.off_at: dict[int, object] = {}
        self.cuts = dict.fromkeys((account.number for account in ACCOUNTS), 0)
        self._registers: dict[str, str] = {}

    def begin(self) -> None:
        """Look at the site as it starts, deposits paid."""
        self.read()
        for account in ACCOUNTS:
            self.ledger.pay(account.number, account.deposit)
        self.check()

    def live(self, until: timedelta, step: timedelta = HOUR) -> None:
        """Go on until so long after the site's start."""
        while self.site.moment < site_plan.START + until:
            dark = set(self.off_at)
            before = self._registers
            self.site.step(self.site.moment + step)
            self.read()
            for meter in METERS:
                if meter.account in dark:
                    assert self._registers[meter.serial] == before[meter.serial], meter
            self.check()
            self._pay_what_is_due()

    def read(self) -> None:
        """Take down what all meters show now."""
        self._registers = self.site.registers()
        for serial, register in self._registers.items():
            self.ledger.read(serial, self.site.moment, register)

    def _pay(self, account: int, amount: str) -> None:
        self.site.pay(account, amount)
        self.ledger.pay(account, amount)

    def _pay_what_is_due(self) -> None:
        paid = False
        for account in ACCOUNTS:
            off_at, payments = self.off_at.get(account.number), account.pays
            turn = self.cuts[account.number] - 1
            if off_at is None or turn >= len(payments):
                continue
            hours, amount = payments[turn]
            if self.site.moment >= off_at + hours * HOUR:
                self._pay(account.number, amount)
                paid = True
        if paid:
            self.check()

    def check(self) -> None:
        """Compare everything with what it should be at this moment."""
        site = self.site
        owed = {account.number: self.ledger.balance(account.number) for account in ACCOUNTS}
        found = {number: Fraction(balance) for number, balance in site.balances().items()}
        self._compare("balances", found, owed)
        shown = {serial: Decimal(register) for serial, register in self._registers.items()}
        self._compare("last readings", site.last_readings(), shown)
        self._note_cuts(owed)
        wanted = {meter.serial: "off" if meter.account in self.off_at else "on" for meter in METERS}
        self._compare("relays", site.relays(), wanted)
        self._compare("known supplies", site.known_supplies(), wanted)

    def _compare(self, what: str, found: dict, expected: dict) -> None:
        """Say of each key that differs what is there and what should be."""
        wrong = {
            key: (str(found.get(key)), str(expected.get(key)))
            for key in found.keys() | expected.keys()
            if found.get(key) != expected.get(key)
        }
        assert not wrong, f"{what} at {self.site.moment} UTC (found, expected): {wrong}"

    def _note_cuts(self, owed: dict[int, Fraction]) -> None:
        protected = {meter.account for meter in METERS if meter.is_protected}
        for number, balance in owed.items():
            is_off = balance <= 0 and number not in protected
            if is_off and number not in self.off_at:
                self.off_at[number] = self.site.moment
                self.cuts[number] += 1
            elif not is_off:
                self.off_at.pop(number, None)
