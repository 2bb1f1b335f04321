"""Faults of the bytes between a gateway and its client, and of what they bear."""

from __future__ import annotations

import random
import struct

from . import frames, rtu
from .faults import Exchange, Fault, fault
from .meter import WRITES

_EXCEPTIONS = (1, 2, 3, 4, 5, 6, 8, 10, 11)


class _OfAnswer(Fault):
    """Changes the Modbus TCP form of the answer."""

    def after(self, exchange: Exchange) -> None:
        if exchange.answer is not None:
            exchange.answer = self.changed(exchange.request, exchange.answer)

    def changed(self, request: bytes, answer: bytes) -> bytes:
        raise NotImplementedError


class _OfBytes(Fault):
    """Changes the bytes that are sent for an answer."""

    def on_wire(self, exchange: Exchange) -> None:
        if exchange.pieces:
            whole = b"".join(piece for _wait, piece in exchange.pieces)
            exchange.pieces = self.changed(whole)

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        raise NotImplementedError


@fault("reset")
class Reset(_OfBytes):
    """The connection is cut in the middle of the answer."""

    def on_wire(self, exchange: Exchange) -> None:
        super().on_wire(exchange)
        exchange.resets = True

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(0, sent[: len(sent) // 2])]


@fault("truncated")
class Truncated(_OfBytes):
    """The end of the answer is missing."""

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(0, sent[: len(sent) // 2])]


@fault("garbage")
class Garbage(_OfBytes):
    """Other bytes than the answer's, as many."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(0, self._random.randbytes(len(sent)))]


@fault("bytewise")
class Bytewise(_OfBytes):
    """The answer comes one byte at a time, `ms` milliseconds of real time apart."""

    def __init__(self, ms: float = 0) -> None:
        self.seconds = ms / 1000

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(self.seconds, sent[at : at + 1]) for at in range(len(sent))]


@fault("twice_at_once")
class TwiceAtOnce(_OfBytes):
    """Two answers in one segment."""

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(0, sent + sent)]


@fault("twice")
class Twice(_OfBytes):
    """The device answers a second time, `ms` milliseconds of real time after the first."""

    def __init__(self, ms: float = 5) -> None:
        self.seconds = ms / 1000

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(0, sent), (self.seconds, sent)]


@fault("extra_bytes")
class ExtraBytes(_OfBytes):
    """Bytes follow the answer."""

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(0, sent + b"\0\x55\xaa")]


@fault("bad_checksum")
class BadChecksum(_OfBytes):
    """The last byte is wrong: of an RTU frame, the checksum's."""

    def changed(self, sent: bytes) -> list[tuple[float, bytes]]:
        return [(0, sent[:-1] + bytes((sent[-1] ^ 0xFF,)))]


@fault("wrong_length")
class WrongLength(Fault):
    """The answer claims `length` bytes: in the header of Modbus TCP, in a read's count of RTU."""

    def __init__(self, length: int = 65535) -> None:
        if not 0 <= length <= 65535:
            raise ValueError(f"wrong_length: {length} is not in 0 to 65535")
        self.length = length

    def on_wire(self, exchange: Exchange) -> None:
        if not exchange.pieces:
            return
        sent = b"".join(piece for _wait, piece in exchange.pieces)
        if sent == exchange.answer:
            sent = sent[:4] + struct.pack(">H", self.length) + sent[6:]
        else:
            sent = sent[:2] + bytes((self.length & 0xFF,)) + sent[3:-2]
            sent += rtu.checksum(sent)
        exchange.pieces = [(0, sent)]


class _OfNumber(_OfAnswer):
    """Of Modbus TCP only: RTU frames bear no transaction number."""

    def changed(self, request: bytes, answer: bytes) -> bytes:
        number = int.from_bytes(request[:2], "big")
        return struct.pack(">H", self.number(number) & 0xFFFF) + answer[2:]

    def number(self, number: int) -> int:
        raise NotImplementedError


@fault("wrong_transaction")
class WrongTransaction(_OfNumber):
    """The answer bears the next request's number."""

    def number(self, number: int) -> int:
        return number + 1


@fault("stale_transaction")
class StaleTransaction(_OfNumber):
    """The answer bears the number of the request before."""

    def number(self, number: int) -> int:
        return number - 1


@fault("no_echo")
class NoEcho(_OfNumber):
    """The gateway answers every request under number 0."""

    def number(self, number: int) -> int:
        return 0


@fault("wrong_function")
class WrongFunction(_OfAnswer):
    """The answer is that of another function code."""

    def changed(self, request: bytes, answer: bytes) -> bytes:
        return answer[:7] + bytes((answer[7] ^ 7,)) + answer[8:]


@fault("wrong_count")
class WrongCount(_OfAnswer):
    """A read answers with one register less, and says so; a write repeats another address."""

    def changed(self, request: bytes, answer: bytes) -> bytes:
        if answer[7] in WRITES:
            return answer[:9] + bytes((answer[9] ^ 1,)) + answer[10:]
        return frames.answer(request, bytes((answer[7], answer[8] - 2)) + answer[9:-2])


@fault("exception")
class ExceptionCode(Fault):
    """The device, or its gateway, answers with the exception `code` and does nothing."""

    def __init__(self, code: int) -> None:
        if code not in _EXCEPTIONS:
            raise ValueError(f"exception: {code} is none of {_EXCEPTIONS}")
        self.code = code

    def before(self, exchange: Exchange) -> None:
        exchange.reaches_meter = False
        exchange.answer = frames.exception(exchange.request, self.code)


@fault("late")
class Late(Fault):
    """The first answer is held back, and from then on each answer is the one before. `restamped`:
    it bears the number of the request it is sent for, as a gateway does that takes what its bus
    says for the answer to what it asked last."""

    def __init__(self, restamped: bool = False) -> None:
        self.restamped = restamped
        self._held: bytes | None = None

    def after(self, exchange: Exchange) -> None:
        held, self._held = self._held, exchange.answer
        if held is not None and self.restamped:
            held = exchange.request[:2] + held[2:]
        exchange.answer = held


@fault("lying_relay")
class LyingRelay(Fault):
    """A write is acknowledged and nothing moves."""

    def before(self, exchange: Exchange) -> None:
        if exchange.request[7] in WRITES:
            exchange.reaches_meter = False
            exchange.answer = frames.answer(exchange.request, exchange.request[7:12])


@fault("silent_relay")
class SilentRelay(Fault):
    """A write is obeyed and not acknowledged."""

    def after(self, exchange: Exchange) -> None:
        if exchange.request[7] in WRITES:
            exchange.answer = None
