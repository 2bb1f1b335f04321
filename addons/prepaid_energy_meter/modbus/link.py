"""The ways to a gateway's bytes over the network."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from .addresses import Network, choose, numbered
from .connection import Connection
from .errors import Unreachable
from .names import resolve


class Link(Protocol):
    """A way to a gateway. ``name``: as it stands in messages."""

    name: str

    async def open(self, connection: Callable[[], Connection]) -> Connection:
        """Make a connection; the caller limits the time.

        :raise NotAllowed: the administrator has not allowed this address or device
        :raise Unreachable: nobody is there
        """


class TcpLink:
    """One address, by name or number.

    :param allowed: networks the resolved address must lie in; none = nowhere
    """

    def __init__(self, host: str, port: int, allowed: Sequence[Network]):
        self.host = host
        self.port = port
        self.allowed = tuple(allowed)
        self.name = f"{host}:{port}"

    async def open(self, connection: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        number = numbered(self.host)
        try:
            addresses = [str(number)] if number else await resolve(self.host)
            address, refused = choose(self.host, addresses, self.allowed)
            if refused:
                raise refused
            # The number just judged is used, so that the name cannot change in between.
            _transport, made = await loop.create_connection(connection, address, self.port)
        except OSError as error:
            raise Unreachable(f"{self.name}: {error.strerror or error}") from error
        return made
