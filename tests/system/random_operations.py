"""Random operations on a few accounts: what the workers of `contention.py` do when everything may
happen in any order. Run as `python tests/system/random_operations.py DATABASE SCENARIO ARGUMENTS`.

What a meter shows is a function of the time, so that readings may come in any order, twice and
late. Everything that moves money is returned, so that the test can say what each balance must be.
"""

import json
import random
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import contention
import site_plan
from contention import START
from make_site import make_tariff
from odoo import SUPERUSER_ID, Command, api
from odoo.exceptions import UserError, ValidationError

MINUTE = timedelta(minutes=1)
# Tariffs by account; each has one electricity meter, the last two a water meter as well.
TARIFFS = ("flat", "time of use", "tiers", "tiers by rate period", "flat", "tiers")
WATER = (4, 5)
# What the requests of the hands say, to tell them from those that a closing makes.
BY_HAND = "By hand"


def register(serial: str, moment: datetime) -> Decimal:
    """What a meter shows at a moment: rises all the time, ever faster."""
    minutes = (moment - START) // MINUTE
    rate = 9 + 7 * int(serial[-2:]) % 23
    return Decimal(minutes * rate + minutes * minutes // 30_000) / 1000


def serials(account: int) -> list[str]:
    water = [f"RW{account:02d}"] if account in WATER else []
    return [f"RE{account:02d}", *water]


def make(worker):
    """Open the accounts; returns their ids."""
    return worker.within(_make)


def _make(env):
    company = env.ref("prepaid_energy.company_demo")
    company.write({"energy_refund_limit": 10**6, "energy_adjustment_limit": 10**6})
    env = env(context={"allowed_company_ids": company.ids, "tracking_disable": True})
    env["energy.clock"]._set(START, 0)
    site = env["energy.property"].create(
        {"name": "Random", "kind": "site", "tz": "Asia/Shanghai", "supply_state": "live"}
    )
    tariffs = {
        name: make_tariff(env, f"Random, {name}", site_plan.TARIFFS[name])
        for name in {*TARIFFS, "water"}
    }
    policy = env["energy.credit.policy"].create({"name": "Off at zero", "fresh_hours": 24})
    accounts = env["energy.account"]
    for number, tariff in enumerate(TARIFFS):
        room = env["energy.property"].create(
            {"name": f"Random {number}", "kind": "room", "parent_id": site.id}
        )
        meters = env["energy.meter"].create(
            [
                {
                    "name": serial,
                    "commodity": "water" if serial.startswith("RW") else "electricity",
                    "property_id": room.id,
                }
                for serial in serials(number)
            ]
        )
        accounts += env["energy.account"].create(
            {
                "partner_id": env["res.partner"].create({"name": f"Random {number}"}).id,
                "site_id": site.id,
                "room_ids": [Command.set(room.ids)],
                "credit_policy_id": policy.id,
                "supply_ids": [
                    Command.create(
                        {
                            "meter_id": meter.id,
                            "start_at": START,
                            "tariff_id": tariffs[
                                tariff if meter.commodity == "electricity" else "water"
                            ].id,
                            "multiplier": 1,
                        }
                    )
                    for meter in meters
                ],
            }
        )
    accounts.action_activate()
    return accounts.ids


class Hand:
    """One worker doing one thing after the other; `done` lists what moved money, by account."""

    def __init__(self, worker, accounts, seed):
        self.worker = worker
        self.accounts = accounts
        self.random = random.Random(f"{seed}/{worker.number}")
        self.done = []
        self.readings = []
        self.counts = Counter()
        self.turn = 0

    def within(self, function):
        return self.worker.within(function)

    def pick(self):
        return self.random.randrange(len(self.accounts))

    def cents(self, most):
        return self.random.randrange(1, most * 100) / 100

    def key(self, what):
        return f"{what}/{self.worker.number}/{self.turn}"

    def do(self, weights):
        """Do one random thing; what is refused with a reason is counted and changes nothing."""
        self.turn += 1
        name = self.random.choices(list(weights), list(weights.values()))[0]
        try:
            getattr(self, name)()
        except (UserError, ValidationError) as error:
            self.counts[f"{name} refused"] += 1
            self.last_refusal = str(error)
        else:
            self.counts[name] += 1

    def moved(self, account, amount):
        self.done.append((account, f"{amount:.2f}"))

    # Things to do ----------------------------------------------------------------------------

    def time_passes(self):
        hours = self.random.randrange(4, 30)
        self.within(lambda env: env["energy.clock"]._set(_now(env) + timedelta(hours=hours), 0))

    def read(self):
        serial = self.random.choice(serials(self.pick()))
        past = self.random.random() ** 3

        def read(env):
            now = _now(env)
            minutes = (now - START) // MINUTE
            if not minutes:
                return None
            moment = now - int(minutes * past) * MINUTE
            meter = env["energy.meter"].search([("name", "=", serial)])
            counts = env["energy.reading"]._ingest(
                [(meter.id, moment, register(serial, moment), None, "poll")]
            )
            return moment.isoformat(), dict(counts)

        if result := self.within(read):
            moment, counts = result
            assert not counts.get("held"), counts
            self.readings.append((serial, moment))

    def settle(self):
        self.worker.settle()

    def top_up(self):
        account, amount = self.pick(), self.cents(300)

        form = self.within(
            lambda env: (
                env["energy.top.up"]
                .create({"account_id": self.accounts[account], "amount": amount})
                .id
            )
        )

        def confirm(env):
            top_up = env["energy.top.up"].browse(form)
            top_up.action_confirm()
            if top_up.state == "ask":
                top_up.action_take_anyway()
            return top_up.state

        assert self.within(confirm) == "done"
        self.moved(account, amount)

    def request(self, account, values):
        request = self.within(
            lambda env: (
                env["energy.balance.request"]
                .create(
                    {
                        "account_id": self.accounts[account],
                        "reason": "other",
                        "remark": BY_HAND,
                        **values,
                    }
                )
                .id
            )
        )
        state = self.within(partial(_submit, request=request))
        assert state == "done", state

    def refund(self):
        account, amount = self.pick(), self.cents(60)
        self.request(account, {"kind": "refund", "amount": amount})
        self.moved(account, -amount)

    def adjustment(self):
        account, amount = self.pick(), self.cents(40) * self.random.choice((1, -1))
        self.request(account, {"kind": "adjustment", "amount": amount})
        self.moved(account, amount)

    def transfer(self):
        giver, taker = self.random.sample(range(len(self.accounts)), 2)
        amount = self.cents(50)
        target = self.accounts[taker]
        self.request(giver, {"kind": "transfer", "amount": amount, "to_account_id": target})
        self.moved(giver, -amount)
        self.moved(taker, amount)

    def write_off(self):
        account = self.pick()
        owed = -self.within(
            lambda env: sum(
                env["energy.account"].browse(self.accounts[account]).wallet_ids.mapped("balance")
            )
        )
        amount = round(min(max(owed, 0.01), 5), 2)
        self.request(account, {"kind": "write_off", "amount": amount})
        self.moved(account, amount)

    def reverse(self):
        account = self.pick()
        found = self.within(
            lambda env: [
                (entry.key, entry.amount)
                for entry in env["energy.wallet.entry"].search(
                    [
                        ("account_id", "=", self.accounts[account]),
                        ("kind", "=", "top_up"),
                        ("method_id", "!=", False),
                    ]
                )
            ]
        )
        if not found:
            return
        key, amount = self.random.choice(found)
        self.request(account, {"kind": "reversal", "entry_key": key, "amount": amount})
        self.moved(account, -amount)

    def book(self):
        with closing(self.worker._registry.cursor()) as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            env["energy.booking"]._cron_book_entries()
            cr.commit()

    def invoice(self):
        """Invoice some accounts up to the end of last month, or now and then up to today."""
        until_today = self.random.random() < 0.1
        chosen = [self.accounts[self.pick()]]

        def invoice(env):
            accounts = env["energy.account"].browse(chosen)
            today = accounts.site_id._today()
            accounts._invoice_until(
                today if until_today else today.replace(day=1) - timedelta(days=1)
            )

        self.within(invoice)

    def reverse_invoice(self):
        def reverse(env):
            moves = env["account.move"].search(
                [
                    ("energy_period_id.account_id", "in", self.accounts),
                    ("move_type", "=", "out_invoice"),
                    ("state", "=", "posted"),
                    ("reversal_move_ids", "=", False),
                ]
            )
            if moves:
                move = self.random.choice(moves.sorted("id"))
                move._reverse_moves([{"date": move.date}], cancel=True)

        self.within(reverse)

    def reset_invoice(self):
        """An accountant resets an invoice to draft and posts it again."""

        def reset(env):
            moves = env["account.move"].search(
                [
                    ("energy_period_id.account_id", "in", self.accounts),
                    ("state", "=", "posted"),
                    ("reversal_move_ids", "=", False),
                    ("move_type", "=", "out_invoice"),
                ]
            )
            if moves:
                move = self.random.choice(moves.sorted("id"))
                move.button_draft()
                move.action_post()

        self.within(reset)

    def pay_invoice(self):
        """Money reaches an open invoice through Odoo's own *Pay*."""

        def pay(env):
            moves = env["account.move"].search(
                [
                    ("energy_period_id.account_id", "in", self.accounts),
                    ("move_type", "=", "out_invoice"),
                    ("state", "=", "posted"),
                    ("payment_state", "in", ("not_paid", "partial")),
                    ("amount_residual", ">", 1),
                ]
            )
            if not moves:
                return None
            move = self.random.choice(moves.sorted("id"))
            amount = round(self.random.uniform(0.01, move.amount_residual), 2)
            env["account.payment.register"].with_context(
                active_model="account.move", active_ids=move.ids
            ).create({"amount": amount})._create_payments()
            return self.accounts.index(move.energy_period_id.account_id.id), amount

        if paid := self.within(pay):
            self.moved(*paid)

    def close(self):
        """Close an account; the money that is left is refunded, or asked for."""
        self.change("close")

    def reopen(self):
        self.change("reopen")

    def change(self, kind):
        account = self.pick()

        def make(env):
            document = env["energy.account.change"].create(
                {"kind": kind, "account_id": self.accounts[account], "reason": BY_HAND}
            )
            for line in document.line_ids:
                line.register = float(register(line.meter_id.name, document.moment))
            return document.id

        change = self.within(make)
        self.within(
            lambda env: env["energy.account.change"].browse(change).action_confirm() and None
        )


def _now(env):
    env.cr.execute("SELECT energy_now()")
    return env.cr.fetchone()[0]


def _submit(env, request):
    record = env["energy.balance.request"].browse(request)
    record.action_submit()
    record.invalidate_recordset()
    with closing(env.registry.cursor()) as cr:
        return record.with_env(env(cr=cr)).state


WEIGHTS = {
    "time_passes": 10,
    "read": 24,
    "settle": 14,
    "top_up": 14,
    "refund": 5,
    "transfer": 4,
    "adjustment": 4,
    "write_off": 3,
    "reverse": 3,
    "book": 7,
    "invoice": 6,
    "reverse_invoice": 2,
    "reset_invoice": 3,
    "pay_invoice": 4,
    "close": 2,
    "reopen": 4,
}


def operate(worker, accounts, seed, count, check_every):
    """Do random things; returns what moved money, the readings, counts, and findings if any."""
    hand = Hand(worker, accounts, seed)
    weights = dict(WEIGHTS)
    if worker.number:
        # One hand moves the clock.
        del weights["time_passes"]
    for turn in range(count):
        hand.do(weights)
        if turn % check_every == 0 and (found := contention.check(worker)):
            return {"seed": seed, "turn": turn, "counts": hand.counts, "findings": found}
    return {"done": hand.done, "readings": hand.readings, "counts": hand.counts, "findings": {}}


def finish(worker):
    """Settle, invoice and book all that is left."""
    worker.settle()
    with closing(worker._registry.cursor()) as cr:
        env = api.Environment(cr, SUPERUSER_ID, {})
        env["energy.booking"]._cron_book_entries()
        cr.commit()
    return contention.check(worker)


contention.SCENARIOS.update(operate=operate, finish=finish, make_random=make)

if __name__ == "__main__":
    contention.main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
