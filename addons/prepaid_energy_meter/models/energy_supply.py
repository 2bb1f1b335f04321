from odoo import _, models


class EnergySupply(models.Model):
    _inherit = "energy.supply"

    def _what_is_missing(self):
        """Override of `prepaid_energy`: what a meter multiplies itself is not multiplied again."""
        missing = super()._what_is_missing()
        meter = self.meter_id
        is_primary = meter.driver == "modbus" and meter.profile_id.figures == "primary"
        if is_primary and self.multiplier != 1:
            missing.append(
                _(
                    "Meter %(meter)s: its figures have the transformers' ratio in them already, so "
                    "its multiplier is 1, not %(multiplier)g.",
                    meter=meter.name,
                    multiplier=self.multiplier,
                )
            )
        return missing
