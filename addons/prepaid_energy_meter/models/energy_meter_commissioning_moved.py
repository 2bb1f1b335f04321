from odoo import _, api, fields, models
from odoo.addons.prepaid_energy import clock

from ..modbus.identity import same_serial
from .energy_meter_commissioned import SIGNED

#: Where a gateway is reached: behind another address there may be another bus.
ADDRESS = ("kind", "host", "port", "serial_device", "serial_machine")


class EnergyGateway(models.Model):
    """A gateway at another address: the meters behind it have to show that they are the same."""

    _inherit = "energy.gateway"

    def write(self, vals):
        before = {gateway: gateway._address() for gateway in self}
        result = super().write(vals)
        moved = self.filtered(lambda gateway: gateway._address() != before[gateway])
        if moved:
            # sudo: sheets follow their meters, whoever may change the gateway
            self.env["energy.meter.commissioning"].sudo()._doubt(moved)
        return result

    def _address(self):
        return tuple(self[name] for name in ADDRESS)


class EnergyMeterCommissioning(models.Model):
    """A signed sheet does not count from a change of the gateway's address until the meter has
    shown the sheet's serial number there; one that nothing can show is superseded."""

    _inherit = "energy.meter.commissioning"

    state = fields.Selection(
        selection_add=[("unconfirmed", "Serial Number Awaited"), ("superseded",)],
        ondelete={"unconfirmed": "cascade"},
    )
    unconfirmed_since = fields.Datetime(readonly=True, copy=False)

    @api.model
    def _doubt(self, gateways):
        """Let the signed sheets of the meters behind these gateways wait for the serial numbers.

        Those that are begun forget what was read and seen at the old address.
        """
        self.search(
            [("meter_id.gateway_id", "in", gateways.ids), ("state", "=", "draft")]
        )._forget_shown()
        signed = self.search([("meter_id.gateway_id", "in", gateways.ids), ("state", "in", SIGNED)])
        shown = signed.filtered(lambda sheet: _shows_serial(sheet.profile_id))
        (signed - shown)._supersede()
        shown.write({"state": "unconfirmed", "unconfirmed_since": clock.now(self.env.cr)})
        shown.meter_id.status_id._ask_again()

    @api.model
    def _confirm_again(self, serials):
        """Let sheets count again whose meters have shown their serial numbers since the change.

        :param dict serials: serial number read and when (naive UTC), by meter id
        """
        if not serials:
            return
        for sheet in self.search(
            [("meter_id", "in", list(serials)), ("state", "=", "unconfirmed")]
        ):
            serial, moment = serials[sheet.meter_id.id]
            # What was asked before the change was asked at the old address.
            if moment > sheet.unconfirmed_since and same_serial(serial, sheet.serial):
                sheet.write({"state": "done", "unconfirmed_since": False})
                sheet.meter_id.message_post(
                    body=_(
                        "Shows its serial number %(serial)s at the changed address too: sheet "
                        "%(sheet)s counts again.",
                        serial=serial,
                        sheet=sheet.name,
                    )
                )


class EnergyMeter(models.Model):
    _inherit = "energy.meter"

    is_serial_awaited = fields.Boolean(compute="_compute_is_serial_awaited")

    @api.depends("commissioning_ids.state")
    def _compute_is_serial_awaited(self):
        for meter in self:
            meter.is_serial_awaited = "unconfirmed" in meter.commissioning_ids.mapped("state")


def _shows_serial(profile):
    """Whether meters of this type are asked for their serial number every day."""
    return any(
        register.meaning == "serial" and register.polled == "daily"
        for register in profile.register_ids
    )
