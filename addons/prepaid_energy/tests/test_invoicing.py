from datetime import date, timedelta
from decimal import Decimal

from odoo import Command
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import START, EnergyCase

MARCH = date(2026, 3, 31)


class InvoicingCase(EnergyCase):
    """Ways to use energy, to let months pass and to invoice them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.products = cls.products_of(cls.company)

    @classmethod
    def products_of(cls, company):
        settings = cls.env["energy.billing.product"].search([("company_id", "=", company.id)])
        return {setting.category: setting for setting in settings}

    def set_tax(self, rate=None, included=True, products=None):
        """Bill everything with one tax in per cent, or with none."""
        taxes = self.env["account.tax"]
        if rate:
            taxes = taxes.create(
                {
                    "name": f"VAT {rate} no. {taxes.search_count([])}",
                    "amount": rate,
                    "amount_type": "percent",
                    "type_tax_use": "sale",
                    "company_id": self.company.id,
                    "price_include_override": "tax_included" if included else "tax_excluded",
                }
            )
        for setting in (products or self.products).values():
            setting.product_id.taxes_id = taxes
        return taxes

    def use(self, account, day, total, meter=None):
        """Read a register after so many days of March, and settle."""
        self.read(meter or account.supply_ids[:1].meter_id, START + timedelta(days=day), total)
        self.settle()

    def pass_to(self, day):
        """Let so many days since the beginning of March pass."""
        now = START + timedelta(days=day)
        if self.env["energy.clock"].search([], limit=1).project_anchor < now:
            self.set_clock(now)

    def invoice(self, account, until=MARCH):
        """Freeze what is open up to a date, and invoice whatever is frozen."""
        periods = self.env["energy.billing.period"]
        periods._freeze({account.id: until})
        closed = periods.search([("account_id", "=", account.id), ("state", "=", "closed")])
        return closed._invoice()

    def periods(self, account):
        periods = self.env["energy.billing.period"].search(
            [("account_id", "=", account.id)], order="date_from"
        )
        return [(str(p.date_from), str(p.date_to), p.state) for p in periods]

    def lines(self, account, move=None):
        """Return billed lines as (month, rate period, tier, quantity, amount), oldest first."""
        domain = [("account_id", "=", account.id)]
        if move:
            domain.append(("period_id", "=", move.energy_period_id.id))
        return [
            (
                f"{line.month:%m}",
                line.band,
                line.tier,
                f"{line.quantity:.3f}",
                f"{line.amount:.2f}",
            )
            for line in self.env["energy.billing.line"].search(domain, order="id")
        ]

    def assertExact(self, move):
        """An invoice and its lines have the money of the period's entries, now and after reset."""
        period = move.energy_period_id
        total = sum(
            (Decimal(str(entry.amount)) for entry in period.entry_ids if entry.kind != "billed"),
            Decimal(0),
        )
        for _round in range(2):
            sign = -1 if move.move_type == "out_refund" else 1
            self.assertEqual(move.state, "posted")
            self.assertAlmostEqual(float(-total), sign * move.amount_total, places=6)
            self.assertAlmostEqual(
                sum(move.invoice_line_ids.mapped("price_total")), move.amount_total, places=6
            )
            self.assertAlmostEqual(
                move.amount_untaxed + move.amount_tax, move.amount_total, places=6
            )
            self.assertFalse(move.line_ids.filtered(lambda item: item.display_type == "rounding"))
            billed = {}
            for line in period.line_ids:
                key = (line.month, line.band, line.tier)
                billed[key] = billed.get(key, Decimal(0)) + Decimal(str(line.amount))
            self.assertEqual(
                sorted(float(amount) for amount in billed.values() if amount),
                sorted(
                    round(sign * amount, 6)
                    for amount in move.invoice_line_ids.mapped("price_total")
                    if amount
                ),
            )
            move.button_draft()
            move.action_post()


