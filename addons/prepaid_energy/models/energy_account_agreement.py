from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from .. import clock
from .energy_meter import UNITS

PLACEHOLDERS = (
    "object.name",
    "object.partner_id.name",
    "object.partner_id.phone",
    "object.partner_id.email",
    "object.partner_id.vat",
    "object.billing_partner_id.name",
    "object.company_id.name",
    "object.company_id.phone",
    "object.company_id.email",
    "object.company_id.vat",
    "object.agreement_supplier_address",
    "object.agreement_customer_address",
    "object.agreement_date",
    "object.agreement_rooms",
    "object.agreement_contacts",
    "object.agreement_capacity",
    "object.agreement_meters",
    "object.agreement_prices",
    "object.agreement_payment",
    "object.agreement_deposit",
)


class EnergyAccount(models.Model):
    """The supply agreement: filled in from a template, printed, kept signed."""

    _inherit = "energy.account"

    agreement_template_id = fields.Many2one(
        "energy.agreement.template",
        string="Agreement",
        ondelete="restrict",
        check_company=True,
        help="Empty: the company's default.",
    )
    signed_agreement = fields.Binary(
        attachment=True, copy=False, help="Scan or photo of what was signed."
    )
    signed_agreement_name = fields.Char(copy=False)
    agreement_signed_on = fields.Date(string="Signed On", copy=False, tracking=True)

    agreement_supplier_address = fields.Char(compute="_compute_agreement_texts")
    agreement_customer_address = fields.Char(compute="_compute_agreement_texts")
    agreement_date = fields.Char(compute="_compute_agreement_texts")
    agreement_rooms = fields.Char(compute="_compute_agreement_texts")
    agreement_contacts = fields.Char(compute="_compute_agreement_texts")
    agreement_capacity = fields.Char(compute="_compute_agreement_texts")
    agreement_deposit = fields.Char(compute="_compute_agreement_texts")
    agreement_meters = fields.Html(compute="_compute_agreement_parts", sanitize=False)
    agreement_prices = fields.Html(compute="_compute_agreement_parts", sanitize=False)
    agreement_payment = fields.Html(compute="_compute_agreement_parts", sanitize=False)

    @api.model
    def mail_allowed_qweb_expressions(self):
        """Return the placeholders of an agreement: fields, no code."""
        return PLACEHOLDERS

    @api.depends("partner_id", "room_ids", "contact_ids", "capacity", "opening_deposit")
    @api.depends_context("lang")
    def _compute_agreement_texts(self):
        for account in self:
            for side, partner in (
                ("supplier", account.company_id.partner_id),
                ("customer", account.partner_id),
            ):
                lines = partner._display_address(without_company=True).splitlines()
                account[f"agreement_{side}_address"] = ", ".join(
                    filter(None, (line.strip(" ,") for line in lines))
                )
            account.agreement_date = format_date(self.env, account.site_id._today())
            account.agreement_rooms = "; ".join(account.room_ids.mapped("complete_name"))
            account.agreement_contacts = "; ".join(
                " ".join(filter(None, (contact.name, contact.function, contact.phone)))
                for contact in account.contact_ids
            )
            account.agreement_capacity = (
                _("%s kVA", f"{account.capacity:g}") if account.capacity else _("not limited")
            )
            account.agreement_deposit = (
                account.currency_id.format(account.opening_deposit)
                if account.opening_deposit
                else _("none")
            )

    @api.depends(
        "supply_ids.meter_id",
        "supply_ids.tariff_id",
        "supply_ids.multiplier",
        "supply_ids.opening_register",
        "credit_policy_id.level_ids.amount",
        "payment_mode",
    )
    @api.depends_context("lang", "tz")
    def _compute_agreement_parts(self):
        for account in self:
            supplies = account.supply_ids.filtered(lambda supply: not supply.end_at)
            values = {
                "account": account,
                "supplies": supplies,
                "units": UNITS,
                "prices": account._agreement_prices(supplies.tariff_id),
                "policy": account.credit_policy_id,
                "money": account.currency_id.format,
            }
            for part in ("meters", "prices", "payment"):
                account[f"agreement_{part}"] = self.env["ir.qweb"]._render(
                    f"prepaid_energy.agreement_{part}", values
                )

    def _agreement_prices(self, tariffs):
        """Return the prices that hold today, or first, in the order of their print.

        :param tariffs: recordset of `energy.tariff`
        :return: list of dict: tariff, date (Date, effective from), bands (recordset), rows: list of
            (tier label, list of prices as text by band), charges: list of texts
        """
        today = self.site_id._today()
        found = []
        for tariff in tariffs:
            starts = tariff._version_starts(tariff.id)
            present = [version for since, version in starts if since <= today]
            if not starts:
                continue
            version = self.env["energy.tariff.version"].browse((present or [starts[0][1]])[-1])
            found.append(
                {
                    "tariff": tariff,
                    "date": version.date_from,
                    "bands": version._sorted_bands(),
                    "rows": version._price_sheet(),
                    "charges": version._charge_sheet(),
                }
            )
        return found

    def _agreement_template(self):
        """Return the template this account's agreement is made from.

        :raise UserError: where there is none
        """
        self.ensure_one()
        template = (
            self.agreement_template_id
            or self.company_id.energy_agreement_template_id
            or self.env.ref("prepaid_energy.agreement_template_standard", raise_if_not_found=False)
        )
        if not template:
            raise UserError(_("Choose the agreement template of %s.", self.company_id.name))
        return template

    def _agreement_lang(self):
        return self.partner_id.lang or self.env.lang

    def _agreement_html(self):
        """Return the agreement's text with the figures of this account, in the customer's language.

        :rtype: markupsafe.Markup
        """
        self.ensure_one()
        return self._agreement_template()._render_field(
            "body", self.ids, engine="qweb", set_lang=self._agreement_lang()
        )[self.id]

    def _agreement_file_name(self):
        """Return the name under which the next print is kept with the account."""
        self.ensure_one()
        moment = fields.Datetime.context_timestamp(self.site_id, clock.now(self.env.cr))
        return _("Agreement %(account)s", account=self.name) + f" {moment:%Y-%m-%d %H%M}.pdf"

    def action_print_agreement(self):
        """Print the agreement; what was printed is kept with the account."""
        self.check_access("read")
        for account in self:
            account._agreement_template()
        return self.env.ref("prepaid_energy.action_report_energy_agreement").report_action(
            self, config=False
        )
