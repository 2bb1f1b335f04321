from odoo import api, fields, models

COLUMNS = {
    "read_at": "timestamp",
    "total": "numeric",
    "power": "numeric",
    "voltage": "numeric",
    "current": "numeric",
    "is_online": "boolean",
    "seen_at": "timestamp",
    "supply_state": "varchar",
    "supply_seen_at": "timestamp",
    "misses": "integer",
    "clock_offset": "integer",
    "error": "varchar",
    "latency_ms": "integer",
    "trip_cause": "varchar",
    "alarms": "varchar",
}
TRIPS = [
    ("overload", "Overload"),
    ("load_control", "Load control"),
    ("over_voltage", "Voltage"),
    ("manual", "By hand at the meter"),
    ("fault", "Fault"),
    ("own_prepaid", "Its own prepaid state"),
    ("arrears", "Its own account"),
]
# Causes of danger, or of a person on site: no payment undoes them.
PROTECTION = ("overload", "load_control", "over_voltage", "manual", "fault")


class EnergyMeterStatus(models.Model):
    """What the field says of a meter: latest values, online, confirmed supply, errors.

    Written all day by whatever reads the meter and by nothing else, so it has no log columns, and
    no form ever saves it.
    """

    _name = "energy.meter.status"
    _description = "Meter status"
    _log_access = False
    _rec_name = "meter_id"

    meter_id = fields.Many2one(
        "energy.meter", required=True, readonly=True, index=True, ondelete="cascade"
    )
    site_id = fields.Many2one(related="meter_id.site_id")
    company_id = fields.Many2one(related="meter_id.company_id")
    read_at = fields.Datetime(string="Last Reading", readonly=True)
    total = fields.Float(string="Register", digits=(18, 4), readonly=True)
    power = fields.Float(digits=(14, 4), readonly=True, help="kW for electricity, m³/h for water.")
    voltage = fields.Float(string="Voltage (V)", digits=(10, 2), readonly=True)
    current = fields.Float(string="Current (A)", digits=(10, 3), readonly=True)
    is_online = fields.Boolean(string="Online", readonly=True)
    seen_at = fields.Datetime(string="Last Seen", readonly=True)
    supply_state = fields.Selection(
        [("on", "On"), ("off", "Off"), ("moving", "Moving"), ("unknown", "Unknown")],
        string="Supply",
        readonly=True,
        default="unknown",
        required=True,
        help="As read back from the relay or valve.",
    )
    supply_seen_at = fields.Datetime(readonly=True)
    supply_since = fields.Datetime(readonly=True, help="Since when supply is seen as it is.")
    trip_cause = fields.Selection(
        TRIPS,
        string="Tripped By",
        readonly=True,
        help="Why the meter turned supply off by itself, as its flags say.",
    )
    alarms = fields.Char(
        readonly=True,
        help="What the device reports of itself: fault, low_battery, ready (its protection lets it "
        "be turned on again).",
    )
    misses = fields.Integer(readonly=True, help="Attempts in a row without an answer.")
    clock_offset = fields.Integer(
        string="Clock Offset (s)",
        readonly=True,
        help="Seconds by which the meter's clock is ahead of the platform's, or behind where "
        "negative. Readings always go by the platform's clock.",
    )
    error = fields.Char(string="Last Error", readonly=True)
    latency_ms = fields.Integer(
        string="Answers After (ms)",
        readonly=True,
        help="Milliseconds from a request to its answer, in the last reading.",
    )

    _meter_uniq = models.UniqueIndex("(meter_id)", "A meter has one status.")

    @api.model
    def _report(self, rows):
        """Store what the field says; a key that a row does not have keeps its value.

        :param list rows: dicts with `meter_id` and any of the columns; one row a meter
        """
        groups = {}
        for row in rows:
            columns = tuple(name for name in COLUMNS if name in row)
            groups.setdefault(columns, []).append(row)
        for columns, members in groups.items():
            if not columns:
                continue
            assigned = ", ".join(f"{name} = new.{name}::{COLUMNS[name]}" for name in columns)
            if "supply_state" in columns:
                seen_at = "energy_now()"
                if "supply_seen_at" in columns:
                    seen_at = "COALESCE(new.supply_seen_at::timestamp, energy_now())"
                assigned += (
                    ", supply_since = CASE WHEN status.supply_state = new.supply_state"
                    f" THEN status.supply_since ELSE {seen_at} END"
                )
            # Only names from COLUMNS are put into the statement.
            self.env.cr.execute_values(
                f"UPDATE energy_meter_status AS status SET {assigned}"
                f"  FROM (VALUES %s) AS new(meter_id, {', '.join(columns)})"
                "  WHERE status.meter_id = new.meter_id",
                [
                    (row["meter_id"], *(row[name] for name in columns))
                    for row in sorted(members, key=lambda row: row["meter_id"])
                ],
            )
        self.invalidate_model([*COLUMNS, "supply_since"], flush=False)
