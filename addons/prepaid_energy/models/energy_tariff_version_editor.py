from datetime import date, timedelta

from babel.dates import get_month_names
from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import babel_locale_parse, get_lang

from ..engine.tariff import plan_rows
from ..tariff_money import decimal_of, derived_price
from .energy_meter import UNITS
from .energy_tariff_version_engine import ALL_MONTHS

MINUTES_A_DAY = 1440
LEAP_YEAR = 2028

# What the picture and the checks are made of.
PLAN = (
    "tariff_id.calendar_id",
    "tariff_id.commodity",
    "state",
    "band_ids.name",
    "band_ids.key",
    "band_ids.is_rest",
    "band_ids.sequence",
    "window_ids.band_id",
    "window_ids.hour_from",
    "window_ids.hour_to",
    "window_ids.day_type",
    "window_ids.month_from",
    "window_ids.month_to",
    "window_ids.sequence",
)
PRICES = (
    "tariff_id.tier_period",
    "tariff_id.allocation",
    "tax_included",
    "tax_rate",
    "tier_pricing",
    "free_quantity",
    "per_day",
    "per_month",
    "minimum",
    "fee_ids.amount",
    "fee_ids.share",
    "tier_ids.number",
    "tier_ids.limit",
    "tier_ids.adder",
    "tier_ids.month_from",
    "tier_ids.month_to",
    "price_ids.price",
    "price_ids.is_priced",
    "price_ids.tier",
    "price_ids.band_id",
)


