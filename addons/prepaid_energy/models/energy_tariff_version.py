from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

# What an author types; it stays from the moment the version is submitted.
CONTENT = {
    "tariff_id",
    "date_from",
    "tax_rate",
    "tier_pricing",
    "free_quantity",
    "per_day",
    "per_month",
    "minimum",
    "base_price",
    "fixed_price",
    "price_decimals",
}


class EnergyTariffVersion(models.Model):
    """The rate periods, tiers and prices of a tariff from a date on; immutable once submitted."""

    _name = "energy.tariff.version"
    _description = "Tariff version"
    _rec_names_search = ["tariff_id.name"]
    _inherit = ["energy.guarded", "mail.thread"]
    _order = "tariff_id, date_from desc"

    tariff_id = fields.Many2one("energy.tariff", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="tariff_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="tariff_id.currency_id")
    commodity = fields.Selection(related="tariff_id.commodity")
    date_from = fields.Date(string="Effective From", required=True, tracking=True)
    state = fields.Selection(
        [("draft", "Draft"), ("submitted", "Submitted"), ("approved", "Approved")],
        required=True,
        default="draft",
        copy=False,
        tracking=True,
        help="Only approved versions price anything. From being submitted on a version stays as "
        "it is; back in draft, it can be changed again.",
    )
    is_used = fields.Boolean(compute="_compute_is_used")
    tax_included = fields.Boolean(related="tariff_id.tax_included")
    tax_rate = fields.Float(
        string="Tax Rate (%)",
        digits=(6, 4),
        compute="_compute_tax_rate",
        store=True,
        readonly=False,
        precompute=True,
        help="Added to prices without tax, and shown as part of prices with tax. Proposed from the "
        "tax of the product as which the commodity is billed; stays as it is with the version.",
    )
    tier_pricing = fields.Selection(
        [("prices", "A price a rate period"), ("adder", "An adder for all rate periods")],
        string="Prices of Higher Tiers",
        required=True,
        default="prices",
        help="Adder: the price of a higher tier is the one of the first tier and an amount that is "
        "the same in every rate period.",
    )
    free_quantity = fields.Float(
        digits=(16, 3),
        help="The first so many kWh or m³ of each tier period cost nothing. Limits of tiers count "
        "from the beginning of the period: a free quantity of 50 and a first limit of 200 leave "
        "150 at the price of the first tier.",
    )
    per_day = fields.Float(
        string="Standing Charge per Day",
        digits=(16, 6),
        help="For each meter and each local day in service, used or not.",
    )
    per_month = fields.Float(
        string="Standing Charge per Month",
        digits=(16, 6),
        help="For each meter and month in service; part of a month counts by days.",
    )
    minimum = fields.Float(
        string="Minimum Charge per Month",
        digits=(16, 6),
        help="Where the charges of a month are less, the rest is charged when it has ended; part "
        "of a month counts by days.",
    )
    base_price = fields.Float(
        digits=(16, 6), help="Price from which those of the rate periods are derived by ratio."
    )
    fixed_price = fields.Float(
        string="Part That Does Not Float",
        digits=(16, 6),
        help="Part of each price to which the ratios do not apply.",
    )
    price_decimals = fields.Integer(
        string="Decimals of Derived Prices",
        default=4,
        help="Derived prices are rounded half up to these decimals.",
    )
    fee_ids = fields.One2many("energy.tariff.fee", "version_id", string="Fees", copy=True)
    band_ids = fields.One2many("energy.tariff.band", "version_id", string="Rate Periods", copy=True)
    window_ids = fields.One2many("energy.tariff.window", "version_id", string="Windows")
    tier_ids = fields.One2many("energy.tariff.tier", "version_id", string="Tiers", copy=True)
    price_ids = fields.One2many("energy.tariff.price", "version_id", string="Prices")

    _date_uniq = models.UniqueIndex("(tariff_id, date_from)", "A tariff has one version a date.")
    _check_amounts = models.Constraint(
        "CHECK (per_day >= 0 AND per_month >= 0 AND minimum >= 0 AND free_quantity >= 0"
        " AND tax_rate >= 0)",
        "Standing charges, minimum charge, free quantity and tax rate cannot be negative.",
    )
    _check_decimals = models.Constraint(
        "CHECK (price_decimals BETWEEN 0 AND 6)", "Prices have 0 to 6 decimals."
    )

    @api.depends("tariff_id.name", "date_from")
    def _compute_display_name(self):
        for version in self:
            version.display_name = f"{version.tariff_id.name} ({version.date_from or '…'})"

    @api.depends("state")
    def _compute_is_used(self):
        used = self._used()
        for version in self:
            version.is_used = version in used

    @api.depends("tariff_id")
    def _compute_tax_rate(self):
        """Propose the rate of the taxes on the company's invoices for the commodity."""
        for version in self:
            tariff = version.tariff_id
            # sudo: who prices energy need not see the books' products
            product = (
                self.env["energy.billing.product"]
                .sudo()
                .search(
                    [
                        ("company_id", "=", tariff.company_id.id),
                        ("category", "=", tariff.commodity),
                    ]
                )
                .product_id
            )
            taxes = product.taxes_id._filter_taxes_by_company(tariff.company_id)
            version.tax_rate = sum(taxes.flatten_taxes_hierarchy().mapped("amount"))

    def _used(self):
        """Return those of these versions that have priced use."""
        if not self.ids:
            return self.browse()
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM energy_tariff_version v WHERE id = ANY(%s)"
                "   AND EXISTS (SELECT 1 FROM energy_usage u WHERE u.version_id = v.id)",
                self.ids,
            )
        )
        return self.browse(row[0] for row in rows)

    def write(self, vals):
        """What an author types stays from being submitted on."""
        if CONTENT & vals.keys():
            self._check_editable()
        return super().write(vals)

    def _check_editable(self):
        """Refuse to change a version, or a part of it, that is not a draft.

        :raise UserError: naming the version
        """
        for version in self:
            if version.state == "approved":
                raise UserError(
                    _(
                        "“%s” is approved. Set it back to draft, or make a new version.",
                        version.display_name,
                    )
                )
            if version.state == "submitted":
                raise UserError(
                    _(
                        "“%s” is submitted and waits for its approval. Set it back to draft first.",
                        version.display_name,
                    )
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_approved(self):
        self._check_editable()

    def copy_data(self, default=None):
        """A copy begins the day after the version it is made from, if not told otherwise."""
        default = dict(default or {})
        copies = super().copy_data(default)
        if "date_from" not in default:
            for version, values in zip(self, copies, strict=True):
                values["date_from"] = fields.Date.add(version.date_from, days=1)
        return copies

    def copy(self, default=None):
        """Copy windows and prices too: those of a rate period to the one that was made from it."""
        copies = super().copy(default)
        for version, copied in zip(self, copies, strict=True):
            bands = {band.key: band.id for band in copied.band_ids}
            for parts in (version.window_ids, version.price_ids):
                rows = parts.copy_data()
                for part, row in zip(parts, rows, strict=True):
                    row.update(version_id=copied.id, band_id=bands[part.band_id.key])
                parts.create(rows)
        return copies
