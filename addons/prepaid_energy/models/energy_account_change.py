from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_datetime

from .. import clock
from ..local_time import local_date

KINDS = [
    ("rename", "Rename"),
    ("customer", "Change of Customer"),
    ("billing", "Change of Invoice Title"),
    ("capacity_increase", "Capacity Increase"),
    ("capacity_reduction", "Capacity Reduction"),
    ("capacity_restoration", "Capacity Restoration"),
    ("suspend", "Suspension"),
    ("resume", "Resumption"),
    ("close", "Account Closing"),
    ("reopen", "Reopening"),
]
# States of the account in which a kind is possible; all others need an open account.
POSSIBLE = {
    "suspend": ("active",),
    "resume": ("suspended",),
    "reopen": ("closed",),
}
OPEN = ("active", "suspended")
# Kinds that state the registers of the account's meters.
WITH_REGISTERS = ("close", "customer", "reopen")


class EnergyAccountChange(models.Model):
    """A dated document that changes an account: who, when, why, from what to what.

    A draft is carried out by `action_confirm`; what is done is neither changed nor deleted. The
    kinds that end or begin an account are in `energy_account_change_closing.py`.
    """

    _name = "energy.account.change"
    _description = "Account change"
    _inherit = [
        "energy.document",
        "mail.thread",
        "mail.activity.mixin",
        "energy.account.selection",
    ]
    _order = "moment desc, id desc"
    _check_company_auto = True
    _numbered_by = "account_id"
    _flow_fields = frozenset(
        {
            "name",
            "state",
            "done_at",
            "user_id",
            "old_partner_id",
            "old_name",
            "old_billing_partner_id",
            "old_capacity",
            "new_account_id",
        }
    )

    kind = fields.Selection(KINDS, required=True, tracking=True)
    account_id = fields.Many2one(
        "energy.account",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
        domain="[('state', '!=', 'draft')]",
    )
    account_state = fields.Selection(related="account_id.state", string="Account State")
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    currency_id = fields.Many2one(related="account_id.currency_id")
    balance = fields.Monetary(related="account_id.balance")
    moment = fields.Datetime(
        required=True,
        tracking=True,
        default=lambda self: clock.now(self.env.cr),
        help="From when on it holds: now or earlier.",
    )
    reason = fields.Char(required=True)
    state = fields.Selection(tracking=True)

    # Rename: another name of the same person, or another contact that is the same person.
    new_name = fields.Char(help="The customer's contact gets this name.")
    new_partner_id = fields.Many2one(
        "res.partner",
        string="New Customer",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    commercial_partner_id = fields.Many2one(related="account_id.partner_id.commercial_partner_id")
    old_name = fields.Char(readonly=True, copy=False)
    old_partner_id = fields.Many2one(
        "res.partner", string="Former Customer", readonly=True, copy=False, ondelete="restrict"
    )

    billing_partner_id = fields.Many2one(
        "res.partner",
        string="New Invoice Title",
        ondelete="restrict",
        check_company=True,
        help="In whose name invoices dated from that day on are made. Empty: the customer's.",
    )
    old_billing_partner_id = fields.Many2one(
        "res.partner", string="Former Invoice Title", readonly=True, copy=False, ondelete="restrict"
    )

    present_capacity = fields.Float(
        related="account_id.capacity", string="Present Capacity (kVA)", readonly=True
    )
    capacity = fields.Float(string="New Capacity (kVA)", digits=(12, 2))
    old_capacity = fields.Float(
        string="Former Capacity (kVA)", digits=(12, 2), readonly=True, copy=False
    )
    reduction_id = fields.Many2one(
        "energy.account.change",
        string="Ends the Reduction",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        domain="['!', ('restoration_ids.state', '=', 'done'), ('account_id', '=', account_id),"
        " ('kind', '=', 'capacity_reduction'), ('state', '=', 'done')]",
    )
    restoration_ids = fields.One2many("energy.account.change", "reduction_id")

    @api.depends("name", "kind")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for change in self:
            name = f"{change.name} {labels.get(change.kind, '')}".strip()
            change.display_name = name if change.name != "/" else False

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if not values.get("kind"):
            values.pop("kind", None)
        return values

    def _local_date(self):
        """Return the site's local date on which it holds."""
        self.ensure_one()
        return local_date(self.moment, self.site_id._zone())

    # --- carrying out ---------------------------------------------------------------------------

    def action_confirm(self):
        """Carry the document out."""
        self.ensure_one()
        self.check_access("write")
        self._check_possible()
        self.env["energy.wallet"]._in_turn(
            self._touched_accounts().wallet_ids.ids, lambda env: self.with_env(env)._carry_out()
        )
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_open_account(self):
        """Open the account that this document changes."""
        return self._open(self.account_id)

    def _open(self, account):
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.account",
            "res_id": account.id,
            "view_mode": "form",
            "name": account.display_name,
        }

    def _touched_accounts(self):
        """Return the accounts whose balances this document may move."""
        return self.account_id

    def _carry_out(self):
        wallet_ids = self._touched_accounts().wallet_ids.ids
        locked = self.env["energy.wallet"]._lock(wallet_ids)
        # Whoever settles these accounts from an older view of their meters must begin anew.
        self.env.cr.execute(
            SQL("UPDATE energy_wallet SET last_number = last_number WHERE id = ANY(%s)", wallet_ids)
        )
        self._check_possible()
        former = self.account_id.display_name
        getattr(self, f"_carry_out_{self.kind}")(locked)
        self._set_done()
        self.account_id.message_post(
            body=_(
                "%(document)s of %(account)s from %(moment)s: %(reason)s",
                document=self.display_name,
                account=former,
                moment=format_datetime(self.env, self.moment),
                reason=self.reason,
            )
        )

    def _check_possible(self):
        """Refuse what cannot be carried out, before anything is done."""
        account = self.account_id
        self._check_not_done()
        if account.state not in POSSIBLE.get(self.kind, OPEN):
            states = dict(account._fields["state"]._description_selection(self.env))
            raise UserError(
                _(
                    "%(account)s is in state “%(state)s”: it cannot be changed in this way.",
                    account=account.display_name,
                    state=states[account.state],
                )
            )
        self._check_has_come(self.moment)
        begin = account.closed_at if self.kind == "reopen" else account.opened_at
        if self.moment < begin:
            raise UserError(
                _(
                    "The moment lies before %s, when the account was opened or closed.",
                    format_datetime(self.env, begin),
                )
            )

    def _change_account(self, values):
        # sudo: what an opened account changes by documents only; the right has been checked
        self.account_id.sudo().write(values)

    def _carry_out_rename(self, _locked):
        account = self.account_id
        partner = self.new_partner_id or account.partner_id
        if not self.new_name and partner == account.partner_id:
            raise UserError(_("Enter the new name, or choose the customer's other contact."))
        if partner.commercial_partner_id != self.commercial_partner_id:
            raise UserError(
                _(
                    "%(partner)s is not the same person or company as %(customer)s: balance and "
                    "debt would pass on to another. That is a change of customer, which closes "
                    "this account.",
                    partner=partner.display_name,
                    customer=account.partner_id.display_name,
                )
            )
        # sudo: the former values stay on the document; no user writes them
        self.sudo().write(
            {"old_partner_id": account.partner_id.id, "old_name": account.partner_id.name}
        )
        if partner != account.partner_id:
            self._change_account({"partner_id": partner.id})
        if self.new_name:
            partner.name = self.new_name

    def _carry_out_billing(self, _locked):
        account = self.account_id
        if self.billing_partner_id == account.billing_partner_id:
            raise UserError(_("Choose another invoice title than the present one."))
        self._check_follows("billing")
        # sudo: the former values stay on the document; no user writes them
        self.sudo().old_billing_partner_id = account.billing_partner_id or account.partner_id
        self._change_account({"billing_partner_id": self.billing_partner_id.id})

    def _check_follows(self, *kinds):
        """Refuse a document that is older than one of its kind that was carried out."""
        later = self.search(
            [
                ("account_id", "=", self.account_id.id),
                ("kind", "in", kinds),
                ("state", "=", "done"),
                ("moment", ">", self.moment),
            ],
            limit=1,
        )
        if later:
            raise UserError(
                _(
                    "%(later)s holds from %(moment)s already: choose a later moment.",
                    later=later.display_name,
                    moment=format_datetime(self.env, later.moment),
                )
            )

    def _carry_out_capacity_increase(self, _locked):
        if self.capacity <= self.account_id.capacity:
            raise UserError(_("An increase is to more than the present capacity."))
        self._change_capacity(self.capacity)

    def _carry_out_capacity_reduction(self, _locked):
        if not 0 < self.capacity < self.account_id.capacity:
            raise UserError(_("A reduction is to less than the present capacity, above zero."))
        self._change_capacity(self.capacity)

    def _carry_out_capacity_restoration(self, _locked):
        reduction = self.reduction_id
        if (
            reduction.account_id != self.account_id
            or reduction.kind != "capacity_reduction"
            or reduction.state != "done"
        ):
            raise UserError(_("Choose the reduction that it ends."))
        if "done" in reduction.restoration_ids.mapped("state"):
            raise UserError(_("%s has been ended already.", reduction.display_name))
        self._change_capacity(
            self.account_id.capacity + reduction.old_capacity - reduction.capacity
        )

    def _change_capacity(self, capacity):
        self._check_follows("capacity_increase", "capacity_reduction", "capacity_restoration")
        # sudo: the former values stay on the document; no user writes them
        self.sudo().write({"old_capacity": self.account_id.capacity, "capacity": capacity})
        self._change_account({"capacity": capacity})
