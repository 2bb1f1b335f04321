from odoo import _, fields, models
from odoo.tools import SQL

from .energy_wallet_entry import CHARGED

# Of the entry `e`: an invoice charges it, so that it is never booked by itself.
IS_CHARGED = SQL(
    """
    (e.kind IN %(charged)s OR e.kind = 'reversal' AND EXISTS (
        SELECT 1 FROM energy_wallet_entry undone
         WHERE undone.key = e.cause_key AND undone.kind IN %(charged)s))
    """,
    charged=(*CHARGED, "billed"),
)
# Of the entry `e`: it came out of the books (money that reached an invoice, and its undoing).
IS_FROM_BOOKS = SQL("starts_with(e.key, 'partial/')")
# Of the entry `e`: a posted journal item carries its key.
IS_BOOKED = SQL(
    """
    (%s OR EXISTS (SELECT 1 FROM account_move_line booking
                    WHERE booking.energy_entry_key = e.key AND booking.parent_state = 'posted'))
    """,
    IS_FROM_BOOKS,
)


class EnergyWalletEntry(models.Model):
    """Where a balance entry stands in the books."""

    _inherit = "energy.wallet.entry"

    payment_id = fields.Many2one("account.payment", compute="_compute_payment_id")
    booking_id = fields.Many2one(
        "account.move", string="Journal Entry", compute="_compute_payment_id"
    )
    is_booked = fields.Boolean(
        string="In the Books",
        compute="_compute_is_booked",
        search="_search_is_booked",
        help="A posted journal item carries this entry's key. What an invoice charges is booked "
        "with the invoice.",
    )

    # What is looked through for entries to book: all but the many that invoices charge.
    _money_index = models.Index(
        "(id) WHERE kind NOT IN ('use', 'charge', 'share', 'billed')",
    )

    def _compute_payment_id(self):
        self.payment_id = self.booking_id = False
        if not self.env["account.move.line"].has_access("read"):
            return
        lines = self.env["account.move.line"].search(
            [("energy_entry_key", "in", self.mapped("key"))]
        )
        by_key = {line.energy_entry_key: line.move_id for line in lines}
        for entry in self:
            move = by_key.get(entry.key)
            entry.booking_id = move
            entry.payment_id = move and move.origin_payment_id

    def _compute_is_booked(self):
        unbooked = set(self.search([("id", "in", self.ids), ("is_booked", "=", False)])._ids)
        for entry in self:
            entry.is_booked = entry.id not in unbooked

    def _search_is_booked(self, operator, value):
        if operator != "in":
            return NotImplemented
        if set(value) == {True, False}:
            return [(1, "=", 1)]
        self.env["account.move.line"].flush_model(["energy_entry_key", "parent_state"])
        unbooked = SQL(
            "(SELECT e.id FROM energy_wallet_entry e WHERE NOT %s AND NOT %s)",
            IS_CHARGED,
            IS_BOOKED,
        )
        return [("id", "in" if set(value) == {False} else "not in", unbooked)]

    def action_open_payment(self):
        """Open the payment, or else the journal entry, that books this entry."""
        self.ensure_one()
        booking = self.payment_id or self.booking_id
        return {
            "type": "ir.actions.act_window",
            "res_model": booking._name,
            "res_id": booking.id,
            "view_mode": "form",
            "name": _("Payment") if self.payment_id else _("Journal Entry"),
        }
