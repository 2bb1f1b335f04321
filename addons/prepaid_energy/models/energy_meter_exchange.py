from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_datetime

from .. import clock


class EnergyMeterExchange(models.Model):
    """A meter replacement: the old meter's last register, the new meter's first one."""

    _name = "energy.meter.exchange"
    _description = "Meter replacement"
    _inherit = ["energy.document", "mail.thread", "mail.activity.mixin"]
    _order = "moment desc, id desc"
    _check_company_auto = True
    _numbered_by = "supply_id"
    _flow_fields = frozenset({"name", "state", "done_at", "user_id", "new_supply_id"})

    supply_id = fields.Many2one(
        "energy.supply",
        string="Old Meter",
        required=True,
        index=True,
        ondelete="restrict",
        domain="[('end_at', '=', False), ('account_state', 'in', ('active', 'suspended'))]",
    )
    account_id = fields.Many2one(related="supply_id.account_id", store=True, index=True)
    old_meter_id = fields.Many2one(related="supply_id.meter_id", store=True, index=True)
    commodity = fields.Selection(related="old_meter_id.commodity")
    company_id = fields.Many2one(related="supply_id.company_id", store=True, index=True)
    site_id = fields.Many2one(related="supply_id.site_id", store=True, index=True)
    moment = fields.Datetime(
        required=True,
        tracking=True,
        default=lambda self: clock.now(self.env.cr),
        help="When the meter was replaced: now or earlier.",
    )
    read_at = fields.Datetime(
        string="Last Reading", compute="_compute_closing_register", store=True, precompute=True
    )
    closing_register = fields.Float(
        string="Old Meter's Last Reading",
        digits=(18, 4),
        compute="_compute_closing_register",
        store=True,
        precompute=True,
        readonly=False,
        tracking=True,
        help="Proposed from the accepted readings. Type what the old meter shows.",
    )
    new_meter_id = fields.Many2one(
        "energy.meter",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain="[('site_id', '=', site_id), ('commodity', '=', commodity),"
        " ('account_id', '=', False), ('id', '!=', old_meter_id)]",
        tracking=True,
    )
    opening_register = fields.Float(
        string="New Meter's First Reading", digits=(18, 4), tracking=True
    )
    carry_counter = fields.Boolean(
        string="Carry the Tiers On",
        default=True,
        help="The customer's use up to now counts in the tiers of the period. Otherwise the new "
        "meter's use is counted in tiers of its own, from the day of the replacement on.",
    )
    reason = fields.Char(required=True)
    state = fields.Selection(tracking=True)
    new_supply_id = fields.Many2one(
        "energy.supply",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )

    @api.depends("supply_id", "moment")
    def _compute_closing_register(self):
        for exchange in self:
            register, exchange.read_at = None, False
            if exchange.supply_id and exchange.moment:
                register, exchange.read_at = self.env["energy.reading"]._register_at(
                    exchange.supply_id.meter_id, exchange.moment
                )
            exchange.closing_register = float(register or 0)

    @api.depends("name", "old_meter_id.name", "new_meter_id.name")
    def _compute_display_name(self):
        for exchange in self:
            name = (
                f"{exchange.name} {exchange.old_meter_id.name or ''} → "
                f"{exchange.new_meter_id.name or ''}"
            )
            exchange.display_name = name if exchange.name != "/" else False

    def action_confirm(self):
        """Replace the meter: the account goes on with the new one."""
        self.ensure_one()
        self.check_access("write")
        self._check_possible()
        self.env["energy.wallet"]._in_turn(
            self.account_id.wallet_ids.ids, lambda env: self.with_env(env)._carry_out()
        )
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _check_possible(self):
        self._check_not_done()
        if self.account_id.state not in ("active", "suspended"):
            raise UserError(_("%s is not open.", self.account_id.display_name))
        self._check_has_come(self.moment)
        new = self.new_meter_id
        if new.commodity != self.commodity or new.site_id != self.site_id:
            raise UserError(_("The new meter measures something else, or stands on another site."))
        taken = self.env["energy.supply"].search(
            [("meter_id", "=", new.id), "|", ("end_at", "=", False), ("end_at", ">", self.moment)],
            limit=1,
        )
        if taken:
            raise UserError(
                _(
                    "Meter %(meter)s serves account %(account)s.",
                    meter=new.name,
                    account=taken.account_id.display_name,
                )
            )

    def _carry_out(self):
        wallet_ids = self.account_id.wallet_ids.ids
        locked = self.env["energy.wallet"]._lock(wallet_ids)
        # Whoever settles the account from an older view of its meters must begin anew.
        self.env.cr.execute(
            SQL("UPDATE energy_wallet SET last_number = last_number WHERE id = ANY(%s)", wallet_ids)
        )
        self._check_possible()
        old = self.supply_id
        old._end(self.moment, {old.id: Decimal(f"{self.closing_register:.4f}")})
        self._hand_over()
        values = old._continued(
            self.moment,
            Decimal(f"{self.opening_register:.4f}"),
            meter_id=self.new_meter_id.id,
            account_id=self.account_id.id,
            counter_id=old.counter_id.id,
            chain_id=(old.chain_id or old).id if self.carry_counter else False,
        )
        # sudo: supplies of an account that is no draft are begun by documents only
        new = self.env["energy.supply"].sudo().create(values)
        if not self.carry_counter:
            new.counter_id = new
        new._activate()
        # sudo: settling is the flow's, whoever causes it
        self.env["energy.settlement"].sudo()._settle_now(locked)
        self._set_done(new_supply_id=new.id)
        message = _(
            "%(document)s at %(moment)s, last reading %(closing)s, first reading %(opening)s: "
            "%(reason)s",
            document=self.display_name,
            moment=format_datetime(self.env, self.moment),
            closing=f"{self.closing_register:.4f}",
            opening=f"{self.opening_register:.4f}",
            reason=self.reason,
        )
        # sudo: an engineer replaces meters of accounts that he may only read
        for record in (self.sudo().account_id, self.old_meter_id, self.new_meter_id):
            record.message_post(body=message)

    def _hand_over(self):
        """Let the new meter take the old one's place: room, protection, priority, control."""
        old, new = self.old_meter_id, self.new_meter_id
        new.write(
            {
                "property_id": old.property_id.id,
                "is_protected": old.is_protected,
                "cut_priority": old.cut_priority,
            }
        )
        # sudo: persons order, only the flow writes control and command rows; the right to confirm
        # the document has been checked
        control, new_control = old.sudo().control_id, new.sudo().control_id
        action, wanted = {"forced_off": ("off", "off"), "held_on": ("hold", "on")}.get(
            control.mode, (None, None)
        )
        if action and new.can_switch:
            new_control._order_by_person(action, f"{self.display_name}: {self.reason}")
        else:
            new_control._write_wish(control.mode, wanted, granted_until=control.granted_until)
        control._write_wish("prepaid", False, cause=False)
