from collections import Counter

from odoo import _, api, fields, models
from odoo.tools import SQL

# Prices that rose by as much since the version before are pointed out.
STEEP = 1.5


class EnergyCutBreakerLine(models.Model):
    """A cut that waits in the list of mass cut-offs, with what it rests on as it was stopped.

    A cut that has a line was, or is to be, released by a person: it counts for no limit.
    """

    _name = "energy.cut.breaker.line"
    _description = "Held cut"
    _order = "property_id, id"
    _rec_name = "property_id"

    breaker_id = fields.Many2one(
        "energy.cut.breaker", required=True, readonly=True, index=True, ondelete="restrict"
    )
    command_id = fields.Many2one(
        "energy.command", required=True, readonly=True, ondelete="restrict"
    )
    meter_id = fields.Many2one(
        "energy.meter", required=True, readonly=True, index=True, ondelete="cascade"
    )
    property_id = fields.Many2one(
        "energy.property", string="Room", readonly=True, ondelete="restrict"
    )
    account_id = fields.Many2one("energy.account", readonly=True, ondelete="restrict")
    partner_id = fields.Many2one(related="account_id.partner_id", string="Customer")
    site_id = fields.Many2one(related="breaker_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="breaker_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    ordered_at = fields.Datetime(related="command_id.created_at")
    balance = fields.Monetary(readonly=True, help="As it was at the decision.")
    balance_now = fields.Monetary(related="account_id.balance", string="Balance Now")
    missing = fields.Monetary(readonly=True, help="What would have brought supply back.")
    why = fields.Char(related="command_id.reason", string="Cause")
    read_at = fields.Datetime(string="Last Reading", readonly=True)
    register = fields.Float(digits=(18, 4), readonly=True)
    quantity = fields.Float(
        string="Consumption",
        digits=(16, 3),
        readonly=True,
        help="kWh or m³ of the present and the previous day.",
    )
    amount = fields.Monetary(readonly=True, help="For the use of the present and the previous day.")
    version_id = fields.Many2one("energy.tariff.version", readonly=True, ondelete="restrict")
    price = fields.Float(
        string="Price Now",
        digits=(16, 6),
        readonly=True,
        aggregator="avg",
        help="What a unit of use cost on average by the present tariff version.",
    )
    price_before = fields.Float(
        digits=(16, 6),
        readonly=True,
        aggregator="avg",
        help="What a unit of use cost on average in the month before that version.",
    )
    is_steep = fields.Boolean(
        string="Price Rose",
        compute="_compute_is_steep",
        help="A unit costs at least half as much again as before the present tariff version.",
    )
    is_held = fields.Boolean(string="Held", compute="_compute_is_held")
    outcome = fields.Selection(
        [
            ("held", "Waits for release"),
            ("dropped", "Need not be cut any more"),
            ("released", "Released"),
            ("discarded", "Discarded"),
        ],
        compute="_compute_is_held",
    )
    decision = fields.Selection(
        [("released", "Released"), ("discarded", "Discarded")], readonly=True
    )
    user_id = fields.Many2one("res.users", readonly=True, ondelete="restrict")
    decided_at = fields.Datetime(readonly=True)

    _command_uniq = models.UniqueIndex("(command_id)", "A cut is held once.")

    @api.depends("command_id.state", "decision")
    def _compute_is_held(self):
        self.env["energy.command"].flush_model()
        last = self.env.execute_query(
            SQL(
                """
            SELECT c.id FROM energy_command c
             WHERE c.id = ANY(%s) AND c.state = 'queued'
               AND NOT EXISTS (SELECT 1 FROM energy_command h
                                WHERE h.meter_id = c.meter_id AND h.kind = 'supply'
                                  AND h.number > c.number
                                  AND h.waits_for IS DISTINCT FROM 'service')
            """,
                self.command_id.ids,
            )
        )
        waiting = {row[0] for row in last}
        for line in self:
            waits = line.command_id.id in waiting
            line.is_held = not line.decision and waits
            line.outcome = line.decision or ("held" if waits else "dropped")

    @api.depends("price", "price_before")
    def _compute_is_steep(self):
        for line in self:
            line.is_steep = line.price_before > 0 and line.price >= STEEP * line.price_before

    def action_open_entries(self):
        """Open the balance entries of this account: each explains how its amount was made."""
        self.ensure_one()
        return self.account_id.action_open_entries()

    @api.model
    def _of(self, breaker, commands, **values):
        """Make the lines of cuts, with what is known of each.

        :param breaker: the list they are in
        :param commands: recordset of `energy.command`
        :param values: further values of all
        """
        self.env.flush_all()
        rows = self.env.execute_query_dict(
            SQL(
                """
            SELECT c.id AS command_id, c.meter_id, m.property_id,
                   COALESCE(c.account_id, s.account_id) AS account_id,
                   ctl.decided_balance AS balance, ctl.missing, st.read_at,
                   st.total AS register, v.id AS version_id, used.quantity, used.amount,
                   used.price, former.price AS price_before
              FROM energy_command c
              JOIN energy_meter m ON m.id = c.meter_id
              JOIN energy_property site ON site.id = m.site_id
             CROSS JOIN LATERAL (
                   SELECT (energy_now() AT TIME ZONE 'UTC' AT TIME ZONE site.tz)::date AS today) d
              LEFT JOIN energy_meter_control ctl ON ctl.meter_id = m.id
              LEFT JOIN energy_meter_status st ON st.meter_id = m.id
              LEFT JOIN energy_supply s ON s.meter_id = m.id AND s.start_at <= energy_now()
                   AND (s.end_at IS NULL OR s.end_at > energy_now())
              LEFT JOIN LATERAL (
                   SELECT u.version_id AS id FROM energy_usage u
                    WHERE u.supply_id = s.id AND u.local_date > d.today - 62
                    ORDER BY u.local_date DESC, u.version_id DESC LIMIT 1) v ON TRUE
              LEFT JOIN LATERAL (
                   SELECT sum(u.quantity) FILTER (WHERE u.local_date >= d.today - 1) AS quantity,
                          sum(u.amount) FILTER (WHERE u.local_date >= d.today - 1) AS amount,
                          sum(u.amount) FILTER (WHERE u.version_id = v.id)
                          / NULLIF(sum(u.quantity) FILTER (WHERE u.version_id = v.id), 0) AS price
                     FROM energy_usage u
                    WHERE u.supply_id = s.id AND u.local_date > d.today - 31) used ON TRUE
              LEFT JOIN LATERAL (
                   SELECT sum(u.amount) / NULLIF(sum(u.quantity), 0) AS price
                     FROM energy_usage u
                    WHERE u.supply_id = s.id AND u.version_id <> v.id
                      AND u.local_date > d.today - 62) former ON TRUE
             WHERE c.id = ANY(%s) ORDER BY c.id
            """,
                commands.ids,
            )
        )
        return self.create([{"breaker_id": breaker.id, **row, **values} for row in rows])

    def _hint(self):
        """Return what these cuts have in common that speaks for a mistake; empty if nothing."""
        rooms = len(self)
        if rooms < 2:
            return ""
        hints = []
        [(version, count)] = Counter(line.version_id for line in self).most_common(1)
        if version and 2 * count > rooms:
            hints.append(
                _(
                    "%(count)s of %(rooms)s are priced by “%(tariff)s”, in force from %(day)s.",
                    count=count,
                    rooms=rooms,
                    tariff=version.tariff_id.name,
                    day=fields.Date.to_string(version.date_from),
                )
            )
        steep = len(self.filtered("is_steep"))
        if steep:
            hints.append(
                _(
                    "For %(count)s of %(rooms)s a unit costs at least half as much again as before "
                    "the present tariff version: make sure that the new price is right.",
                    count=steep,
                    rooms=rooms,
                )
            )
        return " ".join(hints)
