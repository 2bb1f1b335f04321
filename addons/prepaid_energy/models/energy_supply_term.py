from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError


class EnergySupplyTerm(models.Model):
    """Tariff and multiplier of a supply from a moment on."""

    _name = "energy.supply.term"
    _description = "Terms of a supply"
    _inherit = ["energy.guarded"]
    _order = "supply_id, since"
    _check_company_auto = True
    _rec_name = "tariff_id"

    supply_id = fields.Many2one("energy.supply", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="supply_id.company_id", store=True)
    site_id = fields.Many2one(related="supply_id.site_id", store=True)
    since = fields.Datetime(required=True)
    tariff_id = fields.Many2one(
        "energy.tariff", required=True, index=True, ondelete="restrict", check_company=True
    )
    multiplier = fields.Float(digits=(12, 4), required=True, default=1)
    limit_addition = fields.Float(
        string="Addition to Tier Limits",
        digits=(12, 3),
        help="Added to each tier limit for every month of the tier period: 100 kWh a month for "
        "a household of five or more.",
    )
    band_source = fields.Selection(
        [("platform", "Platform time"), ("meter", "Meter registers")],
        string="Rate Periods By",
        required=True,
        default="platform",
        help="Whether use is put into rate periods by the time of the readings, or as the meter's "
        "own rate period registers counted it.",
    )

    plan_version_id = fields.Many2one(
        "energy.tariff.version",
        string="Plan Read Back",
        index="btree_not_null",
        ondelete="restrict",
        help="The tariff version that the meter's own plan of rate periods was read back to equal. "
        "Its registers count for this version only; under any other, platform time does.",
    )

    _since_uniq = models.UniqueIndex(
        "(supply_id, since)", "A supply has one set of terms from a moment on."
    )
    # Few meters have a transformer before them; each reading asks which.
    _transformer_idx = models.Index("(supply_id) WHERE multiplier <> 1")
    _check_plan = models.Constraint(
        "CHECK (band_source <> 'meter' OR plan_version_id IS NOT NULL)",
        "Rate periods go by the meter's registers only where its plan was read back.",
    )
    _check_addition = models.Constraint(
        "CHECK (limit_addition >= 0)", "An addition to tier limits is zero or more."
    )
    _check_multiplier = models.Constraint(
        "CHECK (multiplier > 0)", "The multiplier is more than zero."
    )

    @api.constrains("tariff_id")
    def _check_commodity(self):
        for term in self:
            if term.tariff_id.commodity != term.supply_id.commodity:
                raise ValidationError(
                    _(
                        "“%(tariff)s” does not price what meter %(meter)s measures.",
                        tariff=term.tariff_id.name,
                        meter=term.supply_id.meter_id.name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        terms = super().create(vals_list)
        terms._check_may_price()
        return terms

    def write(self, vals):
        self._check_may_price()
        self._check_unsettled()
        result = super().write(vals)
        if {"supply_id", "band_source"} & vals.keys():
            self._check_may_price()
            self._check_unsettled()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_settled(self):
        self._check_may_price()
        self._check_unsettled()

    def _check_may_price(self):
        """Terms are chosen when an account is opened; afterwards only *Set tariff* changes them."""
        if not self.env.su and any(term.supply_id.account_state != "draft" for term in self):
            raise AccessError(_("A supply in service changes its terms by “Set tariff” only."))
        if not self.env.su and any(term.band_source == "meter" for term in self):
            raise AccessError(
                _(
                    "The meter's registers are let count by “Rate Periods By” only: it asks "
                    "for the meter's plan first."
                )
            )

    def _check_unsettled(self):
        for term in self:
            mark = term.supply_id.mark_id
            if mark and mark.settled_until > term.since:
                raise UserError(
                    _(
                        "Use of meter %s has been priced by these terms: they stay. Add new terms "
                        "from a later moment.",
                        term.supply_id.meter_id.name,
                    )
                )
