from odoo import api, fields, models

KEYS = [
    ("sharp", "Critical peak"),
    ("peak", "Peak"),
    ("flat", "Flat"),
    ("valley", "Valley"),
    ("deep_valley", "Deep valley"),
    ("other_1", "Other 1"),
    ("other_2", "Other 2"),
    ("other_3", "Other 3"),
]


class EnergyTariffBand(models.Model):
    _name = "energy.tariff.band"
    _description = "Rate period"
    _inherit = ["energy.tariff.part"]
    _order = "version_id, sequence, id"

    sequence = fields.Integer(default=10)
    name = fields.Char(required=True, translate=True)
    key = fields.Selection(
        KEYS,
        string="Kind",
        required=True,
        default="flat",
        help="The kind under which use is counted and reported; a meter's band registers "
        "follow it.",
    )
    ratio = fields.Float(
        digits=(10, 6),
        default=1,
        help="Times the base price: 1.7 where peak costs 1.7 times the flat price.",
    )
    adder = fields.Float(
        digits=(16, 6), help="Added to the derived price; may be negative: −0.25 in the valley."
    )
    is_rest = fields.Boolean(
        string="Rest of the Day", help="Takes every minute that no window names."
    )

    _key_uniq = models.UniqueIndex("(version_id, key)", "A version has one rate period of a kind.")

    @api.model_create_multi
    def create(self, vals_list):
        """A new rate period has a cell in the price table for each tier."""
        bands = super().create(vals_list)
        bands.version_id._complete_cells()
        return bands
