from odoo import fields, models


class EnergyFindingClosing(models.TransientModel):
    """Why findings are closed by hand."""

    _name = "energy.finding.closing"
    _description = "Close findings"

    finding_ids = fields.Many2many("energy.meter.finding", string="Findings", required=True)
    reason = fields.Char(required=True)

    def action_confirm(self):
        """Close the findings."""
        self.finding_ids._close(self.reason)
        return {"type": "ir.actions.act_window_close"}
