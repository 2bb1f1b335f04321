"""The way to a bus at a serial port of this computer."""

import asyncio
import os
import stat
from collections.abc import Callable, Collection

import serial

from .connection import Connection
from .errors import NotAllowed, Unreachable

#: Longer than any frame.
_MOST_BYTES = 4096


class SerialLink:
    """One serial device.

    :param parity: "N", "E" or "O"
    :param stop_bits: 1 or 2
    :param allowed: the paths of the devices that may be opened
    """

    def __init__(
        self, device: str, baud: int, parity: str, stop_bits: int, allowed: Collection[str]
    ):
        self.name = device
        self.baud = baud
        self.parity = parity
        self.stop_bits = stop_bits
        self.allowed = frozenset(allowed)

    async def open(self, connection: Callable[[], Connection]) -> Connection:
        if self.name not in self.allowed:
            raise NotAllowed("device", self.name)
        try:
            if not stat.S_ISCHR(os.stat(self.name).st_mode):
                raise Unreachable(f"{self.name} is no device")
            port = serial.Serial(
                self.name,
                self.baud,
                parity=self.parity,
                stopbits=self.stop_bits,
                timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self.name}: {error}") from error
        made = connection()
        _SerialTransport(port, made)
        return made


class _SerialTransport(asyncio.Transport):
    """An opened port as the transport of a connection."""

    def __init__(self, port: serial.Serial, connection: Connection):
        super().__init__()
        self._port = port
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        os.set_blocking(port.fileno(), False)
        port.reset_input_buffer()
        connection.connection_made(self)
        self._loop.add_reader(port.fileno(), self._readable)

    def write(self, data: bytes) -> None:
        try:
            written = os.write(self._port.fileno(), data)
        except OSError as error:
            self._lose(error)
            return
        if written < len(data):
            # A frame is far shorter than the system's buffer: the line does not move.
            self._lose(OSError("the serial line takes no more bytes"))

    def abort(self) -> None:
        if self._port.is_open:
            self._loop.remove_reader(self._port.fileno())
            self._port.close()

    close = abort

    def is_closing(self) -> bool:
        return not self._port.is_open

    def _readable(self) -> None:
        try:
            data = os.read(self._port.fileno(), _MOST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._connection.data_received(data)
        else:
            self._lose(OSError("the device is gone"))

    def _lose(self, error: OSError) -> None:
        self.abort()
        self._connection.connection_lost(error)
