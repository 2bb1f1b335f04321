"""One connection to one gateway: strict, one request at a time.

pymodbus builds the requests. The connection and the answers are looked after here, because
every byte is checked and every doubt must end the connection: a late answer would otherwise
be taken for the next one (late and doubled answers are why serial gateways behind TCP return
other meters' values).

What keeps an old answer from being taken for a new one:

- the connection is dropped after a time-out, a wrong answer, or bytes that nobody asked for;
- the number of the request, where answers bear it; numbers go on over a new connection;
- where they bear none: after a doubt the new connection is listened to until it has been quiet
  for a while, and after each answer for the pause between frames, before the answer counts;
- a request whose answer would look like the one that may still come (same unit, function and
  length) follows a flush: a read that looks different, whose proper answer shows that
  nothing older is on its way.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from .connection import Connection
from .errors import ModbusException, NoAnswer, NotHolder, Refused, Unreachable, WrongAnswer
from .framing import Asked, Framing
from .link import Link
from .planning import Block
from .profile import Profile

#: What an answer without a number is known by: unit, function code, bytes of its PDU.
Shape = tuple[int, int, int]

UNITS = range(1, 248)
_READS = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
#: How many times the quiet time is listened for before the line counts as never quiet.
_MOST_QUIETS = 5


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, the bytes as sent and received, in hexadecimal."""

    request: str
    response: str


@dataclass(frozen=True)
class Timing:
    """Seconds. ``answer``: from a sent request to its whole answer. ``connect``: to resolve the
    name and to connect. ``pause``: silence on the line between an answer and the next request.
    ``quiet``: silence before the first request after a doubt, where answers bear no number; at
    least as long as the gateway itself waits for a meter.
    """

    answer: float = 1.0
    connect: float = 3.0
    pause: float = 0.0
    quiet: float = 1.0


