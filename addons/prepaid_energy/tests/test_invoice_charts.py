from datetime import date, timedelta

from odoo.tests import tagged

from .common import START, EnergyCase


class ChartCase(EnergyCase):
    """A company with the chart of accounts of its country, and one invoiced month."""

    def in_chart(self, chart, country, currency):
        """Return the posted invoice of a month of 217.31 kWh at 0.60."""
        cls = type(self)
        company = self.env["res.company"].create(
            {
                "name": f"Estates {chart}",
                "country_id": self.env.ref(f"base.{country}").id,
                "currency_id": self.env.ref(f"base.{currency}").id,
            }
        )
        self.env.user.company_ids += company
        env = self.env(context=dict(self.env.context, allowed_company_ids=company.ids))
        env["account.chart.template"].try_loading(chart, company=company, install_demo=False)
        company = company.with_env(env)
        company._energy_set_up_books()
        home = cls.env, cls.company, cls.site
        site = env["energy.property"].create(
            {
                "name": chart,
                "kind": "site",
                "tz": "Asia/Shanghai",
                "company_id": company.id,
                "supply_state": "live",
            }
        )
        cls.env, cls.company, cls.site = env, company, site
        self.env = env
        self.addCleanup(self.come_home, home)
        self.set_clock(START)
        policy = env["energy.credit.policy"].create({"name": chart, "company_id": company.id})
        tariff = self.make_tariff(chart, {"flat": ["0.600000"]})
        meter = self.make_meter(f"M {chart}")
        account = self.open_account(meter, tariff=tariff, policy=policy)
        self.read(meter, START + timedelta(days=31), "217.31")
        self.settle()
        self.set_clock(START + timedelta(days=34))
        move = account._invoice_until(date(2026, 3, 31))
        self.assertEqual(move.state, "posted")
        self.assertEqual(move.currency_id, company.currency_id)
        # 217.31 × 0.60 = 130.386
        self.assertEqual(move.amount_total, 130.39)
        move.button_draft()
        move.action_post()
        self.assertEqual(move.amount_total, 130.39)
        self.assertChecked()
        return move

    @classmethod
    def come_home(cls, home):
        cls.env, cls.company, cls.site = home


@tagged("post_install", "-at_install")
class TestCharts(ChartCase):
    """Invoices in the charts of accounts that customers use."""

    def test_china(self):
        move = self.in_chart("cn", "cn", "CNY")
        company = move.company_id
        self.assertTrue(self.receivable(move).account_id.code.startswith("1122"))
        advances = company.energy_advances_account_id
        standard = self.env["account.account"].search([("code", "=like", "2203%")], limit=1)
        self.assertTrue(standard)
        self.assertNotEqual(advances, standard)
        self.assertTrue(advances.reconcile)
        tax = move.invoice_line_ids.tax_ids
        self.assertEqual(tax.amount_type, "percent")
        self.assertAlmostEqual(
            move.amount_tax, 130.39 * tax.amount / (100 + tax.amount), delta=0.0051
        )

    def test_germany_with_tax_on_top(self):
        move = self.in_chart("de_skr03", "de", "EUR")
        item = move.invoice_line_ids
        self.assertEqual((item.tax_ids.amount, item.tax_ids.price_include), (19, False))
        # 0.60 / 1.19 and 130.39 / 1.19
        self.assertEqual(item.price_unit, 0.504202)
        self.assertEqual((move.amount_untaxed, move.amount_tax), (109.57, 20.82))
        self.assertEqual(item.quantity, 217.31)
