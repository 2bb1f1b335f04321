from odoo import api, fields, models


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

    _number_uniq = models.UniqueIndex("(version_id, number)", "A version has one tier of a number.")
    _check_number = models.Constraint("CHECK (number >= 1)", "Tiers are numbered from 1.")

    @api.depends("number")
    def _compute_display_name(self):
        for tier in self:
            tier.display_name = self.env._("Tier %s", tier.number)
