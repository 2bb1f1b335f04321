import logging
from itertools import groupby

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .energy_wallet import stored
from .energy_wallet_entry_books import IS_CHARGED, IS_FROM_BOOKS
from .energy_wallet_turn import CONFLICTS, MOST_TRIES

_logger = logging.getLogger(__name__)

BATCH = 50


class EnergyBooking(models.AbstractModel):
    """Books balance entries: each becomes a posted journal item that carries the entry's key.

    What an invoice charges is not booked here, and neither is what came out of the books.
    """

    _name = "energy.booking"
    _description = "Booking of balance entries"

    @api.model
    def _cron_book_entries(self):
        """Scheduled action: book what is not booked yet, in the order of the entries.

        An entry that accounting refuses becomes a to-do on its account, the later entries of which
        wait too; the rest goes on. It is tried again with the next run.
        """
        for _attempt in range(MOST_TRIES):
            try:
                return self._book_all()
            except CONFLICTS:
                # Somebody paid, invoiced or booked meanwhile; what was committed stays.
                self.env.cr.rollback()
                self.env.transaction.reset()
        self.env.ref("prepaid_energy.ir_cron_book_entries")._trigger()

    def _book_all(self):
        commit = self.env["ir.cron"]._commit_progress
        passed, last = set(), 0
        while entries := self._to_book(last, BATCH, passed):
            last = entries[-1].id
            booked = self._book(entries)
            passed |= set((entries - booked).account_id.ids)
            if not commit(len(booked)):
                self.env.ref("prepaid_energy.ir_cron_book_entries")._trigger()
                return
        self.env["energy.book.settlement"]._settle()
        commit(0)

    @api.model
    def _to_book(self, after=0, limit=None, passed=()):
        """Return the next entries that no journal item books.

        A journal entry that somebody set back to draft keeps its key: it is to be posted or
        cancelled, and not booked a second time beside.

        :param int after: id of the last entry looked at
        :param passed: ids of accounts to leave out
        """
        self.env["account.move.line"].flush_model(["energy_entry_key"])
        rows = self.env.execute_query(
            SQL(
                """
            SELECT e.id FROM energy_wallet_entry e
             WHERE e.kind NOT IN ('use', 'charge', 'share', 'billed') AND e.id > %(after)s
               AND e.account_id <> ALL(%(passed)s) AND NOT %(charged)s AND NOT %(from_books)s
               AND NOT EXISTS (SELECT 1 FROM account_move_line booking
                                WHERE booking.energy_entry_key = e.key)
             ORDER BY e.id LIMIT %(limit)s
            """,
                after=after,
                passed=list(passed),
                charged=IS_CHARGED,
                from_books=IS_FROM_BOOKS,
                limit=limit,
            )
        )
        return self.env["energy.wallet.entry"].browse(row[0] for row in rows)

    @api.model
    def _book(self, entries):
        """Book entries, in their order; one that fails alone is set aside with a to-do.

        :param entries: `energy.wallet.entry`, of none of which a journal item carries the key
        :return: the entries that are booked now
        """
        # sudo: the books follow whoever moved the balance
        self = self.sudo()
        entries = entries.sudo().sorted("id")
        booked = entries.browse()
        failed = set()
        # Money received is the bulk, and quicker in one go. Neighbours only: the order counts.
        # pylint: disable-next=bad-builtin-groupby
        for together, group in groupby(entries, lambda e: (e.company_id, self._is_received(e))):
            group = entries.browse().concat(*group) - booked
            parts = [group] if together[1] else list(group)
            while parts:
                part = parts.pop(0)
                part = (part - booked).filtered(lambda e: e.account_id.id not in failed)
                if not part:
                    continue
                try:
                    with self.env.cr.savepoint():
                        booked |= self._book_part(part)
                except CONFLICTS:
                    raise
                except Exception as error:
                    self.env.invalidate_all()
                    if len(part) > 1:
                        parts[:0] = list(part)
                        continue
                    _logger.info("Balance entry %s could not be booked", part.key, exc_info=True)
                    self._ask_to_book(part, error)
                    failed.add(part.account_id.id)
        return booked

    def _is_received(self, entry):
        return entry.kind in ("top_up", "opening") and bool(entry.journal_id) and entry.amount > 0

    def _book_part(self, entries):
        """Book one entry, or several of money received in one company.

        :return: the entries booked: of a transfer both
        """
        entries.account_id._lock_books()
        self = self.with_company(entries.company_id)
        if self._is_received(entries[0]):
            self._pay(entries, "inbound")
            return entries
        return getattr(self, f"_book_{entries.kind}")(entries)

    def _payment_values(self, entry, direction):
        company = entry.company_id
        return {
            "payment_type": direction,
            "partner_type": "customer",
            "partner_id": entry.partner_id.id,
            "amount": abs(entry.amount),
            "currency_id": entry.currency_id.id,
            "date": entry.local_date,
            "journal_id": entry.journal_id.id,
            "destination_account_id": company._energy_set_up_advances_account().id,
            "memo": self._label(entry),
            "energy_account_id": entry.account_id.id,
            "energy_entry_key": entry.key,
        }

    def _pay(self, entries, direction):
        payments = self.env["account.payment"].create(
            [self._payment_values(entry, direction) for entry in entries]
        )
        payments.action_post()

    def _label(self, entry):
        return " ".join(filter(None, [entry.account_id.name, entry.note, entry.reference]))

    def _book_top_up(self, entry):
        raise UserError(self.env._("The top-up names no journal in which its money arrived."))

    def _book_opening(self, entry):
        return self._book_against(entry, entry.company_id.energy_adjustment_account_id)

    def _book_adjustment(self, entry):
        return self._book_against(entry, entry.company_id.energy_adjustment_account_id)

    def _book_write_off(self, entry):
        return self._book_against(entry, entry.company_id.energy_write_off_account_id)

    def _book_refund(self, entry):
        if not entry.journal_id:
            raise UserError(self.env._("The refund names no journal from which its money left."))
        advances = entry.account_id._advances(entry.local_date)[entry.account_id.id]
        if advances.lowest(entry.local_date) >= self._amount(entry):
            self._pay(entry, "outbound")
            return entry
        return self._book_against(
            entry, self._liquidity_account(entry, "outbound"), entry.journal_id
        )

    def _liquidity_account(self, entry, direction):
        """Return the account of money that is in the till or on its way to or from the bank."""
        if entry.journal_id.type == "cash":
            return entry.journal_id.default_account_id
        draft = self.env["account.payment"].new(self._payment_values(entry, direction))
        return draft.outstanding_account_id or draft._get_outstanding_account(direction)

    def _book_transfer(self, entry):
        if (entry.cause_key or "").startswith("deposit/"):
            return self._book_against(entry, entry.company_id._energy_set_up_deposit_account())
        other = self.env["energy.wallet.entry"].search([("key", "=", entry.cause_key)])
        if not other or other.amount != -entry.amount:
            raise UserError(self.env._("The other side of the transfer is missing."))
        if other.company_id != entry.company_id:
            raise UserError(self.env._("A balance is not transferred to another company."))
        if other.is_booked:
            raise UserError(self.env._("The other side of the transfer is booked already."))
        other.account_id._lock_books()
        given, taken = (entry, other) if entry.amount > 0 else (other, entry)
        lines = [*self._debit_lines(taken), self._credit_line(given)]
        self._post_move(entry, self._books_journal(entry.company_id), lines)
        return entry | other

    def _book_reversal(self, entry):
        """Undo the booking of the entry that this one reverses, on the same accounts."""
        undone = self.env["energy.wallet.entry"].search([("key", "=", entry.cause_key)])
        if not undone:
            raise UserError(self.env._("What this entry reverses cannot be found."))
        line = self.env["account.move.line"].search([("energy_entry_key", "=", undone.key)])
        if line.parent_state != "posted":
            raise UserError(self.env._("What this entry reverses is not in the books yet."))
        other = line.move_id.line_ids.filtered(lambda item: not item.energy_account_id)
        if len(other) != 1:
            raise UserError(self.env._("A transfer is undone by a transfer back."))
        self._book_against(entry, other.account_id, line.journal_id)
        counterpart = (
            self.env["account.move.line"]
            .search([("energy_entry_key", "=", entry.key)])
            .move_id.line_ids.filtered(lambda item: not item.energy_account_id)
        )
        if other.account_id.reconcile and not other.reconciled:
            (other | counterpart).reconcile()
        return entry

    def _book_against(self, entry, account, journal=None):
        """Book an entry against an account in one journal entry."""
        if not account:
            raise UserError(
                self.env._(
                    "The company %s has no account for this yet. Choose it on the company, page "
                    "Energy.",
                    entry.company_id.display_name,
                )
            )
        amount = entry.amount
        other = {
            "account_id": account.id,
            "partner_id": entry.partner_id.commercial_partner_id.id,
            "name": self._label(entry),
            "balance": amount,
        }
        own = [self._credit_line(entry)] if amount > 0 else self._debit_lines(entry)
        self._post_move(entry, journal or self._books_journal(entry.company_id), [other, *own])
        return entry

    def _books_journal(self, company):
        if not company.energy_journal_id:
            company._energy_set_up_books()
        return company.energy_journal_id

    def _credit_line(self, entry):
        return {
            "account_id": entry.company_id._energy_set_up_advances_account().id,
            "partner_id": entry.partner_id.commercial_partner_id.id,
            "name": self._label(entry),
            "balance": -entry.amount,
            "energy_account_id": entry.account_id.id,
            "energy_entry_key": entry.key,
        }

    def _debit_lines(self, entry):
        """Return the items that take an entry from the advances; what these do not cover is owed.

        :return: one or two dicts of values, of which the first carries the entry's key
        """
        wanted = self._amount(entry)
        day = entry.local_date
        covered = entry.account_id._advances(day)[entry.account_id.id].take(day, wanted)
        partner = entry.partner_id.commercial_partner_id
        receivable = partner.with_company(entry.company_id).property_account_receivable_id
        parts = [
            (entry.company_id._energy_set_up_advances_account(), covered),
            (receivable, wanted - covered),
        ]
        lines = [
            {
                "account_id": account.id,
                "partner_id": partner.id,
                "name": self._label(entry),
                "balance": float(amount),
                "energy_account_id": entry.account_id.id,
                "energy_entry_key": False,
            }
            for account, amount in parts
            if amount
        ]
        lines[0]["energy_entry_key"] = entry.key
        return lines

    def _amount(self, entry):
        return stored(abs(entry.amount), entry.currency_id)

    def _post_move(self, entry, journal, lines):
        move = self.env["account.move"].create(
            {
                "move_type": "entry",
                "journal_id": journal.id,
                "date": entry.local_date,
                "ref": self._label(entry),
                "line_ids": [(0, 0, line) for line in lines],
            }
        )
        move._post(soft=False)
        return move

    def _ask_to_book(self, entry, error):
        """Make an unbooked entry somebody's to-do, once."""
        entry.account_id._ask_about_books(
            self.env._("Balance entry %s is not in the books", entry.number),
            self.env._(
                "%(amount)s of %(date)s: %(error)s",
                error=error,
                date=entry.local_date,
                amount=entry.currency_id.format(entry.amount),
            ),
        )
