"""Registers to the fewest block reads."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

#: The protocol's own limit: an answer of 125 registers fills a frame.
LONGEST_READ = 125


class Placed(Protocol):
    """Anything that lies in registers: a function code, a first address, a length."""

    @property
    def function(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def words(self) -> int: ...


class Block(NamedTuple):
    """One read: ``count`` registers from ``address`` by function code ``function``."""

    function: int
    address: int
    count: int

    @property
    def end(self) -> int:
        """The first address after the block."""
        return self.address + self.count

    def holds(self, register: Placed) -> bool:
        return (
            register.function == self.function
            and self.address <= register.address
            and register.address + register.words <= self.end
        )


def plan(registers: Iterable[Placed], max_block: int, max_gap: int) -> tuple[Block, ...]:
    """Cover registers with the fewest blocks, sorted by function code and address.

    :param max_block: most registers a block may have, 1 to 125
    :param max_gap: most registers in a row that a block may read without being asked for
    :raise ValueError: a register is longer than a block, or max_block is out of range
    """
    if not 1 <= max_block <= LONGEST_READ:
        raise ValueError(f"a block of {max_block} registers is not within 1..{LONGEST_READ}")
    blocks: list[Block] = []
    # A register that no longer fits ends the block. Taking in a later, shorter one gains
    # nothing: it lies inside the register that starts the next block.
    for register in sorted(registers, key=lambda r: (r.function, r.address, r.words)):
        if register.words > max_block:
            raise ValueError(
                f"register {register.address:04X} has {register.words} words, "
                f"a block at most {max_block}"
            )
        last = blocks[-1] if blocks else None
        end = register.address + register.words
        if (
            last is not None
            and last.function == register.function
            and register.address - last.end <= max_gap
            and max(end, last.end) - last.address <= max_block
        ):
            blocks[-1] = Block(last.function, last.address, max(end, last.end) - last.address)
        else:
            blocks.append(Block(register.function, register.address, register.words))
    return tuple(blocks)
