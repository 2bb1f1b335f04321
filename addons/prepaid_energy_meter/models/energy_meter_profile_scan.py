from odoo import models

from ..modbus.errors import ProfileError
from ..modbus.scanning import identifying


class EnergyMeterProfile(models.Model):
    _inherit = "energy.meter.profile"

    def _scanned_by(self):
        """Return the meaning of the register that a scan tells this type by, "" if by none."""
        self.ensure_one()
        try:
            profile = self._profile()
        except ProfileError:
            return ""
        register = identifying(profile)
        usable = register is not None and register.certainty != "C" and not profile.is_template
        return register.meaning if usable else ""
