from odoo import models

from ..engine.tariff import TariffVersion
from .energy_meter import UNITS
from .energy_tariff_version_engine import ALL_MONTHS


def price_text(price):
    """Return a price with the decimals that it has, at least two and at most six."""
    whole, decimals = f"{price:.6f}".split(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


class EnergyTariffVersion(models.Model):
    """A version as it is printed for a customer: gross, in words and rows."""

    _inherit = "energy.tariff.version"

    def _price_sheet(self):
        """Return the gross prices by quantity.

        :return: list of (quantity in words, list of prices as text, one a rate period)
        """
        self.ensure_one()
        engine = self._build()
        bands = self._sorted_bands()
        rows = []
        for season, limits in self._limits_by_season(engine):
            for tier in range(1, len(limits) + 2):
                label = self._quantity_text(limits, tier)
                rows.append(
                    (
                        f"{season}: {label}" if season else label,
                        [price_text(engine.price(band.key, tier)) for band in bands],
                    )
                )
        return rows

    def _charge_sheet(self):
        """Return in words what is charged besides use, gross."""
        self.ensure_one()
        engine = self._build()
        texts = []
        if engine.per_day:
            texts.append(self.env._("Standing charge a day: %s", price_text(engine.per_day)))
        if engine.per_month:
            texts.append(self.env._("Standing charge a month: %s", price_text(engine.per_month)))
        if engine.minimum:
            texts.append(self.env._("Minimum charge a month: %s", price_text(engine.minimum)))
        return texts

    def _limits_by_season(self, engine: TariffVersion):
        """Return (months in words or "", limits) of each season, in the order of the year."""
        by_limits = {}
        for month in sorted(ALL_MONTHS):
            by_limits.setdefault(engine.limits(month), []).append(month)
        return [
            ("" if len(by_limits) == 1 else self._months_text(months), limits)
            for limits, months in by_limits.items()
        ]

    def _quantity_text(self, limits, tier):
        """Return from where to where a tier goes, in words."""
        _ = self.env._
        values = {
            "lower": f"{limits[tier - 2].normalize():f}" if tier > 1 else "0",
            "upper": f"{limits[tier - 1].normalize():f}" if tier <= len(limits) else "",
            "unit": UNITS[self.commodity],
        }
        if not limits:
            return _("All use")
        bounded = {
            "month": _("%(lower)s to %(upper)s %(unit)s a month"),
            "quarter": _("%(lower)s to %(upper)s %(unit)s a quarter"),
            "year": _("%(lower)s to %(upper)s %(unit)s a year"),
        }
        opened = {
            "month": _("above %(lower)s %(unit)s a month"),
            "quarter": _("above %(lower)s %(unit)s a quarter"),
            "year": _("above %(lower)s %(unit)s a year"),
        }
        texts = bounded if values["upper"] else opened
        return texts[self.tariff_id.tier_period] % values
