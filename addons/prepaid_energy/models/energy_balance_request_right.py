from odoo import _, api, models
from odoo.exceptions import AccessError

from .energy_balance_request_flow import FINANCE, TO_DO

# Kinds that cashiers may ask for; the others are the accountants'.
AT_THE_COUNTER = {"refund", "reversal", "deposit_return"}
CASHIER = "prepaid_energy.group_energy_cashier"


class EnergyBalanceRequest(models.Model):
    """Who may ask for a request, who decides it, and when a second person has to."""

    _inherit = "energy.balance.request"

    def _check_right(self):
        user = self.env.user
        if user.has_group(FINANCE) or (user.has_group(CASHIER) and self.kind in AT_THE_COUNTER):
            return
        raise AccessError(
            _("Cashiers ask for refunds and reversals. Everything else is asked for by finance.")
        )

    def _check_second_person(self):
        if not self.env.user.has_group(FINANCE):
            raise AccessError(_("Requests are decided by users with the role Finance."))
        if self.env.user in self.requested_by_id | self.create_uid:
            raise AccessError(_("Who asked does not decide: a second person has to look at it."))

    @api.depends("kind", "amount", "entry_key")
    def _compute_needs_second_person(self):
        for request in self:
            request.needs_second_person = request.account_id and request._needs_second_person()

    def _needs_second_person(self, locked=None):
        """Return whether the present user alone cannot carry this out.

        :param dict locked: what `energy.wallet._lock` returned; figures as last read if None
        """
        company = self.company_id
        if self.kind in ("refund", "deposit_return"):
            return self.currency_id.compare_amounts(self.amount, company.energy_refund_limit) > 0
        if self.kind in ("adjustment", "write_off"):
            limit = company.energy_adjustment_limit
            return self.currency_id.compare_amounts(abs(self.amount), limit) > 0
        if self.kind == "reversal":
            return not self.env.user.has_group(FINANCE) and not self._is_own_slip(locked)
        return False

    def _is_own_slip(self, locked=None):
        """Return whether the top-up is the user's, of today and of a till not yet counted, and
        the balance still holds it."""
        entry = self.entry_id
        if not entry:
            return False
        wallet = self.wallet_id
        balance = locked[wallet.id][0] if locked else wallet._decimal(wallet.balance)
        return (
            entry.user_id == self.env.user
            and entry.local_date == self.site_id._today()
            and entry.shift_id.state in (False, "open")
            and balance + sum(draft.amount for draft in self._reversal_drafts(dry=True)) >= 0
        )

    def _ask_to_approve(self):
        """Make the request a to-do of a user who may decide it."""
        askers = self.requested_by_id | self.create_uid
        deciders = self.env.ref(FINANCE).all_user_ids.filtered(
            lambda user: (
                user not in askers
                and self.company_id in user.company_ids
                and (not user.energy_site_ids or self.site_id in user.energy_site_ids)
            )
        )
        if deciders:
            self.activity_schedule(
                TO_DO, user_id=deciders[0].id, summary=_("Decide request %s", self.name)
            )
