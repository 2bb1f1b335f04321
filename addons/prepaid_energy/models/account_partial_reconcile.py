from odoo import _, api, fields, models

from .energy_wallet import Draft, stored


class AccountPartialReconcile(models.Model):
    """Money that reaches a prepaid receivable by any road moves the balance.

    What settles a receivable from the account's own advances, or from its own credit, moves
    nothing: both sides name the same energy account.
    """

    _inherit = "account.partial.reconcile"

    energy_entry_key = fields.Char(
        readonly=True, copy=False, help="Key of the balance entry that came of this matching."
    )

    _energy_entry_key_uniq = models.UniqueIndex(
        "(energy_entry_key) WHERE energy_entry_key IS NOT NULL",
        "This matching moved the balance already.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        partials = super().create(vals_list)
        partials._energy_credit()
        return partials

    def unlink(self):
        # sudo: whoever may match journal items need not see balances
        entries = self.env["energy.wallet.entry"].sudo()
        keys = [key for partial in self for key in _keys(partial.id)]
        posted = entries.search([("key", "in", keys)], order="id")
        result = super().unlink()
        self.env["energy.wallet"].sudo()._move_by_books(
            [
                (
                    entry.wallet_id,
                    Draft(
                        wallet_id=entry.wallet_id.id,
                        kind="reversal",
                        category=entry.category,
                        amount=-stored(entry.amount, entry.currency_id),
                        key=f"{entry.key}/undone",
                        local_date=entry.site_id._today(),
                        note=_("Matching undone: %s", entry.note),
                        user_id=self.env.uid,
                        journal_id=entry.journal_id.id or None,
                        reference=entry.reference or None,
                        cause_key=entry.key,
                    ),
                )
                for entry in posted
            ]
        )
        return result

    def _energy_credit(self):
        """Post what these matchings bring to balances, or take from them."""
        moved = []
        for partial in self:
            # sudo: whoever may match journal items need not see balances
            debit, credit = partial.debit_move_id.sudo(), partial.credit_move_id.sudo()
            charged, credited = _prepaid_account(debit), _prepaid_account(credit)
            if charged == credited:
                continue
            amount = stored(partial.amount, partial.company_currency_id)
            if not amount:
                continue
            first, second = _keys(partial.id)
            if charged:
                moved.append(self._energy_draft(charged, amount, first, credit))
            if credited:
                moved.append(
                    self._energy_draft(credited, -amount, second if charged else first, debit)
                )
            # sudo: as above; the key is the flow's to write
            partial.sudo().energy_entry_key = first
        # sudo: balances are moved by the flow only, whoever matched
        self.env["energy.wallet"].sudo()._move_by_books(moved)

    def _energy_draft(self, account, amount, key, other):
        """Return the wallet and the entry that moves it.

        :param other: the journal item on the other side of the matching
        """
        wallet = account.wallet_ids.sorted(lambda wallet: (wallet.balance, wallet.id))[:1]
        move = other.move_id
        is_money = bool(move.origin_payment_id or move.statement_line_id)
        kind = ("top_up" if amount > 0 else "refund") if is_money else "adjustment"
        return wallet, Draft(
            wallet_id=wallet.id,
            kind=kind,
            category=wallet.commodity or "other",
            amount=amount,
            key=key,
            local_date=account.site_id._today(),
            note=_("On an invoice: %s", move.name or move.ref or other.name),
            user_id=self.env.uid,
            journal_id=move.journal_id.id,
            reference=move.ref or None,
        )


def _keys(partial):
    """Return the keys of the entries that one matching may cause."""
    return f"partial/{partial}", f"partial/{partial}/credit"


def _prepaid_account(line):
    """Return the energy account whose prepaid receivable a journal item is on."""
    if line.account_id.account_type != "asset_receivable":
        return line.energy_account_id.browse()
    return line.energy_account_id
