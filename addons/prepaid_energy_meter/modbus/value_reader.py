"""Values of a dictionary that came from outside: taken where they are right, noted where not."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

#: Digits before or after the point, beyond which a factor is a slip of the pen.
MOST_DIGITS = 18


class ValueReader:
    """Reads values of rows, and notes each that is wrong with its place instead of giving up.

    What it returns for a wrong value is only good for reading on.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

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
            if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
                raise InvalidOperation
        except (InvalidOperation, TypeError, ValueError):
            self.problems.append(f"{place}: {name} must be a number in quotes, not {value!r}")
            return default
        return number

    def _yes_or_no(self, row: Mapping[str, Any], name: str, place: str, default: bool) -> bool:
        value = row.get(name, default)
        if not isinstance(value, bool):
            self.problems.append(f"{place}: {name} must be true or false")
            return default
        return value

    def _note(self, row: Mapping[str, Any], name: str, place: str) -> str:
        value = row.get(name) or ""
        if not isinstance(value, str):
            self.problems.append(f"{place}: {name} must be a text, not {value!r}")
            return ""
        return value.strip()

    def _list(self, row: Mapping[str, Any], name: str, place: str) -> Sequence[Any]:
        value = row.get(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            self.problems.append(f"{place}: {name} must be a list, not {value!r}")
            return ()
        return value

    def _rows(self, row: Mapping[str, Any], name: str, place: str) -> list[Mapping[str, Any]]:
        return [
            self._row(value, f"{place}: {name} {number}")
            for number, value in enumerate(self._list(row, name, place), start=1)
        ]

    def _row(self, value: Any, place: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            self.problems.append(f"{place} must be an object with names and values")
            return {}
        return value

    def _unknown(self, row: Mapping[str, Any], known: set[str], place: str) -> None:
        for name in sorted(set(row) - known):
            self.problems.append(f"{place}: unknown key {name!r}")
