"""Any meter whose registers a profile's file describes, for its values as a device would send them.

It reads the same file as the connector does and nothing else of it: what a value is made of, in
which words and in which order, is worked out here once more, from the encodings' definitions.

The device counts as the others do; what else its profile names has a fixed, plausible value. Its
clock is the project's. It obeys the words of the profile's control at once; other registers read
zero inside the map's outline, and there is nothing outside it.
"""

from __future__ import annotations

import struct
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from .frames import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    READ_HOLDING,
    ModbusError,
)
from .load import EPOCH, Curve
from .meter import Meter

PROFILES = Path(__file__).parent.parent / "profiles"
VOLTAGE = 220
FIXED = {
    "voltage": VOLTAGE,
    "voltage_l2": VOLTAGE,
    "voltage_l3": VOLTAGE,
    "power_factor": 1,
    "frequency": 50,
    "temperature": 15,
    "battery": Fraction(18, 5),
    "pipe": 0xAA,
    "ct_ratio": 1,
    "pt_ratio": 1,
}
WORDS = {"u32": 2, "s32": 2, "float32": 2, "u64": 4, "s64": 4, "float64": 4}


def number(value: Any) -> int:
    return value if isinstance(value, int) else int(value, 0)


class RegisterDevice(Meter):
    type = "registers"
    unit_of_measure = "kWh"
    resolution = Decimal("0.01")
    functions: ClassVar[frozenset[int]] = frozenset()
    commands: ClassVar[tuple[str, ...]] = ("on", "off")
    supply_on: ClassVar[str] = "on"
    supply_off: ClassVar[str] = "off"
    alterable: ClassVar[dict[str, type]] = {
        "answers_as": str,
        "clock_ahead": int,
        "control_key": int,
    }

    def __init__(
        self,
        serial: str,
        register: Decimal,
        curve: Curve,
        scale: Fraction,
        offset_hours: int,
        start: int,
        supply: str = "on",
        *,
        profile: dict[str, Any],
        utc_offset_minutes: int = 480,
    ) -> None:
        super().__init__(serial, register, curve, scale, offset_hours, start)
        self.profile = profile
        if profile["commodity"] == "water":
            self.unit_of_measure = "m³"  # type: ignore[misc]
        self.answers_as = serial
        self.clock_ahead = 0
        self.control_key = 0
        self._utc_offset = 60 * utc_offset_minutes
        self._on = supply == "on"
        self._reads = frozenset(profile["read_functions"])
        self._writes = frozenset(profile.get("write_functions") or ())
        self._outline: dict[int, tuple[int, int]] = {}
        for row in profile["registers"]:
            function, first = row.get("function", READ_HOLDING), number(row["address"])
            end = first + self._length(row)
            low, high = self._outline.get(function, (first, end))
            self._outline[function] = min(low, first), max(high, end)

    @staticmethod
    def _length(row: dict[str, Any]) -> int:
        return row.get("words") or WORDS.get(row["type"], 1)

    def flows(self) -> bool:
        return self._on

    def state(self) -> str:
        return "on" if self._on else "off"

    def _obey(self, command: str, second: int) -> None:
        self._on = command == "on"

    def shown(self) -> dict[str, str]:
        steps = self.exact() / Fraction(self.resolution)
        return {"register": str(int(steps) * self.resolution)}

    def read(self, function: int, address: int, count: int, second: int) -> bytes:
        """Override: the map may lie in several places, far apart."""
        if function not in self._reads:
            raise ModbusError(ILLEGAL_FUNCTION)
        low, high = self._outline.get(function, (0, 0))
        if address < low or address + count > high:
            raise ModbusError(ILLEGAL_ADDRESS)
        self.settle(second)
        image = bytearray(2 * count)
        for row in self.profile["registers"]:
            first, length = number(row["address"]), self._length(row)
            inside = address <= first and first + length <= address + count
            if inside and row.get("function", READ_HOLDING) == function:
                # Registers that share a word (bits, bytes) share it.
                begin = 2 * (first - address)
                for offset, byte in enumerate(self._encode(row, second)):
                    image[begin + offset] |= byte
        return bytes(image)

    def write(self, function: int, address: int, values: tuple[int, ...], second: int) -> None:
        """Override: the functions that write are the profile's."""
        if function not in self._writes:
            raise ModbusError(ILLEGAL_FUNCTION)
        self.command(self._decode_command(address, values), second)

    def _decode_command(self, address: int, values: tuple[int, ...]) -> str:
        control = self.profile["control"]
        if address != number(control["address"]):
            raise ModbusError(ILLEGAL_ADDRESS)
        for command in self.commands:
            words = [self.control_key if w == "key" else number(w) for w in control[command]]
            if list(values) == words:
                return command
        raise ModbusError(ILLEGAL_VALUE)

    def _value(self, meaning: str, second: int) -> Fraction | int:
        """What the device would display, in the unit of the meaning."""
        if meaning == "total":
            return self.exact()
        thousandths = self.rate(second)
        if meaning in ("power", "apparent_power", "flow"):
            return Fraction(thousandths, 1000)
        if meaning == "current":
            return Fraction(thousandths, VOLTAGE)
        if meaning == "supply_state":
            return self._flags()
        return FIXED.get(meaning, 0)

    def _flags(self) -> int:
        wanted = self.state()
        for rule in self.profile["control"]["states"]:
            if rule["state"] == wanted:
                return number(rule["value"])
        raise AssertionError(f"{self.profile['code']}: no state {wanted}")

    def _encode(self, row: dict[str, Any], second: int) -> bytes:
        kind, meaning, size = row["type"], row["meaning"], 2 * self._length(row)
        if kind == "string":
            data = self.answers_as.encode("ascii")[:size].ljust(size, b"\0")
        elif kind == "bcd_text":
            digits = "".join(filter(str.isdigit, self.answers_as))[-2 * size :]
            data = bytes.fromhex(digits.rjust(2 * size, "0"))
        elif kind == "bytes":
            data = self._clock(second).ljust(size, b"\0") if meaning == "clock" else bytes(size)
        else:
            data = self._number(row, second, size)
        return reordered(data, row.get("word_order", "ABCD"))

    def _number(self, row: dict[str, Any], second: int, size: int) -> bytes:
        kind = row["type"]
        value = Fraction(self._value(row["meaning"], second))
        raw = (value - Fraction(row.get("offset", "0"))) / Fraction(row.get("scale", "1"))
        if kind in ("float32", "float64"):
            return struct.pack(">f" if kind == "float32" else ">d", float(raw))
        whole = raw.numerator // raw.denominator
        if kind == "bcd":
            return bytes.fromhex(str(whole).rjust(2 * size, "0")[-2 * size :])
        if kind == "bit":
            return (whole << row.get("index", 0)).to_bytes(size, "big")
        if kind == "byte":
            return (whole & 0xFF).to_bytes(size, "big") if row.get("index") else bytes((whole, 0))
        return (whole % (1 << 8 * size)).to_bytes(size, "big")

    def _clock(self, second: int) -> bytes:
        local = EPOCH + timedelta(seconds=second + self._utc_offset + self.clock_ahead)
        day = (local.year % 100, local.month, local.day, local.isoweekday())
        return bytes((*day, local.hour, local.minute, local.second))


def reordered(data: bytes, order: str) -> bytes:
    """Bytes most significant first, as a device with that word order sends them."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)
