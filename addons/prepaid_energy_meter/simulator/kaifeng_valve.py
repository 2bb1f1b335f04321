"""Kaifeng Xintai ultrasonic water meter with a valve. Function codes 03 and 06.

Layout: 28 registers from 0001, as in the project's register facts; float32 is DCBA, the bytes of an
IEEE 754 single from the lowest to the highest.

Where the facts are silent the simulated device decides: other registers read zero; a write anywhere
but to the valve (001C) is refused with exception 02; while the valve moves neither its open nor its
closed bit is set; water flows as long as it is not fully closed; the counter shows whole litres.

What can be wrong with it (`alter`): a stuck valve obeys nothing and says so (bit 0004); one
that jams stops so many seconds after it set out and shows neither end; a low battery is bit 0008.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

from .frames import ILLEGAL_ADDRESS, ILLEGAL_VALUE, READ_HOLDING, WRITE_ONE, ModbusError
from .load import HOUR, Curve
from .meter import Meter

FIRST, COUNT = 0x0001, 28
VALVE = 0x001C
OPEN_BIT, CLOSED_BIT, ABNORMAL_BIT, BATTERY_BIT = 0x0001, 0x0002, 0x0004, 0x0008
COMMANDS = {1: "open", 2: "close"}
PIPE_FULL = 0xAA
TEMPERATURE, BATTERY_VOLTS = 15.0, 3.6
MOVE_SECONDS = 5


class KaifengValve(Meter):
    type = "kaifeng_valve"
    unit_of_measure = "m³"
    resolution = Decimal("0.001")
    functions = frozenset((READ_HOLDING, WRITE_ONE))
    commands = ("open", "close")
    supply_on: ClassVar[str] = "open"
    supply_off: ClassVar[str] = "close"
    alterable: ClassVar[dict[str, type]] = {
        "stuck": bool,
        "jams_after": int,
        "move_seconds": int,
        "low_battery": bool,
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
        move_seconds: int = MOVE_SECONDS,
    ) -> None:
        super().__init__(serial, register, curve, scale, offset_hours, start)
        self.move_seconds = move_seconds
        self.stuck = self.low_battery = False
        self.jams_after: int | None = None
        self._jammed = False
        self._open = supply == "on"
        self._moved_at: int | None = None  # when the present movement ends
        self.blocks = ((FIRST, COUNT, self._block),)

    def settle(self, second: int) -> None:
        if self._moved_at is not None and self._moved_at <= second:
            super().settle(self._moved_at)
            self._moved_at = None
        super().settle(second)

    def _alter(self, name: str, value: Any) -> None:
        super()._alter(name, None if name == "jams_after" and value < 0 else value)

    def flows(self) -> bool:
        return self._open or self._jammed or self._moved_at is not None

    def state(self) -> str:
        if self._moved_at is not None:
            return "opening" if self._open else "closing"
        if self._jammed:
            return "jammed"
        return "open" if self._open else "closed"

    def _obey(self, command: str, second: int) -> None:
        wanted = command == "open"
        if self.stuck:
            return
        if wanted != self._open or self._jammed:
            self._open = wanted
            self._jammed = self.jams_after is not None
            travel = self.move_seconds if self.jams_after is None else self.jams_after
            self._moved_at = second + travel
            self.settle(second)

    def _decode_command(self, address: int, values: tuple[int, ...]) -> str:
        if address != VALVE:
            raise ModbusError(ILLEGAL_ADDRESS)
        if values[0] not in COMMANDS:
            raise ModbusError(ILLEGAL_VALUE)
        return COMMANDS[values[0]]

    def _litres(self) -> int:
        start = self.start_register
        # Since the register was set last.
        used = Fraction(self._used * self.scale.numerator, self.scale.denominator * HOUR)
        return int(start * 1000 + used)

    def shown(self) -> dict[str, str]:
        return {"register": str(self._litres() * self.resolution)}

    def _block(self, second: int) -> bytes:
        block = bytearray(2 * COUNT)

        def put_float(address: int, value: float) -> None:
            struct.pack_into("<f", block, 2 * (address - FIRST), value)

        def put_word(address: int, value: int) -> None:
            struct.pack_into(">H", block, 2 * (address - FIRST), value)

        put_float(0x0001, self._litres() / 1000)
        put_float(0x0005, self.rate(second) / 1000)
        put_word(0x0007, PIPE_FULL)
        put_float(0x000C, TEMPERATURE)
        put_float(0x001A, BATTERY_VOLTS)
        on_its_way = self._moved_at is not None or self._jammed
        ends = 0 if on_its_way else OPEN_BIT if self._open else CLOSED_BIT
        put_word(VALVE, ends | self.stuck * ABNORMAL_BIT | self.low_battery * BATTERY_BIT)
        return bytes(block)
