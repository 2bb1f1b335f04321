from odoo import _, models
from odoo.exceptions import UserError


class EnergySupplyTerm(models.Model):
    _inherit = "energy.supply.term"

    def _correct_multiplier(self, multiplier):
        """Correct the multiplier of terms by which use has been priced; it is priced again.

        Only the document that says so calls this, and queues the meter.
        """
        # Past this model's own `write`, which refuses to touch terms that were used.
        models.Model.write(self, {"multiplier": multiplier})


class EnergySupply(models.Model):
    _inherit = "energy.supply"

    def action_change_multiplier(self):
        """Write the document of a change of the multiplier."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Change the Multiplier"),
            "res_model": "energy.multiplier.change",
            "view_mode": "form",
            "context": {"default_supply_id": self.id},
        }


class EnergyMeter(models.Model):
    _inherit = "energy.meter"

    def action_change_multiplier(self):
        """Write the document of a change of the multiplier of the meter's present supply."""
        self.ensure_one()
        supply = self.env["energy.supply"]._present(self).get(self.id)
        if not supply:
            raise UserError(_("Meter %s serves no account.", self.name))
        return supply.action_change_multiplier()
