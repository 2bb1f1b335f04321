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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymodbus.exceptions import ModbusException as LibraryError
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

    def close(self) -> None:
        """Drop the connection; what was on its way is lost with it."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def read_block(self, unit: int, profile: Profile, block: Block) -> list[int]:
        """Read the words of a block of the profile's plan.

        :raise Refused: unit, function or addresses are not permitted; nothing was sent
        :raise Unreachable: no connection; nothing was sent
        :raise NoAnswer, WrongAnswer: the connection was dropped
        :raise ModbusException: the device's own refusal
        """
        words, _exchange = await self.read_exchange(unit, profile, block)
        return words

    async def read_exchange(
        self, unit: int, profile: Profile, block: Block
    ) -> tuple[list[int], Exchange]:
        """As :meth:`read_block`, with the bytes for the record."""
        if unit not in UNITS:
            raise Refused(f"unit {unit} is not within 1..247")
        if not profile.allows_read(block):
            raise Refused(
                f"profile {profile.code} does not list reading {block.count} registers "
                f"from {block.address:04X} by function {block.function}"
            )
        request = _READS[block.function](dev_id=unit, address=block.address, count=block.count)
        answer, exchange = await self._exchange(request, answer_bytes=2 * block.count)
        return list(answer.registers), exchange

    def frame_of_write(self, unit: int, function: int, address: int, words: Sequence[int]) -> str:
        """The request as it will be sent, without its transaction number."""
        data = self._framer.buildFrame(_write_request(unit, function, address, words))
        return data[6:].hex(" ")

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
        request = _write_request(unit, function, address, words)
        answer, exchange = await self._exchange(request, on_sent=on_sent)
        echoed = answer.count == len(words) if function == 16 else answer.registers == list(words)
        if answer.address != address or not echoed:
            self.close()
            raise WrongAnswer(f"the answer acknowledges another write: {exchange.response}")
        return exchange

    async def _exchange(
        self,
        request: ModbusPDU,
        answer_bytes: int | None = None,
        on_sent: Callable[[], None] = lambda: None,
    ) -> tuple[ModbusPDU, Exchange]:
        async with self._one_at_a_time:
            await self.connect()
            if not self.may_send():
                raise NotHolder("another process may hold the gateway by now")
            self._transaction = self._transaction % 0xFFFF + 1
            request.transaction_id = self._transaction
            sent = self._framer.buildFrame(request)
            connection = self._connection
            try:
                received = await connection.ask(
                    sent, request.dev_id, self._transaction, self.timeout, on_sent
                )
                answer = self._decoded(received, request, answer_bytes)
            except (NoAnswer, WrongAnswer):
                self.close()
                raise
            except asyncio.CancelledError:
                # Its answer may still come and would be taken for the next one's.
                self.close()
                raise
        if answer.isError():
            raise ModbusException(answer.exception_code)
        return answer, Exchange(sent.hex(" "), received.hex(" "))

    def _decoded(self, frame: bytes, request: ModbusPDU, answer_bytes: int | None) -> ModbusPDU:
        function = frame[7]
        length = len(frame) - 8
        if function == request.function_code | 0x80:
            fits = length == 1
        elif function != request.function_code:
            raise WrongAnswer(
                f"function {function:02X} answered to {request.function_code:02X}: {frame.hex(' ')}"
            )
        elif answer_bytes is None:
            fits = length == 4
        else:
            fits = length == 1 + answer_bytes and frame[8] == answer_bytes
        if not fits:
            raise WrongAnswer(f"an answer of another length: {frame.hex(' ')}")
        try:
            _used, answer = self._framer.handleFrame(frame, request.dev_id, request.transaction_id)
        except LibraryError as error:
            raise WrongAnswer(f"not decodable: {frame.hex(' ')}") from error
        if answer is None:
            raise WrongAnswer(f"not decodable: {frame.hex(' ')}")
        return answer

    def _allowed_address(self, addresses: Sequence[str]) -> str:
        for text in addresses:
            address = ipaddress.ip_address(text.split("%")[0])
            if any(address in network for network in self.allowed):
                return text
        raise Refused(
            f"{self.host} ({', '.join(sorted(set(addresses)))}) is not among the addresses "
            "that the administrator allowed"
        )


def _write_request(unit: int, function: int, address: int, words: Sequence[int]) -> ModbusPDU:
    if function == 16:
        return WriteMultipleRegistersRequest(dev_id=unit, address=address, registers=list(words))
    return WriteSingleRegisterRequest(dev_id=unit, address=address, registers=list(words))


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
