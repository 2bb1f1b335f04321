"""What every simulated meter does: count what flows while the supply is on, and serve registers.

A meter lives in whole seconds of project time and is brought up to date only when it is asked or
switched. Its counter is start + sum of the load while the supply was on, exact.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

from .frames import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    READ_HOLDING,
    READ_INPUT,
    WRITE_MANY,
    WRITE_ONE,
    ModbusError,
)
from .load import EPOCH, HOUR, Curve

Block = tuple[int, int, Callable[[int], bytes]]


def iso(second: int) -> str:
    """A project second as ISO text, naive UTC."""
    return (EPOCH + timedelta(seconds=second)).isoformat()


class Meter:
    """One device behind a gateway. Subclasses give its registers and its switch."""

    type: ClassVar[str]
    unit_of_measure: ClassVar[str]
    resolution: ClassVar[Decimal]
    functions: ClassVar[frozenset[int]]
    commands: ClassVar[tuple[str, ...]]
    # Equal parts of the load that flow or not by themselves: phases.
    parts: ClassVar[int] = 1
    # What `alter` may change beside the register, with the kind of its value.
    alterable: ClassVar[dict[str, type]] = {}

    def __init__(
        self,
        serial: str,
        register: Decimal,
        curve: Curve,
        scale: Fraction,
        offset_hours: int,
        start: int,
    ) -> None:
        self.serial = serial
        self.curve, self.scale, self.offset_hours = curve, scale, offset_hours
        self.start_register = Fraction(register)
        self._used = 0  # thousandths of the unit times seconds, before scale, times `parts`
        self._used_before = 0  # the same, up to the last time the register was set
        self._settled = start
        # (second, command) of every command obeyed, also of those that changed nothing
        self.history: list[tuple[int, str]] = []
        self.on_command: Callable[[Meter, int, str], None] | None = None
        self.blocks: tuple[Block, ...] = ()

    def flows(self) -> bool:
        """Whether the supply is on as of the last settled second."""
        raise NotImplementedError

    def state(self) -> str:
        """The switch's own state in the device's words."""
        raise NotImplementedError

    def settle(self, second: int) -> None:
        """Bring the counter up to a second; an earlier one changes nothing."""
        if second > self._settled:
            if self.flows():
                self._count(self._settled, second)
            self._settled = second

    def command(self, command: str, second: int) -> None:
        """Obey one of `commands` at a second of project time."""
        # A clock that was set back does not undo what was counted already.
        second = max(second, self._settled)
        self.settle(second)
        self._obey(command, second)
        self.history.append((second, command))
        if self.on_command:
            self.on_command(self, second, command)

    def _obey(self, command: str, second: int) -> None:
        raise NotImplementedError

    def _count(self, begin: int, end: int) -> None:
        curve, offset = self.curve, self.offset_hours
        self._used += curve.cumulative(end, offset) - curve.cumulative(begin, offset)

    def exact(self) -> Fraction:
        """The exact counter in kWh or m³ as of the last settled second."""
        return self.start_register + self._since_set()

    def used(self) -> Fraction:
        """What flowed since the site's start, in kWh or m³, as of the last settled second."""
        return (self._used_before + self._used) * self.scale / (1000 * HOUR * self.parts)

    def _since_set(self) -> Fraction:
        """What flowed since the register was set last."""
        return self._used * self.scale / (1000 * HOUR * self.parts)

    def set_register(self, value: Decimal, second: int) -> None:
        """Have the counters begin anew at a value: a reset, or a counter about to roll over."""
        self.settle(second)
        self._used_before += self._used
        self._used = 0
        self.start_register = Fraction(value)

    def alter(self, second: int, register: Decimal | None = None, **changes: Any) -> None:
        """Change what the device is or says, as nobody on the bus could. Not kept over a restart.

        Raises ValueError for what this type of device does not have.
        """
        for name, value in changes.items():
            kind = self.alterable.get(name)
            if (
                kind is None
                or not isinstance(value, kind)
                or isinstance(value, bool) != (kind is bool)
            ):
                raise ValueError(f"alter: {self.type} has no {name} of {value!r}")
        self.settle(second)
        if register is not None:
            self.set_register(register, second)
        for name, value in changes.items():
            self._alter(name, value)

    def _alter(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def rate(self, second: int) -> int:
        """What flows now, in thousandths an hour (W, l/h), rounded down."""
        return int(self.curve.rate(second, self.offset_hours) * self.scale) if self.flows() else 0

    def shown(self) -> dict[str, str]:
        """The counters as the device displays them, by name; "register" is the total."""
        raise NotImplementedError

    def read(self, function: int, address: int, count: int, second: int) -> bytes:
        """The bytes of registers. Raises ModbusError."""
        if function not in self.functions:
            raise ModbusError(ILLEGAL_FUNCTION)
        for first, length, encode in self.blocks:
            if first <= address and address + count <= first + length:
                self.settle(second)
                begin = 2 * (address - first)
                return encode(second)[begin : begin + 2 * count]
        raise ModbusError(ILLEGAL_ADDRESS)

    def write(self, function: int, address: int, values: tuple[int, ...], second: int) -> None:
        """Write registers. Raises ModbusError."""
        if function not in self.functions:
            raise ModbusError(ILLEGAL_FUNCTION)
        self.command(self._decode_command(address, values), second)

    def _decode_command(self, address: int, values: tuple[int, ...]) -> str:
        """The command that a write means. Raises ModbusError."""
        raise NotImplementedError

    def report(self) -> dict[str, Any]:
        """Identity and switch as JSON, as of the last settled second."""
        return {
            "type": self.type,
            "serial": self.serial,
            "supply": "on" if self.flows() else "off",
            "state": self.state(),
            "commands": len(self.history),
        }


READS = frozenset((READ_HOLDING, READ_INPUT))
WRITES = frozenset((WRITE_ONE, WRITE_MANY))
