"""Set a meter's clock: compare the meter, write, read back."""

import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from .client import GatewayClient
from .codec import Value, decode
from .device import ModbusDriver
from .driver import FieldMeter, JobResult, OrderHooks
from .errors import CodecError, ModbusException, NotHolder, Refused, Unreachable, WrongAnswer
from .identity import clock_of, same_serial
from .profile import ClockWrite, Register

#: What may lie between the written moment and the one read back.
TOLERANCE = timedelta(seconds=10)


def bytes_of(moment: datetime, monday: int) -> bytes:
    """A wall clock as year of the century, month, day, weekday, hour, minute, second."""
    # Counted from 0 or from 1; Monday is any of them.
    lowest = 0 if monday == 0 else 1
    weekday = (moment.weekday() + monday - lowest) % 7 + lowest
    return bytes(
        (
            moment.year % 100,
            moment.month,
            moment.day,
            weekday,
            moment.hour,
            moment.minute,
            moment.second,
        )
    )


class ClockJob:
    """A :class:`.driver.Job`.

    :param now: the wall clock that the meter is to show (naive, local)
    :param meter: whose clock
    :raise ValueError: the profile does not know how, with the reason
    """

    kind = "clock"

    def __init__(self, key: int, meter: FieldMeter, hooks: OrderHooks, now: Callable[[], datetime]):
        if why := why_not(meter):
            raise ValueError(why)
        self.key = key
        self.meter = meter.key
        self._meter = meter
        self._hooks = hooks
        self._now = now
        self._phase = self._compare
        self._before: datetime | None = None
        self._written: datetime | None = None
        self._request = self._response = ""

    def progress(self) -> dict:
        return {}

    async def step(self, driver: ModbusDriver) -> JobResult | None:
        try:
            return await self._phase(driver.client)
        except (NotHolder, Unreachable):
            raise
        except Refused as error:
            return self._end("failed", str(error))
        except ModbusException as error:
            passing = error.code in ModbusException.BUSY | ModbusException.TARGET_SILENT
            return self._end("untouched" if passing else "failed", str(error))
        except (CodecError, WrongAnswer) as error:
            return self._end("untouched", str(error))

    async def _compare(self, client: GatewayClient) -> JobResult | None:
        serial = self._meter.profile.named("serial")
        if serial is not None and (serial.certainty != "C" or self._meter.serial_known):
            found = str(await self._read(client, serial) or "")
            if not same_serial(found, self._meter.name):
                return self._end(
                    "failed", f"serial number {found} answers, expected {self._meter.name}"
                )
        self._phase = self._look_before
        return None

    async def _look_before(self, client: GatewayClient) -> JobResult | None:
        self._before = await self._clock(client)
        self._phase = self._write
        return None

    async def _write(self, client: GatewayClient) -> JobResult | None:
        write: ClockWrite = self._meter.profile.clock_write
        moment = self._now().replace(microsecond=0)
        data = bytes_of(moment, write.monday).ljust(2 * write.words, b"\0")
        words = struct.unpack(f">{write.words}H", data)
        unit = self._meter.unit
        self._request = client.frame_of_write(unit, write.function, write.address, words)
        if why := await self._hooks.may_write(self, self._request):
            return self._end("failed", why)
        exchange = await client.write_registers(
            unit, self._meter.profile, write.function, write.address, words
        )
        self._request, self._response = exchange.request, exchange.response
        self._written = moment
        self._phase = self._look_after
        return None

    async def _look_after(self, client: GatewayClient) -> JobResult | None:
        after = await self._clock(client)
        result = {
            "before": self._before.isoformat(" "),
            "written": self._written.isoformat(" "),
            "after": after.isoformat(" "),
        }
        if abs(after - self._written) > TOLERANCE:
            return self._end("failed", f"after the write the clock shows {after}", result)
        return self._end("confirmed", "", result)

    async def _clock(self, client: GatewayClient) -> datetime:
        return clock_of(await self._read(client, self._meter.profile.named("clock")))

    async def _read(self, client: GatewayClient, register: Register) -> Value:
        (block,) = self._meter.profile.blocks([register])
        words = await client.read_block(self._meter.unit, self._meter.profile, block)
        return decode(words, register.encoding)

    def _end(
        self,
        state: Literal["confirmed", "failed", "untouched"],
        error: str,
        result: dict[str, str] | None = None,
    ) -> JobResult:
        return JobResult(state, result or {}, self._request, self._response, error)


def why_not(meter: FieldMeter) -> str:
    """Why the meter's clock cannot be set; "" if it can."""
    write = meter.profile.clock_write
    if write is None:
        return f"how the clock of {meter.profile.name} is set is not known: it is only read"
    if not write.is_usable:
        return (
            f"nobody has confirmed on a device how the clock of {meter.profile.name} is set: "
            "nothing is written to it"
        )
    return ""
