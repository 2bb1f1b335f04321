"""Orders and jobs in the database: taken, checked once more, noted as they go on.

Each function is the work of one transaction.
"""

from decimal import Decimal

from odoo.addons.prepaid_energy.models.energy_command_delivery import Evidence

from ..modbus.driver import FieldMeter
from .field import usable_profiles
from .project_clock import look


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
    # A supply order waits for its gateway; what else is written fails where it is not armed.
    why = command.meter_id.gateway_id._write_refusal(command.value, command.cause)
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
    command = env["energy.command"].browse(command_id)
    _show_supply(env, command.meter_id.id, outcome)
    command._fail(outcome.error, outcome.response or None, Evidence(holder, outcome.frames.text()))


def confirm_read(env, command_id, response, holder=""):
    """Note that an ordered reading is stored."""
    env["energy.command"].browse(command_id)._confirm(response, Evidence(holder, f"← {response}"))
