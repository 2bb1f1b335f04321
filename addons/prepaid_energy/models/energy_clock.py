from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

ADJUSTABLE = "prepaid_energy.clock_is_adjustable"


class EnergyClock(models.Model):
    """The project clock: real time, unless a test or demo database has shifted it or sped it up.

    At most one row. Project time = ``project_anchor + speed * (real time - real_anchor)``; speed 0
    is a frozen clock that is stepped by hand. The SQL function ``energy_now()`` and
    ``clock.now()`` read it; every change is announced on the channel ``energy_clock``.
    """

    _name = "energy.clock"
    _description = "Project clock"
    _log_access = False

    real_anchor = fields.Datetime(required=True)
    project_anchor = fields.Datetime(required=True)
    speed = fields.Float(digits=(12, 4), required=True, default=1)

    def init(self):
        self.env.cr.execute("""
            CREATE OR REPLACE FUNCTION energy_real_now() RETURNS timestamp
            LANGUAGE sql VOLATILE AS $$ SELECT clock_timestamp() AT TIME ZONE 'UTC' $$;

            CREATE OR REPLACE FUNCTION energy_now() RETURNS timestamp
            LANGUAGE sql VOLATILE AS $$
                SELECT date_trunc('second', COALESCE(
                    (SELECT project_anchor
                            + (energy_real_now() - real_anchor) * speed::double precision
                       FROM energy_clock LIMIT 1),
                    energy_real_now()))
            $$;

            CREATE OR REPLACE FUNCTION energy_clock_notify() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_notify('energy_clock', json_build_object(
                    'real_anchor', NEW.real_anchor,
                    'project_anchor', NEW.project_anchor,
                    'speed', NEW.speed)::text);
                RETURN NEW;
            END $$;

            CREATE OR REPLACE TRIGGER energy_clock_notify
            AFTER INSERT OR UPDATE ON energy_clock
            FOR EACH ROW EXECUTE FUNCTION energy_clock_notify();
        """)

    @api.model
    def _set(self, moment=None, speed=1.0):
        """Move the project clock of a test or demo database.

        :param datetime moment: naive UTC project time from now on; the present project time if None
        :param float speed: project seconds per real second; 0 freezes the clock
        :raise UserError: on a database that is not marked as adjustable
        """
        if not self.env["ir.config_parameter"].sudo().get_param(ADJUSTABLE):
            raise UserError(
                self.env._(
                    "The clock of this database cannot be moved: it is neither a test nor a demo "
                    "database."
                )
            )
        self.env.cr.execute(
            SQL(
                """
            WITH moment AS (SELECT COALESCE(%(moment)s::timestamp, energy_now()) AS project,
                                   energy_real_now() AS real),
            changed AS (
                UPDATE energy_clock SET real_anchor = moment.real, project_anchor = moment.project,
                                        speed = %(speed)s
                  FROM moment RETURNING energy_clock.id)
            INSERT INTO energy_clock (real_anchor, project_anchor, speed)
            SELECT real, project, %(speed)s FROM moment WHERE NOT EXISTS (SELECT 1 FROM changed)
            """,
                moment=moment,
                speed=speed,
            )
        )
        self.env.invalidate_all()
