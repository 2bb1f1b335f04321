"""What the connector asks of the database, each the work of one transaction."""

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import SUPERUSER_ID, api
from odoo.addons.prepaid_energy.crash_points import reached
from odoo.addons.prepaid_energy.models.energy_command_delivery import Evidence
from odoo.exceptions import UserError
from odoo.modules.registry import Registry

from ..modbus.addresses import Allowed
from ..modbus.driver import FieldMeter, Snapshot
from ..modbus.errors import Encrypted, ProfileError
from ..modbus.line import Line
from .due import DueMeter
from .project_clock import look

#: Real seconds that a gateway is held without being renewed.
LEASE_SECONDS = 8


@dataclass(frozen=True)
class FieldGateway:
    """A gateway and the meters behind it, as loaded.

    ``machine``: the only computer that can reach it; "" for any.
    """

    id: int
    name: str
    line: Line
    machine: str
    meters: tuple[FieldMeter, ...]
    due: tuple[DueMeter, ...]


@dataclass(frozen=True)
class Miss:
    """A reading that failed. ``online`` is None while nothing is known yet."""

    meter: int
    misses: int
    online: bool | None
    error: str


def usable_profiles(env):
    """Return the profiles by id, and what is wrong with the others, by code."""
    profiles, faults = {}, {}
    for profile in env["energy.meter.profile"].with_context(active_test=False).search([]):
        try:
            profiles[profile.id] = profile._profile()
        except ProfileError as error:
            faults[profile.code] = str(error)
    return profiles, faults


def load_field(env):
    """Return every gateway that is in use, by id, and the profiles that cannot be used."""
    profiles, faults = usable_profiles(env)
    env.cr.execute(
        """
        SELECT m.id, m.name, m.gateway_id, m.unit_id, m.profile_id, m.reads_every, p.tz,
               s.read_at, m.control_key, s.identified_at, s.serial_known, s.multiplier_read::text
          FROM energy_meter m
          JOIN energy_gateway g ON g.id = m.gateway_id AND g.active
          JOIN energy_property p ON p.id = m.site_id
          LEFT JOIN energy_meter_status s ON s.meter_id = m.id
         WHERE m.active AND m.driver = 'modbus' ORDER BY m.unit_id, m.id
        """
    )
    meters, due = defaultdict(list), defaultdict(list)
    for meter, name, gateway, unit, profile, interval, tz, read_at, *rest in env.cr.fetchall():
        if profile not in profiles:
            continue
        key, identified_at, serial_known, multiplier = rest
        meters[gateway].append(
            FieldMeter(
                meter,
                name,
                unit,
                profiles[profile],
                control_key=int(key, 16) if key else None,
                identified_at=identified_at,
                serial_known=bool(serial_known),
                multiplier=Decimal(multiplier) if multiplier else None,
            )
        )
        due[gateway].append(DueMeter(meter, ZoneInfo(tz or "UTC"), interval, read_at))
    limit = _Limiter()
    gateways = {
        gateway.id: FieldGateway(
            gateway.id,
            gateway.name,
            gateway._line(),
            gateway.serial_machine or "",
            limit(meters[gateway.id], gateway.max_block, gateway.max_gap),
            tuple(due[gateway.id]),
        )
        for gateway in env["energy.gateway"].search([])
    }
    return gateways, faults


class _Limiter:
    """Cuts the reads of meters to what their gateway takes.

    Gateways of the same limits share a profile, and with it what it has worked out.
    """

    def __init__(self):
        self._limited = {}

    def __call__(self, meters, max_block, max_gap):
        return tuple(
            replace(meter, profile=self._limit(meter.profile, max_block, max_gap))
            for meter in meters
        )

    def _limit(self, profile, max_block, max_gap):
        key = id(profile), max_block, max_gap
        if key not in self._limited:
            # With the profile itself, so that its identity is not given to another one.
            self._limited[key] = profile, profile.limited(max_block, max_gap)
        return self._limited[key][1]


