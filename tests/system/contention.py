"""Workers that contend for the same accounts: a program of its own, run as
`python tests/system/contention.py DATABASE SCENARIO ARGUMENTS` with Odoo's configuration in ODOO_RC
and the arguments as JSON. It forks as many workers as the scenario wants, each with connections of
its own, and prints what they came to as one JSON list.
"""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from contextlib import closing, nullcontext
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial, reduce
from pathlib import Path
from unittest.mock import patch

import odoo.tools.config
import psycopg2
from odoo import SUPERUSER_ID, Command, api, sql_db
from odoo.modules.registry import Registry
from odoo.service.model import retrying

# Beside the add-on's own tests, which are not imported here.
sys.path.append(str(Path(__file__).parents[2] / "addons" / "prepaid_energy" / "tests"))
from planting import planted

START = datetime(2026, 3, 1) - timedelta(hours=8)  # midnight of 1 March in Shanghai, in UTC
MINUTE = timedelta(minutes=1)
PATIENCE = 240  # real seconds that workers wait for each other


class Worker:
    """One of several processes; `turn` waits until all have come as far."""

    def __init__(self, database, number, barrier):
        self.number = number
        self.count = barrier.parties
        self._registry = Registry(database)
        self._barrier = barrier

    def turn(self):
        self._barrier.wait(PATIENCE)

    def within(self, function):
        """Call function(env) in a transaction as a request does: repeated where it conflicts."""
        with closing(self._registry.cursor()) as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            return retrying(partial(function, env), env)

    def insist(self, function):
        """Call function(env) in a transaction as a connector does: again if another was first."""
        while True:
            try:
                with closing(self._registry.cursor()) as cr:
                    result = function(api.Environment(cr, SUPERUSER_ID, {}))
                    cr.commit()
                    return result
            except (psycopg2.errors.SerializationFailure, psycopg2.errors.UniqueViolation):
                continue

    def settle(self):
        """Settle as a connector or the scheduled action does; returns the accounts settled."""
        with closing(self._registry.cursor()) as cr:
            return api.Environment(cr, SUPERUSER_ID, {})["energy.settlement"]._run()

    def pay(self, wallet, amount, key):
        """Pay and return the entry's id, or the name of what the caller is told instead."""

        def top_up(env):
            cash = env.ref("prepaid_energy.company_demo")
            method = env["energy.payment.method"].search(
                [("company_id", "=", cash.id), ("kind", "=", "cash")], limit=1
            )
            return env["energy.wallet"].browse(wallet)._top_up(amount, key, method).id

        def in_turn(env):
            return env["energy.wallet"]._in_turn([wallet], top_up)

        try:
            return self.within(in_turn)
        except Exception as error:  # noqa: BLE001 - whatever the caller is told is the result
            return type(error).__name__

    def ask(self, wallet, amount, to_wallet=None):
        """Draft a refund, or a transfer to another balance; returns the request's id."""

        def draft(env):
            wallets = env["energy.wallet"]
            method = env["energy.payment.method"].search(
                [("company_id", "=", wallets.browse(wallet).company_id.id), ("kind", "=", "cash")],
                limit=1,
            )
            values = {
                "kind": "refund",
                "account_id": wallets.browse(wallet).account_id.id,
                "wallet_id": wallet,
                "amount": amount,
                "method_id": method.id,
            }
            if to_wallet:
                values |= {
                    "kind": "transfer",
                    "to_account_id": wallets.browse(to_wallet).account_id.id,
                    "to_wallet_id": to_wallet,
                }
            return env["energy.balance.request"].create(values).id

        return self.within(draft)

    def submit(self, request):
        """Press the request's button; returns its state then, or what the caller is told."""
        try:
            self.within(lambda env: env["energy.balance.request"].browse(request).action_submit())
        except Exception as error:  # noqa: BLE001 - whatever the caller is told is the result
            return type(error).__name__
        return self.within(lambda env: env["energy.balance.request"].browse(request).state)

    def read(self, meters, minute, total):
        self.within(
            lambda env: (
                env["energy.reading"]._ingest(
                    [
                        (meter, START + minute * MINUTE, Decimal(total), None, "poll")
                        for meter in meters
                    ]
                )
                and None
            )
        )


