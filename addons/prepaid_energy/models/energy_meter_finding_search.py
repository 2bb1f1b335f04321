from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import api, models
from odoo.tools import SQL

from ..local_time import local_date
from ..rating_work import Prices

DAY = timedelta(days=1)
LOOK_BACK = timedelta(days=21)
# So many comparable days at least say what a meter uses on such a day.
LEAST_DAYS = 3


class EnergyMeterFinding(models.Model):
    """Looking for meters whose register stands still, whose clock is off, or which are silent."""

    _inherit = "energy.meter.finding"

    @api.model
    def _cron_find(self):
        """Scheduled action: look at the meters in service, site by site."""
        self._each_site("find", self._find, timedelta(minutes=10))

    @api.model
    def _each_site(self, task, look, rest):
        """Look at each site by itself: one that cannot be looked at blinds no other."""
        sites = self.env["energy.property"]
        self.env["energy.task"]._each(
            task, sites.search([("kind", "=", "site")]).ids, lambda i: look(sites.browse(i)), rest
        )

    @api.model
    def _find(self, site):
        """Bring the findings of a site up to date."""
        self.env.flush_all()
        domain = [("site_id", "=", site.id)]
        for kind, found in (
            ("silent", self._silent(site)),
            ("clock", self._clocks(site)),
            ("frozen", self._frozen(site)),
        ):
            self._sync(kind, found, domain)

    @api.model
    def _sync_multipliers(self, read, differing):
        """Note which meters say another multiplier than their supplies do.

        :param dict read: the multiplier read, by (meter id, moment)
        :param dict differing: (moment, multiplier read, multiplier expected) by meter id
        """
        meters = sorted({meter for meter, _moment in read})
        self._sync(
            "multiplier",
            {
                meter: (
                    moment,
                    "multiplier",
                    {"read": f"{said.normalize():f}", "expected": f"{expected.normalize():f}"},
                )
                for meter, (moment, said, expected) in differing.items()
            },
            [("meter_id", "in", meters)],
        )

    def _in_service(self, site):
        """Return the SQL of the supplies in service on a site."""
        return SQL(
            """
            (SELECT s.id, s.meter_id, s.start_at, s.company_id
               FROM energy_supply s
               JOIN energy_account a ON a.id = s.account_id AND a.state IN ('active', 'suspended')
              WHERE s.site_id = %s AND s.start_at <= energy_now()
                AND (s.end_at IS NULL OR s.end_at > energy_now()))
            """,
            site.id,
        )

    def _silent(self, site):
        """Find the meters of which as many readings are missing as the company says."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.meter_id, COALESCE(last.moment, s.start_at)
              FROM %s s
              JOIN energy_meter m ON m.id = s.meter_id AND m.driver <> 'none'
              JOIN res_company c ON c.id = s.company_id AND c.energy_silent_intervals > 0
              LEFT JOIN LATERAL (
                   SELECT moment FROM energy_reading_data
                    WHERE meter_id = m.id AND state = 'accepted' AND source <> 'estimate'
                    ORDER BY moment DESC LIMIT 1) last ON TRUE
             WHERE COALESCE(last.moment, s.start_at) < energy_now()
                   - c.energy_silent_intervals * m.reads_every * interval '1 minute'
            """,
                self._in_service(site),
            )
        )
        return {meter: (since, "silent", {}) for meter, since in rows}

    def _clocks(self, site):
        """Find the meters whose clock is off by more than the company allows."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.meter_id, t.seen_at, energy_now(), t.clock_offset,
                   (SELECT band_source FROM energy_supply_term e WHERE e.supply_id = s.id
                       AND e.since <= energy_now() ORDER BY e.since DESC LIMIT 1) = 'meter'
              FROM %s s
              JOIN energy_meter_status t ON t.meter_id = s.meter_id
              JOIN res_company c ON c.id = s.company_id
             WHERE c.energy_clock_limit > 0 AND abs(t.clock_offset) > c.energy_clock_limit * 60
            """,
                self._in_service(site),
            )
        )
        return {
            meter: (
                seen or now,
                "clock_registers" if own_registers else "clock",
                {"minutes": round(offset / 60)},
            )
            for meter, seen, now, offset, own_registers in rows
        }

    def _frozen(self, site):
        """Find the meters that answer, and count nothing for a day in which they should.

        They should where each comparable day of the three weeks before counted something, or where
        the meter reports power. A meter that has long counted nothing is not in use.
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.id, s.meter_id, site.tz, last.moment, last.total::text, run.first,
                   CASE WHEN t.power > c.energy_idle_power THEN t.power END, s.start_at
              FROM %s s
              JOIN res_company c ON c.id = s.company_id
              JOIN energy_meter_status t ON t.meter_id = s.meter_id AND t.supply_state <> 'off'
              JOIN energy_property site ON site.id = %s
              JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data
                    WHERE meter_id = s.meter_id AND state = 'accepted' AND source <> 'estimate'
                    ORDER BY moment DESC LIMIT 1) last
                   ON last.moment > energy_now() - interval '1 day'
              JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data
                    WHERE meter_id = s.meter_id AND state = 'accepted' AND source <> 'estimate'
                      AND moment <= last.moment - interval '1 day' AND moment >= s.start_at
                    ORDER BY moment DESC LIMIT 1) ago ON ago.total = last.total
              LEFT JOIN LATERAL (
                   SELECT moment FROM energy_reading_data
                    WHERE meter_id = s.meter_id AND state = 'accepted' AND source <> 'estimate'
                      AND moment < ago.moment AND moment >= ago.moment - interval '21 days'
                      AND total <> last.total
                    ORDER BY moment DESC LIMIT 1) moved ON TRUE
              JOIN LATERAL (
                   SELECT min(moment) AS first FROM energy_reading_data
                    WHERE meter_id = s.meter_id AND state = 'accepted' AND source <> 'estimate'
                      AND moment > COALESCE(moved.moment, ago.moment - interval '1 second')
                      AND moment <= ago.moment) run ON TRUE
            """,
                self._in_service(site),
                site.id,
            )
        )
        if not rows:
            return {}
        zone = ZoneInfo(site.tz)
        counted = self._counted(
            {row[0]: (local_date(row[7], zone), local_date(row[5], zone)) for row in rows}
        )
        calendars = self.env["energy.rating"]._calendars(
            {(row[0], row[3]): zone for row in rows}, Prices(self.env)
        )
        found = {}
        for supply, meter, _tz, moment, total, first, power, _start in rows:
            calendar = calendars[supply, moment]
            kinds = {
                calendar.day_type(local_date(moment - DAY, zone)),
                calendar.day_type(local_date(moment, zone)),
            }
            figures = {"register": f"{Decimal(total).normalize():f}"}
            if power is not None:
                found[meter] = (first, "frozen_power", {**figures, "power": f"{power:g}"})
            elif self._is_in_use(counted[supply], kinds, calendar):
                found[meter] = (first, "frozen_days", figures)
        return found

    def _counted(self, days):
        """Return what supplies counted on each whole day of up to three weeks before one.

        :param dict days: (local date of the beginning, local date before which) by supply id
        :return: dict of supply id to dict of local date to quantity; estimated days count nothing
        """
        counted = {}
        for supply, (start, until) in days.items():
            first = max(start + DAY, until - LOOK_BACK)
            counted[supply] = {
                first + number * DAY: 0 for number in range(max(0, (until - first).days))
            }
        for supply, day, quantity in self.env.execute_query(
            SQL(
                """
            SELECT supply_id, local_date, sum(quantity) FROM energy_usage
             WHERE supply_id = ANY(%s) AND tier > 0 AND is_estimated IS NOT TRUE
               AND local_date BETWEEN %s AND %s
             GROUP BY supply_id, local_date
            """,
                sorted(days),
                min(until for _start, until in days.values()) - LOOK_BACK,
                max(until for _start, until in days.values()),
            )
        ):
            if day in counted[supply]:
                counted[supply][day] = quantity
        return counted

    @staticmethod
    def _is_in_use(counted, kinds, calendar):
        """Say whether all days of these day types counted something, of each at least some."""
        by_kind = defaultdict(list)
        for day, quantity in counted.items():
            by_kind[calendar.day_type(day)].append(quantity)
        return all(len(by_kind[kind]) >= LEAST_DAYS and all(by_kind[kind]) for kind in kinds)
