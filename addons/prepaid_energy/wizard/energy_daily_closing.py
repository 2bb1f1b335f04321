from odoo import api, fields, models


class EnergyDailyClosing(models.TransientModel):
    """Which day's money the closing sheet shows."""

    _name = "energy.daily.closing"
    _description = "Daily closing"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    date = fields.Date(required=True, default=lambda self: self._default_date())
    site_id = fields.Many2one(
        "energy.property",
        domain="[('kind', '=', 'site'), ('company_id', '=', company_id)]",
        help="Empty: all sites. A till serves all sites, so shifts are on the sheet of all sites.",
    )
    user_id = fields.Many2one(
        "res.users",
        string="Cashier",
        domain="[('share', '=', False), ('company_ids', 'in', company_id)]",
        help="Empty: all cashiers.",
    )

    @api.model
    def _default_date(self):
        return self.env.company._energy_first_site()._today()

    def action_print(self):
        """Print the sheet as a PDF."""
        return self.env.ref("prepaid_energy.action_report_day_closing").report_action(
            self, config=False
        )

    def action_show(self):
        """Show the sheet on the screen."""
        report = self.env.ref("prepaid_energy.action_report_day_closing")
        return dict(report.report_action(self, config=False), report_type="qweb-html")
