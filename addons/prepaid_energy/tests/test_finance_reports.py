from datetime import datetime, timedelta
from decimal import Decimal

from odoo.tests import Form, tagged

from ..local_time import month_first
from ..models.energy_wallet import Draft
from .common import START, EnergyCase

APRIL = datetime(2026, 3, 31, 16)  # midnight of 1 April in Shanghai, in UTC
MAY = datetime(2026, 4, 30, 16)


@tagged("post_install", "-at_install")
class TestFinanceReports(EnergyCase):
    """Three months of two accounts, calculated by hand.

    | month | account | opening | received | used | refunded | transferred | adjusted | closing |
    | March | A | 0 | 300 | 66 | 0 | −50 | 0 | 184 |
    | March | B | 0 | 0 | 0 | 0 | 50 | 0 | 50 |
    | April | A | 184 | 30 | 60 | 20 | 0 | −4 | 130 |
    | April | B | 50 | 0 | 0 | 0 | 0 | 0 | 50 |
    | May | A | 130 | 0 | 140 | 0 | 0 | 0 | −10 |
    | May | B | 50 | 0 | 0 | 50 | 0 | 0 | 0 |

    Of the 66 used in March, 6 are posted in April by a late reading; of the 330 received, 100 are
    received in March by mistake and reversed in April, so that April has 130 − 100.
    """

    charge = "a/charge"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A price of 0.60 a kWh: 100 kWh are 60.00.
        cls.meter = cls.make_meter("R1")
        cls.a = cls.open_account(cls.meter)
        cls.b = cls.open_account(cls.make_meter("R2"))
        cls.cash = cls.method
        cls.post(cls.a, "top_up", 200, "a/1", method_id=cls.cash.id)
        cls.post(cls.a, "top_up", 100, "a/wrong", method_id=cls.cash.id)
        cls.post(cls.a, "transfer", -50, "a/t", cause_key="b/t")
        cls.post(cls.b, "transfer", 50, "b/t", cause_key="a/t")
        # The last reading of March comes late: 100 kWh on the first day, 110 at its end.
        cls.read(cls.meter, START + timedelta(hours=1), "100")
        cls.settle()
        cls.roll_up(START + timedelta(days=2))
        cls.set_clock(APRIL + timedelta(days=2))
        cls.read(cls.meter, APRIL, "110")
        cls.settle()
        cls.post(cls.a, "top_up", 130, "a/2", method_id=cls.cash.id)
        cls.post(cls.a, "reversal", -100, "a/undo", cause_key="a/wrong", method_id=cls.cash.id)
        cls.post(cls.a, "refund", -20, "a/r", method_id=cls.cash.id)
        cls.post(cls.a, "adjustment", -4, "a/adj")
        cls.read(cls.meter, APRIL + timedelta(days=2), "210")
        cls.settle()
        cls.roll_up(APRIL + timedelta(days=3))
        cls.set_clock(MAY + timedelta(hours=3))
        cls.read(cls.meter, MAY, "210")
        cls.settle()
        cls.post(cls.a, "charge", -200, cls.charge)
        cls.post(cls.a, "reversal", 60, "a/charge/undone", cause_key=cls.charge)
        cls.post(cls.b, "refund", -50, "b/r", method_id=cls.cash.id)

    @classmethod
    def post(cls, account, kind, amount, key, **values):
        wallet = account.wallet_ids
        if kind == "charge" or values.get("cause_key") == cls.charge:
            values["period_id"] = cls.period(account)
        wallet._post(
            [
                Draft(
                    wallet_id=wallet.id,
                    kind=kind,
                    category="other",
                    amount=Decimal(amount),
                    key=key,
                    local_date=cls.site._today(),
                    note="Test",
                    user_id=cls.env.uid,
                    **values,
                )
            ],
            wallet._lock(wallet.ids),
        )
        cls.env.invalidate_all()

    @classmethod
    def period(cls, account):
        month = (account.id, month_first(cls.site._today()))
        return cls.env["energy.billing.period"]._open_for({month})[month]

    @classmethod
    def roll_up(cls, moment):
        """Let time pass and sum up."""
        cls.set_clock(moment)
        while cls.env["energy.entry.day"]._roll_up():
            pass

    def months(self, account):
        names = (
            "opening",
            "received",
            "used",
            "refunded",
            "transferred",
            "adjusted",
            "billed",
            "closing",
        )
        self.env.invalidate_all()
        return [
            (f"{row.month:%m}", *(row[name] for name in names))
            for row in self.env["energy.advance.month"].search(
                [("account_id", "=", account.id)], order="month"
            )
        ]

    def check_months(self):
        self.assertEqual(
            self.months(self.a),
            [
                ("03", 0, 300, 66, 0, -50, 0, 0, 184),
                ("04", 184, 30, 60, 20, 0, -4, 0, 130),
                ("05", 130, 0, 140, 0, 0, 0, 0, -10),
            ],
        )
        self.assertEqual(
            self.months(self.b),
            [
                ("03", 0, 0, 0, 0, 50, 0, 0, 50),
                ("04", 50, 0, 0, 0, 0, 0, 0, 50),  # nothing moved, the balance is still owed
                ("05", 50, 0, 0, 50, 0, 0, 0, 0),
            ],
        )

    def test_roll_forward_with_a_late_entry_for_march(self):
        late = self.env["energy.wallet.entry"].search(
            [("account_id", "=", self.a.id), ("kind", "=", "use")], order="id"
        )[1]
        self.assertEqual((late.amount, late.moment), (-6, APRIL + timedelta(days=2)))
        self.check_months()
        self.assertEqual(self.a.balance, -10)

    def test_reports_are_the_same_before_and_after_summing_up(self):
        self.check_months()
        self.roll_up(MAY + timedelta(days=1))
        self.assertFalse(
            (self.a + self.b).entry_ids.filtered(lambda entry: entry.moment >= self.mark())
        )
        self.check_months()

    def test_totals_of_a_month_are_all_balances(self):
        groups = self.env["energy.advance.month"]._read_group(
            [("account_id", "in", (self.a + self.b).ids)],
            ["month:month"],
            ["opening:sum", "closing:sum"],
        )
        self.assertEqual(
            [(f"{month:%m}", opening, closing) for month, opening, closing in groups],
            [("03", 0, 234), ("04", 234, 180), ("05", 180, -10)],
        )

    def money(self, *groupby):
        rows = self.env["energy.finance.day"]._read_group(
            [("account_id", "in", (self.a + self.b).ids)],
            groupby,
            ["received:sum", "earned:sum", "moved:sum", "count:sum"],
        )
        return {
            tuple(f"{key:%m}" if hasattr(key, "year") else key for key in row[: len(groupby)]): row[
                len(groupby) :
            ]
            for row in rows
        }

    def test_money_is_received_or_earned_or_moved(self):
        self.assertEqual(
            self.money("side"),
            {
                ("received",): (260, 0, 0, 6),  # 430 − 100 − 20 − 50
                ("earned",): (0, 266, 0, 5),  # 60 + 6 + 60 + 200 − 60
                ("moved",): (0, 0, -4, 3),
            },
        )
        by_month = self.money("month:month", "kind")
        self.assertEqual(by_month["03", "top_up"], (300, 0, 0, 2))
        self.assertEqual(by_month["03", "use"], (0, 66, 0, 2))
        self.assertEqual(by_month["04", "reversal"], (-100, 0, 0, 1))
        self.assertEqual(by_month["05", "reversal"], (0, -60, 0, 1))

    def test_side_of_entries_filters_and_groups(self):
        domain = [("account_id", "=", self.a.id)]
        entries = self.env["energy.wallet.entry"]
        earned = entries.search([*domain, ("side", "=", "earned")])
        self.assertEqual(sum(earned.mapped("amount")), -266)
        self.assertEqual(set(earned.mapped("side")), {"earned"})
        self.assertEqual(
            dict(entries._read_group(domain, ["side"], ["amount:sum"])),
            {"received": 310, "earned": -266, "moved": -54},
        )
        self.assertTrue(entries.fields_get(["side"])["side"]["groupable"])
        search = self.env.ref("prepaid_energy.energy_wallet_entry_view_search").arch
        self.assertIn("'=1d'", search)
        entries.search([("local_date", ">=", "=1d")])
        entries.search([("local_date", "=", "today")])

    def test_opening_balance_is_received_where_it_was_paid(self):
        self.post(self.b, "opening", 5, "b/opening")
        self.post(self.b, "opening", 7, "b/opening/paid", method_id=self.cash.id)
        self.assertEqual(self.months(self.b)[-1], ("05", 50, 7, 0, 50, 0, 5, 0, 12))

    def mark(self):
        self.env.cr.execute("SELECT moment FROM energy_entry_day_mark")
        return self.env.cr.fetchone()[0]

    def test_summing_up_again_changes_nothing(self):
        days = self.env["energy.entry.day"]
        self.roll_up(MAY + timedelta(days=1))
        before = days.search_read([], ["wallet_id", "kind", "count", "amount"])
        self.assertFalse(days._roll_up())
        self.assertEqual(days.search_read([], ["wallet_id", "kind", "count", "amount"]), before)

    def test_young_entries_are_left_for_the_next_run(self):
        """What a transaction under way posts with a moment of its beginning is not missed."""
        self.roll_up(MAY + timedelta(days=1))
        self.assertEqual(self.mark(), MAY + timedelta(hours=23))
        self.set_clock(MAY + timedelta(hours=23, minutes=30))  # posted then, seen only now
        self.post(self.b, "top_up", 9, "b/under way", method_id=self.cash.id)
        self.roll_up(MAY + timedelta(days=2))
        self.assertEqual(self.months(self.b)[-1][2], 9)

    def test_killed_run_leaves_neither_sums_nor_mark(self):
        mark = self.mark()
        count = self.env["energy.entry.day"].search_count([])
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.roll_up(MAY + timedelta(days=1))
            self.assertNotEqual(self.mark(), mark)
            raise ZeroDivisionError
        self.env.invalidate_all()
        self.assertEqual(self.mark(), mark)
        self.assertEqual(self.env["energy.entry.day"].search_count([]), count)
        self.check_months()

    def test_clock_that_is_put_back_starts_the_sums_again(self):
        self.roll_up(MAY + timedelta(days=9))
        self.set_clock(MAY + timedelta(days=1))
        self.assertIsNone(self.mark())
        self.check_months()

    def test_long_stretches_are_summed_up_in_steps(self):
        self.env["energy.entry.day"]._start_again()
        steps = 1
        while self.env["energy.entry.day"]._roll_up(MAY + timedelta(days=1)):
            steps += 1
        self.assertGreater(steps, 1)
        self.check_months()

    def arrears(self, account):
        return self.env["energy.arrears"].search([("account_id", "=", account.id)])

    def test_arrears_say_since_when_and_what_was_paid_last(self):
        self.assertFalse(self.arrears(self.b))
        row = self.arrears(self.a)
        self.assertEqual((row.balance, row.days, row.supply_state), (-10, 0, "unknown"))
        # The top-up of 130 was the last one that was not reversed.
        self.assertEqual((str(row.top_up_date), row.top_up_amount), ("2026-04-03", 130))
        self.assertEqual(row.room_ids, self.meter.property_id)
        self.set_clock(MAY + timedelta(days=12))
        self.post(self.a, "charge", -5, "a/charge/2")
        self.env.invalidate_all()
        row = self.arrears(self.a)
        # 200 charged took it below zero for the first time on 1 May: 130 − 200.
        self.assertEqual((str(row.below_since), row.days, row.balance), ("2026-05-01", 12, -15))
        self.assertEqual(row.action_open_account()["res_id"], self.a.id)
        self.assertEqual(row.action_top_up()["res_model"], "energy.top.up")
        self.post(self.a, "top_up", 15, "a/3", method_id=self.cash.id)
        self.assertFalse(self.arrears(self.a))

    def test_lines_lead_to_their_entries(self):
        entries = self.env["energy.wallet.entry"]
        day = self.env["energy.finance.day"].search(
            [("account_id", "=", self.a.id), ("kind", "=", "reversal"), ("side", "=", "received")]
        )
        found = entries.search(day.action_open_entries()["domain"])
        self.assertEqual(found.mapped("key"), ["a/undo"])
        month = self.env["energy.advance.month"].search(
            [("account_id", "=", self.b.id)], order="month", limit=1
        )
        found = entries.search(month.action_open_entries()["domain"])
        self.assertEqual(found.mapped("key"), ["b/t"])

    def test_the_present_month_is_the_sites(self):
        """In Shanghai, 1 June begins on 31 May at 16:00 UTC."""
        june = MAY + timedelta(days=31)
        self.set_clock(june - timedelta(hours=1))
        self.assertEqual(self.months(self.a)[-1][0], "05")
        self.set_clock(june + timedelta(hours=1))
        self.assertEqual(self.months(self.a)[-1][0], "06")

    def test_checker_finds_sums_that_differ(self):
        self.plants_defect = True
        for statement in (
            "UPDATE energy_entry_day SET amount = amount + 1 WHERE kind = 'top_up'",
            "UPDATE energy_entry_day SET count = count + 1 WHERE kind = 'top_up'",
            "DELETE FROM energy_entry_day WHERE kind = 'top_up'",
            "UPDATE energy_entry_day_mark SET moment = moment + interval '10 years'",
        ):
            with self.subTest(statement), self.env.cr.savepoint() as savepoint:
                self.env.cr.execute(statement)
                findings = {
                    result["name"]: result["findings"]
                    for result in self.env["energy.checker"]._check()
                    if result["findings"]
                }
                self.assertIn("rollup", findings)
                self.assertEqual(self.nightly(), findings)
                self.assertTrue(any(self.a.name in text for text in findings["rollup"]))
                savepoint.rollback()
        self.assertChecked()

    def test_daily_closing_wizard(self):
        self.set_clock(MAY + timedelta(hours=4))
        form = Form(self.env["energy.daily.closing"])
        self.assertEqual(str(form.date), "2026-05-01")
        day = form.save()
        self.assertEqual(day.action_print()["report_type"], "qweb-pdf")
        self.assertEqual(day.action_show()["report_type"], "qweb-html")
