"""The words of one reading to values, by a plan made once for each profile.

A reading decodes the same registers from the same places again and again: what does not change is
worked out once. Whole numbers, nearly all there are, come out of one unpacking of each block;
everything else goes through :func:`.codec.decode`, which says what a value is.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from .codec import Encoding, Value, decode
from .errors import CodecError
from .planning import Block
from .profile import Profile, Register

#: Types that are one big-endian number, with their struct letters; "x" is a byte passed over.
_WHOLE = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q"}


@dataclass(frozen=True)
class _BlockPlan:
    """What a block holds: whole numbers in the order of their addresses, and everything else."""

    place: tuple[int, int]
    form: struct.Struct
    whole: tuple[tuple[str, Decimal, Decimal], ...]
    others: tuple[tuple[str, int, int, Encoding], ...]


class ReadingPlan:
    """How the polled registers of a profile come out of its blocks.

    ``holds_total``: the place of the block with the total; ``meanings``: in the profile's order.
    """

    def __init__(self, profile: Profile):
        self.blocks: tuple[Block, ...] = profile.poll_blocks
        self.holds_total = next(
            (block for block in self.blocks if block.holds(profile.named("total"))), None
        )
        self._plans = []
        left = list(profile.polled)
        for block in self.blocks:
            inside = [register for register in left if block.holds(register)]
            left = [register for register in left if register not in inside]
            self._plans.append(_plan(block, inside))
        if left:
            raise CodecError(f"{left[0].meaning} at {left[0].address:04X} is in no block")

    def values(self, by_place: Mapping[tuple[int, int], Sequence[int]]) -> dict[str, Value]:
        """Every polled value by its meaning.

        :param by_place: each block's words by function code and address
        :raise CodecError: as :func:`.codec.decode`
        """
        values: dict[str, Value] = {}
        for plan in self._plans:
            words = by_place[plan.place]
            if plan.whole:
                data = struct.pack(f">{len(words)}H", *words)
                for (meaning, scale, offset), raw in zip(
                    plan.whole, plan.form.unpack_from(data), strict=True
                ):
                    values[meaning] = raw * scale + offset
            for meaning, start, end, encoding in plan.others:
                values[meaning] = decode(words[start:end], encoding)
        return values


def _plan(block: Block, registers: Sequence[Register]) -> _BlockPlan:
    whole, others, form, at = [], [], ">", block.address
    for register in sorted(registers, key=lambda register: register.address):
        encoding, start = register.encoding, register.address
        is_whole = (
            encoding.type in _WHOLE
            and (encoding.word_order == "ABCD")
            and not encoding.sentinels
            and encoding.resolution is None
            and start >= at
        )
        if is_whole:
            form += f"{2 * (start - at)}x{_WHOLE[encoding.type]}"
            at = start + register.words
            whole.append((register.meaning, encoding.scale, encoding.offset))
        else:
            first = start - block.address
            others.append((register.meaning, first, first + register.words, encoding))
    place = (block.function, block.address)
    return _BlockPlan(place, struct.Struct(form), tuple(whole), tuple(others))