def allowed_networks(env):
    """Return what the administrator allowed (:class:`modbus.addresses.Allowed`) and what is wrong
    with the setting."""
    try:
        return env["energy.gateway"]._allowed(), ""
    except UserError as error:
        return Allowed(), str(error)


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
    """Let go of every lease of this connector."""
    env.cr.execute(
        "UPDATE energy_gateway_status SET lease_holder = NULL, lease_until = NULL"
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


def take_orders(env, meter_ids):
    """Return the next order of each of these meters, with the meter's last believed register."""
    orders = env["energy.command"]._take(meter_ids)
    if orders:
        env.cr.execute(
            """
            SELECT m.id, (SELECT r.total::text FROM energy_reading_data r
                           WHERE r.meter_id = m.id AND r.state = 'accepted'
                             AND r.source <> 'estimate'
                           ORDER BY r.moment DESC LIMIT 1)
              FROM energy_meter m WHERE m.id = ANY(%s)
            """,
            [[order["meter_id"] for order in orders]],
        )
        totals = dict(env.cr.fetchall())
        for order in orders:
            total = totals.get(order["meter_id"])
            order["last_total"] = None if total is None else Decimal(total)
    return orders


def take_jobs(env, gateway_ids, under_way, news):
    """Return the due orders of these gateways, and which of those under way are unwanted by now.

    :param under_way: ids of the orders that are being carried out
    :param dict news: what was found so far, by order
    :return: list of dicts as `energy.command._take_for_gateways`, each with `profiles` (by id, as
        far as they can be used) and `meter` (None: the order is to a unit); set of ids
    """
    commands = env["energy.command"]
    for command_id, found in news.items():
        commands.browse(command_id)._found(found)
    orders = commands._take_for_gateways(gateway_ids, under_way)
    profiles = usable_profiles(env)[0] if orders else {}
    for order in orders:
        order.update(profiles=profiles, meter=None)
    return orders, commands._no_longer_wanted(under_way) if under_way else set()


def take_meter_job(env, order):
    """Return an order to a meter with what `take_jobs` adds, and the meter's gateway."""
    meter = env["energy.meter"].browse(order["meter_id"])
    profiles = usable_profiles(env)[0]
    profile = profiles.get(meter.profile_id.id)
    order = {
        **order,
        "arguments": env["energy.command"].browse(order["id"]).arguments or {},
        "profiles": profiles,
        "meter": profile and FieldMeter(meter.id, meter.name, meter.unit_id, profile),
    }
    return meter.gateway_id.id, order


def finish_job(env, command_id, result, holder=""):
    """Note how a job ended."""
    command = env["energy.command"].browse(command_id)
    frames = (f"→ {result.request}", f"← {result.response}")
    evidence = Evidence(holder, "\n".join(frame for frame in frames if len(frame) > 2))
    if result.result:
        command._found(dict(result.result))
    if result.request and result.state != "untouched":
        command._set("sent", request=result.request, sent=True)
    if result.state == "confirmed":
        command._confirm(result.response, evidence)
    elif result.state == "untouched":
        command._retry(result.error, result.response or None, evidence=evidence)
    else:
        command._fail(result.error, result.response or None, evidence)


def may_write(env, command_id, request, holder=""):
    """Ask once more whether an order holds, and note it as sent.

    :param holder: this connector
    :return: "" or the reason why it must not be written
    """
    command = env["energy.command"].browse(command_id)
    evidence = Evidence(holder, f"→ {request}")
    why = command._check()
    if why:
        command._dropped(why, Evidence(holder))
        return why
    gateway = command.meter_id.gateway_id
    why = gateway._write_refusal(command.value, command.cause)
    if why:
        command._fail(why, evidence=Evidence(holder))
        return why
    command._sent(request, evidence)
    return ""


def confirm(env, command_id, outcome, holder=""):
    """Note that the read-back showed what was ordered."""
    command = env["energy.command"].browse(command_id)
    command._confirm(outcome.response, Evidence(holder, outcome.frames.text()))
    _show_supply(env, command.meter_id.id, outcome)


def _show_supply(env, meter_id, outcome):
    """Note what the read-back of an order shows; an unclear state is left to the next reading."""
    if outcome.supply_state in (None, "unknown"):
        return
    _report_supply(env, meter_id, supply_state=outcome.supply_state, trip_cause=outcome.trip)


def _report_supply(env, meter_id, **values):
    moment, _speed = look(env)
    env["energy.meter.status"]._report(
        [{"meter_id": meter_id, "supply_seen_at": moment.replace(microsecond=0), **values}]
    )


def show_moving(env, meter_id):
    """Note that a valve is on its way, and have room lists on screens show it."""
    _report_supply(env, meter_id, supply_state="moving")
    env["energy.room"]._tell()


def put_off(env, command_id, outcome, holder=""):
    """Have an order tried again later; it counts unless nothing reached the meter.

    :param Outcome outcome: untouched or unknown
    """
    command = env["energy.command"].browse(command_id)
    _show_supply(env, command.meter_id.id, outcome)
    command._retry(
        outcome.error,
        outcome.response or None,
        counts=outcome.state == "unknown",
        evidence=Evidence(holder, outcome.frames.text()),
    )


def fail(env, command_id, outcome, holder=""):
    """Give an order up."""
    env["energy.command"].browse(command_id)._fail(
        outcome.error, outcome.response or None, Evidence(holder, outcome.frames.text())
    )


def settle(dbname, deadline):
    """Settle what is queued, in transactions of the settlement's own, until ``deadline``."""
    with closing(Registry(dbname).cursor()) as cr:
        return api.Environment(cr, SUPERUSER_ID, {})["energy.settlement"]._run(deadline)


def confirm_read(env, command_id, response, holder=""):
    """Note that an ordered reading is stored."""
    env["energy.command"].browse(command_id)._confirm(response, Evidence(holder, f"← {response}"))
