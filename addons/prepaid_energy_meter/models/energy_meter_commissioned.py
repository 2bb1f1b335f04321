from odoo import _, api, fields, models
from odoo.exceptions import AccessError

#: What makes it another meter, another place on the bus, or another way to read and switch it.
IDENTITY = frozenset({"name", "driver", "gateway_id", "unit_id", "profile_id", "property_id"})
#: States of a sheet that somebody has signed and that may count.
SIGNED = ("done", "unconfirmed")


class EnergyMeter(models.Model):
    """A Modbus meter is commissioned while a signed sheet speaks of it as it is."""

    _inherit = "energy.meter"

    commissioning_ids = fields.One2many("energy.meter.commissioning", "meter_id")
    commissioning_count = fields.Integer(compute="_compute_commissioning_count")

    @api.depends("commissioning_ids")
    def _compute_commissioning_count(self):
        for meter in self:
            meter.commissioning_count = len(meter.commissioning_ids)

    @api.depends("driver", "commissioning_ids.state")
    def _compute_is_commissioned(self):
        """Override of `prepaid_energy`: a Modbus meter is, once its sheet is signed."""
        result = super()._compute_is_commissioned()
        for meter in self.filtered(lambda meter: meter.driver == "modbus"):
            meter.is_commissioned = "done" in meter.commissioning_ids.mapped("state")
        return result

    def write(self, vals):
        result = super().write(vals)
        if IDENTITY & vals.keys():
            # sudo: sheets follow their meter, whoever may change that
            sheets = self.sudo().commissioning_ids.filtered(lambda sheet: sheet._is_of_another())
            sheets.filtered(lambda sheet: sheet.state in SIGNED)._supersede()
            sheets._forget_shown()
        return result

    def action_commission(self):
        """Open the sheets of these meters, a new one where none is begun."""
        if not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers commission meters."))
        sheets = self.env["energy.meter.commissioning"]
        begun = sheets.search([("meter_id", "in", self.ids), ("state", "=", "draft")])
        meters = self.filtered(lambda meter: meter.driver != "none") - begun.meter_id
        sheets = begun | sheets.create([{"meter_id": meter.id} for meter in meters])
        return sheets._open()

    def action_open_commissioning(self):
        """Open the sheets of these meters."""
        return self.env["energy.meter.commissioning"].search([("meter_id", "in", self.ids)])._open()

    def _take_over_commissioned(self, reason):
        """Sign for meters that somebody checked before this database knew them.

        :param str reason: who checked them, stands on each sheet beside what nothing proves here
        :return: the signed sheets
        """
        sheets = self.env["energy.meter.commissioning"].create(
            [{"meter_id": meter.id} for meter in self]
        )
        sheets.line_ids.filtered(lambda line: line.state not in ("ok", "none")).reason = reason
        for sheet in sheets:
            sheet.action_sign()
        return sheets
