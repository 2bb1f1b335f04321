"""Orders and jobs in the database: taken, checked once more, noted as they go on.

Each function is the work of one transaction. What notes anything about an order does so only for
whoever holds its gateway, and only while it waits: a connector that wakes after its lease was over
may find the order carried out by another one.
"""

import logging
from datetime import timedelta
from decimal import Decimal

from odoo.addons.prepaid_energy.models.energy_command import WAITING
from odoo.addons.prepaid_energy.models.energy_command_delivery import Evidence

from ..modbus.driver import FieldMeter
from .field import usable_profiles
from .project_clock import look

_logger = logging.getLogger(__name__)

#: A register that goes on may have counted so many times the most per hour of its meter ...
GENEROUS = 2
#: ... since its last reading, or so long ago where that is later, ...
AT_LEAST = timedelta(hours=1)
#: ... and this beside, kWh or m³ at the meter itself: a coarse register's step.
STEP = Decimal(1)


def _mine(env, command_id, holder):
    """Return the order, its row locked, or an empty record where there is nothing to be noted."""
    env.cr.execute(
        """
        SELECT c.state, s.lease_holder FROM energy_command c
          LEFT JOIN energy_meter m ON m.id = c.meter_id
          LEFT JOIN energy_gateway_status s ON s.gateway_id = COALESCE(c.gateway_id, m.gateway_id)
         WHERE c.id = %s FOR NO KEY UPDATE OF c
        """,
        [command_id],
    )
    state, present = env.cr.fetchone()
    command = env["energy.command"].browse(command_id)
    # What was noted in this transaction before is read anew.
    command.invalidate_recordset(flush=False)
    if state in WAITING and present in (None, holder):
        return command
    _logger.info("Order %s: nothing is noted, it is %s and held by %s", command_id, state, present)
    return command.browse()


def take_orders(env, meter_ids):
    """Return the next order of each of these meters, with the meter's last believed register and
    the most that it can show by now (None: no limit of the meter is known)."""
    orders = env["energy.command"]._take(meter_ids)
    if orders:
        meters = {order["meter_id"] for order in orders}
        env.cr.execute(
            """
            SELECT m.id, r.total::text, energy_now() - r.moment, NULLIF(m.max_power, 0)::text,
                   (SELECT t.multiplier::text FROM energy_supply s
                      JOIN energy_supply_term t ON t.supply_id = s.id
                     WHERE s.meter_id = m.id ORDER BY t.since DESC, s.id DESC LIMIT 1)
              FROM energy_meter m
              JOIN LATERAL (SELECT total, moment FROM energy_reading_data
                             WHERE meter_id = m.id AND state = 'accepted' AND source <> 'estimate'
                             ORDER BY moment DESC LIMIT 1) r ON TRUE
             WHERE m.id = ANY(%s)
            """,
            [list(meters)],
        )
        last = {meter: (Decimal(total), *limit) for meter, total, *limit in env.cr.fetchall()}
        for order in orders:
            known = last.get(order["meter_id"])
            order.update(
                last_total=known[0] if known else None, most_total=_most(*known) if known else None
            )
    return orders


def _most(total, passed, max_power, multiplier):
    """Return the most that a register can show so long after it showed ``total``.

    :param max_power: the most that the meter counts in an hour, as text; None: not known
    :param multiplier: of its supply, as text; None: it serves nobody
    :return: None where no limit is known
    """
    if max_power is None:
        return None
    hours = Decimal(max(passed, AT_LEAST) / timedelta(hours=1))
    return total + GENEROUS * Decimal(max_power) * hours / Decimal(multiplier or 1) + STEP


def take_jobs(env, gateway_ids, under_way, news, holder=""):
    """Return the due orders of these gateways, and which of those under way are unwanted by now.

    :param under_way: ids of the orders that are being carried out
    :param dict news: what was found so far, by order
    :return: list of dicts as `energy.command._take_for_gateways`, each with `profiles` (by id, as
        far as they can be used) and `meter` (None: the order is to a unit); set of ids
    """
    commands = env["energy.command"]
    for command_id, found in news.items():
        if command := _mine(env, command_id, holder):
            command._found(found)
    orders = commands._take_for_gateways(gateway_ids, under_way)
    profiles = usable_profiles(env)[0] if orders else {}
    for order in orders:
        gateway = env["energy.gateway"].browse(order["gateway_id"])
        order.update(profiles=_limited(profiles, gateway), meter=None)
    return orders, commands._no_longer_wanted(under_way) if under_way else set()


def _limited(profiles, gateway):
    """Return the profiles with reads that the gateway takes."""
    return {
        profile_id: profile.limited(gateway.max_block, gateway.max_gap)
        for profile_id, profile in profiles.items()
    }


def take_meter_job(env, order):
    """Return an order to a meter with what `take_jobs` adds, and the meter's gateway."""
    meter = env["energy.meter"].browse(order["meter_id"])
    profiles = _limited(usable_profiles(env)[0], meter.gateway_id)
    profile = profiles.get(meter.profile_id.id)
    order = {
        **order,
        "arguments": env["energy.command"].browse(order["id"]).arguments or {},
        "profiles": profiles,
        "meter": profile
        and FieldMeter(
            meter.id,
            meter.name,
            meter.unit_id,
            profile,
            serial_known=meter.status_id.serial_known,
        ),
    }
    return meter.gateway_id.id, order


def finish_job(env, command_id, result, holder=""):
    """Note how a job ended."""
    command = _mine(env, command_id, holder)
    if not command:
        return
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
    command = _mine(env, command_id, holder)
    if not command:
        return "it is done with, or another connector holds the gateway"
    evidence = Evidence(holder, f"→ {request}")
    why = command._check()
    if why:
        command._dropped(why, Evidence(holder))
        return why
    # A supply order waits for its gateway; what else is written fails where it is not armed.
    why = command.meter_id.gateway_id._write_refusal(command.value, command.cause)
    if why:
        command._fail(why, evidence=Evidence(holder))
        return why
    command._sent(request, evidence)
    return ""


def confirm(env, command_id, outcome, holder=""):
    """Note that the read-back showed what was ordered."""
    command = _mine(env, command_id, holder)
    if not command:
        return
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


def show_moving(env, command_id, holder=""):
    """Note that a valve is on its way, and have room lists on screens show it."""
    if command := _mine(env, command_id, holder):
        _report_supply(env, command.meter_id.id, supply_state="moving")
        env["energy.room"]._tell()


def put_off(env, command_id, outcome, holder=""):
    """Have an order tried again later; it counts unless nothing reached the meter.

    :param Outcome outcome: untouched or unknown
    """
    command = _mine(env, command_id, holder)
    if not command:
        return
    _show_supply(env, command.meter_id.id, outcome)
    command._retry(
        outcome.error,
        outcome.response or None,
        counts=outcome.state == "unknown",
        evidence=Evidence(holder, outcome.frames.text()),
    )


def fail(env, command_id, outcome, holder=""):
    """Give an order up."""
    if command := _mine(env, command_id, holder):
        _show_supply(env, command.meter_id.id, outcome)
        command._fail(
            outcome.error, outcome.response or None, Evidence(holder, outcome.frames.text())
        )


def confirm_read(env, command_id, response, holder=""):
    """Note that an ordered reading is stored."""
    if command := _mine(env, command_id, holder):
        command._confirm(response, Evidence(holder, f"← {response}"))
