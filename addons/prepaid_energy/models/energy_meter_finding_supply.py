from datetime import timedelta

from odoo import _, api, fields, models
from odoo.tools import SQL

from .. import clock

#: What may flow through a supply that is off: kW or m³/h, of `m` by its `company`.
MOST_FLOW = SQL(
    "CASE m.commodity WHEN 'electricity' THEN company.energy_flowing_power"
    " ELSE company.energy_flowing_flow END"
)


class EnergyMeterStatus(models.Model):
    _inherit = "energy.meter.status"

    flowing_since = fields.Datetime(
        readonly=True,
        help="Of a supply that is off: since when each reading showed more power or flow than the "
        "company's limit.",
    )

    @api.model
    def _report(self, rows):
        result = super()._report(rows)
        self._keep_flowing(
            [row["meter_id"] for row in rows if row.get("supply_state") == "off" and "power" in row]
        )
        told = [row for row in rows if "trip_cause" in row or "alarms" in row]
        if told:
            self.env["energy.meter.finding"]._sync_told(told)
        return result

    @api.model
    def _keep_flowing(self, meter_ids):
        """Keep since when power or water flows through these supplies, which were just seen off."""
        if not meter_ids:
            return
        self.env.execute_query(
            SQL(
                """
            UPDATE energy_meter_status st
               SET flowing_since = CASE WHEN st.power > v.most THEN st.read_at END
              FROM (SELECT m.id, %s AS most
                      FROM energy_meter m JOIN res_company company ON company.id = m.company_id
                     WHERE m.id = ANY(%s)) v
             WHERE st.meter_id = v.id
               AND COALESCE(st.power > v.most, FALSE)
                   <> COALESCE(st.flowing_since >= st.supply_since, FALSE)
            RETURNING 1
            """,
                MOST_FLOW,
                meter_ids,
            )
        )
        self.invalidate_model(["flowing_since"], flush=False)


