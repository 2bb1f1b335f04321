from odoo import fields, models


class EnergyTariffPrice(models.Model):
    _name = "energy.tariff.price"
    _description = "Price"
    _inherit = ["energy.tariff.part"]
    _order = "version_id, tier, band_id"
    _rec_name = "band_id"

    band_id = fields.Many2one(
        "energy.tariff.band",
        string="Rate Period",
        required=True,
        ondelete="cascade",
        domain="[('version_id', '=', version_id)]",
    )
    tier = fields.Integer(required=True, default=1)
    price = fields.Float(
        string="Price per Unit",
        digits=(16, 6),
        required=True,
        help="Gross price of a kWh or m³, tax included, to six decimals.",
    )

    _cell_uniq = models.UniqueIndex(
        "(version_id, band_id, tier)", "A rate period has one price a tier."
    )
    _check_price = models.Constraint("CHECK (price >= 0)", "A price cannot be negative.")
