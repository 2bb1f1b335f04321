from decimal import Decimal

from odoo import _, api, fields, models, tools
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..engine import TariffVersion, Window

ALL_MONTHS = frozenset(range(1, 13))
ALL_DAYS = frozenset({"workday", "weekend", "holiday"})


class EnergyTariffVersion(models.Model):
    """The rate periods, tiers and prices of a tariff from a date on; immutable once used."""

    _name = "energy.tariff.version"
    _description = "Tariff version"
    _order = "tariff_id, date_from desc"
    _check_company_auto = True

    tariff_id = fields.Many2one(
        "energy.tariff", required=True, index=True, ondelete="cascade", check_company=True
    )
    company_id = fields.Many2one(related="tariff_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="tariff_id.currency_id")
    date_from = fields.Date(string="Effective From", required=True)
    state = fields.Selection(
        [("draft", "Draft"), ("submitted", "Submitted"), ("approved", "Approved")],
        required=True,
        default="draft",
        copy=False,
        help="Only approved versions price anything.",
    )
    submitted_by_id = fields.Many2one("res.users", readonly=True, copy=False, ondelete="restrict")
    approved_by_id = fields.Many2one("res.users", readonly=True, copy=False, ondelete="restrict")
    is_used = fields.Boolean(compute="_compute_is_used")
    tax_included = fields.Boolean(related="tariff_id.tax_included")
    tax_rate = fields.Float(
        string="Tax Rate (%)",
        digits=(6, 4),
        help="Added to prices without tax; kept as it is when the version is approved.",
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
        digits=(16, 3), help="Quantity of each tier period that costs nothing, before the tiers."
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
    window_ids = fields.One2many("energy.tariff.window", "version_id", string="Windows", copy=True)
    tier_ids = fields.One2many("energy.tariff.tier", "version_id", string="Tiers", copy=True)
    price_ids = fields.One2many("energy.tariff.price", "version_id", string="Prices", copy=True)
    problems = fields.Text(
        compute="_compute_problems", help="What keeps this version from being approved."
    )

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

    @api.depends(
        "tariff_id.tier_period",
        "tariff_id.allocation",
        "band_ids.name",
        "band_ids.is_rest",
        "window_ids.band_id",
        "window_ids.hour_from",
        "window_ids.hour_to",
        "window_ids.day_type",
        "window_ids.month_from",
        "window_ids.month_to",
        "window_ids.sequence",
        "tier_ids.limit",
        "price_ids.price",
        "price_ids.tier",
        "price_ids.band_id",
    )
    def _compute_problems(self):
        for version in self:
            version.problems = "\n".join(version._problems()) or False

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

    def _problems(self):
        """Return every reason, as a sentence, why this version cannot price use."""
        self.ensure_one()
        if not self.band_ids:
            return [_("There is no rate period. A flat tariff has one, valid at all times.")]
        if len(self.band_ids.filtered("is_rest")) > 1:
            return [_("Only one rate period can take the rest of the day.")]
        if len(set(self.band_ids.mapped("name"))) < len(self.band_ids):
            return [_("Two rate periods have the same name.")]
        return self._build().check()

    def _build(self):
        """Return this version as the engine's value."""
        self.ensure_one()
        bands = self.band_ids.sorted(lambda band: (band.sequence, band.id))
        limits = [tier.limit for tier in self.tier_ids.sorted("number")][:-1]
        rest = bands.filtered("is_rest") or (bands if len(bands) == 1 else bands.browse())
        return TariffVersion(
            key=self._origin.id or 0,
            bands=tuple(band.key for band in bands),
            windows=tuple(
                window._build()
                for window in self.window_ids.sorted(lambda window: (window.sequence, window.id))
            ),
            rest_band=rest.key or None,
            tier_limits=tuple(Decimal(f"{limit:.3f}") for limit in limits),
            prices={
                (price.band_id.key, price.tier): Decimal(f"{price.price:.6f}")
                for price in self.price_ids
            },
            tier_period=self.tariff_id.tier_period,
            tier_year_month=int(self.tariff_id.tier_year_month),
            tier_year_day=self.tariff_id.tier_year_day,
            is_prorated=self.tariff_id.is_prorated,
            allocation=self.tariff_id.allocation,
            per_day=Decimal(f"{self.per_day:.6f}"),
            per_month=Decimal(f"{self.per_month:.6f}"),
            minimum=Decimal(f"{self.minimum:.6f}"),
        )

    @api.model
    @tools.ormcache("version_id")
    def _engine(self, version_id):
        """Return an approved version as the engine's value; cached, approved ones do not change.

        :param int version_id:
        :rtype: TariffVersion
        """
        return self.browse(version_id)._build()

    def action_approve(self):
        """Put these versions in force."""
        self.state = "approved"

    def action_draft(self):
        """Take unused versions out of force to edit them."""
        self.state = "draft"

    @api.model_create_multi
    def create(self, vals_list):
        versions = super().create(vals_list)
        versions._check_approvable()
        return versions

    def write(self, vals):
        """Approved versions are cached by date and may have priced use: they stay as they are."""
        if {"tariff_id", "date_from"} & vals.keys():
            self._check_editable()
        if vals.get("state") == "draft" and self._used():
            raise UserError(
                _(
                    "A version that has priced use cannot be changed. "
                    "Make a new version with its own date."
                )
            )
        result = super().write(vals)
        if "state" in vals:
            self._check_approvable()
            self.env.registry.clear_cache()
        if vals.get("state") == "approved":
            # sudo: the queue belongs to the flow
            self.env["energy.settlement.queue"].sudo()._add_version(self)
        return result

    def _check_approvable(self):
        """Refuse to put a version in force that cannot price every minute and tier.

        :raise UserError: naming the version and what is wrong
        """
        for version in self.filtered(lambda version: version.state == "approved"):
            problems = version._problems()
            if problems:
                raise UserError(
                    _(
                        "“%(version)s” cannot be approved:\n%(problems)s",
                        version=version.display_name,
                        problems="\n".join(problems),
                    )
                )

    def _check_editable(self):
        """Refuse to change a part of an approved version.

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

    @api.ondelete(at_uninstall=False)
    def _unlink_except_approved(self):
        self._check_editable()

    def copy_data(self, default=None):
        """A copy begins the day after the version it is made from."""
        default = dict(default or {})
        copies = super().copy_data(default)
        for version, values in zip(self, copies, strict=True):
            values.setdefault("date_from", False)
            if "date_from" not in default:
                values["date_from"] = fields.Date.add(version.date_from, days=1)
        return copies


def build_window(band, month_from, month_to, day_type, start_minute, end_minute):
    """Return the engine's window for a season (both months included), a day type and a time."""
    if month_from <= month_to:
        months = frozenset(range(month_from, month_to + 1))
    else:
        months = ALL_MONTHS - frozenset(range(month_to + 1, month_from))
    days = ALL_DAYS if day_type == "all" else frozenset({day_type})
    return Window(
        band=band, months=months, day_types=days, start_minute=start_minute, end_minute=end_minute
    )
