"""RTU frames: unit, PDU, checksum; and how a bus's bytes are cut into requests.

Source: Modbus over serial line V1.02. Inside, the simulator speaks of Modbus TCP frames; here they
are turned into one another.
"""

from __future__ import annotations

import struct

from .frames import WRITE_MANY

SHORTEST = 8
LONGEST = 256


def checksum(data: bytes) -> bytes:
    """CRC-16 of Modbus, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


def from_tcp(frame: bytes) -> bytes:
    """The RTU form of a Modbus TCP frame."""
    return frame[6:] + checksum(frame[6:])


def take_request(buffer: bytearray) -> bytes | None:
    """Take the first whole request off a buffer, as a Modbus TCP frame of transaction 0; None
    while bytes are wanting. Bytes that begin no request are thrown away."""
    while len(buffer) >= SHORTEST:
        size = SHORTEST
        if buffer[1] == WRITE_MANY:
            size = 9 + buffer[6]
            if size <= LONGEST and len(buffer) < size:
                return None
        if size <= LONGEST and checksum(buffer[: size - 2]) == buffer[size - 2 : size]:
            frame = bytes(buffer[: size - 2])
            del buffer[:size]
            return b"\0\0\0\0" + struct.pack(">H", len(frame)) + frame
        del buffer[0]
    return None
