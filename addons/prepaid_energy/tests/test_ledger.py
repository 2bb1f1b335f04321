import psycopg2
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import EnergyCase


@tagged("post_install", "-at_install")
class TestLedger(EnergyCase):
    """The ledger of balances is append-only, keyed, numbered and chained."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("L1")
        cls.account = cls.open_account(cls.meter)

    def test_database_refuses_to_change_delete_and_truncate(self):
        entry = self.top_up(self.account, 20)
        for statement in (
            "UPDATE energy_wallet_entry SET amount = 30 WHERE id = %s",
            "DELETE FROM energy_wallet_entry WHERE id = %s",
            "TRUNCATE energy_wallet_entry CASCADE",
        ):
            with (
                self.assertRaises(psycopg2.errors.RestrictViolation),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(statement, [entry.id] if "%s" in statement else None)
        with self.assertRaises(UserError):
            entry.amount = 30
        with self.assertRaises(UserError):
            entry.unlink()
        with self.assertRaises(UserError):
            entry.copy()
        self.assertChecked()

    def test_same_key_finds_the_entry_and_another_amount_is_refused(self):
        first = self.top_up(self.account, 20, key="till/1")
        again = self.top_up(self.account, 20, key="till/1")
        self.assertEqual(first, again)
        self.assertEqual(self.account.balance, 20)
        with self.assertRaisesRegex(UserError, "used before"):
            self.top_up(self.account, 21, key="till/1")
        self.assertEqual(self.entries(self.account, "top_up"), ["20.00"])

    def test_amounts_finer_than_the_currency_and_not_above_zero_are_refused(self):
        for amount in (0, -5, 0.001):
            with self.assertRaises(UserError):
                self.top_up(self.account, amount, key=f"till/{amount}")
        self.assertFalse(self.account.entry_ids)

    def test_thousand_cents_do_not_drift(self):
        for number in range(1000):
            self.top_up(self.account, 0.01, key=f"cent/{number}")
        self.assertEqual(f"{self.account.wallet_ids.balance:.2f}", "10.00")
        self.assertEqual(self.account.wallet_ids.last_number, 1000)
        self.assertChecked()

    def test_checker_names_a_changed_entry(self):
        self.plants_defect = True
        self.top_up(self.account, 20, key="till/1")
        changed = self.top_up(self.account, 30, key="till/2")
        self.top_up(self.account, 40, key="till/3")
        self.env.cr.execute("ALTER TABLE energy_wallet_entry DISABLE TRIGGER USER")
        self.env.cr.execute(
            "UPDATE energy_wallet_entry SET amount = 31 WHERE id = %s", [changed.id]
        )
        self.env.cr.execute("ALTER TABLE energy_wallet_entry ENABLE TRIGGER USER")
        broken = self.env["energy.wallet.entry"]._broken_links()
        self.assertEqual({link[0] for link in broken}, {changed.id})
        told = self.account.wallet_ids.action_verify()["params"]
        self.assertEqual(told["type"], "danger")
        self.assertIn(str(changed.id), told["message"])
        names = {r["name"] for r in self.env["energy.checker"]._check() if r["findings"]}
        self.assertIn("chains", names)
        self.assertIn("balances", names)

    def test_a_meter_serves_one_account_at_a_time(self):
        with (
            self.assertRaises(psycopg2.errors.ExclusionViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.open_account(self.meter, activate=False)
            self.env.flush_all()

    def test_journal_item_on_advances_without_energy_account_is_refused(self):
        advances = self.company.energy_advances_account_id
        other = self.cash.default_account_id
        with self.assertRaisesRegex(ValidationError, "energy account"):
            self.env["account.move"].create(
                {
                    "company_id": self.company.id,
                    "journal_id": self.env["account.journal"]
                    .search(
                        [("type", "=", "general"), ("company_id", "=", self.company.id)], limit=1
                    )
                    .id,
                    "line_ids": [
                        (0, 0, {"account_id": advances.id, "credit": 5, "debit": 0}),
                        (0, 0, {"account_id": other.id, "debit": 5, "credit": 0}),
                    ],
                }
            )
