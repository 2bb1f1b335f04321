from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..modbus import addresses

ALLOWED_ADDRESSES = "prepaid_energy_meter.allowed_addresses"
ALLOWED_DEVICES = "prepaid_energy_meter.allowed_devices"


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    energy_allowed_addresses = fields.Char(
        string="Networks of Gateways",
        config_parameter=ALLOWED_ADDRESSES,
        help="The networks that gateways may be in, for example 10.20.0.0/16, 192.168.7.20. "
        "Nothing else is connected to. Addresses of this server itself, link-local ones and a "
        "cloud's metadata service are refused unless that very network is listed.",
    )
    energy_allowed_devices = fields.Char(
        string="Serial Devices",
        config_parameter=ALLOWED_DEVICES,
        help="Paths of the serial ports that meters may hang on, for example /dev/ttyUSB0.",
    )

    def set_values(self):
        """Override of `base`: refuse lists that the connector could not read."""
        for settings in self:
            settings._read_networks(settings.energy_allowed_addresses or "")
            settings._read_devices(settings.energy_allowed_devices or "")
        return super().set_values()

    @api.model
    def _read_networks(self, text):
        """Return the networks of the setting.

        :raise UserError: it is no list of networks
        """
        try:
            return addresses.read_networks(text)
        except ValueError as error:
            raise UserError(
                _(
                    "The setting %(key)s is no list of networks: %(error)s",
                    key=ALLOWED_ADDRESSES,
                    error=error,
                )
            ) from error

    @api.model
    def _read_devices(self, text):
        """Return the device paths of the setting.

        :raise UserError: it is no list of devices
        """
        try:
            return addresses.read_devices(text)
        except ValueError as error:
            raise UserError(
                _(
                    "The setting %(key)s is no list of devices: %(error)s",
                    key=ALLOWED_DEVICES,
                    error=error,
                )
            ) from error
