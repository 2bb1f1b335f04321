from odoo import _, api, fields, models
from odoo.exceptions import UserError


class AccountPayment(models.Model):
    _inherit = "account.payment"

    energy_account_id = fields.Many2one(
        "energy.account", readonly=True, copy=False, index="btree_not_null", ondelete="restrict"
    )
    energy_entry_key = fields.Char(
        readonly=True, copy=False, help="Key of the balance entry that this payment books."
    )

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `account`: cash in the till waits for no bank statement."""
        payments = super().create(vals_list)
        for payment in payments:
            if payment.energy_account_id and payment.journal_id.type == "cash":
                payment.outstanding_account_id = payment.journal_id.default_account_id
        return payments

    def _prepare_move_line_default_vals(self, write_off_line_vals=None, force_balance=None):
        """Override of `account`: what touches advances names its energy account and its entry."""
        lines = super()._prepare_move_line_default_vals(write_off_line_vals, force_balance)
        if self.energy_account_id:
            advances = self.company_id.energy_advances_account_id
            for line in lines:
                if line.get("account_id") == advances.id:
                    line["energy_account_id"] = self.energy_account_id.id
                    line["energy_entry_key"] = self.energy_entry_key
        return lines

    def _energy_books_entry(self):
        """Return those of these payments that book a balance entry."""
        return self.filtered(
            lambda payment: (
                payment.energy_account_id
                and payment.destination_account_id == payment.company_id.energy_advances_account_id
            )
        )

    def action_cancel(self):
        """Override of `account`: a cancelled payment books nothing, so its entry's key is free."""
        bookings = self._energy_books_entry()
        bookings.move_id._energy_release_keys()
        result = super().action_cancel()
        bookings.energy_entry_key = False
        return result

    def action_draft(self):
        """Override of `account` to keep cancelled bookings out of the books."""
        for payment in self._energy_books_entry():
            if payment.state == "canceled":
                raise UserError(
                    _(
                        "%s was cancelled; its balance entry is booked anew. Leave it cancelled.",
                        payment.display_name,
                    )
                )
        return super().action_draft()
