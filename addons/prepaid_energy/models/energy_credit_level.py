from itertools import pairwise

from odoo import Command, _, api, fields, models
from odoo.exceptions import ValidationError

# What a policy begins with, above the balance at which supply goes off.
FIRST = (50, 20, 10)


class EnergyCreditLevel(models.Model):
    """An alarm amount: at this balance and below, customer and staff are warned."""

    _name = "energy.credit.level"
    _description = "Alarm amount"
    _order = "policy_id, sequence"
    _rec_name = "amount"

    policy_id = fields.Many2one(
        "energy.credit.policy", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="policy_id.currency_id")
    sequence = fields.Integer(string="Level", required=True, default=1)
    amount = fields.Monetary(
        required=True, help="The alarm is raised when the balance falls to this amount or below."
    )

    _sequence_uniq = models.UniqueIndex(
        "(policy_id, sequence)", "A credit policy has one amount a level."
    )
    _check_sequence = models.Constraint(
        "CHECK (sequence BETWEEN 1 AND 3)", "There are the alarm levels 1, 2 and 3."
    )

    @api.depends("sequence", "amount")
    def _compute_display_name(self):
        for level in self:
            level.display_name = _(
                "%(level)s: %(amount)s",
                level=level.sequence,
                amount=level.currency_id.format(level.amount)
                if level.currency_id
                else level.amount,
            )

    @api.constrains("sequence", "amount", "policy_id")
    def _check_amounts(self):
        self.policy_id._check_levels()


class EnergyCreditPolicy(models.Model):
    _inherit = "energy.credit.policy"

    level_ids = fields.One2many(
        "energy.credit.level",
        "policy_id",
        string="Alarm Amounts",
        copy=True,
        default=lambda self: self._first_levels(0),
    )

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
        return super().create(vals_list)

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
