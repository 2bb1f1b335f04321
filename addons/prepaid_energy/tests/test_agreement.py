from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import EnergyCase


@tagged("post_install", "-at_install")
class TestAgreement(EnergyCase):
    def setUp(self):
        super().setUp()
        self.tariff = self.make_tariff(
            "Household",
            {"peak": ["0.568", "0.618"], "valley": ["0.288", "0.338"]},
            limits=(230,),
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        self.account = self.open_account(
            self.make_meter("AG-77"),
            tariff=self.tariff,
            register=1337.01,
            activate=False,
            capacity=6,
            opening_deposit=500,
        )
        self.account.partner_id.write({"name": "Sun <b>Wei</b>", "phone": "13800001111"})

    def user(self, role):
        return self.new_user(role, f"agreement_{role}")

    def template(self, body, **values):
        return self.env["energy.agreement.template"].create(
            {"name": "Ours", "body": body, "company_id": self.company.id, **values}
        )

    def html(self):
        return str(self.account._agreement_html())

    def test_standard_text_is_filled_in(self):
        text = self.html()
        for part in (
            self.account.name,
            "Harbour Estates",
            "Sun &lt;b&gt;Wei&lt;/b&gt;",
            "13800001111",
            "AG-77",
            "1337.01",
            "6 kVA",
            "0.568<",
            "0.338<",
            "0 to 230 kWh a month",
            "above 230 kWh a month",
            "500.00",
            "50.00",
            "Harbour Gardens / Room AG-77",
        ):
            self.assertIn(part, text)
        self.assertNotIn("t-out", text)
        self.assertIn("pays in advance", text)

    def test_postpaid_account_has_its_own_rules_of_payment(self):
        self.account.payment_mode = "postpaid"
        text = self.html()
        self.assertNotIn("pays in advance", text)
        self.assertIn("by the bill for that month", text)

    def test_companys_own_text_comes_before_the_standard_and_the_accounts_before_both(self):
        self.company.energy_agreement_template_id = self.template("<p>House rules</p>")
        self.assertIn("House rules", self.html())
        self.account.agreement_template_id = self.template(
            '<p>For <t t-out="object.partner_id.name">whom</t></p>', name="Shops"
        )
        self.assertIn("For Sun &lt;b&gt;", self.html())

    def test_text_is_in_the_customers_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        template = self.template("<p>House rules</p>")
        template.update_field_translations(
            "body", {"fr_FR": {"House rules": "Règles de la maison"}}
        )
        self.account.agreement_template_id = template
        self.account.partner_id.lang = "fr_FR"
        self.assertIn("Règles de la maison", self.html())

    def test_code_and_unknown_fields_are_refused_whoever_writes_them(self):
        for body in (
            '<p t-out="object.env.user.password"/>',
            '<t t-out="object.company_id.sudo().write({})"/>',
            '<t t-foreach="object.search([])" t-as="other"><t t-out="other.name"/></t>',
            '<t t-set="x" t-value="1"/>',
            '<p t-if="object.note">x</p>',
        ):
            with self.subTest(body), self.refused(ValidationError, "can be used"):
                self.template(body)

    def test_only_managers_word_agreements_and_nobody_the_standard_text(self):
        standard = self.env.ref("prepaid_energy.agreement_template_standard")
        own = self.template("<p>House rules</p>")
        for role in ("cashier", "operator", "finance"):
            with self.refused(AccessError):
                own.with_user(self.user(role)).body = "<p>Mine</p>"
        manager = self.user("manager")
        own.with_user(manager).body = "<p>New rules <t t-out='object.name'>no.</t></p>"
        with self.refused(AccessError):
            standard.with_user(manager).with_context(
                allowed_company_ids=self.company.ids
            ).body = "<p>Mine</p>"
        copied = standard.with_user(manager).with_company(self.company).copy()
        self.assertEqual(copied.company_id, self.company)

    def test_print_is_kept_with_the_account(self):
        action = self.account.action_print_agreement()
        self.assertEqual(action["report_name"], "prepaid_energy.report_energy_agreement")
        report = self.env["ir.actions.report"].with_context(force_report_rendering=True)
        # No server answers in a test, and Debian's build says what else it cannot do.
        with mute_logger("odoo.addons.base.models.ir_actions_report"):
            content, kind = report._render_qweb_pdf(action["report_name"], self.account.ids)
        self.assertEqual(kind, "pdf")
        self.assertTrue(content.startswith(b"%PDF"))
        kept = self.env["ir.attachment"].search(
            [("res_model", "=", "energy.account"), ("res_id", "=", self.account.id)]
        )
        self.assertEqual(kept.mapped("name"), [self.account._agreement_file_name()])
        self.assertEqual(kept.mimetype, "application/pdf")

    def test_agreement_without_any_text_says_so(self):
        self.env.ref("prepaid_energy.agreement_template_standard").unlink()
        with self.refused(UserError, "Choose the agreement template"):
            self.account.action_print_agreement()
