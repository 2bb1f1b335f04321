from odoo import api, fields, models
from odoo.tools import SQL

from .energy_meter import COMMODITIES
from .energy_meter_control import DECISIONS, MODES
from .energy_meter_status import TRIPS

FEE_STATES = [
    ("not_opened", "Not opened"),
    ("normal", "Normal"),
    ("alarm_1", "Alarm 1"),
    ("alarm_2", "Alarm 2"),
    ("alarm_3", "Alarm 3"),
    ("arrears", "In arrears"),
    ("off", "Off"),
    ("held_on", "Held on"),
    ("forced_off", "Forced off"),
]
# Colours of Odoo's palette on the monitor's cards.
COLORS = {
    "normal": 10,
    "alarm_1": 3,
    "alarm_2": 3,
    "alarm_3": 6,
    "arrears": 2,
    "off": 1,
    "held_on": 8,
    "forced_off": 9,
}
CHANGED = "prepaid_energy/rooms"


class EnergyRoom(models.Model):
    """The room list: one row a meter with its room, account, balance, supply and today's use.

    The row's id is the meter's.
    """

    _name = "energy.room"
    _description = "Room"
    _auto = False
    _order = "site_id, building_id, floor_id, property_id, commodity, id"
    _rec_name = "property_id"
    _depends = {
        "energy.meter": [
            "property_id",
            "site_id",
            "company_id",
            "commodity",
            "active",
            "driver",
        ],
        "energy.meter.status": [
            "meter_id",
            "supply_state",
            "trip_cause",
            "is_online",
            "seen_at",
            "total",
            "read_at",
            "power",
        ],
        "energy.meter.control": ["meter_id", "mode", "decision"],
        "energy.command": ["meter_id", "state"],
        "energy.account": ["state", "partner_id", "credit_policy_id", "payment_mode"],
        "energy.wallet": ["account_id", "commodity", "balance"],
        "energy.credit.policy": ["overdraft", "cut_off"],
        "energy.credit.level": ["policy_id", "sequence", "amount"],
        "energy.supply": ["account_id", "meter_id", "start_at", "end_at"],
        "energy.supply.term": ["supply_id", "since", "tariff_id"],
        "energy.property": ["name", "building_id", "floor_id", "supply_state", "is_trial", "tz"],
        "energy.usage": ["meter_id", "account_id", "local_date", "quantity", "amount"],
        "res.company": ["currency_id"],
    }

    meter_id = fields.Many2one("energy.meter", readonly=True)
    property_id = fields.Many2one("energy.property", string="Room", readonly=True)
    room = fields.Char(string="Room Name", readonly=True)
    site_id = fields.Many2one("energy.property", readonly=True)
    building_id = fields.Many2one("energy.property", readonly=True)
    floor_id = fields.Many2one("energy.property", readonly=True)
    building = fields.Char(string="Building Name", readonly=True)
    floor = fields.Char(string="Floor Name", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    commodity = fields.Selection(COMMODITIES, readonly=True)
    account_id = fields.Many2one("energy.account", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    payment_mode = fields.Selection(
        [("prepaid", "Prepaid"), ("postpaid", "Postpaid")], readonly=True
    )
    supply_id = fields.Many2one("energy.supply", string="Contract Supply", readonly=True)
    fee_state = fields.Selection(FEE_STATES, string="State", readonly=True)
    is_driven = fields.Boolean(
        string="Read Automatically",
        readonly=True,
        help="Otherwise its readings are typed or imported.",
    )
    is_online = fields.Boolean(string="Online", readonly=True)
    seen_at = fields.Datetime(string="Last Seen", readonly=True)
    supply_state = fields.Selection(
        [("on", "On"), ("off", "Off"), ("moving", "Moving"), ("unknown", "Unknown")],
        string="Supply",
        readonly=True,
    )
    trip_cause = fields.Selection(TRIPS, string="Tripped By", readonly=True)
    mode = fields.Selection(MODES, readonly=True)
    decision = fields.Selection(DECISIONS, readonly=True)
    site_supply_state = fields.Selection(
        [("watch", "Watch"), ("trial", "Trial"), ("live", "Live")],
        string="Arrears Cuts",
        readonly=True,
    )
    decision_reason = fields.Char(string="Why", compute="_compute_decision_reason")
    is_waiting = fields.Boolean(string="Command Waiting", readonly=True)
    is_in_arrears = fields.Boolean(
        string="In Arrears", readonly=True, help="Has reached the cut-off threshold, cut or not."
    )
    color = fields.Integer(compute="_compute_color")
    balance = fields.Monetary(
        readonly=True, aggregator=False, help="As of the last posted reading."
    )
    reading = fields.Float(digits=(18, 2), readonly=True, aggregator=False)
    read_at = fields.Datetime(readonly=True)
    power = fields.Float(
        digits=(14, 3), readonly=True, aggregator=False, help="kW for electricity, m³/h for water."
    )
    unit = fields.Char(readonly=True)
    use_today = fields.Float(digits=(16, 2), readonly=True, aggregator=False, help="kWh or m³.")
    amount_today = fields.Float(string="Cost Today", digits=(16, 2), readonly=True)
    tariff_id = fields.Many2one("energy.tariff", readonly=True)
    active = fields.Boolean(readonly=True)

    @property
    def _table_query(self):
        return SQL("""
            SELECT m.id, m.id AS meter_id, m.property_id, room.name AS room, m.site_id,
                   room.building_id, room.floor_id, building.name AS building,
                   floor.name AS floor, m.company_id, company.currency_id, m.commodity,
                   m.active, a.id AS account_id, a.partner_id, s.id AS supply_id,
                   CASE WHEN a.id IS NULL OR a.state <> 'active' THEN 'not_opened'
                        WHEN c.mode = 'held_on' THEN 'held_on'
                        WHEN c.mode = 'forced_off' THEN 'forced_off'
                        WHEN st.supply_state = 'off' THEN 'off'
                        WHEN a.payment_mode = 'postpaid' THEN 'normal'
                        WHEN w.balance + COALESCE(p.overdraft, 0) <= COALESCE(p.cut_off, 0)
                        THEN 'arrears'
                        WHEN w.balance <= alarm.third THEN 'alarm_3'
                        WHEN w.balance <= alarm.second THEN 'alarm_2'
                        WHEN w.balance <= alarm.first THEN 'alarm_1'
                        ELSE 'normal' END AS fee_state, a.payment_mode,
                   COALESCE(a.state = 'active' AND a.payment_mode = 'prepaid'
                            AND w.balance + COALESCE(p.overdraft, 0)
                            <= COALESCE(p.cut_off, 0), FALSE) AS is_in_arrears,
                   term.tariff_id, (m.driver <> 'none') AS is_driven,
                   COALESCE(st.is_online, FALSE) AS is_online, st.seen_at, st.supply_state,
                   st.trip_cause,
                   c.mode, c.decision, site.supply_state AS site_supply_state,
                   EXISTS (SELECT 1 FROM energy_command o WHERE o.meter_id = m.id
                              AND o.state IN ('queued', 'sent')) AS is_waiting,
                   w.balance, st.total AS reading, st.read_at, st.power,
                   CASE m.commodity WHEN 'electricity' THEN 'kWh' ELSE 'm³' END AS unit,
                   COALESCE(today.quantity, 0) AS use_today,
                   COALESCE(today.amount, 0) AS amount_today
              FROM energy_meter m
              JOIN (SELECT energy_now() AS now) n ON TRUE
              JOIN energy_property room ON room.id = m.property_id
              JOIN energy_property site ON site.id = m.site_id
              JOIN res_company company ON company.id = m.company_id
              LEFT JOIN energy_property building ON building.id = room.building_id
              LEFT JOIN energy_property floor ON floor.id = room.floor_id
              LEFT JOIN energy_meter_status st ON st.meter_id = m.id
              LEFT JOIN energy_meter_control c ON c.meter_id = m.id
              LEFT JOIN energy_supply s ON s.meter_id = m.id AND s.start_at <= n.now
                   AND (s.end_at IS NULL OR s.end_at > n.now)
              LEFT JOIN energy_account a ON a.id = s.account_id
              LEFT JOIN LATERAL (
                   SELECT t.tariff_id FROM energy_supply_term t
                    WHERE t.supply_id = s.id AND t.since <= n.now
                    ORDER BY t.since DESC LIMIT 1) term ON TRUE
              LEFT JOIN energy_credit_policy p ON p.id = a.credit_policy_id
              LEFT JOIN (
                   SELECT policy_id, max(amount) FILTER (WHERE sequence = 1) AS first,
                          max(amount) FILTER (WHERE sequence = 2) AS second,
                          max(amount) FILTER (WHERE sequence = 3) AS third
                     FROM energy_credit_level GROUP BY policy_id) alarm ON alarm.policy_id = p.id
              LEFT JOIN LATERAL (
                   SELECT w.balance FROM energy_wallet w
                    WHERE w.account_id = a.id
                      AND (w.commodity = m.commodity OR w.commodity IS NULL)
                    ORDER BY w.commodity NULLS LAST LIMIT 1) w ON TRUE
              LEFT JOIN LATERAL (
                   SELECT sum(x.quantity) AS quantity, sum(x.amount) AS amount
                     FROM energy_usage x
                    WHERE x.meter_id = m.id AND x.account_id = a.id AND x.local_date
                          = (n.now AT TIME ZONE 'UTC' AT TIME ZONE site.tz)::date) today ON TRUE
        """)

    def _compute_decision_reason(self):
        # sudo: the sentence explains the state of a room that the user may see
        controls = (
            self.env["energy.meter.control"].sudo().search([("meter_id", "in", self.meter_id.ids)])
        )
        reasons = {control.meter_id.id: control.decision_reason for control in controls}
        for room in self:
            room.decision_reason = reasons.get(room.meter_id.id)

    @api.depends("fee_state")
    def _compute_color(self):
        for room in self:
            room.color = COLORS.get(room.fee_state, 0)

    @api.model
    def _tell(self):
        """The step *tell*, to staff: room lists on screens read themselves again.

        Sent with the commit, at most once a transaction however often it is called.
        """
        pending = self.env.cr.precommit.data
        if not pending.get(CHANGED):
            pending[CHANGED] = True
            # sudo: every settling and confirming transaction tells, whoever runs it
            self.env.ref("prepaid_energy.group_energy_viewer").sudo()._bus_send(CHANGED, {})

    def action_operate(self):
        """Ask for the details of the operation named in the context and carry it out."""
        return self.env["energy.operation"]._open(
            self.meter_id, self.env.context.get("energy_action", "read")
        )

    def action_top_up(self):
        """Sell to the account of this room."""
        self.ensure_one()
        return self.account_id.action_top_up()

    def action_open_account(self):
        """Open the account of this room."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.account",
            "res_id": self.account_id.id,
            "view_mode": "form",
        }

    def action_open_meter(self):
        """Open the meter of this row."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.meter",
            "res_id": self.meter_id.id,
            "view_mode": "form",
        }

    def action_open_readings(self):
        """Open the readings of this row's meter."""
        return self.meter_id.action_open_readings()

    def action_type_reading(self):
        """Type a register of these rows' meters."""
        return self.meter_id.action_type_reading()

    def action_open_commands(self):
        """Open the commands of this row's meter."""
        return self.meter_id.action_open_commands()

    def action_open_findings(self):
        """Open the findings of this row's meter."""
        return self.meter_id.action_open_findings()

    def action_open_usage(self):
        """Open the consumption of this row's meter."""
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_usage")
        return dict(action, domain=[("meter_id", "in", self.meter_id.ids)])

    def action_open_entries(self):
        """Open the balance entries of this room's account."""
        return self.account_id.action_open_entries()
