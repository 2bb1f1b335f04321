from decimal import Decimal
from itertools import pairwise

from odoo import Command, _, api, fields, models
from odoo.exceptions import ValidationError

from ..engine import Terms

# Alarm amounts a policy begins with, above the balance at which supply goes off.
FIRST = (50, 20, 10)


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
    level_ids = fields.One2many(
        "energy.credit.level",
        "policy_id",
        string="Alarm Amounts",
        copy=True,
        default=lambda self: self._first_levels(0),
    )

    _check_thresholds = models.Constraint(
        "CHECK (restore >= cut_off)",
        "The restore threshold cannot lie below the cut-off threshold.",
    )
    _check_overdraft = models.Constraint(
        "CHECK (overdraft >= 0)", "An overdraft limit is an amount of zero or more."
    )
    _check_fresh = models.Constraint("CHECK (fresh_hours > 0)", "Hours must be more than zero.")

    @api.model
    def _first_levels(self, off_at):
        return [
            Command.create({"sequence": position + 1, "amount": off_at + amount})
            for position, amount in enumerate(FIRST)
        ]

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if "level_ids" not in vals:
                off_at = (vals.get("cut_off") or 0) - (vals.get("overdraft") or 0)
                vals["level_ids"] = self._first_levels(off_at)
        policies = super(EnergyCreditPolicy, self.with_context(energy_policy_is_saved=True)).create(
            vals_list
        )
        return policies.with_env(self.env)

    def write(self, vals):
        policies = self.with_context(energy_policy_is_saved=True)
        return super(EnergyCreditPolicy, policies).write(vals)

    @api.constrains("cut_off", "overdraft", "level_ids")
    def _check_levels(self):
        """Each level warns later than the one before, and all of them before supply goes off."""
        for policy in self:
            off_at = policy.cut_off - policy.overdraft
            levels = policy.level_ids.sorted("sequence")
            amounts = levels.mapped("amount")
            for earlier, later in pairwise(amounts):
                if policy.currency_id.compare_amounts(earlier, later) <= 0:
                    raise ValidationError(
                        _("“%s”: each alarm amount lies below the one before it.", policy.name)
                    )
            if amounts and policy.currency_id.compare_amounts(amounts[-1], off_at) <= 0:
                raise ValidationError(
                    _(
                        "“%(policy)s”: supply goes off at a balance of %(off_at)s; every alarm "
                        "amount must lie above it.",
                        policy=policy.name,
                        off_at=policy.currency_id.format(off_at),
                    )
                )

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
