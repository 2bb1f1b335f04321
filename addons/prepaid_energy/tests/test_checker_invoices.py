from odoo.tests import tagged

from .test_invoicing import InvoicingCase


@tagged("post_install", "-at_install")
class TestCheckerInvoices(InvoicingCase):
    """Each planted defect of periods and invoices is found by its rule, and named."""

    plants_defect = True

    def setUp(self):
        super().setUp()
        self.set_tax(13)
        self.meter = self.make_meter("P1")
        self.account = self.open_account(self.meter)
        self.use(self.account, 31, "217.31")
        self.use(self.account, 33, "230")
        self.move = self.invoice(self.account)
        self.period = self.move.energy_period_id
        self.assertChecked()

    def plant(self, statement, *args):
        self.env.flush_all()
        self.env.cr.execute("ALTER TABLE energy_wallet_entry DISABLE TRIGGER USER")
        self.env.cr.execute(statement, args)
        count = self.env.cr.rowcount
        self.env.cr.execute("ALTER TABLE energy_wallet_entry ENABLE TRIGGER USER")
        self.env.invalidate_all()
        self.assertTrue(count, "Nothing was planted")

    def assertFound(self, rule, word):
        findings = {
            result["name"]: result["findings"] for result in self.env["energy.checker"]._check()
        }
        self.assertTrue(
            any(str(word) in finding for finding in findings[rule]), f"{word!r}: {findings[rule]}"
        )
        self.assertEqual(self.nightly().get(rule), findings[rule])

    def test_entry_that_gets_into_a_frozen_period(self):
        self.plant(
            "UPDATE energy_wallet_entry SET period_id = %s WHERE account_id = %s"
            " AND period_id <> %s",
            self.period.id,
            self.account.id,
            self.period.id,
        )
        self.assertFound("frozen", f"Period {self.period.id} ")

    def test_entry_that_is_dropped_from_its_period(self):
        self.plant(
            "UPDATE energy_wallet_entry SET period_id = NULL WHERE period_id = %s", self.period.id
        )
        self.assertFound("frozen", f"Period {self.period.id} ")
        self.assertFound("periods", "in no billing period")

    def test_billed_line_that_is_lost_doubled_or_moved_to_another_unit(self):
        line = self.period.line_ids
        columns = (
            "period_id, account_id, site_id, company_id, currency_id, kind, category, unit_id,"
            " month, supply_id, meter_id, version_id, band, tier, price, quantity, amount_exact"
        )
        for amount, name in ((130.39, "doubled"), (0.01, "a cent more")):
            with self.subTest(name), self.env.cr.savepoint() as savepoint:
                self.plant(
                    f"INSERT INTO energy_billing_line ({columns}, amount)"
                    f" SELECT {columns}, %s FROM energy_billing_line WHERE id = %s",
                    amount,
                    line.id,
                )
                self.assertFound("frozen", f"Period {self.period.id} ")
                self.assertFound("invoices", f"Period {self.period.id}:")
                savepoint.close(rollback=True)
        self.plant("DELETE FROM energy_billing_line WHERE id = %s", line.id)
        self.assertFound("frozen", f"Period {self.period.id} ")

    def test_invoice_with_another_total(self):
        self.plant(
            "UPDATE account_move SET amount_total_signed = amount_total_signed + 0.01"
            " WHERE id = %s",
            self.move.id,
        )
        self.assertFound("invoices", self.move.name)

    def test_period_that_is_invoiced_twice(self):
        copy = self.move.copy()
        copy.action_post()
        self.plant(
            "UPDATE account_move SET energy_period_id = %s WHERE id = %s", self.period.id, copy.id
        )
        self.assertFound("invoices", copy.name)

    def test_period_whose_invoice_is_lost(self):
        self.plant("UPDATE energy_billing_period SET move_id = NULL WHERE id = %s", self.period.id)
        self.assertFound("invoices", f"Period {self.period.id} ")

    def test_period_opened_again(self):
        self.plant("UPDATE energy_billing_period SET state = 'open' WHERE id = %s", self.period.id)
        self.assertFound("frozen", f"Period {self.period.id} ")

    def test_periods_that_overlap_or_are_frozen_out_of_order(self):
        self.plant(
            "UPDATE energy_billing_period SET date_from = '2026-03-20' WHERE account_id = %s"
            " AND date_from = '2026-04-01'",
            self.account.id,
        )
        self.assertFound("periods", self.account.name)
