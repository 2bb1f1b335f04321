from odoo import Command, _, api, fields, models
from odoo.exceptions import ValidationError

COMMODITIES = [("electricity", "Electricity"), ("water", "Water")]
HALF_HOURLY = 30
UNITS = {"electricity": "kWh", "water": "m³"}


class EnergyMeter(models.Model):
    _name = "energy.meter"
    _description = "Meter"
    _inherit = ["energy.guarded", "mail.thread", "mail.activity.mixin"]
    _order = "property_id, commodity, name"
    _check_company_auto = True
    _rec_names_search = ["name", "property_id.complete_name"]

    name = fields.Char(string="Serial Number", required=True, tracking=True)
    commodity = fields.Selection(COMMODITIES, required=True, default="electricity")
    property_id = fields.Many2one(
        "energy.property",
        string="Room",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
    )
    site_id = fields.Many2one(related="property_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="property_id.company_id", store=True, index=True)
    active = fields.Boolean(default=True)
    driver = fields.Selection(
        [("none", "Typed or imported readings")],
        required=True,
        default="none",
        help="How the meter is read and switched.",
    )
    register_digits = fields.Integer(
        default=6,
        help="Digits before the decimal point; after them the register starts again at zero. "
        "0: unknown, then a fall of the register is always held.",
    )
    max_power = fields.Float(
        string="Most per Hour",
        digits=(12, 3),
        help="The most that can pass in an hour (kWh or m³). A reading above it is held. "
        "0: not checked.",
    )
    read_interval = fields.Integer(
        string="Own Interval (Minutes)",
        help="The meter is read at whole multiples of it from the site's midnight, and at midnight "
        "itself. 0: as often as its group.",
    )
    reads_every = fields.Integer(
        string="Read Every (Minutes)", compute="_compute_reads_every", store=True
    )
    is_protected = fields.Boolean(string="Protected", tracking=True, help="Never cut for arrears.")
    cut_priority = fields.Integer(
        default=10,
        help="Of several meters of an account, the one with the lowest number is cut first.",
    )
    can_switch = fields.Boolean(
        compute="_compute_can_switch", store=True, help="Has a relay or a valve that can be driven."
    )
    is_commissioned = fields.Boolean(
        compute="_compute_is_commissioned",
        store=True,
        string="Commissioned",
        help="Somebody has signed that this is the meter of this room, read and switched as it "
        "should be. Until then it is not cut for arrears.",
    )
    status_id = fields.One2many("energy.meter.status", "meter_id")
    control_id = fields.One2many("energy.meter.control", "meter_id")
    is_online = fields.Boolean(related="status_id.is_online")
    seen_at = fields.Datetime(related="status_id.seen_at")
    power = fields.Float(related="status_id.power")
    supply_state = fields.Selection(related="status_id.supply_state")
    trip_cause = fields.Selection(related="status_id.trip_cause")
    alarms = fields.Char(related="status_id.alarms")
    error = fields.Char(related="status_id.error")
    mode = fields.Selection(related="control_id.mode")
    decision_reason = fields.Char(related="control_id.decision_reason")
    supply_ids = fields.One2many("energy.supply", "meter_id", string="Supplies")
    account_id = fields.Many2one(
        "energy.account",
        string="Present Account",
        compute="_compute_account_id",
        search="_search_account_id",
    )

    _name_uniq = models.UniqueIndex(
        "(company_id, name) WHERE active", "A meter with this serial number exists already."
    )
    _check_digits = models.Constraint(
        "CHECK (register_digits BETWEEN 0 AND 12)", "Register digits: 0 (unknown) to 12."
    )
    _check_interval = models.Constraint(
        "CHECK (read_interval BETWEEN 0 AND 1440)",
        "A meter is read every 1 to 1440 minutes; 0: as often as its group.",
    )
    _check_max_power = models.Constraint(
        "CHECK (max_power >= 0)", "The most per hour cannot be negative."
    )

    @api.depends("read_interval")
    def _compute_reads_every(self):
        """Half-hourly, unless the meter says otherwise; a driver's add-on knows its groups."""
        for meter in self:
            meter.reads_every = meter.read_interval or HALF_HOURLY

    @api.depends("driver")
    def _compute_can_switch(self):
        """Typed meters cannot be switched; a driver's add-on says which of its meters can."""
        self.can_switch = False

    @api.depends("driver")
    def _compute_is_commissioned(self):
        """Typed meters need no commissioning; a driver's add-on says which of its meters do."""
        self.is_commissioned = True

    @api.depends("supply_ids.start_at", "supply_ids.end_at")
    def _compute_account_id(self):
        present = self.env["energy.supply"]._present(self)
        for meter in self:
            meter.account_id = present.get(meter.id, self.env["energy.supply"]).account_id

    def _search_account_id(self, operator, value):
        if operator not in ("in", "any"):
            return NotImplemented
        supplies = self.env["energy.supply"]._search_present([("account_id", operator, value)])
        return [("supply_ids", "in", supplies.ids)]

    @api.constrains("property_id")
    def _check_serves_its_site(self):
        """A meter that serves an account stays on the account's site."""
        for meter in self:
            if meter.supply_ids.filtered(lambda s, m=meter: s.site_id != m.site_id):
                raise ValidationError(
                    _("Meter %s serves or has served an account: it stays on its site.", meter.name)
                )

    @api.constrains("commodity")
    def _check_commodity_kept(self):
        for meter in self:
            if meter.supply_ids and any(
                supply.tariff_id.commodity != meter.commodity for supply in meter.supply_ids
            ):
                raise ValidationError(
                    _("Meter %s serves an account: its commodity can no longer change.", meter.name)
                )

    @api.model_create_multi
    def create(self, vals_list):
        meters = super().create(vals_list)
        # sudo: status and control rows belong to the flow, no user creates them
        self.env["energy.meter.status"].sudo().create([{"meter_id": m.id} for m in meters])
        self.env["energy.meter.control"].sudo().create([{"meter_id": m.id} for m in meters])
        return meters

    def action_open_readings(self):
        """Open the readings of these meters."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_reading"
        )
        return dict(action, domain=[("meter_id", "in", self.ids)])

    def action_open_commands(self):
        """Open the commands of these meters."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_command"
        )
        return dict(action, domain=[("meter_id", "in", self.ids)])

    def action_type_reading(self):
        """Type a register of these meters."""
        place = self.property_id if len(self.property_id) == 1 else self.site_id[:1]
        return {
            "type": "ir.actions.act_window",
            "name": _("Type a Reading"),
            "res_model": "energy.reading.sheet",
            "view_mode": "form",
            "context": {
                "default_property_id": place.id,
                "default_line_ids": [Command.create({"meter_id": meter.id}) for meter in self],
            },
        }

    def action_operate(self):
        """Ask which operation to carry out on these meters."""
        return self.env["energy.operation"]._open(self, self.env.context.get("energy_action"))
