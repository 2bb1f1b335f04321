"""The codec and the profile reader against an encoder of the test's own, and against noise (M11).

`ENERGY_FUZZ` is the number of random inputs, shared by codec and profile reader; a million is what
the property asks for. `ENERGY_SEED` repeats a run; the seed of each is printed.
"""

import copy
import json
import math
import os
import random
import struct
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from planted_defects import planted
from test_modbus_profile import FILES

from modbus import codec
from modbus.codec import NUMBER_TYPES, TYPE_WORDS, WORD_ORDERS, Encoding, decode, to_bytes
from modbus.errors import CodecError, ProfileError
from modbus.profile import Profile

INPUTS = int(os.environ.get("ENERGY_FUZZ", 20_000))
SEED = int(os.environ.get("ENERGY_SEED", 0)) or random.SystemRandom().randrange(1, 10**9)
INTEGERS = {
    "u16": (">H", 1, 0, 2**16 - 1),
    "s16": (">h", 1, -(2**15), 2**15 - 1),
    "u32": (">I", 2, 0, 2**32 - 1),
    "s32": (">i", 2, -(2**31), 2**31 - 1),
    "u64": (">Q", 4, 0, 2**64 - 1),
    "s64": (">q", 4, -(2**63), 2**63 - 1),
}


def sent(data, order):
    """Bytes, most significant first, as registers of a device with that word order.

    Written from the meaning of the letters: A is the most significant byte of a 32-bit value; of
    longer ones the words go on in the same direction.
    """
    words = [(data[i], data[i + 1]) for i in range(0, len(data), 2)]
    if order[0] in "CD":
        words = words[::-1]
    if order[0] in "BD":
        words = [(low, high) for high, low in words]
    return [high << 8 | low for high, low in words]


orders = st.sampled_from(WORD_ORDERS)
scales = st.sampled_from(["1", "0.1", "0.01", "0.001", "0.0001", "10", "-1", "0.125"])
offsets = st.sampled_from(["0", "-40", "0.5", "1000000"])


@given(st.sampled_from(sorted(INTEGERS)), st.data(), orders, scales, offsets)
def test_integers(kind, data, order, scale, offset):
    form, count, low, high = INTEGERS[kind]
    number = data.draw(st.integers(low, high))
    encoding = Encoding(kind, count, word_order=order, scale=Decimal(scale), offset=Decimal(offset))
    words = sent(struct.pack(form, number), order)
    assert decode(words, encoding) == number * Decimal(scale) + Decimal(offset)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), orders)
@example(0.10000000149011612, "ABCD")
@example(16777215.0, "ABCD")
def test_singles(number, order):
    value = decode(sent(struct.pack(">f", number), order), Encoding("float32", 2, word_order=order))
    assert struct.unpack(">f", struct.pack(">f", float(value)))[0] == number


@given(st.floats(allow_nan=False, allow_infinity=False), orders)
@example(1.23456789, "ABCD")
def test_doubles(number, order):
    value = decode(sent(struct.pack(">d", number), order), Encoding("float64", 4, word_order=order))
    assert float(value) == number


@given(st.sampled_from([math.nan, math.inf, -math.inf]), orders)
def test_what_is_no_number_is_an_error(number, order):
    for form, kind, count in ((">f", "float32", 2), (">d", "float64", 4)):
        with pytest.raises(CodecError):
            decode(sent(struct.pack(form, number), order), Encoding(kind, count, word_order=order))


