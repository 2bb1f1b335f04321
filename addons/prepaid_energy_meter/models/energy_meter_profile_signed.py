from contextlib import contextmanager
from dataclasses import replace

from odoo import api, fields, models

from ..modbus.errors import ProfileError
from .energy_meter_commissioned import SIGNED

#: Registers by which a meter was told from others, compared with its plate, and switched.
SIGNED_FOR = ("total", "serial", "supply_state", "ct_ratio", "pt_ratio")
# In the context it says that an outer change is compared as a whole; no request can carry it.
_COMPARED = object()


class EnergyMeterProfile(models.Model):
    """Sheets were signed for what their profile said: where that changes they are signed again."""

    _inherit = "energy.meter.profile"

    signed_again_count = fields.Integer(
        compute="_compute_signed_again_count",
        help="Meters whose commissioning sheet no longer counts once this change is saved.",
    )

    @api.depends(lambda self: self._map_fields())
    def _compute_signed_again_count(self):
        for profile in self:
            origin = profile._origin
            is_edited = bool(origin) and origin != profile
            is_changed = is_edited and origin._basis() != profile._basis()
            profile.signed_again_count = len(origin._sheets(SIGNED)) if is_changed else 0

    def write(self, vals):
        with self._compared():
            changed = self.with_context(energy_profile_compared=_COMPARED)
            return super(EnergyMeterProfile, changed).write(vals)

    @contextmanager
    def _compared(self):
        """Have sheets signed again where what they rest on is another one after the block."""
        if self.env.context.get("energy_profile_compared") is _COMPARED:
            yield
            return
        before = {profile: profile._basis() for profile in self}
        yield
        changed = self.filtered(lambda profile: profile._basis() != before[profile])
        changed._sheets(SIGNED)._supersede()
        changed._sheets(["draft"])._forget_shown()

    def _sheets(self, states):
        # sudo: sheets follow their meters' profile, whoever changes that and sees which sites
        return (
            self.env["energy.meter.commissioning"]
            .sudo()
            .search([("meter_id.profile_id", "in", self.ids), ("state", "in", states)])
        )

    def _basis(self):
        """Return what a sheet's signature rests on, for comparing; None: the map is not right."""
        self.ensure_one()
        try:
            profile = self._profile()
        except ProfileError:
            return None
        control = profile.control
        if control is not None:
            # How long it takes and who said so is not how it is switched.
            plain = {"settle": 0, "poll": 0, "fault_mask": 0, "certainty": "", "source": ""}
            control = control.is_usable and replace(control, confirmed="", **plain)
        registers = {
            register.meaning: (register.function, register.address, register.encoding)
            for register in profile.registers
            if register.meaning in SIGNED_FOR
        }
        return profile.values, control, registers