@tagged("post_install", "-at_install")
class TestInvoicing(InvoicingCase):
    """A period becomes one invoice with the sum of its entries."""

    def setUp(self):
        super().setUp()
        self.set_tax()
        self.meter = self.make_meter("I1")
        self.account = self.open_account(self.meter)

    def test_month_is_invoiced_with_its_registers(self):
        self.use(self.account, 10, "100")
        self.use(self.account, 32, "320")
        self.pass_to(33)
        move = self.invoice(self.account)
        # 100 in 10 days, then 220 in 22 days: 21 of them in March, 10 kWh a day.
        self.assertEqual(self.lines(self.account), [("03", "flat", 1, "310.000", "186.00")])
        line = move.energy_period_id.line_ids
        self.assertEqual((line.register_from, line.register_to), (0, 310))
        self.assertEqual(move.amount_total, 186)
        self.assertEqual(move.invoice_date, MARCH)
        self.assertEqual(move.invoice_date_due, MARCH)
        self.assertEqual(move.energy_period_id.state, "invoiced")
        item = move.invoice_line_ids
        self.assertEqual((item.quantity, item.price_unit), (310, 0.6))
        self.assertEqual(item.product_id, self.products["electricity"].product_id)
        self.assertIn("I1: 0.000 – 310.000", item.name)
        self.assertEqual(item.analytic_distribution, {str(self.site.analytic_account_id.id): 100})
        self.assertEqual(self.receivable(move).energy_account_id, self.account)
        self.assertEqual(move.journal_id.type, "sale")
        self.assertExact(move)

    def test_invoice_until_cuts_the_month(self):
        self.use(self.account, 10, "100")
        self.pass_to(15)
        moves = self.account._invoice_until(date(2026, 3, 10))
        self.assertEqual((moves.amount_total, moves.invoice_date), (60, date(2026, 3, 10)))
        self.use(self.account, 20, "150")
        self.assertEqual(
            self.periods(self.account),
            [("2026-03-01", "2026-03-10", "invoiced"), ("2026-03-11", "2026-03-31", "open")],
        )
        moves = self.account._invoice_until(date(2026, 3, 20))
        self.assertEqual(moves.amount_total, 30)
        line = moves.energy_period_id.line_ids
        self.assertEqual((line.register_from, line.register_to), (100, 150))
        self.assertFalse(self.account._invoice_until(date(2026, 3, 20)))

    def test_use_charged_for_later_days_is_not_cut_off(self):
        self.use(self.account, 12, "120")
        moves = self.account._invoice_until(date(2026, 3, 5))
        self.assertEqual(moves.amount_total, 72)
        self.assertEqual(moves.invoice_date, date(2026, 3, 12))

    def test_late_correction_becomes_a_credit_note(self):
        self.use(self.account, 32, "300")
        self.pass_to(33)
        march = self.invoice(self.account)
        # 300 × 31/32 = 290.625 kWh at 0.60
        self.assertEqual(march.amount_total, 174.38)
        # The register at the end of March, read late, lies 18.833333 below the straight line.
        self.env["energy.reading"]._ingest(
            [(self.meter.id, START + timedelta(days=31), Decimal("271.791667"), None, "typed")]
        )
        self.settle()
        self.assertEqual(self.entries(self.account)[-2:], ["11.30", "-11.29"])
        self.assertEqual(
            self.periods(self.account),
            [("2026-03-01", "2026-03-31", "invoiced"), ("2026-04-01", "2026-04-30", "open")],
        )
        self.pass_to(62)
        april = self.invoice(self.account, date(2026, 4, 30))
        lines = self.lines(self.account, april)
        self.assertIn(("03", "flat", 1, "-18.833", "-11.30"), lines)
        late = april.energy_period_id.line_ids.filtered(lambda line: line.month.month == 3)
        self.assertEqual((late.register_from, late.register_to), (290.625, 271.791667))
        self.assertExact(april)
        # 28.208333 kWh of April for 16.92, less the 11.30 of March.
        self.assertEqual((april.move_type, april.amount_total), ("out_invoice", 5.62))

    def test_period_below_zero_is_a_credit_note(self):
        self.use(self.account, 31, "300")
        self.pass_to(33)
        march = self.invoice(self.account)
        self.assertEqual(march.amount_total, 180)
        # The register was read 18.833333 too high.
        self.env["energy.reading"].search(
            [("meter_id", "=", self.meter.id), ("total", "=", 300)]
        )._correct(Decimal("281.166667"), "Misread")
        self.settle()
        self.pass_to(62)
        april = self.invoice(self.account, date(2026, 4, 30))
        self.assertEqual((april.move_type, april.amount_total), ("out_refund", 11.3))
        item = april.invoice_line_ids
        self.assertEqual((item.quantity, item.price_unit), (18.833, 0.6))
        self.assertEqual(self.receivable(april).energy_account_id, self.account)
        self.assertExact(april)

    def test_reading_that_comes_after_invoicing_is_billed_with_its_registers(self):
        self.use(self.account, 20, "200")
        self.pass_to(33)
        march = self.invoice(self.account)
        self.assertEqual(march.amount_total, 120)
        self.use(self.account, 41, "410")
        self.pass_to(62)
        april = self.invoice(self.account, date(2026, 4, 30))
        self.assertEqual(
            [
                (line.month.month, line.register_from, line.register_to, line.amount)
                for line in april.energy_period_id.line_ids.sorted("month")
            ],
            [(3, 200, 310, 66), (4, 310, 410, 60)],
        )
        self.assertEqual(april.amount_total, 126)

    def test_charges_are_billed_once_each_with_quantity_one(self):
        self.products["other"].write(
            {
                "is_collected": True,
                "account_id": self.env["account.account"]
                .create(
                    {
                        "name": "Owed to the cable company",
                        "code": "229900",
                        "account_type": "liability_current",
                        "company_ids": [Command.set(self.company.ids)],
                    }
                )
                .id,
            }
        )
        self.use(self.account, 10, "100")
        self.charge(self.account, "Cable TV", Decimal("-30"), "rent/1")
        self.charge(self.account, "Cable TV", Decimal("-12.5"), "rent/2")
        self.charge(self.account, "Service fee", Decimal("-0.5"), "till/9/fee", "till/9")
        self.pass_to(33)
        move = self.invoice(self.account)
        self.assertEqual(move.amount_total, 103)
        found = {
            item.name.split("\n")[0]: (item.quantity, item.price_unit, item.price_total)
            for item in move.invoice_line_ids
        }
        self.assertEqual(
            found,
            {
                "Electricity, Flat": (100, 0.6, 60),
                "Other Charges, Cable TV": (1, 42.5, 42.5),
                "Service Fee": (1, 0.5, 0.5),
            },
        )
        other = move.invoice_line_ids.filtered(lambda item: item.price_unit == 42.5)
        self.assertEqual(other.account_id, self.products["other"].account_id)

    def charge(self, account, note, amount, key, cause_key=None):
        from ..models.energy_wallet import Draft

        wallet = account.wallet_ids[:1]
        month = (account.id, date(2026, 3, 1))
        wallet._post(
            [
                Draft(
                    wallet_id=wallet.id,
                    kind="charge",
                    category="other",
                    amount=amount,
                    key=key,
                    local_date=date(2026, 3, 10),
                    note=note,
                    user_id=self.env.uid,
                    period_id=self.env["energy.billing.period"]._open_for({month})[month],
                    cause_key=cause_key,
                )
            ],
            wallet._lock(wallet.ids),
        )

    def test_period_without_charges_needs_no_invoice(self):
        month = (self.account.id, date(2026, 3, 1))
        period = self.env["energy.billing.period"].browse(
            self.env["energy.billing.period"]._open_for({month})[month]
        )
        self.pass_to(33)
        self.assertFalse(self.invoice(self.account))
        self.assertEqual(period.state, "invoiced")
        self.assertFalse(period.move_id)

    def test_periods_are_frozen_in_order(self):
        self.use(self.account, 40, "400")
        self.pass_to(70)
        moves = self.invoice(self.account, date(2026, 4, 30))
        self.assertEqual(moves.mapped("amount_total"), [186, 54])
        self.assertEqual(moves.mapped("invoice_date"), [MARCH, date(2026, 4, 30)])

    def test_button_invoices_a_selection_and_refuses_a_month_that_is_not_over(self):
        self.use(self.account, 40, "400")
        periods = self.env["energy.billing.period"].search([("account_id", "=", self.account.id)])
        with self.assertRaisesRegex(UserError, "not over"):
            periods.action_freeze_and_invoice()
        march = periods.filtered(lambda period: period.date_to == MARCH)
        march.action_freeze_and_invoice()
        self.assertEqual(march.move_id.amount_total, 186)
        self.assertEqual(march.action_open_invoice()["res_id"], march.move_id.id)
        move = march.move_id
        march.action_freeze_and_invoice()
        self.assertEqual(march.move_id, move)

    def test_postpaid_bill_takes_the_balance_over(self):
        meter = self.make_meter("I2")
        account = self.open_account(meter, payment_mode="postpaid")
        self.use(account, 31, "100", meter)
        self.pass_to(33)
        self.assertEqual(account.balance, -60)
        move = self.invoice(account)
        account.invalidate_recordset()
        self.assertEqual(account.balance, 0)
        self.assertEqual(self.entries(account, "billed"), ["60.00"])
        self.assertEqual(move.amount_total, 60)
        self.assertFalse(self.receivable(move).energy_account_id)
        move.button_draft()
        move.button_cancel()
        self.assertEqual(self.invoice(account).amount_total, 60)
        self.assertEqual(self.entries(account, "billed"), ["60.00"])

    def test_two_meters_of_one_price_are_one_line_with_both_registers(self):
        other = self.make_meter("I3")
        account = self.open_account(self.make_meter("I4"), other)
        self.use(account, 31, "100", account.supply_ids[0].meter_id)
        self.use(account, 31, "200", account.supply_ids[1].meter_id)
        self.pass_to(33)
        move = self.invoice(account)
        self.assertEqual(len(move.invoice_line_ids), 1)
        self.assertEqual(move.invoice_line_ids.quantity, 300)
        self.assertEqual(move.amount_total, 180)
        self.assertEqual(len(move.invoice_line_ids.name.splitlines()), 3)

    def test_building_has_an_analytic_account_of_its_own(self):
        building = self.env["energy.property"].create(
            {
                "name": "Tower 1",
                "kind": "building",
                "parent_id": self.site.id,
                "company_id": self.company.id,
            }
        )
        meter = self.make_meter("I5")
        meter.property_id.parent_id = building
        account = self.open_account(meter)
        self.use(account, 31, "100", meter)
        self.pass_to(33)
        move = self.invoice(account)
        self.assertTrue(building.analytic_account_id)
        self.assertEqual(
            move.line_ids.analytic_line_ids.mapped("amount"), [60.0], "income of the building"
        )

    def test_invoice_title_is_the_billing_partner(self):
        title = self.env["res.partner"].create({"name": "Head office"})
        self.account.billing_partner_id = title
        self.use(self.account, 31, "100")
        self.pass_to(33)
        self.assertEqual(self.invoice(self.account).partner_id, title)

    def test_taxes_that_are_not_in_per_cent_are_refused(self):
        product = self.products["electricity"].product_id
        fixed = self.env["account.tax"].create(
            {
                "name": "Per kWh",
                "amount": 0.02,
                "amount_type": "fixed",
                "type_tax_use": "sale",
                "company_id": self.company.id,
            }
        )
        percent = self.set_tax(13)
        group = self.env["account.tax"].create(
            {
                "name": "Both",
                "amount_type": "group",
                "type_tax_use": "sale",
                "company_id": self.company.id,
                "children_tax_ids": [Command.set((fixed | percent).ids)],
            }
        )
        for tax in (fixed, group):
            with self.refused(ValidationError, "per cent"):
                product.taxes_id = tax
        other = self.env["product.product"].create({"name": "X", "taxes_id": fixed.ids})
        with self.refused(ValidationError, "per cent"):
            self.products["electricity"].product_id = other
        with self.refused(ValidationError, "per cent"):
            percent.amount_type = "fixed"
        group.children_tax_ids = percent
        product.taxes_id = group
        with self.refused(ValidationError, "per cent"):
            group.children_tax_ids |= fixed


