import hashlib
import math
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import odoo.modules.module
import psycopg2
from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.modules.registry import Registry
from odoo.tools import SQL

from .. import clock
from ..bulk import array, copy_rows, values
from ..crash_points import reached
from .energy_meter import COMMODITIES

# From here on a float no longer carries every cent.
MOST = 1e12
# Seconds for which somebody waits for a balance; first key of its advisory locks ("ener").
PATIENCE = 10
QUEUE = 0x656E6572
MOST_TRIES = 20
CONFLICTS = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
)

# What is said of a balance beside its amount, on the balance and on its account.
WORDS = ("settled_until", "available", "unbilled")

ENTRY_COLUMNS = (
    "wallet_id",
    "account_id",
    "site_id",
    "company_id",
    "currency_id",
    "number",
    "kind",
    "category",
    "amount",
    "balance_after",
    "key",
    "moment",
    "local_date",
    "period_id",
    "unit_id",
    "revision",
    "journal_id",
    "method_id",
    "shift_id",
    "reference",
    "cause_key",
    "note",
    "user_id",
    "used_until",
    "hash",
)


class Draft(NamedTuple):
    """A balance entry to be posted; `amount` is signed and already rounded.

    `cause_key` is the key of the entry that this one undoes, answers or was taken from;
    `used_until` the moment (naive UTC) of the last reading that a use entry counts.
    """

    wallet_id: int
    kind: str
    category: str
    amount: Decimal
    key: str
    local_date: date
    note: str
    user_id: int
    period_id: int | None = None
    unit_id: int | None = None
    revision: int | None = None
    journal_id: int | None = None
    method_id: int | None = None
    shift_id: int | None = None
    reference: str | None = None
    cause_key: str | None = None
    used_until: datetime | None = None


