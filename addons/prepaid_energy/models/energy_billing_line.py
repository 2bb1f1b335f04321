from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..local_time import month_first
from .energy_usage import USAGE_BANDS
from .energy_wallet_entry import CATEGORIES


class EnergyBillingLine(models.Model):
    """What a frozen billing period bills: its own copy of registers, quantities and prices.

    Written once, by freezing. A later correction is a difference in a later period.
    """

    _name = "energy.billing.line"
    _description = "Billed line"
    _order = "period_id desc, month, category, meter_id, band, tier, id"
    _log_access = False
    _allow_sudo_commands = False

    period_id = fields.Many2one(
        "energy.billing.period", required=True, readonly=True, index=True, ondelete="restrict"
    )
    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="restrict"
    )
    site_id = fields.Many2one("energy.property", required=True, readonly=True, ondelete="restrict")
    building_id = fields.Many2one("energy.property", readonly=True, ondelete="restrict")
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    currency_id = fields.Many2one("res.currency", required=True, readonly=True, ondelete="restrict")
    kind = fields.Selection(
        [("use", "Use"), ("charge", "Charge"), ("fee", "Service Fee")], required=True, readonly=True
    )
    category = fields.Selection(CATEGORIES, string="Class", required=True, readonly=True)
    note = fields.Char(readonly=True)
    unit_id = fields.Many2one(
        "energy.rating.unit",
        string="Rating Unit",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    month = fields.Date(
        readonly=True, required=True, help="In which it was used; earlier for a correction."
    )
    supply_id = fields.Many2one("energy.supply", readonly=True, ondelete="restrict")
    meter_id = fields.Many2one("energy.meter", readonly=True, ondelete="restrict")
    version_id = fields.Many2one(
        "energy.tariff.version", string="Tariff Version", readonly=True, ondelete="restrict"
    )
    band = fields.Selection(USAGE_BANDS, string="Rate Period", readonly=True)
    tier = fields.Integer(
        string="Tier (Counted)",
        readonly=True,
        aggregator=False,
        help="Where the tariff has a free quantity, that is the first.",
    )
    tier_label = fields.Char(string="Tier", compute="_compute_tier_label")
    price = fields.Float(
        string="Price per Unit", digits=(16, 6), required=True, readonly=True, aggregator=False
    )
    quantity = fields.Float(
        digits=(20, 3),
        required=True,
        readonly=True,
        help="kWh or m³; days of a standing charge; 1 of a charge.",
    )
    amount_exact = fields.Float(
        string="Amount (Exact)", digits=(24, 12), required=True, readonly=True
    )
    amount = fields.Monetary(
        required=True, readonly=True, help="The period's entries, shared over its lines."
    )
    register_from = fields.Float(
        string="Start Register", digits=(18, 4), readonly=True, aggregator=False
    )
    register_to = fields.Float(
        string="End Register", digits=(18, 4), readonly=True, aggregator=False
    )
    has_registers = fields.Boolean(
        readonly=True,
        help="Not for charges, nor for a correction that has no registers of its own.",
    )

    @api.depends("period_id", "meter_id")
    def _compute_display_name(self):
        for line in self:
            line.display_name = " ".join(
                filter(None, [line.period_id.display_name, line.meter_id.name, line.note])
            )

    @api.depends("tier", "version_id.free_quantity")
    def _compute_tier_label(self):
        for line in self:
            line.tier_label = line.version_id._tier_label(line.tier)

    def _invoice_text(self, product):
        """Return what an invoice says of these lines, which have one price.

        :param product: `product.product`
        """
        first = self[0]
        heading = [product.with_env(self.env).name]
        if first.note:
            heading.append(first.note)
        if first.band:
            bands = dict(self._fields["band"]._description_selection(self.env))
            heading.append(bands[first.band])
            version = first.version_id
            if first.tier and (version.tier_ids or version.free_quantity):
                heading.append(version._tier_text(first.tier))
            if first.month < month_first(first.period_id.date_from):
                heading.append(self.env._("late for %s", f"{first.month:%Y-%m}"))
        meters = [
            f"{line.meter_id.name}: {line.register_from:.3f} – {line.register_to:.3f}"
            if line.has_registers
            else line.meter_id.name
            for line in self
            if line.has_registers or (line.band and not line.tier)
        ]
        return "\n".join([", ".join(heading), *meters])

    def action_open_period(self):
        """Open the billing period of this line."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.billing.period",
            "res_id": self.period_id.id,
            "view_mode": "form",
        }

    @api.model_create_multi
    def create(self, vals_list):
        raise UserError(_("Billed lines are written by freezing a period only."))

    def write(self, vals):
        raise UserError(_("Billed lines are never changed: a correction is billed later."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Billed lines are never deleted: a correction is billed later."))
