from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..bulk import values
from ..engine import interpolate, round_half_up
from ..local_time import local_date

HELD_REASONS = [
    ("future", "From the future"),
    ("negative", "Below zero"),
    ("fell", "Register fell"),
    ("too_fast", "More than can pass"),
    ("not_a_number", "Not a number"),
    ("between", "Does not fit between its neighbours"),
    ("unusual", "Much more than usual"),
    ("bands", "Rate periods do not add up"),
    ("multiplier", "Another multiplier"),
    ("stranger", "Another meter answers"),
]


class EnergyReading(models.Model):
    """One row a meter and moment, partitioned by month behind an updatable view.

    `_ingest`, a person's correction (`energy_reading_review.py`) and `energy.estimate` are the only
    code that inserts readings. Later only their state and who decided about it changes; the
    database refuses everything else. There is at most one accepted reading of a meter at a moment.
    Linked to by (meter, moment), never by many2one.
    """

    _name = "energy.reading"
    _description = "Reading"
    _auto = False
    _log_access = False
    _order = "moment desc, meter_id"
    _rec_name = "meter_id"

    meter_id = fields.Many2one("energy.meter", readonly=True, required=True)
    commodity = fields.Selection(related="meter_id.commodity")
    property_id = fields.Many2one(related="meter_id.property_id")
    moment = fields.Datetime(readonly=True, required=True)
    total = fields.Float(
        string="Reading",
        digits=(18, 4),
        readonly=True,
        aggregator="max",
        help="Total register in kWh or m³, before the multiplier.",
    )
    band_1 = fields.Float(
        string="Critical Peak Register", digits=(18, 4), readonly=True, aggregator=False
    )
    band_2 = fields.Float(string="Peak Register", digits=(18, 4), readonly=True, aggregator=False)
    band_3 = fields.Float(string="Flat Register", digits=(18, 4), readonly=True, aggregator=False)
    band_4 = fields.Float(string="Valley Register", digits=(18, 4), readonly=True, aggregator=False)
    band_5 = fields.Float(
        string="Deep Valley Register", digits=(18, 4), readonly=True, aggregator=False
    )
    band_6 = fields.Float(string="Register 6", digits=(18, 4), readonly=True, aggregator=False)
    band_7 = fields.Float(string="Register 7", digits=(18, 4), readonly=True, aggregator=False)
    band_8 = fields.Float(string="Register 8", digits=(18, 4), readonly=True, aggregator=False)
    source = fields.Selection(
        [("poll", "Polled"), ("typed", "Typed"), ("import", "Imported"), ("estimate", "Estimated")],
        readonly=True,
        required=True,
    )
    state = fields.Selection(
        [
            ("accepted", "Accepted"),
            ("held", "Held"),
            ("rejected", "Rejected"),
            ("superseded", "Superseded"),
        ],
        readonly=True,
        required=True,
    )
    reason = fields.Selection(
        HELD_REASONS,
        string="Held Because",
        readonly=True,
    )
    expected = fields.Char(readonly=True, help="What would have been believed.")
    site_id = fields.Many2one("energy.property", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    user_id = fields.Many2one("res.users", readonly=True)
    is_baseline = fields.Boolean(
        string="Begins Anew",
        readonly=True,
        help="The register begins anew here: what lies between the reading before and this one is "
        "not use.",
    )
    origin = fields.Integer(
        string="Corrects",
        readonly=True,
        help="Number of the reading that this one corrects; of an estimate, the last real reading, "
        "from which it goes on.",
    )
    note = fields.Char(string="Reason Given", readonly=True)
    decided_by_id = fields.Many2one("res.users", readonly=True)
    decided_at = fields.Datetime(readonly=True)

    def init(self):
        self.env.cr.execute("""
            CREATE SEQUENCE IF NOT EXISTS energy_reading_id_seq AS bigint;

            CREATE TABLE IF NOT EXISTS energy_reading_data (
                id bigint NOT NULL DEFAULT nextval('energy_reading_id_seq'),
                meter_id integer NOT NULL REFERENCES energy_meter ON DELETE RESTRICT,
                moment timestamp NOT NULL,
                total numeric,
                band_1 numeric, band_2 numeric, band_3 numeric, band_4 numeric,
                band_5 numeric, band_6 numeric, band_7 numeric, band_8 numeric,
                source varchar NOT NULL,
                state varchar NOT NULL,
                reason varchar,
                expected varchar,
                site_id integer NOT NULL,
                company_id integer NOT NULL,
                user_id integer,
                is_baseline boolean,
                origin bigint,
                note varchar,
                decided_by_id integer,
                decided_at timestamp,
                PRIMARY KEY (id, moment)
            ) PARTITION BY RANGE (moment);

            CREATE TABLE IF NOT EXISTS energy_reading_data_default
                PARTITION OF energy_reading_data DEFAULT;

            CREATE UNIQUE INDEX IF NOT EXISTS energy_reading_data_accepted_uniq
                ON energy_reading_data (meter_id, moment) WHERE state = 'accepted';
            CREATE INDEX IF NOT EXISTS energy_reading_data_aside_idx
                ON energy_reading_data (meter_id, moment) WHERE state <> 'accepted';
            CREATE INDEX IF NOT EXISTS energy_reading_data_estimate_idx
                ON energy_reading_data (meter_id, moment)
             WHERE source = 'estimate' AND state = 'accepted';

            CREATE OR REPLACE FUNCTION energy_reading_refuse_change() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP = 'DELETE'
                   AND current_setting('prepaid_energy.moves_readings', TRUE) = 'on' THEN
                    RETURN OLD;
                END IF;
                RAISE EXCEPTION 'Readings are never changed or deleted: a wrong one is rejected, '
                                'or corrected by another.' USING ERRCODE = 'restrict_violation';
            END $$;

            CREATE OR REPLACE TRIGGER energy_reading_refuse_delete
            BEFORE DELETE ON energy_reading_data
            FOR EACH ROW EXECUTE FUNCTION energy_reading_refuse_change();

            CREATE OR REPLACE TRIGGER energy_reading_refuse_update
            BEFORE UPDATE ON energy_reading_data FOR EACH ROW
            WHEN ((OLD.id, OLD.meter_id, OLD.moment, OLD.total, OLD.band_1, OLD.band_2, OLD.band_3,
                   OLD.band_4, OLD.band_5, OLD.band_6, OLD.band_7, OLD.band_8, OLD.source,
                   OLD.site_id, OLD.company_id, OLD.user_id, OLD.origin)
                  IS DISTINCT FROM
                  (NEW.id, NEW.meter_id, NEW.moment, NEW.total, NEW.band_1, NEW.band_2, NEW.band_3,
                   NEW.band_4, NEW.band_5, NEW.band_6, NEW.band_7, NEW.band_8, NEW.source,
                   NEW.site_id, NEW.company_id, NEW.user_id, NEW.origin))
            EXECUTE FUNCTION energy_reading_refuse_change();

            CREATE OR REPLACE TRIGGER energy_reading_refuse_truncate
            BEFORE TRUNCATE ON energy_reading_data
            FOR EACH STATEMENT EXECUTE FUNCTION energy_reading_refuse_change();

            CREATE OR REPLACE FUNCTION energy_reading_partition(first date) RETURNS void
            LANGUAGE plpgsql AS $$
            DECLARE
                part text := 'energy_reading_data_' || to_char(first, 'YYYY_MM');
                until date := first + interval '1 month';
            BEGIN
                IF to_regclass(part) IS NOT NULL THEN RETURN; END IF;
                EXECUTE format('CREATE TABLE %I (LIKE energy_reading_data INCLUDING DEFAULTS '
                               'INCLUDING CONSTRAINTS)', part);
                PERFORM set_config('prepaid_energy.moves_readings', 'on', TRUE);
                EXECUTE format('WITH moved AS (DELETE FROM energy_reading_data_default '
                               'WHERE moment >= %L AND moment < %L RETURNING *) '
                               'INSERT INTO %I SELECT * FROM moved', first, until, part);
                PERFORM set_config('prepaid_energy.moves_readings', '', TRUE);
                EXECUTE format('ALTER TABLE energy_reading_data ATTACH PARTITION %I '
                               'FOR VALUES FROM (%L) TO (%L)', part, first, until);
            END $$;

            CREATE OR REPLACE VIEW energy_reading AS SELECT * FROM energy_reading_data;
            ALTER VIEW energy_reading ALTER COLUMN id SET DEFAULT nextval('energy_reading_id_seq');
        """)
        self._make_partitions()

    @api.model
    def _make_partitions(self, ahead=3):
        """Make the partitions of last month, this one and the months ahead."""
        self.env.cr.execute(
            SQL(
                "SELECT energy_reading_partition("
                "  (date_trunc('month', energy_now()) + n * interval '1 month')::date)"
                "  FROM generate_series(-1, %s) AS n",
                ahead,
            )
        )

    @api.depends("meter_id.name", "moment")
    def _compute_display_name(self):
        for reading in self:
            reading.display_name = f"{reading.meter_id.name} {reading.moment:%Y-%m-%d %H:%M}"

    @api.model_create_multi
    def create(self, vals_list):
        raise UserError(
            _("Readings come from meters, or are taken over when an account is opened.")
        )

    def write(self, vals):
        raise UserError(_("Readings are never changed."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Readings are never deleted."))

    @api.model
    def _take_registers(self, rows):
        """Ingest the registers that a person states at an opening, a closing or an exchange.

        :param list rows: as for `_ingest`, one a meter
        :raise UserError: where one of them does not fit, naming each with what would be believed
        """
        self._ingest(rows)
        refused = self.env.execute_query(
            SQL(
                """
            SELECT m.name, v.total::text, r.expected
              FROM %s
              JOIN energy_meter m ON m.id = v.meter
              LEFT JOIN LATERAL (
                   SELECT expected FROM energy_reading_data r
                    WHERE r.meter_id = v.meter AND r.moment = v.moment AND r.total = v.total
                      AND r.state <> 'accepted' ORDER BY id DESC LIMIT 1) r ON TRUE
             WHERE NOT EXISTS (
                   SELECT 1 FROM energy_reading_data a
                    WHERE a.meter_id = v.meter AND a.moment = v.moment AND a.total = v.total
                      AND a.state = 'accepted')
             ORDER BY m.name
            """,
                values(
                    [(meter, moment, total) for meter, moment, total, _bands, _source in rows],
                    meter="int",
                    moment="timestamp",
                    total="numeric",
                ),
            )
        )
        if not refused:
            return
        raise UserError(
            _(
                "What is stated does not fit the readings of the meter. Check the figure and the "
                "moment:\n%s",
                "\n".join(
                    self.env._(
                        "Meter %(meter)s: %(register)s stated, %(expected)s expected",
                        meter=meter,
                        register=f"{Decimal(total):f}",
                        expected=expected or "?",
                    )
                    for meter, total, expected in refused
                ),
            )
        )

    @api.model
    def _register_at(self, meter, moment):
        """Return what a meter's register was at a moment, as far as its readings tell.

        :param meter: `energy.meter`
        :param datetime moment: naive UTC
        :return: (register Decimal or None, moment of the last accepted reading up to it or None);
            between two readings it is interpolated, after the last one it is that reading's
        """
        before, same, after = self._neighbours_anywhere({(meter.id, moment)})[meter.id, moment]
        if same:
            return same.register, moment
        if before is None:
            return None, None
        if after is None or after.register < before.register:
            return before.register, before.moment
        register = round_half_up(interpolate(before, after, moment), Decimal("0.0001"))
        return min(register, after.register), before.moment

    def action_open_entries(self):
        """Open the balance entries that charged the use around this reading."""
        self.ensure_one()
        usage = self._usage()
        return self.env["energy.wallet.entry"]._open([("unit_id", "in", usage.unit_id.ids)])

    def action_open_usage(self):
        """Open the use of the day of this reading."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_usage")
        return dict(action, domain=[("id", "in", self._usage().ids)])

    def _usage(self):
        return self.env["energy.usage"].search(
            [
                ("meter_id", "=", self.meter_id.id),
                ("local_date", "=", local_date(self.moment, self.site_id._zone())),
            ]
        )
