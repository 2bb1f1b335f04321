"""Another system that polls the same bus, as it must not be."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from . import rtu

if TYPE_CHECKING:
    from .gateway import Gateway


class SecondMaster:
    """Asks the first meter for a register every so often.

    Where a transaction is on the bus, both are spoilt. Elsewhere its answer comes to whoever
    listens to the bus: all clients of a gateway that passes the bus's frames on.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._every = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.polls = 0

    def start(self, ms: float) -> None:
        """Poll every `ms` milliseconds of real time. Raises ValueError unless that is positive."""
        if ms <= 0:
            raise ValueError(f"second_master: {ms} ms is not positive")
        self.stop()
        self._every = ms / 1000
        self._timer = asyncio.get_running_loop().call_later(self._every, self.poll)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def poll(self) -> None:
        """Ask once, now."""
        self.polls += 1
        if self._timer:
            self._timer = asyncio.get_running_loop().call_later(self._every, self.poll)
        gateway = self._gateway
        if gateway.collide() or gateway.kind == "tcp":
            return
        answer = struct.pack(">BBBH", next(iter(gateway.meters), 1), 3, 2, self.polls & 0xFFFF)
        for connection in list(gateway.connections):
            connection.write(answer + rtu.checksum(answer))
