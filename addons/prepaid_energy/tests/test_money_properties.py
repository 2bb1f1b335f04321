"""The properties of balances, each with a planted defect that its check catches.

docs/properties.md lists all properties, also those whose tests stand elsewhere.
"""

import random
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from unittest.mock import patch

import psycopg2
from odoo.exceptions import UserError
from odoo.modules.registry import Registry
from odoo.sql_db import db_connect
from odoo.tests import tagged
from odoo.tools import mute_logger

from .. import rating_work
from ..kept_rows import refuse_changes
from ..models import (
    energy_balance_request_posting,
    energy_billing_invoice,
    energy_booking,
    energy_rating,
    energy_settlement,
    energy_settlement_run,
    energy_wallet,
    energy_wallet_entry,
    energy_wallet_turn,
)
from ..models.energy_rating_rows import EnergyRating as RatingRows
from .common import START, EnergyCase
from .planting import PropertyCase
from .test_balance_request import RequestCase
from .test_closing import HOUR, ClosingCase

WALLET = energy_wallet.EnergyWallet
TURN = energy_wallet_turn.EnergyWallet
REQUEST = energy_balance_request_posting.EnergyBalanceRequest
RATING = energy_rating.EnergyRating
DAY = timedelta(days=1)


class LedgerCase(PropertyCase, RequestCase):
    """Accounts with balances of 0.00, and what their entries say."""

    def rows(self, query, *values):
        self.env.flush_all()
        self.env.cr.execute(query, values)
        return self.env.cr.fetchall()

    def rebuilt(self):
        """Rebuild every balance from the entries alone.

        :return: dict of wallet id to (balance Decimal, number of the last entry, head)
        """
        wallets = {
            wallet: (Decimal(0), 0, "") for (wallet,) in self.rows("SELECT id FROM energy_wallet")
        }
        columns = ", ".join(
            f"{name}::text" if name in ("amount", "balance_after") else name
            for name in energy_wallet.ENTRY_COLUMNS
        )
        for *row, _hash in self.rows(f"SELECT {columns} FROM energy_wallet_entry ORDER BY id"):
            balance, number, head = wallets[row[0]]
            wallets[row[0]] = (
                balance + Decimal(row[8]),
                number + 1,
                energy_wallet.entry_hash(head, tuple(row)),
            )
        return wallets

    def stored(self):
        """Return what `rebuilt` does, as the balances have it."""
        return {
            wallet: (Decimal(balance), number, head)
            for wallet, balance, number, head in self.rows(
                "SELECT id, balance::text, last_number, head FROM energy_wallet"
            )
        }

    def entry(self, key):
        return self.env["energy.wallet.entry"].search([("key", "=", key)])

    def total(self):
        """Return the money on the two accounts."""
        stored = self.stored()
        return sum(stored[wallet][0] for wallet in (self.account | self.other).wallet_ids.ids)

    def post(self, wallet, amounts, key):
        """Post one adjustment after the other."""
        wallets = self.env["energy.wallet"]
        drafts = [
            energy_wallet.Draft(
                wallet_id=wallet.id,
                kind="charge",
                category="other",
                amount=Decimal(amount),
                key=f"{key}/{number}",
                local_date=date(2026, 3, 1),
                note="Charge",
                user_id=self.env.uid,
                period_id=self.env["energy.billing.period"]
                ._open_for({(wallet.account_id.id, date(2026, 3, 1))})
                .popitem()[1],
            )
            for number, amount in enumerate(amounts)
        ]
        wallets._post(drafts, wallets._lock(wallet.ids))
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestLedgerProperties(LedgerCase):
    """Append-only, chained, keyed, conserved, rebuilt from entries (L6-L8, L10, A6)."""

    def test_entries_are_never_changed_or_deleted(self):
        entries = energy_wallet_entry.EnergyWalletEntry

        def check():
            entries.init(self.env["energy.wallet.entry"])
            entry = self.top_up(self.account, 20)
            for statement in (
                "UPDATE energy_wallet_entry SET amount = 30 WHERE id = %s",
                "DELETE FROM energy_wallet_entry WHERE id = %s",
                "TRUNCATE energy_wallet_entry CASCADE",
            ):
                with self.refused(psycopg2.errors.RestrictViolation, "never changed"):
                    self.env.cr.execute(statement, [entry.id] if "%s" in statement else None)
            for change in (lambda: entry.write({"amount": 30}), entry.unlink):
                with self.refused(UserError, "never"):
                    change()

        trigger = "BEFORE UPDATE OR DELETE ON"
        self.holds(
            check,
            (refuse_changes, trigger, "BEFORE DELETE ON"),
            (refuse_changes, trigger, "BEFORE UPDATE ON"),
            (
                refuse_changes,
                "FOR EACH STATEMENT EXECUTE",
                "FOR EACH STATEMENT WHEN (FALSE) EXECUTE",
            ),
        )

    def test_broken_chain_names_the_first_wrong_entry(self):
        """Also where the hash of a changed entry was made to fit: then the next one is named."""
        entries = energy_wallet_entry.EnergyWalletEntry

        def check():
            first, second, third = (
                self.top_up(self.account, 10 * n, f"chain/{n}") for n in (1, 2, 3)
            )
            with self.refused(ZeroDivisionError):
                self.forge("UPDATE energy_wallet_entry SET note = 'x' WHERE id = %s", first.id)
                self.assertEqual(self.first_broken(), first.id)
                raise ZeroDivisionError  # undone
            columns = ", ".join(energy_wallet.ENTRY_COLUMNS[:-1]).replace(
                "amount, balance_after", "amount::text, balance_after::text"
            )
            [row] = self.rows(f"SELECT {columns} FROM energy_wallet_entry WHERE id = %s", second.id)
            fitting = energy_wallet.entry_hash(first.hash, (*row[:21], "x", *row[22:]))
            with self.refused(ZeroDivisionError):
                self.forge(
                    "UPDATE energy_wallet_entry SET note = 'x', hash = %s WHERE id = %s",
                    fitting,
                    second.id,
                )
                self.assertEqual(self.first_broken(), third.id)
                raise ZeroDivisionError
            self.assertFalse(entries._broken_links(first))

        self.holds(
            check,
            (entries._broken_links, "if entry_hash(head, tuple(row)) != own_hash:", "if False:"),
            (energy_wallet.entry_hash, '"|".join([head, ', '"|".join(['),
        )

    def forge(self, statement, *values):
        self.rows("ALTER TABLE energy_wallet_entry DISABLE TRIGGER USER; SELECT 1")
        self.env.cr.execute(statement, values)
        self.rows("ALTER TABLE energy_wallet_entry ENABLE TRIGGER USER; SELECT 1")

    def first_broken(self):
        broken = self.env["energy.wallet.entry"]._broken_links(self.account.wallet_ids.ids)
        return broken[0][0] if broken else None

    def test_key_stands_for_one_body(self):
        def check():
            first = self.top_up(self.account, 20, key="till/1")
            self.assertEqual(self.top_up(self.account, 20, key="till/1"), first)
            for other, amount in ((self.account, 21), (self.other, 20)):
                with self.refused(UserError, "used before"):
                    self.top_up(other, amount, key="till/1")
            self.assertEqual(self.entries(self.account, "top_up"), ["20.00"])
            self.assertEqual(self.total(), 20)

        body = "elif known[draft.key] != (draft.wallet_id, draft.kind, draft.amount):"
        self.holds(
            check,
            (WALLET._without_known, body, "elif False:"),
            (WALLET._without_known, body, body.replace("draft.amount", "known[draft.key][2]")),
            (
                WALLET._without_known,
                body,
                body.replace("draft.wallet_id", "known[draft.key][0]"),
            ),
        )

    def test_refused_request_is_not_told_done(self):
        def check():
            request = self.ask("refund", 40, method_id=self.method.id)
            for _replay in range(3):
                with self.refused(UserError, "cannot be taken"):
                    request.action_submit()
                self.assertEqual(request.state, "draft")
            self.sell(50)
            for _replay in range(3):
                request.action_submit()
                self.assertEqual(request.state, "done")
            self.assertEqual(self.entries(self.account, "refund"), ["-40.00"])
            self.assertEqual(self.total(), 10)

        self.holds(
            check,
            (REQUEST._check_refund, "self._check_refundable(locked)", "pass"),
            (REQUEST._check_refundable, "raise UserError(message)", 'self.state = "done"'),
            (REQUEST._carry_out, "wallet._post(drafts, locked)", "pass"),
            (REQUEST._carry_out, 'self.state = "done"', "pass"),
        )

    def test_withdrawals_stop_at_zero(self):
        def check():
            self.sell(100)
            told = []
            for number in range(20):
                values = {"to_account_id": self.other.id} if number % 2 else {}
                kind = "transfer" if number % 2 else "refund"
                request = self.ask(kind, 10, method_id=self.method.id, **values)
                try:
                    with self.env.cr.savepoint():
                        request.action_submit()
                        told.append(request.state)
                except UserError:
                    told.append("refused")
            self.assertEqual(told, ["done"] * 10 + ["refused"] * 10)
            self.assertEqual(self.account.wallet_ids.balance, 0)
            self.assertEqual(self.total(), 50)

        self.holds(
            check,
            (REQUEST._check_refund, "self._check_refundable(locked)", "pass"),
            (REQUEST._check_transfer, "self._check_refundable(locked)", "pass"),
            (REQUEST._check_refundable, "<= refundable - asked", "< refundable - asked"),
        )

    def test_transfer_conserves_money(self):
        def check():
            self.sell(100)
            before = self.total()
            self.submit("transfer", 30, to_account_id=self.other.id)
            self.assertEqual(self.total(), before)
            self.assertEqual(self.entries(self.account, "transfer"), ["-30.00"])
            self.assertEqual(self.entries(self.other, "transfer"), ["30.00"])

        self.holds(
            check,
            (REQUEST._transfer_drafts, "-amount,", "-amount * 2,"),
            (REQUEST._transfer_drafts, "self.to_wallet_id,", "self.wallet_id,"),
        )

    def test_balances_rebuild_from_entries(self):
        """Operations in any order; then every balance is what its entries alone say."""

        def check():
            self.operate(random.Random(3), 30)
            self.assertEqual(self.rebuilt(), self.stored())
            self.assertGreater(len(self.rows("SELECT id FROM energy_wallet_entry")), 15)

        self.holds(
            check,
            (WALLET._post, "state[0:3] = balance, number, head", "state[1:3] = number, head"),
            (WALLET._post, "SET balance = v.balance,", "SET balance = GREATEST(v.balance, 0),"),
            (WALLET._post, "balance += draft.amount", "balance += abs(draft.amount)"),
        )

    def operate(self, choice, count):
        """Top up, use, refund, transfer, adjust and reverse at random."""
        total, hours = 0, 0
        for number in range(count):
            what = choice.choice(("top_up", "use", "refund", "transfer", "adjustment", "reversal"))
            amount = choice.randrange(1, 5000) / 100
            if what == "top_up":
                self.top_up(choice.choice((self.account, self.other)), amount, f"random/{number}")
                continue
            if what == "use":
                hours, total = hours + 1, total + choice.randrange(30)
                self.use(hours, str(total))
                continue
            values = {"amount": amount, "reason": "other", "remark": "Random"}
            if what == "refund":
                values["method_id"] = self.method.id
            elif what == "transfer":
                values["to_account_id"] = self.other.id
            elif what == "reversal":
                sold = self.account.entry_ids.filtered(lambda one: one.kind == "top_up")
                if not sold:
                    continue
                entry = choice.choice(sold.sorted("id"))
                values |= {"amount": entry.amount, "entry_key": entry.key}
            request = self.ask(what, **values)
            try:
                with self.env.cr.savepoint():
                    request.action_submit()
            except UserError:
                continue

    def test_every_read_path_shows_the_sum_of_the_entries(self):
        def check():
            self.sell(100)
            self.use(2, "50")
            self.submit("adjustment", -15, reason="other", remark="Wrong")
            self.sell(7, account=self.other)
            self.env.invalidate_all()
            books = self.env["energy.reconciliation"]
            for account in (self.account, self.other):
                entries = account.entry_ids.sorted("id")
                shown = f"{sum(entries.mapped('amount')):.2f}"
                finance = self.env["energy.finance.day"].search([("account_id", "=", account.id)])
                months = self.env["energy.advance.month"].search([("account_id", "=", account.id)])
                self.assertEqual(
                    {
                        "balance": f"{account.wallet_ids.balance:.2f}",
                        "account": f"{account.balance:.2f}",
                        "last entry": f"{entries[-1].balance_after:.2f}",
                        "books": f"{books.browse(account.id).balance:.2f}",
                        "by day": f"{sum(finance.mapped('amount')):.2f}",
                        "by month": f"{months.sorted('month')[-1].closing:.2f}",
                    },
                    dict.fromkeys(
                        ("balance", "account", "last entry", "books", "by day", "by month"), shown
                    ),
                )

        self.holds(
            check,
            (WALLET._post, "state[0:3] = balance, number, head", "state[1:3] = number, head"),
            (
                type(self.env["energy.reconciliation"])._terms,
                "SELECT account_id, 'balance', balance FROM energy_wallet",
                "SELECT account_id, 'balance', abs(balance) + 1 FROM energy_wallet",
            ),
        )

    def test_reversal_is_a_new_entry(self):
        def check():
            entry = self.sell(50)
            before = self.rows("SELECT * FROM energy_wallet_entry WHERE id = %s", entry.id)
            self.submit("reversal", entry_key=entry.key)
            after = self.rows("SELECT * FROM energy_wallet_entry WHERE id = %s", entry.id)
            self.assertEqual(before, after)
            reversal = self.entry(f"reversal/{entry.key}")
            self.assertGreater(reversal.id, entry.id)
            self.assertEqual(
                (reversal.kind, reversal.amount, reversal.cause_key),
                ("reversal", -50.0, entry.key),
            )
            self.assertEqual(self.total(), 0)

        self.holds(
            check,
            (REQUEST._reversal_drafts, "cause_key=one.key", "cause_key=None"),
            (
                REQUEST._reversal_drafts,
                "amount=-one.wallet_id._decimal(one.amount)",
                "amount=one.wallet_id._decimal(one.amount)",
            ),
        )

    def test_order_is_strict_in_each_balance(self):
        def check():
            self.post(self.account.wallet_ids, ["-1.00", "-2.50"], "order/a")
            self.sell(10, account=self.other)
            self.set_clock(START + HOUR)
            self.sell(20)
            self.use(2, "10")
            self.post(self.account.wallet_ids, ["-0.01"] * 5, "order/b")
            for account in (self.account, self.other):
                rows = self.rows(
                    "SELECT number, amount::text, balance_after::text, moment"
                    "  FROM energy_wallet_entry WHERE account_id = %s ORDER BY id",
                    account.id,
                )
                self.assertEqual([row[0] for row in rows], list(range(1, len(rows) + 1)))
                balance = Decimal(0)
                for _number, amount, after, _moment in rows:
                    balance += Decimal(amount)
                    self.assertEqual(Decimal(after), balance)
                self.assertTrue(all(one[3] <= two[3] for one, two in pairwise(rows)))

        self.holds(
            check,
            (WALLET._post, "number += 1", "number += 1 + len(rows)"),
            (WALLET._post, "balance += draft.amount", "balance = state[0]"),
            (
                WALLET._post,
                "now = clock.now(self.env.cr)",
                "import datetime; now = clock.now(self.env.cr) - datetime.timedelta("
                "hours=max(state[1] for state in locked.values()))",
            ),
        )

    def test_thousand_cents_do_not_drift(self):
        def check():
            self.post(self.account.wallet_ids, ["-0.01"] * 1000, "cent")
            [(balance,)] = self.rows(
                "SELECT balance::text FROM energy_wallet WHERE id = %s", self.account.wallet_ids.id
            )
            self.assertEqual(Decimal(balance), Decimal("-10"))

        self.holds(
            check,
            (
                WALLET._post,
                "balance += draft.amount",
                "balance = Decimal(float(balance) + float(draft.amount))",
            ),
        )

    def open_abroad(self):
        """Open an account of another company, whose currency is the euro."""
        cls = type(self)
        euro = self.env.ref("base.EUR")
        euro.active = True
        company = self.env["res.company"].create({"name": "Overseas", "currency_id": euro.id})
        self.env.user.company_ids += company
        policy = cls.policy.copy({"name": "Overseas", "company_id": company.id})
        site = self.env["energy.property"].create(
            {"name": "Overseas", "kind": "site", "tz": "UTC", "company_id": company.id}
        )
        with (
            patch.object(cls, "company", company),
            patch.object(cls, "site", site),
            patch.object(cls, "policy", policy),
        ):
            tariff = self.make_tariff("Overseas", {"flat": ["0.600000"]})
            return self.open_account(self.make_meter("Q7"), tariff=tariff)

    def test_currencies_do_not_mix(self):
        account = self.open_abroad()
        wallet = account.wallet_ids
        self.assertEqual(wallet.currency_id, self.env.ref("base.EUR"))

        def check():
            entry = self.sell(100)
            self.assertEqual(entry.currency_id, self.env.ref("base.CNY"))
            requests = self.env["energy.balance.request"]
            values = {
                "kind": "transfer",
                "account_id": self.account.id,
                "amount": 10,
                "to_account_id": account.id,
            }
            with self.refused(UserError, "another company"):
                requests.create(values)
            # The posting looks for itself, whatever the form let through.
            with patch.object(type(requests), "_check_company", lambda *args: None):
                request = requests.create(values)
                with self.refused(UserError, "one company only"):
                    request.action_submit()
            self.assertEqual(self.stored()[wallet.id][0], 0)
            self.assertEqual(self.stored()[self.account.wallet_ids.id][0], 100)

        self.holds(
            check,
            (
                REQUEST._check_transfer,
                "if self.to_account_id.company_id != self.company_id:",
                "if False:",
            ),
        )


