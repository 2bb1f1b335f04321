import math
import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

KEY_PREFIX = "counter/"


class EnergyTopUp(models.TransientModel):
    """The counter: an amount for an account, and what happened."""

    _name = "energy.top.up"
    _description = "Top-up"

    account_id = fields.Many2one(
        "energy.account", required=True, domain=[("state", "in", ("active", "suspended"))]
    )
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
    balance = fields.Monetary(related="wallet_id.balance")
    amount = fields.Monetary(required=True)
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
    reference = fields.Char(help="Number on the transfer, terminal slip or phone screen.")
    key = fields.Char(
        required=True, readonly=True, default=lambda self: f"{KEY_PREFIX}{uuid.uuid4()}"
    )
    entry_key = fields.Char(readonly=True)
    result = fields.Char(readonly=True)
    balance_after = fields.Monetary(readonly=True)

    @api.depends("account_id")
    def _compute_wallet_id(self):
        for top_up in self:
            top_up.wallet_id = top_up.account_id.wallet_ids[:1]
            top_up.has_several_wallets = len(top_up.account_id.wallet_ids) > 1

    @api.depends("company_id")
    def _compute_method_id(self):
        for top_up in self:
            top_up.method_id = self.env["energy.payment.method"].search(
                [("company_id", "=", top_up.company_id.id or self.env.company.id)], limit=1
            )

    @api.model_create_multi
    def create(self, vals_list):
        amounts = [self._typed_amount(vals) for vals in vals_list]
        top_ups = super().create(vals_list)
        for top_up, amount in zip(top_ups, amounts, strict=True):
            top_up._check_amount(amount)
        return top_ups

    def write(self, vals):
        amount = self._typed_amount(vals)
        result = super().write(vals)
        for top_up in self:
            top_up._check_amount(amount)
        return result

    def _typed_amount(self, vals):
        amount = float(vals.get("amount") or 0)
        if not math.isfinite(amount):
            raise UserError(_("%s is not an amount of money that can be taken.", amount))
        return amount

    def _check_amount(self, amount):
        """Refuse an amount that the field would round: what is credited is what was typed."""
        if amount:
            # sudo: the currency decides, whoever asks
            self.wallet_id.sudo()._decimal(amount)

    @api.model
    def _open(self, account):
        """Return the action that opens the counter for an account."""
        return {
            "type": "ir.actions.act_window",
            "name": _("Top-up"),
            "res_model": self._name,
            "view_mode": "form",
            "target": "new",
            "context": {"default_account_id": account.id},
        }

    def action_confirm(self):
        """Credit the amount; a second press of the button finds what the first one did."""
        self.ensure_one()
        if not self.env.user.has_group("prepaid_energy.group_energy_cashier"):
            raise AccessError(_("Only cashiers take top-ups."))
        self.account_id.check_access("read")
        if not self.key.startswith(KEY_PREFIX):
            raise AccessError(_("The key of a counter top-up is chosen by the form."))
        self.method_id.check_access("read")
        if self.method_id.company_id != self.company_id:
            raise UserError(_("Choose a payment method of %s.", self.company_id.name))
        # sudo: cashiers sell, but nobody writes balances or commands but the flow
        wallet_sudo = self.wallet_id.sudo()
        if wallet_sudo.account_id != self.account_id:
            raise UserError(_("The balance belongs to another account."))
        entry = wallet_sudo._top_up(self.amount, self.key, self.method_id, self.reference)
        self.write(
            {
                "entry_key": entry.key,
                "balance_after": entry.balance_after,
                "result": self._result(entry),
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": _("Top-up"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def _result(self, entry):
        controls = (
            self.env["energy.meter.control"]
            .sudo()
            .search(
                [
                    ("meter_id", "in", self.account_id.supply_ids.meter_id.ids),
                    ("wanted", "=", "off"),
                ]
            )
        )
        if entry.command_ids:
            return _("Supply on has been ordered.")
        if controls:
            return _("Supply stays off: %s", controls[0].decision_reason)
        return _("Supply is on.")

    def action_open_entry(self):
        """Open the entry that was posted."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_wallet_entry"
        )
        return dict(action, domain=[("key", "=", self.entry_key)], target="current")
