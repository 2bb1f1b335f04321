"""Who is on a bus: unit after unit, one exchange a step.

What each unit is told by, surest first: the type code of a profile, a serial number, a total that
makes sense. Whoever answers is read three times, so that two meters with one number betray
themselves.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from .client import GatewayClient
from .codec import Value, decode
from .device import ModbusDriver
from .driver import JobResult
from .errors import (
    CodecError,
    ModbusException,
    NoAnswer,
    WrongAnswer,
)
from .planning import Block
from .profile import Profile, Register

#: Seconds that a unit has to answer in, where that is less than the gateway's own time-out.
TIMEOUT = 0.5
#: How often whoever answers is read altogether.
LOOKS = 3
#: kWh or m3 that no meter counts between two looks of one scan.
MOST_BETWEEN_LOOKS = Decimal(5)
MOST_TOTAL = Decimal(10) ** 9

TYPE_CODE, SERIAL, TOTAL = "type_code", "serial", "total"
#: How sure a meter type is that was told by a register of this meaning.
SURENESS = {TYPE_CODE: 3, SERIAL: 2, TOTAL: 1}


@dataclass
class Unit:
    """What was found at a number of the bus.

    ``profile``: the key of the profile it was recognised by, None = it answers and is not known;
    ``told_by``: TYPE_CODE, SERIAL or TOTAL; ``also``: keys of others that are as likely.
    ``doubled``: why two meters seem to have this number, "" = they do not. Quantities are texts.
    """

    unit: int
    profile: int | None = None
    told_by: str = ""
    also: list[int] = field(default_factory=list)
    serial: str | None = None
    total: str | None = None
    ct: str | None = None
    pt: str | None = None
    doubled: str = ""


@dataclass(frozen=True)
class _Answer:
    """``words`` or why there are none: ``silent``, ``garbled`` (bytes that are no answer), or the
    device refused."""

    words: tuple[int, ...] = ()
    silent: bool = False
    garbled: bool = False

    @property
    def has_words(self) -> bool:
        return bool(self.words)


_Asking = Generator[tuple[int, Profile, Block], _Answer, None]


def identifying(profile: Profile) -> Register | None:
    """The register that tells the profile's type at the least cost."""
    if profile.type_code is not None:
        return profile.named(TYPE_CODE)
    serial = profile.named(SERIAL)
    if serial is not None and serial.certainty != "C":
        return serial
    return profile.named(TOTAL)


