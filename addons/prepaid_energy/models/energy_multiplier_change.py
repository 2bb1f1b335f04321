from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_date, format_datetime

from .. import clock
from ..engine import round_half_up

RATIO_STEP = Decimal("0.0001")


class EnergyMultiplierChange(models.Model):
    """A change of a supply's multiplier (CT × PT): on a day, or because it was wrong before.

    Its consequence is shown before it is carried out, and stays listed with the document.
    """

    _name = "energy.multiplier.change"
    _description = "Multiplier change"
    _inherit = ["energy.document", "mail.thread", "mail.activity.mixin"]
    _order = "moment desc, id desc"
    _check_company_auto = True
    _numbered_by = "supply_id"
    _flow_fields = frozenset(
        {"name", "state", "done_at", "user_id", "consequence", "consequence_at"}
    )

    supply_id = fields.Many2one(
        "energy.supply",
        required=True,
        index=True,
        ondelete="restrict",
        domain="[('account_state', 'in', ('active', 'suspended'))]",
    )
    account_id = fields.Many2one(related="supply_id.account_id", store=True, index=True)
    meter_id = fields.Many2one(related="supply_id.meter_id", store=True, index=True)
    commodity = fields.Selection(related="meter_id.commodity")
    company_id = fields.Many2one(related="supply_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    site_id = fields.Many2one(related="supply_id.site_id", store=True, index=True)
    kind = fields.Selection(
        [("change", "Transformers were changed"), ("correction", "The multiplier was wrong")],
        string="What Happened",
        required=True,
        default="change",
        tracking=True,
    )
    moment = fields.Datetime(
        string="From",
        required=True,
        compute="_compute_moment",
        store=True,
        precompute=True,
        readonly=False,
        tracking=True,
        help="From here on the new multiplier counts: now or earlier. Use since then is priced "
        "again, at the prices of its time.",
    )
    old_multiplier = fields.Float(
        string="Multiplier Before",
        digits=(12, 4),
        compute="_compute_old_multiplier",
        store=True,
        precompute=True,
    )
    ct_primary = fields.Float(string="CT Primary (A)", digits=(10, 2))
    ct_secondary = fields.Float(string="CT Secondary (A)", digits=(10, 2), default=5)
    pt_primary = fields.Float(string="PT Primary (V)", digits=(10, 2))
    pt_secondary = fields.Float(string="PT Secondary (V)", digits=(10, 2), default=100)
    multiplier = fields.Float(
        string="New Multiplier",
        digits=(12, 4),
        required=True,
        compute="_compute_multiplier",
        store=True,
        precompute=True,
        readonly=False,
        tracking=True,
        help="CT × PT. Follows from the ratings typed; a meter without transformers has 1.",
    )
    has_register = fields.Boolean(
        string="Reading Taken",
        help="What the meter showed at the change. Without it that follows from the readings "
        "before and after.",
    )
    register = fields.Float(
        string="Reading at the Change",
        digits=(18, 4),
        compute="_compute_register",
        store=True,
        precompute=True,
        readonly=False,
        tracking=True,
    )
    reason = fields.Char(required=True)
    consequence = fields.Json(readonly=True, copy=False)
    consequence_at = fields.Datetime(string="Worked Out At", readonly=True, copy=False)
    consequence_text = fields.Text(
        string="Consequence by Month", compute="_compute_consequence_text"
    )
    difference = fields.Monetary(
        compute="_compute_consequence_text", help="What the balance gains; negative: is charged."
    )
    state = fields.Selection(tracking=True)

    _check_ratings = models.Constraint(
        "CHECK (ct_primary >= 0 AND pt_primary >= 0 AND ct_secondary > 0 AND pt_secondary > 0)",
        "Ratings of transformers are more than zero.",
    )
    _check_multiplier = models.Constraint(
        "CHECK (multiplier > 0)", "The multiplier is more than zero."
    )

    @api.depends("kind", "supply_id")
    def _compute_moment(self):
        for change in self:
            if change.kind == "correction" and change.supply_id:
                change.moment = change._terms()[-1:].since or change.supply_id.start_at
            elif not change.moment:
                change.moment = clock.now(self.env.cr)

    @api.depends("supply_id", "moment")
    def _compute_old_multiplier(self):
        for change in self:
            change.old_multiplier = change._terms(change.moment)[-1:].multiplier or 1

    @api.depends("ct_primary", "ct_secondary", "pt_primary", "pt_secondary")
    def _compute_multiplier(self):
        for change in self:
            ratio = Decimal(1)
            for high, low in (
                (change.ct_primary, change.ct_secondary),
                (change.pt_primary, change.pt_secondary),
            ):
                if high and low:
                    ratio *= Decimal(f"{high:.2f}") / Decimal(f"{low:.2f}")
            is_typed = not (change.ct_primary or change.pt_primary) and change.multiplier
            change.multiplier = is_typed or float(round_half_up(ratio, RATIO_STEP))

    @api.depends("supply_id", "moment", "has_register")
    def _compute_register(self):
        for change in self:
            register = None
            if change.has_register and change.supply_id and change.moment:
                register, _read_at = self.env["energy.reading"]._register_at(
                    change.meter_id, change.moment
                )
            change.register = float(register or 0)

    @api.depends("consequence")
    @api.depends_context("lang")
    def _compute_consequence_text(self):
        for change in self:
            lines = change.consequence or []
            money = change.currency_id.format if change.currency_id else str
            change.difference = sum(float(amount) for _month, amount in lines)
            change.consequence_text = "\n".join(
                f"{format_date(self.env, month, date_format='MMMM y')}: {money(float(amount))}"
                for month, amount in lines
            )
            if change.consequence_at and not lines:
                change.consequence_text = _("No balance changes.")

    @api.depends("name", "meter_id.name")
    def _compute_display_name(self):
        for change in self:
            change.display_name = (
                f"{change.name} {change.meter_id.name or ''}" if change.name != "/" else False
            )

    def write(self, vals):
        result = super().write(vals)
        if not self.env.su:
            # What is typed anew has another consequence.
            self.sudo()._forget_consequence()
        return result

    def _forget_consequence(self):
        self.filtered("consequence_at").write({"consequence": False, "consequence_at": False})

    def action_show_consequence(self):
        """Work out what the change would post, without posting it."""
        self.ensure_one()
        self.check_access("write")
        self._check_possible()
        failures = {}
        # sudo: rating is the flow's, whoever asks; nothing of it stays
        rating = self.env["energy.rating"].sudo()
        found = rating._preview({self.meter_id.id: self._since()}, self._apply, failures)
        self.env.invalidate_all(flush=False)
        if failures:
            raise UserError("\n".join(map(str, failures.values())))
        months = found.get(self.account_id.id, {})
        # sudo: the consequence is written by these methods only
        self.sudo().write(
            {
                "consequence": [
                    [str(month), self._money_text(-months[month])] for month in sorted(months)
                ],
                "consequence_at": clock.now(self.env.cr),
            }
        )

    def _by_month(self, amounts):
        months = {}
        for month, amount in amounts:
            months[month] = months.get(month, Decimal(0)) + amount
        return [[f"{month}-01", self._money_text(months[month])] for month in sorted(months)]

    def _money_text(self, amount):
        return f"{amount:.{self.currency_id.decimal_places}f}"

    def action_confirm(self):
        """Change the multiplier, and post what that changes."""
        self.ensure_one()
        self.check_access("write")
        self._check_possible()
        if not self.consequence_at:
            raise UserError(_("Look at the consequence first."))
        self.env["energy.wallet"]._in_turn(
            self.account_id.wallet_ids.ids, lambda env: self.with_env(env)._carry_out()
        )
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _check_possible(self):
        supply = self.supply_id
        self._check_not_done()
        if self.account_id.state not in ("active", "suspended"):
            raise UserError(_("%s is not open.", self.account_id.display_name))
        self._check_has_come(self.moment)
        if self.moment < supply.start_at or (supply.end_at and self.moment >= supply.end_at):
            raise UserError(
                _(
                    "Meter %(meter)s serves this account from %(start)s on.",
                    meter=supply.meter_id.name,
                    start=format_datetime(self.env, supply.start_at),
                )
                if self.moment < supply.start_at
                else _(
                    "Meter %(meter)s served this account until %(end)s.",
                    meter=supply.meter_id.name,
                    end=format_datetime(self.env, supply.end_at),
                )
            )
        if self.multiplier == self._terms(self.moment)[-1:].multiplier:
            raise UserError(_("The supply has this multiplier already."))

    def _terms(self, at=None):
        """Return the terms of the supply up to a moment (now if None), in order of time."""
        at = at or clock.now(self.env.cr)
        return self.supply_id.term_ids.sorted("since").filtered(lambda term: term.since <= at)

    def _since(self):
        """Return from when on use is priced again: the last reading up to the change, as what is
        believed after it belongs to the time since then."""
        _register, read_at = self.env["energy.reading"]._register_at(self.meter_id, self.moment)
        return read_at or self.moment

    def _apply(self):
        """Change the terms, take the reading at the change where there is one, and believe what was
        held only because the meter said this multiplier before the supply did."""
        until = self._set_terms()
        if self.has_register and self.kind == "change":
            register = Decimal(f"{self.register:.4f}")
            self.env["energy.reading"]._take_registers(
                [(self.meter_id.id, self.moment, register, None, "typed")]
            )
        if self._is_said():
            held = self.env["energy.reading"].search(
                [
                    ("meter_id", "=", self.meter_id.id),
                    ("moment", ">=", self.moment),
                    ("state", "=", "held"),
                    ("reason", "=", "multiplier"),
                ]
            )
            held.filtered(lambda reading: not until or reading.moment < until)._judge_anew()

    def _is_said(self):
        """Tell whether the new multiplier is the one that the meter says itself."""
        # sudo: findings belong to the flow; the right to write this document has been checked
        finding = (
            self.env["energy.meter.finding"]
            .sudo()
            .search(
                [
                    ("meter_id", "=", self.meter_id.id),
                    ("kind", "=", "multiplier"),
                    ("is_standing", "=", True),
                ]
            )
        )
        return bool(finding) and float(finding.figures["read"]) == self.multiplier

    def _set_terms(self):
        """Let the new multiplier count from the moment on, also in the terms after it that go on
        with the old one; where another one follows, it stays, with all that come after it.

        :return: until when it counts, None where nothing ends it
        """
        # sudo: terms of a supply in service are changed by documents only; the right to write this
        # one has been checked
        terms = self.supply_id.sudo().term_ids.sorted("since")
        current = terms.filtered(lambda term: term.since <= self.moment)[-1:]
        until = self.supply_id.end_at
        later = terms.browse()
        for term in terms.filtered(lambda term: term.since > self.moment):
            if term.multiplier != current.multiplier:
                until = term.since
                break
            later |= term
        if current.since == self.moment:
            later |= current
        else:
            current.copy({"since": self.moment, "multiplier": self.multiplier})
        later._correct_multiplier(self.multiplier)
        self.env.flush_all()
        return until

    def _carry_out(self):
        wallets = self.env["energy.wallet"]
        wallet_ids = self.account_id.wallet_ids.ids
        locked = wallets._lock(wallet_ids)
        # Whoever settles the account from older terms must begin anew.
        self.env.cr.execute(
            SQL("UPDATE energy_wallet SET last_number = last_number WHERE id = ANY(%s)", wallet_ids)
        )
        self._check_possible()
        # What waits to be charged is charged by the old terms first: what the change posts is its
        # own difference alone.
        # sudo: settling is the flow's, whoever causes it
        settlement = self.env["energy.settlement"].sudo()
        settlement._settle_now(locked)
        numbers = {wallet: state[1] for wallet, state in locked.items()}
        before = self.old_multiplier
        self._apply()
        self.env["energy.settlement.queue"]._add([(self.meter_id.id, self._since())])
        settlement._settle_now(locked)
        # sudo: as above; entries are only looked at
        entries = (
            self.env["energy.wallet.entry"]
            .sudo()
            .search([("account_id", "=", self.account_id.id), ("kind", "=", "use")], order="id")
        )
        posted = entries.filtered(lambda entry: entry.number > numbers[entry.wallet_id.id])
        self._set_done(
            old_multiplier=before,
            consequence=self._by_month(
                (entry.note, Decimal(self._money_text(entry.amount))) for entry in posted
            ),
            consequence_at=clock.now(self.env.cr),
        )
        message = _(
            "%(document)s from %(moment)s: multiplier %(old)s, now %(new)s: %(reason)s",
            document=self.display_name,
            moment=format_datetime(self.env, self.moment),
            old=f"{before:g}",
            new=f"{self.multiplier:g}",
            reason=self.reason,
        )
        # sudo: an engineer changes multipliers of accounts that he may only read
        for record in (self.sudo().account_id, self.meter_id):
            record.message_post(body=message)

    def action_open_entries(self):
        """Open the use entries of the months that this document changed."""
        self.ensure_one()
        return self.env["energy.wallet.entry"]._open(
            [
                ("account_id", "=", self.account_id.id),
                ("kind", "=", "use"),
                ("note", "in", [month[:7] for month, _amount in self.consequence or []]),
            ]
        )
