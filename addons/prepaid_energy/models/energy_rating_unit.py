from zoneinfo import ZoneInfo

from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..local_time import local_midnight, month_last
from .energy_meter import COMMODITIES


class EnergyRatingUnit(models.Model):
    """What is due and what is posted for one month of a unit of rating.

    The unit of rating is an account's use of a commodity in one tier period (of one supply, where
    the tariff counts per meter). Each of its local months has a row: the exact amount due so far,
    what was posted of it, and how often that changed.
    """

    _name = "energy.rating.unit"
    _description = "Rating unit"
    _order = "month desc, account_id"
    _log_access = False

    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="restrict"
    )
    site_id = fields.Many2one("energy.property", required=True, readonly=True, index=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    commodity = fields.Selection(COMMODITIES, required=True, readonly=True)
    supply_id = fields.Many2one(
        "energy.supply",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Set where tiers are counted per meter, or where a replaced meter did not carry them "
        "on: the supply with which the counter begins.",
    )
    period_start = fields.Date(string="Tier Period From", required=True, readonly=True)
    period_end = fields.Date(
        string="Tier Period Until", required=True, readonly=True, help="First day after it."
    )
    month = fields.Date(required=True, readonly=True)
    due = fields.Float(
        string="Due (Exact)", digits=(24, 12), readonly=True, required=True, default=0
    )
    posted = fields.Monetary(readonly=True, required=True, default=0)
    revision = fields.Integer(readonly=True, required=True, default=0)
    entry_ids = fields.One2many("energy.wallet.entry", "unit_id", string="Balance Entries")

    _key_uniq = models.UniqueIndex(
        "(account_id, commodity, COALESCE(supply_id, 0), period_start, period_end, month)",
        "A unit of rating has one row a month.",
    )

    def init(self):
        # Settling changes these rows again and again: room for the new version on the same page
        # spares the indexes.
        self.env.cr.execute("ALTER TABLE energy_rating_unit SET (fillfactor = 50)")

    @api.depends("account_id.name", "commodity", "month")
    def _compute_display_name(self):
        labels = dict(self._fields["commodity"]._description_selection(self.env))
        for unit in self:
            unit.display_name = (
                f"{unit.account_id.name} {labels.get(unit.commodity)} {unit.month:%Y-%m}"
            )

    def _moments(self):
        """Return the naive UTC moments at which these units' months begin and end."""
        zone = ZoneInfo(self[:1].site_id.tz)
        last = month_last(max(self.mapped("month")))
        return (
            local_midnight(min(self.mapped("month")), zone),
            local_midnight(fields.Date.add(last, days=1), zone),
        )

    def action_open_usage(self):
        """Open the use behind these units."""
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_usage")
        return dict(action, domain=[("unit_id", "in", self.ids)])

    def action_explain(self):
        """Show how the last balance entry of this month was made."""
        self.ensure_one()
        entry = self.entry_ids.sorted("revision")[-1:]
        if not entry:
            raise UserError(_("Nothing has been deducted for this month."))
        return entry.action_explain()
