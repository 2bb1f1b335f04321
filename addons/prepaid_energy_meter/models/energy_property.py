from odoo import fields, models


class EnergyProperty(models.Model):
    _inherit = "energy.property"

    nominal_voltage = fields.Integer(
        string="Mains Voltage (V)",
        default=230,
        required=True,
        help="Between a phase and neutral: 220 or 230 in most countries, 110 to 127 in some. At "
        "commissioning a phase agrees from 20 % below to 15 % above it; behind a voltage "
        "transformer what that gives is compared.",
    )

    _check_nominal_voltage = models.Constraint(
        "CHECK (nominal_voltage BETWEEN 50 AND 500)", "A mains voltage is from 50 to 500 V."
    )
