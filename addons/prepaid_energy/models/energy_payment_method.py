from odoo import _, api, fields, models
from odoo.exceptions import UserError

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

    def _obstacles(self, company, reference):
        """Return why the present user may not take money in this way, a sentence each.

        :param company: `res.company` that gets the money
        :param str reference: what was typed of the payment, or None
        """
        self.ensure_one()
        self.check_access("read")
        obstacles = []
        if self.company_id != company:
            obstacles.append(_("Choose a payment method of %s.", company.name))
        if self.needs_reference and not (reference or "").strip():
            obstacles.append(
                _("Type the number of the payment by “%s” as its reference.", self.name)
            )
        # Who is no cashier has no till: a transfer they note down is in no drawer.
        has_till = self.env.user.has_group("prepaid_energy.group_energy_cashier")
        if (
            (self.kind == "cash" or has_till)
            # sudo: the company's rule is for everybody who takes money
            and company.sudo().energy_requires_shift
            and not self.env["energy.shift"]._present(company=company)
        ):
            obstacles.append(
                _("%s sells in a shift only. Open yours under Sales, My Shift.", company.name)
            )
        return obstacles

    def _check_may_take(self, company, reference):
        """Refuse to take money in this way, whoever calls; see `_obstacles`.

        :return: the open shift of the present user, or none
        :rtype: recordset of `energy.shift`
        """
        obstacles = self._obstacles(company, reference)
        if obstacles:
            raise UserError("\n".join(obstacles))
        return self.env["energy.shift"]._present(company=company)

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
