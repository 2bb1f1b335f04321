from odoo import api, fields, models


class EnergyAccountChangeLine(models.Model):
    """A meter's register at the moment of an account change: proposed, or typed."""

    _name = "energy.account.change.line"
    _description = "Reading at an account change"
    _inherit = ["energy.guarded"]
    _order = "change_id, id"
    _check_company_auto = True
    _rec_name = "meter_id"

    change_id = fields.Many2one(
        "energy.account.change", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="change_id.company_id", store=True, index=True)
    site_id = fields.Many2one(related="change_id.site_id", store=True, index=True)
    supply_id = fields.Many2one(
        "energy.supply", required=True, index=True, ondelete="restrict", check_company=True
    )
    meter_id = fields.Many2one(related="supply_id.meter_id")
    commodity = fields.Selection(related="meter_id.commodity")
    tariff_id = fields.Many2one(related="supply_id.tariff_id")
    is_online = fields.Boolean(related="meter_id.is_online")
    read_at = fields.Datetime(
        string="Last Reading", compute="_compute_register", store=True, precompute=True
    )
    proposed_register = fields.Float(
        string="Proposed",
        digits=(18, 4),
        compute="_compute_register",
        store=True,
        precompute=True,
        help="What the accepted readings tell of that moment: between two of them on the straight "
        "line, after the last one its figure.",
    )
    register = fields.Float(
        string="Reading",
        digits=(18, 4),
        compute="_compute_register",
        store=True,
        precompute=True,
        readonly=False,
        help="What the meter shows at that moment. Type it where the meter is offline.",
    )

    @api.depends("supply_id", "change_id.moment")
    def _compute_register(self):
        readings = self.env["energy.reading"]
        for line in self:
            moment = line.change_id.moment
            register, line.read_at = None, False
            if line.supply_id and moment:
                register, line.read_at = readings._register_at(line.meter_id, moment)
            line.proposed_register = line.register = float(register or 0)

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines._check_draft()
        return lines

    def write(self, vals):
        self._check_draft()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_done(self):
        self._check_draft()

    def _check_draft(self):
        if not self.env.su:
            self.change_id._check_draft()