class GatewayClient:
    """Reads and writes registers behind one gateway.

    :param may_send: asked before each request; False = this process must not send
    """

    def __init__(
        self,
        link: Link,
        framing: Framing,
        timing: Timing | None = None,
        *,
        may_send: Callable[[], bool] = lambda: True,
    ):
        self.link = link
        self.framing = framing
        self.timing = timing or Timing()
        self.may_send = may_send
        #: Told each request and its answer, or why none came: unit and PDU, in turn.
        self.heard: Callable[[bytes, bytes | str], None] | None = None
        self._reads: dict[tuple[int, Block], _ReadRequest] = {}
        self._connection: Connection | None = None
        #: Connections made so far: what was learnt over another one may be another meter's.
        self.connections = 0
        self._number = 0
        self._one_at_a_time = asyncio.Lock()
        # The shapes of answers that may still come, and of the last one with its request.
        self._doubtful: list[Shape] = []
        self._must_be_quiet = False
        self._last: tuple[Shape, bytes] | None = None

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and not self._connection.broken

    async def connect(self) -> None:
        """Make the connection unless it stands.

        :raise Refused: the link's address or device is not allowed
        :raise Unreachable: nobody takes the connection in time, or the line is never quiet
        """
        if self.is_connected:
            return
        self.close()
        seconds = self.timing.connect
        try:
            async with asyncio.timeout(seconds):
                self._connection = await self.link.open(lambda: Connection(self.framing))
                self.connections += 1
        except TimeoutError as error:
            raise Unreachable(f"{self.link.name}: no connection in {seconds:g} s") from error
        if self._must_be_quiet and not self.framing.tells_answers_apart:
            quiet = self.timing.quiet
            try:
                is_quiet = await self._connection.drain(quiet, _MOST_QUIETS * quiet)
            except asyncio.CancelledError:
                self.close()
                raise
            if not is_quiet:
                self.close()
                raise Unreachable(
                    f"{self.link.name}: bytes keep coming that nobody asked for; "
                    "perhaps another master is on this bus"
                )
        self._must_be_quiet = False

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Within the block an answer is waited for so long at most."""
        before = self.timing
        self.timing = replace(before, answer=min(before.answer, seconds))
        try:
            yield
        finally:
            self.timing = before

    def close(self) -> None:
        """Drop the connection; what was on its way is lost with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.in_doubt and self._last:
                self._doubt(self._last[0])
            connection.abort()

    def _doubt(self, shape: Shape) -> None:
        """Note that an answer of this shape may still come; the latest doubt stands last."""
        if shape in self._doubtful:
            self._doubtful.remove(shape)
        self._doubtful.append(shape)
        self._must_be_quiet = True

    async def read_block(self, unit: int, profile: Profile, block: Block) -> tuple[int, ...]:
        """Read the words of a block of the profile's plan.

        :raise Refused: unit, function or addresses are not permitted; nothing was sent
        :raise Unreachable: no connection; nothing was sent
        :raise NoAnswer, WrongAnswer: the connection was dropped
        :raise ModbusException: the device's own refusal
        """
        answer, _sent, _received = await self._read(unit, profile, block)
        return _words(answer)

    async def read_bytes(self, unit: int, profile: Profile, block: Block) -> bytes:
        """As :meth:`read_block`, the words as the bytes that came, each high byte first."""
        answer, _sent, _received = await self._read(unit, profile, block)
        return answer[2:]

    async def read_exchange(
        self, unit: int, profile: Profile, block: Block
    ) -> tuple[tuple[int, ...], Exchange]:
        """As :meth:`read_block`, with the bytes for the record."""
        answer, sent, received = await self._read(unit, profile, block)
        return _words(answer), Exchange(sent.hex(" "), received.hex(" "))

    def frame_of_write(self, unit: int, function: int, address: int, words: Sequence[int]) -> str:
        """The request as it will be sent, without its number or checksum."""
        return (bytes((unit,)) + _write_pdu(function, address, words)).hex(" ")

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
        pdu = _write_pdu(function, address, words)
        # The answer repeats function, address, and the count or the word that was written.
        asked = Asked(b"", 0, unit, function, 5, lambda answer: answer == pdu[:5])
        async with self._one_at_a_time:
            await self._flush(unit, profile, asked.shape, pdu)
            _pdu, sent, received = await self._exchange(asked, pdu, on_sent)
        return Exchange(sent.hex(" "), received.hex(" "))

    async def _read(self, unit: int, profile: Profile, block: Block) -> tuple[bytes, bytes, bytes]:
        asked, pdu = self._read_request(unit, profile, block)
        # As `async with`, with less between: this is the way of every reading.
        await self._one_at_a_time.acquire()
        try:
            if self._doubtful or not self.framing.tells_answers_apart:
                await self._flush(unit, profile, asked.shape, pdu)
            return await self._exchange(asked, pdu)
        finally:
            self._one_at_a_time.release()

    def _read_request(self, unit: int, profile: Profile, block: Block) -> tuple[Asked, bytes]:
        request = self._reads.get((unit, block))
        if request is None or request.profile is not profile:
            if unit not in UNITS:
                raise Refused(f"unit {unit} is not within 1..247")
            if not profile.allows_read(block):
                raise Refused(
                    f"profile {profile.code} does not list reading {block.count} registers "
                    f"from {block.address:04X} by function {block.function}"
                )
            request = self._reads[unit, block] = _ReadRequest(profile, unit, block)
        return request.asked, request.pdu

    async def _flush(self, unit: int, profile: Profile, shape: Shape, pdu: bytes) -> None:
        """Make sure that no older answer can be taken for the one to be asked for."""
        is_like_the_last = (
            not self.framing.tells_answers_apart
            and self._last is not None
            and self._last[0] == shape
            and self._last[1] != pdu
        )
        if shape not in self._doubtful and not is_like_the_last:
            return
        block = _flush_block(unit, profile, shape, self._doubtful)
        if block is not None:
            await self._exchange(*self._read_request(unit, profile, block))

    async def _exchange(
        self,
        asked: Asked,
        pdu: bytes,
        on_sent: Callable[[], None] | None = None,
    ) -> tuple[bytes, bytes, bytes]:
        """Send a request under a number of its own; return the answer's PDU and both frames."""
        connection = self._connection
        if connection is None or connection.broken:
            await self.connect()
            connection = self._connection
        if not self.may_send():
            raise NotHolder("another process may hold the gateway by now")
        unit = asked.unit
        self._number = asked.number = self._number % 0xFFFF + 1
        asked.frame = frame = self.framing.frame(unit, pdu, asked.number)
        try:
            answer, received = await connection.ask(asked, self.timing.answer, on_sent)
            if self.timing.pause:
                await asyncio.sleep(self.timing.pause)
            if connection.in_doubt and not self.framing.tells_answers_apart:
                raise WrongAnswer(f"more bytes followed the answer {received.hex(' ')}")
        except (NoAnswer, WrongAnswer, asyncio.CancelledError) as error:
            if self.heard:
                self.heard(bytes((unit,)) + pdu, str(error))
            # An answer that still comes would be taken for the next one's.
            self._doubt(asked.shape)
            self.close()
            raise
        if self.heard:
            self.heard(bytes((unit,)) + pdu, bytes((unit,)) + answer)
        self._last = asked.shape, pdu
        if answer[0] & 0x80:
            # A refusal may still be an older request's: it clears no doubt.
            raise ModbusException(answer[1])
        if self._doubtful and asked.shape not in self._doubtful:
            # A meter answers in the order of its requests: no older answer of it will come.
            self._doubtful = [shape for shape in self._doubtful if shape[0] != unit]
        return answer, frame, received


class _ReadRequest:
    """A read that is asked again and again, and the profile that was found to allow it."""

    __slots__ = ("asked", "pdu", "profile")

    def __init__(self, profile: Profile, unit: int, block: Block):
        message = _READS[block.function](address=block.address, count=block.count)
        size = 2 + 2 * block.count
        self.profile = profile
        self.pdu = _pdu(message)
        self.asked = Asked(b"", 0, unit, block.function, size, lambda answer: answer[1] == size - 2)


def _words(answer: bytes) -> tuple[int, ...]:
    return struct.unpack_from(f">{answer[1] // 2}H", answer, 2)


def _pdu(message: ModbusPDU) -> bytes:
    return bytes((message.function_code,)) + message.encode()


def _write_pdu(function: int, address: int, words: Sequence[int]) -> bytes:
    if function == 16:
        return _pdu(WriteMultipleRegistersRequest(address=address, registers=list(words)))
    return _pdu(WriteSingleRegisterRequest(address=address, registers=list(words)))


def _flush_block(
    unit: int, profile: Profile, shape: Shape, doubtful: Sequence[Shape]
) -> Block | None:
    """The shortest read of the map whose answer can be no older one.

    Where each shape is in doubt, the one that has been so for longest: for it to deceive, that
    many answers would have to lie on their way. Where the map has but the request's own shape,
    that one: an answer one behind is used up by it.
    """
    found: dict[Shape, Block] = {}
    for block in profile.part_blocks:
        found.setdefault((unit, block.function, 2 + 2 * block.count), block)
    own = found.pop(shape, None)
    for other, block in found.items():
        if other not in doubtful:
            return block
    for other in doubtful:
        if other in found:
            return found[other]
    return own
