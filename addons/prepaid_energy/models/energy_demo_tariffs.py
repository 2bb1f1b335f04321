from datetime import date

from odoo import Command, api, models

# Tariffs of the demo by their name in its data: (template, prices of the landlord's own).
TARIFFS = {
    "household": ("cn_zhejiang_household", {}),
    "shop": (
        "cn_zhejiang_business",
        {
            "sharp": 1.2840,
            "peak": 1.0700,
            "flat": 0.6343,
            "valley": 0.3120,
            "deep_valley": 0.2010,
        },
    ),
    "flat": ("cn_zhejiang_shared", {}),
    "water": ("cn_beijing_water", {}),
}
FROM = date(2025, 1, 1)


class EnergyDemo(models.AbstractModel):
    """The demo's tariffs, from the templates that its users find too."""

    _inherit = "energy.demo"

    @api.model
    def _load_tariffs(self):
        for name, (code, prices) in TARIFFS.items():
            template = self.env["energy.tariff.template"].search([("code", "=", code)])
            tariff = template._make_tariff(self._company(), FROM)
            version = tariff.version_ids
            version.price_ids = [
                Command.create({"band_id": band.id, "tier": 1, "price": prices[band.key]})
                for band in version.band_ids
                if band.key in prices
            ]
            version.action_approve()
            self.env["ir.model.data"]._update_xmlids(
                [
                    {
                        "xml_id": f"prepaid_energy.tariff_{name}",
                        "record": tariff,
                        "noupdate": True,
                    },
                    *(
                        {
                            "xml_id": f"prepaid_energy.tariff_{name}_{band.key}",
                            "record": band,
                            "noupdate": True,
                        }
                        for band in version.band_ids
                    ),
                ]
            )
