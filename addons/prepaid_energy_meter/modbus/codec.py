"""Register words to values.

A register is one 16-bit word, its first byte the high one. Numbers come out as exact
``Decimal``; binary floats through the shortest decimal that names the same float.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from .errors import CodecError

#: Letters name the bytes of a 32-bit value, most significant first, in the order sent.
WORD_ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")

#: Type to number of registers; None where the register count is given with it.
TYPE_WORDS: dict[str, int | None] = {
    "u16": 1,
    "s16": 1,
    "u32": 2,
    "s32": 2,
    "u64": 4,
    "s64": 4,
    "float32": 2,
    "float64": 4,
    "bcd": None,
    "bcd_text": None,
    "string": None,
    "bytes": None,
    "byte": 1,
    "bit": 1,
}
NUMBER_TYPES = frozenset(
    {"u16", "s16", "u32", "s32", "u64", "s64", "float32", "float64", "bcd", "byte"}
)


@dataclass(frozen=True)
class Encoding:
    """How a value lies in ``words`` registers.

    ``scale`` and ``offset``: value = raw * scale + offset. ``resolution``: round half up to
    a multiple of it (for floats that carry noise). ``sentinels``: unsigned raw values that
    mean "no value". ``index``: the bit (0 = least significant) or the byte (0 = high) of a
    ``bit`` or ``byte``; the first byte of ``bytes``. ``length``: how many ``bytes``.
    """

    type: str
    words: int
    word_order: str = "ABCD"
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    resolution: Decimal | None = None
    sentinels: frozenset[int] = frozenset()
    index: int = 0
    length: int | None = None


Value = Decimal | str | bytes | bool | None


def to_bytes(words: Sequence[int], word_order: str = "ABCD") -> bytes:
    """Bring registers into the order most significant byte first.

    :raise CodecError: a word is no 16-bit value, or the word order is unknown
    """
    if word_order not in WORD_ORDERS:
        raise CodecError(f"unknown word order {word_order!r}")
    try:
        data = struct.pack(f">{len(words)}H", *words)
    except struct.error as error:
        raise CodecError(f"not 16-bit words: {list(words)!r}") from error
    if word_order in ("BADC", "DCBA"):
        data = b"".join(data[i + 1 : i + 2] + data[i : i + 1] for i in range(0, len(data), 2))
    if word_order in ("CDAB", "DCBA"):
        data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))
    return data


def decode(words: Sequence[int], encoding: Encoding) -> Value:
    """Read one value out of exactly ``encoding.words`` registers.

    :return: Decimal for numbers, str for texts, bytes, bool for a bit, None for a sentinel
    :raise CodecError: wrong number of registers, NaN, infinity, invalid BCD or text
    """
    needed = TYPE_WORDS.get(encoding.type) or encoding.words
    if len(words) != needed or needed != encoding.words or not words:
        raise CodecError(f"{encoding.type} needs {needed} registers, got {len(words)}")
    data = to_bytes(words, encoding.word_order)
    if encoding.sentinels and int.from_bytes(data, "big") in encoding.sentinels:
        return None
    kind = encoding.type
    if kind in NUMBER_TYPES:
        return _number(data, encoding)
    if kind == "bit":
        return bool(int.from_bytes(data, "big") >> encoding.index & 1)
    if kind == "bytes":
        length = len(data) - encoding.index if encoding.length is None else encoding.length
        part = data[encoding.index : encoding.index + length]
        if len(part) != length:
            raise CodecError(f"bytes {encoding.index}+{length} lie outside {len(data)} bytes")
        return part
    if kind == "bcd_text":
        return _bcd_digits(data)
    if kind == "string":
        return _text(data)
    raise CodecError(f"unknown type {kind!r}")


def _number(data: bytes, encoding: Encoding) -> Decimal:
    kind = encoding.type
    if kind in ("float32", "float64"):
        raw = _float(data, ">f" if kind == "float32" else ">d")
    elif kind == "bcd":
        raw = Decimal(_bcd_digits(data))
    elif kind == "byte":
        raw = Decimal(data[encoding.index])
    else:
        raw = Decimal(int.from_bytes(data, "big", signed=kind[0] == "s"))
    value = raw * encoding.scale + encoding.offset
    if encoding.resolution is not None:
        steps = (value / encoding.resolution).to_integral_value(ROUND_HALF_UP)
        value = steps * encoding.resolution
    return value


def _float(data: bytes, form: str) -> Decimal:
    (value,) = struct.unpack(form, data)
    if not math.isfinite(value):
        raise CodecError(f"not a number: {data.hex()}")
    if value == 0:
        return Decimal(0)
    if form == ">d":
        return Decimal(repr(value))
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        # Rounding up the largest float overflows the four bytes.
        if abs(float(text)) <= 3.4028234663852886e38 and struct.pack(form, float(text)) == data:
            return Decimal(text)
    return Decimal(f"{value:.9g}")


def _bcd_digits(data: bytes) -> str:
    digits = data.hex()
    if not digits.isdecimal():
        raise CodecError(f"not binary coded decimal: {digits}")
    return digits


def _text(data: bytes) -> str:
    text = data.rstrip(b"\x00 ").lstrip(b" ")
    if any(not 0x20 <= byte < 0x7F for byte in text):
        raise CodecError(f"not a printable text: {data.hex()}")
    return text.decode("ascii")
