"""The clients of a gateway: bytes to requests, answers to bytes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from . import frames, rtu
from .faults import Exchange

if TYPE_CHECKING:
    from .gateway import Gateway

_logger = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One client of a gateway."""

    transport: asyncio.Transport
    #: What two masters send at once comes through as one mess.
    mixes = False

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._gateway.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.disconnected(self)

    def data_received(self, data: bytes) -> None:
        if len(data) == 12 and not self._buffer:
            kept = self._gateway.quick(data)
            if kept is not None:
                self.transport.write(kept)
                return
        buffer = self._buffer
        buffer += data
        try:
            while (length := frames.frame_length(buffer)) and len(buffer) >= length:
                request = bytes(buffer[:length])
                del buffer[:length]
                self._gateway.receive(self, request)
        except frames.FrameError as error:
            _logger.warning("gateway %d: connection closed: %s", self._gateway.port, error)
            self.transport.abort()

    def send(self, frame: bytes) -> None:
        """Send the answer that has this Modbus TCP form."""
        self.write(self.spoken(frame))

    def spoken(self, frame: bytes) -> bytes:
        """The bytes sent for a Modbus TCP frame."""
        return frame

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def send_exchange(self, exchange: Exchange) -> None:
        """Send an answer as the faults at work leave it."""
        if exchange.answer is not None:
            exchange.pieces = [(0.0, self.spoken(exchange.answer))]
        if exchange.collided and self.mixes:
            exchange.pieces = [
                (0.0, bytes(b ^ 0x5A for b in piece)) for _, piece in exchange.pieces
            ]
        for fault in exchange.acting:
            fault.on_wire(exchange)
        loop, wait = asyncio.get_running_loop(), 0.0
        for pause, piece in exchange.pieces:
            wait += pause
            if wait:
                loop.call_later(wait, self.write, piece)
            else:
                self.write(piece)
        if exchange.resets:
            # Not before what was written has left.
            loop.call_later(wait + 0.001, self.transport.abort)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class RtuConnection(Connection):
    """One client of a gateway that passes on the bus's own frames."""

    mixes = True

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := rtu.take_request(self._buffer)) is not None:
            self._gateway.receive(self, request)

    def spoken(self, frame: bytes) -> bytes:
        return rtu.from_tcp(frame)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)
            return
        # What the bus says comes to whoever is connected, asked by it or not.
        for other in self._gateway.connections:
            other.transport.write(data)
