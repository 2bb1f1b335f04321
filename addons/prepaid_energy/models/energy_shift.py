import math

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import clock

# What its cashier fills in while a shift is open.
TYPED = {"counted", "banked", "bank_journal_id", "handed_to_id", "difference_reason"}
# From 1e12 on a float no longer carries every cent.
AMOUNT = "{0} >= 0 AND {0} < 1e12"


class EnergyShift(models.Model):
    """A cashier's time at the counter: what was in the till, what came, what was counted."""

    _name = "energy.shift"
    _description = "Shift"
    _inherit = ["energy.guarded"]
    _given_fields = frozenset({"name", "state", "opened_at", "closed_at", "previous_id"})
    _flow_fields = _given_fields | {"difference_move_id", "banked_move_id"}
    _order = "opened_at desc, id desc"
    _check_company_auto = True

    name = fields.Char(string="Shift Number", required=True, readonly=True, copy=False, default="/")
    user_id = fields.Many2one(
        "res.users",
        string="Cashier",
        required=True,
        index=True,
        ondelete="restrict",
        default=lambda self: self.env.user,
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    state = fields.Selection(
        [("open", "Open"), ("closed", "Handed In")],
        required=True,
        default="open",
        readonly=True,
        copy=False,
    )
    opened_at = fields.Datetime(
        required=True, readonly=True, copy=False, default=lambda self: clock.now(self.env.cr)
    )
    closed_at = fields.Datetime(readonly=True, copy=False)
    journal_id = fields.Many2one(
        "account.journal",
        string="Till",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain="[('type', '=', 'cash'), ('company_id', '=', company_id)]",
        default=lambda self: self._default_till(),
        help="Cash journal whose money is counted.",
    )
    previous_id = fields.Many2one(
        "energy.shift",
        string="Taken Over From",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The shift that left the opening float in the till.",
    )
    next_ids = fields.One2many("energy.shift", "previous_id")
    opening_float = fields.Monetary(
        copy=False,
        help="Cash in the till at the beginning. What the shift before left there is taken over "
        "as it was handed over; a shortage is a difference of this shift.",
    )
    counted = fields.Monetary(
        string="Cash Counted", copy=False, help="All cash in the till, the float included."
    )
    difference_reason = fields.Char(string="Reason of the Difference", copy=False)
    banked = fields.Monetary(copy=False, help="Part of the counted cash that goes to the bank.")
    bank_journal_id = fields.Many2one(
        "account.journal",
        string="To Bank",
        copy=False,
        ondelete="restrict",
        check_company=True,
        domain="[('type', '=', 'bank'), ('company_id', '=', company_id)]",
    )
    handed_over = fields.Monetary(
        compute="_compute_handed_over",
        store=True,
        help="Counted − banked: stays in the till, the next shift begins with it.",
    )
    handed_to_id = fields.Many2one(
        "res.users",
        string="Handed Over To",
        copy=False,
        ondelete="restrict",
        domain="[('share', '=', False), ('company_ids', 'in', company_id)]",
        help="Cashier who takes the till over; empty: whoever opens it next.",
    )
    _open_uniq = models.UniqueIndex(
        "(user_id, company_id) WHERE state = 'open'",
        "This cashier has an open shift: close it first.",
    )
    _previous_uniq = models.UniqueIndex(
        "(previous_id) WHERE previous_id IS NOT NULL",
        "What that shift left in the till was taken over already.",
    )
    _check_amounts = models.Constraint(
        f"CHECK ({AMOUNT.format('opening_float')} AND {AMOUNT.format('counted')}"
        f" AND {AMOUNT.format('banked')})",
        "Amounts in a till are not below zero.",
    )
    _check_banked = models.Constraint(
        "CHECK (state = 'open' OR banked <= counted)", "No more is banked than was counted."
    )

    @api.model
    def _default_till(self):
        last = self.search(
            [("user_id", "=", self.env.uid), ("company_id", "=", self.env.company.id)], limit=1
        )
        cash = self.env["energy.payment.method"].search(
            [("kind", "=", "cash"), ("company_id", "=", self.env.company.id)], limit=1
        )
        return last.journal_id or cash.journal_id

    @api.depends("counted", "banked")
    def _compute_handed_over(self):
        for shift in self:
            shift.handed_over = shift.counted - shift.banked

    @api.onchange("journal_id", "user_id")
    def _onchange_journal_id(self):
        """What was left in the till is what a shift begins with."""
        if not self._origin:
            self.previous_id = self._left_in_till(self.journal_id, self.user_id)
            # sudo: as in _left_in_till
            self.opening_float = self.previous_id.sudo().handed_over

    @api.model
    def _left_in_till(self, journal, user):
        """Return the closed shift whose money is still in the till, meant for this cashier."""
        # sudo: cashiers do not see the shifts of others, but find what these left in the till
        shifts = self.sudo().search(
            [
                ("journal_id", "=", journal.id),
                ("state", "=", "closed"),
                ("handed_over", ">", 0),
                ("next_ids", "=", False),
                ("handed_to_id", "in", (False, user.id)),
            ]
        )
        return shifts.sorted(
            lambda shift: (shift.handed_to_id == user, shift.user_id == user, shift.closed_at)
        )[-1:].with_env(self.env)

    @api.model
    def _present(self, user=None, company=None):
        """Return the open shift of a cashier, empty where there is none.

        :param user: `res.users`; the present one if None
        :param company: `res.company`; the present one if None
        """
        return self.search(
            [
                ("user_id", "=", (user or self.env.user).id),
                ("company_id", "=", (company or self.env.company).id),
                ("state", "=", "open"),
            ]
        )

    @api.model_create_multi
    def create(self, vals_list):
        made = self.browse()
        for vals in vals_list:
            self._refuse_guarded(vals.keys() - self._given_fields)
            company = vals.get("company_id") or self.env.company.id
            values = {
                key: vals[key]
                for key in ("user_id", "company_id", "journal_id", "opening_float", *TYPED)
                if key in vals
            }
            values.setdefault("user_id", self.env.uid)
            values.setdefault("journal_id", self._default_till().id)
            # sudo: as in _left_in_till
            previous = self._left_in_till(
                self.env["account.journal"].browse(values["journal_id"]),
                self.env["res.users"].browse(values["user_id"]),
            ).sudo()
            if previous:
                values["opening_float"] = previous.handed_over
            self._check_finite(values)
            values |= {
                "name": self._next_number(company),
                "state": "open",
                "opened_at": clock.now(self.env.cr),
                "closed_at": False,
                "previous_id": previous.id,
            }
            made += super().create([values])
        return made

    @api.model
    def _next_number(self, company_id):
        """Return the next shift number of a company, whose sequence is made with its first one."""
        # sudo: cashiers draw numbers, they keep no sequences
        sequences = self.env["ir.sequence"].sudo().with_company(company_id)
        if not sequences.search_count(
            [("code", "=", self._name), ("company_id", "=", company_id)], limit=1
        ):
            sequences.create(
                {
                    "name": self.env._("Shift number"),
                    "code": self._name,
                    "company_id": company_id,
                    "prefix": "SHIFT/",
                    "padding": 5,
                }
            )
        return sequences.next_by_code(self._name)

    def write(self, vals):
        closed = self.filtered(lambda shift: shift.state == "closed")
        if closed:
            raise UserError(_("Shift %s is closed: it is not changed any more.", closed[0].name))
        if not self.env.su and vals.keys() - TYPED:
            raise AccessError(_("Of an open shift only what is counted at its end is typed."))
        self._check_finite(vals)
        return super().write(vals)

    def _check_finite(self, vals):
        for name in {"opening_float", "counted", "banked"} & vals.keys():
            if not math.isfinite(vals[name] or 0):
                raise UserError(_("%s is not an amount of money.", vals[name]))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Shifts are not deleted."))

    @api.model
    def _my_shift(self):
        """Return the action that opens the present shift, or a new one."""
        return self._present()._form()

    def _form(self):
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_shift")
        views = [(view, kind) for view, kind in action["views"] if kind == "form"]
        return dict(action, res_id=self.id, view_mode="form", views=views, name=_("My Shift"))

    def action_open(self):
        """Begin the shift: a new form is saved before its button is called."""
        return self._form()
