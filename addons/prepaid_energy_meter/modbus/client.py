"""One Modbus TCP connection to one gateway: strict, one request at a time.

pymodbus builds the requests. The connection and the answers are looked after here, because
every byte is checked and every doubt must end the connection: a late answer would otherwise
be taken for the next one (late and doubled answers are why serial gateways behind TCP return
other meters' values).
"""

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from .errors import ModbusException, NoAnswer, NotHolder, Refused, Unreachable, WrongAnswer
from .planning import Block
from .profile import Profile

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNITS = range(1, 248)
_READS = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_HEADER = struct.Struct(">HHHB")
_LONGEST_FRAME = 260


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, the bytes as sent and received, in hexadecimal."""

    request: str
    response: str


class GatewayClient:
    """Reads and writes registers behind one address.

    :param allowed: networks the gateway's resolved address must lie in; none = nowhere
    :param timeout: seconds from a sent request to its whole answer
    :param connect_timeout: seconds to resolve the name and to connect
    :param may_send: asked before each request; False = this process must not send
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        allowed: Sequence[Network],
        timeout: float = 1.0,
        connect_timeout: float = 3.0,
        may_send: Callable[[], bool] = lambda: True,
    ):
        self.host = host
        self.port = port
        self.allowed = tuple(allowed)
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.may_send = may_send
        self._framer = FramerSocket(DecodePDU(False))
        self._read_frames: dict[tuple[int, Block], bytes] = {}
        self._connection: _Connection | None = None
        self._transaction = 0
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and not self._connection.broken

    async def connect(self) -> None:
        """Make the connection unless it stands.

        :raise Refused: the name resolves to no allowed address
        :raise Unreachable: it does not resolve, or nobody takes the connection in time
        """
        if self.is_connected:
            return
        self.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.connect_timeout):
                found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
                address = self._allowed_address([row[4][0] for row in found])
                # The number just checked is used, so that the name cannot change in between.
                _transport, connection = await loop.create_connection(
                    _Connection, address, self.port
                )
        except TimeoutError as error:
            raise Unreachable(
                f"{self.host}:{self.port}: no connection in {self.connect_timeout:g} s"
            ) from error
        except OSError as error:
            raise Unreachable(f"{self.host}:{self.port}: {error.strerror or error}") from error
        self._connection = connection

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Within the block an answer is waited for so long at most."""
        before = self.timeout
        self.timeout = min(before, seconds)
        try:
            yield
        finally:
            self.timeout = before

    def close(self) -> None:
        """Drop the connection; what was on its way is lost with it."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def read_block(self, unit: int, profile: Profile, block: Block) -> tuple[int, ...]:
        """Read the words of a block of the profile's plan.

        :raise Refused: unit, function or addresses are not permitted; nothing was sent
        :raise Unreachable: no connection; nothing was sent
        :raise NoAnswer, WrongAnswer: the connection was dropped
        :raise ModbusException: the device's own refusal
        """
        words, _sent, _received = await self._read(unit, profile, block)
        return words

    async def read_exchange(
        self, unit: int, profile: Profile, block: Block
    ) -> tuple[tuple[int, ...], Exchange]:
        """As :meth:`read_block`, with the bytes for the record."""
        words, sent, received = await self._read(unit, profile, block)
        return words, Exchange(sent.hex(" "), received.hex(" "))

    def frame_of_write(self, unit: int, function: int, address: int, words: Sequence[int]) -> str:
        """The request as it will be sent, without its transaction number."""
        return self._write_frame(unit, function, address, words)[6:].hex(" ")

    async def write_registers(
        self,
        unit: int,
        profile: Profile,
        function: int,
        address: int,
        words: Sequence[int],
        on_sent: Callable[[], None] = lambda: None,
    ) -> Exchange:
        """Write words that the profile lists as its supply on or off.

        :param on_sent: called when the bytes have been handed to the network
        :raise: as :meth:`read_block`; after NoAnswer and WrongAnswer it may have had effect
        """
        if unit not in UNITS:
            raise Refused(f"nothing is written to unit {unit}: only to 1..247")
        if not profile.allows_write(function, address, words):
            raise Refused(
                f"profile {profile.code} does not list writing {list(words)} "
                f"to {address:04X} by function {function}"
            )
        frame = self._write_frame(unit, function, address, words)
        # The answer repeats function, address, and the count or the word that was written.
        sent, received = await self._exchange(
            frame, lambda answer: answer[7:] == frame[7:12], on_sent
        )
        return Exchange(sent.hex(" "), received.hex(" "))

    async def _read(
        self, unit: int, profile: Profile, block: Block
    ) -> tuple[tuple[int, ...], bytes, bytes]:
        frame = self._read_frames.get((unit, block))
        if frame is None:
            if unit not in UNITS:
                raise Refused(f"unit {unit} is not within 1..247")
            frame = self._framer.buildFrame(
                _READS.get(block.function, ReadHoldingRegistersRequest)(
                    dev_id=unit, address=block.address, count=block.count
                )
            )
            self._read_frames[unit, block] = frame
        if not profile.allows_read(block):
            raise Refused(
                f"profile {profile.code} does not list reading {block.count} registers "
                f"from {block.address:04X} by function {block.function}"
            )
        size = 2 * block.count
        sent, received = await self._exchange(
            frame, lambda answer: len(answer) == 9 + size and answer[8] == size
        )
        return struct.unpack_from(f">{block.count}H", received, 9), sent, received

    async def _exchange(
        self,
        frame: bytes,
        fits: Callable[[bytes], bool],
        on_sent: Callable[[], None] = lambda: None,
    ) -> tuple[bytes, bytes]:
        """Send a request under a transaction number of its own; return both frames."""
        async with self._one_at_a_time:
            if not self.is_connected:
                await self.connect()
            if not self.may_send():
                raise NotHolder("another process may hold the gateway by now")
            self._transaction = self._transaction % 0xFFFF + 1
            sent = self._transaction.to_bytes(2, "big") + frame[2:]
            try:
                received = await self._connection.ask(
                    sent, frame[6], self._transaction, self.timeout, on_sent
                )
                if received[7] == frame[7] | 0x80 and len(received) == 9:
                    raise ModbusException(received[8])
                if received[7] != frame[7] or not fits(received):
                    raise WrongAnswer(
                        f"the answer to {sent.hex(' ')} does not fit: {received.hex(' ')}"
                    )
            except (NoAnswer, WrongAnswer, asyncio.CancelledError):
                # An answer that still comes would be taken for the next one's.
                self.close()
                raise
        return sent, received

    def _write_frame(self, unit: int, function: int, address: int, words: Sequence[int]) -> bytes:
        request: ModbusPDU
        if function == 16:
            request = WriteMultipleRegistersRequest(
                dev_id=unit, address=address, registers=list(words)
            )
        else:
            request = WriteSingleRegisterRequest(
                dev_id=unit, address=address, registers=list(words)
            )
        return self._framer.buildFrame(request)

    def _allowed_address(self, addresses: Sequence[str]) -> str:
        for text in addresses:
            address = ipaddress.ip_address(text.split("%")[0])
            if any(address in network for network in self.allowed):
                return text
        raise Refused(
            f"{self.host} ({', '.join(sorted(set(addresses)))}) is not among the addresses "
            "that the administrator allowed"
        )