@tagged("post_install", "-at_install")
class TestRatingProperties(PropertyCase, EnergyCase):
    """Fractions of a cent, late readings, and two settling at once (L5, L11, L12)."""

    def test_thousandths_of_a_cent_add_up(self):
        """50 charges of 0.004 are 0.20: what is posted follows the sum."""
        tariff = self.make_tariff("Small", {"flat": ["0.004000"]})

        def check():
            meter = self.make_meter("P1")
            account = self.open_account(meter, tariff=tariff)
            for number in range(1, 51):
                self.read(meter, START + number * timedelta(minutes=5), str(number))
                self.settle()
            self.assertEqual(f"{account.balance:.2f}", "-0.20")
            self.assertEqual(set(self.entries(account)), {"-0.01"})

        line = "target = round_half_up(row.new_due, steps[unit.account])"
        self.holds(
            check,
            (
                RATING._drafts,
                line,
                "target = row.posted + round_half_up(row.new_due - row.due, steps[unit.account])",
            ),
            (
                RATING._drafts,
                line,
                'target = row.posted + Decimal("0.01")',
            ),
        )

    def test_late_reading_posts_the_difference_as_if_right_from_the_start(self):
        """A reading of the end of March comes in June, after a new price and with three tiers."""
        tariff = self.make_tariff("Two tiers", {"flat": ["0.500000", "0.800000"]}, limits=(250,))
        self.add_version(
            tariff, {"flat": ["0.600000", "0.900000"]}, limits=(250,), date_from="2026-04-01"
        )

        def check():
            late, right = self.make_meter("P2"), self.make_meter("P3")
            accounts = [self.open_account(meter, tariff=tariff) for meter in (late, right)]
            self.read(late, START + 92 * DAY, "920")
            self.settle()
            # 10 kWh a day: March 250 x 0.50 + 60 x 0.80, April 150 + 50 x 0.90, May 150 + 60 x 0.90
            self.assertEqual(self.entries(accounts[0]), ["-173.00", "-195.00", "-204.00"])
            self.set_clock(START + 100 * DAY)
            self.read(late, START + 31 * DAY, "188")
            self.settle()
            for moment, total in ((31, "188"), (92, "920")):
                self.read(right, START + moment * DAY, total)
                self.settle()
            # March 188 x 0.50, then 12 kWh a day: April 150 + 110 x 0.90, May 150 + 122 x 0.90
            self.assertEqual(self.entries(accounts[1]), ["-94.00", "-249.00", "-259.80"])
            self.assertEqual(*[f"{account.balance:.2f}" for account in accounts])
            corrections = self.env["energy.wallet.entry"].search(
                [("account_id", "=", accounts[0].id)], order="id"
            )[3:]
            self.assertEqual(
                [
                    (f"{entry.amount:.2f}", entry.moment, entry.note, entry.revision)
                    for entry in corrections
                ],
                [
                    ("79.00", START + 100 * DAY, "2026-03", 2),
                    ("-54.00", START + 100 * DAY, "2026-04", 2),
                    ("-55.80", START + 100 * DAY, "2026-05", 2),
                ],
            )
            self.assertEqual(
                [str(unit.month) for unit in corrections.unit_id.sorted("month")],
                ["2026-03-01", "2026-04-01", "2026-05-01"],
            )

        self.holds(
            check,
            (
                RATING._drafts,
                "difference = target - row.posted",
                "difference = max(target - row.posted, Decimal(0))",
            ),
            (RATING._drafts, "note=month_name(month)", 'note=""'),
            (
                rating_work.Work.first_day.fget,
                "return local_date(max(self.since, self.start), self.zone)",
                "return local_date(max(self.since, self.start, self.mark.moment if self.mark"
                " else self.start), self.zone)",
            ),
        )

    def test_period_is_charged_once_whoever_settles(self):
        self.settle()

        def check():
            meter = self.make_meter("P4")
            account = self.open_account(meter)
            for number in range(1, 6):
                self.read(meter, START + number * HOUR, str(number))
                settled = [self.env["energy.settlement"]._settle_here() for _worker in range(2)]
                self.assertEqual(settled, [1, 0])
            self.assertEqual(self.entries(account), ["-0.60"] * 5)

        self.holds(
            check,
            (
                energy_settlement.EnergySettlement._finish,
                "if done.issuperset(concerned)",
                "if not done",
            ),
            (RATING._drafts, "difference = target - row.posted", "difference = target"),
        )


