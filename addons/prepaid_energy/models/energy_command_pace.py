from datetime import timedelta
from math import ceil

from odoo import api, models
from odoo.tools import SQL

from ..engine import Waiting, pause_before_off, turns

# Real seconds after which an order that waits on the project clock is looked at again: at most so
# many, because that clock may be moved, and so many while it stands.
LONGEST_LOOK, LOOK_WHILE_FROZEN = 60, 2


class EnergyCommand(models.Model):
    """The pace of switching: a least time before a cut, and turns where many are to be switched."""

    _inherit = "energy.command"

    _switched_idx = models.Index(
        "(meter_id, done_at) WHERE kind = 'supply' AND state = 'confirmed'"
    )

    @api.model
    def _hold_back(self, orders):
        """Override: a cut waits until its supply was on for a while, many wait for their turn."""
        orders = super()._hold_back(orders)
        cuts = [order for order in orders if self._is_queued_cut(order)]
        waiting = self._wait_for_gap(cuts) if cuts else set()
        switched = [
            order
            for order in orders
            if order["kind"] == "supply"
            and order["state"] == "queued"
            and order["id"] not in waiting
            and (order["value"] == "on" or order in cuts)
        ]
        # A payment alone is not even asked about.
        if len(switched) > 1 or any(order["cause"] != "payment" for order in switched):
            waiting |= self._wait_for_turn({order["id"] for order in switched})
        return [order for order in orders if order["id"] not in waiting]

    def _wait_for_gap(self, cuts):
        """Let those cuts wait whose supply was switched lately, or too often.

        :return: ids of those that wait
        """
        meters = {order["meter_id"]: order["id"] for order in cuts}
        self.env["energy.property"].flush_model()
        self.env.cr.execute(
            SQL(
                """
            SELECT m.id, n.now, site.switching_gap, site.switching_most,
                   array_agg(c.done_at ORDER BY c.number) FILTER (WHERE c.id IS NOT NULL),
                   array_agg(c.value ORDER BY c.number) FILTER (WHERE c.id IS NOT NULL)
              FROM (SELECT energy_now() AS now) n
              JOIN energy_meter m ON m.id = ANY(%s)
              JOIN energy_property site ON site.id = m.site_id
              LEFT JOIN energy_command c ON c.meter_id = m.id AND c.kind = 'supply'
                   AND c.state = 'confirmed'
                   AND c.done_at > n.now - GREATEST(interval '1 hour',
                                                    site.switching_gap * interval '1 minute')
             GROUP BY m.id, n.now, site.id
            """,
                list(meters),
            )
        )
        waiting, flapping = {}, {}
        for meter, now, gap, most, moments, values in self.env.cr.fetchall():
            switched = list(zip(moments or (), values or (), strict=True))
            pause = pause_before_off(switched, now, timedelta(minutes=gap), most)
            if pause is None:
                continue
            waiting[meters[meter]] = (pause.until - now).total_seconds()
            if pause.is_flapping:
                flapping[meter] = (now, "flapping", {"count": pause.count})
        for order, seconds in waiting.items():
            self.browse(order)._let_wait("gap", self._real_seconds(seconds))
        self.env["energy.meter.finding"]._sync(
            "flapping", flapping, [("meter_id", "in", list(meters))]
        )
        return set(waiting)

    def _real_seconds(self, seconds):
        """Return the real seconds after which so many seconds of the project clock may be over."""
        self.env.cr.execute("SELECT speed::double precision FROM energy_clock LIMIT 1")
        row = self.env.cr.fetchone()
        speed = row[0] if row else 1.0
        return min(seconds / speed, LONGEST_LOOK) if speed else LOOK_WHILE_FROZEN

    def _wait_for_turn(self, order_ids):
        """Let those orders wait that have no turn yet, among all that are due in their buildings.

        Payments are compared with each other only, so that none waits for what nobody takes.

        :param set order_ids: supply on, and cuts
        :return: ids of those that wait
        """
        self.env["energy.property"].flush_model()
        self.env.cr.execute(
            SQL(
                """
            WITH mine AS (
                SELECT DISTINCT COALESCE(room.building_id, room.site_id) AS building
                  FROM energy_command c
                  JOIN energy_meter m ON m.id = c.meter_id
                  JOIN energy_property room ON room.id = m.property_id
                 WHERE c.id = ANY(%s))
            SELECT c.id, mine.building, c.value = 'on', c.cause = 'payment',
                   c.error IS NOT NULL OR st.is_online IS NOT TRUE,
                   CASE WHEN c.state = 'sent' THEN 0 WHEN c.waits_for = 'stagger'
                        THEN EXTRACT(epoch FROM c.not_before - energy_real_now())::float8 END,
                   site.switching_rate
              FROM energy_command c
              JOIN energy_meter m ON m.id = c.meter_id
              JOIN energy_property room ON room.id = m.property_id
              JOIN energy_property site ON site.id = room.site_id
              JOIN mine ON mine.building = COALESCE(room.building_id, room.site_id)
              LEFT JOIN energy_meter_status st ON st.meter_id = m.id
             WHERE c.kind = 'supply'
               AND (c.state = 'queued' OR c.state = 'sent' AND c.error IS NULL)
               AND (c.value = 'on' OR c.cause = 'arrears')
               AND (c.cause <> 'payment' OR c.id = ANY(%s))
               AND (c.state = 'sent' OR c.waits_for = 'stagger'
                    OR (c.waits_for IS NULL OR c.waits_for = 'gap')
                       AND (c.not_before IS NULL OR c.not_before <= energy_real_now()))
               AND NOT EXISTS (SELECT 1 FROM energy_command h
                                WHERE h.meter_id = c.meter_id AND h.kind = 'supply'
                                  AND h.number > c.number)
            """,
                list(order_ids),
                list(order_ids),
            )
        )
        members, rates = [], {}
        for order, building, is_on, is_paid, is_tried, left, rate in self.env.cr.fetchall():
            turn = None if left is None else max(0, ceil(left))
            members.append(Waiting(order, building, is_on, is_paid, is_tried, turn))
            rates[building] = rate
        given = turns(members, rates)
        waiting = {}
        for order in order_ids:
            if given.get(order):
                waiting.setdefault(given[order], []).append(order)
        for seconds, ids in waiting.items():
            self.browse(ids)._let_wait("stagger", seconds)
        return {order for ids in waiting.values() for order in ids}
