"""Registers to values; expected figures are worked out by hand or by the struct module."""

import contextlib
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modbus.codec import TYPE_WORDS, WORD_ORDERS, Encoding, decode, to_bytes
from modbus.errors import CodecError

D = Decimal


def words_of(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))


@pytest.mark.parametrize(
    ("words", "type_", "options", "expected"),
    [
        ([0x0001], "u16", {}, D(1)),
        ([0xFFFF], "u16", {}, D(65535)),
        ([0xFFFF], "s16", {}, D(-1)),
        ([0x8000], "s16", {"scale": D("0.001")}, D("-32.768")),
        ([0x0001, 0x86A0], "u32", {"scale": D("0.01")}, D("1000.00")),
        ([0xFFFF, 0xFFFE], "s32", {}, D(-2)),
        ([0xFFFF, 0xFFFE], "u32", {}, D(4294967294)),
        ([0xFFFF] * 4, "u64", {}, D(18446744073709551615)),
        ([0xFFFF] * 4, "s64", {}, D(-1)),
        # 1.0, -2.5 and 0.1 as IEEE 754 singles
        ([0x3F80, 0x0000], "float32", {}, D(1)),
        ([0xC020, 0x0000], "float32", {}, D("-2.5")),
        ([0x3DCC, 0xCCCD], "float32", {}, D("0.1")),
        ([0x8000, 0x0000], "float32", {}, D(0)),
        # 1234.567 as a single is 1234.567016...; the shortest text that names it is 1234.567
        ([0x449A, 0x5225], "float32", {}, D("1234.567")),
        ([0x449A, 0x5225], "float32", {"resolution": D("0.01")}, D("1234.57")),
        ([0x3FB9, 0x9999, 0x9999, 0x999A], "float64", {}, D("0.1")),
        ([0x0012, 0x3456], "bcd", {"words": 2, "scale": D("0.01")}, D("1234.56")),
        ([0x0012, 0x3456], "bcd_text", {"words": 2}, "00123456"),
        ([0x3132, 0x4100], "string", {"words": 2}, "12A"),
        ([0x2020, 0x2020], "string", {"words": 2}, ""),
        ([0x0020], "bit", {"index": 5}, True),
        ([0x0020], "bit", {"index": 4}, False),
        ([0x1234], "byte", {"index": 0}, D(0x12)),
        ([0x1234], "byte", {"index": 1}, D(0x34)),
        # Seven byte fields across four registers, as of the clock of a DDSY1352.
        (
            [0x190B, 0x1606, 0x0A1E, 0x3B00],
            "bytes",
            {"words": 4, "length": 7},
            bytes((25, 11, 22, 6, 10, 30, 59)),
        ),
        ([100], "u16", {"scale": D("0.1"), "offset": D(-40)}, D(-30)),
        ([0x7FFF], "s16", {"sentinels": frozenset({0x7FFF})}, None),
    ],
)
def test_value_is_decoded(words, type_, options, expected):
    options = {"words": TYPE_WORDS[type_], **options}
    value = decode(words, Encoding(type_, **options))
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("order", "expected"),
    [("ABCD", "01020304"), ("CDAB", "03040102"), ("BADC", "02010403"), ("DCBA", "04030201")],
)
def test_word_order_places_the_bytes(order, expected):
    # The registers as sent; the result is the value's bytes, most significant first.
    assert to_bytes([0x0102, 0x0304], order).hex() == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("ABCD", "0102030405060708"),
        ("CDAB", "0708050603040102"),
        ("BADC", "0201040306050807"),
        ("DCBA", "0807060504030201"),
    ],
)
def test_word_order_goes_on_over_four_words(order, expected):
    assert to_bytes([0x0102, 0x0304, 0x0506, 0x0708], order).hex() == expected


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ([0x7FC0, 0x0000], Encoding("float32", 2)),  # not a number
        ([0x7F80, 0x0000], Encoding("float32", 2)),  # infinity
        ([0xFF80, 0x0000], Encoding("float32", 2)),
        ([0x7FF0, 0, 0, 0], Encoding("float64", 4)),
        ([0x12A4], Encoding("bcd", 1)),
        ([0x0001, 0xF000], Encoding("bcd_text", 2)),
        ([0x3107], Encoding("string", 1)),
        ([0x31C3], Encoding("string", 1)),
        ([1], Encoding("u32", 2)),
        ([1, 2, 3], Encoding("u32", 2)),
        ([65536], Encoding("u16", 1)),
        ([-1], Encoding("u16", 1)),
        ([1], Encoding("u16", 1, word_order="XYZ")),
        ([1], Encoding("u17", 1)),
        ([1], Encoding("bytes", 1, index=1, length=2)),
    ],
)
def test_what_is_no_value_is_an_error(words, encoding):
    with pytest.raises(CodecError):
        decode(words, encoding)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_names_the_same_float_in_at_most_nine_digits(number):
    value = decode(words_of(struct.pack(">f", number)), Encoding("float32", 2))
    assert struct.unpack(">f", struct.pack(">f", float(value)))[0] == number
    assert len(value.normalize().as_tuple().digits) <= 9


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 6))
def test_scaling_is_exact(number, digits):
    encoding = Encoding("s64", 4, scale=Decimal(1).scaleb(-digits))
    value = decode(words_of(struct.pack(">q", number)), encoding)
    assert value * 10**digits == number


@given(
    st.lists(st.integers(0, 0xFFFF), max_size=6),
    st.sampled_from(sorted(TYPE_WORDS)),
    st.integers(1, 5),
    st.sampled_from(WORD_ORDERS),
    st.integers(0, 1),
)
def test_any_words_give_a_value_or_a_documented_error(words, type_, count, order, index):
    encoding = Encoding(type_, TYPE_WORDS[type_] or count, word_order=order, index=index)
    with contextlib.suppress(CodecError):
        decode(words, encoding)