@tagged("post_install", "-at_install")
class TestHandOverProperties(PropertyCase, ClosingCase):
    """A charge lands on the side of its reading (L13)."""

    def test_charge_lands_wholly_on_one_side(self):
        def check():
            self.top_up(self.account, 100)
            self.read(self.meter, START + 1 * HOUR, "110")
            self.read(self.meter, START + 3 * HOUR, "130")
            self.set_clock(START + 4 * HOUR)
            change = self.change(
                self.account,
                "customer",
                moment=START + 2 * HOUR,
                registers={self.meter: 120},
                new_partner_id=self.env["res.partner"].create({"name": "Successor"}).id,
                leftover="transfer",
            )
            self.settle()
            new = change.new_account_id
            # 20 kWh before and 10 kWh after, at 0.60
            self.assertEqual(self.entries(self.account), ["-12.00"])
            self.assertEqual(self.entries(new), ["-6.00"])
            self.assertEqual((self.balance(self.account), self.balance(new)), ("0.00", "82.00"))

        self.holds(
            check,
            (RatingRows._load_works, "end=end,", "end=None,"),
        )


@tagged("post_install", "-at_install")
class TestConflictProperties(LedgerCase):
    """Whoever dies holding a claim, and conflicts on every first try (L9, L16)."""

    def one_at_a_time(self, wallet, work):
        """Call `_in_turn` as outside of tests, on a connection of its own."""
        module = SimpleNamespace(current_test=None)
        odoo = SimpleNamespace(modules=SimpleNamespace(module=module))
        with patch.object(energy_wallet_turn, "odoo", odoo):
            return self.env["energy.wallet"]._in_turn([wallet], work)

    def test_claim_ends_with_its_holder(self):
        """The claim is a lock of the session: PostgreSQL ends it with the connection."""
        # No balance of this number is there: nothing but the lock is touched.
        wallet = 2**31 - 2

        def check():
            with closing(db_connect(self.env.cr.dbname).cursor()) as other:
                try:
                    self.check_claims(wallet, other)
                finally:
                    # What a planted defect leaves behind.
                    other.execute(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks"
                        " WHERE locktype = 'advisory' AND objid = %s AND pid <> pg_backend_pid()",
                        [wallet],
                    )

        self.holds(
            check,
            (TURN._in_turn, 'cr.execute("SELECT pg_advisory_unlock_all()")', "pass"),
            (TURN._queue_up, "for wallet in wallet_ids:", "for wallet in []:"),
        )

    def check_claims(self, wallet, other):
        def is_free():
            other.execute("SELECT pg_try_advisory_lock(%s, %s)", [energy_wallet_turn.QUEUE, wallet])
            [(free,)] = other.fetchall()
            other.execute("SELECT pg_advisory_unlock_all()")
            return free

        # Who is done, or failed, holds nothing.
        self.assertFalse(self.one_at_a_time(wallet, lambda env: is_free()))
        self.assertTrue(is_free())
        with self.assertRaises(ZeroDivisionError):
            self.one_at_a_time(wallet, lambda env: 1 // 0)
        self.assertTrue(is_free())

        # Who comes meanwhile is told so; who dies holds nothing.
        def dies(env):
            with (
                patch.object(energy_wallet_turn, "PATIENCE", 0.05),
                self.assertRaisesRegex(UserError, "try again"),
            ):
                self.one_at_a_time(wallet, lambda env: None)
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [env.cr._cnx.info.backend_pid])
            env.cr.execute("SELECT 1")

        with mute_logger("odoo.sql_db"), self.assertRaises(psycopg2.Error):
            self.one_at_a_time(wallet, dies)
        self.assertEqual(self.one_at_a_time(wallet, lambda env: "done"), "done")

    def test_conflict_on_every_first_try_changes_nothing(self):
        """Posting in turn, settling, booking and invoicing each fail once and begin again."""

        undisturbed = self.outcome("Q8", conflicts=False)

        def check():
            self.assertEqual(self.outcome("Q9"), undisturbed)

        settlement = energy_settlement_run.EnergySettlement
        self.holds(
            check,
            (TURN._repeated, "except CONFLICTS:", "except psycopg2.errors.DeadlockDetected:"),
            (settlement._work, "continue", "break"),
            (energy_booking.EnergyBooking._cron_book_entries, "self.env.cr.rollback()", "return"),
            (
                energy_billing_invoice.EnergyBillingPeriod._work_off,
                "except CONFLICTS:\n            self.env.cr.rollback()",
                "except CONFLICTS:\n            return",
            ),
        )

    def outcome(self, name, conflicts=True):
        """Top up 100.00, settle, book and invoice; return what came of it."""
        meter = self.make_meter(name)
        account = self.open_account(meter)
        for product in self.company.energy_billing_product_ids.product_id:
            product.taxes_id = False
        self.set_clock(START + HOUR)
        self.read(meter, START + 10 * DAY, "217")
        self.set_clock(START + 40 * DAY)
        posted = []

        def top_up(env):
            method = self.method.with_env(env)
            wallet = env["energy.wallet"].browse(account.wallet_ids.id)
            posted.append(wallet._top_up(100.0, f"till/{name}", method).id)
            return "paid"

        steps = (
            (WALLET, "_post", lambda env: self.one_at_a_time(account.wallet_ids.id, top_up)),
            (WALLET, "_post", lambda env: env["energy.settlement"]._run()),
            (
                self.model("booking"),
                "_book",
                lambda env: env["energy.booking"]._cron_book_entries(),
            ),
            (
                self.model("billing.period"),
                "_freeze_and_invoice",
                lambda env: env["energy.billing.period"]._cron_invoice(),
            ),
        )
        tries = []
        with self.enter_registry_test_mode():
            for owner, function, step in steps:
                calls = []
                failing = self.first_fails(getattr(owner, function), calls, conflicts)
                with (
                    closing(Registry(self.env.cr.dbname).cursor()) as cr,
                    patch.object(owner, function, failing),
                ):
                    try:
                        step(self.env(cr=cr))
                    except psycopg2.errors.SerializationFailure:
                        self.fail(f"{function} was not repeated")
                    cr.commit()  # pylint: disable=invalid-commit
                tries.append(len(calls) - conflicts)
        self.assertEqual(len(posted), 1)
        periods = self.env["energy.billing.period"].search(
            [("account_id", "=", account.id)], order="date_from"
        )
        return (
            tries,
            self.entries(account, "top_up"),
            self.entries(account),
            account.entry_ids.sorted("id").mapped("is_booked"),
            periods.mapped("state"),
            periods.move_id.mapped("amount_total"),
            periods.move_id.mapped("amount_residual"),
        )

    def model(self, name):
        return type(self.env[f"energy.{name}"])

    @staticmethod
    def first_fails(original, calls, conflicts):
        """Return the function, whose first call fails on a conflict after it has done its work."""

        def first_fails(*args, **kwargs):
            result = original(*args, **kwargs)
            calls.append(1)
            if conflicts and len(calls) == 1:
                raise psycopg2.errors.SerializationFailure("could not serialize access")
            return result

        return first_fails
