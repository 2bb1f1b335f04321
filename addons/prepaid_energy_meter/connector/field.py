"""The gateways and meters of the field as the database has them."""

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo.addons.prepaid_energy.models.energy_command import WAITING
from odoo.exceptions import UserError

from ..modbus.addresses import Allowed
from ..modbus.driver import FieldMeter
from ..modbus.errors import ProfileError
from ..modbus.line import Line
from .due import DueMeter


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
    # This database may have been restored, or a meter be behind another gateway than before.
    waiting = [("kind", "=", "supply"), ("state", "in", WAITING)]
    env["energy.command"].search(waiting)._wait_for_gateways()
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
