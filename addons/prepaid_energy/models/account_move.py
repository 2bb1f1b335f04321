from odoo import _, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL


class AccountMove(models.Model):
    """An invoice of a billing period keeps in step with it.

    A period's `move_id` is the document that claims it: its entries are invoiced while that is
    posted. A document that was credited in full or cancelled claims nothing.
    """

    _inherit = "account.move"

    energy_period_id = fields.Many2one(
        "energy.billing.period",
        string="Billing Period",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )

    def _post(self, soft=True):
        for move in self.filtered("energy_period_id"):
            move._energy_claim()
        credited = self.filtered(lambda move: move._energy_credited())
        # A full credit note takes the period's claim back: it stands beside the invoice.
        (self.filtered("energy_period_id") | credited)._energy_name_account()
        posted = super()._post(soft)
        for move in credited:
            # sudo: periods are written by the flow only
            move.reversed_entry_id.energy_period_id.sudo().write(
                {"state": "closed", "move_id": False}
            )
        return posted

    def _energy_name_account(self):
        """Name the account whose receivable this is, where the balance pays it.

        One statement for all documents: a write to each costs as much as posting it.
        """
        if not self:
            return
        items = self.env["account.move.line"]
        items.flush_model(["move_id", "account_id", "energy_account_id"])
        self.flush_recordset(["energy_period_id", "reversed_entry_id"])
        self.env.cr.execute(
            SQL(
                """
            UPDATE account_move_line line SET energy_account_id = a.id
              FROM account_move m
              LEFT JOIN account_move original ON original.id = m.reversed_entry_id
              JOIN energy_billing_period p
                   ON p.id = COALESCE(m.energy_period_id, original.energy_period_id)
              JOIN energy_account a ON a.id = p.account_id AND a.payment_mode = 'prepaid',
                   account_account ledger
             WHERE m.id = ANY(%s) AND line.move_id = m.id AND ledger.id = line.account_id
               AND ledger.account_type = 'asset_receivable'
            """,
                self.ids,
            )
        )
        items.invalidate_model(["energy_account_id"], flush=False)

    def _energy_claim(self):
        """Let this document claim its period, and refuse one that does not bill what it froze."""
        period = self.energy_period_id.sudo()  # sudo: periods are written by the flow only
        if period.move_id and period.move_id != self:
            raise UserError(
                _(
                    "%(period)s is invoiced by %(move)s: this document cannot be posted.",
                    period=period.display_name,
                    move=period.move_id.display_name,
                )
            )
        sign = -1 if self.move_type == "out_refund" else 1
        total = sum(period.line_ids.mapped("amount"))
        if self.currency_id.compare_amounts(sign * self.amount_total, total):
            raise UserError(
                _(
                    "The total of this document must stay %(total)s: that is what the balance was "
                    "charged for %(period)s. Correct by a credit note.",
                    total=self.currency_id.format(sign * total),
                    period=period.display_name,
                )
            )
        period.write({"state": "invoiced", "move_id": self.id})

    def _energy_credited(self):
        """Say whether this document credits the whole invoice of a period."""
        original = self.reversed_entry_id
        return (
            bool(original.energy_period_id)
            and self != original
            and self.move_type != original.move_type
            and original.energy_period_id.sudo().move_id == original
            and self.currency_id.compare_amounts(self.amount_total, original.amount_total) == 0
        )

    def button_draft(self):
        for move in self:
            own = move.energy_period_id.sudo()
            if own and move.state == "posted" and own.move_id != move:
                raise UserError(
                    _(
                        "%(move)s has been credited: reset its credit note first.",
                        move=move.display_name,
                    )
                )
            original = move.reversed_entry_id
            period = original.energy_period_id.sudo()
            if not period or move.state != "posted" or period.move_id == original:
                continue
            if not move._energy_took_back():
                continue
            if period.move_id:
                raise UserError(
                    _(
                        "%(period)s has been invoiced again by %(move)s: its credit note stays.",
                        period=period.display_name,
                        move=period.move_id.display_name,
                    )
                )
            period.write({"state": "invoiced", "move_id": original.id})
        return super().button_draft()

    def _energy_took_back(self):
        """Say whether this posted document is the credit note that took its period's claim back."""
        original = self.reversed_entry_id
        return (
            self.move_type != original.move_type
            and self.currency_id.compare_amounts(self.amount_total, original.amount_total) == 0
        )

    def button_cancel(self):
        result = super().button_cancel()
        self._energy_release()
        return result

    def unlink(self):
        self._energy_release()
        return super().unlink()

    def _energy_release(self):
        """Give the periods that these documents claim back, to be invoiced anew."""
        # sudo: periods are written by the flow only
        periods = self.energy_period_id.sudo().filtered(lambda period: period.move_id in self)
        periods.write({"state": "closed", "move_id": False})

    def action_open_energy_period(self):
        """Open the billing period of this invoice."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.billing.period",
            "res_id": self.energy_period_id.id,
            "view_mode": "form",
            "name": _("Billing Period"),
        }
