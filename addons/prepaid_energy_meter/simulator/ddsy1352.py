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
- its own protection trips by the control port: the relay opens, 0224 bit 4 (overload) or the high
  byte of 0225 (load control) says why, and 0222 counts. Forced on closes the relay and forgets the
  trip, which is why nothing but a person may do that; forced off leaves it shown.
"""

from __future__ import annotations

import struct
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from .bands import BANDS, DEFAULT_PLAN, DayPlan, band_sums
from .frames import ILLEGAL_ADDRESS, ILLEGAL_VALUE, READ_HOLDING, WRITE_MANY, ModbusError
from .load import DAY, EPOCH, HOUR, Curve
from .meter import Meter

VOLTAGE = 220
TYPE_CODE = 7
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
        self._serial = serial.encode("ascii").ljust(LONGEST_SERIAL, b"\0")
        self._plans = plan.encode() * 2
        self.blocks = (
            (0x0200, 48, self._block_0200),
            (0x0000, 0x60, self._block_0000),
            (0x03A0, 7, lambda _second: self._serial),
            (0x2006, 42, lambda _second: self._plans),
        )

    def flows(self) -> bool:
        # In its own prepaid state the meter has no money and so the relay is open.
        return self._mode == "forced on" and self._trip is None

    def state(self) -> str:
        return f"tripped: {self._trip}" if self._trip else self._mode

    def _obey(self, command: str, second: int) -> None:
        self._mode = command
        if command == "forced on":
            self._trip = None

    def trip(self, cause: str, second: int) -> None:
        """Have its own protection open the relay. Raises ValueError for an unknown cause."""
        if cause not in TRIPS:
            raise ValueError(f"trip: {cause!r} is none of {', '.join(TRIPS)}")
        self.settle(second)
        self._trip = cause
        self._trips += 1

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
        used = (u + a - b for u, a, b in zip(self._band_used, after, before, strict=True))
        self._band_used = tuple(used)
        self._used = sum(self._band_used)

    def _counters(self) -> list[int]:
        """Total, sharp, peak, flat, valley in hundredths of a kWh, each rounded down by itself.
        The start register counts as flat."""
        counters = []
        n, d = self.scale.numerator, self.scale.denominator * 10 * HOUR
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
        block[2 * 0x43 : 2 * 0x46] = self._meter_number
        forced = {"forced on": (1, 0), "forced off": (1, 1), "prepaid": (0, 0)}[self._mode]
        struct.pack_into(">2H", block, 2 * 0x57, *forced)
        return bytes(block)

    def _block_0200(self, second: int) -> bytes:
        watts = self.rate(second)
        current = 100 * watts // VOLTAGE
        closed, forced = self.flows(), self._mode != "prepaid"
        status = closed << 13 | forced << 3 | (closed and forced) | (not forced) << 5
        status |= (self._trip == "overload") << 4
        local = EPOCH + timedelta(seconds=second + self._utc_offset)
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
            *(TYPE_CODE, 10 * VOLTAGE, 0, 0, current, 0, 0),
            *(watts, 0, 0, watts),
            *(0, 0, 0, 0),
            *(1000, 0, 0, 1000),
            *(1, 1),
            *self._counters(),
            0,  # 021F remaining amount
            *(0, self._trips, 0),  # 0221 purchases, trips, allowed trips
            *(status, 0x0100 * (self._trip == "load_control")),  # 0224, 0225
            0,  # 0226 free energy left
            *moment,
        )
