from datetime import timedelta

from odoo import _, fields, models
from odoo.exceptions import AccessError

#: Project time in which an order to a gateway has to begin.
ORDER_LIFE = timedelta(minutes=10)


class EnergyGateway(models.Model):
    _inherit = "energy.gateway"

    last_number = fields.Integer(
        string="Last Order", readonly=True, required=True, default=0, copy=False
    )

    def _order_job(self, kind, arguments, reason=None):
        """Order a probe or a scan of this gateway; the connector carries it out.

        :param str kind: "probe" with arguments unit, profile (id) and meter (id or None); "scan"
            with first, last and profiles (ids)
        :param dict arguments: as JSON can hold them
        :return: the order
        :rtype: energy.command
        """
        self.ensure_one()
        self.check_access("read")
        if not self.env.su and not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers probe and scan."))
        self.flush_recordset()
        ids = self.env["energy.command"]._command(
            [
                {
                    "gateway_id": self.id,
                    "kind": kind,
                    "cause": "person",
                    "reason": reason,
                    "user_id": self.env.uid,
                    "arguments": arguments,
                    "life": ORDER_LIFE,
                }
            ]
        )
        self.invalidate_recordset(["last_number"], flush=False)
        return self.env["energy.command"].browse(ids)
