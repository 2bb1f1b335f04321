from odoo import api, fields, models
from odoo.models import MAGIC_COLUMNS

# Which profile a part belongs to and where it stands there; not the part itself.
PLACE = ("profile_id", "sequence")


class EnergyMeterProfilePart(models.AbstractModel):
    """A line of a profile: judged with the whole map, and kept as it is where that is shipped."""

    _name = "energy.meter.profile.part"
    _description = "Part of a meter profile"
    _order = "profile_id, sequence, id"

    profile_id = fields.Many2one(
        "energy.meter.profile", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)

    @api.constrains(lambda self: self._map_fields())
    def _check_profile(self):
        self.profile_id._check_map()

    @api.model
    def _map_fields(self):
        """Return the names of the fields that a profile's map is made of."""
        return [
            name
            for name, field in self._fields.items()
            if field.store and name not in (*PLACE, *MAGIC_COLUMNS)
        ]

    @api.model_create_multi
    def create(self, vals_list):
        profiles = self.env["energy.meter.profile"].browse(
            {vals["profile_id"] for vals in vals_list if vals.get("profile_id")}
        )
        with profiles._compared():
            parts = super().create(vals_list)
            parts._changes()
        return parts

    def write(self, vals):
        self._changes()
        with (self.profile_id | self.profile_id.browse(vals.get("profile_id")))._compared():
            return super().write(vals)

    def unlink(self):
        self._changes()
        with self.profile_id._compared():
            return super().unlink()

    def _changes(self):
        """Refuse changes of a shipped profile, and have connectors load any other one anew."""
        self.profile_id._refuse_shipped()
        self.env["energy.gateway"]._notify_field()
