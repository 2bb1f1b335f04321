from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .energy_wallet import exact


class EnergyBalanceRequest(models.Model):
    """Security deposits leave by the same document: given back, or applied to a debt."""

    _inherit = "energy.balance.request"

    deposit_id = fields.Many2one(
        "energy.security.deposit",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        domain="[('account_id', '=', account_id), ('state', '=', 'held')]",
    )
    held = fields.Monetary(string="Amount Held", related="deposit_id.held")

    @api.depends("deposit_id")
    def _compute_amount(self):
        result = super()._compute_amount()
        for request in self.filtered("deposit_id"):
            if request.kind == "deposit_return":
                request.amount = request.held
            elif request.kind == "deposit_apply":
                request.amount = min(request.held, max(0, -request.wallet_id.balance))
        return result

    @api.depends("deposit_id")
    def _compute_method_id(self):
        result = super()._compute_method_id()
        for request in self:
            if request.kind == "deposit_return":
                request.method_id = request.deposit_id.method_id
        return result

    def _keys(self):
        returned = self.filtered(lambda request: request.kind == "deposit_return")
        moves = self.env["energy.security.deposit.move"].search(
            [("request_id", "in", returned.ids)]
        )
        return super(EnergyBalanceRequest, self - returned)._keys() + moves.mapped("key")

    def _lock(self):
        locked = super()._lock()
        if self.deposit_id:
            self.deposit_id._claim()
        return locked

    def _check_held(self):
        if self.deposit_id.account_id != self.account_id:
            raise UserError(_("Choose a security deposit of this account."))
        held = sum(self.deposit_id._amounts())
        if exact(self.amount, self.currency_id) > held:
            raise UserError(
                _(
                    "Of deposit %(number)s only %(held)s is held.",
                    number=self.deposit_id.name,
                    held=self._money(held),
                )
            )

    def _check_deposit_return(self, locked):
        self._check_paid_out()
        self._check_held()

    def _deposit_return_drafts(self):
        """Move the deposit; no balance is touched."""
        self.deposit_id._move(
            "returned",
            -exact(self.amount, self.currency_id),
            self.method_id,
            self.shift_id,
            request=self,
        )
        return []

    def _check_deposit_apply(self, locked):
        self._check_held()
        debt = -locked[self.wallet_id.id][0]
        if exact(self.amount, self.currency_id) > debt:
            raise UserError(
                _(
                    "A deposit pays what is owed, and no more: %s.",
                    self._money(max(0, debt)),
                )
            )

    def _deposit_apply_drafts(self):
        amount = exact(self.amount, self.currency_id)
        move = self.deposit_id._move("applied", -amount, request=self)
        return [
            self._draft(
                self.wallet_id,
                "transfer",
                amount,
                self._key(),
                cause_key=move.key,
                note=_(
                    "Security deposit %(deposit)s applied, %(number)s",
                    deposit=self.deposit_id.name,
                    number=self.name,
                ),
            )
        ]
