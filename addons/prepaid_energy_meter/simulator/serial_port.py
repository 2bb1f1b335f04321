"""A serial line without a wire: one end is the simulator's, the other a device path."""

from __future__ import annotations

import asyncio
import os
import pty
import tty

_MOST_BYTES = 4096


class SerialPort(asyncio.Transport):
    """A pair of pseudo terminals. `path`: where a client opens it, a link at `device` if given."""

    def __init__(self, device: str, connection: asyncio.Protocol) -> None:
        super().__init__()
        # The client's end is kept open as well: the line outlives its clients.
        self._own, self._others = pty.openpty()
        tty.setraw(self._others)
        os.set_blocking(self._own, False)
        self.path = os.ttyname(self._others)
        self._link = device
        if device:
            if os.path.islink(device):
                os.unlink(device)
            os.symlink(self.path, device)
            self.path = device
        self._connection = connection
        self._is_closed = False
        connection.connection_made(self)
        asyncio.get_running_loop().add_reader(self._own, self._readable)

    def _readable(self) -> None:
        self._connection.data_received(os.read(self._own, _MOST_BYTES))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        try:
            os.write(self._own, data)
        except BlockingIOError:
            # Nobody reads the line: what is sent on it is lost.
            return

    def is_closing(self) -> bool:
        return self._is_closed

    def abort(self) -> None:
        """A line cannot be cut from here."""

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        asyncio.get_running_loop().remove_reader(self._own)
        os.close(self._own)
        os.close(self._others)
        if self._link:
            os.unlink(self._link)
        self._connection.connection_lost(None)
