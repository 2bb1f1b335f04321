"""A profile's dictionary, judged as a whole: every fault is found and named with its place."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from .codec import NUMBER_TYPES, TYPE_WORDS, WORD_ORDERS, Encoding
from .errors import ProfileError
from .flags import ALARMS, TRIPS, FlagRule
from .planning import LONGEST_READ
from .profile import KEY, ClockWrite, Control, Profile, Register, StateRule, TimePlan
from .value_reader import ValueReader
from .vocabulary import (
    CERTAINTIES,
    COMMODITIES,
    MEANINGS,
    PLAN_BANDS,
    SUPPLY_STATES,
    VALUES,
    unit_of,
)

#: Year, month, day, weekday, hour, minute, second.
CLOCK_BYTES = 7
READ_FUNCTIONS = frozenset({3, 4})
WRITE_FUNCTIONS = frozenset({6, 16})


class ProfileReader(ValueReader):
    """Reads a profile's dictionary and gathers every problem before it gives up."""

    def __init__(self, data: Mapping[str, Any]):
        super().__init__()
        self.data = self._row(data, "profile")

    def profile(self) -> Profile:
        data = self.data
        commodity = self._choice(data, "commodity", COMMODITIES, "profile")
        certainty = self._choice(data, "certainty", CERTAINTIES, "profile")
        read_functions = self._functions("read_functions", READ_FUNCTIONS)
        write_functions = self._functions("write_functions", WRITE_FUNCTIONS)
        max_block = self._integer(data, "max_block", "profile", 1, LONGEST_READ, 100)
        max_gap = self._integer(data, "max_gap", "profile", 0, LONGEST_READ, 0)
        values = self._choice({"values": "secondary", **data}, "values", VALUES, "profile")
        is_template = self._yes_or_no(data, "template", "profile", False)
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
                "plan",
                "type_code",
                "clock_write",
                "values",
                "template",
                "trips",
                "alarms",
            },
            "profile",
        )
        registers, is_total_wrong = [], False
        for index, row in enumerate(self._rows(data, "registers", "profile")):
            register = self._register(row, index, commodity, certainty, read_functions, max_block)
            if register is not None:
                registers.append(register)
            elif row.get("meaning") == "total":
                is_total_wrong = True
        meanings = [register.meaning for register in registers]
        for meaning in sorted({m for m in meanings if meanings.count(m) > 1}):
            self.problems.append(f"meaning {meaning} is given to more than one register")
        has_total = is_total_wrong or any(
            register.meaning == "total" and register.polled for register in registers
        )
        if not has_total and not is_template:
            self.problems.append("no polled register means the total")
        control = self._control(registers, write_functions, certainty)
        clock_write = self._clock_write(registers, write_functions, certainty)
        type_code = None
        if data.get("type_code") is not None:
            type_code = self._integer(data, "type_code", "profile", 0, 0xFFFF)
            if "type_code" not in meanings:
                self.problems.append("a type code is given, but no register means it")
        time_plan = self._time_plan(certainty)
        trips = self._flags("trips", "cause", TRIPS, registers)
        alarms = self._flags("alarms", "alarm", ALARMS, registers)
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
            time_plan=time_plan,
            type_code=type_code,
            clock_write=clock_write,
            values=values,
            is_template=is_template,
            trips=trips,
            alarms=alarms,
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
                "source",
            },
            place,
        )
        meaning = self._choice(row, "meaning", MEANINGS, place)
        kind = self._choice(row, "type", TYPE_WORDS, place)
        function = self._integer(row, "function", place, 0, 255, 3)
        if function not in read_functions:
            self.problems.append(f"{place}: function {function} is not among the read functions")
        address = self._integer(row, "address", place, 0, 0xFFFF)
        # An unknown type is named already; its length then is nobody's question.
        given = TYPE_WORDS.get(kind) if kind else 1
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
            for value in self._list(row, "sentinels", place)
        )
        order = self._choice({"word_order": "ABCD", **row}, "word_order", WORD_ORDERS, place)
        sure = self._choice({"certainty": certainty, **row}, "certainty", CERTAINTIES, place)
        polled = row.get("polled", True)
        if not isinstance(polled, bool) and polled != "daily":
            self.problems.append(f'{place}: polled must be true, false or "daily"')
        if meaning == "clock" and (kind != "bytes" or length != CLOCK_BYTES):
            self.problems.append(
                f"{place}: the clock is read as {CLOCK_BYTES} bytes: year, month, day, weekday, "
                "hour, minute, second"
            )
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
            polled=polled is True,
            daily=polled == "daily",
            source=self._note(row, "source", place),
        )

    def _flags(
        self, name: str, key: str, known: Sequence[str], registers: Sequence[Register]
    ) -> tuple[FlagRule, ...]:
        by_meaning = {register.meaning: register for register in registers}
        rules = []
        for number, given in enumerate(self._list(self.data, name, "profile"), start=1):
            place = f"{name} {number}"
            row = self._row(given, place)
            self._unknown(row, {key, "register", "mask", "value"}, place)
            what = self._choice(row, key, known, place)
            meaning = self._choice(row, "register", by_meaning, place)
            register = by_meaning.get(meaning)
            if register and (register.encoding.type != "u16" or not register.polled):
                self.problems.append(f"{place}: {meaning} is not a polled u16")
            mask = self._integer(row, "mask", place, 1, 0xFFFF)
            value = None
            if row.get("value") is not None:
                value = self._integer(row, "value", place, 0, 0xFFFF)
                if value & ~mask:
                    self.problems.append(f"{place}: the value has bits outside its mask")
            rules.append(FlagRule(what, meaning, mask, value))
        return tuple(rules)

    def _time_plan(self, certainty: str) -> TimePlan | None:
        row = self.data.get("plan")
        if row is None:
            return None
        row = self._row(row, "plan")
        self._unknown(row, {"slots", "bands", "certainty"}, "plan")
        bands = tuple(self._list(row, "bands", "plan"))
        for band in bands:
            if not isinstance(band, str) or band not in PLAN_BANDS:
                self.problems.append(f"plan: unknown band {band!r}")
                return None
        if not bands or len(set(bands)) < len(bands):
            self.problems.append("plan: name each band that the meter knows once")
        return TimePlan(
            slots=self._integer(row, "slots", "plan", 1, 1440),
            bands=bands,
            certainty=self._choice(
                {"certainty": certainty, **row}, "certainty", CERTAINTIES, "plan"
            ),
        )

    def _clock_write(
        self, registers: Sequence[Register], write_functions: frozenset[int], certainty: str
    ) -> ClockWrite | None:
        row = self.data.get("clock_write")
        if row is None:
            return None
        place = "clock_write"
        row = self._row(row, place)
        self._unknown(row, {"function", "address", "monday", "certainty", "confirmed"}, place)
        clock = next((r for r in registers if r.meaning == "clock"), None)
        if clock is None or clock.encoding.type != "bytes" or clock.encoding.length != 7:
            self.problems.append(f"{place}: no register of 7 bytes means the clock: no read-back")
        function = self._integer(row, "function", place, 0, 255, 16)
        if function not in write_functions or function != 16:
            self.problems.append(
                f"{place}: function {function} is not 16 among the write functions"
            )
        return ClockWrite(
            function=function,
            address=self._integer(row, "address", place, 0, 0xFFFF),
            words=clock.words if clock else 4,
            monday=self._integer(row, "monday", place, 0, 7, 1),
            certainty=self._choice(
                {"certainty": certainty, **row}, "certainty", CERTAINTIES, place
            ),
            confirmed=str(row.get("confirmed") or ""),
        )

    def _control(
        self, registers: Sequence[Register], write_functions: frozenset[int], certainty: str
    ) -> Control | None:
        row = self.data.get("control")
        if row is None:
            if write_functions and self.data.get("clock_write") is None:
                self.problems.append("write functions without a control")
            return None
        place = "control"
        row = self._row(row, place)
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
                "confirmed",
                "source",
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
        for number, rule in enumerate(self._rows(row, "states", place), start=1):
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
            confirmed=self._note(row, "confirmed", place),
            source=self._note(row, "source", place),
        )

    def _words(self, row: Mapping[str, Any], name: str) -> tuple[int | str, ...]:
        words = row.get(name)
        if not isinstance(words, list | tuple) or not 1 <= len(words) <= 123:
            self.problems.append(f"control: {name} must be a list of 1 to 123 words")
            return ()
        return tuple(
            word if word == KEY else self._integer({name: word}, name, "control", 0, 0xFFFF)
            for word in words
        )

    def _functions(self, name: str, known: frozenset[int]) -> frozenset[int]:
        functions = self.data.get(name, [])
        if not isinstance(functions, list | tuple) or not all(
            isinstance(code, int) and not isinstance(code, bool) and code in known
            for code in functions
        ):
            self.problems.append(f"{name}: only {sorted(known)} are known, not {functions!r}")
            return frozenset()
        if name == "read_functions" and not functions:
            self.problems.append("read_functions: at least one is needed")
        return frozenset(functions)

    def _text(self, name: str) -> str:
        value = self.data.get(name)
        if not isinstance(value, str) or not value.strip():
            self.problems.append(f"no {name}")
            return ""
        return value
