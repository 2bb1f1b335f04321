from odoo import api, fields, models

from ..local_time import local_midnight
from .energy_meter import COMMODITIES
from .energy_tariff_band import KEYS

# What is charged by time rather than by use: quantity 0, tier 0.
USAGE_BANDS = [*KEYS, ("standing", "Standing charge"), ("minimum", "Minimum charge")]


class EnergyUsage(models.Model):
    """Rated use, rolled up by supply, local date, rate period, tier and tariff version.

    All energy reports read this, never raw readings. Written by settling only.
    """

    _name = "energy.usage"
    _description = "Consumption"
    _log_access = False
    _order = "local_date desc, meter_id, band, tier"
    _rec_name = "local_date"

    supply_id = fields.Many2one("energy.supply", required=True, readonly=True, ondelete="restrict")
    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="restrict"
    )
    meter_id = fields.Many2one("energy.meter", required=True, readonly=True, ondelete="restrict")
    property_id = fields.Many2one(related="meter_id.property_id")
    building_id = fields.Many2one(related="meter_id.property_id.building_id")
    unit_id = fields.Many2one(
        "energy.rating.unit",
        string="Rating Unit",
        required=True,
        readonly=True,
        ondelete="restrict",
    )
    site_id = fields.Many2one("energy.property", required=True, readonly=True, index=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    commodity = fields.Selection(COMMODITIES, required=True, readonly=True)
    local_date = fields.Date(string="Date", required=True, readonly=True)
    band = fields.Selection(USAGE_BANDS, string="Rate Period", required=True, readonly=True)
    tier = fields.Integer(
        string="Tier (Counted)",
        required=True,
        readonly=True,
        aggregator=False,
        help="Where the tariff has a free quantity, that is the first.",
    )
    tier_label = fields.Char(string="Tier", compute="_compute_tier_label")
    version_id = fields.Many2one(
        "energy.tariff.version",
        string="Tariff Version",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    quantity = fields.Float(
        string="Consumption", digits=(20, 10), required=True, readonly=True, help="kWh or m³."
    )
    amount = fields.Float(
        string="Amount (Exact)",
        digits=(24, 12),
        required=True,
        readonly=True,
        help="Before rounding; money is rounded once, when it is posted.",
    )
    is_interpolated = fields.Boolean(
        string="Interpolated",
        readonly=True,
        help="Part of it lies in a gap of more than an hour between two readings.",
    )
    is_estimated = fields.Boolean(
        string="Estimated",
        readonly=True,
        help="Part of it rests on an estimated reading, until a real one comes.",
    )

    _key_uniq = models.UniqueIndex(
        "(supply_id, local_date, band, tier, version_id)", "This use is counted already."
    )
    _unit_idx = models.Index("(unit_id, local_date)")
    _meter_idx = models.Index("(meter_id, local_date)")

    def init(self):
        # Settling changes these rows again and again: room for the new version on the same page
        # spares the indexes. Each upsert takes a number, also where it only updates a row: they
        # run out of 32 bits.
        self.env.cr.execute("""
            ALTER TABLE energy_usage SET (fillfactor = 80);
            ALTER TABLE energy_usage ALTER COLUMN id TYPE bigint;
            ALTER SEQUENCE energy_usage_id_seq AS bigint;
        """)

    @api.depends("local_date", "meter_id.name")
    def _compute_display_name(self):
        for usage in self:
            usage.display_name = f"{usage.meter_id.name} {usage.local_date}"

    @api.depends("tier", "version_id.free_quantity")
    def _compute_tier_label(self):
        for usage in self:
            usage.tier_label = usage.version_id._tier_label(usage.tier)

    def action_open_entries(self):
        """Open the balance entries that charge this use."""
        return self.env["energy.wallet.entry"]._open([("unit_id", "in", self.unit_id.ids)])

    def action_open_readings(self):
        """Open the readings of the days of this use."""
        self.ensure_one()
        zone = self.site_id._zone()
        start = local_midnight(self.local_date, zone)
        end = local_midnight(fields.Date.add(self.local_date, days=1), zone)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_reading"
        )
        return dict(
            action,
            domain=[
                ("meter_id", "=", self.meter_id.id),
                ("moment", ">=", start),
                ("moment", "<=", end),
            ],
        )

    def action_explain(self):
        """Show how the entry that charges this use was made: the first one that counts its day."""
        self.ensure_one()
        zone = self.site_id._zone()
        end = local_midnight(fields.Date.add(self.local_date, days=1), zone)
        entries = self.unit_id.entry_ids.sorted("revision")
        later = entries.filtered(lambda entry: entry.used_until and entry.used_until >= end)
        return (later[:1] or self.unit_id).action_explain()
