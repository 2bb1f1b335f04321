from odoo import api, fields, models
from odoo.tools import SQL

ROLES = [("main", "Main Occupant"), ("co_tenant", "Co-Tenant"), ("owner", "Owner")]


class EnergyOccupancy(models.Model):
    """An account has a room from one moment to another.

    Written by opening and closing accounts and by changing their rooms. A room has one main
    occupancy at a moment; a second account of the same customer, co-tenants and the owner stand
    beside it.
    """

    _name = "energy.occupancy"
    _description = "Occupancy"
    _order = "room_id, start_at desc, id desc"
    _rec_name = "account_id"
    _check_company_auto = True

    account_id = fields.Many2one(
        "energy.account",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    room_id = fields.Many2one(
        "energy.property",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
        check_company=True,
    )
    partner_id = fields.Many2one(related="account_id.partner_id")
    account_state = fields.Selection(related="account_id.state")
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    role = fields.Selection(ROLES, required=True, readonly=True, default="main")
    start_at = fields.Datetime(string="From", required=True, readonly=True)
    end_at = fields.Datetime(string="Until", readonly=True)

    _check_times = models.Constraint(
        "CHECK (end_at IS NULL OR end_at > start_at)", "An occupancy ends after it begins."
    )
    _main_excl = models.Constraint(
        "EXCLUDE USING gist (int4range(room_id, room_id, '[]') WITH &&,"
        " tsrange(start_at, end_at) WITH &&) WHERE (role = 'main')",
        "The room has another main occupant at that time.",
    )

    @api.depends("account_id.display_name", "room_id.display_name")
    def _compute_display_name(self):
        for occupancy in self:
            occupancy.display_name = (
                f"{occupancy.room_id.display_name}: {occupancy.account_id.display_name}"
            )

    @api.model
    def _main_over(self, rooms, start_at, end_at=None):
        """Return the main occupancies that overlap a time.

        :param rooms: recordset of `energy.property`
        :param datetime start_at: naive UTC
        :param datetime end_at: naive UTC, None for no end
        :rtype: recordset of `energy.occupancy`
        """
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM energy_occupancy WHERE role = 'main' AND room_id = ANY(%s)"
                " AND tsrange(start_at, end_at) && tsrange(%s::timestamp, %s::timestamp)"
                " ORDER BY room_id, start_at",
                rooms.ids,
                start_at,
                end_at,
            )
        )
        return self.browse(row[0] for row in rows)

    def _end(self, moment):
        """End these occupancies; one that would not have begun by then never was.

        :param datetime moment: naive UTC
        """
        # sudo: occupancies are written by opening, closing and choosing rooms, by nobody directly
        occupancies = self.sudo()
        never = occupancies.filtered(lambda occupancy: occupancy.start_at >= moment)
        accounts = occupancies.account_id
        (occupancies - never).end_at = moment
        never.unlink()
        accounts.invalidate_recordset(["occupancy_ids"])
