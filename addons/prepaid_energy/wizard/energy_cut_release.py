from odoo import fields, models


class EnergyCutRelease(models.TransientModel):
    """A list of held cuts, shown to a manager who releases or discards it."""

    _name = "energy.cut.release"
    _description = "Release of cuts"

    breaker_id = fields.Many2one("energy.cut.breaker", required=True, readonly=True)
    decision = fields.Selection(
        [("released", "Release"), ("discarded", "Discard")], required=True, readonly=True
    )
    hint = fields.Text(related="breaker_id.hint")
    line_ids = fields.Many2many(
        "energy.cut.breaker.line",
        string="Cuts",
        help="What is taken out of this list stays held.",
    )
    reason = fields.Char()

    def action_confirm(self):
        """Release, or discard, what is shown."""
        self.ensure_one()
        self.breaker_id._decide_list(self.line_ids, self.decision, self.reason)
        return {"type": "ir.actions.act_window_close"}
