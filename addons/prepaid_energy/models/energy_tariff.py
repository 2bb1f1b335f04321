from odoo import _, api, fields, models, tools
from odoo.exceptions import ValidationError

from .energy_meter import COMMODITIES
from .energy_tariff_part import MONTHS

# What versions that have priced use were built with.
UNCHANGED = (
    "commodity",
    "company_id",
    "tier_period",
    "tier_year_month",
    "tier_year_day",
    "tier_scope",
    "is_prorated",
    "allocation",
    "tax_included",
)


class EnergyTariff(models.Model):
    """What a commodity costs: a name that customers see, and its dated versions."""

    _name = "energy.tariff"
    _description = "Tariff"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "commodity, sequence, name"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    commodity = fields.Selection(COMMODITIES, required=True, default="electricity")
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    active = fields.Boolean(default=True)
    tier_period = fields.Selection(
        [("month", "Month"), ("quarter", "Quarter"), ("year", "Year")],
        required=True,
        default="month",
        help="Tiers count from the first day of this period.",
    )
    tier_year_month = fields.Selection(
        MONTHS,
        string="Tier Year Begins In",
        required=True,
        default="1",
        help="Quarters are those of the tier year.",
    )
    tier_year_day = fields.Integer(
        string="First Day",
        required=True,
        default=1,
        help="Day of the month on which a tier period begins, 1 to 28.",
    )
    tier_scope = fields.Selection(
        [("account", "Per account"), ("meter", "Per meter")],
        string="Tiers Are Counted",
        required=True,
        default="account",
        help="Per account: all meters of a commodity share one counter.",
    )
    is_prorated = fields.Boolean(
        string="Prorate Limits",
        default=True,
        help="Where a customer's use begins in the middle of a tier period, the limits are "
        "shortened by days.",
    )
    allocation = fields.Selection(
        [
            ("to_date", "To date"),
            ("proportional", "Proportional"),
            ("chronological", "Chronological"),
        ],
        required=True,
        compute="_compute_allocation",
        store=True,
        readonly=False,
        precompute=True,
        help="How tiers and rate periods meet. To date: each tier's quantity of the tier period so "
        "far is shared over the rate periods by their share so far. Proportional: within each "
        "month by the month's own shares. Chronological: what is used after a limit is reached "
        "is the dear part, day by day.",
    )
    calendar_id = fields.Many2one(
        "resource.calendar",
        string="Day Calendar",
        check_company=True,
        ondelete="restrict",
        compute="_compute_calendar_id",
        store=True,
        readonly=False,
        precompute=True,
        help="Says which days are working days, weekends and holidays. Only tariffs with windows "
        "by day type ask it.",
    )
    tax_included = fields.Boolean(
        string="Prices Include Tax",
        default=True,
        help="Otherwise the tax rate of the version is added to each price, to six decimals.",
    )
    source = fields.Char(help="The notice, price sheet or contract the prices come from.")
    source_date = fields.Date(help="Date of the notice or contract.")
    source_url = fields.Char(string="Source Link")
    note = fields.Html(help="Remarks.")
    waiting_count = fields.Integer(string="Versions to Approve", compute="_compute_waiting_count")
    version_ids = fields.One2many("energy.tariff.version", "tariff_id", string="Versions")
    current_version_id = fields.Many2one(
        "energy.tariff.version", compute="_compute_current_version_id"
    )
    term_ids = fields.One2many("energy.supply.term", "tariff_id")

    @api.depends("version_ids.date_from", "version_ids.state")
    def _compute_current_version_id(self):
        today = self.env["energy.property"]._today()
        for tariff in self:
            valid = tariff.version_ids.filtered(
                lambda version: version.state == "approved" and version.date_from <= today
            )
            tariff.current_version_id = valid.sorted("date_from")[-1:]

    @api.depends("version_ids.state")
    def _compute_waiting_count(self):
        for tariff in self:
            tariff.waiting_count = len(
                tariff.version_ids.filtered(lambda version: version.state == "submitted")
            )

    _check_tier_year_day = models.Constraint(
        "CHECK (tier_year_day BETWEEN 1 AND 28)",
        "A tier period begins on one of the days 1 to 28 of a month.",
    )

    @api.depends("company_id")
    def _compute_calendar_id(self):
        for tariff in self:
            if tariff.calendar_id.company_id not in (self.env["res.company"], tariff.company_id):
                tariff.calendar_id = False
            tariff.calendar_id = tariff.calendar_id or tariff.company_id.resource_calendar_id

    @api.depends("tier_period")
    def _compute_allocation(self):
        for tariff in self:
            tariff.allocation = "to_date" if tariff.tier_period == "month" else "proportional"

    @api.constrains(*UNCHANGED)
    def _check_unused(self):
        for tariff in self:
            if tariff.version_ids._used():
                raise ValidationError(
                    _(
                        "Tariff “%s” is in use: commodity, company, tiers' period, scope and "
                        "allocation and the kind of its prices stay. Make a new tariff instead.",
                        tariff.name,
                    )
                )

    def write(self, vals):
        """What versions were submitted with stays; an approved one is cached with it."""
        decided = {}
        for tariff in self:
            settled = tariff.version_ids.filtered(lambda version: version.state != "draft")
            if settled and not settled._used():
                decided[tariff] = tariff._basis()
        result = super().write(vals)
        for tariff, basis in decided.items():
            if tariff._basis() != basis:
                raise ValidationError(
                    _(
                        "Versions of tariff “%s” are submitted or approved with its commodity, "
                        "company, tiers, calendar and kind of prices as they are. Set them back "
                        "to draft first.",
                        tariff.name,
                    )
                )
        return result

    @api.constrains("calendar_id")
    def _check_calendar_kept(self):
        for tariff in self:
            if any(version._depends_on_days() for version in tariff.version_ids._used()):
                raise ValidationError(
                    _(
                        "Use has been priced by the day calendar of tariff “%s”: it stays. Change "
                        "the days in the calendar, or make a new tariff.",
                        tariff.name,
                    )
                )

    def _basis(self):
        """Return what the prices of this tariff's versions are approved with."""
        self.ensure_one()
        return [self[name] for name in (*UNCHANGED, "calendar_id")]

    @api.model
    def _priced_by_days(self, domain):
        """Return the tariffs of a domain whose approved prices differ by day type."""
        # sudo: calendars belong to people who need not see tariffs, and to all companies
        tariffs = self.sudo().with_context(active_test=False)
        return tariffs.search(
            [
                *domain,
                ("version_ids.state", "=", "approved"),
                ("version_ids.window_ids.day_type", "!=", "all"),
            ]
        )

    @api.model
    def _of_calendars(self, calendars):
        """Return the tariffs that these day calendars price."""
        return self._priced_by_days([("calendar_id", "in", calendars.ids)])

    @api.model
    def _of_leave(self, leave):
        """Return the tariffs for which a leave of a calendar or a company is a day of its own."""
        if leave.calendar_id:
            return self._of_calendars(leave.calendar_id)
        companies = [("company_id", "=", leave.company_id.id)] if leave.company_id else []
        return self._priced_by_days([("calendar_id", "!=", False), *companies])

    def _days_changed(self, day):
        """Rate again what these tariffs price from a local date on.

        :param date day:
        """
        self.env.registry.clear_cache()
        # sudo: the queue belongs to the flow
        self.env["energy.settlement.queue"].sudo()._add_days(self, day)

    @api.model
    @tools.ormcache("tariff_id")
    def _version_starts(self, tariff_id):
        """Return the approved versions of a tariff as pairs (first local date, version id)."""
        versions = self.env["energy.tariff.version"].search(
            [("tariff_id", "=", tariff_id), ("state", "=", "approved")], order="date_from"
        )
        return tuple((version.date_from, version.id) for version in versions)
