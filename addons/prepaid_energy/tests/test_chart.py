from datetime import date

from odoo.tests import tagged

from ..models.res_company_books import ACCOUNTS
from .test_booking import BooksCase

NAMES = (*ACCOUNTS, "energy_journal_id")


@tagged("post_install", "-at_install")
class TestChart(BooksCase):
    """Every company with a chart of accounts has the books of energy, whichever chart it is."""

    def new_company(self, name, currency, chart=None, **values):
        money = self.env.ref(f"base.{currency}")
        money.active = True
        company = self.env["res.company"].create({"name": name, "currency_id": money.id, **values})
        self.env.user.company_ids += company
        if chart:
            self.load(chart, company)
        return company

    def load(self, chart, company):
        module = self.env["account.chart.template"]._get_chart_template_mapping()[chart]["module"]
        if self.env["ir.module.module"]._get(module).state != "installed":
            self.skipTest(f"{module} is not installed in this database.")
        self.env["account.chart.template"].try_loading(chart, company=company, install_demo=False)

    def move_to(self, company):
        """Work in another company from here on: a site, a cash journal, an account."""
        cls = type(self)
        names = ("env", "company", "site", "cash", "advances", "policy", "method", "flat_tariff")
        kept = {name: getattr(cls, name) for name in names}

        def restore():
            for name, value in kept.items():
                setattr(cls, name, value)

        self.addCleanup(restore)
        context = {**self.env.context, "allowed_company_ids": company.ids}
        self.env.user.company_id = company
        cls.env = self.env(context=context)
        cls.company = company.with_env(self.env)
        cls.cash = self.env["account.journal"].create(
            {"name": "Till", "type": "cash", "code": "TILL", "company_id": company.id}
        )
        company._energy_set_up_books()
        cls.advances = company.energy_advances_account_id
        cls.method = self.env["energy.payment.method"].search(
            [("company_id", "=", company.id), ("kind", "=", "cash")]
        )
        cls.policy = cls.policy.copy({"name": "Own", "company_id": company.id})
        cls.site = self.env["energy.property"].create(
            {
                "name": "Quay",
                "kind": "site",
                "tz": "Asia/Shanghai",
                "company_id": company.id,
                "supply_state": "live",
            }
        )
        cls.flat_tariff = cls.make_tariff("Own flat", {"flat": ["0.600000"]})
        return self.open_account(self.make_meter(f"Q{company.id}"))

    def live_through(self, account):
        """Top up 100, be charged 130, invoice, settle; return the invoice."""
        self.book(self.top_up(account, 100))
        invoice = self.invoice(self.charge(account, "130", 3))
        self.settle_books(account)
        row = self.env["energy.reconciliation"].browse(account.id)
        self.assertEqual((row.advances, row.receivables, row.difference), (0, 30, 0))
        return invoice

    def test_chart_that_is_loaded_later_sets_up_everything_once(self):
        company = self.new_company("Quay", "EUR")
        self.assertFalse(any(company[name] for name in NAMES))
        self.load("generic_coa", company)
        made = {name: company[name] for name in NAMES}
        self.assertTrue(all(made.values()))
        self.assertEqual(len({account.id for account in made.values()}), 5)
        self.load("generic_coa", company)
        company._energy_set_up_books()
        self.assertEqual({name: company[name] for name in NAMES}, made)

    def test_codes_in_use_are_left_alone(self):
        company = self.new_company("Quay", "EUR", "generic_coa")
        taken = company.energy_advances_account_id
        company.energy_advances_account_id = False
        fresh = company._energy_set_up_advances_account()
        self.assertNotEqual(fresh, taken)
        codes = [account.with_company(company).code for account in (taken, fresh)]
        self.assertNotEqual(*codes)
        company.energy_journal_id = False
        company._energy_set_up_books()
        self.assertEqual(company.energy_journal_id.code, "ENRG1")

    def test_second_company_in_another_currency_keeps_its_own_books(self):
        company = self.new_company("Quay", "EUR", "generic_coa")
        company.currency_id = self.env.ref("base.EUR")
        home = self.advances
        account = self.move_to(company)
        invoice = self.live_through(account)
        self.assertEqual(invoice.currency_id.name, "EUR")
        self.assertEqual(invoice.company_id, company)
        self.assertNotEqual(self.advances, home)

    def test_branch_uses_the_accounts_of_its_parent(self):
        branch = self.new_company("Harbour East", "CNY", parent_id=self.company.id)
        branch._energy_set_up_books()
        for name in NAMES:
            self.assertEqual(branch[name], self.company[name], name)

    def test_chinese_chart(self):
        company = self.new_company("Quay", "CNY", "cn")
        account = self.move_to(company)
        old = (
            self.env["account.chart.template"]
            .with_company(company)
            .ref("l10n_cn_common_account_2203")
        )
        self.assertFalse(old.reconcile)
        self.assertNotEqual(old, self.advances)
        codes = [account.with_company(company).code for account in (old, self.advances)]
        self.assertEqual([code[:4] for code in codes], ["2203", "2203"])
        claim = self.claim(self.live_through(account))
        self.assertEqual(claim.account_id.with_company(company).code[:4], "1122")

    def test_european_chart_with_tax_on_top(self):
        company = self.new_company("Kai", "EUR", "de_skr03")
        account = self.move_to(company)
        self.book(self.top_up(account, 100))
        tax = self.env["account.tax"].search(
            [
                ("company_id", "=", company.id),
                ("type_tax_use", "=", "sale"),
                ("amount", "=", 19),
                ("price_include", "=", False),
            ],
            limit=1,
        )
        self.assertTrue(tax)
        period = self.charge(account, "119", 3)
        company.energy_billing_product_ids.product_id.taxes_id = tax
        invoice = period._freeze({account.id: date(2026, 3, 31)})._invoice()
        self.assertEqual((invoice.amount_untaxed, invoice.amount_total), (100, 119))
        self.settle_books(account)
        row = self.env["energy.reconciliation"].browse(account.id)
        self.assertEqual((row.advances, row.receivables, row.difference), (0, 19, 0))

    def test_another_chart_replaces_an_unused_one(self):
        company = self.new_company("Quay", "CNY", "generic_coa")
        before = company.energy_journal_id
        self.load("cn", company)
        self.assertFalse(before.exists())
        self.assertTrue(company.energy_journal_id)
        self.assertTrue(
            company.energy_advances_account_id.with_company(company).code.startswith("2203")
        )
