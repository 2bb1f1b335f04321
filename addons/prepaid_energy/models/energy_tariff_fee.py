from odoo import fields, models


class EnergyTariffFee(models.Model):
    _name = "energy.tariff.fee"
    _description = "Fee per unit"
    _inherit = ["energy.tariff.part"]
    _order = "version_id, sequence, id"

    sequence = fields.Integer(default=10)
    name = fields.Char(
        required=True, translate=True, help="E.g. water resource fee, sewage, renewable surcharge."
    )
    amount = fields.Float(
        string="Amount per Unit",
        digits=(16, 6),
        required=True,
        help="Added to the price of each kWh or m³ in every rate period and tier, tax as in the "
        "prices.",
    )
    share = fields.Float(
        string="Share of Use (%)",
        digits=(6, 3),
        required=True,
        default=100,
        help="Where the fee is due on a part of the use only: sewage on 90 % of the water.",
    )

    _check_amount = models.Constraint("CHECK (amount >= 0)", "A fee cannot be negative.")
    _check_share = models.Constraint(
        "CHECK (share > 0 AND share <= 100)", "A fee is due on more than 0 and up to 100 percent."
    )
