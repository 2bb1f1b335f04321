"""Acrel DDSY1352, a single-phase prepaid meter with a relay.

Layout: blocks 0000 and 0200, control and identity as in the project's register facts (vendor
operation manual T1.0 2021; block 0200 from two public sources). Function codes 03 and 10 only.

Where the facts are silent the simulated device decides:
- registers between the known ones read zero; a read outside 0000-005F, 0200-022F, 03A0-03A6 and
  2006-202F is refused with exception 02, as is a write anywhere but to 0057 with two registers;
- the weekday of the clock counts Monday as 1;
- the meter's own money is zero, so that a release to its own prepaid state trips it, and it shows
  arrears (0224, bit 5) while it is tripped;
- the counter has eight digits: after 999999.99 kWh comes 0.00;
- an encrypted meter (0022, bit 5) refuses everything but that register with exception 04;
- its own protection opens the relays when it is told to (`alter`, trip): 0224 bit 4 (overload) or
  the high byte of 0225 (load control) says why, and 0222 counts. Forced on closes the relays and
  forgets the trip, which is why nothing but a person may do that; forced off leaves it shown.
"""

from __future__ import annotations

import struct
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

from .bands import BANDS, DEFAULT_PLAN, DayPlan, band_sums
from .frames import (
    DEVICE_FAILURE,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    READ_HOLDING,
    WRITE_MANY,
    ModbusError,
)
from .load import DAY, EPOCH, HOUR, Curve
from .meter import Meter

VOLTAGE = 220
TYPE_CODE = 7
ENCRYPTION = 0x0022
COUNTER_STEPS = 10**8
LONGEST_SERIAL = 14
TRIPS = ("overload", "load_control")
# The largest power of an INT16 in 0.001 kW.
MAX_WATTS = 0x7FFF


