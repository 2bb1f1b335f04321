"""A meter type: where its values lie, how its supply is switched, how sure that is.

The same dictionary comes from a JSON file, a database copy or a test. Addresses are
0-based wire addresses, as integers or as text ("0x0224").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from .codec import NUMBER_TYPES, TYPE_WORDS, WORD_ORDERS, Encoding
from .errors import ProfileError
from .planning import LONGEST_READ, Block, plan
from .vocabulary import CERTAINTIES, COMMODITIES, MEANINGS, SUPPLY_STATES, unit_of

READ_FUNCTIONS = frozenset({3, 4})
WRITE_FUNCTIONS = frozenset({6, 16})


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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Profile":
        """:raise ProfileError: with every problem found, each naming its place"""
        return _Reader(data).profile()

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

    def blocks(self, registers: Sequence[Register]) -> tuple[Block, ...]:
        return plan(registers, self.max_block, self.max_gap)

    def allows_read(self, block: Block) -> bool:
        """Whether the block starts and ends with registers of the map and is short enough."""
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


class _Reader:
    """Reads a profile's dictionary and gathers every problem before it gives up."""

    def __init__(self, data: Mapping[str, Any]):
        self.data = data
        self.problems: list[str] = []

    def profile(self) -> Profile:
        data = self.data
        commodity = self._choice(data, "commodity", COMMODITIES, "profile")
        certainty = self._choice(data, "certainty", CERTAINTIES, "profile")
        read_functions = self._functions("read_functions", READ_FUNCTIONS)
        write_functions = self._functions("write_functions", WRITE_FUNCTIONS)
        max_block = self._integer(data, "max_block", "profile", 1, LONGEST_READ, 100)
        max_gap = self._integer(data, "max_gap", "profile", 0, LONGEST_READ, 0)
        self._unknown(
            data,
            {
                "code",
                "name",
                "commodity",
                "source",
                "certainty",
                "read_functions",
                "write_functions",
                "max_block",
                "max_gap",
                "registers",
                "control",
            },
            "profile",
        )
        registers = []
        for index, row in enumerate(data.get("registers") or []):
            register = self._register(row, index, commodity, certainty, read_functions, max_block)
            if register is not None:
                registers.append(register)
        meanings = [register.meaning for register in registers]
        for meaning in sorted({m for m in meanings if meanings.count(m) > 1}):
            self.problems.append(f"meaning {meaning} is given to more than one register")
        if not any(register.meaning == "total" and register.polled for register in registers):
            self.problems.append("no polled register means the total")
        control = self._control(registers, write_functions, certainty)
        name = self._text("name")
        code = self._text("code")
        source = self._text("source")
        if self.problems:
            raise ProfileError([f"{data.get('code') or 'profile'}: {p}" for p in self.problems])
        return Profile(
            code=code,
            name=name,
            commodity=commodity,
            source=source,
            certainty=certainty,
            registers=tuple(registers),
            control=control,
            max_block=max_block,
            max_gap=max_gap,
            read_functions=read_functions,
            write_functions=write_functions,
        )

    def _register(
        self,
        row: Mapping[str, Any],
        index: int,
        commodity: str,
        certainty: str,
        read_functions: frozenset[int],
        max_block: int,
    ) -> Register | None:
        before = len(self.problems)
        place = f"register {index + 1} ({row.get('meaning')})"
        self._unknown(
            row,
            {
                "meaning",
                "function",
                "address",
                "type",
                "words",
                "word_order",
                "scale",
                "offset",
                "resolution",
                "sentinels",
                "index",
                "length",
                "unit",
                "certainty",
                "polled",
            },
            place,
        )
        meaning = self._choice(row, "meaning", MEANINGS, place)
        kind = self._choice(row, "type", TYPE_WORDS, place)
        function = self._integer(row, "function", place, 0, 255, 3)
        if function not in read_functions:
            self.problems.append(f"{place}: function {function} is not among the read functions")
        address = self._integer(row, "address", place, 0, 0xFFFF)
        given = TYPE_WORDS.get(kind)
        words = self._integer(row, "words", place, 1, max_block, given)
        if given is not None and words != given:
            self.problems.append(f"{place}: {kind} has {given} registers, not {words}")
        if address + words > 0x10000:
            self.problems.append(f"{place}: runs past the last address FFFF")
        scale = self._decimal(row, "scale", place, Decimal(1))
        if scale == 0:
            self.problems.append(f"{place}: a scale of zero loses the value")
        resolution = self._decimal(row, "resolution", place, None)
        if resolution is not None and resolution <= 0:
            self.problems.append(f"{place}: the resolution must be above zero")
        most = {"bit": 15, "byte": 1}.get(kind, 2 * words - 1)
        position = self._integer(row, "index", place, 0, most, 0)
        length = None
        if row.get("length") is not None:
            length = self._integer(row, "length", place, 1, 2 * words - position)
        sentinels = frozenset(
            self._integer({"sentinel": value}, "sentinel", place, 0, 2 ** (16 * words) - 1)
            for value in row.get("sentinels") or ()
        )
        order = self._choice({"word_order": "ABCD", **row}, "word_order", WORD_ORDERS, place)
        sure = self._choice({"certainty": certainty, **row}, "certainty", CERTAINTIES, place)
        polled = row.get("polled", True)
        if not isinstance(polled, bool):
            self.problems.append(f"{place}: polled must be true or false")
        unit = row.get("unit")
        if len(self.problems) > before:
            return None
        if commodity and unit != unit_of(meaning, commodity):
            self.problems.append(
                f"{place}: the unit is {unit_of(meaning, commodity)}, not {unit} "
                "(the scale brings the value into it)"
            )
        if unit is not None and kind not in NUMBER_TYPES:
            self.problems.append(f"{place}: a {kind} has no unit")
        if meaning == "supply_state" and kind != "u16":
            self.problems.append(f"{place}: the supply state is read as one u16 of flags")
        return Register(
            meaning=meaning,
            function=function,
            address=address,
            encoding=Encoding(
                type=kind,
                words=words,
                word_order=order,
                scale=scale,
                offset=self._decimal(row, "offset", place, Decimal(0)),
                resolution=resolution,
                sentinels=sentinels,
                index=position,
                length=length,
            ),
            unit=unit,
            certainty=sure,
            polled=polled,
        )

    def _control(
        self, registers: Sequence[Register], write_functions: frozenset[int], certainty: str
    ) -> Control | None:
        row = self.data.get("control")
        if row is None:
            if write_functions:
                self.problems.append("write functions without a control")
            return None
        place = "control"
        self._unknown(
            row,
            {
                "function",
                "address",
                "on",
                "off",
                "states",
                "fault_mask",
                "settle",
                "poll",
                "certainty",
            },
            place,
        )
        if not any(register.meaning == "supply_state" for register in registers):
            self.problems.append("control: no register means the supply state, so no read-back")
        function = self._integer(row, "function", place, 0, 255)
        if function not in write_functions:
            self.problems.append(f"control: function {function} is not among the write functions")
        on, off = (self._words(row, name) for name in ("on", "off"))
        if on and on == off:
            self.problems.append("control: on and off write the same words")
        if function == 6 and (len(on) != 1 or len(off) != 1):
            self.problems.append("control: function 6 writes exactly one register")
        states = []
        for number, rule in enumerate(row.get("states") or [], start=1):
            here = f"control state {number}"
            self._unknown(rule, {"state", "mask", "value"}, here)
            mask = self._integer(rule, "mask", here, 1, 0xFFFF)
            value = self._integer(rule, "value", here, 0, 0xFFFF)
            if value & ~mask:
                self.problems.append(f"{here}: the value has bits outside its mask")
            states.append(StateRule(self._choice(rule, "state", SUPPLY_STATES, here), mask, value))
        for state in ("on", "off"):
            if state not in [rule.state for rule in states]:
                self.problems.append(f"control: no rule tells the state {state}")
        settle = self._decimal(row, "settle", place, Decimal(3))
        poll = self._decimal(row, "poll", place, Decimal("0.2"))
        if settle is not None and poll is not None and not 0 < poll <= settle:
            self.problems.append("control: 0 < poll <= settle does not hold")
        return Control(
            function=function,
            address=self._integer(row, "address", place, 0, 0xFFFF),
            on=on,
            off=off,
            states=tuple(states),
            fault_mask=self._integer(row, "fault_mask", place, 0, 0xFFFF, 0),
            settle=float(settle or 0),
            poll=float(poll or 0),
            certainty=self._choice(
                {"certainty": certainty, **row}, "certainty", CERTAINTIES, place
            ),
        )

    def _words(self, row: Mapping[str, Any], name: str) -> tuple[int, ...]:
        words = row.get(name)
        if not isinstance(words, list | tuple) or not 1 <= len(words) <= 123:
            self.problems.append(f"control: {name} must be a list of 1 to 123 words")
            return ()
        return tuple(self._integer({name: word}, name, "control", 0, 0xFFFF) for word in words)

    def _functions(self, name: str, known: frozenset[int]) -> frozenset[int]:
        functions = self.data.get(name, [])
        if not isinstance(functions, list | tuple) or not set(functions) <= known:
            self.problems.append(f"{name}: only {sorted(known)} are known, not {functions!r}")
            return frozenset()
        if name == "read_functions" and not functions:
            self.problems.append("read_functions: at least one is needed")
        return frozenset(functions)

    def _choice(self, row: Mapping[str, Any], name: str, known: Any, place: str) -> str:
        value = row.get(name)
        if not isinstance(value, str) or value not in known:
            self.problems.append(f"{place}: unknown {name} {value!r}")
            return ""
        return value

    def _integer(
        self,
        row: Mapping[str, Any],
        name: str,
        place: str,
        low: int,
        high: int,
        default: int | None = None,
    ) -> int:
        value = row.get(name)
        if value is None:
            value = default
        if isinstance(value, str):
            try:
                value = int(value, 0)
            except ValueError:
                value = None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.problems.append(f"{place}: {name} {row.get(name)!r} is not within {low}..{high}")
            return low
        return value

    def _decimal(
        self, row: Mapping[str, Any], name: str, place: str, default: Decimal | None
    ) -> Any:
        value = row.get(name)
        if value is None:
            return default
        try:
            if isinstance(value, bool | float):
                raise InvalidOperation
            number = Decimal(value)
            if not number.is_finite():
                raise InvalidOperation
        except (InvalidOperation, TypeError, ValueError):
            self.problems.append(f"{place}: {name} must be a number in quotes, not {value!r}")
            return default
        return number

    def _text(self, name: str) -> str:
        value = self.data.get(name)
        if not isinstance(value, str) or not value.strip():
            self.problems.append(f"no {name}")
            return ""
        return value

    def _unknown(self, row: Mapping[str, Any], known: set[str], place: str) -> None:
        for name in sorted(set(row) - known):
            self.problems.append(f"{place}: unknown key {name!r}")
