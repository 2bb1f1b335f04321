"""The two forms of a Modbus frame: with numbers (Modbus TCP) and with a checksum (RTU).

A framing tells, from what has come so far, whether the answer is whole, still wanting, or wrong.
It is strict from the first byte that can be judged, so that nothing is waited for that cannot
become the answer, and nothing longer than one answer is ever kept.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pymodbus.framer import FramerRTU

from .errors import WrongAnswer

_HEADER = struct.Struct(">HHHB")
_LONGEST_PDU = 253


@dataclass(slots=True)
class Asked:
    """What was asked: the request's frame, its number, and the answer it must get.

    ``size``: bytes of the answer's PDU (function code and data). ``fits(pdu)``: whether these
    are an answer to the request. ``shape``: what an answer without a number is known by; another
    request's may have the same. Asked again, it gets another frame and number.
    """

    frame: bytes
    number: int
    unit: int
    function: int
    size: int
    fits: Callable[[bytes], bool]
    shape: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.shape = self.unit, self.function, self.size

    def check(self, pdu: bytes) -> bytes:
        """:raise WrongAnswer: these are neither the answer nor a refusal of the request"""
        if pdu[0] == self.function | 0x80:
            fits = len(pdu) == 2
        else:
            fits = pdu[0] == self.function and len(pdu) == self.size and self.fits(pdu)
        if not fits:
            raise WrongAnswer(f"the answer to {self.frame.hex(' ')} does not fit: {pdu.hex(' ')}")
        return pdu


class Framing(Protocol):
    """How requests and answers lie on the wire.

    ``tells_answers_apart``: each answer bears the number of its request.
    """

    tells_answers_apart: bool

    def frame(self, unit: int, pdu: bytes, number: int) -> bytes:
        """The request as sent."""

    def bare(self, frame: bytes) -> bytes:
        """Unit and PDU of a frame."""

    def answer(self, received: bytes, asked: Asked) -> bytes | None:
        """The answer's PDU, None while bytes are wanting.

        :raise WrongAnswer: whatever still comes, this is no answer to what was asked
        """


class TcpFraming:
    """Modbus TCP: number, protocol 0, length, unit, PDU.

    :param strict: the gateway must answer under the request's number. Some never do; then
        nothing but unit, function and length tells answers apart.
    """

    def __init__(self, strict: bool = True):
        self.tells_answers_apart = strict

    def frame(self, unit: int, pdu: bytes, number: int) -> bytes:
        return _HEADER.pack(number, 0, len(pdu) + 1, unit) + pdu

    def bare(self, frame: bytes) -> bytes:
        return frame[6:]

    def answer(self, received: bytes, asked: Asked) -> bytes | None:
        if len(received) < _HEADER.size:
            return None
        number, protocol, length, unit = _HEADER.unpack_from(received)
        whole = 6 + length
        wrong = ""
        if protocol != 0:
            wrong = "no Modbus frame"
        elif self.tells_answers_apart and number != asked.number:
            wrong = f"transaction {number}, expected {asked.number}"
        elif unit != asked.unit:
            wrong = f"unit {unit}, expected {asked.unit}"
        elif not 3 <= length <= _LONGEST_PDU + 1:
            wrong = f"a frame that claims {length} bytes"
        if wrong:
            raise WrongAnswer(f"{wrong}: {received[:32].hex(' ')}")
        if len(received) < whole:
            return None
        return asked.check(received[7:])


class RtuFraming:
    """Modbus RTU: unit, PDU, checksum; on a serial line, or carried unchanged over TCP."""

    tells_answers_apart = False

    def frame(self, unit: int, pdu: bytes, number: int) -> bytes:
        frame = bytes((unit,)) + pdu
        return frame + _checksum(frame)

    def bare(self, frame: bytes) -> bytes:
        return frame[:-2]

    def answer(self, received: bytes, asked: Asked) -> bytes | None:
        wrong = ""
        if received[0] != asked.unit:
            wrong = f"unit {received[0]}, expected {asked.unit}"
        elif len(received) < 2:
            return None
        elif received[1] not in (asked.function, asked.function | 0x80):
            wrong = f"function {received[1]:02X}, expected {asked.function:02X}"
        if not wrong:
            # The frame itself does not say how long it is: that follows from what was asked.
            is_refusal = received[1] != asked.function
            whole = 5 if is_refusal else asked.size + 3
            has_count = asked.function in (3, 4) and not is_refusal and len(received) > 2
            if has_count and received[2] != asked.size - 2:
                wrong = f"a read of {received[2]} bytes, expected {asked.size - 2}"
            elif len(received) < whole:
                return None
            elif len(received) > whole:
                wrong = "more bytes than one answer"
            elif received[-2:] != _checksum(received[:-2]):
                wrong = "the checksum is wrong"
        if wrong:
            raise WrongAnswer(f"{wrong}: {received[:32].hex(' ')}")
        return asked.check(received[1:-2])


def _checksum(frame: bytes) -> bytes:
    return FramerRTU.compute_CRC(frame).to_bytes(2, "big")
