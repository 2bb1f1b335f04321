from odoo import _, api, fields, models
from odoo.exceptions import UserError, ValidationError

from .energy_wallet import exact, typed_amount

# What is asked for: fixed once it is submitted.
ASKED_FIELDS = {
    "kind",
    "account_id",
    "wallet_id",
    "amount",
    "to_account_id",
    "to_wallet_id",
    "method_id",
    "reference",
    "entry_key",
    "deposit_id",
    "reason",
    "remark",
}


class EnergyBalanceRequest(models.Model):
    """What a person does to a balance besides topping it up: asked for, approved, carried out."""

    _name = "energy.balance.request"
    _description = "Balance request"
    _inherit = ["energy.guarded", "mail.thread", "mail.activity.mixin"]
    _flow_fields = frozenset(
        {
            "name",
            "state",
            "requested_by_id",
            "requested_at",
            "decided_by_id",
            "decided_at",
            "shift_id",
            "change_id",
        }
    )
    _given_fields = frozenset({"name", "requested_by_id"})
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(
        string="Request Number", required=True, readonly=True, copy=False, default="/"
    )
    kind = fields.Selection(
        [
            ("refund", "Refund"),
            ("transfer", "Transfer"),
            ("adjustment", "Adjustment"),
            ("write_off", "Write-off"),
            ("reversal", "Reversal"),
            ("deposit_return", "Security Deposit Returned"),
            ("deposit_apply", "Security Deposit Applied to Debt"),
        ],
        required=True,
        default="refund",
        tracking=True,
    )
    account_id = fields.Many2one(
        "energy.account",
        required=True,
        index=True,
        ondelete="restrict",
    )
    partner_id = fields.Many2one(related="account_id.partner_id")
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="account_id.currency_id")
    wallet_id = fields.Many2one(
        "energy.wallet",
        string="Balance",
        compute="_compute_wallet_id",
        store=True,
        precompute=True,
        readonly=False,
        index=True,
        ondelete="restrict",
        domain="[('account_id', '=', account_id)]",
    )
    has_several_wallets = fields.Boolean(compute="_compute_has_several_wallets")
    balance = fields.Monetary(related="wallet_id.balance")
    refundable = fields.Monetary(related="wallet_id.refundable")
    amount = fields.Monetary(
        compute="_compute_amount",
        store=True,
        precompute=True,
        readonly=False,
        required=True,
        tracking=True,
        help="Above zero; the amount of an adjustment is signed: a minus takes from the balance.",
    )
    to_account_id = fields.Many2one(
        "energy.account",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        domain="[('state', '!=', 'draft'), ('company_id', '=', company_id)]",
    )
    to_wallet_id = fields.Many2one(
        "energy.wallet",
        string="To Balance",
        compute="_compute_to_wallet_id",
        store=True,
        precompute=True,
        readonly=False,
        ondelete="restrict",
        domain="[('account_id', '=', to_account_id)]",
    )
    method_id = fields.Many2one(
        "energy.payment.method",
        string="Paid By",
        compute="_compute_method_id",
        store=True,
        precompute=True,
        readonly=False,
        ondelete="restrict",
        check_company=True,
        domain="[('company_id', '=', company_id)]",
        help="By default the way in which the last top-up came.",
    )
    reference = fields.Char(help="Number on the transfer, terminal slip or phone screen.")
    shift_id = fields.Many2one(
        "energy.shift", readonly=True, copy=False, ondelete="restrict", help="Whose till paid."
    )
    entry_key = fields.Char(
        string="Key of the Top-up",
        index="btree_not_null",
        help="The top-up that the reversal undoes.",
    )
    entry_id = fields.Many2one("energy.wallet.entry", string="Top-up", compute="_compute_entry_id")
    reason = fields.Selection(
        [
            ("wrong_entry", "Wrong Entry"),
            ("wrong_reading", "Wrong Reading or Price"),
            ("moved_out", "Customer Moved Out"),
            ("goodwill", "Goodwill"),
            ("uncollectable", "Cannot Be Collected"),
            ("other", "Other"),
        ],
        tracking=True,
    )
    remark = fields.Text(string="Explanation")
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("waiting", "Waiting for Approval"),
            ("done", "Done"),
            ("refused", "Refused"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
        index=True,
    )
    requested_by_id = fields.Many2one(
        "res.users",
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: self.env.user,
        ondelete="restrict",
    )
    requested_at = fields.Datetime(readonly=True, copy=False)
    decided_by_id = fields.Many2one(
        "res.users", readonly=True, copy=False, ondelete="restrict", help="Approved or refused it."
    )
    decided_at = fields.Datetime(readonly=True, copy=False)
    needs_second_person = fields.Boolean(compute="_compute_needs_second_person")
    warning = fields.Text(compute="_compute_warning")

    _name_uniq = models.UniqueIndex(
        "(company_id, name) WHERE name <> '/'", "This request number exists already."
    )

    @api.depends("name")
    def _compute_display_name(self):
        for request in self:
            request.display_name = request.name if request.name != "/" else False

    @api.depends("account_id")
    def _compute_wallet_id(self):
        for request in self:
            wallets = request.account_id.wallet_ids
            if request.wallet_id not in wallets:
                request.wallet_id = wallets[:1]

    @api.depends("to_account_id")
    def _compute_to_wallet_id(self):
        for request in self:
            wallets = request.to_account_id.wallet_ids
            if request.to_wallet_id not in wallets:
                request.to_wallet_id = wallets[:1]

    @api.depends("account_id", "to_account_id")
    def _compute_has_several_wallets(self):
        for request in self:
            accounts = request.account_id | request.to_account_id
            request.has_several_wallets = any(len(account.wallet_ids) > 1 for account in accounts)

    @api.depends("kind", "wallet_id", "entry_key")
    def _compute_amount(self):
        for request in self:
            if request.kind == "reversal":
                request.amount = request.entry_id.amount
            elif request.kind == "write_off":
                request.amount = max(0, -request.wallet_id.balance)
            else:
                request.amount = request.amount or 0

    @api.depends("kind", "wallet_id", "entry_key")
    def _compute_method_id(self):
        for request in self:
            if request.kind == "reversal":
                request.method_id = request.entry_id.method_id
            elif request.kind == "refund":
                last = self.env["energy.wallet.entry"].search(
                    [
                        ("wallet_id", "=", request.wallet_id.id),
                        ("kind", "=", "top_up"),
                        ("method_id.active", "=", True),
                    ],
                    limit=1,
                )
                request.method_id = last.method_id or request.method_id
            else:
                request.method_id = request.method_id

    @api.depends("entry_key")
    def _compute_entry_id(self):
        entries = self.env["energy.wallet.entry"].search(
            [("key", "in", list(filter(None, self.mapped("entry_key"))))]
        )
        by_key = {entry.key: entry for entry in entries}
        for request in self:
            request.entry_id = by_key.get(request.entry_key)

    @api.constrains("account_id", "wallet_id", "to_account_id", "to_wallet_id")
    def _check_wallets(self):
        for request in self:
            if request.wallet_id.account_id != request.account_id or (
                request.to_wallet_id.account_id != request.to_account_id
            ):
                raise ValidationError(_("The balance belongs to another account."))

    @api.model_create_multi
    def create(self, vals_list):
        amounts = [typed_amount(self.env, vals) for vals in vals_list]
        sequence = self.env["ir.sequence"]
        for vals in vals_list:
            account = self.env["energy.account"].browse(vals.get("account_id"))
            company = account.company_id or self.env.company
            vals["name"] = sequence.with_company(company).next_by_code("energy.balance.request")
            vals["requested_by_id"] = self.env.uid
        requests = super().create(vals_list)
        for request, amount in zip(requests, amounts, strict=True):
            request._check_typed(amount)
            request._check_reach()
        return requests

    def write(self, vals):
        self._refuse_guarded(vals)
        is_asked = any(request.state != "draft" for request in self)
        if ASKED_FIELDS & vals.keys() and is_asked and not self.env.su:
            raise UserError(_("A submitted request is not changed. Cancel it and ask anew."))
        amount = typed_amount(self.env, vals)
        result = super().write(vals)
        for request in self:
            request._check_typed(amount)
            if ASKED_FIELDS & vals.keys():
                request._check_reach()
        return result

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if self._flow_fields.intersection(names):
            return _("A request is moved on by its buttons only.")
        return super()._guarded_refusal(names)

    def _check_reach(self):
        """Refuse accounts that the user does not see; the server writes what it does to them."""
        if not self.env.su:
            (self.account_id | self.to_account_id).check_access("read")

    @api.ondelete(at_uninstall=False)
    def _unlink_except_submitted(self):
        if any(request.state != "draft" for request in self):
            raise UserError(_("A submitted request is kept. Cancel it instead."))

    def _check_typed(self, amount):
        """Refuse an amount that the field would round: what is posted is what was typed."""
        if amount:
            # sudo: the currency decides, whoever asks
            exact(amount, self.sudo().currency_id)

    def action_open_entries(self):
        """Open the balance entries that this request posted."""
        return self.env["energy.wallet.entry"]._open([("key", "in", self._keys())])

    def action_print_receipt(self):
        """Print the receipt of what was paid out."""
        self.ensure_one()
        self.check_access("read")
        receipts = self.env["energy.receipt"]
        receipts._check_may_print()
        return receipts._for(self._keys())._print()
