from decimal import Decimal

from odoo import fields, models

from ..engine import Terms


class EnergyCreditPolicy(models.Model):
    _name = "energy.credit.policy"
    _description = "Credit policy"
    _order = "name"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    active = fields.Boolean(default=True)
    cut_off = fields.Monetary(
        string="Cut-Off Threshold",
        help="Supply goes off when balance + overdraft limit falls to this amount or below.",
    )
    restore = fields.Monetary(
        string="Restore Threshold",
        help="After a cut, supply comes back when balance + overdraft "
        "limit rises above this amount.",
    )
    overdraft = fields.Monetary(
        string="Overdraft Limit", help="How far below zero supply stays on."
    )
    fresh_hours = fields.Integer(
        string="Figures Are Fresh For (Hours)",
        default=24,
        required=True,
        help="Nobody is cut on figures older than this.",
    )

    _check_thresholds = models.Constraint(
        "CHECK (restore >= cut_off)",
        "The restore threshold cannot lie below the cut-off threshold.",
    )
    _check_overdraft = models.Constraint(
        "CHECK (overdraft >= 0)", "An overdraft limit is an amount of zero or more."
    )
    _check_fresh = models.Constraint("CHECK (fresh_hours > 0)", "Hours must be more than zero.")

    def _terms(self):
        """Return this policy as the engine's value."""
        self.ensure_one()
        places = self.currency_id.decimal_places
        return Terms(
            *(
                Decimal(f"{value:.{places}f}")
                for value in (self.cut_off, self.restore, self.overdraft, self.currency_id.rounding)
            )
        )
