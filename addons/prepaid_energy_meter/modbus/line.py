"""How a gateway is reached, as its form says it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .addresses import Allowed
from .client import GatewayClient, Timing
from .framing import RtuFraming, TcpFraming
from .link import TcpLink
from .serial_link import SerialLink


@dataclass(frozen=True)
class Line:
    """The settings of one gateway; seconds, see :class:`.client.Timing`.

    ``kind``: Modbus TCP, RTU frames over TCP, or a serial device of this computer.
    ``echoes_numbers``: a Modbus TCP gateway answers under the request's number. ``retries``:
    how often a read is asked for again before it counts as missed.
    """

    kind: Literal["tcp", "rtu_tcp", "serial"] = "tcp"
    host: str = ""
    port: int = 502
    echoes_numbers: bool = True
    device: str = ""
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: int = 1
    timeout: float = 1.0
    connect_timeout: float = 3.0
    pause: float = 0.0
    quiet: float = 1.0
    retries: int = 0

    def client(self, allowed: Allowed, may_send: Callable[[], bool]) -> GatewayClient:
        """A client that is not yet connected."""
        link: TcpLink | SerialLink
        if self.kind == "serial":
            link = SerialLink(self.device, self.baud, self.parity, self.stop_bits, allowed.devices)
        else:
            link = TcpLink(self.host, self.port, allowed.networks)
        framing = TcpFraming(self.echoes_numbers) if self.kind == "tcp" else RtuFraming()
        timing = Timing(self.timeout, self.connect_timeout, self.pause, self.quiet)
        return GatewayClient(link, framing, timing, may_send=may_send)
