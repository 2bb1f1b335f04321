"""Modbus TCP frames and the time they take on an RS-485 bus.

Source: Modbus application protocol V1.1b3 and messaging on TCP/IP V1.0b.
A frame is the MBAP header (transaction, protocol 0, length, unit: 7 bytes) and a PDU.
"""

from __future__ import annotations

import struct

READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_MANY = 0x03, 0x04, 0x06, 0x10
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 0x01, 0x02, 0x03, 0x04
NO_ANSWER_FROM_TARGET = 0x0B
HEADER = 7
LONGEST_PDU = 253
BITS_PER_CHARACTER = 11
# An RTU frame is the unit, the PDU and two bytes of checksum.
RTU_EXTRA = 3


class ModbusError(Exception):
    """A request that is answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code:02X}")
        self.code = code


class FrameError(Exception):
    """Bytes that are no Modbus TCP frame; the connection cannot be used any more."""


def frame_length(buffer: bytes | bytearray) -> int | None:
    """Length of the frame at the start of a buffer, None while its header is not complete.

    Raises FrameError for a header that is not Modbus TCP.
    """
    if len(buffer) < HEADER:
        return None
    protocol, length = struct.unpack_from(">HH", buffer, 2)
    if protocol or not 2 <= length <= LONGEST_PDU + 1:
        raise FrameError(f"protocol {protocol}, length {length}")
    return 6 + length


def answer(request: bytes, pdu: bytes) -> bytes:
    """The frame that answers a request frame."""
    return request[:4] + struct.pack(">HB", len(pdu) + 1, request[6]) + pdu


def exception(request: bytes, code: int) -> bytes:
    """The frame that refuses a request frame."""
    return answer(request, bytes((request[7] | 0x80, code)))


def parse_read(pdu: bytes) -> tuple[int, int]:
    """Address and count (1 to 125) of a read. Raises ModbusError."""
    if len(pdu) != 5:
        raise ModbusError(ILLEGAL_VALUE)
    address, count = struct.unpack_from(">HH", pdu, 1)
    if not 1 <= count <= 125:
        raise ModbusError(ILLEGAL_VALUE)
    if address + count > 0x10000:
        raise ModbusError(ILLEGAL_ADDRESS)
    return address, count


def parse_write(pdu: bytes) -> tuple[int, tuple[int, ...]]:
    """Address and values of a write with function 06 or 10. Raises ModbusError."""
    if pdu[0] == WRITE_ONE:
        if len(pdu) != 5:
            raise ModbusError(ILLEGAL_VALUE)
        address, value = struct.unpack_from(">HH", pdu, 1)
        return address, (value,)
    if len(pdu) < 6:
        raise ModbusError(ILLEGAL_VALUE)
    address, count, size = struct.unpack_from(">HHB", pdu, 1)
    if not 1 <= count <= 123 or size != 2 * count or len(pdu) != 6 + size:
        raise ModbusError(ILLEGAL_VALUE)
    if address + count > 0x10000:
        raise ModbusError(ILLEGAL_ADDRESS)
    return address, struct.unpack_from(f">{count}H", pdu, 6)


def silence_seconds(baud: int) -> float:
    """The gap of 3.5 characters between RTU frames, fixed above 19200 baud."""
    return 3.5 * BITS_PER_CHARACTER / baud if baud <= 19200 else 0.00175


def characters_seconds(frame: bytes, baud: int) -> float:
    """The time the RTU form of a Modbus TCP frame takes on the bus."""
    return (len(frame) - HEADER + RTU_EXTRA) * BITS_PER_CHARACTER / baud
