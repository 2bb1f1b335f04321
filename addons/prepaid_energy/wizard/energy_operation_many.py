from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL


class EnergyOperation(models.TransientModel):
    """Turning off many rooms takes a second confirmation: their number, typed."""

    _inherit = "energy.operation"

    room_count = fields.Integer(compute="_compute_room_count")
    is_many = fields.Boolean(compute="_compute_room_count")
    typed_count = fields.Integer(
        string="Rooms That Go Dark",
        help="So many rooms are turned off only when their number is typed here.",
    )

    @api.depends("action", "line_ids.meter_id")
    def _compute_room_count(self):
        for operation in self:
            meters = operation.line_ids.meter_id
            operation.room_count = len(meters.property_id)
            operation.is_many = operation.action == "off" and operation._is_many(meters)

    def _is_many(self, meters):
        """Whether this user turns off more rooms than allowed, with those of the last hour."""
        # sudo: whoever may switch need not see the site's settings
        limits = meters.site_id.sudo().mapped("off_rooms_confirmed")
        if not limits:
            return False
        self.env.cr.execute(
            SQL(
                """
            SELECT DISTINCT m.property_id FROM energy_command c
              JOIN energy_meter m ON m.id = c.meter_id
             WHERE c.user_id = %s AND c.cause = 'person' AND c.value = 'off'
               AND c.created_at > energy_now() - interval '1 hour'
            """,
                self.env.uid,
            )
        )
        before = {row[0] for row in self.env.cr.fetchall()}
        return len(before | set(meters.property_id.ids)) > min(limits)

    def _check_ready(self):
        """Override: refuse to turn off many rooms whose number was not typed."""
        result = super()._check_ready()
        if self.is_many and self.typed_count != self.room_count:
            raise UserError(
                _(
                    "%s rooms go dark, with those of the last hour more than one person turns off "
                    "unasked: type their number to confirm.",
                    self.room_count,
                )
            )
        return result
