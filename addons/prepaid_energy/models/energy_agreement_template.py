from odoo import _, api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools.translate import html_translate


class EnergyAgreementTemplate(models.Model):
    """The text of the supply agreement, which a company words as it likes.

    Its placeholders are those that `energy.account` lists and no others, for whoever edits it: so
    rendering only puts values of fields into the text and evaluates no code.
    """

    _name = "energy.agreement.template"
    _description = "Agreement template"
    _inherit = ["mail.render.mixin"]
    _order = "sequence, name"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        copy=False,
        default=lambda self: self.env.company,
        help="Empty: the standard text, of all companies. Duplicate it to word your own.",
    )
    body = fields.Html(
        required=True,
        translate=html_translate,
        sanitize="email_outgoing",
        render_engine="qweb",
        help="What is set in by field is filled in for each account.",
    )
    placeholders = fields.Text(compute="_compute_placeholders")

    def _compute_render_model(self):
        self.render_model = "energy.account"

    def _compute_placeholders(self):
        self.placeholders = "\n".join(self.env["energy.account"].mail_allowed_qweb_expressions())

    @api.constrains("body")
    def _check_body(self):
        for template in self:
            if self._has_unsafe_expression_template_qweb(template.body, "energy.account"):
                raise ValidationError(
                    _(
                        "“%(template)s” holds a placeholder that an agreement does not know, or "
                        "code. These can be used:\n%(placeholders)s",
                        template=template.name,
                        placeholders=template.placeholders,
                    )
                )