class EnergyMeterFinding(models.Model):
    """What is wrong with a supply: turned off by the meter itself, not as wanted, off but flowing,
    or the device reports a fault."""

    _inherit = "energy.meter.finding"

    kind = fields.Selection(
        selection_add=[
            ("trip", "Tripped by the meter itself"),
            ("state", "State differs"),
            ("flowing", "Off, but flowing"),
            ("device", "Device reports a fault"),
            ("other",),
        ],
        ondelete={
            "trip": "cascade",
            "state": "cascade",
            "flowing": "cascade",
            "device": "cascade",
        },
    )

    @api.model
    def _sentences(self):
        look = _("No payment turns it on again: look at it, then order supply on.")
        trips = {
            "overload": _("The meter's own protection turned supply off: overload."),
            "load_control": _("The meter's own protection turned supply off: load control."),
            "over_voltage": _("The meter's own protection turned supply off: voltage."),
            "manual": _("Supply was turned off by hand at the meter."),
            "fault": _("The meter turned supply off: it reports a fault."),
        }
        return {
            **super()._sentences(),
            **{f"trip_{cause}": f"{text} {look}" for cause, text in trips.items()},
            "trip_own_prepaid": _(
                "Supply is off in the meter's own prepaid state: something released it from the "
                "platform's control. Order supply on, or off."
            ),
            "trip_arrears": _("The meter turned supply off by an account of its own."),
            "state_on": _(
                "Supply off is wanted, on is seen: turned on by hand on site, or by another master."
            ),
            "state_off": _(
                "Supply on is wanted, off is seen: turned off by hand on site, or by another "
                "master."
            ),
            "state_on_failed": _("Supply off is wanted, on is seen: the command failed."),
            "state_off_failed": _("Supply on is wanted, off is seen: the command failed."),
            "state_unclear": _(
                "Neither on nor off is seen: not all phases are switched, or a valve stands "
                "half-way."
            ),
            "flowing_register": _(
                "Supply is off, yet it counted %(used)s %(unit)s within %(minutes)s minutes."
            ),
            "flowing_power": _("Supply is off, yet %(power)s %(power_unit)s flow."),
            "device_fault": _("The relay or valve reports a fault."),
            "device_low_battery": _("The battery is low: the valve may soon stay as it is."),
            "device_fault_low_battery": _("The valve reports a fault, and its battery is low."),
        }

    # --- what the meter says itself ---------------------------------------------------------------

    @api.model
    def _sync_told(self, rows):
        """Bring findings to what meters just said of themselves.

        :param list rows: as `energy.meter.status._report` takes them, one a meter
        """
        now = clock.now(self.env.cr)
        trips, devices = {}, {}
        for row in rows:
            if row.get("trip_cause"):
                trips[row["meter_id"]] = (now, f"trip_{row['trip_cause']}", {})
            wrong = [name for name in ("fault", "low_battery") if name in (row.get("alarms") or "")]
            if wrong:
                devices[row["meter_id"]] = (now, "_".join(["device", *wrong]), {})
        for kind, key, found in (("trip", "trip_cause", trips), ("device", "alarms", devices)):
            asked = [row["meter_id"] for row in rows if key in row]
            self._sync(kind, found, [("meter_id", "in", asked)])

    # --- what is found by looking -----------------------------------------------------------------

    @api.model
    def _cron_watch(self):
        """Scheduled action: compare supplies with what is wanted, and look for flow behind off."""
        self._each_site("watch", self._watch, timedelta(minutes=2))

    @api.model
    def _watch(self, site):
        """Bring the findings on supply of a site up to date."""
        self.env.flush_all()
        domain = [("site_id", "=", site.id)]
        self._sync("state", self._differing(site), domain)
        self._sync("flowing", self._flowing(site), domain)

    def _differing(self, site):
        """Find the meters whose supply is seen otherwise than wanted, with no order under way.

        Neither on nor off is otherwise than wanted once something was ordered. What nobody ever
        ordered of a meter in service is on. A trip says its cause by itself, and who works in
        service mode knows.
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT d.id, GREATEST(d.supply_since, o.done_at), d.supply_state,
                   o.state IN ('failed', 'expired')
              FROM (SELECT m.id, m.commodity, m.property_id, st.supply_state, st.supply_since,
                           st.supply_seen_at,
                           company.energy_state_minutes * interval '1 minute' AS patience
                      FROM energy_meter m
                      JOIN res_company company ON company.id = m.company_id
                           AND company.energy_state_minutes > 0
                      JOIN energy_meter_status st ON st.meter_id = m.id
                           AND st.trip_cause IS NULL
                      JOIN energy_meter_control c ON c.meter_id = m.id
                      LEFT JOIN %s s ON s.meter_id = m.id
                     WHERE m.site_id = %s AND m.active AND m.can_switch
                       AND COALESCE(c.wanted, CASE WHEN s.id IS NOT NULL THEN 'on' END)
                           <> st.supply_state
                    OFFSET 0) d -- few: all else is looked up for these only
              LEFT JOIN LATERAL (
                   SELECT state, done_at FROM energy_command
                    WHERE meter_id = d.id AND kind = 'supply'
                    ORDER BY number DESC LIMIT 1) o ON TRUE
             WHERE (d.supply_state IN ('on', 'off') OR o.done_at IS NOT NULL)
               AND d.supply_seen_at >= GREATEST(d.supply_since, o.done_at)
               AND GREATEST(d.supply_since, o.done_at) <= energy_now() - d.patience
               AND NOT EXISTS (
                   SELECT 1 FROM energy_command w
                    WHERE w.meter_id = d.id AND w.kind = 'supply'
                      AND w.state IN ('queued', 'sent'))
               AND NOT EXISTS (
                   SELECT 1 FROM energy_service_mode v
                     JOIN energy_property place ON place.id = v.property_id
                     JOIN energy_property room ON room.id = d.property_id
                    WHERE v.state = 'active' AND room.parent_path LIKE place.parent_path || '%%'
                      AND (v.commodity IS NULL OR v.commodity = d.commodity))
            """,
                self._in_service(site),
                site.id,
            )
        )
        return {
            meter: (since, self._difference(seen, has_failed), {})
            for meter, since, seen, has_failed in rows
        }

    @staticmethod
    def _difference(seen, has_failed):
        if seen not in ("on", "off"):
            return "state_unclear"
        return f"state_{seen}_failed" if has_failed else f"state_{seen}"

    def _flowing(self, site):
        """Find the meters that are off and through which power or water flows all the same.

        For as many minutes as the company says, and still now: each reading in them showed more
        power than the limit; or the register counted more than the limit allows in so many
        minutes, between the last reading and the nearest one at least so long before it.
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT m.id, m.commodity, st.supply_since, last.total - base.total,
                   round(extract(epoch FROM last.moment - base.moment) / 60)::int,
                   %(most)s * company.energy_flowing_minutes / 60,
                   CASE WHEN st.flowing_since <= st.read_at - w.wait THEN st.power END
              FROM energy_meter m
              JOIN res_company company ON company.id = m.company_id
                   AND company.energy_flowing_minutes > 0
              JOIN LATERAL (
                   SELECT company.energy_flowing_minutes * interval '1 minute' AS wait) w ON TRUE
              JOIN energy_meter_status st ON st.meter_id = m.id AND st.supply_state = 'off'
                   AND st.read_at >= st.supply_since + w.wait
              LEFT JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data
                    WHERE meter_id = m.id AND moment >= st.supply_since
                      AND state IN ('accepted', 'held') AND source <> 'estimate'
                    ORDER BY moment DESC LIMIT 1) last ON TRUE
              LEFT JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data
                    WHERE meter_id = m.id AND moment >= st.supply_since
                      AND moment <= last.moment - w.wait
                      AND state IN ('accepted', 'held') AND source <> 'estimate'
                    ORDER BY moment DESC LIMIT 1) base ON TRUE
             WHERE m.site_id = %(site)s AND m.active
            """,
                most=MOST_FLOW,
                site=site.id,
            )
        )
        found = {}
        for meter, commodity, since, used, minutes, limit, power in rows:
            is_power = commodity == "electricity"
            if power is not None:
                unit = "kW" if is_power else "m³/h"
                figures = {"power": f"{float(power):g}", "power_unit": unit}
                found[meter] = (since, "flowing_power", figures)
            elif used is not None and used > limit:
                unit = "kWh" if is_power else "m³"
                figures = {"used": f"{float(used):g}", "unit": unit, "minutes": minutes}
                found[meter] = (since, "flowing_register", figures)
        return found
