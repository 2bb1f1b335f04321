from odoo import _, api, fields, models
from odoo.exceptions import UserError, ValidationError


class EnergyAccount(models.Model):
    """One customer's supply contract: which meters serve it, at which tariff, on what credit."""

    _name = "energy.account"
    _description = "Energy account"
    _inherit = ["energy.guarded", "mail.thread", "mail.activity.mixin"]
    _order = "name desc"
    _check_company_auto = True
    _rec_names_search = ["name", "partner_id.name", "partner_id.phone", "room_ids.complete_name"]
    _flow_fields = frozenset(
        {"name", "state", "opened_at", "closed_at", "opening_problem", "book_revision"}
    )
    _given_fields = frozenset({"name"})

    name = fields.Char(
        string="Account Number", required=True, readonly=True, copy=False, default="/", index=True
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
        check_company=True,
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id", store=True)
    site_id = fields.Many2one(
        "energy.property",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain=[("kind", "=", "site")],
    )
    room_ids = fields.Many2many(
        "energy.property",
        "energy_account_property_rel",
        "account_id",
        "property_id",
        string="Rooms",
        domain="[('kind', '=', 'room'), ('site_id', '=', site_id)]",
        check_company=True,
    )
    payment_mode = fields.Selection(
        [("prepaid", "Prepaid"), ("postpaid", "Postpaid")],
        required=True,
        default="prepaid",
        tracking=True,
        help="Prepaid: pays ahead, and is cut when the balance runs out. Postpaid: pays a bill "
        "each month, and is never cut by the balance.",
    )
    credit_policy_id = fields.Many2one(
        "energy.credit.policy",
        required=True,
        ondelete="restrict",
        check_company=True,
        tracking=True,
        default=lambda self: self.env.company.energy_credit_policy_id,
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("active", "Active"),
            ("suspended", "Suspended"),
            ("closed", "Closed"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
        index=True,
    )
    opened_at = fields.Datetime(readonly=True, copy=False)
    closed_at = fields.Datetime(readonly=True, copy=False)
    supply_ids = fields.One2many("energy.supply", "account_id", string="Meters")
    wallet_ids = fields.One2many("energy.wallet", "account_id", string="Balances")
    entry_ids = fields.One2many("energy.wallet.entry", "account_id", string="Balance Entries")
    has_wallet_per_commodity = fields.Boolean(
        string="One Balance per Commodity", help="Otherwise one balance pays for everything."
    )
    balance = fields.Monetary(compute="_compute_balance", help="As of the last posted reading.")
    is_low = fields.Boolean(compute="_compute_balance")
    problem_id = fields.One2many("energy.settlement.problem", "account_id")
    problem_message = fields.Char(related="problem_id.message", string="Use Not Charged")
    note = fields.Html()

    _name_uniq = models.UniqueIndex(
        "(company_id, name) WHERE name <> '/'", "This account number exists already."
    )

    @api.depends("name", "partner_id.name")
    def _compute_display_name(self):
        for account in self:
            account.display_name = f"{account.name} {account.partner_id.name or ''}".strip()

    @api.depends("wallet_ids.balance", "credit_policy_id", "payment_mode")
    def _compute_balance(self):
        for account in self:
            account.balance = sum(account.wallet_ids.mapped("balance"))
            policy = account.credit_policy_id
            account.is_low = (
                account.payment_mode == "prepaid"
                and account.balance + policy.overdraft <= policy.cut_off
            )

    @api.constrains("room_ids", "site_id")
    def _check_rooms(self):
        for account in self:
            strange = account.room_ids.filtered(lambda room, a=account: room.site_id != a.site_id)
            if strange:
                raise ValidationError(
                    _(
                        "%(room)s is not part of site %(site)s.",
                        room=strange[0].complete_name,
                        site=account.site_id.name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if vals.get("room_ids") and not vals.get("site_id"):
                vals["site_id"] = (
                    self.new({"room_ids": vals["room_ids"]}).room_ids._origin[:1].site_id.id
                )
            if vals.get("name", "/") == "/":
                company = vals.get("company_id") or self.env.company.id
                vals["name"] = (
                    self.env["ir.sequence"].with_company(company).next_by_code("energy.account")
                )
        return super().create(vals_list)

    def write(self, vals):
        self._refuse_guarded(vals)
        kept = {"company_id", "site_id", "payment_mode", "has_wallet_per_commodity"} & vals.keys()
        if kept and any(account.state != "draft" for account in self):
            raise UserError(
                _(
                    "An opened account keeps its company, its site, prepaid or postpaid, and its "
                    "number of balances."
                )
            )
        return super().write(vals)

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`: set by hand, it would stop the charging."""
        if {"state", "opened_at", "closed_at"}.intersection(names):
            return _("The state of an account is changed by opening and closing it.")
        return super()._guarded_refusal(names)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_opened(self):
        opened = self.filtered(lambda account: account.state != "draft")
        if opened:
            raise UserError(
                _(
                    "Account %s has been opened: it is closed, never deleted.",
                    opened[0].display_name,
                )
            )

    def _wallet(self, commodity=None):
        """Return the balance that pays for a commodity.

        :param str commodity: a commodity, or None for what is no commodity
        :rtype: recordset of `energy.wallet`
        """
        self.ensure_one()
        own = self.wallet_ids.filtered(lambda wallet: wallet.commodity == commodity)
        return (
            own
            or self.wallet_ids.filtered(lambda wallet: not wallet.commodity)
            or self.wallet_ids[:1]
        )

    def _decide(self, cause="policy", entry_keys=None, user_id=None):
        """The step *decide* for these accounts: see `energy.meter.control`."""
        accounts = self.filtered(lambda account: account.state == "active")
        if accounts:
            # sudo: what is decided depends on the account, not on who caused it
            self.env["energy.meter.control"].sudo()._decide(
                accounts.ids, cause=cause, entry_keys=entry_keys, user_id=user_id
            )

    def action_top_up(self):
        """Sell at the counter."""
        self.ensure_one()
        return self.env["energy.top.up"]._open(self)

    def action_open_entries(self):
        """Open the balance entries of these accounts."""
        return self.env["energy.wallet.entry"]._open([("account_id", "in", self.ids)])

    def action_open_usage(self):
        """Open the use of these accounts."""
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_usage")
        return dict(action, domain=[("account_id", "in", self.ids)])

    def action_open_rooms(self):
        """Open these accounts in the room list."""
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_room")
        return dict(action, domain=[("account_id", "in", self.ids)])
