"""What can go wrong between this program and a meter."""

from typing import ClassVar


class FieldError(Exception):
    """Base of every documented failure of this package."""

    @property
    def noted(self) -> str:
        """As it is kept, where whoever shows it may say it in another language."""
        return str(self)


class CodecError(FieldError):
    """Registers do not hold a value of the declared type."""


class ProfileError(FieldError):
    """A profile contradicts itself; ``problems`` holds every fault as a sentence."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("; ".join(problems))


class Refused(FieldError):
    """Not sent: the profile, the allow-list or the lease does not permit it."""


class NotAllowed(Refused):
    """Not connected to: the administrator has not allowed this address or device.

    ``code``: why, of REASONS; ``what``: what is refused.
    """

    REASONS: ClassVar = {
        "no_device": "is no device's address",
        "server": "is this very server; the administrator would have to list it by itself",
        "metadata": "is the cloud's metadata service; the administrator would have to list it by "
        "itself",
        "link_local": "is link-local; the administrator would have to list it by itself",
        "interface": "is one of this server's own addresses; the administrator would have to list "
        "it by itself",
        "not_listed": "is not among the addresses that the administrator allowed",
        "nowhere": "has no address",
        "device": "is not among the serial devices that the administrator allowed",
    }
    _MARK = "refused"

    def __init__(self, code: str, what: str):
        self.code = code
        self.what = what
        super().__init__(f"{what} {self.REASONS[code]}")

    @property
    def noted(self) -> str:
        return f"{self._MARK} {self.code} {self.what}"

    @classmethod
    def read(cls, note: str) -> "NotAllowed | None":
        """The refusal that was noted so; None where it is another error's note."""
        mark, _blank, rest = note.partition(" ")
        code, _blank, what = rest.partition(" ")
        return cls(code, what) if mark == cls._MARK and code in cls.REASONS else None


class NotHolder(Refused):
    """Not sent: this process does not (or no longer surely) hold the gateway."""


class Unreachable(FieldError):
    """No connection to the gateway could be made."""


class NoAnswer(FieldError):
    """The request was sent and nothing usable came back in time; it may have had effect."""


class WrongAnswer(FieldError):
    """Bytes came back that are not the answer to the request; it may have had effect."""


class ModbusException(FieldError):
    """The device or its gateway answered with an exception code."""

    MEANINGS: ClassVar = {
        1: "illegal function",
        2: "illegal address",
        3: "illegal value",
        4: "device failure",
        5: "acknowledged, still working",
        6: "busy",
        10: "gateway path unavailable",
        11: "target did not answer the gateway",
    }
    NOT_POSSIBLE = frozenset({1, 2, 3})
    BUSY = frozenset({5, 6})
    TARGET_SILENT = frozenset({10, 11})

    def __init__(self, code: int):
        self.code = code
        super().__init__(f"exception {code:02X}: {self.MEANINGS.get(code, 'unknown code')}")


class Encrypted(ModbusException):
    """The device refuses because its encryption is on."""

    TEXT = "encryption is on: the meter answers no more until that is turned off at the meter"

    def __init__(self, code: int):
        super().__init__(code)
        self.args = (self.TEXT,)
