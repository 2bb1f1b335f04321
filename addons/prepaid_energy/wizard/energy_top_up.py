import logging
import math
import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from ..models.energy_wallet import stored, typed_amount
from ..models.res_users import RECEIPT_PAPERS

_logger = logging.getLogger(__name__)

KEY_PREFIX = "counter/"
# What was asked about; another figure is another question.
ASKED_ABOUT = {"account_id", "wallet_id", "amount"}


class EnergyTopUp(models.TransientModel):
    """The counter: an amount for an account, and what happened."""

    _name = "energy.top.up"
    _description = "Top-up"
    _inherit = ["energy.guarded"]

    state = fields.Selection(
        [("typed", "Typed"), ("ask", "To Confirm"), ("done", "Taken")],
        required=True,
        default="typed",
        readonly=True,
    )
    account_id = fields.Many2one(
        "energy.account",
        required=True,
        domain=[
            "|",
            ("state", "in", ("active", "suspended")),
            "&",
            ("state", "=", "closed"),
            ("wallet_ids.balance", "<", 0),
        ],
    )
    partner_id = fields.Many2one(related="account_id.partner_id")
    room_ids = fields.Many2many(related="account_id.room_ids")
    wallet_id = fields.Many2one(
        "energy.wallet",
        string="To Balance",
        compute="_compute_wallet_id",
        store=True,
        precompute=True,
        readonly=False,
        required=True,
        domain="[('account_id', '=', account_id)]",
    )
    has_several_wallets = fields.Boolean(compute="_compute_wallet_id", store=True, precompute=True)
    company_id = fields.Many2one(related="account_id.company_id")
    currency_id = fields.Many2one(related="account_id.currency_id")
    balance = fields.Monetary(
        string="Settled", related="wallet_id.balance", help="As of the last posted reading."
    )
    debt = fields.Monetary(compute="_compute_supply", help="Is settled first.")
    supply_note = fields.Char(string="Supply", compute="_compute_supply")
    amount = fields.Monetary(required=True)
    service_fee = fields.Monetary(compute="_compute_service_fee")
    method_id = fields.Many2one(
        "energy.payment.method",
        string="Paid By",
        required=True,
        domain="[('company_id', '=', company_id)]",
        compute="_compute_method_id",
        store=True,
        precompute=True,
        readonly=False,
    )
    needs_reference = fields.Boolean(related="method_id.needs_reference")
    reference = fields.Char(help="Number on the transfer, terminal slip or phone screen.")
    paper = fields.Selection(
        RECEIPT_PAPERS,
        string="Print Receipt",
        required=True,
        default=lambda self: self.env.user.energy_receipt_paper or "a5",
    )
    key = fields.Char(
        required=True, readonly=True, default=lambda self: f"{KEY_PREFIX}{uuid.uuid4()}"
    )
    question = fields.Text(readonly=True)
    # What happened, as it was when it happened.
    entry_key = fields.Char(readonly=True)
    fee_taken = fields.Monetary(readonly=True)
    towards_debt = fields.Monetary(readonly=True)
    prepaid = fields.Monetary(readonly=True)
    balance_after = fields.Monetary(readonly=True)
    result = fields.Text(readonly=True)
    stays_off = fields.Boolean(readonly=True)
    receipt_name = fields.Char(string="Receipt Number", readonly=True)

    @api.depends("account_id")
    def _compute_wallet_id(self):
        for top_up in self:
            wallets = top_up.account_id.wallet_ids
            top_up.wallet_id = top_up._neediest(wallets)
            top_up.has_several_wallets = len(wallets) > 1

    def _neediest(self, wallets):
        """Return the balance in deepest debt, else one whose supply is off, else the first."""
        deepest = wallets.sorted("balance")[:1]
        if deepest.balance < 0 or len(wallets) < 2:
            return deepest
        off = self._meters_off(wallets.account_id).mapped("meter_id.commodity")
        return wallets.filtered(lambda wallet: wallet.commodity in off)[:1] or wallets[:1]

    @api.model
    def _meters_off(self, account):
        """Return the controls of the account's present meters whose supply is wanted off."""
        supplies = self.env["energy.supply"]._search_present([("account_id", "in", account.ids)])
        return self.env["energy.meter.control"].search(
            [("meter_id", "in", supplies.meter_id.ids), ("wanted", "=", "off")]
        )

    @api.depends("wallet_id")
    def _compute_supply(self):
        for top_up in self:
            top_up.debt = max(-top_up.wallet_id.balance, 0)
            reasons = self._meters_off(top_up.account_id).mapped("decision_reason")
            notes = [*reasons, top_up.account_id.service_notice]
            top_up.supply_note = " ".join(dict.fromkeys(filter(None, notes)))

    @api.depends("wallet_id", "amount")
    def _compute_service_fee(self):
        for top_up in self:
            amount = top_up.amount or 0
            if not top_up.wallet_id or not math.isfinite(amount):
                top_up.service_fee = 0
                continue
            # sudo: the company's percentage is for everybody who sells
            wallet = top_up.wallet_id.sudo()
            top_up.service_fee = wallet._service_fee(stored(amount, top_up.currency_id))

    @api.depends("company_id")
    def _compute_method_id(self):
        for top_up in self:
            company = top_up.company_id or self.env.company
            methods = self.env["energy.payment.method"].search([("company_id", "=", company.id)])
            last = self.env.user.energy_method_id
            top_up.method_id = last if last in methods else methods[:1]

    @api.model_create_multi
    def create(self, vals_list):
        amounts = [typed_amount(self.env, vals) for vals in vals_list]
        top_ups = super().create(vals_list)
        for top_up, amount in zip(top_ups, amounts, strict=True):
            top_up._check_amount(amount)
        return top_ups

    def write(self, vals):
        amount = typed_amount(self.env, vals)
        if ASKED_ABOUT & vals.keys():
            vals = {"state": "typed", **vals}
        result = super().write(vals)
        for top_up in self:
            top_up._check_amount(amount)
        return result

    def _check_amount(self, amount):
        """Refuse an amount that the field would round: what is credited is what was typed."""
        if amount:
            # sudo: the currency decides, whoever asks
            self.wallet_id.sudo()._decimal(amount)

    # --- selling -----------------------------------------------------------------------------

    @api.model
    def _open(self, account=None):
        """Return the action that opens the counter.

        :param account: `energy.account` whose customer is there, if it is known
        """
        return {
            "type": "ir.actions.act_window",
            "name": _("Top-up"),
            "res_model": self._name,
            "views": [(False, "form")],
            "view_mode": "form",
            "target": "new",
            "context": {
                **({"default_account_id": account.id} if account else {}),
                # The context of the form before goes on, and what it has printed with it.
                "energy_print": [],
            },
        }

    def _reopen(self, urls=()):
        return dict(self._open(), res_id=self.id, context={"energy_print": list(urls)})

    def action_confirm(self):
        """Take the money, or ask first; a second press finds what the first one did."""
        return self._take(is_confirmed=False)

    def action_take_anyway(self):
        """Take the money after the question that was shown."""
        return self._take(is_confirmed=self.state == "ask")

    def action_back(self):
        """Return from the question to what was typed."""
        self.state = "typed"
        return self._reopen()

    def action_next(self):
        """Open an empty counter for the next customer."""
        return self._open()

    def _take(self, is_confirmed):
        self.ensure_one()
        shift = self._check_may_take()
        sale = {
            "wallet_id": self.wallet_id.id,
            "amount": self.amount,
            "key": self.key,
            "method_id": self.method_id.id,
            "reference": (self.reference or "").strip(),
            "shift_id": shift.id,
            "is_confirmed": is_confirmed,
        }
        done = self.env["energy.wallet"]._in_turn(
            self.wallet_id.ids, lambda env: env[self._name]._sell(**sale)
        )
        if "question" in done:
            self.write({"state": "ask", "question": done["question"]})
            return self._reopen()
        receipt = self._receipt()
        self.write({**done, "state": "done", "receipt_name": receipt and receipt["name"]})
        self._remember()
        urls = []
        if receipt and self.paper != "none":
            urls = [self.env["energy.receipt"]._url(receipt["id"], self.paper)]
        return self._reopen(urls)

    def _check_may_take(self):
        """Refuse what cannot be taken, whoever calls.

        :return: the cashier's open shift, or none
        """
        if not self.env.user.has_group("prepaid_energy.group_energy_cashier"):
            raise AccessError(_("Only cashiers take top-ups."))
        self.account_id.check_access("read")
        if not self.key.startswith(KEY_PREFIX):
            raise AccessError(_("The key of a counter top-up is chosen by the form."))
        if self.wallet_id.account_id != self.account_id:
            raise UserError(_("The balance belongs to another account."))
        return self.method_id._check_may_take(self.company_id, self.reference)

    @api.model
    def _sell(self, wallet_id, amount, key, method_id, reference, shift_id, is_confirmed):
        """Ask or sell, in a transaction of its own; gets and returns plain values.

        :return: dict with `question`, or with what the counter shows
        """
        # sudo: cashiers sell, but nobody writes balances or commands but the flow
        self = self.sudo()
        wallet = self.env["energy.wallet"].browse(wallet_id)
        is_known = self.env["energy.wallet.entry"].search_count([("key", "=", key)], limit=1)
        if not is_known and not is_confirmed:
            wallet._lock(wallet.ids)
            questions = self._questions(wallet, wallet._decimal(amount))
            if questions:
                return {"question": "\n".join(questions)}
        entry = wallet._top_up(
            amount,
            key,
            self.env["energy.payment.method"].browse(method_id),
            reference,
            self.env["energy.shift"].browse(shift_id or ()),
        )
        parts = self.env["energy.wallet.entry"]._payment_parts([key])[key]
        return {
            "entry_key": key,
            "fee_taken": float(parts["service_fee"]),
            "towards_debt": float(parts["towards_debt"]),
            "prepaid": float(parts["prepaid"]),
            "balance_after": float(parts["balance_after"]),
            **self._outcome(entry),
        }

    def _outcome(self, entry):
        """Return what the payment did to the supply."""
        off = self._meters_off(entry.account_id)
        reasons = list(dict.fromkeys(filter(None, off.mapped("decision_reason"))))
        if off:
            result = "\n".join(reasons) or _("Supply stays off.")
        elif waits := entry.command_ids._why_waiting():
            result = "\n".join([_("Supply on has been ordered and waits."), *waits])
            return {"result": result, "stays_off": True}
        elif entry.command_ids:
            result = _("Supply on has been ordered.")
        else:
            result = _("Supply is on.")
        return {"result": result, "stays_off": bool(off)}

    def _receipt(self):
        """Draw the receipt; the money is taken, so that its failing is no refusal.

        A receipt that could not be drawn now is drawn when it is printed.

        :return: dict of id and name, or None
        """
        try:
            with self.env.cr.savepoint():
                return self.env["energy.receipt"]._numbered([self.key])[self.key]
        except Exception:
            _logger.exception("No receipt could be drawn for %s", self.key)
            return None

    def _remember(self):
        """Propose the same method and paper to this cashier the next time."""
        user = self.env.user
        if (user.energy_method_id, user.energy_receipt_paper) != (self.method_id, self.paper):
            # sudo: their own preference, which is no right over users
            user.sudo().write(
                {"energy_method_id": self.method_id.id, "energy_receipt_paper": self.paper}
            )

    def action_print_again(self):
        """Print the receipt, marked as a copy where it was printed before."""
        self.ensure_one()
        receipts = self.env["energy.receipt"]
        receipts._check_may_print()
        paper = self.paper if self.paper != "none" else "a5"
        return receipts._for([self.entry_key])._print(paper)

    def action_open_entry(self):
        """Open the entry that was posted."""
        return dict(
            self.env["energy.wallet.entry"]._open([("key", "=", self.entry_key)]), target="current"
        )