# What a worker does -----------------------------------------------------------------------------


def credits(worker, wallet, count):
    """Pay 1.00 many times, each with a key of its own."""
    worker.turn()
    return [
        worker.pay(wallet, 1.0, f"credit/{wallet}/{worker.number}/{turn}") for turn in range(count)
    ]


def same_key(worker, wallet):
    """Pay the same at the same time."""
    worker.turn()
    return worker.pay(wallet, 50.0, "same/1")


def top_up_all(worker, wallets):
    """Pay 50.00 to each of these balances."""
    return [worker.pay(wallet, 50.0, f"all/{wallet}") for wallet in wallets]


def withdrawals(worker, wallet, to_wallet):
    """Half of the workers pay 10.00 back, the others transfer 10.00, all at the same time."""
    request = worker.ask(wallet, 10.0, to_wallet if worker.number % 2 else None)
    worker.turn()
    return worker.submit(request)


def killed_at_the_balance(worker, wallet):
    """A process pays and is killed before it commits; then another one pays the same.

    Returns what the other one is told, its receipt, and the seconds that it took.
    """
    sql_db.close_all()
    ready, written = os.pipe()
    pid = os.fork()
    if not pid:
        point = "odoo.addons.prepaid_energy.models.energy_wallet.reached"

        def stop(reached):
            if reached == "entry_written":
                os.write(written, b".")
                time.sleep(PATIENCE)

        with patch(point, stop):
            worker.pay(wallet, 50.0, "killed/1")
        os._exit(1)
    os.close(written)
    assert os.read(ready, 1), "it never came so far"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    before = time.monotonic()
    told = worker.pay(wallet, 50.0, "killed/1")
    receipt = worker.within(lambda env: env["energy.receipt"]._for(["killed/1"]).id)
    return told, receipt, time.monotonic() - before


def killed_at_the_receipt(worker, wallet):
    """A process is killed while it draws a receipt's number; then another one draws it.

    Returns the receipt's name.
    """
    worker.pay(wallet, 50.0, "killed/2")
    sql_db.close_all()
    ready, written = os.pipe()
    pid = os.fork()
    if not pid:
        receipt = worker._registry["energy.receipt"]
        draw = receipt._draw

        def stop(self, keys):
            draw(self, keys)
            os.write(written, b".")
            time.sleep(PATIENCE)

        with patch.object(receipt, "_draw", stop):
            worker.within(lambda env: env["energy.receipt"]._numbered(["killed/2"]) and None)
        os._exit(1)
    os.close(written)
    assert os.read(ready, 1), "it never came so far"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    drawn = worker.within(lambda env: env["energy.receipt"]._numbered(["killed/2"]))
    return drawn["killed/2"]["name"]


def draft(worker, wallet, amount):
    """Draft a refund."""
    return worker.ask(wallet, amount)


def requests(worker, request):
    """Submit the same request at the same time."""
    worker.turn()
    return worker.submit(request)


def charge_and_payment(worker, wallet, meter, rounds):
    """The first worker reads and settles, the second one pays."""
    worker.turn()
    results = []
    for turn in range(1, rounds + 1):
        if worker.number:
            results.append(worker.pay(wallet, 1.0, f"pay/{turn}"))
        else:
            worker.read([meter], turn, turn)
            results.append(worker.settle())
    return results


def month_end(worker, wallet, meter, rounds):
    """In every round the first worker reads and settles while the others end the period."""
    results = []
    for turn in range(1, rounds + 1):
        worker.turn()
        if not worker.number:
            worker.read([meter], turn, turn)
            results.append(worker.settle())
            continue
        date = START.date() + timedelta(days=turn)
        try:
            worker.within(
                lambda env, date=date: (
                    env["energy.wallet"].browse(wallet).account_id._invoice_until(date) and None
                )
            )
        except Exception as error:  # noqa: BLE001 - whatever the caller is told is the result
            results.append(type(error).__name__)
    return results


def settle_rounds(worker, meter, rounds):
    """In every round one reading comes, then all workers settle at once."""
    results = []
    for turn in range(1, rounds + 1):
        if not worker.number:
            worker.read([meter], turn, turn)
        worker.turn()
        results.append(worker.settle())
        worker.turn()
    return results