class EnergyWallet(models.Model):
    """The balance of an account, or of one commodity of it: a small, hot row.

    `_post` is the only code that changes it, always together with the entries that explain it.
    """

    _name = "energy.wallet"
    _description = "Prepaid balance"
    _log_access = False
    _allow_sudo_commands = False
    _rec_name = "account_id"

    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="restrict"
    )
    commodity = fields.Selection(
        COMMODITIES, readonly=True, help="Empty: pays for everything of the account."
    )
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="account_id.currency_id", store=True)
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    partner_id = fields.Many2one(related="account_id.partner_id")
    balance = fields.Monetary(
        string="Settled",
        readonly=True,
        required=True,
        default=0,
        help="As of the last posted reading.",
    )
    last_number = fields.Integer(readonly=True, required=True, default=0)
    head = fields.Char(readonly=True, required=True, default="", help="Hash of the last entry.")

    _account_uniq = models.UniqueIndex(
        "(account_id, COALESCE(commodity, ''))", "An account has one balance a commodity."
    )

    def init(self):
        # Settling changes these rows again and again: room for the new version on the same page
        # spares the indexes.
        self.env.cr.execute("ALTER TABLE energy_wallet SET (fillfactor = 50)")

    def write(self, vals):
        raise UserError(_("A balance is moved by its entries only."))

    @api.model
    def _lock(self, wallet_ids):
        """Lock wallets in id order and return them as the database has them.

        Must come before anything else of the transaction reads them.

        :return: dict of id to [balance Decimal, last number, head, account id, site, company,
            currency]
        """
        self.flush_model()
        self.env.cr.execute(
            SQL(
                """
            SELECT id, balance::text, last_number, head, account_id, site_id, company_id,
                   currency_id
              FROM energy_wallet WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
            """,
                sorted(wallet_ids),
            ),
            # Settling and a payment at once are no error: whoever came second is repeated.
            log_exceptions=False,
        )
        return {row[0]: [Decimal(row[1]), *row[2:]] for row in self.env.cr.fetchall()}

    @api.model
    def _in_turn(self, wallet_ids, work, queue=QUEUE):
        """Do something to balances in a transaction of its own, one after the other.

        Whoever comes while another one is at the same balance waits before its transaction begins,
        so that waiting ends with fresh figures and not with a serialization failure. Settling does
        not queue: where it comes between, the work is repeated.

        The caller must hold no lock on these balances, and reads what it wants to show from what
        `work` returns: its own transaction is older than what was done.

        :param wallet_ids: ids of `energy.wallet`
        :param work: function of an environment; its transaction is committed when it returns
        :param int queue: first key of the advisory locks; others than balances have their own
        :return: what `work` returned
        :raise UserError: where others are at these balances for too long; nothing was done
        """
        if odoo.modules.module.current_test:
            return work(self.env)
        with closing(Registry(self.env.cr.dbname).cursor()) as cr:
            try:
                self._queue_up(cr, queue, sorted(set(wallet_ids)))
                return self._repeated(cr, work)
            finally:
                cr.rollback()
                cr.execute("SELECT pg_advisory_unlock_all()")
                cr.commit()  # pylint: disable=invalid-commit

    def _queue_up(self, cr, queue, wallet_ids):
        """Wait for these balances; ends the transaction, whose snapshot is older than the wait."""
        try:
            cr.execute("SELECT set_config('lock_timeout', %s, TRUE)", [f"{PATIENCE}s"])
            for wallet in wallet_ids:
                cr.execute("SELECT pg_advisory_lock(%s, %s)", [queue, wallet], log_exceptions=False)
        except psycopg2.errors.LockNotAvailable as error:
            raise UserError(self._busy()) from error
        cr.commit()  # pylint: disable=invalid-commit

    def _repeated(self, cr, work):
        for _attempt in range(MOST_TRIES):
            env = self.env(cr=cr)
            try:
                result = work(env)
                env.flush_all()
                reached("before_commit")
                cr.commit()  # pylint: disable=invalid-commit
                reached("after_commit")
                return result
            except CONFLICTS:
                cr.rollback()
                env.transaction.reset()
        raise UserError(self._busy())

    def _busy(self):
        return self.env._("Others are working on this balance. Nothing was done: try again.")

    @api.model
    def _post(self, drafts, locked):
        """The step *post*: write entries and move the balances with them.

        :param list drafts: `Draft` values, in the order of their numbers
        :param dict locked: what `_lock` returned for their wallets; brought up to date
        :return: the drafts' keys
        :raise UserError: where a key is used again with another amount, kind or wallet
        """
        drafts = self._without_known(drafts)
        if not drafts:
            return []
        now = clock.now(self.env.cr)
        # One text for all rows: written as it is hashed.
        moment = str(now)
        rows = []
        for draft in drafts:
            state = locked[draft.wallet_id]
            balance, number, head, account, site, company, currency = state
            balance += draft.amount
            number += 1
            row = (
                draft.wallet_id,
                account,
                site,
                company,
                currency,
                number,
                draft.kind,
                draft.category,
                draft.amount,
                balance,
                draft.key,
                moment,
                draft.local_date,
                draft.period_id,
                draft.unit_id,
                draft.revision,
                draft.journal_id,
                draft.method_id,
                draft.shift_id,
                draft.reference,
                draft.cause_key,
                draft.note,
                draft.user_id,
                draft.used_until,
            )
            head = entry_hash(head, row)
            rows.append((*row, head))
            state[0:3] = balance, number, head
        copy_rows(self.env.cr, "energy_wallet_entry", ENTRY_COLUMNS, rows)
        reached("entry_written")
        touched = sorted({draft.wallet_id for draft in drafts})
        moved = [(wallet, *locked[wallet][0:3]) for wallet in touched]
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_wallet AS w
               SET balance = v.balance, last_number = v.number, head = v.head
              FROM %s WHERE w.id = v.id
            """,
                values(moved, id="int", balance="numeric", number="int", head="text"),
            )
        )
        self.env["energy.wallet.entry"].invalidate_model(flush=False)
        self.invalidate_model(["balance", "last_number", "head", *WORDS, "refundable"], flush=False)
        self.env["energy.account"].invalidate_model(["balance", "is_low", *WORDS], flush=False)
        return [draft.key for draft in drafts]

    def _without_known(self, drafts):
        self.env.cr.execute(
            SQL(
                "SELECT key, wallet_id, kind, amount::text FROM energy_wallet_entry"
                " WHERE key = ANY(%s::text[])",
                array(draft.key for draft in drafts),
            )
        )
        known = {
            key: (wallet, kind, Decimal(amount))
            for key, wallet, kind, amount in self.env.cr.fetchall()
        }
        fresh = []
        for draft in drafts:
            if draft.key not in known:
                fresh.append(draft)
            elif known[draft.key] != (draft.wallet_id, draft.kind, draft.amount):
                raise UserError(
                    _(
                        "The key %(key)s was used before for another entry. Nothing was posted.",
                        key=draft.key,
                    )
                )
        return fresh

    def action_open_entries(self):
        """Open the entries of these balances."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_wallet_entry"
        )
        return dict(action, domain=[("wallet_id", "in", self.ids)])

    def action_verify(self):
        """Check the chains of these balances' entries, and say what was found."""
        self.check_access("read")
        broken = self.env["energy.wallet.entry"]._broken_links(self.ids)
        sums = dict(
            self.env["energy.wallet.entry"]._read_group(
                [("wallet_id", "in", self.ids)], ["wallet_id"], ["amount:sum"]
            )
        )
        lines = [
            self.env._(
                "Entry %(entry)s of %(account)s: %(what)s does not follow.",
                entry=entry,
                account=self.browse(wallet).account_id.name,
                what=what,
            )
            for entry, wallet, what in broken
        ] + [
            self.env._("%s is not the sum of its entries.", wallet.account_id.name)
            for wallet in self
            if wallet.currency_id.compare_amounts(wallet.balance, sums.get(wallet, 0))
        ]
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "danger" if lines else "success",
                "sticky": bool(lines),
                "title": _("Balances verified"),
                "message": "\n".join(lines[:20])
                or _(
                    "%(entries)s entries of %(balances)s balances: the chain is unbroken.",
                    entries=sum(self.mapped("last_number")),
                    balances=len(self),
                ),
            },
        }

    def _decimal(self, amount):
        """Return an amount typed by a person as a decimal of this wallet's currency.

        :param float amount: as the web client sends it
        :raise UserError: where it is no amount, not below `MOST`, or finer than the currency's
            smallest unit
        """
        self.ensure_one()
        return exact(amount, self.currency_id)

    def _top_up(self, amount, key, method, reference=None, shift=None):
        """Credit a payment, order supply on where it was missing, and let the books follow.

        Nothing of accounting is touched here: power does not wait for bookkeeping.

        :param float amount: more than zero, in the wallet's currency
        :param str key: chosen by the form or the payment provider; a repeated request finds it
        :param method: `energy.payment.method` by which the money comes
        :param str reference: typed reference of the payment
        :param shift: `energy.shift` of the cashier, or None
        :return: the entry, new or found by its key
        :rtype: recordset of `energy.wallet.entry`
        """
        self.ensure_one()
        locked = self._lock(self.ids)
        money = self._decimal(amount)
        if money <= 0:
            raise UserError(_("A top-up is an amount above zero."))
        account = self.account_id
        if not self.env["energy.wallet.entry"].search_count([("key", "=", key)], limit=1):
            account._check_takes_top_up(money, locked[self.id][0])
        posted = self._post(
            [
                Draft(
                    wallet_id=self.id,
                    kind="top_up",
                    category=self.commodity or "other",
                    amount=money,
                    key=key,
                    local_date=account.site_id._today(),
                    note=_("Top-up, %s", method.name),
                    user_id=self.env.uid,
                    journal_id=method.journal_id.id,
                    method_id=method.id,
                    shift_id=shift.id if shift else None,
                    reference=reference or None,
                )
            ],
            locked,
        )
        entry = self.env["energy.wallet.entry"].search([("key", "=", key)])
        if posted:
            self._take_service_fee(key, money, locked)
            self._follow(account, {self.id: key}, cause="payment")
        return entry

    @api.model
    def _follow(self, accounts, entry_keys, cause="policy"):
        """What follows when money entries were posted: decide, tell, and let the books follow.

        :param accounts: `energy.account` whose balances were moved
        :param dict entry_keys: key of the entry by id of the balance that it moved
        :param str cause: what supply on is owed to: payment or policy
        """
        accounts._decide(cause=cause, entry_keys=entry_keys, user_id=self.env.uid)
        self.env["energy.room"]._tell()
        self.env.ref("prepaid_energy.ir_cron_book_entries")._trigger()


def exact(amount, currency):
    """Return an amount typed by a person as a decimal of a currency.

    :param float amount: as the web client sends it
    :param currency: `res.currency`
    :raise UserError: where it is no amount, not below `MOST`, or finer than the currency's
        smallest unit
    """
    if not math.isfinite(amount) or abs(amount) >= MOST:
        raise UserError(currency.env._("%s is not an amount of money that can be taken.", amount))
    rounded = currency.round(amount)
    if abs(rounded - amount) > 1e-9:
        raise UserError(
            currency.env._(
                "%(amount)s is finer than the smallest unit of %(currency)s.",
                amount=amount,
                currency=currency.name,
            )
        )
    return Decimal(f"{rounded:.{currency.decimal_places}f}")


def entry_hash(head, row):
    """Return the hash of an entry over the one before it in its wallet.

    :param str head: hash of the entry before, empty for the first
    :param tuple row: the entry's values in the order of `ENTRY_COLUMNS`, without the hash
    """
    text = "|".join([head, *["" if value is None else str(value) for value in row]])
    return hashlib.sha256(text.encode()).hexdigest()
