from odoo import _, models
from odoo.exceptions import UserError


class EnergyTariffVersion(models.Model):
    _inherit = "energy.tariff.version"

    def _consequences(self):
        """Show what an approval changes of what was charged already; ask nothing otherwise."""
        shown = super()._consequences()
        waiting = self.filtered(lambda version: version.state != "approved")
        if shown or not waiting:
            return shown
        for version in waiting:
            version._check_manager()
            version._check_second_person()
        waiting._check_approvable()
        if len(waiting.company_id) > 1:
            raise UserError(_("Approve the versions of one company at a time."))
        return self.env["energy.price.consequence"]._ask(
            "version", waiting.company_id, version_ids=[(6, 0, waiting.ids)]
        )
