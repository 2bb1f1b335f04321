from odoo import models

from ..rating_work import Prices


class EnergyTariffVersion(models.Model):
    """What the gross prices of a version are made of, for people."""

    _inherit = "energy.tariff.version"

    def _explain_prices(self, cells):
        """Return what a unit costs and what the price is made of.

        :param list cells: pairs (rate period key, tier) of the engine
        :return: list of dicts: band, tier, price (Decimal, gross), and `parts`: dicts of name and
            amount that add up to it
        """
        self.ensure_one()
        version = Prices(self.env).version(self.id)
        return [
            {"band": band, "tier": tier, "price": version.price(band, tier), "parts": []}
            for band, tier in cells
        ]
