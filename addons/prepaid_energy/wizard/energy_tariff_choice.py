from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import UserError


class EnergyTariffChoice(models.TransientModel):
    """A new tariff from a template."""

    _name = "energy.tariff.choice"
    _description = "New tariff from a template"

    template_id = fields.Many2one("energy.tariff.template", required=True)
    name = fields.Char(
        required=True, compute="_compute_name", store=True, readonly=False, precompute=True
    )
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    date_from = fields.Date(
        string="Effective From",
        required=True,
        default=lambda self: self.env["energy.property"]._today().replace(day=1),
    )
    commodity = fields.Selection(related="template_id.commodity")
    document = fields.Char(related="template_id.document")
    source = fields.Char(related="template_id.source")
    source_date = fields.Char(related="template_id.source_date")
    source_url = fields.Char(related="template_id.source_url")
    certainty = fields.Selection(related="template_id.certainty")
    needs_prices = fields.Boolean(related="template_id.needs_prices")
    remarks = fields.Text(related="template_id.remarks")
    preview = fields.Html(related="template_id.preview", sanitize=False)
    currency_id = fields.Many2one(related="template_id.currency_id", string="Template's Currency")
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company's Currency"
    )
    is_foreign = fields.Boolean(compute="_compute_is_foreign")
    rate = fields.Float(
        string="Worth of One Unit",
        digits=(16, 6),
        help="What one unit of the template's currency is worth in the company's. All prices, fees "
        "and standing charges are multiplied by it, half up to six decimals. 1 takes the figures "
        "as they are.",
    )

    @api.depends("template_id")
    def _compute_name(self):
        for choice in self:
            choice.name = choice.template_id.name

    @api.depends("template_id", "company_id")
    def _compute_is_foreign(self):
        for choice in self:
            template = choice.template_id
            choice.is_foreign = (
                template
                and not template.needs_prices
                and template.currency_id != choice.company_id.currency_id
            )

    def action_confirm(self):
        """Make the draft tariff and open it."""
        self.ensure_one()
        rate = Decimal(1)
        if self.is_foreign:
            rate = Decimal(f"{self.rate:.6f}")
            if rate <= 0:
                raise UserError(
                    _(
                        "The template is in %(theirs)s, %(company)s keeps %(ours)s: enter what one "
                        "%(theirs)s is worth in %(ours)s.",
                        theirs=self.currency_id.name,
                        ours=self.company_currency_id.name,
                        company=self.company_id.name,
                    )
                )
        tariff = self.template_id._make_tariff(self.company_id, self.date_from, self.name, rate)
        return {
            "type": "ir.actions.act_window",
            "name": tariff.name,
            "res_model": "energy.tariff",
            "res_id": tariff.id,
            "view_mode": "form",
        }
