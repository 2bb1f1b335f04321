from odoo import models


class EnergyCommand(models.Model):
    _inherit = "energy.command"

    def _check(self):
        """Override of `prepaid_energy`: nothing is written where another meter answers, or an
        encrypted one."""
        why = super()._check()
        if why or self.kind not in ("supply", "clock"):
            return why
        findings = self.env["energy.meter.finding"].search(
            [
                ("meter_id", "=", self.meter_id.id),
                ("kind", "in", ("serial", "encryption")),
                ("code", "in", ("serial", "encryption")),
                ("is_standing", "=", True),
                ("state", "=", "open"),
            ],
            limit=1,
        )
        if findings:
            why = findings.details
            self._fail(why)
        return why
