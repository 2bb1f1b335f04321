"""A meter type: where its values lie, how its supply is switched, how sure that is.

The same dictionary comes from a JSON file, a database copy or a test. Addresses are
0-based wire addresses, as integers or as text ("0x0224").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .codec import Encoding, Value
from .flags import FlagRule, all_of, first_of
from .planning import Block, plan

if TYPE_CHECKING:
    from .reading import ReadingPlan


@dataclass(frozen=True)
class Register:
    """One value of the map.

    ``polled``: part of every reading; ``daily``: asked once a day, and after the meter was away;
    neither: on demand. ``source``: where just this register comes from, if not from where the
    profile does.
    """

    meaning: str
    function: int
    address: int
    encoding: Encoding
    unit: str | None
    certainty: str
    polled: bool = True
    daily: bool = False
    source: str = ""

    @property
    def words(self) -> int:
        return self.encoding.words


#: Stands among the words of a control for the meter's own word.
KEY = "key"


@dataclass(frozen=True)
class StateRule:
    """The supply is in ``state`` where the flags under ``mask`` equal ``value``."""

    state: str
    mask: int
    value: int


@dataclass(frozen=True)
class Control:
    """How the supply is turned on and off, and how it is read back.

    ``on`` and ``off`` are the words written at ``address``; nothing else may be written. KEY among
    them stands for a word that each meter has of its own.
    A state that no rule names while the device works is unknown. ``fault_mask``: flags of
    the supply state that mean the relay or valve itself reports a fault. ``settle``:
    seconds the device may take; ``poll``: seconds between two looks. ``confirmed``: who saw it
    work on which device; without it a control of certainty C is not used.
    """

    function: int
    address: int
    on: tuple[int | str, ...]
    off: tuple[int | str, ...]
    states: tuple[StateRule, ...]
    fault_mask: int
    settle: float
    poll: float
    certainty: str
    confirmed: str = ""
    source: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether anything may be written: a control of certainty C only once it is confirmed."""
        return self.certainty != "C" or bool(self.confirmed)

    @property
    def moves(self) -> bool:
        """Whether it takes its time and says so: a valve."""
        return any(rule.state == "moving" for rule in self.states)

    def words(self, wanted: str, key: int | None = None) -> tuple[int, ...]:
        """The words that turn the supply on or off.

        :param key: the meter's own word, where the control needs one
        :raise KeyError: ``wanted`` is neither "on" nor "off"
        :raise ValueError: the meter's own word is needed and missing
        """
        words = {"on": self.on, "off": self.off}[wanted]
        if KEY in words and key is None:
            raise ValueError("the meter's own control key is not known")
        return tuple(key if word == KEY else word for word in words)  # type: ignore[misc]

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
class ClockWrite:
    """How the clock is set: the seven bytes of the register that means it, filled up with zeros.

    ``monday``: what the device counts Monday as. ``confirmed``: as of a control.
    """

    function: int
    address: int
    words: int
    monday: int
    certainty: str
    confirmed: str = ""

    @property
    def is_usable(self) -> bool:
        return self.certainty != "C" or bool(self.confirmed)


@dataclass(frozen=True)
class Profile:
    """A meter type, checked. Make one with :meth:`from_dict`.

    ``values``: see vocabulary.VALUES. ``is_template``: its map has no total, so that no meter
    can be read by it until somebody adds that. ``type_code``: what the register of that meaning
    holds in every device of this type.
    """

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
    trips: tuple[FlagRule, ...] = ()
    alarms: tuple[FlagRule, ...] = ()
    values: str = "secondary"
    is_template: bool = False
    type_code: int | None = None
    clock_write: ClockWrite | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Profile":
        """:raise ProfileError: with every problem found, each naming its place"""
        # The reader makes profiles, so it imports this module.
        from .profile_reader import ProfileReader

        return ProfileReader(data).profile()

    def trip_of(self, values: Mapping[str, Value]) -> str | None:
        """Why the meter turned its supply off by itself, one of TRIPS; None where it did not."""
        flags = values.get("supply_state")
        if self.control and flags is not None and self.control.state_of(int(flags)) == "on":
            return None
        return first_of(self.trips, values)

    def alarms_of(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """What the meter reports of itself, of ALARMS."""
        return all_of(self.alarms, values)

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

    @cached_property
    def reading_plan(self) -> "ReadingPlan":
        """How the values of one reading come out of its blocks."""
        # It is made of a profile, so it imports this module.
        from .reading import ReadingPlan

        return ReadingPlan(self)

    @cached_property
    def daily(self) -> tuple[Register, ...]:
        return tuple(register for register in self.registers if register.daily)

    @cached_property
    def daily_blocks(self) -> tuple[Block, ...]:
        """The reads of what is asked once a day, beyond what every reading has."""
        return self.blocks(self.daily)

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
        """Whether exactly these words are the map's supply on or supply off, and in use, or set its
        clock."""
        if function not in self.write_functions:
            return False
        clock, control = self.clock_write, self.control
        if (
            clock is not None
            and clock.is_usable
            and (function, address, len(words)) == (clock.function, clock.address, clock.words)
        ):
            return True
        return (
            control is not None
            and control.is_usable
            and (function, address) == (control.function, control.address)
            and any(_are(words, pattern) for pattern in (control.on, control.off))
        )


def _are(words: Sequence[int], pattern: Sequence[int | str]) -> bool:
    return len(words) == len(pattern) and all(
        known in (word, KEY) for word, known in zip(words, pattern, strict=True)
    )