class ScanJob:
    """A :class:`.driver.Job` that looks through units.

    :param profiles: what may be there, by the caller's keys, the likeliest first
    :raise ValueError: there is nothing to look for
    """

    kind = "scan"

    def __init__(
        self,
        key: int,
        units: Sequence[int],
        profiles: Mapping[int, Profile],
        timeout: float = TIMEOUT,
    ):
        self.key = key
        self.units = list(units)
        self.profiles = {key: profile for key, profile in profiles.items() if identifying(profile)}
        if not self.units or not all(1 <= unit <= 247 for unit in self.units):
            raise ValueError("the units to be scanned lie within 1..247")
        if not self.profiles:
            raise ValueError("no profile to look for: choose some that have a total")
        self.timeout = timeout
        self.found: list[Unit] = []
        self._done = 0
        self._asking = self._scan()
        self._next = next(self._asking)

    def progress(self) -> dict:
        return self._result() if self._done else {}

    async def step(self, driver: ModbusDriver) -> JobResult | None:
        answer = await self._exchange(driver.client, *self._next)
        try:
            self._next = self._asking.send(answer)
        except StopIteration:
            answered = ", ".join(str(unit.unit) for unit in self.found)
            return JobResult("confirmed", self._result(), response=answered)
        return None

    def _result(self) -> dict:
        return {
            "done": self._done,
            "of": len(self.units),
            "units": [asdict(unit) for unit in self.found],
        }

    async def _exchange(
        self, client: GatewayClient, unit: int, profile: Profile, block: Block
    ) -> _Answer:
        try:
            with client.hurried(self.timeout):
                return _Answer(await client.read_block(unit, profile, block))
        except NoAnswer:
            return _Answer(silent=True)
        except WrongAnswer:
            return _Answer(garbled=True)
        except ModbusException as error:
            return _Answer(silent=error.code in ModbusException.TARGET_SILENT)

    def _scan(self) -> _Asking:
        for unit in self.units:
            yield from self._look_at(unit)
            self._done += 1

    def _look_at(self, unit: int) -> _Asking:
        found = Unit(unit)
        garbled = answered = 0
        silent_to: set[int] = set()
        best = 0
        for key, profile in self.profiles.items():
            register = identifying(profile)
            # Some devices leave a function unanswered that they do not know.
            if register.function in silent_to and not answered:
                continue
            answer = yield self._ask(unit, profile, register)
            if answer.silent:
                silent_to.add(register.function)
                continue
            answered += 1
            garbled += answer.garbled
            sure = self._sureness(profile, register, answer)
            if sure > best:
                best, found.profile, found.told_by, found.also = sure, key, register.meaning, []
            elif sure and sure == best:
                found.also.append(key)
        if not answered:
            return
        self.found.append(found)
        if found.profile is None:
            if garbled:
                found.doubled = "what comes back is no answer"
            return
        yield from self._get_to_know(found, self.profiles[found.profile], garbled)

    @staticmethod
    def _ask(unit: int, profile: Profile, register: Register) -> tuple[int, Profile, Block]:
        (block,) = profile.blocks([register])
        return unit, profile, block

    @staticmethod
    def _sureness(profile: Profile, register: Register, answer: _Answer) -> int:
        value = _value(register, answer)
        if register.meaning == TYPE_CODE:
            fits = value == profile.type_code
        elif register.meaning == SERIAL:
            fits = _serial(value) is not None
        else:
            fits = isinstance(value, Decimal) and 0 <= value < MOST_TOTAL
        return SURENESS[register.meaning] if fits else 0

    def _get_to_know(self, found: Unit, profile: Profile, garbled: int) -> _Asking:
        """Read what it is told apart by, several times, and its ratios."""
        serials, totals, silent = [], [], 0
        for _look in range(LOOKS):
            for meaning, seen in ((SERIAL, serials), (TOTAL, totals)):
                register = profile.named(meaning)
                if register is None:
                    continue
                answer = yield self._ask(found.unit, profile, register)
                garbled += answer.garbled
                silent += answer.silent
                value = _value(register, answer)
                if value is not None:
                    seen.append(value)
        found.serial = _serial(serials[0]) if serials else None
        found.total = f"{totals[0]:f}" if totals else None
        for meaning, name in (("ct_ratio", "ct"), ("pt_ratio", "pt")):
            register = profile.named(meaning)
            if register is not None:
                answer = yield self._ask(found.unit, profile, register)
                value = _value(register, answer)
                setattr(found, name, None if value is None else f"{value:f}")
        found.doubled = _doubled(serials, totals, garbled, silent)


def _value(register: Register, answer: _Answer) -> Value:
    if not answer.has_words:
        return None
    try:
        return decode(answer.words, register.encoding)
    except CodecError:
        return None


def _serial(value: Value) -> str | None:
    """A serial number as text; None where it is none. Registers that a device does not use are
    zero, and read as digits they are no number that a plate has."""
    text = str(value or "").strip()
    return text if text.strip("0") and text.isprintable() else None


def _doubled(serials: list, totals: list, garbled: int, silent: int) -> str:
    """Why two meters seem to have one number, "" where one behaves like one."""
    if len(set(serials)) > 1:
        return f"answers with several serial numbers: {', '.join(map(str, dict.fromkeys(serials)))}"
    if totals != sorted(totals):
        return f"its register goes back: {', '.join(f'{total:f}' for total in totals)}"
    if totals and max(totals) - min(totals) > MOST_BETWEEN_LOOKS:
        return f"its register jumps: {', '.join(f'{total:f}' for total in totals)}"
    if garbled:
        return f"{garbled} of its answers were no answers"
    if silent:
        return f"{silent} of its answers did not come"
    return ""
