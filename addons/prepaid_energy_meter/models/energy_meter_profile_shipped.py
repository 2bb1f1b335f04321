import json
from pathlib import Path

from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..modbus.profile import Profile

FOLDER = Path(__file__).parent.parent / "profiles"
# In the context it lets the loader change shipped profiles; no request can carry this object.
_LOADING = object()


class EnergyMeterProfile(models.Model):
    """Profiles that come as files of the add-on: loaded, and not edited."""

    _inherit = "energy.meter.profile"

    is_shipped = fields.Boolean(readonly=True, copy=False)

    def write(self, vals):
        if vals.keys() - {"active"}:
            self._refuse_shipped()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_shipped(self):
        self._refuse_shipped()

    def _refuse_shipped(self):
        loading = self.env.context.get("energy_loading") is _LOADING
        if not loading and any(self.mapped("is_shipped")):
            raise UserError(_("A shipped profile is not edited: copy it and edit the copy."))

    @api.model
    def _load_shipped(self):
        """Bring the shipped profiles in line with their files; doing it again changes nothing.

        :raise ProfileError: a file's map contradicts itself
        """
        shipped = self.with_context(energy_loading=_LOADING, active_test=False)
        for file in sorted(FOLDER.glob("*.json")):
            data = json.loads(file.read_text(encoding="utf-8"))
            wanted = Profile.from_dict(data)
            known = shipped.search([("code", "=", wanted.code), ("is_shipped", "=", True)])
            if known and known._profile() == wanted:
                continue
            values, registers = self._from_dict(data)
            commands = [fields.Command.clear(), *map(fields.Command.create, registers)]
            if known:
                known.write(dict(values, register_ids=commands))
            else:
                shipped.create(dict(values, is_shipped=True, register_ids=commands))
