from decimal import Decimal

from odoo import models
from odoo.tools import SQL

from .energy_checker import from_mark

# Days before the mark that are added up again each night; what is older, when it does not fit.
DAYS_ADDED_UP = 40
# The accepted registers of supplies, each with the one before it.
STEPS = """
    SELECT s.id AS supply, r.moment, r.total, COALESCE(r.is_baseline, FALSE) AS is_baseline,
           lag(r.total) OVER (PARTITION BY s.id ORDER BY r.moment) AS before
      FROM energy_supply s
      JOIN energy_supply_mark k ON k.supply_id = s.id
      JOIN energy_reading_data r ON r.meter_id = s.meter_id AND r.state = 'accepted'
           AND r.moment BETWEEN s.start_at AND LEAST(k.settled_until, s.end_at)
"""
# Of those verified, only what came since: the last one verified has none before it.
RECENT = STEPS.replace(
    "JOIN energy_reading_data",
    "JOIN energy_checker_supply v ON v.supply_id = s.id JOIN energy_reading_data",
).replace("BETWEEN s.start_at", "BETWEEN v.until")
# Supplies of which what is counted can be compared with registers: settled, with one multiplier.
# Their register at the end, or as far as they are settled.
COMPARABLE = SQL("""
    SELECT s.id, s.meter_id, s.start_at, m.name, m.company_id, m.register_digits, t.multiplier,
           LEAST(k.settled_until, s.end_at) AS until, COALESCE(last.total, k.register) AS register
      FROM energy_supply s
      JOIN energy_meter m ON m.id = s.meter_id
      JOIN energy_supply_mark k ON k.supply_id = s.id
      JOIN LATERAL (SELECT min(multiplier) AS multiplier, count(DISTINCT multiplier) AS n
                      FROM energy_supply_term WHERE supply_id = s.id) t ON t.n = 1
      LEFT JOIN energy_reading_data last ON last.meter_id = s.meter_id
           AND last.state = 'accepted' AND last.moment = s.end_at
     WHERE NOT EXISTS (SELECT 1 FROM energy_settlement_queue q WHERE q.meter_id = s.meter_id)
""")


