from odoo import _, models
from odoo.tools import SQL

from .energy_meter_status import PROTECTION


class EnergyCommand(models.Model):
    """What the meter's own protection turned off, only a person turns on again."""

    _inherit = "energy.command"

    def _check(self):
        why = super()._check()
        if why or self.kind != "supply" or self.value != "on" or self.cause == "person":
            return why
        status = self.meter_id.status_id
        status.invalidate_recordset(["trip_cause"], flush=False)
        if status.trip_cause not in PROTECTION:
            return ""
        causes = dict(status._fields["trip_cause"]._description_selection(self.env))
        why = _(
            "Not turned on: the meter itself turned supply off (%s). Look at it, then order "
            "supply on.",
            causes[status.trip_cause],
        )
        self._set("failed", error=why, done=True)
        self.env.cr.execute(
            SQL(
                "UPDATE energy_meter_control SET decision = 'tripped' WHERE meter_id = %s",
                self.meter_id.id,
            )
        )
        self.env["energy.meter.control"].invalidate_model(["decision"], flush=False)
        return why
