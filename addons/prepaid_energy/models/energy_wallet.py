import hashlib
import math
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock
from ..bulk import array, copy_rows, values
from ..crash_points import reached
from .energy_meter import COMMODITIES

# From here on a float no longer carries every cent.
MOST = 1e12

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
        return self.env["energy.wallet.entry"]._open([("wallet_id", "in", self.ids)])

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
    return stored(rounded, currency)


def stored(amount, currency):
    """Return an amount as it stands in a field as the decimal that it stands for.

    :param float amount: 0 and False are none
    :param currency: `res.currency`
    """
    return Decimal(f"{amount or 0:.{currency.decimal_places}f}")


def typed_amount(env, vals):
    """Return the amount among the values of a form, before a field rounds it.

    :param dict vals: values of `create` or `write`; without an amount it is 0
    :raise UserError: where it is no number
    """
    amount = float(vals.get("amount") or 0)
    if not math.isfinite(amount):
        raise UserError(env._("%s is not an amount of money that can be taken.", amount))
    return amount


def entry_hash(head, row):
    """Return the hash of an entry over the one before it in its wallet.

    :param str head: hash of the entry before, empty for the first
    :param tuple row: the entry's values in the order of `ENTRY_COLUMNS`, without the hash
    """
    text = "|".join([head, *["" if value is None else str(value) for value in row]])
    return hashlib.sha256(text.encode()).hexdigest()
