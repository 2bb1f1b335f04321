from odoo import _, models
from odoo.exceptions import UserError


class AccountMove(models.Model):
    """Journal entries on the advances account: never in debit, cancelled for good."""

    _inherit = "account.move"

    def _energy_advance_lines(self):
        return self.line_ids.filtered(
            lambda line: (
                line.energy_account_id
                and line.account_id == line.company_id.energy_advances_account_id
            )
        )

    def _post(self, soft=True):
        """Override of `account` to refuse what would take more than was paid ahead."""
        posted = super()._post(soft)
        taken = posted._energy_advance_lines().filtered(lambda line: line.balance > 0)
        taken._energy_check_cover()
        return posted

    def button_draft(self):
        """Override of `account` to keep cancelled bookings out of the books."""
        for move in self:
            if move.state == "cancel" and move._energy_advance_lines():
                raise UserError(
                    _(
                        "%s was cancelled; its balance entry is booked anew. Leave it cancelled.",
                        move.display_name,
                    )
                )
        result = super().button_draft()
        given = self._energy_advance_lines().filtered(lambda line: line.balance < 0)
        given._energy_check_cover()
        return result

    def button_cancel(self):
        """Override of `account`: a cancelled entry books nothing, so its key is free again."""
        result = super().button_cancel()
        self._energy_release_keys()
        return result

    def _energy_release_keys(self):
        keyed = self.line_ids.filtered("energy_entry_key")
        # A cancelled payment must not make its journal items with the key again.
        self.origin_payment_id._energy_books_entry().energy_entry_key = False
        keyed.energy_entry_key = False
        if keyed:
            # sudo: whoever cancels may not run scheduled actions
            self.env.ref("prepaid_energy.ir_cron_book_entries").sudo()._trigger()


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _energy_check_cover(self):
        """Refuse where an account's advances are in debit at the date of these items or later.

        :raise UserError: names the account
        """
        if not self:
            return
        accounts = self.energy_account_id
        earliest = min(self.mapped("date"))
        for account, advances in accounts._advances(earliest).items():
            if advances.lowest(earliest) < 0:
                # sudo: an accountant who sees no energy account still reads its number
                name = self.env["energy.account"].sudo().browse(account).name
                raise UserError(
                    _(
                        "The advances of account %(account)s do not cover this: they would be in "
                        "debit. What is wrong on a balance is put right by a reversal or an "
                        "adjustment of the balance.",
                        account=name,
                    )
                )
