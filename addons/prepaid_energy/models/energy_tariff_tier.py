from odoo import api, fields, models

from .energy_tariff_part import MONTHS


class EnergyTariffTier(models.Model):
    _name = "energy.tariff.tier"
    _description = "Tier"
    _inherit = ["energy.tariff.part"]
    _order = "version_id, number"

    number = fields.Integer(string="Tier", required=True, default=1)
    limit = fields.Float(
        string="Up To",
        digits=(16, 3),
        help="Cumulative quantity of the tier period up to which, inclusive, this tier applies. "
        "The last tier is open and has none.",
    )

    month_from = fields.Selection(
        MONTHS,
        required=True,
        default="1",
        help="Tier periods that begin in these months have this limit. A limit a month of its own "
        "needs a monthly tier period.",
    )
    month_to = fields.Selection(MONTHS, required=True, default="12")
    adder = fields.Float(
        digits=(16, 6), help="Added to the first tier's price of every rate period."
    )

    _number_uniq = models.UniqueIndex(
        "(version_id, number, month_from)", "A version has one tier of a number a season."
    )
    _check_number = models.Constraint("CHECK (number >= 1)", "Tiers are numbered from 1.")

    @api.depends("number")
    def _compute_display_name(self):
        for tier in self:
            tier.display_name = self.env._("Tier %s", tier.number)

    @api.model_create_multi
    def create(self, vals_list):
        """A new tier has a cell in the price table for each rate period."""
        tiers = super().create(vals_list)
        tiers.version_id._complete_cells()
        return tiers

    def write(self, vals):
        result = super().write(vals)
        if {"number", "version_id"} & vals.keys():
            self.version_id._complete_cells()
        return result

    def unlink(self):
        versions = self.version_id
        result = super().unlink()
        versions.exists()._complete_cells()
        return result
