"""Looking at a live device: raw registers, and what profiles make of them.

A probe reads; nothing is written and nothing is stored as a reading. What it may read is what the
profiles list, or blocks that an engineer names, by the two reading functions only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from .codec import Encoding, Value, decode
from .driver import JobResult
from .errors import CodecError, FieldError, ModbusException, NotHolder, Refused, Unreachable
from .identity import clock_of
from .planning import LONGEST_READ, Block
from .profile import Profile, Register
from .profile_reader import READ_FUNCTIONS

#: What stands for a value that the device says it has not.
NO_VALUE = "no value"
#: Blocks in a row that are not answered, after which a device counts as silent.
MOST_SILENT = 2
#: Blocks of one probe: so many that any profile fits, so few that a bus is not kept busy.
MOST_BLOCKS = 60
#: What device at all shows values in these bounds (kW, V, A, Hz); a phase may be off.
PLAUSIBLE: dict[str, tuple[Decimal, Decimal]] = {
    **dict.fromkeys(("voltage", "voltage_l2", "voltage_l3"), (Decimal(0), Decimal(500))),
    **dict.fromkeys(("current", "current_l2", "current_l3"), (Decimal(-6000), Decimal(6000))),
    **dict.fromkeys(
        ("power", "power_l1", "power_l2", "power_l3", "reactive_power", "apparent_power"),
        (Decimal(-3000), Decimal(3000)),
    ),
    "power_factor": (Decimal(-1), Decimal(1)),
    "frequency": (Decimal(40), Decimal(70)),
    "flow": (Decimal(-1000), Decimal(1000)),
    "temperature": (Decimal(-40), Decimal(150)),
    "battery": (Decimal(0), Decimal(30)),
    "ct_ratio": (Decimal(1), Decimal(10000)),
    "pt_ratio": (Decimal(1), Decimal(10000)),
    "total": (Decimal(0), Decimal(10) ** 9),
    "export_total": (Decimal(0), Decimal(10) ** 9),
}


@dataclass(frozen=True)
class RawBlock:
    """One read of a probe: its words, or why there are none."""

    block: Block
    words: tuple[int, ...] | None
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "function": self.block.function,
            "address": self.block.address,
            "count": self.block.count,
            "words": None if self.words is None else [f"{word:04X}" for word in self.words],
            "error": self.error,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "RawBlock":
        words = row["words"]
        return cls(
            Block(row["function"], row["address"], row["count"]),
            None if words is None else tuple(int(word, 16) for word in words),
            row.get("error", ""),
        )


@dataclass(frozen=True)
class Row:
    """A register as a profile sees it in what was read."""

    register: Register
    words: tuple[int, ...] | None
    value: str = ""
    error: str = ""
    is_plausible: bool | None = None


def raw_profile(blocks: Iterable[Block]) -> Profile:
    """A profile that permits reading exactly these blocks, and writing nothing.

    :raise ValueError: a block cannot be read, or may not be
    """
    registers = []
    for block in blocks:
        if block.function not in READ_FUNCTIONS:
            raise ValueError(f"function {block.function} is no reading function: only 3 and 4 are")
        if not 1 <= block.count <= LONGEST_READ:
            raise ValueError(f"{block.count} registers are not within 1..{LONGEST_READ}")
        if not block.address >= 0 or block.end > 0x10000:
            raise ValueError(f"{block.address:04X} + {block.count} runs past the last address FFFF")
        encoding = Encoding("bytes", block.count)
        registers.append(Register("raw", block.function, block.address, encoding, None, "C"))
    if not registers:
        raise ValueError("nothing to read is named")
    return Profile(
        code="raw",
        name="raw blocks",
        commodity="electricity",
        source="an engineer",
        certainty="C",
        registers=tuple(registers),
        control=None,
        max_block=LONGEST_READ,
        max_gap=0,
        read_functions=READ_FUNCTIONS,
        write_functions=frozenset(),
        is_template=True,
    )


def decoded(profile: Profile, blocks: Sequence[RawBlock]) -> list[Row]:
    """What each register of a profile is in the blocks; those not read have no words."""
    return [_row(profile, register, blocks) for register in profile.registers]


def sense(rows: Sequence[Row]) -> tuple[int, int]:
    """How many of the values that can be judged are plausible, and how many can be judged.

    A register that the device refused, or that holds no value of its type, speaks against the
    profile.
    """
    judged = [row.is_plausible for row in rows if row.is_plausible is not None]
    return sum(judged), len(judged)


def _row(profile: Profile, register: Register, blocks: Sequence[RawBlock]) -> Row:
    error = "not read"
    for raw in blocks:
        if not raw.block.holds(register):
            continue
        if raw.words is None:
            error = raw.error
            continue
        start = register.address - raw.block.address
        words = raw.words[start : start + register.words]
        try:
            value = decode(words, register.encoding)
            text = _text(profile, register, value)
        except CodecError as problem:
            return Row(register, words, error=str(problem), is_plausible=False)
        return Row(register, words, text, is_plausible=_is_plausible(profile, register, value))
    refused = error.startswith("exception")
    return Row(register, None, error=error, is_plausible=False if refused else None)


def _text(profile: Profile, register: Register, value: Value) -> str:
    if value is None:
        return NO_VALUE
    if register.meaning == "supply_state" and profile.control is not None:
        return f"{profile.control.state_of(int(value))} ({int(value):04X})"
    if register.meaning == "clock" and isinstance(value, bytes):
        return clock_of(value).isoformat(" ")
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:f}" if isinstance(value, Decimal) else value


def _is_plausible(profile: Profile, register: Register, value: Value) -> bool | None:
    """None where any value could be right."""
    if value is None:
        return None
    if register.meaning == "supply_state" and profile.control is not None:
        return profile.control.state_of(int(value)) != "unknown"
    if register.meaning == "serial":
        return bool(value)
    if register.meaning == "clock":
        return True
    bounds = PLAUSIBLE.get(register.meaning)
    if bounds is None or not isinstance(value, Decimal):
        return None
    return bounds[0] <= value <= bounds[1]


@dataclass
class ProbeJob:
    """Reads what some profiles list, or raw blocks, of one unit, a block a step.

    Where a device refuses a block that takes in several registers, each register is tried by
    itself, so that one that it does not have hides no other.

    :param profiles: the profiles whose registers are read
    :param blocks: further blocks, named by an engineer
    :raise ValueError: nothing is to be read, or it may not be
    """

    kind: ClassVar[str] = "probe"

    key: int
    unit: int
    profiles: Sequence[Profile] = ()
    blocks: Sequence[Block] = ()
    _left: list[tuple[Profile, Block]] = field(init=False, default_factory=list)
    _read: list[RawBlock] = field(init=False, default_factory=list)
    _sent: list[str] = field(init=False, default_factory=list)
    _came: list[str] = field(init=False, default_factory=list)
    _silent: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        seen = set()
        permitted: list[tuple[Profile, Block]] = []
        if self.blocks:
            named = raw_profile(self.blocks)
            permitted += [(named, block) for block in self.blocks]
        for profile in self.profiles:
            permitted += [(profile, block) for block in profile.blocks(profile.registers)]
        for profile, block in permitted:
            if block not in seen:
                seen.add(block)
                self._left.append((profile, block))
        if not self._left:
            raise ValueError("nothing to read is named: choose a profile or a block")
        if len(self._left) > MOST_BLOCKS:
            raise ValueError(f"{len(self._left)} reads are too many at once: most {MOST_BLOCKS}")

    def progress(self) -> dict[str, Any]:
        return self._result() if self._read else {}

    async def step(self, driver: Any) -> JobResult | None:
        profile, block = self._left.pop(0)
        try:
            words, exchange = await driver.client.read_exchange(self.unit, profile, block)
        except (NotHolder, Unreachable):
            raise
        except Refused as error:
            return JobResult("failed", self._result(), error=str(error))
        except FieldError as error:
            self._read.append(RawBlock(block, None, str(error)))
            is_answer = isinstance(error, ModbusException)
            self._silent = 0 if is_answer else self._silent + 1
            if is_answer and error.code in (2, 3):
                self._try_each(profile, block)
        else:
            self._silent = 0
            self._read.append(RawBlock(block, words))
            self._sent.append(exchange.request)
            self._came.append(exchange.response)
        if self._silent >= MOST_SILENT:
            self._read += [RawBlock(other, None, "not asked any more") for _p, other in self._left]
            self._left = []
        return None if self._left else self._end()

    def _try_each(self, profile: Profile, block: Block) -> None:
        known = {read.block for read in self._read} | {other for _profile, other in self._left}
        for register in profile.registers:
            alone = Block(register.function, register.address, register.words)
            if block.holds(register) and alone not in known:
                known.add(alone)
                self._left.append((profile, alone))

    def _end(self) -> JobResult:
        result, sent, came = self._result(), "\n".join(self._sent), "\n".join(self._came)
        if any(read.words is not None for read in self._read):
            return JobResult("confirmed", result, sent, came)
        return JobResult("failed", result, error=self._read[0].error)

    def _result(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "blocks": [read.as_json() for read in self._read],
            "left": len(self._left),
        }
