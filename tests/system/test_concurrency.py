"""Many workers on the same accounts, on a real database with real transactions.

Odoo's own test cursor is one transaction and cannot show any of this.
"""

import json
import subprocess
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import PREFIX
from tools import databases, folders, odoo_command, postgres

CONTENTION = Path(__file__).parent / "contention.py"
METERS = 200
WORKERS = 8
# What a caller may be told instead of being served: it is safe to ask again with the same key.
RETRYABLE = {"SerializationFailure", "DeadlockDetected", "LockNotAvailable"}


class Contended:
    """A database with METERS accounts that pay 0.60 a unit, and workers to set on it."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.meters: list[int] = []
        self.wallets: list[int] = []
        self.plant: tuple[str, str, str] | None = None

    def run(self, scenario: str, workers: int = 1, **arguments: object) -> list:
        """Run a scenario of contention.py; returns what each worker came to."""
        done = subprocess.run(
            [
                folders.PYTHON, CONTENTION, self.database, scenario,
                json.dumps({"workers": workers, "plant": self.plant, **arguments}),
            ],
            env=odoo_command.environment(),
            cwd=folders.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr[-10000:])
        return json.loads(done.stdout.splitlines()[-1])

    def rows(self, query: str, *values: object) -> list[tuple]:
        with (
            closing(postgres.connect(self.database)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query, values)
            return cursor.fetchall()

    def entries(self, wallet: int, kind: str) -> list[Decimal]:
        return [
            Decimal(amount)
            for (amount,) in self.rows(
                "SELECT amount::text FROM energy_wallet_entry WHERE wallet_id = %s AND kind = %s"
                " ORDER BY number",
                wallet,
                kind,
            )
        ]

    def balance(self, wallet: int) -> Decimal:
        rows = self.rows("SELECT balance::text FROM energy_wallet WHERE id = %s", wallet)
        return Decimal(rows[0][0])

    def queued(self) -> int:
        return self.rows("SELECT count(*) FROM energy_settlement_queue")[0][0]

    def counted(self, meter: int) -> Decimal:
        rows = self.rows(
            "SELECT COALESCE(sum(quantity), 0)::text FROM energy_usage WHERE meter_id = %s", meter
        )
        return Decimal(rows[0][0])


@pytest.fixture(scope="module")
def contended_template(demo_template):
    name = f"{PREFIX}_contended_template"
    databases.copy(demo_template, name, throw_away=True)
    try:
        site = Contended(name)
        [made] = site.run("make", count=METERS)
        # Opening registers wait in the queue as well.
        site.run("settle_many", meters=[], batch=METERS)
        assert site.queued() == 0
        yield name, made
    finally:
        databases.drop(name)


@pytest.fixture
def contended(contended_template, fresh_database):
    """A fresh database; when the test ends, the checker must find nothing."""
    template, made = contended_template
    site = Contended(fresh_database(template, f"{PREFIX}_contended"))
    site.meters, site.wallets = made["meters"], made["wallets"]
    yield site
    assert site.run("check") == [{}]


def test_five_hundred_credits_from_eight_workers(contended):
    wallet = contended.wallets[0]
    count = 500 // WORKERS
    results = contended.run("credits", WORKERS, wallet=wallet, count=count)
    told = [answer for of_worker in results for answer in of_worker]
    # Whoever comes while another one is there waits: nobody is refused, nothing is lost.
    assert all(isinstance(answer, int) for answer in told), set(map(str, told)) & RETRYABLE
    assert len(set(told)) == WORKERS * count
    assert contended.entries(wallet, "top_up") == [Decimal("1.00")] * WORKERS * count
    assert contended.balance(wallet) == WORKERS * count


def test_same_key_thirty_two_times_at_once(contended):
    wallet = contended.wallets[0]
    answers = contended.run("same_key", 32, wallet=wallet)
    assert contended.entries(wallet, "top_up") == [Decimal("50.00")]
    told = {answer for answer in answers if isinstance(answer, int)}
    assert len(told) == 1
    # So many at once may be told that others are there.
    assert set(answers) - told <= {"UserError"}
    # Asked again, later, the answer is the same entry.
    assert contended.run("same_key", 1, wallet=wallet) == list(told)


def test_twenty_withdrawals_at_once_stop_at_zero(contended):
    wallet, other = contended.wallets[:2]
    contended.run("credits", 1, wallet=wallet, count=100)
    answers = contended.run("withdrawals", 20, wallet=wallet, to_wallet=other)
    assert sorted(answers) == ["UserError"] * 10 + ["done"] * 10
    refunds, out = contended.entries(wallet, "refund"), contended.entries(wallet, "transfer")
    assert refunds + out == [Decimal("-10.00")] * 10
    assert contended.balance(wallet) == 0
    assert contended.balance(other) == -sum(out)


def test_refused_request_replayed_at_once_is_done_once_after_a_top_up(contended):
    wallet = contended.wallets[0]
    [request] = contended.run("draft", 1, wallet=wallet, amount=40.0)
    assert contended.run("requests", 32, request=request) == ["UserError"] * 32
    assert contended.entries(wallet, "refund") == []
    contended.run("credits", 1, wallet=wallet, count=50)
    answers = contended.run("requests", 32, request=request)
    assert {"done"} <= set(answers) <= {"done", "UserError"}
    assert contended.run("requests", 1, request=request) == ["done"]
    assert contended.entries(wallet, "refund") == [Decimal("-40.00")]
    assert contended.balance(wallet) == 10


def test_charge_and_payment_at_once(contended):
    wallet, meter = contended.wallets[0], contended.meters[0]
    rounds = 50
    _settled, paid = contended.run(
        "charge_and_payment", 2, wallet=wallet, meter=meter, rounds=rounds
    )
    contended.run("settle_many", 1, meters=[], batch=200)
    told = [answer for answer in paid if isinstance(answer, int)]
    assert {answer for answer in paid if not isinstance(answer, int)} <= RETRYABLE
    assert contended.entries(wallet, "top_up") == [Decimal("1.00")] * len(told)
    # 50 kWh at 0.60, in however many entries.
    assert sum(contended.entries(wallet, "use")) == Decimal("-30.00")
    assert contended.balance(wallet) == len(told) - Decimal("30.00")
    after = contended.rows(
        "SELECT amount::text, balance_after::text FROM energy_wallet_entry WHERE wallet_id = %s"
        " ORDER BY number",
        wallet,
    )
    assert all(Decimal(one[1]) + Decimal(two[0]) == Decimal(two[1]) for one, two in pairwise(after))
    assert contended.queued() == 0


def test_month_end_while_charges_are_posted(contended):
    """No entry gets into a frozen period, none is invoiced twice, none is dropped."""
    wallet, meter = contended.wallets[0], contended.meters[0]
    rounds = 30
    _settled, *told = contended.run("month_end", 3, wallet=wallet, meter=meter, rounds=rounds)
    assert {name for names in told for name in names} <= RETRYABLE
    contended.run("settle_many", 1, meters=[], batch=200)
    contended.run("month_end", 2, wallet=wallet, meter=meter, rounds=rounds + 1)
    # The last reading may have come while the other one held the balance.
    contended.run("settle_many", 1, meters=[], batch=200)
    assert sum(contended.entries(wallet, "use")) == Decimal(rounds + 1) * Decimal("-0.60")
    invoiced = contended.rows(
        """
        SELECT count(*), count(DISTINCT m.energy_period_id), sum(m.amount_total_signed)::text
          FROM account_move m JOIN energy_billing_period p ON p.move_id = m.id
          JOIN energy_wallet w ON w.account_id = p.account_id AND w.id = %s
         WHERE m.state = 'posted'
        """,
        wallet,
    )
    open_entries = contended.rows(
        """
        SELECT COALESCE(-sum(e.amount), 0)::text FROM energy_wallet_entry e
          JOIN energy_billing_period p ON p.id = e.period_id AND p.state = 'open'
         WHERE e.wallet_id = %s
        """,
        wallet,
    )
    ((count, periods, total),) = invoiced
    assert count == periods > 1, "the periods did not end while charges were posted"
    assert Decimal(total) + Decimal(open_entries[0][0]) == Decimal(rounds + 1) * Decimal("0.60")


def test_two_workers_settle_one_account_a_hundred_rounds(contended):
    wallet, meter = contended.wallets[0], contended.meters[0]
    first, second = contended.run("settle_rounds", 2, meter=meter, rounds=100)
    assert [one + two for one, two in zip(first, second, strict=True)] == [1] * 100
    assert contended.entries(wallet, "use") == [Decimal("-0.60")] * 100
    assert contended.counted(meter) == 100
    assert contended.queued() == 0


def test_workers_share_a_queue_of_two_hundred_meters(contended):
    settled = contended.run("settle_many", 3, meters=contended.meters, batch=15)
    # A worker that finds the accounts at the head locked leaves them to those who hold them.
    assert sum(settled) == METERS
    for wallet, meter in zip(contended.wallets, contended.meters, strict=True):
        assert contended.entries(wallet, "use") == [Decimal("-6.00")]
        assert contended.counted(meter) == 10
    assert contended.queued() == 0


POINTS = [("energy_rating", "usage_written"), ("energy_wallet", "entry_written")]


@pytest.mark.parametrize("point", POINTS, ids=[name for _module, name in POINTS])
def test_connection_lost_while_settling_leaves_nothing_half(contended, point):
    wallet, meter = contended.wallets[0], contended.meters[0]
    [result] = contended.run("lose_connection", meter=meter, at=10, point=point, within_run=False)
    assert result["lost"] == [point[1]]
    assert result["error"]
    assert contended.entries(wallet, "use") == []
    assert contended.counted(meter) == 0
    assert contended.queued() == 1
    [result] = contended.run("lose_connection", meter=meter, at=20, point=point, within_run=True)
    assert result["lost"] == [point[1]]
    if contended.queued():
        contended.run("settle_many", 1, meters=[], batch=200)
    assert sum(contended.entries(wallet, "use")) == Decimal("-12.00")
    assert contended.counted(meter) == 20
    assert contended.queued() == 0
    assert contended.rows("SELECT * FROM energy_settlement_problem") == []


def test_change_of_customer_while_charging(contended):
    """A charge lands on the side of its reading, whoever comes first; no money is lost."""
    meters, wallets = contended.meters[:25], contended.wallets[:25]
    contended.run("top_up_all", 1, wallets=wallets)
    pairs, _none = contended.run("hand_over", 2, meters=meters)
    contended.run("settle_many", 1, meters=[], batch=200)
    assert len(pairs) == len(meters)
    for former, new in pairs:
        used = {
            account: contended.rows(
                "SELECT COALESCE(sum(amount), 0)::text FROM energy_wallet_entry"
                " WHERE account_id = %s AND kind = 'use'",
                account,
            )[0][0]
            for account in (former, new)
        }
        # 2 kWh before the moment, 1 kWh after it, at 0.60.
        assert used == {former: "-1.20", new: "-0.60"}
        balances = contended.rows(
            "SELECT account_id, balance::text FROM energy_wallet WHERE account_id IN (%s, %s)",
            former,
            new,
        )
        assert {account: Decimal(balance) for account, balance in balances} == {
            former: Decimal("0.00"),
            new: Decimal("48.20"),
        }


def test_payment_of_a_killed_cashier_is_made_at_once_by_another(contended):
    """Whoever dies at a balance holds it no longer than its connection lives."""
    wallet = contended.wallets[0]
    [(told, receipt, seconds)] = contended.run("killed_at_the_balance", wallet=wallet)
    assert isinstance(told, int), told
    assert seconds < 5
    assert contended.entries(wallet, "top_up") == [Decimal("50.00")]
    assert contended.rows("SELECT id, entry_key FROM energy_receipt WHERE id = %s", receipt) == [
        (receipt, "killed/1")
    ]


def test_receipt_of_a_killed_drawing_is_drawn_without_a_gap(contended):
    wallet = contended.wallets[0]
    [before] = contended.rows("SELECT COALESCE(max(number), 0) FROM energy_receipt")
    [name] = contended.run("killed_at_the_receipt", wallet=wallet)
    drawn = contended.rows("SELECT name, number FROM energy_receipt WHERE entry_key = 'killed/2'")
    assert drawn == [(name, before[0] + 1)]


# A planted defect for each property, and the check that must catch it.
def test_connectors_together_cut_no_more_than_one_may(contended):
    """200 rooms: four an hour. Three connectors, each of which sees what the others wait for."""
    contended.run("take_cuts", 3, meters=contended.meters, rounds=4)
    [(cut,)] = contended.rows("SELECT count(*) FROM energy_command WHERE sent_at IS NOT NULL")
    assert 3 <= cut <= 4
    stops = contended.rows("SELECT limit_count, state FROM energy_cut_breaker")
    assert stops == [(4, "tripped")]
    waiting = contended.rows(
        "SELECT count(*) FROM energy_command WHERE waits_for = 'breaker' AND state = 'queued'"
    )
    assert waiting == [(12 - cut,)]


DEFECTS = [
    (
        test_connectors_together_cut_no_more_than_one_may,
        "energy_cut_breaker.EnergyCutBreaker._cuts",
        "AND state = 'queued'",
        "AND state = 'queued' AND tries > 0",
    ),
    (
        test_five_hundred_credits_from_eight_workers,
        "energy_wallet_turn.EnergyWallet._repeated",
        "cr.commit()",
        "cr.rollback()",
    ),
    (
        test_same_key_thirty_two_times_at_once,
        "energy_wallet.EnergyWallet._without_known",
        "if draft.key not in known:",
        "if True:",
    ),
    (
        test_twenty_withdrawals_at_once_stop_at_zero,
        "energy_balance_request_posting.EnergyBalanceRequest._check_refund",
        "self._check_refundable(locked)",
        "pass",
    ),
    (
        test_refused_request_replayed_at_once_is_done_once_after_a_top_up,
        "energy_balance_request_posting.EnergyBalanceRequest._check_refundable",
        "raise UserError(message)",
        "self.state = 'done'",
    ),
    (
        test_charge_and_payment_at_once,
        "energy_wallet.EnergyWallet._post",
        "state[0:3] = balance, number, head",
        "state[1:3] = number, head",
    ),
    (
        test_two_workers_settle_one_account_a_hundred_rounds,
        "energy_rating.EnergyRating._drafts",
        "difference = target - row.posted",
        "difference = target",
    ),
    (
        test_receipt_of_a_killed_drawing_is_drawn_without_a_gap,
        "energy_receipt.EnergyReceipt._last_number",
        "COALESCE(max(number), 0)",
        "COALESCE(max(number), 0) + 1",
    ),
]


@pytest.mark.parametrize(
    ("check", "place", "line", "instead"), DEFECTS, ids=[check.__name__ for check, *_ in DEFECTS]
)
def test_planted_defect_is_caught(contended_template, fresh_database, check, place, line, instead):
    template, made = contended_template
    site = Contended(fresh_database(template, f"{PREFIX}_planted"))
    site.meters, site.wallets = made["meters"], made["wallets"]
    site.plant = (place, line, instead)
    with pytest.raises(AssertionError):
        check(site)
        assert site.run("check") == [{}]
