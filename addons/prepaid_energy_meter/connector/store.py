"""What the connector keeps: its gateways, their health, what was read of their meters.

Each function is the work of one transaction, or of several where it says so.
"""

from contextlib import closing
from dataclasses import dataclass

from odoo import SUPERUSER_ID, api
from odoo.addons.prepaid_energy.crash_points import reached
from odoo.modules.registry import Registry

from ..modbus.driver import Snapshot
from ..modbus.errors import Encrypted
from .field import allowed_networks
from .project_clock import look

#: Real seconds that a gateway is held without being renewed.
LEASE_SECONDS = 8


@dataclass(frozen=True)
class Miss:
    """A reading that failed. ``online`` is None while nothing is known yet."""

    meter: int
    misses: int
    online: bool | None
    error: str


def beat(env, holder, gateway_ids, healths):
    """Renew and take leases, tell how the gateways are, and look at the clock.

    :param holder: this connector
    :param gateway_ids: what it would hold
    :param healths: rows (gateway id, online or None, misses, error, good, bad, answered) of what
        it holds; ``answered``: a reading came since the last beat
    :return: (ids it holds now, project moment, speed, allowed networks as
        :func:`allowed_networks`)
    """
    env.cr.execute(
        """
        UPDATE energy_gateway_status
           SET lease_holder = %(holder)s,
               lease_until = energy_real_now() + %(seconds)s * interval '1 second'
         WHERE gateway_id = ANY(%(ids)s)
           AND (lease_holder = %(holder)s OR lease_until IS NULL
                OR lease_until <= energy_real_now())
        RETURNING gateway_id
        """,
        {"holder": holder, "seconds": LEASE_SECONDS, "ids": gateway_ids},
    )
    held = {row[0] for row in env.cr.fetchall()}
    rows = [row for row in healths if row[0] in held]
    if rows:
        offline = env["energy.gateway"]._offline([row[0] for row in rows])
        env.cr.execute_values(
            """
            UPDATE energy_gateway_status s
               SET is_online = COALESCE(v.online::boolean, s.is_online), misses = v.misses,
                   offline_since = CASE WHEN v.online::boolean THEN NULL
                                        WHEN NOT v.online::boolean
                                        THEN COALESCE(s.offline_since, energy_now())
                                        ELSE s.offline_since END,
                   error = NULLIF(v.error, ''), reads_good = v.good, reads_bad = v.bad,
                   seen_at = CASE WHEN v.answered THEN energy_now() ELSE s.seen_at END
              FROM (VALUES %s) AS v(gateway_id, online, misses, error, good, bad, answered)
             WHERE s.gateway_id = v.gateway_id
            """,
            rows,
        )
        env["energy.gateway"]._tell_changes(offline, [row[0] for row in rows])
    return held, *look(env), allowed_networks(env)


def release(env, holder):
    """Let go of every lease of this connector; when that was stays to be seen."""
    env.cr.execute(
        "UPDATE energy_gateway_status SET lease_holder = NULL, lease_until = energy_real_now()"
        " WHERE lease_holder = %s",
        [holder],
    )


def keep_health(env, tallies):
    """Add what was counted since the last time to each gateway's hour and each meter's day.

    :param dict tallies: :class:`modbus.tally.Tally` by meter id, by gateway id
    """
    env["energy.gateway.hour"]._add(tallies)
    env["energy.meter.day"]._add(
        {meter: tally for of_gateway in tallies.values() for meter, tally in of_gateway.items()}
    )


def store(env, snapshots, misses, state_is_newer):
    """Keep readings and what they say of their meters.

    :param state_is_newer: ``state_is_newer(snapshot)`` tells that an order confirmed another
        supply state after this snapshot was taken
    """
    status = env["energy.meter.status"]
    read = {s.meter: s.multiplier for s in snapshots if s.multiplier is not None}
    status._take_identities(
        {s.meter: s.identity for s in snapshots if s.identity is not None}, read
    )
    env["energy.meter.commissioning"]._confirm_again(
        {
            s.meter: (s.identity.serial, s.moment)
            for s in snapshots
            if s.identity is not None and s.identity.serial
        }
    )
    status._take_encrypted([miss.meter for miss in misses if miss.error == Encrypted.TEXT])
    strangers = status._strangers({s.meter for s in snapshots})
    judged = status._differing_multipliers(read)
    ratios = {(s.meter, s.moment): s.multiplier for s in snapshots if s.meter in judged}
    env["energy.reading"]._ingest(
        [(s.meter, s.moment, s.total, s.bands or None, "poll") for s in snapshots],
        {reading: ratio for reading, ratio in ratios.items() if ratio is not None},
        strangers,
    )
    rows = {}
    for miss in misses:
        row = {"meter_id": miss.meter, "misses": miss.misses, "error": miss.error[:250]}
        if miss.online is not None:
            row["is_online"] = miss.online
        rows[miss.meter] = row
    for snapshot in snapshots:
        rows[snapshot.meter] = {
            **rows.get(snapshot.meter, {}),
            **_status_row(snapshot, state_is_newer(snapshot), snapshot.meter in strangers),
        }
    status._report(list(rows.values()))
    reached("reading_stored")


def _status_row(snapshot: Snapshot, state_is_newer, is_stranger):
    if is_stranger:
        # Its figures are another meter's: only that something answers is known.
        return {
            "meter_id": snapshot.meter,
            "is_online": True,
            "seen_at": snapshot.moment,
            "misses": 0,
            "error": "another meter answers at this address",
        }
    row = {
        "meter_id": snapshot.meter,
        "read_at": snapshot.moment,
        "total": snapshot.total,
        "power": snapshot.power,
        "voltage": snapshot.voltage,
        "current": snapshot.current,
        "is_online": True,
        "seen_at": snapshot.moment,
        "misses": 0,
        "error": None,
        "latency_ms": round(snapshot.latency),
    }
    row["alarms"] = " ".join(snapshot.alarms) or None
    if snapshot.supply_state and not state_is_newer:
        row.update(
            supply_state=snapshot.supply_state,
            supply_seen_at=snapshot.moment,
            trip_cause=snapshot.trip,
        )
    return row


def settle(dbname, deadline):
    """Settle what is queued, in transactions of the settlement's own, until ``deadline``."""
    with closing(Registry(dbname).cursor()) as cr:
        return api.Environment(cr, SUPERUSER_ID, {})["energy.settlement"]._run(deadline)
