from odoo import api, fields, models

from .. import clock


class EnergyMeterAddition(models.TransientModel):
    """One more meter for an account that is open already."""

    _name = "energy.meter.addition"
    _description = "Add a meter"

    account_id = fields.Many2one("energy.account", required=True, readonly=True)
    company_id = fields.Many2one(related="account_id.company_id")
    site_id = fields.Many2one(related="account_id.site_id")
    meter_id = fields.Many2one(
        "energy.meter",
        required=True,
        domain="[('site_id', '=', site_id), ('account_id', '=', False)]",
    )
    commodity = fields.Selection(related="meter_id.commodity")
    tariff_id = fields.Many2one(
        "energy.tariff",
        required=True,
        domain="[('commodity', '=', commodity), ('company_id', '=', company_id)]",
    )
    multiplier = fields.Float(digits=(12, 4), required=True, default=1, help="CT × PT.")
    limit_addition = fields.Float(
        string="Addition to Tier Limits",
        digits=(12, 3),
        help="For a bigger household: kWh or m³ a month, added to each tier limit. Of several "
        "meters that share their tiers the highest counts, once.",
    )
    start_at = fields.Datetime(
        string="From",
        required=True,
        default=lambda self: clock.now(self.env.cr),
    )
    opening_register = fields.Float(string="Opening Reading", digits=(18, 4))

    @api.onchange("meter_id")
    def _onchange_meter_id(self):
        """The meter brings its last reading and, where it fits, the tariff of its like."""
        self.opening_register = self.meter_id.register
        alike = self.account_id.supply_ids.filtered(
            lambda supply: supply.commodity == self.commodity and not supply.end_at
        )
        if self.tariff_id.commodity != self.commodity:
            self.tariff_id = alike[:1].tariff_id

    def action_confirm(self):
        """Take the meter into service for the account, from its opening reading on."""
        self.ensure_one()
        self.account_id.check_access("write")
        self.meter_id.check_access("read")
        self.account_id._add_meter(
            self.meter_id,
            self.tariff_id,
            self.multiplier,
            self.start_at,
            self.opening_register,
            self.limit_addition,
        )
        return {"type": "ir.actions.act_window_close"}
