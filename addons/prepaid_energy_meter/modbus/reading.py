"""The words of one reading to values, by a plan made once for each profile.

A reading decodes the same registers from the same places again and again: what does not change is
worked out once. Whole numbers, nearly all there are, come out of one unpacking of each block;
everything else goes through :func:`.codec.decode`, which says what a value is.
"""

import struct
from collections.abc import Sequence
from decimal import Decimal
from operator import mul
from typing import NamedTuple

from .codec import Encoding, Value, decode
from .errors import CodecError
from .planning import Block
from .profile import Profile, Register
from .vocabulary import BANDS

#: Values a snapshot has a place of its own for.
_OWN_PLACE = frozenset(
    {"total", *BANDS, "power", "flow", "voltage", "current", "supply_state", "serial"}
)
#: Types that are one big-endian number, with their struct letters; "x" is a byte passed over.
_WHOLE = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q"}


class _BlockPlan(NamedTuple):
    """What a block holds: whole numbers in the order of their addresses, and everything else."""

    name: str
    form: struct.Struct
    meanings: tuple[str, ...]
    scales: tuple[Decimal, ...]
    offsets: tuple[tuple[str, Decimal], ...]
    others: tuple[tuple[str, struct.Struct, int, Encoding], ...]


class ReadingPlan:
    """How the polled registers of a profile come out of its blocks.

    ``holds_total``: the position of the block with the total among ``blocks``. ``bands``: as far as
    there are any. ``others``: the meanings that a snapshot has no place of its own for.
    """

    def __init__(self, profile: Profile):
        self.blocks: tuple[Block, ...] = profile.poll_blocks
        total = profile.named("total")
        self.holds_total = next(
            (number for number, block in enumerate(self.blocks) if block.holds(total)), None
        )
        self._plans = []
        left = list(profile.polled)
        for block in self.blocks:
            inside = [register for register in left if block.holds(register)]
            left = [register for register in left if register not in inside]
            self._plans.append(_plan(block, inside))
        if left:
            raise CodecError(f"{left[0].meaning} at {left[0].address:04X} is in no block")
        self._names = tuple(plan.name for plan in self._plans)
        meanings = [register.meaning for register in profile.polled]
        known = [number for number, band in enumerate(BANDS, start=1) if band in meanings]
        self.bands = BANDS[: max(known, default=0)]
        self.others = tuple(meaning for meaning in meanings if meaning not in _OWN_PLACE)

    def values(self, data: Sequence[bytes]) -> dict[str, Value]:
        """Every polled value by its meaning.

        :param data: the bytes of each block, in the order of ``blocks``
        :raise CodecError: as :func:`.codec.decode`
        """
        values: dict[str, Value] = {}
        for plan, came in zip(self._plans, data, strict=True):
            numbers = map(mul, plan.form.unpack_from(came), plan.scales)
            values.update(zip(plan.meanings, numbers, strict=True))
            for meaning, offset in plan.offsets:
                values[meaning] += offset
            for meaning, form, start, encoding in plan.others:
                values[meaning] = decode(form.unpack_from(came, start), encoding)
        return values

    def raw(self, data: Sequence[bytes]) -> dict[str, bytes]:
        """The bytes of each block by function code and address."""
        return dict(zip(self._names, data, strict=True))


def _plan(block: Block, registers: Sequence[Register]) -> _BlockPlan:
    whole, others, form, at = [], [], ">", block.address
    for register in sorted(registers, key=lambda register: register.address):
        encoding, start = register.encoding, register.address
        is_whole = (
            encoding.type in _WHOLE
            and encoding.word_order == "ABCD"
            and not encoding.sentinels
            and encoding.resolution is None
            and start >= at
        )
        if is_whole:
            form += f"{2 * (start - at)}x{_WHOLE[encoding.type]}"
            at = start + register.words
            whole.append(register)
        else:
            words = struct.Struct(f">{register.words}H")
            others.append((register.meaning, words, 2 * (start - block.address), encoding))
    return _BlockPlan(
        name=f"{block.function:02X}:{block.address:04X}",
        form=struct.Struct(form),
        meanings=tuple(register.meaning for register in whole),
        scales=tuple(register.encoding.scale for register in whole),
        offsets=tuple((r.meaning, r.encoding.offset) for r in whole if r.encoding.offset),
        others=tuple(others),
    )
