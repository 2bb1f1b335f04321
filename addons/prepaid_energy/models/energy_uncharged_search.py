from odoo import models
from odoo.tools import SQL

from .. import clock
from .energy_reading_acceptance import RECENT
from .energy_uncharged import RESPONSIBLE

# What each cause is numbered by in the ids of rows; ids of one cause are those of its supplies or
# meters times `STEP`.
STEP = 16
# Whether the accepted reading next after a rejected one `b` goes on from the one before, and what
# it says is charged. Where it begins anew, the row of that says what is charged to nobody.
CHARGED_ACROSS = SQL("""
    EXISTS (SELECT 1 FROM (
                   SELECT moment, is_baseline FROM energy_reading_data n
                    WHERE n.meter_id = b.meter_id AND n.moment > b.moment
                      AND n.state = 'accepted' AND n.source <> 'estimate'
                    ORDER BY n.moment LIMIT 1) next
             WHERE next.is_baseline IS NOT TRUE AND NOT EXISTS (
                   SELECT 1 FROM energy_supply s
                     LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
                    WHERE s.meter_id = b.meter_id AND s.start_at <= b.moment
                      AND (s.end_at IS NULL OR s.end_at > b.moment)
                      AND COALESCE(k.settled_until, s.start_at)
                          < LEAST(next.moment, COALESCE(s.end_at, next.moment))))""")
# Hours without a reading after which use is not charged, where the company has no figure.
HOURS_WITHOUT = 24


