from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import api, models
from odoo.tools import SQL

from .. import clock
from ..bulk import copy_rows
from ..engine import estimate
from ..engine.shaping import HISTORY
from ..local_time import local_date, local_midnight
from ..rating_work import Prices

# Silent meters worked on in one transaction, and how long a run of the scheduled action lasts.
BATCH = 50
CRON_SECONDS = 60
STORED = (
    "meter_id",
    "moment",
    "total",
    "source",
    "state",
    "origin",
    "site_id",
    "company_id",
)


class EnergyEstimate(models.AbstractModel):
    """Estimates for silent meters: readings at local midnights that go on like comparable days.

    They charge as any reading does, and never cut. The first real reading takes their place, and
    the difference is posted. So they can be made at any time, twice or never: what is made depends
    on what was read and on the midnights that have passed alone.
    """

    _name = "energy.estimate"
    _description = "Estimates for silent meters"

    @api.model
    def _cron_estimate(self):
        """Scheduled action: estimate up to the last midnight, in transactions of some meters."""
        readings = self.env["energy.reading"]
        overtaken = readings._overtaken()
        readings._supersede_estimates(overtaken)
        self.env["energy.settlement.queue"]._add(list(overtaken.items()))
        deadline, last = clock.monotonic() + CRON_SECONDS, 0
        progress = self.env["ir.cron"]
        while clock.monotonic() < deadline:
            meters = self._silent(last)
            if not meters:
                return
            self._make(meters)
            last = meters[-1]["meter"]
            progress._commit_progress(len(meters))
        progress._commit_progress(remaining=len(self._silent(last)))

    @api.model
    def _silent(self, after=0):
        """Return meters in service that owe an estimate, in order of their id.

        A meter whose readings are held answers, and one whose supply is off uses nothing.

        :param int after: only meters with a higher id
        :rtype: list of dict
        """
        self.env["res.company"].flush_model(["energy_estimate_after"])
        self.env["energy.account"].flush_model(["state"])
        return self.env.execute_query_dict(
            SQL(
                """
            SELECT s.id AS supply, s.meter_id AS meter, site.tz, s.site_id AS site,
                   s.company_id AS company, m.register_digits AS digits, last.id AS origin,
                   last.moment AS read_at, last.total::text AS total,
                   COALESCE(made.moment, last.moment) AS since
              FROM (SELECT energy_now() AS now) n
              JOIN res_company c ON c.energy_estimate_after > 0
              JOIN energy_supply s ON s.company_id = c.id AND s.start_at <= n.now
                   AND (s.end_at IS NULL OR s.end_at > n.now)
              JOIN energy_account a ON a.id = s.account_id AND a.state IN ('active', 'suspended')
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_property site ON site.id = s.site_id
              JOIN energy_meter_status t ON t.meter_id = m.id AND t.supply_state <> 'off'
              JOIN LATERAL (
                   SELECT id, moment, total FROM energy_reading_data
                    WHERE meter_id = m.id AND state = 'accepted' AND source <> 'estimate'
                    ORDER BY moment DESC LIMIT 1) last ON TRUE
              LEFT JOIN LATERAL (
                   SELECT moment FROM energy_reading_data
                    WHERE meter_id = m.id AND state = 'accepted' AND source = 'estimate'
                    ORDER BY moment DESC LIMIT 1) made ON TRUE
             WHERE m.id > %(after)s
               AND last.moment <= n.now - c.energy_estimate_after * interval '1 hour'
               AND date_trunc('day', n.now AT TIME ZONE 'UTC' AT TIME ZONE site.tz)
                   > COALESCE(made.moment, last.moment) AT TIME ZONE 'UTC' AT TIME ZONE site.tz
               AND NOT EXISTS (
                   SELECT 1 FROM energy_reading_data h
                    WHERE h.meter_id = m.id AND h.state = 'held' AND h.moment > last.moment)
             ORDER BY m.id LIMIT %(limit)s
            """,
                after=after,
                limit=BATCH,
            )
        )

    @api.model
    def _make(self, meters):
        """Store the estimates of silent meters up to the last local midnight, and queue them."""
        now = clock.now(self.env.cr)
        histories = self.env["energy.rating"]._histories(
            {
                row["meter"]: (row["meter"], row["read_at"] - HISTORY, row["read_at"])
                for row in meters
            }
        )
        zones = {row["meter"]: ZoneInfo(row["tz"]) for row in meters}
        calendars = self.env["energy.rating"]._calendars(
            {(row["supply"], row["read_at"]): zones[row["meter"]] for row in meters},
            Prices(self.env),
        )
        stored, queue = [], []
        for row in meters:
            zone = zones[row["meter"]]
            today = local_date(now, zone)
            midnights = {
                local_midnight(today - timedelta(days=days), zone)
                for days in range((today - local_date(row["since"], zone)).days + 1)
            }
            points = [
                point
                for point in estimate(
                    histories[row["meter"]],
                    max(midnights),
                    zone,
                    calendars[row["supply"], row["read_at"]],
                    Decimal(10) ** row["digits"] if row["digits"] else None,
                )
                if point.moment in midnights and point.moment > row["since"]
            ]
            stored += [
                (
                    row["meter"],
                    point.moment,
                    point.register,
                    "estimate",
                    "accepted",
                    row["origin"],
                    row["site"],
                    row["company"],
                )
                for point in points
            ]
            if points:
                queue.append((row["meter"], row["since"]))
        if stored:
            copy_rows(self.env.cr, "energy_reading_data", STORED, stored)
            self.env["energy.settlement.queue"]._add(queue)


