from datetime import datetime

from odoo.tests import tagged

from .test_booking import BooksCase


@tagged("post_install", "-at_install")
class TestReconciliation(BooksCase):
    """The difference report shows each term, and every planted defect of the books."""

    def report(self, account):
        self.env.invalidate_all()
        row = self.env["energy.reconciliation"].browse(account.id)
        return {
            name: f"{row[name]:.2f}"
            for name in ("advances", "receivables", "not_booked", "balance", "uninvoiced")
        }

    def difference(self, account):
        self.env.invalidate_all()
        return f"{self.env['energy.reconciliation'].browse(account.id).difference:.2f}"

    def plant(self, statement, *values):
        self.plants_defect = True
        self.env.flush_all()
        self.env.cr.execute(statement, values)
        self.env.invalidate_all()

    def found(self):
        found = {r["name"] for r in self.env["energy.checker"]._check() if r["findings"]}
        self.assertEqual(set(self.nightly()), found)
        return found

    def use_up(self):
        """Top up 100, use 130, invoice it, settle it."""
        self.book(self.top_up(self.account, 100))
        invoice = self.invoice(self.charge(self.account, "130", 3))
        self.settle_books()
        return invoice

    def test_every_term_is_shown(self):
        entry = self.top_up(self.account, 100)
        zero = dict.fromkeys(
            ("advances", "receivables", "not_booked", "balance", "uninvoiced"), "0.00"
        )
        self.assertEqual(
            self.report(self.account), {**zero, "not_booked": "100.00", "balance": "100.00"}
        )
        self.book(entry)
        self.assertEqual(
            self.report(self.account), {**zero, "advances": "100.00", "balance": "100.00"}
        )
        period = self.charge(self.account, "130", 3)
        self.assertEqual(
            self.report(self.account),
            {**zero, "advances": "100.00", "balance": "-30.00", "uninvoiced": "130.00"},
        )
        self.invoice(period)
        self.assertEqual(
            self.report(self.account),
            {**zero, "advances": "100.00", "receivables": "130.00", "balance": "-30.00"},
        )
        self.settle_books()
        self.assertEqual(
            self.report(self.account), {**zero, "receivables": "30.00", "balance": "-30.00"}
        )
        row = self.env["energy.reconciliation"].browse(self.account.id)
        self.assertEqual(
            (row.company_id, row.site_id, row.partner_id, row.differs),
            (self.company, self.site, self.account.partner_id, False),
        )

    def test_it_is_searched_and_grouped(self):
        self.use_up()
        rows = self.env["energy.reconciliation"]
        mine = [("account_id", "in", (self.account | self.other).ids)]
        self.assertFalse(rows.search([*mine, ("differs", "=", True)]))
        self.assertEqual(rows.search([*mine, ("receivables", "!=", 0)]).account_id, self.account)
        groups = rows._read_group(mine, ["site_id"], ["receivables:sum", "__count"])
        self.assertEqual(groups, [(self.site, 30.0, 2)])

    def test_what_lies_behind_a_row_opens(self):
        self.use_up()
        self.top_up(self.account, 5)
        row = self.env["energy.reconciliation"].browse(self.account.id)
        for action, count in (
            (row.action_open_not_booked(), 1),
            (row.action_open_entries(), 3),
            (row.action_open_periods(), 1),
            (row.action_open_journal_items(), 4),
        ):
            self.assertEqual(
                self.env[action["res_model"]].search_count(action["domain"]), count, action["name"]
            )

    def test_top_up_booked_on_the_wrong_account(self):
        entry = self.top_up(self.account, 100)
        self.book(entry)
        self.plant(
            "UPDATE account_move_line SET energy_account_id = %s WHERE energy_entry_key = %s",
            self.other.id,
            entry.key,
        )
        self.assertEqual(self.difference(self.account), "-100.00")
        self.assertEqual(self.difference(self.other), "100.00")
        self.assertEqual(self.found(), {"bookings", "advances"})

    def test_payment_matched_with_the_wrong_customer(self):
        invoice = self.use_up()
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.other.partner_id.id,
                "amount": 30,
                "journal_id": self.cash.id,
            }
        )
        payment.action_post()
        (self.claim(invoice) | self.claim(payment.move_id)).reconcile()
        self.env.invalidate_all()
        row = self.env["energy.reconciliation"].search([("paid_by_others", "!=", 0)])
        self.assertEqual((row.account_id, row.paid_by_others), (self.account, 30))
        self.assertEqual(self.difference(self.account), "0.00")

    def test_dropped_entry(self):
        entry = self.top_up(self.account, 100)
        self.book(entry)
        self.plant("ALTER TABLE energy_wallet_entry DISABLE TRIGGER USER")
        self.plant("DELETE FROM energy_wallet_entry WHERE id = %s", entry.id)
        self.plant("ALTER TABLE energy_wallet_entry ENABLE TRIGGER USER")
        self.plant("UPDATE energy_wallet SET balance = 0 WHERE account_id = %s", self.account.id)
        self.assertEqual(self.difference(self.account), "100.00")
        self.assertLessEqual({"bookings", "advances"}, self.found())

    def test_deleted_settlement_item(self):
        self.use_up()
        self.plant(
            "DELETE FROM account_move_line WHERE energy_account_id = %s AND account_id = %s"
            " AND balance > 0",
            self.account.id,
            self.advances.id,
        )
        self.assertEqual(self.difference(self.account), "100.00")

    def test_deleted_matching(self):
        invoice = self.use_up()
        self.plant(
            "DELETE FROM account_partial_reconcile WHERE debit_move_id = %s", self.claim(invoice).id
        )
        self.assertIn("residuals", self.found())

    def test_invoice_that_is_no_longer_posted_behind_our_back(self):
        invoice = self.use_up()
        self.plant("UPDATE account_move SET state = 'cancel' WHERE id = %s", invoice.id)
        self.assertEqual(self.difference(self.account), "-130.00")

    def test_advances_in_debit_on_one_day_only(self):
        self.book(self.top_up(self.account, 100))
        refund = self.post(self.account, "refund", "-40", "refund/1", **self.by_cash())
        self.book(refund)
        self.plant(
            "UPDATE account_move_line SET date = '2026-02-01' WHERE energy_entry_key = 'refund/1'"
        )
        self.assertEqual(self.found(), {"cover"})

    def test_advances_without_an_account(self):
        entry = self.top_up(self.account, 100)
        self.book(entry)
        self.plant(
            "UPDATE account_move_line SET energy_account_id = NULL WHERE energy_entry_key = %s",
            entry.key,
        )
        self.assertLessEqual({"named", "advances"}, self.found())

    def test_broken_chain_is_named(self):
        entry = self.top_up(self.account, 100)
        self.top_up(self.account, 20)
        self.plant("ALTER TABLE energy_wallet_entry DISABLE TRIGGER USER")
        self.plant("UPDATE energy_wallet_entry SET note = 'other' WHERE id = %s", entry.id)
        self.plant("ALTER TABLE energy_wallet_entry ENABLE TRIGGER USER")
        self.assertEqual(self.found(), {"chains"})
        broken = self.env["energy.wallet.entry"]._broken_links(self.account.wallet_ids.ids)
        self.assertEqual(broken[0][0], entry.id)

    def test_nightly_check_raises_an_activity(self):
        entry = self.top_up(self.account, 100)
        self.book(entry)
        self.plant(
            "UPDATE account_move_line SET balance = -90 WHERE energy_entry_key = %s", entry.key
        )
        self.nightly()
        activity = self.env["mail.activity"].search([], order="id desc", limit=1)
        self.assertEqual(activity.res_id, self.company.partner_id.id)
        self.assertIn(self.account.name, activity.note)

    def test_drafts_show_no_difference(self):
        invoice = self.use_up()
        self.set_clock(datetime(2026, 4, 10))
        settlement = invoice.line_ids.matched_credit_ids.credit_move_id.move_id
        for moves in (invoice, settlement, invoice | settlement):
            moves.button_draft()
            self.assertEqual(self.difference(self.account), "0.00")
            moves.action_post()
            self.assertEqual(self.difference(self.account), "0.00")
