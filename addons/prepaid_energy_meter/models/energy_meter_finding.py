from odoo import _, api, fields, models


class EnergyMeterFinding(models.Model):
    _inherit = "energy.meter.finding"

    kind = fields.Selection(
        selection_add=[("serial", "Another meter answers"), ("encryption", "Encrypted")],
        ondelete={"serial": "cascade", "encryption": "cascade"},
    )

    @api.model
    def _sentences(self):
        """Override of `prepaid_energy`: what the field says of who answers."""
        return {
            **super()._sentences(),
            "serial": _(
                "Serial number %(serial)s answers at its address, its plate says %(plate)s. Its "
                "readings are held and nothing is switched until that is cleared."
            ),
            "serial_unsure": _(
                "Shows serial number %(serial)s, its plate says %(plate)s. Nobody has confirmed "
                "where this type of meter keeps its number: compare it with the plate."
            ),
            "encryption": _(
                "Encryption is on at the meter: it does not speak Modbus. Turn it off at the "
                "meter; until then nothing is written to it."
            ),
        }
