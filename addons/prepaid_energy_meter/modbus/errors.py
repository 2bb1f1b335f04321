"""What can go wrong between this program and a meter."""

from typing import ClassVar


class FieldError(Exception):
    """Base of every documented failure of this package."""


class CodecError(FieldError):
    """Registers do not hold a value of the declared type."""


class ProfileError(FieldError):
    """A profile contradicts itself; ``problems`` holds every fault as a sentence."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("; ".join(problems))


class Refused(FieldError):
    """Not sent: the profile, the allow-list or the lease does not permit it."""


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
