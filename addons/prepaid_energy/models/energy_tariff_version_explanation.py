from decimal import Decimal

from odoo import models

from ..rating_work import Prices
from ..tariff_money import decimal_of

ZERO = Decimal(0)
PERCENT = Decimal("0.01")


class EnergyTariffVersion(models.Model):
    """What the gross prices of a version are made of, for people."""

    _inherit = "energy.tariff.version"

    def _explain_prices(self, cells):
        """Return what a unit costs and what the price is made of.

        :param list cells: pairs (rate period key, tier) of the engine
        :return: list of dicts: band, tier and tier name, price (Decimal, gross), `tax` in it, and
            `parts`: dicts of name and amount that add up to the price
        """
        self.ensure_one()
        version = Prices(self.env).version(self.id)
        rows = {
            (row.band_id.key, self._engine_tier(row.tier)): (row, gross)
            for row, gross in self._gross().items()
        }
        explained = []
        for band, tier in cells:
            price = version.price(band, tier)
            row, gross = rows.get((band, tier), (None, None))
            explained.append(
                {
                    "band": band,
                    "tier": tier,
                    "tier_name": self._tier_text(tier),
                    "price": price,
                    "tax": gross.tax if gross else ZERO,
                    "parts": self._parts(row, price) if row else [],
                }
            )
        return explained

    def _parts(self, row, gross):
        """Return what a gross price is made of: the price typed, adder, fees and tax."""
        typed = self._typed_prices()[row]
        adder = ZERO
        if self.tier_pricing == "adder" and row.tier > 1:
            adder = decimal_of(
                self.tier_ids.filtered(lambda tier: tier.number == row.tier)[:1].adder
            )
        parts = [(self.env._("price"), typed - adder), (self.env._("tier adder"), adder)]
        parts += [
            (fee.name, decimal_of(fee.amount) * decimal_of(fee.share, 3) * PERCENT)
            for fee in self.fee_ids
        ]
        rest = gross - sum(amount for _name, amount in parts)
        if self.tax_included:
            parts.append((self.env._("rounding"), rest))
        else:
            rate = decimal_of(self.tax_rate).normalize()
            parts.append((self.env._("tax %s %%", f"{rate:f}"), rest))
        return [{"name": name, "amount": amount} for name, amount in parts if amount]