def settle_many(worker, meters, batch):
    """Many accounts are due at once, more than one transaction takes."""
    if not worker.number:
        worker.read(meters, 60, 10)
    worker.turn()
    with patch("odoo.addons.prepaid_energy.models.energy_settlement_run.BATCH", batch):
        return worker.settle()


def lose_connection(worker, meter, at, point, within_run):
    """The server ends the connection in the middle of settling, once.

    :param point: module of this project's models and the crash point in it
    :param within_run: settle by `_run`, which has to go on by itself, or by one bare `_settle`
    """
    worker.read([meter], at, at)
    module, name = point
    model = worker._registry["energy.settlement"]
    settle, backends, lost = model._settle, [], []

    def noted(self, *args, **kwargs):
        backends.append(self.env.cr._cnx.info.backend_pid)
        return settle(self, *args, **kwargs)

    def cut(reached):
        if reached == name and not lost:
            lost.append(reached)
            with closing(sql_db.db_connect("postgres").cursor()) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [backends[-1]])

    error = ""
    with (
        patch(f"odoo.addons.prepaid_energy.models.{module}.reached", cut),
        patch.object(model, "_settle", noted),
    ):
        try:
            if within_run:
                worker.settle()
            else:
                with closing(worker._registry.cursor()) as cr:
                    api.Environment(cr, SUPERUSER_ID, {})["energy.settlement"]._settle_here()
                    cr.commit()
        except psycopg2.Error as failure:
            error = type(failure).__name__
    return {"lost": lost, "error": error}


def hand_over(worker, meters):
    """The first worker hands each meter over to another customer, the second reads and settles.

    Returns the former and the new account of each meter.
    """
    pairs = []
    for meter in meters:
        change = None if worker.number else worker.within(partial(_hand_over_draft, meter=meter))
        worker.turn()
        if worker.number:
            for minute in (1, 3):
                worker.read([meter], minute, minute)
                worker.settle()
        else:
            with closing(worker._registry.cursor()) as cr:
                _change(api.Environment(cr, SUPERUSER_ID, {}), change).action_confirm()
                cr.commit()
            pairs.append(worker.within(partial(_handed_over, change=change)))
        worker.turn()
    return pairs


def take_cuts(worker, meters, rounds):
    """Connectors that hold every so-manieth meter each: one more of each one's is to be cut in each
    round, and all take what is due before any of them writes.
    """
    if not worker.number:
        worker.within(_may_cut)
    worker.turn()
    mine = meters[worker.number :: worker.count]
    for turn in range(rounds):
        worker.within(partial(_want_cut, meter=mine[turn]))
        taken = worker.insist(lambda env: [o["id"] for o in env["energy.command"]._take(mine)])
        worker.turn()
        for order in taken:
            worker.insist(partial(_write, order=order))
        worker.turn()


def _may_cut(env):
    env["energy.credit.policy"].search([]).fresh_hours = 1000
    env.flush_all()
    env.cr.execute("UPDATE energy_meter SET can_switch = TRUE WHERE name LIKE 'CONTENDED%'")


def _want_cut(env, meter):
    account = env["energy.meter"].browse(meter).account_id
    env["energy.command"]._command(
        [
            {
                "meter_id": meter,
                "kind": "supply",
                "value": "off",
                "mode": "prepaid",
                "cause": "arrears",
                "user_id": env.uid,
                "account_id": account.id,
            }
        ]
    )


def _write(env, order):
    command = env["energy.command"].browse(order)
    if not command._check():
        command._sent("01 10")


def _change(env, change):
    company = env.ref("prepaid_energy.company_demo")
    return (
        env["energy.account.change"]
        .with_context(allowed_company_ids=company.ids, tracking_disable=True)
        .browse(change)
    )


def _hand_over_draft(env, meter):
    meter = env["energy.meter"].browse(meter)
    change = _change(env, None).create(
        {
            "kind": "customer",
            "account_id": meter.account_id.id,
            "new_partner_id": env["res.partner"].create({"name": "Successor"}).id,
            "moment": START + 2 * MINUTE,
            "leftover": "transfer",
            "reason": "Moves out",
        }
    )
    change.line_ids.register = 2
    return change.id


