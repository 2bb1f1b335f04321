"""What the flags of a meter say beside on and off: its own trips, and that something is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .codec import Value

#: Why a meter turned its supply off by itself. Money of its own: "own_prepaid", "arrears".
TRIPS = ("overload", "load_control", "over_voltage", "manual", "fault", "own_prepaid", "arrears")
#: What the meter reports of itself, on or off. "ready": its protection lets it be turned on again.
ALARMS = ("fault", "low_battery", "ready")


@dataclass(frozen=True)
class FlagRule:
    """``name`` holds where the flags under ``mask`` of a register equal ``value``.

    ``value`` None: where any of them is set.
    """

    name: str
    register: str
    mask: int
    value: int | None = None

    def holds(self, values: Mapping[str, Value]) -> bool:
        flags = values.get(self.register)
        if flags is None:
            return False
        flags = int(flags) & self.mask
        return bool(flags) if self.value is None else flags == self.value


def first_of(rules: Sequence[FlagRule], values: Mapping[str, Value]) -> str | None:
    """The name of the first rule that holds."""
    for rule in rules:
        if rule.holds(values):
            return rule.name
    return None


def all_of(rules: Sequence[FlagRule], values: Mapping[str, Value]) -> tuple[str, ...]:
    """The names of all rules that hold."""
    return tuple([rule.name for rule in rules if rule.holds(values)]) if rules else ()
