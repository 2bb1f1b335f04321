from decimal import Decimal

from odoo import _, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock
from .energy_wallet import stored


class EnergyShift(models.Model):
    """Closing a shift: the till is counted, the books get the difference and what is banked."""

    _inherit = "energy.shift"

    difference_move_id = fields.Many2one(
        "account.move",
        string="Entry of the Difference",
        readonly=True,
        copy=False,
        ondelete="restrict",
        index="btree_not_null",
    )
    banked_move_id = fields.Many2one(
        "account.move",
        string="Entry of What Was Banked",
        readonly=True,
        copy=False,
        ondelete="restrict",
        index="btree_not_null",
    )

    def action_close(self):
        """Count the till and end the shift: the books get the difference and what is banked.

        :raise UserError: where something is missing or the books refuse it; the shift stays open
        """
        self.ensure_one()
        self.check_access("write")
        # Waits for entries under way, and begins again where one came in between.
        self.env.cr.execute(SQL("SELECT id FROM energy_shift WHERE id = %s FOR UPDATE", self.id))
        if self.state == "closed":
            raise UserError(_("Shift %s is closed already.", self.name))
        received, paid, deposits = self._cash().get(self.id, [Decimal(0)] * 3)
        expected = self._money("opening_float") + received - paid + deposits
        difference = self._money("counted") - expected
        banked = self._money("banked")
        self._check_closing(difference, banked)
        # sudo: the cashier's count makes the journal entries, cashiers do not keep books
        shift = self.sudo()
        shift.write(
            {
                "difference_move_id": shift._book_difference(difference).id,
                "banked_move_id": shift._book_banked(banked).id,
                "closed_at": clock.now(self.env.cr),
                "state": "closed",
            }
        )
        shift.flush_recordset()
        return True

    def _money(self, name):
        return stored(self[name], self.currency_id)

    def _check_closing(self, difference, banked):
        if difference and not (self.difference_reason or "").strip():
            raise UserError(
                _(
                    "The till differs by %s from what is expected. Count again, or type the "
                    "reason of the difference.",
                    self.currency_id.format(float(difference)),
                )
            )
        if banked > self._money("counted"):
            raise UserError(_("No more can be banked than was counted."))
        if banked and not self.bank_journal_id:
            raise UserError(_("Choose the bank to which the cash goes."))

    def _book_difference(self, difference):
        """Make the entry of a surplus (above zero) or a shortage of the till."""
        if not difference:
            return self.env["account.move"]
        journal = self.journal_id
        other = journal.profit_account_id if difference > 0 else journal.loss_account_id
        if not other:
            raise UserError(
                _(
                    "Journal %(journal)s has no %(account)s for differences of the till. Ask "
                    "accounting to set it under Accounting → Configuration → Journals.",
                    journal=journal.display_name,
                    account=_("profit account") if difference > 0 else _("loss account"),
                )
            )
        label = _(
            "%(shift)s: difference of the till, %(reason)s",
            shift=self.name,
            reason=self.difference_reason,
        )
        return self._book(difference, other, label)

    def _book_banked(self, banked):
        """Make the entry of cash on its way to the bank, where the bank statement meets it."""
        if not banked:
            return self.env["account.move"]
        other = self.company_id.transfer_account_id
        if not other:
            raise UserError(
                _(
                    "%s has no internal transfer account. Ask accounting to set it in the "
                    "accounting settings.",
                    self.company_id.name,
                )
            )
        label = _(
            "%(shift)s: cash to %(bank)s", shift=self.name, bank=self.bank_journal_id.display_name
        )
        return self._book(-banked, other, label)

    def _book(self, amount, other, label):
        """Post an entry in the till's journal.

        :param Decimal amount: by which its cash rises
        :param other: `account.account` of the other side
        """
        cash = self.journal_id.default_account_id
        if not cash:
            raise UserError(_("Journal %s has no cash account.", self.journal_id.display_name))
        move = (
            self.env["account.move"]
            .with_company(self.company_id)
            .create(
                {
                    "move_type": "entry",
                    "journal_id": self.journal_id.id,
                    "date": self._today(),
                    "ref": label,
                    "line_ids": [
                        fields.Command.create(
                            {"account_id": account.id, "name": label, "balance": float(balance)}
                        )
                        for account, balance in ((cash, amount), (other, -amount))
                    ],
                }
            )
        )
        try:
            move.action_post()
        except UserError as error:
            raise UserError(
                _(
                    "Shift %(shift)s stays open, what was typed is kept. Accounting says: "
                    "%(error)s",
                    shift=self.name,
                    error=error,
                )
            ) from error
        return move

    def _today(self):
        """Return the local date of the cashier's site."""
        sites = self.user_id.energy_site_ids.filtered(
            lambda site: site.company_id == self.company_id
        )
        site = sites[:1] or self.company_id._energy_first_site()
        return site._today() if site else clock.now(self.env.cr).date()

    def action_open_moves(self):
        """Open what closing these shifts brought into the books."""
        moves = self.difference_move_id + self.banked_move_id
        return {
            "type": "ir.actions.act_window",
            "name": _("Journal Entries"),
            "res_model": "account.move",
            "view_mode": "list,form",
            "domain": [("id", "in", moves.ids)],
        }