class _Connection(asyncio.Protocol):
    """Bytes of one socket: gathers exactly one answer for exactly one request."""

    def __init__(self) -> None:
        self.broken = False
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._expected = (0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self.broken = True
        self._fail(NoAnswer(f"the gateway closed the connection{f': {error}' if error else ''}"))

    def abort(self) -> None:
        self.broken = True
        self._transport.abort()

    async def ask(
        self,
        frame: bytes,
        unit: int,
        transaction: int,
        timeout: float,
        on_sent: Callable[[], None],
    ) -> bytes:
        if self.broken:
            raise NoAnswer("the gateway closed the connection")
        self._buffer.clear()
        self._expected = (transaction, unit)
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._transport.write(frame)
        on_sent()
        timer = loop.call_later(timeout, self._time_out, unit, timeout)
        try:
            return await self._answer
        finally:
            timer.cancel()
            self._answer = None

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            # Nobody asked: whatever it is, the next answer could not be told from it.
            self.abort()
            return
        self._buffer += data
        if len(self._buffer) < _HEADER.size:
            return
        transaction, protocol, length, unit = _HEADER.unpack_from(self._buffer)
        whole = 6 + length
        wrong = ""
        if protocol != 0:
            wrong = "no Modbus frame"
        elif (transaction, unit) != self._expected:
            wrong = f"transaction {transaction} unit {unit}, expected %d and %d" % self._expected
        elif not 9 <= whole <= _LONGEST_FRAME:
            wrong = f"a frame that claims {length} bytes"
        elif len(self._buffer) > whole:
            wrong = "more bytes than one answer"
        if wrong:
            self._fail(WrongAnswer(f"{wrong}: {bytes(self._buffer[:32]).hex(' ')}"))
        elif len(self._buffer) == whole:
            self._answer.set_result(bytes(self._buffer))

    def _time_out(self, unit: int, timeout: float) -> None:
        self._fail(NoAnswer(f"unit {unit}: no answer in {timeout:g} s"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
