from odoo import api, fields, models

# Name, kind, whether its reference is typed: what a company begins with.
FIRST = (
    ("Cash", "cash", False),
    ("Bank transfer", "transfer", True),
    ("Card terminal", "card", True),
    ("WeChat code", "code", True),
    ("Alipay code", "code", True),
)


class EnergyPaymentMethod(models.Model):
    """A way in which customers pay at the counter, and are paid back."""

    _name = "energy.payment.method"
    _description = "Payment method"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    kind = fields.Selection(
        [
            ("cash", "Cash"),
            ("transfer", "Bank Transfer"),
            ("card", "Card Terminal"),
            ("code", "Payment Code"),
        ],
        required=True,
        default="cash",
        help="Cash is counted in the shift. A payment code is a printed QR code that the customer "
        "scans.",
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    journal_id = fields.Many2one(
        "account.journal",
        required=True,
        ondelete="restrict",
        check_company=True,
        domain="[('type', 'in', ('cash', 'bank', 'credit')), ('company_id', '=', company_id)]",
        help="Where the money arrives.",
    )
    needs_reference = fields.Boolean(
        string="Reference Is Typed",
        help="The number on the transfer, the terminal slip or the phone screen must be typed.",
    )

    _name_uniq = models.UniqueIndex(
        "(company_id, name) WHERE active", "This payment method exists already."
    )

    @api.model
    def _set_up(self, company):
        """Give a company the payment methods that it begins with, where it has none of a kind.

        :param company: `res.company` that has a cash or bank journal
        :return: its methods
        """
        methods = self.with_context(active_test=False).search([("company_id", "=", company.id)])
        known = set(methods.mapped("kind"))
        journals = self.env["account.journal"].search(
            [("company_id", "=", company.id), ("type", "in", ("cash", "bank"))]
        )
        cash = journals.filtered(lambda journal: journal.type == "cash")[:1]
        bank = journals.filtered(lambda journal: journal.type == "bank")[:1]
        rows = []
        for position, (name, kind, needs_reference) in enumerate(FIRST):
            journal = cash if kind == "cash" else bank
            if journal and kind not in known:
                rows.append(
                    {
                        "name": name,
                        "kind": kind,
                        "sequence": 10 * (position + 1),
                        "needs_reference": needs_reference,
                        "journal_id": journal.id,
                        "company_id": company.id,
                    }
                )
        return methods.filtered("active") | self.create(rows)