class Ddsy1352(Meter):
    type = "ddsy1352"
    unit_of_measure = "kWh"
    resolution = Decimal("0.01")
    functions = frozenset((READ_HOLDING, WRITE_MANY))
    commands = ("forced on", "forced off", "prepaid")
    supply_on: ClassVar[str] = "forced on"
    supply_off: ClassVar[str] = "forced off"
    type_code: ClassVar[int] = TYPE_CODE
    plans_at: ClassVar[int] = 0x2006
    alterable: ClassVar[dict[str, type]] = {
        "answers_as": str,
        "clock_ahead": int,
        "ct_ratio": int,
        "pt_ratio": int,
        "encrypted": bool,
        "stuck": list,
        "trip": str,
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
        plan: DayPlan = DEFAULT_PLAN,
        utc_offset_minutes: int = 480,
    ) -> None:
        super().__init__(serial, register, curve, scale, offset_hours, start)
        self.plan = plan
        self._utc_offset = 60 * utc_offset_minutes
        self._mode = self.supply_on if supply == "on" else self.supply_off
        self._trip: str | None = None
        self._trips = 0
        self._sums = band_sums(curve, plan, (self._utc_offset - offset_hours * HOUR) % DAY)
        self._band_used: tuple[int, ...] = (0, 0, 0, 0)
        digits = "".join(filter(str.isdigit, serial))
        self._meter_number = bytes.fromhex(digits[-12:].rjust(12, "0"))
        self._plans = plan.encode() * 2
        # What the serial number register says, seconds the clock is ahead, transformers' ratios,
        # relays that do not move any more.
        self.answers_as = serial
        self.clock_ahead = 0
        self.ct_ratio = self.pt_ratio = 1
        self.encrypted = False
        self.stuck: list[str] = []
        self._closed = [self._mode == "forced on"] * self.parts
        self.blocks = (
            (0x0200, 48, self._block_0200),
            (0x0000, 0x60, self._block_0000),
            (0x03A0, 7, lambda _second: self._serial()),
            (self.plans_at, 42, lambda _second: self._plans),
        )

    def _serial(self) -> bytes:
        return self.answers_as.encode("ascii").ljust(LONGEST_SERIAL, b"\0")

    def flows(self) -> bool:
        return any(self._closed)

    def state(self) -> str:
        return f"tripped: {self._trip}" if self._trip else self._mode

    def _obey(self, command: str, second: int) -> None:
        self._mode = command
        if command == "forced on":
            self._trip = None
        # In its own prepaid state the meter has no money and so the relay is open.
        for phase in range(self.parts):
            if f"L{phase + 1}" not in self.stuck:
                self._closed[phase] = command == "forced on"

    def _alter(self, name: str, value: Any) -> None:
        if name == "answers_as" and not (value.isascii() and len(value) <= LONGEST_SERIAL):
            raise ValueError(f"alter: {value!r} is no serial number of {LONGEST_SERIAL} characters")
        if name == "stuck" and not set(value) <= {f"L{n + 1}" for n in range(self.parts)}:
            raise ValueError(f"alter: {value!r} are not relays of {self.type}")
        if name == "trip":
            self._trip_by(value)
        else:
            super()._alter(name, value)

    def _trip_by(self, cause: str) -> None:
        if cause not in TRIPS:
            raise ValueError(f"alter: {cause!r} is none of {', '.join(TRIPS)}")
        self._trip = cause
        self._trips += 1
        self._closed = [False] * self.parts

    def report(self) -> dict[str, Any]:
        return {
            **super().report(),
            "relays": ["closed" if closed else "open" for closed in self._closed],
        }

    def read(self, function: int, address: int, count: int, second: int) -> bytes:
        self._refuse_encrypted(address)
        return super().read(function, address, count, second)

    def write(self, function: int, address: int, values: tuple[int, ...], second: int) -> None:
        self._refuse_encrypted(address)
        super().write(function, address, values, second)

    def _refuse_encrypted(self, address: int) -> None:
        if self.encrypted and address != ENCRYPTION:
            raise ModbusError(DEVICE_FAILURE)

    def set_register(self, value: Decimal, second: int) -> None:
        super().set_register(value, second)
        self._band_used = (0, 0, 0, 0)

    def _decode_command(self, address: int, values: tuple[int, ...]) -> str:
        if address != 0x0057 or len(values) != 2:
            raise ModbusError(ILLEGAL_ADDRESS)
        if values[0] > 1 or (values[0] == 1 and values[1] > 1):
            raise ModbusError(ILLEGAL_VALUE)
        # [1, 0] forces the relay closed, [1, 1] open, [0, anything] releases it.
        if values[0] == 0:
            return "prepaid"
        return "forced off" if values[1] else "forced on"

    def _count(self, begin: int, end: int) -> None:
        before = self._sums.cumulative(begin, self.offset_hours)
        after = self._sums.cumulative(end, self.offset_hours)
        closed = sum(self._closed)
        used = (
            u + closed * (a - b) for u, a, b in zip(self._band_used, after, before, strict=True)
        )
        self._band_used = tuple(used)
        self._used = sum(self._band_used)

    def _counters(self) -> list[int]:
        """Total, sharp, peak, flat, valley in hundredths of a kWh, each rounded down by itself.
        The start register counts as flat."""
        counters = []
        n, d = self.scale.numerator, self.scale.denominator * 10 * HOUR * self.parts
        start_n, start_d = self.start_register.numerator * 100, self.start_register.denominator
        for index, used in enumerate((self._used, *self._band_used)):
            first = start_n if index in (0, 3) else 0
            steps = (used * n * start_d + first * d) // (d * start_d)
            counters.append(steps % COUNTER_STEPS)
        return counters

    def shown(self) -> dict[str, str]:
        names = ("register", *BANDS)
        return {
            name: str(steps * self.resolution)
            for name, steps in zip(names, self._counters(), strict=True)
        }

    def _block_0000(self, second: int) -> bytes:
        watts = self.rate(second)
        block = bytearray(2 * 0x60)
        # 0000-0008 energies, 000B U 0.1 V, 000C I 0.01 A, 000D P W, 000F S VA, 0010 factor 0.001
        struct.pack_into(">5I", block, 0, *self._counters())
        struct.pack_into(
            ">HHhHHh", block, 2 * 0x0B, 10 * VOLTAGE, 100 * watts // VOLTAGE, watts, 0, watts, 1000
        )
        struct.pack_into(">H", block, 2 * ENCRYPTION, self.encrypted << 5)
        block[2 * 0x43 : 2 * 0x46] = self._meter_number
        forced = {"forced on": (1, 0), "forced off": (1, 1), "prepaid": (0, 0)}[self._mode]
        struct.pack_into(">2H", block, 2 * 0x57, *forced)
        return bytes(block)

    def _phases(self, second: int) -> list[int]:
        """What flows in each phase now, in W, three of them."""
        whole = self.curve.rate(second, self.offset_hours) * self.scale / self.parts
        watts = [int(whole) if closed else 0 for closed in self._closed]
        return watts + [0] * (3 - self.parts)

    def rate(self, second: int) -> int:
        return sum(self._phases(second))

    def _block_0200(self, second: int) -> bytes:
        watts = self._phases(second)
        live = [VOLTAGE if phase < self.parts else 0 for phase in range(3)]
        forced = self._mode != "prepaid"
        relays = sum(closed << 13 + phase for phase, closed in enumerate(self._closed))
        wanted = self._mode == "forced on"
        wants = sum(wanted << phase for phase in range(self.parts))
        status = relays | forced << 3 | wants | (not forced) << 5
        status |= (self._trip == "overload") << 4
        local = EPOCH + timedelta(seconds=second + self._utc_offset + self.clock_ahead)
        moment = (
            local.year % 100,
            local.month,
            local.day,
            local.isoweekday(),
            local.hour,
            local.minute,
            local.second,
            0,
        )
        return struct.pack(
            ">7H4h4h4h2H5Ii3HHHI8B8x",
            self.type_code,
            *(10 * volts for volts in live),
            *(100 * power // VOLTAGE for power in watts),
            *(*watts, sum(watts)),
            *(0, 0, 0, 0),
            *(1000 if volts else 0 for volts in live),
            1000,
            *(self.pt_ratio, self.ct_ratio),
            *self._counters(),
            0,  # 021F remaining amount
            *(0, self._trips, 0),  # 0221 purchases, trips, allowed trips
            *(status, 0x0100 * (self._trip == "load_control")),  # 0224, 0225
            0,  # 0226 free energy left
            *moment,
        )
