"""Thousands of random operations, in any order and by several at once; the books always agree.

ENERGY_OPERATIONS is the number of operations of each hand, ENERGY_SEED where they begin.
"""

import json
import os
import subprocess
from collections import defaultdict
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import independent_rating
import pytest
import random_operations
import site_plan

from conftest import PREFIX
from tools import databases, folders, odoo_command, postgres

PROGRAM = Path(__file__).parent / "random_operations.py"
OPERATIONS = int(os.environ.get("ENERGY_OPERATIONS", "240"))
SEED = os.environ.get("ENERGY_SEED", "2026")


def run(database, scenario, workers=1, **arguments):
    done = subprocess.run(
        [
            folders.PYTHON, PROGRAM, database, scenario,
            json.dumps({"workers": workers, **arguments}),
        ],
        env=odoo_command.environment(),
        cwd=folders.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-10000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def random_template(demo_template):
    name = f"{PREFIX}_random_template"
    databases.copy(demo_template, name, throw_away=True)
    try:
        [accounts] = run(name, "make_random")
        yield name, accounts
    finally:
        databases.drop(name)


def rows(database, query, *values):
    with closing(postgres.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def owed(database, accounts):
    """What each account owes for its use, calculated apart from the add-ons.

    From the times at which a meter served an account and the readings there are of it.
    """
    ledger = independent_rating.Ledger()
    served = rows(
        database,
        """SELECT s.account_id, m.name, s.start_at, s.end_at, k.settled_until
             FROM energy_supply s JOIN energy_meter m ON m.id = s.meter_id
             LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
            WHERE s.account_id = ANY(%s) ORDER BY s.start_at""",
        accounts,
    )
    for account, serial, start, end, until in served:
        number = accounts.index(account)
        water = serial.startswith("RW")
        independent_rating.BY_SERIAL[serial] = site_plan.Meter(
            serial=serial,
            account=number,
            commodity="water" if water else "electricity",
            tariff="water" if water else random_operations.TARIFFS[number],
            curve="",
            scale="1",
            register="0",
            gateway=0,
            unit=0,
        )
        ledger._last.pop(serial, None)
        for (moment,) in rows(
            database,
            """SELECT r.moment FROM energy_reading_data r JOIN energy_meter m ON m.id = r.meter_id
                WHERE m.name = %s AND r.state = 'accepted' AND r.moment >= %s AND r.moment <= %s
                ORDER BY r.moment""",
            serial,
            start,
            end or until or start,
        ):
            ledger.read(serial, moment, random_operations.register(serial, moment))
    return [-ledger.balance(number) for number in range(len(accounts))]


@pytest.mark.parametrize("workers, check_every", [(1, 1), (4, 4)], ids=["alone", "four at once"])
def test_books_agree_whatever_happens(random_template, fresh_database, workers, check_every):
    template, accounts = random_template
    database = fresh_database(template, f"{PREFIX}_random_{workers}")
    results = run(
        database,
        "operate",
        workers,
        accounts=accounts,
        seed=SEED,
        count=OPERATIONS // workers,
        check_every=check_every,
    )
    for result in results:
        assert result["findings"] == {}, result
    assert run(database, "finish") == [{}]

    expected = defaultdict(Fraction)
    for result in results:
        for account, amount in result["done"]:
            expected[account] += Fraction(amount)
    balances = dict(
        rows(
            database,
            "SELECT account_id, sum(balance)::text FROM energy_wallet WHERE account_id = ANY(%s)"
            " GROUP BY account_id",
            accounts,
        )
    )
    due = owed(database, accounts)
    # What no hand did by itself: a closing pays back what is left, and a credit note for a paid
    # invoice undoes the matching that had brought the payment to the balance.
    followed = dict(
        rows(
            database,
            """SELECT e.account_id, sum(e.amount)::text FROM energy_wallet_entry e
                 LEFT JOIN energy_balance_request q ON 'request/' || q.id = e.key
                WHERE e.account_id = ANY(%s)
                  AND (q.remark IS DISTINCT FROM %s AND q.id IS NOT NULL
                       OR e.key LIKE 'partial/%%/undone')
                GROUP BY e.account_id""",
            accounts,
            random_operations.BY_HAND,
        )
    )
    for number, account in enumerate(accounts):
        done = expected[number] + Fraction(followed.get(account, "0"))
        assert Fraction(balances[account]) == done - due[number], number
    if workers == 1:
        # Which of several hands does what is chance; a single one does everything in any run.
        done = {name for name, count in results[0]["counts"].items() if count}
        assert set(random_operations.WEIGHTS) <= done, results[0]["counts"]