class EnergyUncharged(models.Model):
    """How use that is not charged is found: a query a cause."""

    _inherit = "energy.uncharged"

    def init(self):
        # What is looked through for readings left out, among all that are accepted.
        self.env.cr.execute("""
            CREATE INDEX IF NOT EXISTS energy_reading_data_rejected_idx
                ON energy_reading_data (meter_id, moment) WHERE state = 'rejected';
            CREATE INDEX IF NOT EXISTS energy_reading_data_baseline_idx
                ON energy_reading_data (meter_id, moment) WHERE is_baseline AND state = 'accepted';
        """)

    @property
    def _table_query(self):
        # A constant: so the planner leaves the partitions out that cannot matter.
        now = clock.now(self.env.cr)
        return SQL(
            """
            SELECT u.id, u.cause, u.meter_id, u.supply_id, u.account_id, u.since, u.until,
                   u.count::integer AS count, u.register, u.expected, u.quantity, u.message,
                   u.user_id, m.commodity, m.property_id, room.building_id, m.site_id,
                   m.company_id, CASE u.cause %(responsible)s END AS responsible
              FROM (%(rows)s) u
              JOIN energy_meter m ON m.id = u.meter_id
              JOIN energy_property room ON room.id = m.property_id
            """,
            responsible=SQL(" ").join(
                SQL("WHEN %s THEN %s", cause, role) for cause, role in RESPONSIBLE.items()
            ),
            rows=SQL(" UNION ALL ").join(
                SQL("(%s)", rows)
                for rows in (
                    self._held(now),
                    self._unsettled(now),
                    self._vacant(now),
                    self._never_served(now),
                    self._drafts(now),
                    self._without_reading(now),
                    self._rejected(now),
                    self._resets(now),
                )
            ),
        )

    # Each part gives: id, cause, meter_id, supply_id, account_id, since, until, count, register,
    # expected, quantity, message, user_id.

    def _held(self, now):
        return SQL(
            """
            SELECT r.meter_id::bigint * %s AS id, 'held'::varchar AS cause, r.meter_id,
                   s.id AS supply_id, s.account_id, r.since, r.until, r.count, r.register,
                   r.expected, NULL::numeric AS quantity, NULL::varchar AS message,
                   NULL::integer AS user_id
              FROM (SELECT meter_id, min(moment) AS since, max(moment) AS until, count(*) AS count,
                           (array_agg(total ORDER BY moment DESC))[1] AS register,
                           (array_agg(expected ORDER BY moment DESC))[1] AS expected
                      FROM energy_reading_data WHERE state = 'held' GROUP BY meter_id) r
              LEFT JOIN energy_supply s ON s.meter_id = r.meter_id AND s.start_at <= r.until
                   AND (s.end_at IS NULL OR s.end_at > r.until)
            """,
            STEP,
        )

    def _unsettled(self, now):
        """What is queued: by the problem of its account, or only not settled yet."""
        return SQL(
            """
            SELECT s.id::bigint * %(step)s + 1,
                   COALESCE(p.cause, 'waiting'),
                   s.meter_id, s.id, s.account_id, COALESCE(k.settled_until, s.start_at), r.moment,
                   NULL::bigint, r.total, NULL,
                   CASE WHEN r.moment > COALESCE(k.settled_until, s.start_at) THEN %(used)s END,
                   p.message, NULL::integer
              FROM (SELECT DISTINCT meter_id FROM energy_settlement_queue) q
              JOIN energy_meter m ON m.id = q.meter_id
              JOIN energy_supply s ON s.meter_id = q.meter_id
              JOIN energy_account a ON a.id = s.account_id AND a.state <> 'draft'
              LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
              LEFT JOIN energy_settlement_problem p ON p.account_id = s.account_id
              LEFT JOIN LATERAL (%(latest)s) r ON TRUE
             WHERE (s.end_at IS NULL OR k.settled_until IS NULL OR k.settled_until < s.end_at)
               AND (p.id IS NOT NULL OR r.moment > COALESCE(k.settled_until, s.start_at))
            """,
            step=STEP,
            latest=_latest(now, "COALESCE(s.end_at, 'infinity')"),
            used=_used("COALESCE(k.register, s.opening_register)", "r.total", "s.id"),
        )

    def _vacant(self, now):
        """What ran after the end of a supply, until the next one or until now."""
        return SQL(
            """
            SELECT s.id::bigint * %(step)s + 2, 'no_account', s.meter_id, s.id, NULL::integer,
                   s.end_at, f.start_at, NULL::bigint, r.total, NULL, %(used)s, NULL, NULL::integer
              FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id
              LEFT JOIN LATERAL (
                   SELECT start_at, opening_register FROM energy_supply f
                    WHERE f.meter_id = s.meter_id AND f.start_at >= s.end_at
                    ORDER BY f.start_at LIMIT 1) f ON TRUE
              LEFT JOIN LATERAL (
                   SELECT f.start_at AS moment, f.opening_register AS total
                    WHERE f.start_at IS NOT NULL
                    UNION ALL (SELECT moment, total FROM (%(latest)s) l
                                WHERE f.start_at IS NULL)) r ON TRUE
             WHERE s.end_at IS NOT NULL AND f.start_at IS DISTINCT FROM s.end_at
               AND s.closing_register IS NOT NULL AND r.total <> s.closing_register
               AND r.moment > s.end_at
            """,
            step=STEP,
            latest=_latest(now),
            used=_used("s.closing_register", "r.total", "s.id"),
        )

    def _never_served(self, now):
        """What ran at meters that have never had a supply."""
        return SQL(
            """
            SELECT m.id::bigint * %(step)s + 3, 'no_account', m.id, NULL::integer, NULL::integer,
                   first.moment, NULL::timestamp, NULL::bigint, r.total, NULL, %(used)s, NULL,
                   NULL::integer
              FROM energy_meter m
              JOIN LATERAL (%(latest)s) r ON TRUE
              JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data
                    WHERE meter_id = m.id AND state = 'accepted'
                    ORDER BY moment LIMIT 1) first ON TRUE
             WHERE m.active AND r.total <> first.total
               AND NOT EXISTS (SELECT 1 FROM energy_supply s WHERE s.meter_id = m.id)
            """,
            step=STEP,
            latest=_latest(now),
            used=_used("first.total", "r.total", "NULL::integer"),
        )

    def _drafts(self, now):
        return SQL(
            """
            SELECT s.id::bigint * %(step)s + 4, 'draft', s.meter_id, s.id, s.account_id, s.start_at,
                   s.end_at, NULL::bigint, r.total, NULL, %(used)s, NULL, NULL::integer
              FROM energy_account a
              JOIN energy_supply s ON s.account_id = a.id
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN LATERAL (%(latest)s) r ON TRUE
             WHERE a.state = 'draft' AND r.moment > s.start_at AND r.total <> s.opening_register
            """,
            step=STEP,
            latest=_latest(now, "COALESCE(s.end_at, 'infinity')"),
            used=_used("s.opening_register", "r.total", "s.id"),
        )

    def _without_reading(self, now):
        return SQL(
            """
            SELECT s.id::bigint * %(step)s + 5, 'no_reading', s.meter_id, s.id, s.account_id,
                   COALESCE(st.read_at, s.start_at), NULL::timestamp, NULL::bigint, st.total, NULL,
                   NULL::numeric, NULL, NULL::integer
              FROM energy_meter m
              JOIN energy_meter_status st ON st.meter_id = m.id
              JOIN res_company c ON c.id = m.company_id
              JOIN energy_supply s ON s.meter_id = m.id AND s.start_at <= %(now)s
                   AND (s.end_at IS NULL OR s.end_at > %(now)s)
              JOIN energy_account a ON a.id = s.account_id AND a.state NOT IN ('draft', 'closed')
             WHERE m.driver <> 'none' AND COALESCE(st.read_at, s.start_at) < %(now)s
                   - make_interval(hours => COALESCE(NULLIF(c.energy_estimate_after, 0), %(hours)s))
            """,
            step=STEP,
            hours=HOURS_WITHOUT,
            now=now,
        )

    def _rejected(self, now):
        """Readings that a person rejected and across which no later one was charged yet."""
        return SQL(
            """
            SELECT r.meter_id::bigint * %s + 6, 'rejected', r.meter_id, s.id, s.account_id, r.since,
                   r.until, r.count, r.register, r.expected, NULL::numeric, r.note, r.decided_by_id
              FROM (SELECT meter_id, min(moment) AS since, max(moment) AS until, count(*) AS count,
                           (array_agg(total ORDER BY moment DESC))[1] AS register,
                           (array_agg(expected ORDER BY moment DESC))[1] AS expected,
                           (array_agg(note ORDER BY moment DESC))[1] AS note,
                           (array_agg(decided_by_id ORDER BY moment DESC))[1] AS decided_by_id
                      FROM energy_reading_data b
                     WHERE state = 'rejected' AND NOT %s GROUP BY meter_id) r
              LEFT JOIN energy_supply s ON s.meter_id = r.meter_id AND s.start_at <= r.until
                   AND (s.end_at IS NULL OR s.end_at > r.until)
            """,
            STEP,
            CHARGED_ACROSS,
        )

    def _resets(self, now):
        """What lies between a reading and a later one at which the register began anew.

        Where the register rose, the difference may have been use; where it fell, nobody knows.
        """
        return SQL(
            """
            SELECT b.id * %(step)s + 7, 'reset', b.meter_id, s.id, s.account_id, p.moment, b.moment,
                   NULL::bigint, b.total, trim_scale(p.total)::varchar,
                   CASE WHEN b.total >= p.total
                        THEN (b.total - p.total) * %(multiplier)s END, b.note, b.decided_by_id
              FROM energy_reading_data b
              JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data
                    WHERE meter_id = b.meter_id AND state = 'accepted' AND moment < b.moment
                    ORDER BY moment DESC LIMIT 1) p ON TRUE
              LEFT JOIN energy_supply s ON s.meter_id = b.meter_id AND s.start_at <= b.moment
                   AND (s.end_at IS NULL OR s.end_at > b.moment)
             WHERE b.is_baseline AND b.state = 'accepted'
            """,
            step=STEP,
            multiplier=_multiplier("s.id"),
        )


