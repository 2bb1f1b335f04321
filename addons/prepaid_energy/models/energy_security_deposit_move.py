from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import clock


class EnergySecurityDepositMove(models.Model):
    """One movement of a security deposit: written once by the flow, never changed."""

    _name = "energy.security.deposit.move"
    _description = "Security deposit movement"
    _order = "id"
    _log_access = False
    _allow_sudo_commands = False
    _rec_name = "key"

    deposit_id = fields.Many2one(
        "energy.security.deposit", required=True, readonly=True, index=True, ondelete="restrict"
    )
    account_id = fields.Many2one(related="deposit_id.account_id", store=True, index=True)
    site_id = fields.Many2one(related="deposit_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="deposit_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="deposit_id.currency_id", store=True)
    kind = fields.Selection(
        [("received", "Received"), ("returned", "Returned"), ("applied", "Applied to Debt")],
        required=True,
        readonly=True,
    )
    amount = fields.Monetary(required=True, readonly=True)
    key = fields.Char(required=True, readonly=True)
    moment = fields.Datetime(
        required=True, readonly=True, default=lambda self: clock.now(self.env.cr)
    )
    local_date = fields.Date(string="Date", required=True, readonly=True)
    method_id = fields.Many2one(
        "energy.payment.method", string="Payment Method", readonly=True, ondelete="restrict"
    )
    shift_id = fields.Many2one(
        "energy.shift", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    reference = fields.Char(readonly=True)
    request_id = fields.Many2one(
        "energy.balance.request", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    user_id = fields.Many2one("res.users", required=True, readonly=True, ondelete="restrict")

    _key_uniq = models.UniqueIndex("(key)", "This movement was written already.")
    _check_sign = models.Constraint(
        "CHECK (amount <> 0 AND (amount > 0) = (kind = 'received'))",
        "Received deposits are above zero, what leaves them is below.",
    )

    def write(self, vals):
        raise UserError(_("Movements of a deposit are never changed."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Movements of a deposit are never deleted."))

    def _book(self):
        """Make and post the payment between the payment method's journal and the liability."""
        self.ensure_one()
        deposit, company = self.deposit_id, self.company_id
        payment = (
            self.env["account.payment"]
            .with_company(company)
            .create(
                {
                    "payment_type": "inbound" if self.amount > 0 else "outbound",
                    "partner_type": "customer",
                    "partner_id": deposit.partner_id.id,
                    "amount": abs(self.amount),
                    "currency_id": self.currency_id.id,
                    "date": self.local_date,
                    "journal_id": self.method_id.journal_id.id,
                    "destination_account_id": company._energy_set_up_account(
                        "energy_deposit_account_id"
                    ).id,
                    "memo": " ".join(filter(None, [deposit.name, self.reference])),
                    "energy_account_id": self.account_id.id,
                    "energy_entry_key": self.key,
                }
            )
        )
        if payment.journal_id.type == "cash":
            # Cash in the till waits for no bank statement.
            payment.outstanding_account_id = payment.journal_id.default_account_id
        payment.action_post()
        if payment.move_id.state != "posted":
            raise UserError(
                _(
                    "The payment method “%s” has no outstanding account: the deposit could not be "
                    "booked.",
                    self.method_id.name,
                )
            )
        return payment
