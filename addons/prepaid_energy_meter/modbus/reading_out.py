"""Everything that a profile knows of one unit, read one block an exchange."""

import struct
from collections.abc import Iterable
from datetime import datetime

from .client import GatewayClient
from .codec import Value, decode
from .driver import JobResult
from .errors import CodecError, ModbusException, NoAnswer, WrongAnswer
from .planning import Block
from .profile import Profile, Register


class ReadOut:
    """Reads registers of a unit whatever single ones of them answer.

    ``rows``: what is known of each register so far: meaning, function, address, raw
    (hexadecimal), value (text, None: none), unit, certainty, error.
    """

    def __init__(self, unit: int, profile: Profile, registers: Iterable[Register] | None = None):
        self.unit = unit
        self.profile = profile
        self.registers = tuple(profile.registers if registers is None else registers)
        self._left: list[Block] = list(profile.blocks(self.registers))
        self.rows: list[dict[str, object]] = []
        self.sent: list[str] = []
        self.received: list[str] = []

    @property
    def is_done(self) -> bool:
        return not self._left

    async def step(self, client: GatewayClient) -> None:
        """Read the next block.

        :raise NoAnswer, WrongAnswer: nothing has answered so far
        :raise Unreachable, Refused: as the client says
        """
        block = self._left.pop(0)
        inside = [register for register in self.registers if block.holds(register)]
        try:
            words, exchange = await client.read_exchange(self.unit, self.profile, block)
        except (NoAnswer, WrongAnswer) as error:
            if not self.received:
                raise
            self.rows += [_row(register, error=str(error)) for register in inside]
            return
        except ModbusException as error:
            self.received.append(str(error))
            if len(inside) > 1:
                # One register that the device lacks must not hide the others.
                self._left[:0] = [b for r in inside for b in self.profile.blocks([r])]
            else:
                self.rows += [_row(register, error=str(error)) for register in inside]
            return
        self.sent.append(exchange.request)
        self.received.append(exchange.response)
        for register in inside:
            start = register.address - block.address
            part = words[start : start + register.words]
            raw = struct.pack(f">{len(part)}H", *part).hex(" ", 2)
            try:
                self.rows.append(
                    _row(register, raw, text_of(register, decode(part, register.encoding)))
                )
            except CodecError as error:
                self.rows.append(_row(register, raw, error=str(error)))

    def value(self, meaning: str) -> str | None:
        """The value as text, None where there is none."""
        return next((row["value"] for row in self.rows if row["meaning"] == meaning), None)


class ProbeJob:
    """A :class:`.driver.Job` that reads a unit out."""

    kind = "probe"

    def __init__(self, key: int, unit: int, profile: Profile):
        self.key = key
        self._out = ReadOut(unit, profile)

    async def step(self, driver) -> JobResult | None:
        await self._out.step(driver.client)
        if not self._out.is_done:
            return None
        out = self._out
        return JobResult(
            "confirmed",
            {"unit": out.unit, "profile": out.profile.code, "registers": out.rows},
            request="\n".join(out.sent),
            response="\n".join(out.received),
        )

    def progress(self) -> dict:
        return {}


def text_of(register: Register, value: Value) -> str | None:
    """A decoded value as JSON and people can hold it."""
    if value is None:
        return None
    if isinstance(value, bytes):
        if register.meaning == "clock" and len(value) == 7:
            try:
                return datetime(2000 + value[0], *value[1:3], *value[4:7]).isoformat(" ")
            except ValueError as error:
                raise CodecError(f"no date and time: {value.hex(' ')}") from error
        return value.hex(" ")
    return str(value)


def _row(register: Register, raw: str = "", value: str | None = None, error: str = "") -> dict:
    return {
        "meaning": register.meaning,
        "function": register.function,
        "address": register.address,
        "raw": raw,
        "value": value,
        "unit": register.unit,
        "certainty": register.certainty,
        "error": error,
    }
