from datetime import date

from odoo import Command, api, models

FROM = date(2025, 1, 1)
SHOP_PRICES = {
    "sharp": 1.2840,
    "peak": 1.0700,
    "flat": 0.6343,
    "valley": 0.3120,
    "deep_valley": 0.2010,
}
MONTHLY_LIMITS = {1: 230, 2: 400}


class EnergyDemo(models.AbstractModel):
    """The demo's tariffs, from the templates that its users find too."""

    _inherit = "energy.demo"

    @api.model
    def _load_tariffs(self):
        household = self._from_template(
            "cn_zhejiang_household", "Household, monthly tiers and two rate periods"
        )
        # A landlord who settles by the month takes a twelfth of the limits of the year.
        household.tariff_id.tier_period = "month"
        for tier in household.tier_ids:
            tier.limit = MONTHLY_LIMITS.get(tier.number, 0)
        shop = self._from_template("cn_zhejiang_business", "Shops, time of use")
        shop.price_ids = [
            Command.create({"band_id": band.id, "tier": 1, "price": SHOP_PRICES[band.key]})
            for band in shop.band_ids
        ]
        made = {
            "household": household,
            "shop": shop,
            "flat": self._from_template("cn_zhejiang_shared", "Shared meter, one price"),
            "water": self._from_template("cn_beijing_water", "Water, annual tiers"),
        }
        for name, version in made.items():
            version.action_approve()
            self._name_records(f"prepaid_energy.tariff_{name}", version)

    def _from_template(self, code, name):
        template = self.env["energy.tariff.template"].search([("code", "=", code)])
        return template._make_tariff(self._company(), FROM, name).version_ids

    def _name_records(self, name, version):
        """Give a tariff and its rate periods external ids, by which they are translated too."""
        records = {name: version.tariff_id}
        records.update({f"{name}_{band.key}": band for band in version.band_ids})
        self.env["ir.model.data"]._update_xmlids(
            [
                {"xml_id": xml_id, "record": record, "noupdate": True}
                for xml_id, record in records.items()
            ]
        )
