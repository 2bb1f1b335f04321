"""A meter type: where its values lie, how its supply is switched, how sure that is.

The same dictionary comes from a JSON file, a database copy or a test. Addresses are
0-based wire addresses, as integers or as text ("0x0224").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .codec import Encoding
from .planning import Block, plan


@dataclass(frozen=True)
class Register:
    """One value of the map. ``polled``: part of every reading (otherwise read on demand)."""

    meaning: str
    function: int
    address: int
    encoding: Encoding
    unit: str | None
    certainty: str
    polled: bool = True

    @property
    def words(self) -> int:
        return self.encoding.words


@dataclass(frozen=True)
class StateRule:
    """The supply is in ``state`` where the flags under ``mask`` equal ``value``."""

    state: str
    mask: int
    value: int


@dataclass(frozen=True)
class Control:
    """How the supply is turned on and off, and how it is read back.

    ``on`` and ``off`` are the words written at ``address``; nothing else may be written.
    A state that no rule names while the device works is unknown. ``fault_mask``: flags of
    the supply state that mean the relay or valve itself reports a fault. ``settle``:
    seconds the device may take; ``poll``: seconds between two looks.
    """

    function: int
    address: int
    on: tuple[int, ...]
    off: tuple[int, ...]
    states: tuple[StateRule, ...]
    fault_mask: int
    settle: float
    poll: float
    certainty: str

    def words(self, wanted: str) -> tuple[int, ...]:
        """:raise KeyError: ``wanted`` is neither "on" nor "off"."""
        return {"on": self.on, "off": self.off}[wanted]

    def state_of(self, flags: int) -> str:
        """One of "on", "off", "moving", "unknown"."""
        for rule in self.states:
            if flags & rule.mask == rule.value:
                return rule.state
        return "unknown"


@dataclass(frozen=True)
class TimePlan:
    """The time-of-use plan that the meter keeps: most times of a day, and the bands it knows.

    It holds one day for the whole year; nothing is written to it here.
    """

    slots: int
    bands: tuple[str, ...]
    certainty: str


@dataclass(frozen=True)
class Profile:
    """A meter type, checked. Make one with :meth:`from_dict`."""

    code: str
    name: str
    commodity: str
    source: str
    certainty: str
    registers: tuple[Register, ...]
    control: Control | None
    max_block: int
    max_gap: int
    read_functions: frozenset[int]
    write_functions: frozenset[int]
    time_plan: TimePlan | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Profile":
        """:raise ProfileError: with every problem found, each naming its place"""
        # The reader makes profiles, so it imports this module.
        from .profile_reader import ProfileReader

        return ProfileReader(data).profile()

    def limited(self, max_block: int, max_gap: int) -> "Profile":
        """The profile with shorter reads and smaller gaps, as a gateway needs them; a block
        always has room for the longest register."""
        longest = max(register.words for register in self.registers)
        block = min(self.max_block, max(max_block, longest))
        gap = min(self.max_gap, max_gap)
        if (block, gap) == (self.max_block, self.max_gap):
            return self
        return replace(self, max_block=block, max_gap=gap)

    def named(self, meaning: str) -> Register | None:
        """The register with this meaning, if the device has it."""
        return self._by_meaning.get(meaning)

    @cached_property
    def _by_meaning(self) -> dict[str, Register]:
        return {register.meaning: register for register in self.registers}

    @cached_property
    def polled(self) -> tuple[Register, ...]:
        return tuple(register for register in self.registers if register.polled)

    @cached_property
    def poll_blocks(self) -> tuple[Block, ...]:
        """The reads of one reading."""
        return self.blocks(self.polled)

    @cached_property
    def part_blocks(self) -> tuple[Block, ...]:
        """Every read that starts and ends with a register within one of `poll_blocks`, the
        shortest first."""
        found = set()
        for whole in self.poll_blocks:
            inside = [register for register in self.registers if whole.holds(register)]
            for first in inside:
                for last in inside:
                    end = last.address + last.words
                    block = Block(whole.function, first.address, end - first.address)
                    if first.address <= last.address and self.allows_read(block):
                        found.add(block)
        return tuple(sorted(found, key=lambda block: (block.count, block)))

    def blocks(self, registers: Sequence[Register]) -> tuple[Block, ...]:
        return plan(registers, self.max_block, self.max_gap)

    def allows_read(self, block: Block) -> bool:
        """Whether the block starts and ends with registers of the map and is short enough."""
        known = self._judged_blocks.get(block)
        if known is None:
            known = self._judged_blocks[block] = self._covers(block)
        return known

    @cached_property
    def _judged_blocks(self) -> dict[Block, bool]:
        return {}

    def _covers(self, block: Block) -> bool:
        if block.function not in self.read_functions or block.count > self.max_block:
            return False
        inside = [register for register in self.registers if block.holds(register)]
        return (
            bool(inside)
            and min(register.address for register in inside) == block.address
            and max(register.address + register.words for register in inside) == block.end
        )

    def allows_write(self, function: int, address: int, words: Sequence[int]) -> bool:
        """Whether exactly these words are the map's supply on or supply off."""
        control = self.control
        return (
            control is not None
            and function in self.write_functions
            and (function, address) == (control.function, control.address)
            and tuple(words) in (control.on, control.off)
        )