def _handed_over(env, change):
    change = _change(env, change)
    return [change.account_id.id, change.new_account_id.id]


def check(worker):
    """Return what the checker finds, by rule."""

    def findings(env):
        results = env["energy.checker"]._check()
        return {result["name"]: result["findings"] for result in results if result["findings"]}

    return worker.within(findings)


def make(worker, count):
    """Open accounts of one meter each at a flat price of 0.60; returns meters and wallets."""
    return worker.within(partial(_make, count=count))


def _make(env, count):
    company = env.ref("prepaid_energy.company_demo")
    env = env(context={"allowed_company_ids": company.ids, "tracking_disable": True})
    env["energy.clock"]._set(START + timedelta(days=20), 0)
    company.energy_refund_limit = 1000
    site = env["energy.property"].create(
        {"name": "Contended", "kind": "site", "tz": "Asia/Shanghai", "supply_state": "live"}
    )
    tariff = env["energy.tariff"].create({"name": "Flat 0.60", "commodity": "electricity"})
    version = env["energy.tariff.version"].create(
        {
            "tariff_id": tariff.id,
            "date_from": "2020-01-01",
            "band_ids": [Command.create({"name": "Flat", "key": "flat", "is_rest": True})],
        }
    )
    version.price_ids = [Command.create({"band_id": version.band_ids.id, "tier": 1, "price": 0.6})]
    version.action_approve()
    policy = env["energy.credit.policy"].create({"name": "Off at zero", "fresh_hours": 24})
    rooms = env["energy.property"].create(
        [{"name": f"R{n}", "kind": "room", "parent_id": site.id} for n in range(count)]
    )
    meters = env["energy.meter"].create(
        [{"name": f"CONTENDED-{room.id}", "property_id": room.id} for room in rooms]
    )
    partner = env["res.partner"].create({"name": "Tenant"})
    accounts = env["energy.account"].create(
        [
            {
                "partner_id": partner.id,
                "site_id": site.id,
                "room_ids": [Command.set(meter.property_id.ids)],
                "credit_policy_id": policy.id,
                "supply_ids": [
                    Command.create(
                        {
                            "meter_id": meter.id,
                            "start_at": START,
                            "tariff_id": tariff.id,
                            "multiplier": 1,
                        }
                    )
                ],
            }
            for meter in meters
        ]
    )
    accounts.action_activate()
    return {"meters": meters.ids, "wallets": accounts.wallet_ids.ids}


SCENARIOS = {
    function.__name__: function
    for function in (
        credits, same_key, top_up_all, withdrawals, draft, requests, charge_and_payment,
        month_end, settle_rounds, settle_many, lose_connection, hand_over, check, make,
        killed_at_the_balance, killed_at_the_receipt, take_cuts,
    )
}  # fmt: skip


def _work(database, scenario, number, barrier, results, arguments):
    try:
        result = SCENARIOS[scenario](Worker(database, number, barrier), **arguments)
    except BaseException:
        barrier.abort()
        results.put((number, None, traceback.format_exc()))
        raise
    results.put((number, result, ""))


def main(database, scenario, arguments):
    odoo.tools.config.parse_config(["-d", database], setup_logging=True)
    Registry(database)
    plant = arguments.pop("plant", None)
    with _defect(*plant) if plant else nullcontext():
        _run(database, scenario, arguments)


def _defect(place, line, instead):
    """Plant a defect in a function of the add-on's models, given as `module.Class.function`."""
    module, *names = place.split(".")
    module = importlib.import_module(f"odoo.addons.prepaid_energy.models.{module}")
    return planted(reduce(getattr, names, module), line, instead)


def _run(database, scenario, arguments):
    # No connection may be shared with the workers.
    sql_db.close_all()
    count = arguments.pop("workers", 1)
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(count), fork.Queue()
    workers = [
        fork.Process(target=_work, args=(database, scenario, number, barrier, results, arguments))
        for number in range(count)
    ]
    for worker in workers:
        worker.start()
    ended = sorted(results.get(timeout=PATIENCE) for _worker in workers)
    for worker in workers:
        worker.join()
    failures = [trace for _number, _result, trace in ended if trace]
    if failures:
        sys.exit("\n".join(failures))
    print(json.dumps([result for _number, result, _trace in ended]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
