import re

from odoo import _, api, fields, models
from odoo.addons.prepaid_energy.models.energy_meter_plan import PlanLimits
from odoo.exceptions import ValidationError

FIELD_KEYS = frozenset(
    {
        "name",
        "driver",
        "gateway_id",
        "unit_id",
        "profile_id",
        "active",
        "read_interval",
        "property_id",
        "control_key",
    }
)
#: Changes of a meter after which it is asked anew, as if it had never been.
OTHER_METER = frozenset({"name", "driver", "gateway_id", "unit_id", "profile_id"})


class EnergyMeter(models.Model):
    _inherit = "energy.meter"

    driver = fields.Selection(
        selection_add=[("modbus", "Modbus")], ondelete={"modbus": "set default"}
    )
    gateway_id = fields.Many2one(
        "energy.gateway",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        domain="[('site_id', '=', site_id)]",
    )
    unit_id = fields.Integer(
        string="Unit Number", aggregator=None, help="The meter's number on the bus, 1 to 247."
    )
    profile_id = fields.Many2one(
        "energy.meter.profile",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('commodity', '=', commodity), ('is_template', '=', False)]",
    )
    control_key = fields.Char(
        groups="prepaid_energy.group_energy_engineer",
        copy=False,
        help="The word of its own that this meter wants before it is switched, four hexadecimal "
        "digits.",
    )
    needs_control_key = fields.Boolean(related="profile_id.needs_control_key")

    armed = fields.Selection(related="gateway_id.armed")
    latency_ms = fields.Integer(related="status_id.latency_ms")

    _unit_uniq = models.UniqueIndex(
        "(gateway_id, unit_id) WHERE active AND driver = 'modbus'",
        "Another meter of this gateway has this unit number.",
    )
    _check_modbus = models.Constraint(
        "CHECK (driver <> 'modbus' OR (gateway_id IS NOT NULL AND profile_id IS NOT NULL"
        " AND unit_id BETWEEN 1 AND 247))",
        "A Modbus meter has a gateway, a unit number from 1 to 247 and a profile.",
    )

    @api.depends("driver", "profile_id.is_switch_usable")
    def _compute_can_switch(self):
        """Override of `prepaid_energy`: a Modbus meter can be switched if its profile says how."""
        result = super()._compute_can_switch()
        for meter in self:
            if meter.driver == "modbus":
                meter.can_switch = meter.profile_id.is_switch_usable
        return result

    @api.depends("gateway_id.read_interval")
    def _compute_reads_every(self):
        """Override of `prepaid_energy`: a meter without an interval follows its gateway."""
        followers = self.filtered(lambda meter: not meter.read_interval and meter.gateway_id)
        for meter in followers:
            meter.reads_every = meter.gateway_id.read_interval
        return super(EnergyMeter, self - followers)._compute_reads_every()

    def _plan_limits(self):
        """Override of `prepaid_energy`: a Modbus meter holds the plan that its profile says."""
        limits = super()._plan_limits()
        held = {
            profile: PlanLimits(profile.plan_slots, frozenset(profile._profile().time_plan.bands))
            for profile in self.profile_id
            if profile.plan_slots
        }
        for meter in self:
            if meter.driver == "modbus" and meter.profile_id in held:
                limits[meter.id] = held[meter.profile_id]
        return limits

    @api.constrains("control_key")
    def _check_control_key(self):
        for meter in self:
            if meter.control_key and not re.fullmatch(r"[0-9A-Fa-f]{4}", meter.control_key):
                raise ValidationError(_("A control key has four hexadecimal digits, like 1A2B."))

    @api.constrains("gateway_id", "property_id", "profile_id", "commodity")
    def _check_field_data(self):
        for meter in self:
            if meter.gateway_id and meter.gateway_id.site_id != meter.site_id:
                raise ValidationError(
                    _(
                        "Meter %(meter)s and gateway %(gateway)s are on different sites.",
                        meter=meter.name,
                        gateway=meter.gateway_id.name,
                    )
                )
            if meter.profile_id.is_template:
                raise ValidationError(
                    _(
                        "Profile %(profile)s does not say where the total is: copy it and add the "
                        "register before meter %(meter)s is read by it.",
                        profile=meter.profile_id.name,
                        meter=meter.name,
                    )
                )
            if meter.profile_id and meter.profile_id.commodity != meter.commodity:
                raise ValidationError(
                    _(
                        "Profile %(profile)s does not measure what meter %(meter)s does.",
                        profile=meter.profile_id.name,
                        meter=meter.name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        meters = super().create(vals_list)
        self.env["energy.gateway"]._notify_field()
        return meters

    def write(self, vals):
        result = super().write(vals)
        if OTHER_METER & vals.keys():
            self.status_id._ask_anew()
        if FIELD_KEYS & vals.keys():
            self.env["energy.gateway"]._notify_field()
        return result

    def unlink(self):
        result = super().unlink()
        self.env["energy.gateway"]._notify_field()
        return result

    def action_open_health(self):
        """Open how the readings of these meters went, day by day."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy_meter.action_energy_meter_day"
        )
        views = [(False, "graph"), (False, "list"), (False, "pivot")]
        return dict(action, domain=[("meter_id", "in", self.ids)], views=views)
