from datetime import timedelta
from unittest.mock import patch

from odoo import Command
from odoo.tests import tagged

from ..models import energy_checker_nightly, energy_wallet_entry
from .common import START, EnergyCase
from .planting import PropertyCase

HOUR = timedelta(hours=1)
NIGHTLY = energy_checker_nightly.EnergyChecker
LOGGER = "odoo.addons.prepaid_energy.models.energy_task"


@tagged("post_install", "-at_install")
class TestNightlyCheck(PropertyCase, EnergyCase):
    """The nightly check reads on from where it found nothing wrong, and tells whom it concerns."""

    plants_defect = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("<N1>")
        cls.account = cls.open_account(cls.meter)
        for hour, total in ((1, "10"), (2, "25"), (30, "70")):
            cls.read(cls.meter, START + hour * HOUR, total)
            cls.settle()
        cls.wallet = cls.account.wallet_ids
        cls.first = cls.wallet._top_up(100, "till/1", cls.method)
        cls.manager = cls.new_user("manager", "night-manager")

    def plant(self, statement, *args, table="energy_wallet_entry"):
        self.env.flush_all()
        self.env.cr.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        self.env.cr.execute(statement, args)
        self.assertTrue(self.env.cr.rowcount)
        self.env.cr.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        self.env.invalidate_all()

    def night(self):
        """Run it as if everything that has a number were committed."""
        with patch.object(energy_checker_nightly, "UNDER_WAY", 0):
            return self.nightly()

    def marks(self):
        self.env.cr.execute("SELECT rule, verified, reached FROM energy_checker_mark")
        return {rule: (verified, reached) for rule, verified, reached in self.env.cr.fetchall()}

    def activities(self, company=None):
        return self.env["mail.activity"].search(
            [
                ("activity_type_id", "=", self.env.ref("prepaid_energy.mail_activity_check").id),
                ("res_id", "=", (company or self.company).partner_id.id),
            ],
            order="id",
        )

    # --- from a mark ----------------------------------------------------------------------------

    def test_what_was_verified_is_not_read_again(self):
        self.assertEqual(self.night(), {})
        self.plant("UPDATE energy_wallet_entry SET note = 'x' WHERE id = %s", self.first.id)
        self.assertEqual(self.night(), {})
        found = {r["name"] for r in self.env["energy.checker"]._check() if r["findings"]}
        self.assertEqual(found, {"chains"})

    def test_what_is_new_is_read_and_found_until_it_is_mended(self):
        def check():
            self.assertEqual(self.night(), {})
            key = f"till/{self.env['energy.wallet.entry'].search_count([])}"
            entry = self.wallet._top_up(20, key, self.method)
            before = self.marks()["chains"]
            self.plant("UPDATE energy_wallet_entry SET revision = 7 WHERE id = %s", entry.id)
            for _night in range(2):
                self.assertEqual(set(self.night()), {"chains"})
                self.assertEqual(self.marks()["chains"], before)
                self.assertEqual(self.marks()["belongings"], (entry.id, None))
            self.plant("UPDATE energy_wallet_entry SET revision = NULL WHERE id = %s", entry.id)
            self.assertEqual(self.night(), {})
            self.assertEqual(self.marks()["chains"], (entry.id, None))

        self.holds(
            check,
            # a mark that moves past what was found
            (NIGHTLY._check_step, "is_clean=not findings", "is_clean=True"),
            # a mark that never moves
            (NIGHTLY._check_step, "is_clean=not findings", "is_clean=False"),
        )

    def test_lost_entry_after_the_mark(self):
        self.assertEqual(self.night(), {})
        lost = self.wallet._top_up(20, "till/2", self.method)
        last = self.wallet._top_up(30, "till/3", self.method)
        self.plant("DELETE FROM energy_wallet_entry WHERE id = %s", lost.id)
        self.assertEqual(
            self.night()["chains"],
            [
                f"Entry {last.id} of balance {self.wallet.id}: {what} does not follow."
                for what in ("number", "hash", "the balance after it")
            ],
        )

    def test_chains_are_read_some_entries_at_a_time(self):
        with patch.object(energy_wallet_entry, "LINKS", 1):
            self.assertEqual(self.env["energy.wallet.entry"]._broken_links(), [])
            self.assertEqual(self.night(), {})
        with patch.object(energy_wallet_entry, "LINKS", 1):
            last = self.wallet._top_up(30, "till/2", self.method)
            self.plant("UPDATE energy_wallet_entry SET note = 'x' WHERE id = %s", last.id)
            self.assertEqual(set(self.night()), {"chains"})

    def test_readings_that_come_late_are_compared_with_both_neighbours(self):
        self.meter.register_digits = 0
        self.assertEqual(self.night(), {})
        self.read(self.meter, START + 20 * HOUR, "60")
        self.settle()
        self.assertEqual(self.night(), {})
        late = self.env["energy.reading"].search([("total", "=", 60)])
        self.plant(
            "UPDATE energy_reading_data SET total = 80 WHERE id = %s",
            late.id,
            table="energy_reading_data",
        )
        self.assertEqual(self.night().get("readings"), None, "it is not read again")
        self.env.cr.execute(
            "UPDATE energy_checker_mark SET verified = verified - 1 WHERE rule = 'readings'"
        )
        self.assertIn("2026-03-01 22:00:00", self.night()["readings"][0])

    def test_use_is_added_to_what_was_verified(self):
        checker = self.env["energy.checker"]
        self.meter.write({"register_digits": 3, "max_power": 1000})
        self.assertEqual(self.night(), {})
        supply = self.account.supply_ids.id
        # On, past zero, and months later
        for hour, total in ((40, "995"), (41, "20"), (24 * 80, "90")):
            self.read(self.meter, START + hour * HOUR, total)
            self.settle()
            self.assertIn(supply, checker._still_fitting(), total)
            self.assertEqual(self.night(), {})
        self.env.cr.execute(
            "SELECT day, quantity, quantity_before FROM energy_checker_supply WHERE supply_id = %s",
            [supply],
        )
        day, quantity, before = self.env.cr.fetchone()
        # 995 up to 2 March, 25 past zero, 70 later
        self.assertEqual((str(day), quantity), ("2026-04-09", 1090))
        self.assertTrue(70 < before < quantity)
        # A correction of what is long verified does not fit: all is added up, and right.
        self.read(self.meter, START + 3 * HOUR, "40")
        self.settle()
        self.assertEqual(self.night(), {})
        self.plant(
            "UPDATE energy_usage SET quantity = quantity + 1 WHERE supply_id = %s"
            " AND local_date = (SELECT max(local_date) FROM energy_usage WHERE supply_id = %s)",
            supply,
            supply,
        )
        for _night in range(2):
            self.assertIn("usage", self.night())

    def test_a_night_that_is_cut_off_goes_on_where_it_was(self):
        jobs, calls = type(self.env["ir.cron"]), []
        checker = self.env["energy.checker"]
        with (
            patch.object(energy_checker_nightly, "STEP", 1),
            patch.object(energy_checker_nightly, "UNDER_WAY", 0),
            patch.object(jobs, "_commit_progress", lambda *a, remaining: calls.append(remaining)),
        ):
            # Two numbers are left to each rule that goes by numbers.
            for rule in checker.RULES:
                checker._mark(rule)
                table = getattr(getattr(checker, f"_rule_{rule}"), "table", None)
                if table:
                    self.env.cr.execute(
                        "UPDATE energy_checker_mark SET verified = %s WHERE rule = %s",
                        [checker._last(table) - 2, rule],
                    )
            for _call in range(200):
                checker._cron_check()
                if calls[-1] == 0:
                    break
        self.assertEqual(calls[-1], 0)
        self.assertGreater(len(calls), len(checker.RULES) + 10)
        self.assertTrue(all(reached is None for _verified, reached in self.marks().values()))

    def test_what_each_span_finds_is_one_finding(self):
        self.plant("UPDATE energy_wallet SET last_number = 9 WHERE id = %s", self.wallet.id)
        found = self.nightly()
        with patch.object(energy_checker_nightly, "STEP", self.first.id // 3 + 1):
            self.assertEqual(self.nightly(), found)
        self.assertEqual(len(found["chains"]), 1)

    def test_a_rule_that_fails_is_a_finding(self):
        def fail(_checker):
            raise ValueError("no such column")

        checker = type(self.env["energy.checker"])
        with patch.object(checker, "_rule_cuts", fail), self.assertLogs(LOGGER, "ERROR"):
            found = self.nightly()
        self.assertIn("no such column", found["cuts"][0])
        self.assertEqual(set(found), {"cuts"})
        self.assertIn("no such column", self.activities().note)
        self.assertEqual(self.nightly(), {})
        self.assertFalse(self.activities())

    # --- telling --------------------------------------------------------------------------------

    def break_register(self, meter):
        self.plant("UPDATE energy_usage SET quantity = quantity + 1 WHERE meter_id = %s", meter.id)

    def test_told_once_and_escaped(self):
        self.break_register(self.meter)
        self.nightly()
        activity = self.activities()
        self.assertEqual(activity.user_id, self.manager)
        self.assertIn("&lt;N1&gt;", activity.note)
        self.assertNotIn("<N1>", activity.note)
        self.assertIn("Every settled interval", activity.note)
        self.nightly()
        self.assertEqual(self.activities(), activity)
        self.wallet._top_up(20, "till/2", self.method)
        self.plant("UPDATE energy_wallet SET balance = 7 WHERE id = %s", self.wallet.id)
        self.nightly()
        self.assertEqual(self.activities(), activity)
        self.assertIn("Balance", activity.note)

    def test_told_to_the_managers_of_the_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        bound = [Command.set(self.site.ids)]
        limited = self.new_user("manager", "night-site", energy_site_ids=bound)
        self.new_user("manager", "night-gone").active = False
        self.new_user("manager", "night-other", other)
        self.break_register(self.meter)
        self.nightly()
        self.assertEqual(self.activities().user_id, self.manager)
        self.assertFalse(self.activities(other))
        # Where nobody sees all sites, those who see some.
        self.manager.active = False
        self.nightly()
        self.assertEqual(self.activities().user_id, limited)

    def test_titles_are_translated(self):
        checker = self.env["energy.checker"]
        self.assertEqual(set(checker._titles()), set(checker.RULES))
        code = "odoo.tools.translate.CodeTranslations.get_python_translations"
        with patch(code, lambda *args: {"No meter serves two accounts at a time": "Eins"}):
            self.env["res.lang"]._activate_lang("de_DE")
            self.assertEqual(checker.with_context(lang="de_DE")._titles()["supplies"], "Eins")
