"""Faults of a gateway or of one unit behind it.

A new fault is a class with the decorator `fault`: its parameters are the arguments of __init__, and
it acts on an exchange before the meter gets the request, or on the answer after it. Those that act
on the bytes as they are sent are in `wire_faults`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .clock import monotonic


@dataclass(slots=True)
class Exchange:
    """One request and what becomes of it.

    request, answer: as Modbus TCP frames, whatever is spoken. pieces: what is sent, as it is
    spoken, each with the real seconds it comes after the one before. resets: the connection is cut
    after them.
    """

    request: bytes
    reaches_meter: bool = True
    answer: bytes | None = None
    delay: float = 0.0  # real seconds
    acting: list[Fault] = field(default_factory=list)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    resets: bool = False
    collided: bool = False  # another master talked at the same time


class Fault:
    """What a fault does. `at_gateway`: the gateway itself swallows the request, nothing is sent on
    the bus."""

    at_gateway = False

    def before(self, exchange: Exchange) -> None:
        """Acts before the meter gets the request."""

    def after(self, exchange: Exchange) -> None:
        """Acts on the answer (None where there is none)."""

    def on_wire(self, exchange: Exchange) -> None:
        """Acts on the pieces that are sent (none where there is no answer)."""


FAULTS: dict[str, type[Fault]] = {}


def fault(kind: str) -> Callable[[type[Fault]], type[Fault]]:
    """Registers a class of faults under its name."""

    def register(cls: type[Fault]) -> type[Fault]:
        FAULTS[kind] = cls
        return cls

    return register


@fault("silence")
class Silence(Fault):
    """The meter is dead: it neither obeys nor answers."""

    def before(self, exchange: Exchange) -> None:
        exchange.reaches_meter = False


@fault("delay")
class Delay(Fault):
    """The answer comes `ms` milliseconds of real time late."""

    def __init__(self, ms: float) -> None:
        if ms < 0:
            raise ValueError(f"delay: {ms} ms is negative")
        self.ms = ms

    def after(self, exchange: Exchange) -> None:
        exchange.delay += self.ms / 1000


@fault("wrong_unit")
class WrongUnit(Fault):
    """The answer bears the next unit's number."""

    def after(self, exchange: Exchange) -> None:
        if exchange.answer is not None:
            answer = bytearray(exchange.answer)
            answer[6] = answer[6] % 247 + 1
            exchange.answer = bytes(answer)


@fault("half_open")
class HalfOpen(Fault):
    """The gateway accepts connections and requests and does nothing with them."""

    at_gateway = True

    def before(self, exchange: Exchange) -> None:
        exchange.reaches_meter = False


@dataclass(slots=True)
class Injected:
    """A fault at work. unit: None for all behind the gateway; left: exchanges it will still act on;
    until: end by the monotonic clock."""

    id: int
    kind: str
    fault: Fault
    parameters: dict[str, Any]
    unit: int | None
    left: int | None
    until: float | None
    hits: int = 0

    def report(self) -> dict[str, Any]:
        seconds_left = None if self.until is None else max(0.0, self.until - monotonic())
        return {
            "id": self.id,
            "kind": self.kind,
            "unit": self.unit,
            **self.parameters,
            "left": self.left,
            "seconds_left": seconds_left,
            "hits": self.hits,
        }


class FaultList:
    """The faults of one gateway, in the order they were injected."""

    _ids = count(1)

    def __init__(self) -> None:
        self._injected: list[Injected] = []

    def __bool__(self) -> bool:
        return bool(self._injected)

    def __iter__(self) -> Iterator[Injected]:
        self._drop_ended()
        return iter(self._injected)

    def add(
        self,
        kind: str,
        unit: int | None = None,
        count: int | None = None,
        duration: float | None = None,
        **parameters: Any,
    ) -> int:
        """Inject a fault for a number of exchanges, for real seconds, or until cleared; its id.

        Raises ValueError for an unknown kind or wrong parameters.
        """
        if kind not in FAULTS:
            raise ValueError(f"fault: {kind!r} is none of {', '.join(sorted(FAULTS))}")
        if (count is not None and count < 1) or (duration is not None and duration <= 0):
            raise ValueError("fault: count and duration are positive")
        if FAULTS[kind].at_gateway and unit is not None:
            raise ValueError(f"fault: {kind} is one of the gateway, not of a unit")
        try:
            inspect.signature(FAULTS[kind]).bind(**parameters)
            made = FAULTS[kind](**parameters)
        except TypeError as error:
            raise ValueError(f"fault: {kind}: {error}") from None
        until = None if duration is None else monotonic() + duration
        id = next(self._ids)
        self._injected.append(Injected(id, kind, made, parameters, unit, count, until))
        return id

    def clear(self, id: int | None = None) -> int:
        """Remove one fault or all; how many were removed."""
        before = len(self._injected)
        self._injected = [f for f in self._injected if id is not None and f.id != id]
        return before - len(self._injected)

    def take(self, unit: int, at_gateway: bool) -> list[Fault]:
        """The faults that act on an exchange at this stage; uses up one count of each."""
        self._drop_ended()
        acting = []
        for injected in self._injected:
            if injected.fault.at_gateway == at_gateway and injected.unit in (None, unit):
                acting.append(injected.fault)
                injected.hits += 1
                if injected.left is not None:
                    injected.left -= 1
        self._drop_ended()
        return acting

    def _drop_ended(self) -> None:
        now = monotonic()
        self._injected = [
            injected
            for injected in self._injected
            if injected.left != 0 and (injected.until is None or now < injected.until)
        ]
