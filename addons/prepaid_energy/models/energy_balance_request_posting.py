from odoo import _, api, models
from odoo.exceptions import UserError

from .energy_wallet import Draft


class EnergyBalanceRequest(models.Model):
    """What each kind of request needs, and the entries that it posts."""

    _inherit = "energy.balance.request"

    def _keys(self):
        """Return the keys under which these requests post."""
        keys = []
        for request in self:
            if request.kind == "reversal":
                keys += [f"reversal/{request.entry_key}", f"reversal/{request.entry_key}/fee"]
            elif request.kind == "transfer":
                keys += [request._key("out"), request._key("in")]
            else:
                keys.append(request._key())
        return keys

    def _key(self, side=""):
        return f"request/{self.id}/{side}" if side else f"request/{self.id}"

    def _check_body(self, locked):
        """Refuse what cannot be carried out on the balances as they are now.

        :param dict locked: what `energy.wallet._lock` returned
        :raise UserError: with what is in the way
        """
        if not self.wallet_id and self.kind != "deposit_return":
            raise UserError(_("An account that was never opened has no balance."))
        if self.kind not in ("adjustment", "reversal") and self.amount <= 0:
            raise UserError(_("The amount must be above zero."))
        getattr(self, f"_check_{self.kind}")(locked)

    def _carry_out(self, locked):
        """Post the request's entries and let follow what follows; its body has been checked."""
        self._take_till()
        drafts = getattr(self, f"_{self.kind}_drafts")()
        wallet = self.env["energy.wallet"]
        wallet._post(drafts, locked)
        self.state = "done"
        if drafts:
            wallet._follow(
                self.account_id | self.to_account_id,
                {draft.wallet_id: draft.key for draft in reversed(drafts)},
                cause="payment" if self.kind == "transfer" else "policy",
            )

    def _money(self, amount):
        return self.currency_id.format(float(amount))

    def _draft(self, wallet, kind, amount, key, **values):
        return Draft(
            wallet_id=wallet.id,
            kind=kind,
            category=wallet.commodity or "other",
            amount=amount,
            key=key,
            local_date=wallet.account_id.site_id._today(),
            user_id=self.requested_by_id.id,
            **values,
        )

    def _take_till(self):
        """Note whose till pays in cash: that of who asked, where it is open."""
        if self.method_id.kind == "cash" and self.kind in ("refund", "reversal", "deposit_return"):
            shift = self.entry_id.shift_id.filtered(lambda shift: shift.state == "open")
            self.shift_id = shift or self.env["energy.shift"]._present(
                self.requested_by_id, self.company_id
            )

    # Refund -------------------------------------------------------------------------------------

    def _check_refund(self, locked):
        self._check_paid_out()
        self._check_refundable(locked)

    def _check_paid_out(self):
        if not self.method_id:
            raise UserError(_("Choose how the money is paid back."))
        if self.method_id.kind == "cash" and self.company_id.energy_requires_shift:
            asker = self.env.user if self.state == "draft" else self.requested_by_id
            if not self.env["energy.shift"]._present(asker, self.company_id):
                raise UserError(
                    _(
                        "%(company)s pays cash in a shift only: %(user)s has none open.",
                        company=self.company_id.name,
                        user=asker.name,
                    )
                )

    def _check_refundable(self, locked):
        """Refuse to take more than the balance can give; a waiting request is not counted twice."""
        wallet = self.wallet_id
        refundable = wallet._refundable(wallet._positions(self.account_id.ids))[wallet.id]
        asked = 0
        if self.state == "draft":
            asked = wallet._decimal(wallet._refunds_asked_for().get(wallet, 0.0))
        if wallet._decimal(self.amount) <= refundable - asked:
            return
        text = self._money
        message = _(
            "%(amount)s cannot be taken from %(account)s: %(refundable)s of the balance of "
            "%(balance)s can be given.",
            amount=text(self.amount),
            account=self.account_id.display_name,
            refundable=text(max(0, refundable - asked)),
            balance=text(locked[wallet.id][0]),
        )
        if asked:
            message += " " + _("Refunds of %s wait for approval.", text(asked))
        if refundable < locked[wallet.id][0]:
            message += " " + _(
                "What a correction credited can be given once it is on an invoice; what another "
                "balance of the account owes stays."
            )
        raise UserError(message)

    def _refund_drafts(self):
        return [
            self._draft(
                self.wallet_id,
                "refund",
                -self.wallet_id._decimal(self.amount),
                self._key(),
                note=_(
                    "Refund %(number)s, %(method)s", number=self.name, method=self.method_id.name
                ),
                journal_id=self.method_id.journal_id.id,
                method_id=self.method_id.id,
                shift_id=self.shift_id.id or None,
                reference=self.reference or None,
            )
        ]

    @api.depends("kind", "amount", "method_id", "wallet_id", "to_account_id", "state")
    def _compute_warning(self):
        for request in self:
            request.warning = request.state in ("draft", "waiting") and request._warning()

    def _warning(self):
        """Return what who asks or decides should know, or False."""
        if self.kind == "refund" and self.method_id:
            came = self._came_by(self.method_id)
            if self.currency_id.compare_amounts(self.amount, came) > 0:
                return _(
                    "Only %(came)s came by “%(method)s” and was not paid back yet.",
                    came=self._money(max(0, came)),
                    method=self.method_id.name,
                )
        taker = self.kind == "transfer" and self.to_account_id
        if taker and taker.partner_id != self.account_id.partner_id:
            return _("The money goes to another customer.")
        return False

    def _came_by(self, method):
        """Return what came to the balance by a payment method and did not leave by it again."""
        [(total,)] = self.env["energy.wallet.entry"]._read_group(
            [("wallet_id", "=", self.wallet_id.id), ("method_id", "=", method.id)],
            [],
            ["amount:sum"],
        )
        return total or 0.0

    # Transfer -----------------------------------------------------------------------------------

    def _check_transfer(self, locked):
        if not self.to_wallet_id or self.to_wallet_id == self.wallet_id:
            raise UserError(_("Choose another balance to which the money goes."))
        if self.to_account_id.company_id != self.company_id:
            raise UserError(_("Money is transferred inside one company only."))
        self._check_refundable(locked)

    def _transfer_drafts(self):
        amount = self.wallet_id._decimal(self.amount)
        return [
            self._draft(
                self.wallet_id,
                "transfer",
                -amount,
                self._key("out"),
                cause_key=self._key("in"),
                note=_(
                    "Transfer %(number)s to %(account)s",
                    number=self.name,
                    account=self.to_account_id.name,
                ),
            ),
            self._draft(
                self.to_wallet_id,
                "transfer",
                amount,
                self._key("in"),
                cause_key=self._key("out"),
                note=_(
                    "Transfer %(number)s from %(account)s",
                    number=self.name,
                    account=self.account_id.name,
                ),
            ),
        ]

    # Adjustment and write-off -------------------------------------------------------------------

    def _check_reasoned(self):
        if not self.reason or not (self.remark or "").strip():
            raise UserError(_("Choose a reason and explain it."))

    def _check_adjustment(self, locked):
        if self.currency_id.is_zero(self.amount):
            raise UserError(_("The amount must not be zero."))
        self._check_reasoned()

    def _adjustment_drafts(self):
        return [
            self._draft(
                self.wallet_id,
                "adjustment",
                self.wallet_id._decimal(self.amount),
                self._key(),
                note=_("Adjustment %(number)s: %(remark)s", number=self.name, remark=self.remark),
            )
        ]

    def _check_write_off(self, locked):
        self._check_reasoned()
        debt = -locked[self.wallet_id.id][0]
        if debt <= 0:
            raise UserError(_("Only a balance below zero is written off."))
        if self.wallet_id._decimal(self.amount) > debt:
            raise UserError(
                _(
                    "No more than what is owed is written off: %s.",
                    self._money(debt),
                )
            )

    def _write_off_drafts(self):
        return [
            self._draft(
                self.wallet_id,
                "write_off",
                self.wallet_id._decimal(self.amount),
                self._key(),
                note=_("Write-off %(number)s: %(remark)s", number=self.name, remark=self.remark),
            )
        ]

    # Reversal -----------------------------------------------------------------------------------

    def _check_reversal(self, locked):
        entry = self.entry_id
        if entry.kind != "top_up" or not entry.method_id:
            raise UserError(_("Choose the top-up that was wrong, by its button “Reverse”."))
        if entry.wallet_id != self.wallet_id:
            raise UserError(_("The top-up went to another balance."))
        if not entry.can_be_reversed:
            raise UserError(_("This top-up was reversed already."))
        if self.currency_id.compare_amounts(self.amount, entry.amount):
            raise UserError(_("A top-up is reversed as a whole: %s.", self._money(entry.amount)))

    def _reversal_drafts(self, dry=False):
        """Return the opposite of the top-up and of the service fee that was taken from it.

        :param bool dry: only to look at the amounts: no billing period is made for the fee
        """
        entry = self.entry_id
        fees = self.env["energy.wallet.entry"].search(
            [("cause_key", "=", entry.key), ("kind", "=", "charge")]
        )
        drafts = []
        for one in entry | fees:
            # The fee is earned by its month; a month that is closed hands it to the next one.
            month = (one.account_id.id, one.local_date.replace(day=1))
            period = None
            if one.kind == "charge" and not dry:
                period = self.env["energy.billing.period"]._open_for({month})[month]
            drafts.append(
                Draft(
                    wallet_id=one.wallet_id.id,
                    kind="reversal",
                    category=one.category,
                    amount=-one.wallet_id._decimal(one.amount),
                    key=f"reversal/{one.key}",
                    local_date=self.site_id._today(),
                    user_id=self.requested_by_id.id,
                    period_id=period,
                    journal_id=one.journal_id.id or None,
                    method_id=one.method_id.id or None,
                    shift_id=self.shift_id.id or None if one == entry else None,
                    reference=one.reference or None,
                    cause_key=one.key,
                    note=_(
                        "Reversal %(number)s of entry %(entry)s",
                        number=self.name,
                        entry=one.number,
                    ),
                )
            )
        return drafts