def _latest(now, until="'infinity'"):
    """Return a query of the last accepted reading of the meter `m` up to a moment.

    Nearly always it lies in the partitions of the last weeks; the others are looked through only
    where it does not.

    :param datetime now: naive UTC
    :param str until: expression in the statement
    """
    one = f"""
        (SELECT moment, total FROM energy_reading_data
          WHERE meter_id = m.id AND state = 'accepted' AND moment <= {until}
            AND moment %s %%s ORDER BY moment DESC LIMIT 1)
    """
    since = now - RECENT
    return SQL(f"{one % '>='} UNION ALL {one % '<'} LIMIT 1", since, since)


def _multiplier(supply):
    """Return the last multiplier of a supply, 1 without one."""
    return SQL(
        f"COALESCE((SELECT multiplier FROM energy_supply_term WHERE supply_id = {supply}"
        " ORDER BY since DESC LIMIT 1), 1)"
    )


def _used(before, after, supply):
    """Return the use between two registers of the meter `m`; NULL for a fall of unknown width."""
    return SQL(
        f"""
        CASE WHEN {after} >= {before} THEN ({after} - {before}) * %(multiplier)s
             WHEN m.register_digits > 0
             THEN ({after} - {before} + power(10::numeric, m.register_digits)) * %(multiplier)s END
        """,
        multiplier=_multiplier(supply),
    )
