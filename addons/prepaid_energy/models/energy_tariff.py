from zoneinfo import ZoneInfo

from odoo import _, api, fields, models, tools
from odoo.exceptions import ValidationError

from ..local_time import local_midnight
from .energy_meter import COMMODITIES


class EnergyTariff(models.Model):
    """What a commodity costs: a name that customers see, and its dated versions."""

    _name = "energy.tariff"
    _description = "Tariff"
    _inherit = ["mail.thread"]
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
        [("month", "Month")],
        required=True,
        default="month",
        help="Tiers count from the first day of this period.",
    )
    allocation = fields.Selection(
        [("to_date", "To date"), ("proportional", "Proportional")],
        required=True,
        default="to_date",
        help="How tiers and rate periods meet. To date: each tier's quantity of the tier period so "
        "far is shared over the rate periods by their share so far. Proportional: within each "
        "month by the month's own shares.",
    )
    note = fields.Html(help="Source and remarks: the notice or contract the prices come from.")
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

    @api.constrains("commodity", "company_id", "tier_period", "allocation")
    def _check_unused(self):
        for tariff in self:
            if tariff.version_ids._used():
                raise ValidationError(
                    _(
                        "Tariff “%s” is in use: commodity, company, tier period and allocation "
                        "stay. Make a new tariff instead.",
                        tariff.name,
                    )
                )

    @api.model
    @tools.ormcache("tariff_id")
    def _version_starts(self, tariff_id):
        """Return the approved versions of a tariff as pairs (first local date, version id)."""
        versions = self.env["energy.tariff.version"].search(
            [("tariff_id", "=", tariff_id), ("state", "=", "approved")], order="date_from"
        )
        return tuple((version.date_from, version.id) for version in versions)

    @api.model
    def _spans(self, tariff_id, start, end, zone: ZoneInfo):
        """Return which version prices which part of a time.

        :param int tariff_id:
        :param datetime start: naive UTC
        :param datetime end: naive UTC, or None for open
        :return: list of (start, end or None, version id), contiguous; time before the first
            version is missing from it
        """
        starts = [
            (local_midnight(date, zone), version)
            for date, version in self._version_starts(tariff_id)
        ]
        spans = []
        for position, (since, version) in enumerate(starts):
            until = starts[position + 1][0] if position + 1 < len(starts) else None
            first = max(start, since)
            last = min((moment for moment in (end, until) if moment is not None), default=None)
            if last is None or first < last:
                spans.append((first, last, version))
        return spans
