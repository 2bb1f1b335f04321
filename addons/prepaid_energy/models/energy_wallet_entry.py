from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..bulk import values
from ..kept_rows import refuse_changes
from .energy_wallet import ENTRY_COLUMNS, entry_hash

KINDS = [
    ("opening", "Opening Balance"),
    ("top_up", "Top-up"),
    ("use", "Use"),
    ("charge", "Charge Item"),
    ("share", "Share"),
    ("refund", "Refund"),
    ("transfer", "Transfer"),
    ("adjustment", "Adjustment"),
    ("write_off", "Write-off"),
    ("reversal", "Reversal"),
    ("billed", "Billed"),
]
CATEGORIES = [("electricity", "Electricity"), ("water", "Water"), ("other", "Other")]
# Entries read at once to verify their chains.
LINKS = 20000
# What an invoice charges; everything else moves money and is booked by itself.
CHARGED = ("use", "charge", "share")


class EnergyWalletEntry(models.Model):
    """One line of a balance's ledger. Append-only: the database refuses to change or delete it."""

    _name = "energy.wallet.entry"
    _description = "Balance entry"
    _order = "id desc"
    _log_access = False
    _allow_sudo_commands = False
    _rec_name = "key"

    wallet_id = fields.Many2one(
        "energy.wallet", string="Balance", required=True, readonly=True, ondelete="restrict"
    )
    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="restrict"
    )
    partner_id = fields.Many2one(related="account_id.partner_id")
    site_id = fields.Many2one(
        "energy.property", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True, ondelete="restrict")
    number = fields.Integer(
        required=True, readonly=True, aggregator=False, help="Without gaps in its balance."
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    category = fields.Selection(
        CATEGORIES,
        string="Class",
        required=True,
        readonly=True,
    )
    amount = fields.Monetary(required=True, readonly=True)
    balance_after = fields.Monetary(required=True, readonly=True, aggregator=False)
    key = fields.Char(required=True, readonly=True, help="What it may be posted for only once.")
    moment = fields.Datetime(required=True, readonly=True, index=True)
    local_date = fields.Date(string="Date", required=True, readonly=True)
    period_id = fields.Many2one(
        "energy.billing.period", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    unit_id = fields.Many2one(
        "energy.rating.unit",
        string="Rating Unit",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    revision = fields.Integer(readonly=True)
    journal_id = fields.Many2one("account.journal", readonly=True, ondelete="restrict")
    method_id = fields.Many2one(
        "energy.payment.method", string="Payment Method", readonly=True, ondelete="restrict"
    )
    shift_id = fields.Many2one(
        "energy.shift", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    reference = fields.Char(readonly=True)
    cause_key = fields.Char(
        readonly=True,
        index="btree_not_null",
        help="Key of the entry that this one undoes, answers or was taken from.",
    )
    note = fields.Char(readonly=True)
    user_id = fields.Many2one("res.users", required=True, readonly=True, ondelete="restrict")
    used_until = fields.Datetime(
        readonly=True, help="Moment of the last reading that the entry counts."
    )
    hash = fields.Char(required=True, readonly=True)
    command_ids = fields.Many2many("energy.command", compute="_compute_command_ids")

    _key_uniq = models.UniqueIndex("(key)", "This was posted already.")
    _number_uniq = models.UniqueIndex("(wallet_id, number)", "A balance has one entry of a number.")
    _check_amount = models.Constraint("CHECK (amount <> 0)", "An entry moves the balance.")

    def init(self):
        self.env.cr.execute("""
            ALTER TABLE energy_wallet_entry ALTER COLUMN id TYPE bigint;
            ALTER SEQUENCE energy_wallet_entry_id_seq AS bigint;

            CREATE OR REPLACE FUNCTION energy_entry_refuse_change() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'Balance entries are never changed or deleted: '
                                'post a reversal or an adjustment instead.'
                      USING ERRCODE = 'restrict_violation';
            END $$;
        """)
        refuse_changes(self.env.cr, "energy_wallet_entry", "energy_entry_refuse_change")

    @api.depends("account_id.name", "kind", "number")
    @api.depends_context("lang")
    def _compute_display_name(self):
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        for entry in self:
            entry.display_name = f"{entry.account_id.name} {kinds[entry.kind]} {entry.number}"

    def _compute_command_ids(self):
        commands = self.env["energy.command"].search([("entry_key", "in", self.mapped("key"))])
        for entry in self:
            entry.command_ids = commands.filtered(
                lambda command, e=entry: command.entry_key == e.key
            )

    @api.model_create_multi
    def create(self, vals_list):
        raise UserError(_("Balance entries are posted by the flow only."))

    def write(self, vals):
        raise UserError(_("Balance entries are never changed. Post a reversal instead."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Balance entries are never deleted. Post a reversal instead."))

    @api.model
    def _open(self, domain):
        """Return the action that lists the entries of a domain."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_wallet_entry"
        )
        return dict(action, domain=domain)

    @api.model
    def _broken_links(self, wallet_ids=None, span=None):
        """Return what is wrong with the chains of entries.

        :param list wallet_ids: all wallets if None
        :param Span span: only chains with entries in it, from the first of these on
        :return: list of (entry id, wallet id, what does not follow: number, hash or balance)
        """
        broken = []
        wallet, head, number, balance = None, "", 0, Decimal(0)
        for entry, is_verified, *columns in self._links(wallet_ids, span):
            *row, own_hash = columns
            if row[0] != wallet:
                wallet, head, number, balance = row[0], "", 0, Decimal(0)
            if is_verified:
                # The entry before the mark is what the others follow.
                head, number, balance = own_hash, row[5], Decimal(row[9])
                continue
            number += 1
            balance += Decimal(row[8])
            if row[5] != number:
                broken.append((entry, wallet, "number"))
                number = row[5]
            if entry_hash(head, tuple(row)) != own_hash:
                broken.append((entry, wallet, "hash"))
            if Decimal(row[9]) != balance:
                broken.append((entry, wallet, "balance"))
                balance = Decimal(row[9])
            head = own_hash
        return broken

    def _links(self, wallet_ids, span):
        """Yield entries in the order of their chains, as many at a time as memory holds."""
        columns = SQL(", ").join(
            SQL("e.%s::text", SQL.identifier(name))
            if name in ("amount", "balance_after")
            else SQL("e.%s", SQL.identifier(name))
            for name in ENTRY_COLUMNS
        )
        chosen = SQL("TRUE") if wallet_ids is None else SQL("e.wallet_id = ANY(%s)", wallet_ids)
        is_verified, first = SQL("FALSE"), SQL("")
        if span:
            came = self.env.execute_query(
                SQL(
                    "SELECT wallet_id, min(number) FROM energy_wallet_entry"
                    " WHERE id > %s AND id <= %s GROUP BY wallet_id",
                    span.after,
                    span.until,
                )
            )
            is_verified = SQL("e.number < v.number")
            first = SQL(
                "JOIN %s ON v.id = e.wallet_id AND e.number >= v.number - 1",
                values(came, id="int", number="int"),
            )
            chosen = SQL("%s AND e.id <= %s", chosen, span.until)
        wallet, number = 0, 0
        while rows := self.env.execute_query(
            SQL(
                """
            SELECT e.id, %s, %s FROM energy_wallet_entry e %s
             WHERE %s AND (e.wallet_id, e.number) > (%s, %s)
             ORDER BY e.wallet_id, e.number LIMIT %s
            """,
                is_verified,
                columns,
                first,
                chosen,
                wallet,
                number,
                LINKS,
            )
        ):
            yield from rows
            wallet, number = rows[-1][2], rows[-1][7]

    def action_explain(self):
        """Show how this entry was made."""
        return self.env["energy.explanation"]._open(self)

    def action_open_usage(self):
        """Open the use that these entries charge."""
        self.ensure_one()
        return self.unit_id.action_open_usage()

    def action_open_readings(self):
        """Open the readings from which the use of this entry was made."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_reading"
        )
        meters = self.env["energy.usage"].search([("unit_id", "=", self.unit_id.id)]).meter_id
        start, end = self.unit_id._moments()
        return dict(
            action,
            domain=[("meter_id", "in", meters.ids), ("moment", ">=", start), ("moment", "<=", end)],
        )

    def action_open_commands(self):
        """Open the commands that this entry caused."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_command"
        )
        return dict(action, domain=[("entry_key", "=", self.key)])
