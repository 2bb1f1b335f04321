from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from ..modbus.clock_setting import why_not
from ..modbus.driver import FieldMeter
from .energy_gateway_order import ORDER_LIFE


class EnergyMeter(models.Model):
    _inherit = "energy.meter"

    can_set_clock = fields.Boolean(compute="_compute_can_set_clock")

    @api.depends("driver", "profile_id.clock_address")
    def _compute_can_set_clock(self):
        for meter in self:
            meter.can_set_clock = meter.driver == "modbus" and bool(meter.profile_id.clock_address)

    def _order_clock(self):
        """Order the clocks of these meters to be set to the project clock, in site time.

        :return: the orders
        :rtype: energy.command
        :raise UserError: a profile does not know how, with its reason
        """
        if not self.env.su and not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers set clocks."))
        for meter in self:
            meter.check_access("read")
            if why := meter._why_no_clock():
                raise UserError(_("Meter %(meter)s: %(reason)s", meter=meter.name, reason=why))
        ids = self.env["energy.command"]._command(
            [
                {
                    "meter_id": meter.id,
                    "kind": "clock",
                    "cause": "person",
                    "user_id": self.env.uid,
                    "arguments": {"tz": meter.site_id.tz},
                    "life": ORDER_LIFE,
                }
                for meter in self
            ]
        )
        return self.env["energy.command"].browse(ids)

    def _why_no_clock(self):
        """Return why the meter's clock cannot be set; empty if it can."""
        self.ensure_one()
        if self.driver != "modbus":
            return _("nothing is written to a meter that nothing reads.")
        return why_not(FieldMeter(self.id, self.name, self.unit_id, self.profile_id._profile()))

    def action_set_clock(self):
        """Order these meters' clocks to be set; what was found stands on the order."""
        commands = self._order_clock()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_command"
        )
        return dict(action, domain=[("id", "in", commands.ids)])