class EnergyTariffVersion(models.Model):
    """What the form of a version shows while it is edited: picture, price table, checks."""

    _inherit = "energy.tariff.version"

    problems = fields.Text(
        compute="_compute_checks", help="What keeps this version from being approved."
    )
    hints = fields.Text(compute="_compute_checks", help="Worth knowing before it is approved.")
    coverage = fields.Char(compute="_compute_coverage")
    plan = fields.Json(string="Picture of the Year", compute="_compute_plan", exportable=False)
    price_columns = fields.Json(compute="_compute_price_columns", exportable=False)

    @api.depends(*PLAN, *PRICES)
    def _compute_checks(self):
        for version in self:
            version.problems = "\n".join(version._problems()) or False
            version.hints = "\n".join(version._hints()) or False

    @api.depends(*PLAN)
    def _compute_coverage(self):
        for version in self:
            version.coverage = version._coverage()

    @api.depends(*PLAN, *PRICES)
    def _compute_plan(self):
        for version in self:
            version.plan = version._picture()

    @api.depends("tier_ids.number", "tier_ids.limit", "tier_ids.month_from", *PLAN, *PRICES)
    def _compute_price_columns(self):
        for version in self:
            version.price_columns = version._price_table()

    @api.onchange("tier_ids")
    def _onchange_tier_ids(self):
        """Number a new tier after the last one of its season."""
        taken = set()
        for tier in self.tier_ids:
            season = tier.month_from, tier.month_to
            if (season, tier.number) in taken:
                tier.number = 1 + max(number for key, number in taken if key == season)
            taken.add((season, tier.number))

    def action_derive_prices(self):
        """Set the first tier's prices to fixed part + base price × ratio + adder."""
        self._check_editable()
        for version in self:
            if not version.base_price:
                raise UserError(_("Enter the base price from which prices are derived."))
            version._complete_cells()
            for price in version.price_ids.filtered(lambda price: price.tier == 1):
                band = price.band_id
                derived = derived_price(
                    decimal_of(version.base_price),
                    decimal_of(band.ratio),
                    decimal_of(version.fixed_price),
                    decimal_of(band.adder),
                    version.price_decimals,
                )
                if derived < 0:
                    raise UserError(
                        _(
                            "The derived price of “%(band)s” is below zero: %(price)s.",
                            band=band.name,
                            price=derived,
                        )
                    )
                price.price = float(derived)

    def _complete_cells(self):
        """Give every rate period a cell in each tier, and drop those of tiers that are gone."""
        missing = []
        for version in self.filtered(lambda version: version.state == "draft"):
            tiers = version._tier_numbers()
            version.price_ids.filtered(lambda price, tiers=tiers: price.tier not in tiers).unlink()
            cells = {(price.band_id, price.tier) for price in version.price_ids}
            missing += [
                {
                    "version_id": version.id,
                    "band_id": band.id,
                    "tier": tier,
                    "price": 0,
                    "is_priced": False,
                }
                for band in version.band_ids
                for tier in tiers
                if (band, tier) not in cells
            ]
        self.env["energy.tariff.price"].create(missing)

    def _coverage(self):
        """Say whether each minute of a leap year has a rate period, 29 February included."""
        self.ensure_one()
        if not self.band_ids or self._unnamed_windows():
            return False
        engine = self._build()
        day, minutes, days = date(LEAP_YEAR, 1, 1), 0, 0
        while day.year == LEAP_YEAR:
            kind, declared = engine.calendar.day_type(day), day in engine.calendar.declared
            minutes += sum(
                end - start
                for start, end, band, _window in engine.painted(day.month, kind, declared)
                if band is not None
            )
            days += 1
            day += timedelta(days=1)
        missing = days * MINUTES_A_DAY - minutes
        if missing:
            return self.env._("%s minutes of a leap year have no rate period.", f"{missing:,}")
        return self.env._(
            "Each of the %s minutes of a leap year has one rate period, 29 February included.",
            f"{minutes:,}",
        )

    def _picture(self):
        """Return the year as bars.

        :return: dict: bands: list of {key, name, prices}; rows: list of {season, day, declared,
            parts: list of [start minute, end minute, band key or None]}
        """
        self.ensure_one()
        if not self.band_ids or self._unnamed_windows():
            return False
        engine = self._build()
        kinds = self._day_type_names()
        unit = UNITS.get(self.commodity, "")
        first = self._engine_tier(1)
        bands = []
        for band in self._sorted_bands():
            price = engine.prices.get((band.key, first))
            bands.append(
                {
                    "key": band.key,
                    "name": band.name or "",
                    "price": f"{price.normalize():f} / {unit}" if price is not None else "",
                }
            )
        return {"bands": bands, "rows": self._picture_rows(engine, kinds)}

    def _picture_rows(self, engine, kinds):
        """Join the plans of day types that do not differ, and name their seasons and days."""
        joined = {}
        for months, kind, declared, parts in plan_rows(engine):
            joined.setdefault((months, declared, parts), []).append(kind)
        rows = []
        for (months, declared, parts), found in joined.items():
            if declared:
                day = self.env._("Declared day")
                if len(found) < len(kinds):
                    day += f" ({', '.join(kinds[kind] for kind in found)})"
            elif len(found) == len(kinds):
                day = self.env._("Every day")
            else:
                day = ", ".join(kinds[kind] for kind in found)
            rows.append(
                {
                    "season": self._months_text(months),
                    "day": day,
                    "declared": declared,
                    "parts": [list(part) for part in parts],
                }
            )
        return rows

    def _price_table(self):
        """Return the columns and rows of the price table.

        :return: dict: columns: list of {tier, name, limit, derived}; bands: list of {id, key, name,
            gross: dict of tier to [gross price, fees in it, tax in it]}
        """
        self.ensure_one()
        unit = UNITS.get(self.commodity, "")
        columns = []
        if self.free_quantity:
            columns.append(
                {
                    "tier": 0,
                    "name": self.env._("Free"),
                    "limit": self.env._(
                        "first %(quantity)s %(unit)s",
                        quantity=f"{self.free_quantity:g}",
                        unit=unit,
                    ),
                    "derived": True,
                }
            )
        for number in self._tier_numbers():
            tiers = self.tier_ids.filtered(lambda tier, n=number: tier.number == n)
            limits = [
                self.env._("to %(limit)s", limit=f"{tier.limit:g}")
                if tier.limit
                else self.env._("no limit")
                for tier in tiers
            ]
            columns.append(
                {
                    "tier": number,
                    "name": self.env._("Tier %s", number) if tiers else self.env._("Price"),
                    "limit": " / ".join(dict.fromkeys(limits)),
                    "derived": self.tier_pricing == "adder" and number > 1,
                }
            )
        gross = {}
        for row, amounts in self._gross().items():
            gross.setdefault(row.band_id.key, {})[row.tier] = [float(part) for part in amounts]
        bands = [
            {
                "id": band._origin.id or False,
                "key": band.key,
                "name": band.name or "",
                "gross": gross.get(band.key, {}),
            }
            for band in self._sorted_bands()
        ]
        return {"columns": columns, "bands": bands}

    def _months_text(self, months):
        """Return months as people write them: "all year", "Jul – Sep, Dec"."""
        months = frozenset(months)
        if months >= ALL_MONTHS:
            return self.env._("all year")
        locale = babel_locale_parse(get_lang(self.env).code)
        names = get_month_names("abbreviated", locale=locale)
        firsts = sorted(month for month in months if (month - 2) % 12 + 1 not in months)
        parts = []
        for first in firsts:
            last = first
            while last % 12 + 1 in months:
                last = last % 12 + 1
            parts.append(names[first] if first == last else f"{names[first]} – {names[last]}")
        return ", ".join(parts)
