from odoo import _, api, fields, models


class EnergyCreditLevel(models.Model):
    """An alarm amount: at this balance and below, customer and staff are warned."""

    _name = "energy.credit.level"
    _description = "Alarm amount"
    _inherit = ["energy.guarded"]
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
        # While a policy is saved its lines change one by one; it checks them when all are in.
        if not self.env.context.get("energy_policy_is_saved"):
            self.policy_id._check_levels()
