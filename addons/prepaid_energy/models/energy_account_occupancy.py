from odoo import fields, models
from odoo.exceptions import UserError

from .. import clock
from .energy_occupancy import ROLES


class EnergyAccount(models.Model):
    _inherit = "energy.account"

    occupancy_ids = fields.One2many("energy.occupancy", "account_id", string="Occupancies")
    occupancy_role = fields.Selection(
        ROLES,
        required=True,
        default="main",
        help="What the customer is in the rooms. A room has one main occupant at a time; "
        "a second account of the same customer stands beside his first.",
    )

    def write(self, vals):
        result = super().write(vals)
        if "room_ids" in vals:
            for account in self.filtered(lambda a: a.state in ("active", "suspended")):
                account._follow_rooms(clock.now(account.env.cr))
        return result

    def _present_occupancies(self):
        return self.occupancy_ids.filtered(lambda occupancy: not occupancy.end_at)

    def _follow_rooms(self, moment):
        """Begin and end occupancies so that they are those of the rooms chosen.

        :param datetime moment: naive UTC
        """
        self.ensure_one()
        gone = self._present_occupancies().filtered(
            lambda occupancy: occupancy.room_id not in self.room_ids
        )
        gone._end(moment)
        self._begin_occupancies(moment)

    def _begin_occupancies(self, moment):
        """Occupy the rooms of this account that it does not occupy yet.

        :param datetime moment: naive UTC
        :raise UserError: where a room has another main occupant, naming his account
        """
        self.ensure_one()
        rooms = self.room_ids - self._present_occupancies().room_id
        clashes = self._clashes(rooms, moment)
        if clashes:
            raise UserError("\n".join(clashes))
        taken = self._others_main(rooms, moment).room_id
        # sudo: occupancies are written by opening, closing and choosing rooms, by nobody directly
        self.env["energy.occupancy"].sudo().create(
            [
                {
                    "account_id": self.id,
                    "room_id": room.id,
                    "role": "co_tenant"
                    if room in taken and self.occupancy_role == "main"
                    else self.occupancy_role,
                    "start_at": moment,
                }
                for room in rooms
            ]
        )
        self.invalidate_recordset(["occupancy_ids"])

    def _end_occupancies(self, moment):
        """Leave all rooms, as closing does; the rooms chosen stay on the form.

        :param datetime moment: naive UTC
        """
        for account in self:
            account._present_occupancies()._end(moment)

    def _others_main(self, rooms, moment):
        # sudo: a clash counts whoever sees the other account
        found = self.env["energy.occupancy"].sudo()._main_over(rooms, moment)
        return found.filtered(lambda occupancy: occupancy.account_id != self)

    def _clashes(self, rooms, moment):
        """Return a sentence for each room whose main occupant is somebody else.

        :param rooms: recordset of `energy.property`
        :param datetime moment: naive UTC, from when on this account has them
        :rtype: list of str
        """
        self.ensure_one()
        if self.occupancy_role != "main":
            return []
        return [
            self.env._(
                "%(room)s: account %(account)s is the main occupant. Close it first, or choose "
                "another role in the room for this one.",
                room=occupancy.room_id.complete_name,
                account=occupancy.account_id.display_name,
            )
            for occupancy in self._others_main(rooms, moment)
            if occupancy.partner_id != self.partner_id
        ]
