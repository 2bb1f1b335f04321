from decimal import Decimal

from markupsafe import Markup
from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL
from psycopg2.extras import Json

from .. import tariff_templates
from .energy_meter import COMMODITIES
from .energy_tariff_window import clock_text

ONE = Decimal(1)
VERSION_AMOUNTS = ("per_day", "per_month", "minimum", "base_price", "fixed_price")


class EnergyTariffTemplate(models.Model):
    """The tariffs of data/tariff_templates, as rows that can be searched; there is no table."""

    _name = "energy.tariff.template"
    _description = "Tariff template"
    _auto = False
    _order = "country_id, customers, commodity, name"
    _rec_names_search = ["name", "document", "source"]

    code = fields.Char(readonly=True)
    name = fields.Char(readonly=True, translate=True)
    country_id = fields.Many2one("res.country", readonly=True)
    customers = fields.Selection([("household", "Household"), ("business", "Business")])
    commodity = fields.Selection(COMMODITIES, readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    document = fields.Char(readonly=True, help="Number or name of the notice.")
    source = fields.Char(readonly=True, translate=True)
    source_date = fields.Char(readonly=True, help="Date of the source, as far as it is known.")
    source_url = fields.Char(string="Source Link", readonly=True)
    certainty = fields.Selection(
        [
            ("official", "Official text"),
            ("two_sources", "Two sources agree"),
            ("one_source", "One source"),
            ("partly_memory", "Partly from memory"),
        ],
        readonly=True,
    )
    needs_prices = fields.Boolean(
        string="Without Prices", readonly=True, help="Prices are left to be filled in."
    )
    remarks = fields.Text(readonly=True, translate=True)
    preview = fields.Html(string="Contents", compute="_compute_preview", sanitize=False)

    @property
    def _table_query(self):
        rows = [
            SQL(
                "(%s)",
                SQL(", ").join(
                    SQL("%s", value)
                    for value in (
                        tariff_templates.template_id(code),
                        code,
                        Json(tariff_templates.languages(template["name"])),
                        template["country"],
                        template["customers"],
                        template["commodity"],
                        template["currency"],
                        template["document"],
                        Json(tariff_templates.languages(template["source"])),
                        template["source_date"],
                        template["source_url"],
                        template["certainty"],
                        tariff_templates.needs_prices(template),
                        Json(tariff_templates.languages(template["remarks"])),
                    )
                ),
            )
            for code, template in tariff_templates.templates().items()
        ]
        return SQL(
            """
            SELECT t.id, t.code, t.name::jsonb AS name, country.id AS country_id, t.customers,
                   t.commodity, currency.id AS currency_id, t.document, t.source::jsonb AS source,
                   t.source_date, t.source_url, t.certainty, t.needs_prices,
                   t.remarks::jsonb AS remarks
              FROM (VALUES %s) t (id, code, name, country, customers, commodity, currency, document,
                                  source, source_date, source_url, certainty, needs_prices,
                                  remarks)
              LEFT JOIN res_country country ON country.code = t.country
              LEFT JOIN res_currency currency ON currency.name = t.currency
            """,
            SQL(", ").join(rows),
        )

    def _content(self):
        self.ensure_one()
        return tariff_templates.templates()[self.code]

    @api.depends("code")
    @api.depends_context("lang")
    def _compute_preview(self):
        for template in self:
            template.preview = template._rendered() if template.code else False

    def _rendered(self):
        """Return what the template contains: times and prices of its rate periods, tiers, fees."""
        content, lang = self._content(), self.env.lang
        tiers = tariff_templates.tiers(content)
        last = max((number for number, *_rest in tiers), default=1)
        names = {
            band["key"]: tariff_templates.text(band["name"], lang) for band in content["bands"]
        }
        return Markup(
            self.env["ir.qweb"]._render(
                "prepaid_energy.tariff_template_preview",
                {
                    "unit": "m³" if content["commodity"] == "water" else "kWh",
                    "currency": content["currency"],
                    "version": content.get("version", {}),
                    "tax_included": content.get("tariff", {}).get("tax_included", True),
                    "period": self._period_text(content),
                    "tiers": self._tier_texts(content),
                    "adders": content.get("tier_adders", ()),
                    "fees": [
                        (tariff_templates.text(fee["name"], lang), fee["amount"])
                        for fee in content.get("fees", ())
                    ],
                    "columns": range(1, last + 1) if content.get("prices") else (),
                    "has_ratio": any("ratio" in band for band in content["bands"]),
                    "bands": [
                        {
                            "name": names[band["key"]],
                            "is_rest": bool(band.get("is_rest") and content["windows"]),
                            "is_always": not content["windows"],
                            "ratio": band.get("ratio"),
                            "prices": content.get("prices", {}).get(band["key"], ()),
                            "times": self._time_texts(content, band["key"]),
                        }
                        for band in content["bands"]
                    ],
                },
            )
        )

    def _period_text(self, content):
        values = content.get("tariff", {})
        tariff = self.env["energy.tariff"]
        periods = dict(tariff._fields["tier_period"]._description_selection(self.env))
        period = periods[values.get("tier_period", "month")]
        first = str(values.get("tier_year_month", 1)), values.get("tier_year_day", 1)
        if first == ("1", 1):
            return period
        return self.env._(
            "%(period)s, from %(month)s %(day)s on",
            period=period,
            month=self._month_names()[first[0]],
            day=first[1],
        )

    def _month_names(self):
        tier = self.env["energy.tariff.tier"]
        return dict(tier._fields["month_from"]._description_selection(self.env))

    def _season_text(self, months):
        """Return "" for a whole year, else the first and last month."""
        names = self._month_names()
        if months == (1, 12):
            return ""
        return "–".join(names[str(month)] for month in dict.fromkeys(months))

    def _tier_texts(self, content):
        """Return pairs (season, list of limits)."""
        seasons = {}
        for _number, months, limit, _adder in tariff_templates.tiers(content):
            if limit != "0":
                seasons.setdefault(self._season_text(months), []).append(limit)
        return list(seasons.items())

    def _time_texts(self, content, key):
        """Return lines "months, kind of day: times" of a rate period."""
        window = self.env["energy.tariff.window"]
        kinds = dict(window._fields["day_type"]._description_selection(self.env))
        lines = {}
        for band, months, days, start, end in tariff_templates.windows(content):
            if band == key:
                head = [self._season_text(months), kinds[days] if days != "all" else ""]
                lines.setdefault(", ".join(filter(None, head)), []).append(
                    f"{clock_text(start / 60)}–{clock_text(end / 60)}"
                )
        return [(head, ", ".join(times)) for head, times in lines.items()]

    def _make_tariff(self, company, date_from, name=None, rate=ONE):
        """Make a draft tariff with a draft version in a company.

        :param company: `res.company`
        :param date date_from: first local date of the version
        :param str name: in the user's language, where it is not the template's
        :param Decimal rate: one unit of the template's currency in the company's
        :return: `energy.tariff`
        :raise UserError: where the rate is not above zero
        """
        self.ensure_one()
        if rate <= 0:
            raise UserError(self.env._("Enter what one %s is worth.", self.currency_id.name))
        content = self._content()
        tariff = (
            self.env["energy.tariff"]
            .with_company(company)
            .create(
                {
                    **self._tariff_values(content),
                    "name": name or self.name,
                    "company_id": company.id,
                }
            )
        )
        version = self.env["energy.tariff.version"].create(
            {"tariff_id": tariff.id, "date_from": date_from, **self._version_values(content, rate)}
        )
        bands = {band.key: band for band in version.band_ids}
        version.window_ids = self._window_commands(content, bands)
        version.price_ids = [
            fields.Command.create(
                {
                    "band_id": bands[key].id,
                    "tier": tier,
                    "price": tariff_templates.converted(price, rate),
                }
            )
            for key, prices in content.get("prices", {}).items()
            for tier, price in enumerate(prices, 1)
        ]
        if version.base_price:
            version.action_derive_prices()
        if tariff.name == self.name:
            self._translate(tariff, content["name"])
        for band in content["bands"]:
            self._translate(bands[band["key"]], band["name"])
        for fee, values in zip(version.fee_ids, content.get("fees", ()), strict=True):
            self._translate(fee, values["name"])
        return tariff

    def _translate(self, record, texts):
        """Write a name in each language there is."""
        for lang, _name in self.env["res.lang"].get_installed():
            record.with_context(lang=lang).name = tariff_templates.text(texts, lang)

    def _tariff_values(self, content):
        certainty = dict(self._fields["certainty"]._description_selection(self.env))
        note = Markup("<p>%s</p><p>%s</p>") % (
            self.remarks,
            self.env._(
                "From a template: %(certainty)s; source of %(date)s.",
                certainty=certainty[self.certainty],
                date=self.source_date or self.env._("unknown date"),
            ),
        )
        values = dict(content.get("tariff", {}))
        if "tier_year_month" in values:
            values["tier_year_month"] = str(values["tier_year_month"])
        return {
            "commodity": content["commodity"],
            "source": self.source,
            "source_date": content["source_date"] if len(content["source_date"]) == 10 else False,
            "source_url": content["source_url"],
            "note": note,
            **values,
        }

    def _version_values(self, content, rate):
        given = content.get("version", {})
        values = {
            name: tariff_templates.converted(given[name], rate)
            for name in VERSION_AMOUNTS
            if name in given
        }
        if "tax_rate" in given:
            values["tax_rate"] = float(given["tax_rate"])
        return {
            **values,
            "price_decimals": given.get("price_decimals", 4),
            "free_quantity": float(given.get("free_quantity", 0)),
            "tier_pricing": "adder" if content.get("tier_adders") else "prices",
            "band_ids": [
                fields.Command.create(
                    {
                        "sequence": position * 10,
                        "key": band["key"],
                        "name": tariff_templates.text(band["name"], self.env.lang),
                        "is_rest": band.get("is_rest", False),
                        **({"ratio": float(band["ratio"])} if "ratio" in band else {}),
                        "adder": tariff_templates.converted(band.get("adder", "0"), rate),
                    }
                )
                for position, band in enumerate(content["bands"], 1)
            ],
            "tier_ids": [
                fields.Command.create(
                    {
                        "number": number,
                        "month_from": str(months[0]),
                        "month_to": str(months[1]),
                        "limit": float(limit),
                        "adder": tariff_templates.converted(adder, rate),
                    }
                )
                for number, months, limit, adder in tariff_templates.tiers(content)
            ],
            "fee_ids": [
                fields.Command.create(
                    {
                        "sequence": position * 10,
                        "name": tariff_templates.text(fee["name"], self.env.lang),
                        "amount": tariff_templates.converted(fee["amount"], rate),
                        "share": float(fee.get("share", 100)),
                    }
                )
                for position, fee in enumerate(content.get("fees", ()), 1)
            ],
        }

    def _window_commands(self, content, bands):
        return [
            fields.Command.create(
                {
                    "sequence": position * 10,
                    "band_id": bands[band].id,
                    "month_from": str(months[0]),
                    "month_to": str(months[1]),
                    "day_type": days,
                    "hour_from": start / 60,
                    "hour_to": end / 60,
                }
            )
            for position, (band, months, days, start, end) in enumerate(
                tariff_templates.windows(content), 1
            )
        ]
