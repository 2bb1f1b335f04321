"""Counts of how readings went, by kind of failure, and how long answers took."""

from dataclasses import dataclass, fields

from .errors import CodecError, FieldError, ModbusException, NoAnswer, Refused, Unreachable


@dataclass(slots=True)
class Tally:
    """Readings that came and those that did not, since somebody last asked.

    - ``good``: whole readings;
    - ``timeouts``: no answer in time, or the connection broke;
    - ``target_silent``: the gateway says that the meter does not answer it;
    - ``busy``: the device asks for patience; ``refused``: any other exception code;
    - ``wrong``: bytes that are no answer to the request;
    - ``unreadable``: an answer whose registers hold no value of the profile's type;
    - ``unreachable``: no connection to the gateway, or its address is not allowed;
    - ``wrong_meter``: another serial number than the plate's.

    ``latency``: milliseconds from request to answer, summed over the good readings;
    ``longest``: the longest of them.
    """

    good: int = 0
    timeouts: int = 0
    target_silent: int = 0
    busy: int = 0
    refused: int = 0
    wrong: int = 0
    unreadable: int = 0
    unreachable: int = 0
    wrong_meter: int = 0
    latency: float = 0.0
    longest: float = 0.0

    def came(self, latency: float) -> None:
        """Count a reading; ``latency`` in milliseconds."""
        self.good += 1
        self.latency += latency
        if latency > self.longest:
            self.longest = latency

    def failed(self, error: FieldError) -> None:
        """Count a failure by its kind."""
        if isinstance(error, Unreachable | Refused):
            self.unreachable += 1
        elif isinstance(error, NoAnswer):
            self.timeouts += 1
        elif isinstance(error, CodecError):
            self.unreadable += 1
        elif not isinstance(error, ModbusException):
            self.wrong += 1
        elif error.code in ModbusException.BUSY:
            self.busy += 1
        elif error.code in ModbusException.TARGET_SILENT:
            self.target_silent += 1
        else:
            self.refused += 1

    def add(self, other: "Tally") -> None:
        """Take in what another one counted."""
        longest = max(self.longest, other.longest)
        for name in NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest = longest


NAMES = tuple(field.name for field in fields(Tally))
