from odoo import models

from ..engine import DAY_TYPES
from ..tariff_money import decimal_of
from .energy_tariff_version_engine import ALL_MONTHS


class EnergyTariffVersion(models.Model):
    """What keeps a version from pricing all use, in sentences of the user's language."""

    _inherit = "energy.tariff.version"

    def _problems(self):
        """Return every reason, as a sentence, why this version cannot price use.

        :rtype: list of str
        """
        self.ensure_one()
        _ = self.env._
        if not self.band_ids:
            return [_("There is no rate period. A flat tariff has one, valid at all times.")]
        if len(self.band_ids.filtered("is_rest")) > 1:
            return [_("Only one rate period can take the rest of the day.")]
        if len(set(self.band_ids.mapped("name"))) < len(self.band_ids):
            return [_("Two rate periods have the same name.")]
        own = [*self._tier_problems(), *self._unnamed_windows()]
        if own:
            return own
        missing, sentences = {}, []
        closed = self._closed_tiers()
        for problem in self._build().problems():
            band, tier = problem.values.get("band"), problem.values.get("tier")
            if problem.code == "price_none":
                missing.setdefault(band, []).append(tier)
            elif problem.code == "tier_closed":
                # Where no season's is closed, no rate period has a price in the last tier yet.
                for key in self._sorted_bands().mapped("key") if not closed else ():
                    missing.setdefault(key, []).append(tier + 1)
            else:
                sentences.append(self._sentence(problem))
        return [*closed, *sentences, *self._missing_prices(missing)]

    def _closed_tiers(self):
        """Return a sentence for each season whose last tier has a limit.

        The engine takes the last tier of each season for open: another season may have prices for
        one more tier.
        """
        sentences = []
        for months, tiers in self._seasons().items():
            limit = tiers.sorted("number")[-1:].limit
            if limit:
                text = f"{decimal_of(limit, 3).normalize():f}"
                sentence = self._sentences()["tier_closed"] % {"limit": text}
                season = "" if months == ALL_MONTHS else f"{self._months_text(months)}: "
                sentences.append(season + sentence)
        return sentences

    def _missing_prices(self, missing):
        """Return a sentence for each rate period without a price in some tiers.

        :param dict missing: list of tiers by band key
        """
        names = {band.key: band.name for band in self.band_ids}
        return [
            self.env._(
                "“%(band)s” has no price in %(tier)s.",
                band=names[key],
                tier=", ".join(self._tier_text(tier) for tier in sorted(tiers)),
            )
            if self.tier_ids or self.free_quantity
            else self.env._("“%s” has no price.", names[key])
            for key, tiers in missing.items()
        ]

    def _unnamed_windows(self):
        if all(window.band_id for window in self.window_ids):
            return []
        return [self.env._("Choose the rate period of each window.")]

    def _tier_problems(self):
        """Return what is wrong with the numbers and adders of tiers, and with the free quantity."""
        _ = self.env._
        sentences = []
        for months, tiers in self._seasons().items():
            season = "" if months == ALL_MONTHS else f"{self._months_text(months)}: "
            if sorted(tiers.mapped("number")) != list(range(1, len(tiers) + 1)):
                sentences.append(season + _("Number the tiers 1, 2, 3 … without a gap."))
            first = tiers.sorted("number")[:1].limit
            if self.free_quantity and first and first <= self.free_quantity:
                sentences.append(
                    season
                    + _(
                        "The first limit %(limit)s is within the free quantity %(free)s: limits "
                        "count from the beginning of the period.",
                        limit=f"{first:g}",
                        free=f"{self.free_quantity:g}",
                    )
                )
        return [*sentences, *self._adder_problems()]

    def _adder_problems(self):
        """Return a sentence for each tier whose adder differs between seasons."""
        if self.tier_pricing != "adder":
            return []
        adders = {}
        for tier in self.tier_ids.filtered(lambda tier: tier.number > 1):
            adders.setdefault(tier.number, set()).add(decimal_of(tier.adder))
        return [
            self.env._(
                "Tier %(tier)s has the adders %(adders)s. Limits differ by season, prices do not: "
                "give it one adder, or make a version for each season.",
                tier=number,
                adders=", ".join(f"{adder.normalize():f}" for adder in sorted(found)),
            )
            for number, found in sorted(adders.items())
            if len(found) > 1
        ]

    def _sentence(self, problem):
        """Return the sentence of an engine's problem.

        :param problem: `engine.tariff_check.Problem`
        """
        values = self._readable(problem.values)
        sentence = self._sentences()[problem.code] % values
        season = problem.values.get("season")
        if season:
            return f"{self._months_text(map(int, season.split(', ')))}: {sentence}"
        return sentence

    def _readable(self, values):
        """Return the values of a problem with names instead of keys and numbers."""
        bands = {band.key: band.name for band in self.band_ids}
        kinds = self._day_type_names()
        charges = {name: self._fields[name]._description_string(self.env) for name in CHARGES}
        tier = values.get("tier")
        readable = {
            **values,
            "tier": tier and self._tier_text(tier),
            "months": self._months_text(map(int, str(values.get("months") or "1").split(", "))),
            "month": self._months_text([values.get("month", 1)]),
            "day_type": kinds.get(values.get("day_type"), values.get("day_type")),
            "charge": charges.get(values.get("charge")),
        }
        for prefix in ("", "other_"):
            band = readable[f"{prefix}band"] = bands.get(values.get(f"{prefix}band"))
            if f"{prefix}number" in values:
                readable[f"{prefix}window"] = self.env._(
                    "Window %(number)s (%(band)s, %(start)s–%(end)s)",
                    number=values[f"{prefix}number"],
                    band=band,
                    start=values.get(f"{prefix}start"),
                    end=values.get(f"{prefix}end"),
                )
        for name in ("limit", "previous", "price", "amount"):
            if values.get(name) is not None:
                readable[name] = f"{values[name].normalize():f}"
        return readable

    def _day_type_names(self):
        kinds = dict(
            self.env["energy.tariff.window"]._fields["day_type"]._description_selection(self.env)
        )
        return {kind: kinds[kind] for kind in DAY_TYPES}

    def _sentences(self):
        """Return the sentence of each code of the engine, to be filled with its values."""
        _ = self.env._
        return {
            "band_none": _("There is no rate period."),
            "band_twice": _("There are two rate periods of the kind of “%(band)s”."),
            "band_unused": _("“%(band)s” is never in force: give it a window, or remove it."),
            "rest_unknown": _("The rate period “%(band)s” of all other hours is unknown."),
            "window_band": _("%(window)s has no rate period of this version."),
            "window_no_month": _("%(window)s has no month."),
            "window_no_day": _("%(window)s has no kind of day."),
            "window_month": _("%(window)s names month %(month)s; months are 1 to 12."),
            "window_day": _("%(window)s names the unknown kind of day “%(day_type)s”."),
            "window_start": _("%(window)s begins outside of the day."),
            "window_end": _("%(window)s ends outside of the day."),
            "window_hidden": _("%(window)s is never in force: later windows cover it."),
            "overlap": _(
                "%(window)s and %(other_window)s overlap from %(from)s to %(to)s. Let one end "
                "where the other begins, or lie wholly inside the other."
            ),
            "hole": _("No rate period from %(start)s to %(end)s: %(day_type)s, %(months)s."),
            "calendar_day": _("The calendar has an unknown kind of day on %(date)s."),
            "limit_open": _("The limit of %(tier)s is no number; only the last tier is open."),
            "limit_zero": _(
                "The limit of %(tier)s must be above zero: only the last tier is open."
            ),
            "limit_same": _("The limit %(limit)s of %(tier)s is the one of the tier before."),
            "limit_below": _(
                "The limit %(limit)s of %(tier)s is below %(previous)s, the one of the tier before."
            ),
            "tier_closed": _(
                "The last tier is closed: use above %(limit)s has no price. Empty the limit of the "
                "last tier, or add an open tier after it."
            ),
            "tier_period": _("The tier period is unknown."),
            "tier_month": _("The tier year begins in an unknown month."),
            "tier_day": _("Tier periods begin on one of the days 1 to 28, which every month has."),
            "allocation": _("How tiers and rate periods meet is unknown."),
            "season_period": _("Limits by season need tiers that are counted by month."),
            "season_empty": _("Season %(number)s of the limits has no month."),
            "season_month": _("Season %(number)s of the limits names an unknown month."),
            "season_twice": _("%(month)s has limits of two seasons."),
            "price_none": _("“%(band)s” has no price in %(tier)s."),
            "price_negative": _("The price of “%(band)s” in %(tier)s is below zero: %(price)s."),
            "price_decimals": _(
                "The price %(price)s of “%(band)s” in %(tier)s has more than 6 decimals."
            ),
            "price_band": _("There is a price for a rate period that this version does not have."),
            "price_tier": _("“%(band)s” has a price in %(tier)s, which does not exist."),
            "charge": _("%(charge)s cannot be negative: %(amount)s."),
        }

    def _hints(self):
        """Return what an author should know of this version, though it can price all use.

        :rtype: list of str
        """
        self.ensure_one()
        _ = self.env._
        tariff = self.tariff_id
        hints = []
        if tariff.allocation == "chronological" and self._has_unequal_steps():
            hints.append(
                _(
                    "Higher tiers cost more by a different step in each rate period, and tiers are "
                    "taken in order of time: what is charged depends on counting day by day, on "
                    "which day a limit is reached. “To date” does not depend on it."
                )
            )
        if self._depends_on_days() and not tariff.calendar_id:
            hints.append(
                _("The tariff has no day calendar: Saturday and Sunday are weekend, no holidays.")
            )
        if any(window.day_type == "declared" for window in self.window_ids):
            hints.append(
                _("Declared days are entered under Configuration → Holidays and Declared Days.")
            )
        return hints

    def _has_unequal_steps(self):
        """Tell whether the step from one tier to the next differs between rate periods."""
        prices = self._gross_prices()
        tiers = sorted({tier for _band, tier in prices})
        steps = {}
        for (band, tier), price in prices.items():
            below = prices.get((band, tier - 1))
            if tier > tiers[0] and below is not None:
                steps.setdefault(tier, set()).add(price - below)
        return any(len(found) > 1 for found in steps.values())


CHARGES = ("per_day", "per_month", "minimum")
