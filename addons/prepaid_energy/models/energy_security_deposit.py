from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from .energy_wallet import exact

TAKEN_FIELDS = {"account_id", "partner_id", "amount", "method_id", "reference"}


class EnergySecurityDeposit(models.Model):
    """What a customer leaves as a guarantee: a liability of its own, never part of a balance."""

    _name = "energy.security.deposit"
    _description = "Security deposit"
    _inherit = ["energy.guarded", "mail.thread"]
    _order = "id desc"
    _check_company_auto = True
    _flow_fields = frozenset({"name", "state"})

    name = fields.Char(
        string="Deposit Number", required=True, readonly=True, copy=False, default="/"
    )
    account_id = fields.Many2one("energy.account", required=True, index=True, ondelete="restrict")
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        compute="_compute_partner_id",
        store=True,
        precompute=True,
        readonly=False,
        required=True,
        ondelete="restrict",
        help="Who left it: it goes back to them, also after a change of customer.",
    )
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="account_id.currency_id")
    amount = fields.Monetary(required=True, tracking=True)
    method_id = fields.Many2one(
        "energy.payment.method",
        string="Paid By",
        required=True,
        ondelete="restrict",
        check_company=True,
        domain="[('company_id', '=', company_id)]",
    )
    needs_reference = fields.Boolean(related="method_id.needs_reference")
    reference = fields.Char(help="Number on the transfer, terminal slip or phone screen.")
    note = fields.Text()
    state = fields.Selection(
        [("draft", "Draft"), ("held", "Received"), ("ended", "Returned or Applied")],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
        index=True,
    )
    move_ids = fields.One2many("energy.security.deposit.move", "deposit_id", string="Movements")
    request_ids = fields.One2many("energy.balance.request", "deposit_id", string="Requests")
    held = fields.Monetary(
        string="Amount Held", compute="_compute_held", help="Received − returned − applied to debt."
    )

    _check_amount = models.Constraint("CHECK (amount > 0)", "A deposit is an amount above zero.")

    @api.depends("name", "state", "account_id")
    def _compute_display_name(self):
        for deposit in self:
            deposit.display_name = (
                deposit.account_id.display_name if deposit.state == "draft" else deposit.name
            )

    @api.depends("account_id")
    def _compute_partner_id(self):
        for deposit in self:
            if deposit.state == "draft":
                deposit.partner_id = deposit.account_id.partner_id

    @api.depends("move_ids.amount")
    def _compute_held(self):
        for deposit in self:
            deposit.held = sum(deposit.move_ids.mapped("amount"))

    @api.model_create_multi
    def create(self, vals_list):
        deposits = super().create(vals_list)
        for deposit, vals in zip(deposits, vals_list, strict=True):
            deposit._check_typed(vals)
        return deposits

    def write(self, vals):
        self._refuse_guarded(vals)
        is_taken = any(deposit.state != "draft" for deposit in self)
        if TAKEN_FIELDS & vals.keys() and is_taken and not self.env.su:
            raise UserError(_("A received deposit is not changed."))
        result = super().write(vals)
        for deposit in self:
            deposit._check_typed(vals)
        return result

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if self._flow_fields.intersection(names):
            return _("A deposit is moved on by its buttons only.")
        return super()._guarded_refusal(names)

    def _check_typed(self, vals):
        # sudo: the currency decides, whoever asks; the account must be the user's own
        exact(float(vals.get("amount") or 0), self.sudo().currency_id)
        if "account_id" in vals and not self.env.su:
            self.account_id.check_access("read")

    @api.ondelete(at_uninstall=False)
    def _unlink_except_received(self):
        if any(deposit.state != "draft" for deposit in self):
            raise UserError(_("A received deposit is returned, never deleted."))

    def action_receive(self):
        """Take the money; pressed twice, it is taken once."""
        self.ensure_one()
        self.check_access("write")
        self.account_id.check_access("read")
        if not self.env.user._is_energy("cashier", "finance"):
            raise AccessError(_("Deposits are received by cashiers and finance."))
        # sudo: the movement and its payment are written by the flow only
        deposit = self.sudo()
        deposit._claim()
        if deposit.state != "draft":
            return True
        method = self.method_id
        shift = method._check_may_take(self.company_id, self.reference)
        deposit.write(
            {
                "name": self.env["ir.sequence"]
                .with_company(self.company_id)
                .next_by_code("energy.security.deposit"),
                "state": "held",
            }
        )
        till = shift if method.kind == "cash" else None
        deposit._move("received", exact(self.amount, self.currency_id), method, till)
        return True

    def _claim(self):
        """Lock the deposit's row: its movements follow one after the other."""
        self.ensure_one()
        self.flush_recordset()
        self.env.cr.execute(
            SQL("SELECT FROM energy_security_deposit WHERE id = %s FOR NO KEY UPDATE", self.id)
        )
        self.invalidate_recordset()

    def _move(self, kind, amount, method=None, shift=None, request=None):
        """Write a movement and, where money is paid, book it in the same transaction.

        :param str kind: received, returned or applied
        :param Decimal amount: signed: what is held afterwards is more by it
        :param method: `energy.payment.method`; None where no money is paid
        :param request: `energy.balance.request` that asked for it
        :return: the movement
        :rtype: recordset of `energy.security.deposit.move`
        """
        move = self.env["energy.security.deposit.move"].create(
            {
                "deposit_id": self.id,
                "kind": kind,
                "amount": amount,
                "key": f"deposit/{self.id}/{len(self.move_ids) + 1}",
                "local_date": self.site_id._today(),
                "method_id": method.id if method else False,
                "shift_id": shift.id if shift else False,
                "reference": (request or self).reference,
                "request_id": request.id if request else False,
                "user_id": (request.requested_by_id if request else self.env.user).id,
            }
        )
        if method:
            move._book()
        if not sum(self._amounts()):
            self.state = "ended"
        return move

    def _amounts(self):
        """Return the movements' amounts as the database has them."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                "SELECT amount::text FROM energy_security_deposit_move WHERE deposit_id = %s",
                self.id,
            )
        )
        return [Decimal(amount) for (amount,) in rows]

    def action_return(self):
        """Ask to give the deposit, or a part of it, back."""
        self.ensure_one()
        return self.account_id._ask("deposit_return", deposit_id=self.id)

    def action_apply(self):
        """Ask to pay what the account owes from the deposit."""
        self.ensure_one()
        return self.account_id._ask("deposit_apply", deposit_id=self.id)

    def action_print_receipt(self):
        """Print the receipt of the received deposit."""
        self.ensure_one()
        self.check_access("read")
        receipts = self.env["energy.receipt"]
        receipts._check_may_print()
        return receipts._for(self.move_ids[:1].mapped("key"))._print()

    def action_open_payments(self):
        """Open the payments that book this deposit."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Payments"),
            "res_model": "account.payment",
            "view_mode": "list,form",
            "domain": [("energy_entry_key", "in", self.move_ids.mapped("key"))],
        }
