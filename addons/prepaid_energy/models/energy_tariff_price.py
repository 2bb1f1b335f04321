from odoo import api, fields, models


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
        help="Price of a kWh or m³ as in the notice, to six decimals; with or without tax as the "
        "tariff says, without the fees of the version.",
    )
    is_priced = fields.Boolean(
        default=True, help="A cell that was made for a new rate period or tier has no price yet."
    )
    gross = fields.Float(
        string="Gross Price",
        digits=(16, 6),
        compute="_compute_gross",
        store=True,
        help="What a kWh or m³ costs, with fees and tax.",
    )

    _cell_uniq = models.UniqueIndex(
        "(version_id, band_id, tier)", "A rate period has one price a tier."
    )
    _check_price = models.Constraint("CHECK (price >= 0)", "A price cannot be negative.")

    @api.depends(
        "band_id",
        "tier",
        "price",
        "is_priced",
        "version_id.tax_rate",
        "version_id.tax_included",
        "version_id.tier_pricing",
        "version_id.fee_ids.amount",
        "version_id.fee_ids.share",
        "version_id.tier_ids.number",
        "version_id.tier_ids.adder",
        "version_id.price_ids.price",
        "version_id.price_ids.is_priced",
    )
    def _compute_gross(self):
        for version, prices in self.grouped("version_id").items():
            gross = version._gross()
            for price in prices:
                price.gross = float(gross[price].gross) if price in gross else 0

    @api.model_create_multi
    def create(self, vals_list):
        """A price for a cell that has none yet fills it."""
        keys = [
            (vals.get("version_id"), vals.get("band_id"), vals.get("tier", 1)) for vals in vals_list
        ]
        waiting = {
            (cell.version_id.id, cell.band_id.id, cell.tier): cell
            for cell in self.search(
                [("band_id", "in", [key[1] for key in keys]), ("is_priced", "=", False)]
            )
        }
        made = iter(
            super().create(
                [vals for vals, key in zip(vals_list, keys, strict=True) if key not in waiting]
            )
        )
        cells = self.browse()
        for vals, key in zip(vals_list, keys, strict=True):
            if key in waiting:
                waiting[key].write({"price": vals.get("price", 0)})
                cells += waiting[key]
            else:
                cells += next(made)
        return cells

    def write(self, vals):
        """Override: a cell with a typed price has one."""
        if "price" in vals:
            vals = {"is_priced": True, **vals}
        return super().write(vals)
