"""A gateway that cannot be connected to: it refuses, or swallows every attempt."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gateway import Gateway

OUTAGES = ("refused", "black_hole")


class Outage:
    """What is wrong with a gateway's port now, if anything."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.kind = ""
        self._sockets: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, kind: str, seconds: float | None = None) -> None:
        """Raises ValueError for an unknown kind, or a gateway without a port."""
        if kind not in OUTAGES:
            raise ValueError(f"outage: {kind!r} is none of {', '.join(OUTAGES)}")
        gateway = self._gateway
        if gateway.kind == "serial":
            raise ValueError("outage: a serial line has no port")
        if seconds is not None and seconds <= 0:
            raise ValueError("outage: the duration is positive")
        self.clear()
        self.kind = kind
        gateway.stop_listening()
        if kind == "black_hole":
            self._swallow()
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.end)

    def end(self) -> None:
        """Let the gateway be connected to again."""
        if self.kind:
            self.clear()
            gateway = self._gateway
            serving = gateway.serve(gateway.bind())
            self._task = asyncio.get_running_loop().create_task(serving)

    def clear(self) -> None:
        self.kind = ""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for one in self._sockets:
            one.close()
        self._sockets = []

    def _swallow(self) -> None:
        """A port whose queue is full and never emptied: the system drops what wants to connect."""
        host, port = self._gateway.host, self._gateway.port
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(0)
        self._sockets.append(listening)
        for _filler in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((host, port))
            self._sockets.append(filler)
