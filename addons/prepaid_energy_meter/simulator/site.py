"""A site file becomes gateways and meters.

{"start": ISO moment (naive = UTC),
 "utc_offset_minutes": 480,                       the meters' own clocks and day plans
 "day_plan": [["00:00", "valley"], …],            optional
 "gateways": [
   {"kind": "tcp" | "rtu_tcp" | "serial", "device": path of a serial line (optional),
    "port": 15020 (0 = a free one; of a serial line but its number),
    "baud": null, "turnaround_ms": 20, "timeout_ms": 1000,
    "meters": [
      {"unit": 1, "type": "ddsy1352" | "dtsy1352" | "kaifeng_valve" | "registers", "serial": "…",
       "register": "123.45", "supply": "on" | "off", "curve": "building_3", "scale": "0.5",
       "offset_hours": 8, "valve_seconds": 5, "profile": "eastron_sdm630" (of "registers")}]}]}
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from types import UnionType
from typing import Any, TextIO

from .bands import BANDS, DEFAULT_PLAN, DayPlan
from .clock import ProjectClock, microseconds
from .ddsy1352 import COUNTER_STEPS, LONGEST_SERIAL, MAX_WATTS, Ddsy1352
from .dtsy1352 import Dtsy1352
from .gateway import KINDS, Gateway
from .kaifeng_valve import MOVE_SECONDS, KaifengValve
from .load import Curve, curves
from .meter import Meter
from .register_device import PROFILES, RegisterDevice

REQUIRED = object()


class SiteError(ValueError):
    """A site file that cannot be run; the message says where and why."""


class Fields:
    """One JSON object of the file, taken apart with clear errors."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise SiteError(f"{where}: an object is expected, not {value!r}")
        self._rest = dict(value)
        self.where = where

    def fail(self, key: str, why: str) -> SiteError:
        return SiteError(f"{self.where}.{key}: {why}")

    def take(self, key: str, kind: type | UnionType, default: Any = REQUIRED) -> Any:
        if key not in self._rest:
            if default is REQUIRED:
                raise self.fail(key, "is missing")
            return default
        value = self._rest.pop(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.fail(key, f"{value!r} is not of type {getattr(kind, '__name__', kind)}")
        return value

    def whole(self, key: str, low: int, high: int, default: Any = REQUIRED) -> int:
        value = self.take(key, int, default)
        if not low <= value <= high:
            raise self.fail(key, f"{value} is not in {low} to {high}")
        return value

    def decimal(self, key: str, default: Any = REQUIRED) -> Decimal:
        """A decimal written as text, so that no float comes near a register."""
        text = self.take(key, str, default)
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise self.fail(key, f"{text!r} is no decimal number") from None
        if not value.is_finite() or value < 0:
            raise self.fail(key, f"{text!r} is no number from 0 up")
        return value

    def choice(self, key: str, among: Any, default: Any = REQUIRED) -> str:
        value = self.take(key, str, default)
        if value not in among:
            raise self.fail(key, f"{value!r} is none of {', '.join(among)}")
        return value

    def end(self) -> None:
        for key in self._rest:
            raise self.fail(key, "is unknown here")


class Site:
    """All gateways and meters of a site on one clock."""

    def __init__(self, start: int, gateways: list[Gateway], clock: ProjectClock) -> None:
        self.start, self.gateways, self.clock = start, gateways, clock
        self._journal: TextIO | None = None

    def meters(self) -> list[tuple[Gateway, int, Meter]]:
        return [(g, unit, meter) for g in self.gateways for unit, meter in g.meters.items()]

    def swap(self, one: str, other: str, second: int) -> None:
        """Have two meters change places on their buses, as swapped cables do. Not kept over a
        restart. Raises ValueError for a serial number that no meter has."""
        places = {meter.serial: (g, unit, meter) for g, unit, meter in self.meters()}
        for serial in (one, other):
            if serial not in places:
                raise ValueError(f"no meter with serial number {serial!r}")
        (gateway_a, unit_a, meter_a), (gateway_b, unit_b, meter_b) = places[one], places[other]
        for meter in (meter_a, meter_b):
            meter.settle(second)
        gateway_a.meters[unit_a], gateway_b.meters[unit_b] = meter_b, meter_a
        gateway_a.forget_answers()
        gateway_b.forget_answers()

    def keep_state(self, path: Path) -> None:
        """Write every command obeyed to a file and obey again what it holds already, so that a
        site started anew stands where the old one stood. Raises SiteError for another site's."""
        by_serial = {meter.serial: meter for _gateway, _unit, meter in self.meters()}
        if path.exists():
            lines = path.read_text().split("\n")
            # A last line without an end was cut off by a crash; its command was never answered.
            for line in lines[:-1]:
                event = json.loads(line)
                if event.get("start") not in (None, self.start):
                    raise SiteError(f"{path}: is the state of a site with another start")
                if "serial" in event:
                    meter = by_serial.get(event["serial"])
                    if meter is None or event["command"] not in meter.commands:
                        raise SiteError(f"{path}: {line}: no such meter or command in this site")
                    meter.command(event["command"], event["second"])
            if lines[-1]:
                path.write_text("".join(f"{line}\n" for line in lines[:-1]))
        new = not path.exists()
        self._journal = path.open("a")
        if new:
            self._write({"start": self.start})
        for meter in by_serial.values():
            meter.on_command = self._on_command

    def _on_command(self, meter: Meter, second: int, command: str) -> None:
        self._write({"serial": meter.serial, "second": second, "command": command})

    def _write(self, event: dict[str, Any]) -> None:
        assert self._journal
        self._journal.write(json.dumps(event) + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    async def listen(self, host: str) -> None:
        for gateway in self.gateways:
            await gateway.listen(host)

    def close(self) -> None:
        for gateway in self.gateways:
            gateway.close()
        if self._journal:
            self._journal.close()


def load_site(path: Path, clock: ProjectClock) -> Site:
    """Read a site file. Raises SiteError, OSError."""
    try:
        return build_site(json.loads(path.read_text()), clock)
    except json.JSONDecodeError as error:
        raise SiteError(f"{path}: no JSON: {error}") from None


def build_site(value: Any, clock: ProjectClock) -> Site:
    """Make the site that a parsed site file describes. Raises SiteError."""
    fields = Fields(value, "site")
    try:
        start = microseconds(datetime.fromisoformat(fields.take("start", str))) // 1_000_000
    except ValueError as error:
        raise fields.fail("start", str(error)) from None
    offset = fields.whole("utc_offset_minutes", -14 * 60, 14 * 60, 480)
    plan = _day_plan(fields)
    seen: dict[str, dict[Any, str]] = {"port": {}, "serial": {}}

    def once(kind: str, what: Any, where: str) -> None:
        if what in seen[kind]:
            raise SiteError(f"{where}.{kind}: {what!r} is also that of {seen[kind][what]}")
        seen[kind][what] = where

    gateways = []
    for number, item in enumerate(fields.take("gateways", list)):
        of = Fields(item, f"gateways[{number}]")
        port = of.whole("port", 0, 65535)
        kind = of.choice("kind", KINDS, "tcp")
        device = of.take("device", str, "")
        if kind == "serial" and not port:
            raise of.fail("port", "is 0; a serial line needs a number of its own")
        if port:
            once("port", port, of.where)
        baud = of.take("baud", int | None, None)
        if baud is not None and not 300 <= baud <= 1_000_000:
            raise of.fail("baud", f"{baud} is not in 300 to 1000000")
        turnaround = of.whole("turnaround_ms", 0, 10_000, 20)
        timeout = of.whole("timeout_ms", 1, 60_000, 1000)
        meters: dict[int, Meter] = {}
        for index, entry in enumerate(of.take("meters", list)):
            one = Fields(entry, f"{of.where}.meters[{index}]")
            unit = one.whole("unit", 1, 247)
            if unit in meters:
                raise one.fail("unit", f"{unit} stands twice behind this gateway")
            meters[unit] = _meter(one, start, offset, plan)
            once("serial", meters[unit].serial, one.where)
        of.end()
        gateways.append(
            Gateway(clock, meters, port, baud, turnaround / 1000, timeout / 1000, kind, device)
        )
    fields.end()
    if not gateways:
        raise fields.fail("gateways", "is empty")
    return Site(start, gateways, clock)


def _day_plan(fields: Fields) -> DayPlan:
    entries = []
    value = fields.take("day_plan", list, None)
    if value is None:
        return DEFAULT_PLAN
    for entry in value:
        try:
            at, band = entry
            hours, minutes = re.fullmatch(r"(\d\d):([0-5]\d)", at).groups()  # type: ignore[union-attr]
            entries.append((60 * int(hours) + int(minutes), BANDS.index(band)))
        except (ValueError, TypeError, AttributeError):
            raise fields.fail(
                "day_plan", f'{entry!r} is not ["HH:MM", one of {", ".join(BANDS)}]'
            ) from None
    try:
        return DayPlan(tuple(entries))
    except ValueError as error:
        raise fields.fail("day_plan", str(error)) from None


def _meter(one: Fields, start: int, utc_offset_minutes: int, plan: DayPlan) -> Meter:
    kind = one.choice("type", METER_TYPES)
    serial = one.take("serial", str)
    if not serial or not serial.isascii() or not serial.isprintable():
        raise one.fail("serial", f"{serial!r} is not printable ASCII")
    register = one.decimal("register", "0")
    scale = Fraction(one.decimal("scale", "1"))
    curve = curves()[one.choice("curve", curves())]
    offset_hours = one.whole("offset_hours", -100_000, 100_000, 0)
    supply = one.choice("supply", ("on", "off"), "on")
    unit = METER_TYPES[kind].unit_of_measure
    if kind == RegisterDevice.type:
        profile = _profile(one)
        unit = {"electricity": "kWh", "water": "m³"}[profile["commodity"]]
    if curve.unit != unit:
        raise one.fail("curve", f"{curve.name} is in {curve.unit}, no use for {kind}")
    common = (serial, register, curve, scale, offset_hours, start, supply)
    if kind in (Ddsy1352.type, Dtsy1352.type):
        _check_ddsy1352(one, serial, register, curve, scale)
        prepaid = Dtsy1352 if kind == Dtsy1352.type else Ddsy1352
        made: Meter = prepaid(*common, plan=plan, utc_offset_minutes=utc_offset_minutes)
    elif kind == RegisterDevice.type:
        made = RegisterDevice(*common, profile=profile, utc_offset_minutes=utc_offset_minutes)
    else:
        seconds = one.whole("valve_seconds", 0, 86_400, MOVE_SECONDS)
        made = KaifengValve(*common, move_seconds=seconds)
    one.end()
    return made


def _profile(one: Fields) -> dict[str, Any]:
    """The profile's file, from the add-on's folder."""
    names = sorted(file.stem for file in PROFILES.glob("*.json"))
    name = one.choice("profile", names)
    return json.loads((PROFILES / f"{name}.json").read_text(encoding="utf-8"))


def _check_ddsy1352(
    one: Fields, serial: str, register: Decimal, curve: Curve, scale: Fraction
) -> None:
    if len(serial) > LONGEST_SERIAL:
        raise one.fail("serial", f"{serial!r} is longer than {LONGEST_SERIAL} characters")
    if register >= COUNTER_STEPS * Ddsy1352.resolution:
        raise one.fail("register", f"{register} does not fit the counter")
    if max(curve.thousandths) * scale > MAX_WATTS:
        raise one.fail("scale", f"the curve's peak exceeds the {MAX_WATTS} W the meter can show")


METER_TYPES: dict[str, type[Meter]] = {
    m.type: m for m in (Ddsy1352, Dtsy1352, KaifengValve, RegisterDevice)
}
