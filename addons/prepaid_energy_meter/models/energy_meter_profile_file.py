import base64
import json

from odoo import fields, models


class EnergyMeterProfile(models.Model):
    """Profiles as files: the same text as in the folder of the shipped ones."""

    _inherit = "energy.meter.profile"

    file = fields.Binary(compute="_compute_file", export_string_translation=False)

    def _compute_file(self):
        for profile in self:
            text = profile._as_text() if profile._origin else ""
            profile.file = base64.b64encode(text.encode())

    def _as_text(self):
        """Return the profile as the text of its file, a register a line."""
        self.ensure_one()
        data = self._as_dict()
        registers = ",\n".join(
            f"    {json.dumps(row, ensure_ascii=False)}" for row in data["registers"]
        )
        mark = "registers of the profile"
        text = json.dumps({**data, "registers": mark}, ensure_ascii=False, indent=2)
        return text.replace(json.dumps(mark), f"[\n{registers}\n  ]") + "\n"

    def action_export(self):
        """Download the profile as a file."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{self._name}/{self.id}/file/{self.code}.json?download=true",
            "target": "download",
        }

    def action_copy(self):
        """Copy the profile and open the copy."""
        self.ensure_one()
        return self.copy()._open()

    def action_open_meters(self):
        """Open the meters that are read by this profile."""
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_meter")
        return dict(action, domain=[("profile_id", "in", self.ids)], context={})

    def _open(self):
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }
