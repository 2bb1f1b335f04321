from decimal import Decimal

from odoo import api, fields, models, tools

from ..engine import DAY_TYPES, Calendar, TariffVersion, TierSeason, Window
from ..tariff_money import decimal_of, fees_per_unit, gross_amount, gross_price

ALL_MONTHS = frozenset(range(1, 13))
ALL_DAYS = frozenset(DAY_TYPES)


class EnergyTariffVersion(models.Model):
    """A version as the engine's value: gross prices, limits by season, the day calendar."""

    _inherit = "energy.tariff.version"

    weekend = fields.Char(
        readonly=True,
        copy=False,
        help="Weekdays without working hours when the version was approved, Monday is 0.",
    )

    def _build(self):
        """Return this version as the engine's value.

        The engine has one matrix of gross prices. A free quantity is its first tier, at price 0;
        the tiers of this version are one number higher there (see `_engine_tier`).
        """
        self.ensure_one()
        tariff = self.tariff_id
        bands = self._sorted_bands()
        rest = bands.filtered("is_rest")[:1] or (bands if len(bands) == 1 else bands.browse())
        limits, seasons = self._limits()
        tax_rate = None if self.tax_included else decimal_of(self.tax_rate)
        return TariffVersion(
            key=self._origin.id or 0,
            bands=tuple(band.key for band in bands),
            windows=tuple(window._build() for window in self._sorted_windows()),
            rest_band=rest.key or None,
            tier_limits=limits,
            tier_seasons=seasons,
            fixed_limits=int(bool(self.free_quantity)),
            prices=self._gross_prices(),
            tier_period=tariff.tier_period,
            tier_year_month=int(tariff.tier_year_month),
            tier_year_day=tariff.tier_year_day,
            is_prorated=tariff.is_prorated,
            allocation=tariff.allocation,
            calendar=self._calendar(),
            per_day=gross_amount(decimal_of(self.per_day), tax_rate),
            per_month=gross_amount(decimal_of(self.per_month), tax_rate),
            minimum=gross_amount(decimal_of(self.minimum), tax_rate),
        )

    @api.model
    @tools.ormcache("version_id")
    def _engine(self, version_id):
        """Return an approved version as the engine's value.

        Cached: approved versions do not change, and leaves of their calendars clear the cache.

        :param int version_id:
        :rtype: TariffVersion
        """
        return self.browse(version_id)._build()

    def _sorted_bands(self):
        return self.band_ids.sorted(lambda band: (band.sequence, band._origin.id or 0))

    def _sorted_windows(self):
        return self.window_ids.sorted(lambda window: (window.sequence, window._origin.id or 0))

    def _engine_tier(self, number):
        """Return the engine's number of a tier: the free quantity is its first."""
        return number + bool(self.free_quantity)

    def _tier_text(self, tier):
        """Return how people call a tier of the engine, as usage and invoice lines have it."""
        if not self.free_quantity:
            return self.env._("tier %s", tier)
        return self.env._("free quantity") if tier == 1 else self.env._("tier %s", tier - 1)

    def _tier_label(self, tier):
        """Return what stands in a column of tiers: their number, or that they are free.

        :param int tier: of the engine; 0 for what is charged by time
        """
        if not tier:
            return ""
        if not self.free_quantity:
            return str(tier)
        return self.env._("free") if tier == 1 else str(tier - 1)

    def _tier_numbers(self):
        """Return the tiers that have prices, from 1."""
        return range(1, max([1, *self.tier_ids.mapped("number")]) + 1)

    def _seasons(self):
        """Return the tiers by season.

        :return: dict of frozenset of months to its `energy.tariff.tier`, by number
        """
        seasons = {}
        for tier in self.tier_ids.sorted(lambda tier: (int(tier.month_from or 1), tier.number)):
            months = month_set(tier.month_from, tier.month_to)
            seasons.setdefault(months, self.env["energy.tariff.tier"])
            seasons[months] |= tier
        return seasons

    def _limits(self):
        """Return the engine's limits: those of the whole year, and those of seasons.

        Months without a tier of their own or of the whole year have no tiers. The last tier is open
        where its limit is 0; a limit in it closes it, which is a problem.
        """
        free = (decimal_of(self.free_quantity, 3),) if self.free_quantity else ()
        whole, seasons = free, []
        for months, tiers in self._seasons().items():
            limits = [decimal_of(tier.limit, 3) for tier in tiers.sorted("number")]
            if limits and not limits[-1]:
                limits.pop()
            if months == ALL_MONTHS:
                whole = (*free, *limits)
            else:
                seasons.append(TierSeason(months, (*free, *limits)))
        return whole, tuple(seasons)

    def _fees(self):
        """Return the fees of a unit, unrounded."""
        return fees_per_unit(
            (decimal_of(fee.amount), decimal_of(fee.share, 3)) for fee in self.fee_ids
        )

    def _typed_prices(self):
        """Return the prices before fees and tax, by row of `price_ids` that has one."""
        prices = {
            price: decimal_of(price.price)
            for price in self.price_ids
            if price.is_priced and price.band_id
        }
        if self.tier_pricing != "adder":
            return prices
        first = {price.band_id: value for price, value in prices.items() if price.tier == 1}
        # The lines of one number that seasons have share it: `_adder_problems`.
        adders = {tier.number: decimal_of(tier.adder) for tier in self.tier_ids}
        return {
            price: first[price.band_id]
            + (adders.get(price.tier, Decimal(0)) if price.tier > 1 else 0)
            for price in self.price_ids
            if price.band_id in first
        }

    def _gross(self):
        """Return what a unit costs, by row of `price_ids` that has a price.

        :return: dict of `energy.tariff.price` to `Gross`
        """
        fees, tax_rate = self._fees(), decimal_of(self.tax_rate)
        return {
            row: gross_price(price, fees, tax_rate, self.tax_included)
            for row, price in self._typed_prices().items()
        }

    def _gross_prices(self):
        """Return the engine's matrix: gross price by (band key, tier)."""
        prices = {
            (row.band_id.key, self._engine_tier(row.tier)): gross.gross
            for row, gross in self._gross().items()
        }
        if self.free_quantity:
            prices.update({(band.key, 1): Decimal(0) for band in self.band_ids})
        return prices

    def _depends_on_days(self):
        """Tell whether prices of this version differ by day type."""
        return any(window.day_type != "all" for window in self.window_ids)

    def _calendar(self):
        """Return the engine's calendar; the plain one where prices do not ask for day types."""
        if not (self._depends_on_days() and self.tariff_id.calendar_id):
            return Calendar()
        calendar = self.tariff_id.calendar_id._origin
        days, declared = calendar._energy_days(self.tariff_id.company_id)
        weekend = self.weekend if self.state == "approved" else calendar._energy_weekend()
        return Calendar(weekend=frozenset(map(int, weekend or "")), days=days, declared=declared)


def month_set(month_from, month_to):
    """Return the months from one to another (texts 1 to 12), both included."""
    first, last = int(month_from or 1), int(month_to or 12)
    if first <= last:
        return frozenset(range(first, last + 1))
    return ALL_MONTHS - frozenset(range(last + 1, first))


def build_window(band, month_from, month_to, day_type, start_minute, end_minute):
    """Return the engine's window for a season (both months included), a day type and a time."""
    return Window(
        band=band,
        months=month_set(month_from, month_to),
        day_types=ALL_DAYS if day_type in ("all", "declared") else frozenset({day_type}),
        start_minute=start_minute,
        end_minute=end_minute,
        declared_only=day_type == "declared",
    )
