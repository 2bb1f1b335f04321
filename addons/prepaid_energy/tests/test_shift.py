from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

import psycopg2
from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from ..models.energy_wallet import Draft
from .common import START, EnergyCase


@tagged("post_install", "-at_install")
class TestShift(EnergyCase):
    """A shift counts the cash of its cashier, is closed once, and stays as it was closed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account = cls.open_account(cls.make_meter("S1"))
        cls.bank = cls.env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", cls.company.id)], limit=1
        )
        cls.transfer = cls.methods.filtered(lambda method: method.kind == "transfer")
        cls.till = cls.method.journal_id
        accounts = cls.env["account.account"]
        cls.loss, cls.profit = (
            accounts.create(
                {
                    "name": name,
                    "code": code,
                    "account_type": kind,
                    "company_ids": [Command.set(cls.company.ids)],
                }
            )
            for name, code, kind in (
                ("Till shortages", "699001", "expense"),
                ("Till surpluses", "799001", "income_other"),
            )
        )
        cls.till.write({"loss_account_id": cls.loss.id, "profit_account_id": cls.profit.id})
        cls.anna = cls.new_user("cashier", "shift_anna")
        cls.ben = cls.new_user("cashier", "shift_ben")
        cls.fiona = cls.new_user("finance", "shift_fiona")
        cls.boss = cls.new_user("manager", "shift_boss")

    def shifts(self, user):
        return self.env(user=user, context={"allowed_company_ids": self.company.ids})[
            "energy.shift"
        ]

    def begin(self, user, opening_float=0.0):
        form = Form(self.shifts(user))
        if opening_float:
            form.opening_float = opening_float
        return form.save()

    def sell(self, amount, shift, method=None, key=None):
        return self.account.wallet_ids._top_up(
            amount, key or f"shift/{amount}", method or self.method, shift=shift
        )

    def post(self, kind, amount, key, **values):
        wallet = self.account.wallet_ids
        wallet._post(
            [
                Draft(
                    wallet_id=wallet.id,
                    kind=kind,
                    category="other",
                    amount=Decimal(str(amount)),
                    key=key,
                    local_date=self.site._today(),
                    note="Test",
                    user_id=self.env.uid,
                    **values,
                )
            ],
            wallet._lock(wallet.ids),
        )
        self.env.invalidate_all()

    def lines(self, move):
        return sorted((line.account_id, line.balance) for line in move.line_ids)

    def test_expected_is_float_and_cash_received_less_cash_paid_out(self):
        shift = self.begin(self.anna, 200)
        self.assertRegex(shift.name, r"^SHIFT/\d{5}$")
        self.sell(300, shift)
        self.sell(120.5, shift)
        self.sell(80, shift, self.transfer)  # no cash
        # A wrong top-up of 120.50 is reversed, 40 are refunded, 30 go back by bank.
        cash = {"method_id": self.method.id, "shift_id": shift.id}
        self.post("reversal", -120.5, "undone", cause_key="shift/120.5", **cash)
        self.post("refund", -40, "back", **cash)
        self.post("refund", -30, "bank", method_id=self.transfer.id, shift_id=shift.id)
        # What carries the method but is no payment does not move the till.
        month = (self.account.id, self.site._today())
        period = self.env["energy.billing.period"]._open_for({month})[month]
        self.post("charge", -3, "fee", cause_key="shift/300", period_id=period, **cash)
        self.assertEqual(
            (shift.cash_received, shift.cash_paid, shift.expected), (420.5, 160.5, 460)
        )

    def test_closing_without_difference_books_what_is_banked(self):
        shift = self.begin(self.anna, 200)
        self.sell(300, shift)
        with Form(shift) as form:
            form.counted = 500
            form.banked = 350
            form.bank_journal_id = self.bank
        self.assertEqual((shift.difference, shift.handed_over), (0, 150))
        shift.action_close()
        self.assertEqual((shift.state, shift.closed_at), ("closed", START))
        shift = shift.sudo()
        self.assertFalse(shift.difference_move_id)
        move = shift.banked_move_id
        self.assertEqual((move.state, move.journal_id), ("posted", self.till))
        self.assertEqual(str(move.date), "2026-03-01")
        self.assertEqual(
            self.lines(move),
            sorted([(self.till.default_account_id, -350), (self.company.transfer_account_id, 350)]),
        )

    def test_difference_needs_a_reason_and_is_booked(self):
        for counted, account, signed in ((95.5, self.loss, 4.5), (101, self.profit, -1)):
            shift = self.begin(self.anna)
            self.sell(100, shift, key=f"till/{counted}")
            left = shift.opening_float
            shift.counted = counted + left
            with self.assertRaisesRegex(UserError, "differs by"):
                shift.action_close()
            self.assertEqual(shift.state, "open")
            shift.difference_reason = "Wrong change"
            shift.action_close()
            move = shift.sudo().difference_move_id
            self.assertEqual(move.state, "posted")
            self.assertEqual(
                self.lines(move),
                sorted([(self.till.default_account_id, -signed), (account, signed)]),
            )
            self.assertIn("Wrong change", move.ref)

    def test_missing_accounts_and_locked_books_are_named_and_nothing_is_lost(self):
        shift = self.begin(self.anna)
        self.sell(100, shift)
        shift.write({"counted": 99, "difference_reason": "Lost a coin"})
        self.till.loss_account_id = False
        with self.assertRaisesRegex(UserError, "no loss account"):
            shift.action_close()
        self.till.loss_account_id = self.loss
        moves = type(self.env["account.move"])
        with (
            patch.object(moves, "action_post", side_effect=UserError("Period is locked")),
            self.assertRaisesRegex(UserError, "stays open.*Period is locked"),
            self.env.cr.savepoint(),
        ):
            shift.action_close()
        self.assertEqual((shift.state, shift.counted), ("open", 99))
        shift.action_close()
        self.assertEqual(shift.state, "closed")
        with self.assertRaisesRegex(UserError, "closed already"):
            shift.action_close()

    def test_no_more_is_banked_than_counted_and_the_bank_is_named(self):
        shift = self.begin(self.anna)
        self.sell(100, shift)
        shift.write({"counted": 100, "banked": 50})
        with self.assertRaisesRegex(UserError, "Choose the bank"):
            shift.action_close()
        shift.write({"banked": 101, "bank_journal_id": self.bank.id})
        with self.assertRaisesRegex(UserError, "No more can be banked"):
            shift.action_close()

    def test_closed_shift_is_not_changed_by_anybody(self):
        shift = self.begin(self.anna)
        shift.action_close()
        for user in (self.anna, self.fiona, self.boss, self.env.user):
            own = shift.with_user(user)
            for values in (
                {"counted": 1},
                {"state": "open"},
                {"difference_reason": "Later"},
                {"closed_at": False},
            ):
                with self.refused(UserError, "is closed"):
                    own.write(values)
            with self.refused(UserError):
                own.unlink()
        with self.refused(UserError):
            shift.sudo().unlink()

    def test_open_shift_is_changed_by_counting_only(self):
        shift = self.begin(self.anna, 200)
        for user in (self.anna, self.boss):
            own = shift.with_user(user)
            for values in (
                {"state": "closed"},
                {"opening_float": 0},
                {"user_id": self.ben.id},
                {"opened_at": START - timedelta(days=9)},
                {"name": "SHIFT/1"},
            ):
                with self.refused(AccessError, "only what is counted"):
                    own.write(values)
        forged = (
            self.shifts(self.ben)
            .with_context(default_state="closed", default_closed_at=START)
            .create({"state": "closed", "name": "X", "opened_at": START - timedelta(days=9)})
        )
        self.assertEqual((forged.state, forged.opened_at, forged.closed_at), ("open", START, False))
        self.assertNotEqual(forged.name, "X")

    def test_one_open_shift_a_cashier_and_amounts_are_amounts(self):
        shift = self.begin(self.anna)
        with self.refused(psycopg2.errors.UniqueViolation):
            self.shifts(self.anna).create({})
        self.begin(self.ben)
        for values in (
            {"counted": -1},
            {"counted": 1e12},
            {"counted": float("nan")},
            {"banked": float("inf")},
        ):
            with self.refused((psycopg2.errors.CheckViolation, UserError)):
                shift.write(values)
                shift.flush_recordset()

    def test_cashiers_see_their_own_shifts_and_finance_all(self):
        mine, other = self.begin(self.anna), self.begin(self.ben)
        self.assertEqual(self.shifts(self.anna).search([]), mine)
        self.assertLessEqual(mine + other, self.shifts(self.fiona).search([]))
        with self.refused(AccessError):
            other.with_user(self.anna).action_close()
        with self.refused(AccessError):
            self.shifts(self.anna).create({"user_id": self.boss.id})
        with self.refused(AccessError):
            self.shifts(self.fiona).create({})
        other.with_user(self.fiona).action_close()
        self.assertEqual(other.state, "closed")

    def test_next_shift_begins_with_what_was_left(self):
        first = self.begin(self.anna, 200)
        self.sell(300, first)
        first.write(
            {
                "counted": 500,
                "banked": 380,
                "bank_journal_id": self.bank.id,
                "handed_to_id": self.ben.id,
            }
        )
        first.action_close()
        # Anna does not get what is meant for Ben, who cannot type another float.
        second = self.begin(self.anna)
        self.assertEqual((second.opening_float, second.previous_id.id), (0, False))
        third = self.shifts(self.ben).create({"opening_float": 5})
        self.assertEqual((third.opening_float, third.previous_id.id), (120, first.id))
        third.counted = 120
        third.action_close()
        self.assertEqual(self.begin(self.ben).previous_id, third)

    def test_closed_shift_takes_no_entry(self):
        shift = self.begin(self.anna)
        shift.action_close()
        with self.refused((psycopg2.errors.RestrictViolation, ValidationError), "is closed"):
            self.sell(10, shift)
        self.assertFalse(self.account.entry_ids)
        self.sell(10, self.begin(self.anna))

    def test_my_shift_opens_the_present_one(self):
        action = self.shifts(self.anna)._my_shift()
        self.assertFalse(action["res_id"])
        shift = self.begin(self.anna)
        self.assertEqual(self.shifts(self.anna)._my_shift()["res_id"], shift.id)
        self.assertEqual(self.shifts(self.anna)._present(), shift)
        self.assertFalse(self.shifts(self.ben)._present())

    def render(self, report, record):
        html, _kind = self.env["ir.actions.report"]._render_qweb_html(report, record.ids)
        return " ".join(html.decode().replace("\ufeff", "").split())

    def test_closing_sheets(self):
        shift = self.begin(self.anna, 200)
        self.sell(300, shift)
        self.sell(80, shift, self.transfer)
        cash = {"method_id": self.method.id, "shift_id": shift.id}
        self.post("refund", -40, "back", **cash)
        receipts = self.env["energy.receipt"]._for(["shift/300", "shift/80"])
        shift.write({"counted": 459, "difference_reason": "Coin fell down"})
        shift.action_close()
        model = self.env["report.prepaid_energy.report_shift_closing"]
        sheet = model._get_report_values(shift.ids)["sheets"][0]
        self.assertEqual(
            [
                (row["method"].name, *(row[part] for part in ("received", "refunded")), row["net"])
                for row in sheet["rows"]
            ],
            [("Cash", (1, 300), (1, -40), 260), ("Bank transfer", (1, 80), (0, 0), 80)],
        )
        self.assertEqual(sheet["total"]["net"], 340)
        numbers = tuple(receipts.sorted("number").mapped("name"))
        self.assertEqual((len(numbers), sheet["receipts"]), (2, numbers))
        text = self.render("prepaid_energy.action_report_shift_closing", shift)
        for word in (shift.name, "Coin fell down", "459.00", "-1.00"):
            self.assertIn(word, text)
        # The day's sheet has it too, whether it is summed up already or not.
        self.post("top_up", 7, "provider/1")
        for rolled_up in (False, True):
            if rolled_up:
                self.set_clock(START + timedelta(hours=5))
                self.env["energy.entry.day"]._roll_up()
            day = self.env["energy.daily.closing"].create({"date": "2026-03-01"})
            sheet = self.env["report.prepaid_energy.report_day_closing"]._sheet(day)
            self.assertEqual(
                [(row["method"].name, row["net"]) for row in sheet["rows"]],
                [("Cash", 260), ("Bank transfer", 80), (False, 7)],
            )
            self.assertEqual(sheet["shifts"], shift)
            self.assertIn(
                "Coin fell down", self.render("prepaid_energy.action_report_day_closing", day)
            )
        other = self.env["energy.daily.closing"].create(
            {"date": "2026-03-01", "user_id": self.ben.id}
        )
        sheet = self.env["report.prepaid_energy.report_day_closing"]._sheet(other)
        self.assertEqual((sheet["rows"], len(sheet["shifts"])), ([], 0))