@given(st.integers(1, 6), st.data(), orders)
def test_bcd(count, data, order):
    digits = data.draw(st.text("0123456789", min_size=4 * count, max_size=4 * count))
    words = sent(bytes.fromhex(digits), order)
    assert decode(words, Encoding("bcd", count, word_order=order)) == int(digits)
    assert decode(words, Encoding("bcd_text", count, word_order=order)) == digits
    wrong = data.draw(st.integers(0, 4 * count - 1))
    spoilt = digits[:wrong] + data.draw(st.sampled_from("abcdef")) + digits[wrong + 1 :]
    for kind in ("bcd", "bcd_text"):
        with pytest.raises(CodecError):
            decode(sent(bytes.fromhex(spoilt), order), Encoding(kind, count, word_order=order))


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.integers(0, 1))
def test_bits_and_bytes(word, bit, byte):
    assert decode([word], Encoding("bit", 1, index=bit)) is (word // 2**bit % 2 == 1)
    assert decode([word], Encoding("byte", 1, index=byte)) == (word // 256, word % 256)[byte]


@given(st.binary(min_size=2, max_size=20), st.data(), orders)
def test_byte_fields_cross_registers(raw, data, order):
    raw = raw[: len(raw) // 2 * 2]
    first = data.draw(st.integers(0, len(raw) - 1))
    length = data.draw(st.integers(1, len(raw) - first))
    encoding = Encoding("bytes", len(raw) // 2, word_order=order, index=first, length=length)
    assert decode(sent(raw, order), encoding) == raw[first : first + length]


@given(st.text("ABCxyz0189 -/", max_size=14), orders)
@example("A ", "ABCD")
def test_texts(text, order):
    padded = text.encode().ljust(14, b"\0")
    assert decode(sent(padded, order), Encoding("string", 7, word_order=order)) == text.strip(" ")


@given(st.sampled_from(sorted(INTEGERS)), st.data(), orders)
def test_sentinels_are_raw_and_mean_no_value(kind, data, order):
    form, count, low, high = INTEGERS[kind]
    number = data.draw(st.integers(low, high))
    raw = int.from_bytes(struct.pack(form, number), "big")
    words = sent(struct.pack(form, number), order)
    encoding = Encoding(kind, count, word_order=order, scale=Decimal("0.1"))
    assert decode(words, encoding) is not None
    with_it = Encoding(kind, count, word_order=order, sentinels=frozenset({raw}))
    assert decode(words, with_it) is None
    beside = Encoding(kind, count, word_order=order, sentinels=frozenset({raw ^ 1}))
    assert decode(words, beside) == number


@given(st.integers(-(10**9), 10**9), st.sampled_from(["0.01", "0.5", "1", "25"]))
@example(250, "0.5")
@example(-250, "0.5")
def test_resolution_rounds_half_up(thousandths, step):
    # -0.5 ends at -1: half away from zero, as a display rounds.
    encoding = Encoding("s64", 4, scale=Decimal("0.001"), resolution=Decimal(step))
    value = decode(sent(struct.pack(">q", thousandths), "ABCD"), encoding)
    steps = (Decimal(thousandths) / 1000 / Decimal(step)).quantize(Decimal(1), ROUND_HALF_UP)
    assert value == steps * Decimal(step)


# --- planted defects: the checks above notice --------------------------------------------------


@pytest.mark.parametrize(
    ("check", "function", "line", "instead"),
    [
        (test_integers, codec._number, 'signed=kind[0] == "s"', "signed=False"),
        (test_integers, codec._number, "+ encoding.offset", "- encoding.offset"),
        (test_integers, to_bytes, '("CDAB", "DCBA")', '("CDAB",)'),
        (test_integers, to_bytes, '("BADC", "DCBA")', '("BADC",)'),
        (test_singles, codec._float, "struct.pack(form, float(text)) == data", "text"),
        (test_doubles, codec._float, "Decimal(repr(value))", "Decimal(str(round(value, 6)))"),
        (test_what_is_no_number_is_an_error, codec._float, "raise CodecError", "return Decimal"),
        (test_bcd, codec._bcd_digits, "if not digits.isdecimal():", "if False:"),
        (test_bits_and_bytes, decode, ">> encoding.index & 1", "& 1"),
        (test_byte_fields_cross_registers, decode, "[encoding.index :", "[0:"),
        (test_texts, codec._text, 'rstrip(b"\\x00 ")', 'rstrip(b"\\x00")'),
        (test_sentinels_are_raw_and_mean_no_value, decode, "in encoding.sentinels", "in ()"),
        (test_resolution_rounds_half_up, codec._number, "ROUND_HALF_UP", '"ROUND_HALF_EVEN"'),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:30],
)
def test_planted_defect_is_noticed(check, function, line, instead):
    with planted(function, line, instead), pytest.raises(BaseException) as caught:
        check()
    assert not isinstance(caught.value, LookupError), "the line is not there any more"


# --- noise ---------------------------------------------------------------------------------------


def random_encoding(rng):
    kind = rng.choice((*TYPE_WORDS, *TYPE_WORDS, "u17", ""))
    words = TYPE_WORDS.get(kind) or rng.randint(1, 8)
    if rng.random() < 0.05:
        words = rng.randint(0, 5)
    return Encoding(
        kind,
        words,
        word_order=rng.choice((*WORD_ORDERS, *WORD_ORDERS, "XYZ")),
        scale=Decimal(rng.choice(("1", "0.01", "-3", "1E-6", "1E+9"))),
        offset=Decimal(rng.choice(("0", "-40", "0.001"))),
        resolution=rng.choice((None, None, Decimal("0.001"), Decimal("7"))),
        sentinels=frozenset(rng.choice(((), (0,), (0xFFFF, 0x8000)))),
        index=rng.randint(0, 1) if kind == "byte" else rng.randint(0, 15),
        length=rng.choice((None, 1, 7)),
    )


def random_words(rng, count):
    kind = rng.random()
    if kind < 0.6:
        return [rng.randrange(0x10000) for _n in range(count)]
    if kind < 0.8:
        return [rng.choice((0, 1, 0xFFFF, 0x8000, 0x7F80, 0x7FC0, 0x3938)) for _n in range(count)]
    return [rng.randrange(-5, 0x10005) for _n in range(rng.randint(0, 9))]


def test_noise_gives_a_value_or_a_documented_error():
    rng = random.Random(SEED)
    print(f"ENERGY_SEED={SEED} ENERGY_FUZZ={INPUTS}")
    seen = Counter()
    for number in range(INPUTS * 9 // 10):
        encoding = random_encoding(rng)
        words = random_words(rng, encoding.words)
        try:
            value = decode(words, encoding)
        except CodecError:
            seen["error"] += 1
            continue
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"seed {SEED}, input {number}: {words} by {encoding}: {error!r}")
        seen[type(value).__name__] += 1
        if encoding.type in NUMBER_TYPES and value is not None:
            assert value.is_finite(), f"seed {SEED}, input {number}: {words} by {encoding}"
    assert {"error", "Decimal", "str", "bytes", "bool", "NoneType"} <= seen.keys(), seen


NOISE = (
    None,
    True,
    False,
    0,
    -1,
    3,
    125,
    126,
    65535,
    65536,
    10**30,
    0.5,
    math.nan,
    "",
    "0x10",
    "0xZZ",
    "total",
    "A",
    "D",
    "NaN",
    "1E+999999",
    "1e-30",
    "daily",
    "key",
    "secondary",
    [],
    [3],
    [None],
    [[]],
    ["sharp"],
    {},
    {"meaning": "total"},
    {"state": "on", "mask": 1, "value": 1},
    "x" * 5000,
    "\ud800",
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items if isinstance(value, dict | list) else ():
        yield from places(inner, (*path, key)) if isinstance(inner, dict | list) else [(*path, key)]


def spoil(rng, data, paths):
    for _change in range(rng.choice((1, 1, 1, 2, 5))):
        path = rng.choice(paths)
        place = data
        try:
            for key in path[:-1]:
                place = place[key]
            if not path:
                return rng.choice(NOISE)
            action = rng.random()
            if action < 0.6:
                place[path[-1]] = copy.deepcopy(rng.choice(NOISE))
            elif action < 0.8:
                del place[path[-1]]
            elif isinstance(place, dict):
                place[rng.choice(("colour", "address", "type", "plan", "control"))] = copy.deepcopy(
                    rng.choice(NOISE)
                )
            else:
                place.append(copy.deepcopy(rng.choice(NOISE)))
        except (KeyError, IndexError, TypeError, AttributeError):
            # An earlier change took that place away.
            continue
    return data


def test_a_spoilt_profile_is_read_or_refused_in_words():
    rng = random.Random(SEED)
    shipped = [json.loads(file.read_text()) for file in FILES]
    paths = [list(places(data)) for data in shipped]
    seen = Counter()
    for number in range(INPUTS // 10):
        which = rng.randrange(len(shipped))
        data = spoil(rng, copy.deepcopy(shipped[which]), paths[which])
        try:
            profile = Profile.from_dict(data)
        except ProfileError as error:
            assert all(isinstance(text, str) and text for text in error.problems)
            seen["refused"] += 1
            continue
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"seed {SEED}, input {number}: {data!r:.2000}: {error!r}")
        seen["read"] += 1
        # What was taken can be planned, and permits what it plans.
        for block in profile.poll_blocks + profile.daily_blocks:
            assert profile.allows_read(block), f"seed {SEED}, input {number}"
        for register in profile.registers:
            words = [rng.randrange(0x10000) for _n in range(register.words)]
            try:
                decode(words, register.encoding)
            except CodecError:
                seen["no value"] += 1
            except Exception as error:  # noqa: BLE001
                pytest.fail(f"seed {SEED}, input {number}: {words} by {register}: {error!r}")
    assert seen["refused"] > seen["read"] > 0, seen