class EnergyReading(models.Model):
    """An estimate stands while the reading from which it goes on is the meter's last one."""

    _inherit = "energy.reading"

    @api.model
    def _overtaken(self, meters=None):
        """Return the meters with estimates that go on from another reading than the last one.

        :param meters: ids to look at, all if None
        :return: dict of meter id to the moment of the last reading before its estimates
        """
        chosen = SQL("") if meters is None else SQL("AND e.meter_id = ANY(%s)", sorted(meters))
        rows = self.env.execute_query(
            SQL(
                """
            SELECT e.meter_id, COALESCE(before.moment, e.first) FROM (
                   SELECT meter_id, min(moment) AS first, min(origin) AS low, max(origin) AS high
                     FROM energy_reading_data e
                    WHERE source = 'estimate' AND state = 'accepted' %s GROUP BY meter_id) e
              LEFT JOIN LATERAL (
                   SELECT id FROM energy_reading_data r
                    WHERE r.meter_id = e.meter_id AND r.state = 'accepted'
                      AND r.source <> 'estimate' ORDER BY r.moment DESC LIMIT 1) last ON TRUE
              LEFT JOIN LATERAL (
                   SELECT moment FROM energy_reading_data r
                    WHERE r.meter_id = e.meter_id AND r.state = 'accepted'
                      AND r.source <> 'estimate' AND r.moment < e.first
                    ORDER BY r.moment DESC LIMIT 1) before ON TRUE
             WHERE (e.low, e.high) IS DISTINCT FROM (last.id, last.id)
            """,
                chosen,
            )
        )
        return dict(rows)

    @api.model
    def _supersede_estimates(self, meters):
        """Take the estimates of meters out of use; the caller queues what they charged."""
        if not meters:
            return
        self.env.cr.execute(
            SQL(
                "UPDATE energy_reading_data SET state = 'superseded' WHERE meter_id = ANY(%s)"
                " AND source = 'estimate' AND state = 'accepted'",
                sorted(meters),
            )
        )
        self.invalidate_model(["state"], flush=False)


class EnergyRating(models.AbstractModel):
    _inherit = "energy.rating"

    def _drop_overtaken(self, queued):
        """Take out of use the estimates that did not see a reading, before anything is rated.

        An estimate and a reading can be stored at the same time, neither seeing the other. Both
        queue the meter, and whoever settles sees both.

        :param dict queued: earliest changed moment of each queued meter id; moved back where
            estimates are dropped
        """
        # Without estimates being made there is nothing to look for.
        if not self.env.execute_query(
            SQL("SELECT 1 FROM res_company WHERE energy_estimate_after > 0 LIMIT 1")
        ):
            return
        readings = self.env["energy.reading"]
        overtaken = readings._overtaken(queued)
        readings._supersede_estimates(overtaken)
        for meter, since in overtaken.items():
            queued[meter] = min(since, queued[meter])