class EnergyChecker(models.AbstractModel):
    """Use against registers.

    The nightly check remembers of each supply what it verified, and adds what was counted and
    shown since. Where that does not fit, or nothing is remembered, all of the supply is summed up.
    """

    _inherit = "energy.checker"

    def init(self):
        result = super().init()
        self.env.cr.execute("""
            CREATE TABLE IF NOT EXISTS energy_checker_supply (
                supply_id integer PRIMARY KEY REFERENCES energy_supply ON DELETE CASCADE,
                until timestamp NOT NULL,
                register numeric NOT NULL,
                quantity numeric NOT NULL,
                day date NOT NULL,
                quantity_before numeric NOT NULL);
            COMMENT ON TABLE energy_checker_supply IS
                'Verified: the register and all use counted up to a moment; use before a local day';
        """)
        return result

    @from_mark()
    def _rule_usage(self, span=None):
        verified = self._still_fitting() if span else []
        rows = self._pairs(
            """
            SELECT s.id, s.company_id, s.name, x.quantity::text, s.register::text,
                   first.total::text, s.multiplier::text, s.register_digits
              FROM (%s) s
              JOIN LATERAL (SELECT total, moment FROM energy_reading_data r
                             WHERE r.meter_id = s.meter_id AND r.state = 'accepted'
                               AND r.moment >= s.start_at ORDER BY r.moment LIMIT 1) first
                   ON first.moment = s.start_at
              JOIN LATERAL (SELECT COALESCE(sum(quantity), 0) AS quantity
                              FROM energy_usage WHERE supply_id = s.id) x ON TRUE
             WHERE s.id <> ALL(%s)
            """,
            COMPARABLE,
            verified,
        )
        differing = {}
        for supply, company, name, counted, last, first, multiplier, digits in rows:
            shown = (Decimal(last) - Decimal(first)) * Decimal(multiplier)
            if Decimal(counted) != shown:
                differing[supply] = (
                    company,
                    name,
                    Decimal(counted),
                    shown,
                    Decimal(multiplier),
                    10**digits if digits else 0,
                )
        falls, jumps = self._falls(list(differing)), self._jumps(list(differing))
        findings = []
        for supply, (company, name, counted, shown, multiplier, turn) in differing.items():
            turned = falls.get(supply, 0) * turn - Decimal(jumps.get(supply, 0))
            shown += turned * multiplier
            if counted != shown:
                sentence = self.env._(
                    "Meter %(meter)s: its registers show %(shown)s, %(counted)s is counted.",
                    meter=name,
                    shown=shown,
                    counted=counted,
                )
                findings.append((company, sentence))
            else:
                differing[supply] = None
        if span:
            wrong = {supply for supply, values in differing.items() if values}
            self._remember([row[0] for row in rows if row[0] not in wrong], verified)
        return len(rows), findings

    def _still_fitting(self):
        """Return the supplies that counted what they showed since they were verified."""
        rows = self._pairs(
            f"""
            SELECT s.id FROM (%s) s
              JOIN energy_checker_supply v ON v.supply_id = s.id AND v.until <= s.until
              JOIN LATERAL (SELECT COALESCE(sum(quantity), 0) AS quantity FROM energy_usage
                             WHERE supply_id = s.id AND local_date >= v.day) x ON TRUE
              LEFT JOIN (
                   SELECT r.supply, count(*) FILTER (
                              WHERE r.total < r.before AND NOT r.is_baseline) AS falls,
                          sum(r.total - r.before) FILTER (WHERE r.is_baseline) AS jumps
                     FROM ({RECENT}) r GROUP BY r.supply) turned ON turned.supply = s.id
             WHERE v.quantity_before + x.quantity - v.quantity
                   = (s.register - v.register - COALESCE(turned.jumps, 0)
                      + COALESCE(turned.falls, 0)
                        * CASE WHEN s.register_digits > 0
                               THEN power(10::numeric, s.register_digits) ELSE 0 END
                     ) * s.multiplier
            """,
            COMPARABLE,
        )
        return [row[0] for row in rows]

    def _remember(self, fresh, verified):
        """Note what is verified of supplies: anew, or beside what was known."""
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_checker_supply
                   (supply_id, until, register, day, quantity, quantity_before)
            SELECT s.id, s.until, s.register, d.day, COALESCE(sum(x.quantity), 0),
                   COALESCE(sum(x.quantity) FILTER (WHERE x.local_date < d.day), 0)
              FROM (%s) s
             CROSS JOIN LATERAL (SELECT s.until::date - %s AS day) d
              LEFT JOIN energy_usage x ON x.supply_id = s.id
             WHERE s.id = ANY(%s)
             GROUP BY s.id, s.until, s.register, d.day
                ON CONFLICT (supply_id) DO UPDATE
               SET until = EXCLUDED.until, register = EXCLUDED.register, day = EXCLUDED.day,
                   quantity = EXCLUDED.quantity, quantity_before = EXCLUDED.quantity_before
            """,
                COMPARABLE,
                DAYS_ADDED_UP,
                fresh,
            )
        )
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_checker_supply v
               SET until = n.until, register = n.register, day = n.day,
                   quantity = v.quantity_before + n.quantity,
                   quantity_before = v.quantity_before + n.passed
              FROM (SELECT s.id, s.until, s.register, d.day,
                           COALESCE(sum(x.quantity), 0) AS quantity, COALESCE(
                               sum(x.quantity) FILTER (WHERE x.local_date < d.day), 0) AS passed
                      FROM (%s) s
                      JOIN energy_checker_supply known ON known.supply_id = s.id
                     CROSS JOIN LATERAL (
                           SELECT GREATEST(known.day, s.until::date - %s) AS day) d
                      LEFT JOIN energy_usage x
                           ON x.supply_id = s.id AND x.local_date >= known.day
                     WHERE s.id = ANY(%s)
                     GROUP BY s.id, s.until, s.register, d.day) n
             WHERE n.id = v.supply_id
            """,
                COMPARABLE,
                DAYS_ADDED_UP,
                verified,
            )
        )

    def _falls(self, supply_ids):
        """Return how often the accepted registers of supplies fell up to their mark, by supply."""
        return dict(
            self._pairs(
                f"""
            SELECT r.supply, count(*) FROM ({STEPS}) r
             WHERE r.supply = ANY(%s) AND r.total < r.before AND NOT r.is_baseline
             GROUP BY r.supply
        """,
                supply_ids,
            )
        )

    def _jumps(self, supply_ids):
        """Return by how much registers changed where they began anew, by supply, as text."""
        return dict(
            self._pairs(
                f"""
            SELECT r.supply, sum(r.total - r.before)::text FROM ({STEPS}) r
             WHERE r.supply = ANY(%s) AND r.is_baseline GROUP BY r.supply
        """,
                supply_ids,
            )
        )