@tagged("post_install", "-at_install")
class TestExactTotals(InvoicingCase):
    """Amounts give way by the odd cent: taxes, rounding methods, currencies, tiers and bands."""

    def setUp(self):
        super().setUp()
        self.tiered = self.make_tariff(
            "Tiers and bands",
            {
                "peak": ["0.617283", "0.717283", "1.017283"],
                "valley": ["0.317419", "0.417419", "0.717419"],
            },
            limits=(37, 91),
            windows=[("peak", 8, 22)],
            rest="valley",
        )

    def month(self, name):
        meter = self.make_meter(name)
        account = self.open_account(meter, tariff=self.tiered)
        for day, total in ((7, "31.377"), (16, "62.719"), (31, "133.333")):
            self.use(account, day, total, meter)
        return account

    def test_every_tax_and_rounding_method(self):
        accounts = {}
        cases = [
            (rate, included, method)
            for rate, included in ((None, True), (13, True), (13, False), (19, False), (7.7, True))
            for method in ("round_per_line", "round_globally")
        ]
        for number, case in enumerate(cases):
            accounts[case] = self.month(f"T{number}")
        self.pass_to(33)
        for (rate, included, method), account in accounts.items():
            with self.subTest(rate=rate, included=included, method=method):
                self.company.tax_calculation_rounding_method = method
                self.set_tax(rate, included)
                move = self.invoice(account)
                self.assertEqual(len(move.invoice_line_ids), 6)
                self.assertExact(move)
                prices = sorted(
                    round(price, 6) for price in move.invoice_line_ids.mapped("price_unit")
                )
                factor = 1 if included or not rate else 1 + rate / 100
                expected = (0.317419, 0.417419, 0.617283, 0.717283, 0.717419, 1.017283)
                for price, gross in zip(prices, expected, strict=True):
                    self.assertAlmostEqual(price, gross / factor, delta=5.1e-7)
                for item in move.invoice_line_ids:
                    self.assertAlmostEqual(
                        item.quantity * item.price_unit,
                        item.price_total if included or not rate else item.price_subtotal,
                        delta=0.011,
                    )
                quantities = move.invoice_line_ids.mapped("quantity")
                self.assertAlmostEqual(sum(quantities), 133.333, delta=0.0031)

    def test_mapped_taxes_keep_the_gross_amount(self):
        account = self.month("M1")
        reduced = self.set_tax(6)
        standard = self.set_tax(13)
        position = self.env["account.fiscal.position"].create(
            {"name": "Reduced", "company_id": self.company.id}
        )
        reduced.write(
            {
                "original_tax_ids": [Command.set(standard.ids)],
                "fiscal_position_ids": [Command.set(position.ids)],
            }
        )
        account.partner_id.with_company(self.company).property_account_position_id = position
        self.pass_to(33)
        move = self.invoice(account)
        self.assertEqual(move.invoice_line_ids.tax_ids, reduced)
        self.assertExact(move)
        self.assertAlmostEqual(move.amount_tax, move.amount_total * 6 / 106, delta=0.03)

    def test_two_taxes_one_on_top_of_the_other(self):
        account = self.month("M2")
        first = self.set_tax(5, included=False)
        first.include_base_amount = True
        second = self.set_tax(10, included=False)
        second.sequence = first.sequence + 1
        for setting in self.products.values():
            setting.product_id.taxes_id = first | second
        self.pass_to(33)
        move = self.invoice(account)
        self.assertExact(move)
        self.assertAlmostEqual(move.amount_untaxed, move.amount_total / 1.155, delta=0.05)

    def test_currency_of_five_cents_none_and_a_thousandth(self):
        for rounding, letters in ((0.05, "QA"), (1.0, "QB"), (0.001, "QC")):
            for letter, rate, included in (("X", None, True), ("Y", 13, True), ("Z", 19, False)):
                with self.subTest(rounding=rounding, rate=rate):
                    self.in_currency(rounding, letters + letter, rate, included)

    def in_currency(self, rounding, code, rate, included):
        cls = type(self)
        currency = self.env["res.currency"].create(
            {"name": code, "symbol": code, "rounding": rounding}
        )
        company = self.env["res.company"].create(
            {"name": code, "currency_id": currency.id, "country_id": self.env.ref("base.us").id}
        )
        self.env.user.company_ids += company
        env = self.env(context=dict(self.env.context, allowed_company_ids=company.ids))
        env["account.chart.template"].try_loading(
            "generic_coa", company=company, install_demo=False
        )
        company = company.with_env(env)
        company.currency_id = currency
        company._energy_set_up_books()
        home = cls.env, cls.company, cls.site, cls.policy
        policy = env["energy.credit.policy"].create({"name": code, "company_id": company.id})
        site = env["energy.property"].create(
            {
                "name": code,
                "kind": "site",
                "tz": "Asia/Shanghai",
                "company_id": company.id,
                "supply_state": "live",
            }
        )
        cls.env, cls.company, cls.site, cls.policy = env, company, site, policy
        try:
            self.env = env
            self.set_clock(START)
            tariff = self.make_tariff(
                code,
                {"peak": ["0.617283", "1.717283"], "valley": ["0.317419", "0.417419"]},
                limits=(37,),
                windows=[("peak", 8, 22)],
                rest="valley",
            )
            self.set_tax(rate, included, self.products_of(company))
            account = self.open_account(self.make_meter(f"C{code}"), tariff=tariff)
            for day, total in ((7, "31.377"), (16, "62.719"), (31, "133.333")):
                self.use(account, day, total)
            self.pass_to(33)
            move = self.invoice(account)
            self.assertEqual(move.currency_id, currency)
            self.assertEqual(len(move.invoice_line_ids), 4)
            self.assertExact(move)
        finally:
            cls.env, cls.company, cls.site, cls.policy = home
            self.env = cls.env
            self.set_clock(START)
