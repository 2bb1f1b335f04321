from datetime import timedelta

from odoo.tests import tagged

from .common import START, EnergyCase


@tagged("post_install", "-at_install")
class TestChecker(EnergyCase):
    """Each planted defect is found by the rule that is meant for it, and named."""

    plants_defect = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("K1")
        cls.account = cls.open_account(cls.meter)
        cls.other_meter = cls.make_meter("K2")
        cls.other_account = cls.open_account(cls.other_meter)
        for hour, total in ((1, "10"), (2, "25"), (30, "70")):
            for meter in (cls.meter, cls.other_meter):
                cls.read(meter, START + timedelta(hours=hour), total)
            cls.settle()
        for number in (1, 2, 3):
            cls.account.wallet_ids._top_up(100 * number, f"till/{number}", cls.method)
        cls.wallet = cls.account.wallet_ids

    def setUp(self):
        super().setUp()
        self.assertChecked()

    def plant(self, statement, *args):
        """Change the database behind the back of everything that guards it."""
        self.env.flush_all()
        tables = "energy_wallet_entry", "energy_reading_data", "energy_command"
        for table in tables:
            self.env.cr.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        self.env.cr.execute(statement, args)
        count = self.env.cr.rowcount
        for table in tables:
            self.env.cr.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        self.env.invalidate_all()
        self.assertTrue(count, "Nothing was planted")

    def findings(self):
        return {
            result["name"]: result["findings"]
            for result in self.env["energy.checker"]._check()
            if result["findings"]
        }

    def assertFound(self, rule, *words):
        findings = self.findings()
        self.assertIn(rule, findings)
        found = findings[rule]
        # The nightly check, which was never run, starts at the beginning. It believes the chains.
        nightly = self.nightly()
        if "chains" in findings:
            nightly["balances"] = findings.get("balances")
        self.assertEqual({key: nightly[key] for key in nightly if nightly[key]}, findings)
        for word in words:
            self.assertTrue(
                any(str(word) in finding for finding in found), f"{word!r} is not named in {found}"
            )

    def entry(self, key):
        return self.env["energy.wallet.entry"].search([("key", "=", key)])

    def test_lost_entry_in_the_middle(self):
        following = self.entry("till/3")
        self.plant("DELETE FROM energy_wallet_entry WHERE key = 'till/2'")
        self.assertFound("balances", f"Balance {self.wallet.id} ")
        self.assertFound("chains", f"Entry {following.id} of balance {self.wallet.id}: number")

    def test_lost_last_entry(self):
        self.plant("DELETE FROM energy_wallet_entry WHERE key = 'till/3'")
        self.assertFound("balances", f"Balance {self.wallet.id} ")
        self.assertFound("chains", f"Balance {self.wallet.id} does not end")

    def test_lost_last_entry_with_the_balance_made_to_fit(self):
        self.plant("DELETE FROM energy_wallet_entry WHERE key = 'till/3'")
        self.plant(
            "UPDATE energy_wallet SET balance = balance - 300, last_number = last_number - 1"
            " WHERE id = %s",
            self.wallet.id,
        )
        self.assertNotIn("balances", self.findings())
        self.assertFound("chains", f"Balance {self.wallet.id} does not end")

    def test_changed_amount(self):
        entry = self.entry("till/2")
        self.plant("UPDATE energy_wallet_entry SET amount = 2000 WHERE id = %s", entry.id)
        self.assertFound("balances", f"Balance {self.wallet.id} ")
        self.assertFound("chains", f"Entry {entry.id} of balance {self.wallet.id}: hash")

    def test_changed_note(self):
        entry = self.entry("till/2")
        self.plant("UPDATE energy_wallet_entry SET note = 'Rent' WHERE id = %s", entry.id)
        self.assertEqual(set(self.findings()), {"chains"})
        self.assertFound("chains", f"Entry {entry.id} ")

    def test_balance_written_by_hand(self):
        self.plant("UPDATE energy_wallet SET balance = 1000 WHERE id = %s", self.wallet.id)
        self.assertFound("balances", f"Balance {self.wallet.id} is 1000")

    def test_entry_of_another_account(self):
        entry = self.entry("till/2")
        self.plant(
            "UPDATE energy_wallet_entry SET account_id = %s WHERE id = %s",
            self.other_account.id,
            entry.id,
        )
        self.assertFound("belongings", f"Entry {entry.id} ")

    def test_doubled_use(self):
        self.plant(
            """
            INSERT INTO energy_usage (supply_id, account_id, meter_id, unit_id, site_id, company_id,
                   currency_id, commodity, local_date, band, tier, version_id, quantity, amount)
            SELECT supply_id, account_id, meter_id, unit_id, site_id, company_id, currency_id,
                   commodity, local_date, band, tier + 1, version_id, quantity, amount
              FROM energy_usage WHERE account_id = %s LIMIT 1
            """,
            self.account.id,
        )
        self.assertFound("usage", "Meter K1:")
        self.assertFound("units", f"Unit {self.unit().id}: ")

    def test_lost_use(self):
        self.plant("DELETE FROM energy_usage WHERE account_id = %s", self.account.id)
        self.assertFound("usage", "Meter K1: its registers show 70", "0 is counted")
        self.assertFound("units", f"Unit {self.unit().id}: ")

    def test_use_of_another_account(self):
        usage = self.env["energy.usage"].search([("account_id", "=", self.account.id)], limit=1)
        self.plant(
            "UPDATE energy_usage SET account_id = %s WHERE id = %s", self.other_account.id, usage.id
        )
        self.assertFound("belongings", f"Use {usage.id} ")

    def unit(self):
        return self.env["energy.rating.unit"].search([("account_id", "=", self.account.id)])

    def test_wrong_posted_figure(self):
        unit = self.unit()
        self.plant("UPDATE energy_rating_unit SET posted = posted + 0.01 WHERE id = %s", unit.id)
        self.assertFound("units", f"Unit {unit.id}: ", "42.01")
        self.assertFound("postings", f"Unit {unit.id} says 42.01", "charge 42.00")

    def test_wrong_price_posted_with_everything_made_to_fit(self):
        """Due, posted and entry agree with each other but not with the use."""
        unit = self.unit()
        self.plant(
            "UPDATE energy_rating_unit SET posted = posted + 1, due = due + 1 WHERE id = %s",
            unit.id,
        )
        self.plant(
            "UPDATE energy_wallet_entry SET amount = amount - 1"
            " WHERE id = (SELECT max(id) FROM energy_wallet_entry WHERE unit_id = %s)",
            unit.id,
        )
        self.assertNotIn("postings", self.findings())
        self.assertFound("units", f"Unit {unit.id}: ", "43")

    def test_supplies_that_overlap(self):
        self.env.cr.execute("ALTER TABLE energy_supply DROP CONSTRAINT energy_supply_meter_excl")
        self.plant(
            """
            INSERT INTO energy_supply (account_id, meter_id, company_id, site_id, start_at)
            SELECT %s, meter_id, company_id, site_id, start_at + interval '1 hour'
              FROM energy_supply WHERE account_id = %s
            """,
            self.other_account.id,
            self.account.id,
        )
        self.assertFound("supplies", "Meter K1 ")

    def test_cut_of_a_meter_held_on(self):
        self.meter.control_id._order_by_person("hold", "Hospital bed")
        self.assertChecked()
        self.env["energy.command"]._command(
            [
                {
                    "meter_id": self.meter.id,
                    "kind": "supply",
                    "value": "off",
                    "mode": "prepaid",
                    "cause": "arrears",
                    "user_id": self.env.uid,
                }
            ]
        )
        self.assertEqual(set(self.findings()), {"cuts"})
        self.assertFound("cuts", "Meter K1 ", "held_on")

    def test_cut_wanted_of_a_meter_held_on(self):
        self.meter.control_id._order_by_person("hold", "Hospital bed")
        self.plant(
            "UPDATE energy_meter_control SET wanted = 'off', wanted_cause = 'arrears'"
            " WHERE meter_id = %s",
            self.meter.id,
        )
        self.assertFound("cuts", "Meter K1 ")

    def test_lost_command(self):
        self.meter.control_id._order_by_person("off", "Works")
        self.plant("DELETE FROM energy_command WHERE meter_id = %s", self.meter.id)
        self.assertFound("commands", "K1")

    def test_two_commands_under_way(self):
        self.meter.control_id._order_by_person("off", "Works")
        self.meter.control_id._order_by_person("hold", "")
        self.plant("UPDATE energy_command SET state = 'sent' WHERE meter_id = %s", self.meter.id)
        self.assertFound("commands", "Meter K1 has ", "under way")

    def test_register_that_fell(self):
        self.meter.register_digits = 0
        self.plant(
            "UPDATE energy_reading_data SET total = 5 WHERE meter_id = %s AND moment = %s",
            self.meter.id,
            START + timedelta(hours=2),
        )
        self.assertFound("readings", "Meter K1:")

    def test_register_that_starts_again_is_no_finding(self):
        meter = self.make_meter("K3", register_digits=3, max_power=100)
        self.open_account(meter, register=990)
        for hour, total in ((1, "5"), (2, "60"), (12, "999"), (13, "20"), (14, "95")):
            self.read(meter, START + timedelta(hours=30 + hour), total)
        self.settle()
        self.assertChecked()
        self.plant(
            "UPDATE energy_usage SET quantity = quantity + 100 WHERE meter_id = %s", meter.id
        )
        self.assertFound("usage", "Meter K3: its registers show 1105", "1305")

    def test_top_up_booked_with_another_amount(self):
        booking = self.env["energy.booking"]._book(self.entry("till/1")).booking_id
        self.assertChecked()
        self.plant(
            "UPDATE account_move_line SET balance = -10"
            " WHERE move_id = %s AND energy_entry_key IS NOT NULL",
            booking.id,
        )
        self.assertFound("bookings", "till/1")

    def test_books_that_differ_from_the_balance(self):
        booking = self.env["energy.booking"]._book(self.entry("till/1")).booking_id
        self.plant(
            "UPDATE account_move_line SET balance = balance - 1"
            " WHERE move_id = %s AND energy_account_id = %s",
            booking.id,
            self.account.id,
        )
        self.assertFound("advances", self.account.name)
