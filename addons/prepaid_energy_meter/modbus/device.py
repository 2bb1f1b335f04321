"""The Modbus driver: reading and switching one meter through its profile."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from .client import Exchange, GatewayClient
from .codec import Value, decode
from .driver import FieldMeter, OrderHooks, Outcome, Pending, Snapshot, SupplyOrder, SupplyState
from .errors import (
    CodecError,
    Encrypted,
    FieldError,
    ModbusException,
    NoAnswer,
    NotHolder,
    Refused,
    Unreachable,
    WrongAnswer,
)
from .identity import Identity, clock_of, multiplier_of, same_serial
from .monotonic import monotonic
from .planning import Block
from .profile import Register
from .recording import NO_FRAMES, recording

#: Looks in a row without an answer after which a written order is left for a later attempt,
#: so that a meter that died holds the others up for so many time-outs only.
MOST_SILENT_LOOKS = 2
#: Real seconds for which a reading shows which meter answers: nobody swaps one in less.
SEEN_SECONDS = 10.0


class _Compared(NamedTuple):
    """What a reading showed of who answers, when, and over which connection."""

    at: float
    connection: int
    total: Decimal
    serial: str | None


class ModbusDriver:
    """A driver (see :mod:`.driver`) over one gateway's connection.

    :param now: monotonic seconds; tests hand in their own
    """

    def __init__(self, client: GatewayClient, *, now: Callable[[], float] = monotonic):
        self.client = client
        self.now = now
        self._compared: dict[int, _Compared] = {}

    async def close(self) -> None:
        self.client.close()

    async def read(
        self,
        meter: FieldMeter,
        moment: Callable[[], datetime],
        let_by: Callable[[], Awaitable[None]] | None = None,
    ) -> Snapshot:
        """One reading: every polled register, in the profile's blocks.

        ``moment`` is asked once, when the block with the total has arrived.
        """
        profile = meter.profile
        plan = profile.reading_plan
        data: list[bytes] = []
        when: datetime | None = None
        now = self.now
        waited = came = 0.0
        for number, block in enumerate(plan.blocks):
            if number and let_by is not None:
                await let_by()
            asked = now()
            try:
                data.append(await self.client.read_bytes(meter.unit, profile, block))
            except ModbusException as error:
                raise await self._named(meter, error) from error
            came = now()
            waited += came - asked
            if number == plan.holds_total:
                when = moment()
        values = plan.values(data)
        total = values["total"]
        if total is None or when is None:
            raise CodecError("the device says that it has no total")
        serial = values.get("serial")
        self._compared[meter.key] = _Compared(came, self.client.connections, total, serial)
        flags = values.get("supply_state")
        return Snapshot(
            meter=meter.key,
            moment=when,
            total=total,
            bands=_without_tail([values.get(band) for band in plan.bands]),
            power=values["power"] if "power" in values else values.get("flow"),
            voltage=values.get("voltage"),
            current=values.get("current"),
            supply_state=_state(meter, flags),
            serial=serial,
            values={name: values[name] for name in plan.others},
            raw=plan.raw(data),
            multiplier=multiplier_of(profile, values),
            latency=1000 * waited / len(plan.blocks),
            trip=profile.trip_of(values),
            alarms=profile.alarms_of(values),
        )

    async def identify(
        self, meter: FieldMeter, so_far: Identity | None, moment: Callable[[], datetime]
    ) -> Identity:
        profile = meter.profile
        so_far = so_far or Identity(profile.daily_blocks)
        if so_far.is_done:
            return so_far
        block, *left = so_far.left
        asked = [register for register in profile.daily if block.holds(register)]
        values, errors = dict(so_far.values), dict(so_far.errors)
        silent, clock, seen_at = so_far.silent, so_far.clock, so_far.clock_seen_at
        try:
            words = await self.client.read_block(meter.unit, profile, block)
        except NotHolder:
            raise
        except FieldError as error:
            errors.update({register.meaning: str(error) for register in asked})
            silent = silent or not isinstance(error, ModbusException)
        else:
            now = moment()
            for register in asked:
                try:
                    value = _value(register, block, words)
                    if register.meaning == "clock" and value is not None:
                        clock, seen_at = clock_of(value), now
                    values[register.meaning] = value
                except CodecError as error:
                    errors[register.meaning] = str(error)
        return Identity(tuple(left), values, errors, silent, clock, seen_at)

    async def start(
        self, meter: FieldMeter, order: SupplyOrder, hooks: OrderHooks
    ) -> Outcome | Pending:
        with recording(self.client, NO_FRAMES) as recorder:
            result = await self._start(meter, order, hooks)
        return replace(result, frames=recorder.frames)

    async def look(
        self, meter: FieldMeter, pending: Pending, hooks: OrderHooks
    ) -> Outcome | Pending:
        with recording(self.client, pending.frames) as recorder:
            result = await self._look(meter, pending, hooks)
        return replace(result, frames=recorder.frames)

    async def _start(
        self, meter: FieldMeter, order: SupplyOrder, hooks: OrderHooks
    ) -> Outcome | Pending:
        control = meter.profile.control
        if control is None:
            return Outcome("failed", error=f"{meter.profile.name} has no relay or valve to switch")
        if not control.is_usable:
            return Outcome(
                "failed",
                error=f"nobody has confirmed on a device how {meter.profile.name} is switched: "
                "nothing is written to it",
            )
        try:
            words = control.words(order.wanted, meter.control_key)
        except ValueError as error:
            return Outcome("failed", error=str(error))
        try:
            await self._compare(meter, order)
            if order.maybe_sent or control.moves:
                seen = await self._supply_state(meter)
                if seen.state == order.wanted and order.maybe_sent:
                    return Outcome("confirmed", seen.state, response=seen.response, trip=seen.trip)
                if seen.state == "moving" and not order.waited:
                    # Nothing else is written to a valve on its way: whoever sent it is waited for.
                    await hooks.moving(order)
                    now = self.now()
                    return Pending(
                        order,
                        "",
                        seen.response,
                        look_at=now + control.poll,
                        give_up_at=now + control.settle,
                        told=True,
                    )
        except WrongMeter as error:
            return Outcome("failed", error=str(error))
        except ModbusException as error:
            passing = error.code in ModbusException.BUSY | ModbusException.TARGET_SILENT
            named = await self._named(meter, error)
            return Outcome("untouched" if passing else "failed", error=str(named))
        except FieldError as error:
            away = isinstance(error, Unreachable)
            return Outcome("untouched", error=str(error), gateway_away=away)
        request = self.client.frame_of_write(meter.unit, control.function, control.address, words)
        reason = await hooks.may_write(order, request)
        if reason:
            return Outcome("dropped", error=reason)
        response = refusal = ""
        is_final = False
        try:
            exchange = await self.client.write_registers(
                meter.unit,
                meter.profile,
                control.function,
                control.address,
                words,
                on_sent=lambda: hooks.reached("write_sent"),
            )
            response = exchange.response
        except ModbusException as error:
            # It may have switched all the same, as with silence: only the read-back knows.
            response = refusal = str(error)
            is_final = error.code in ModbusException.NOT_POSSIBLE
        except (NoAnswer, WrongAnswer) as error:
            response = refusal = str(error)
        except (NotHolder, Refused) as error:
            return Outcome("untouched", request=request, error=str(error))
        except FieldError as error:
            return Outcome("untouched", request=request, error=str(error))
        hooks.reached("before_read_back")
        now = self.now()
        return Pending(
            order,
            request,
            response,
            look_at=now,
            give_up_at=now + control.settle,
            refusal=refusal,
            is_final=is_final,
        )

    async def _look(
        self, meter: FieldMeter, pending: Pending, hooks: OrderHooks
    ) -> Outcome | Pending:
        control = meter.profile.control
        seen = _Seen(response=pending.response)
        error = ""
        silent = 0
        try:
            seen = await self._supply_state(meter)
        except FieldError as problem:
            error = str(problem)
            silent = pending.silent + 1
        state, response = seen.state, seen.response
        if state == pending.order.wanted:
            hooks.reached("after_read_back")
            return Outcome("confirmed", state, pending.request, response, trip=seen.trip)
        if not pending.request and not error and state != "moving":
            return Outcome(
                "untouched", state, response=response, error=f"it was moving, and is {state} now"
            )
        if state == "moving" and not pending.told:
            await hooks.moving(pending.order)
            pending = replace(pending, told=True)
        look_at = self.now() + control.poll
        if look_at <= pending.give_up_at and silent < MOST_SILENT_LOOKS:
            return replace(pending, response=response, look_at=look_at, silent=silent)
        ends = "unknown"
        if not error:
            hooks.reached("after_read_back")
            if pending.is_final:
                ends = "failed"
            error = f"after {control.settle:g} s the device shows {state}"
            if state == "moving":
                error += ": it stopped on the way, or is too slow"
            elif state != "unknown":
                error += ": it did not move"
            if state == "unknown":
                # Neither on nor off: some phases only, or a state that the map does not name.
                error += f" (answer {response[-5:]})"
            if seen.alarms:
                names = {"fault": "a fault", "low_battery": "a low battery"}
                told = [names[name] for name in seen.alarms if name in names]
                if told:
                    error += " and reports " + " and ".join(told)
            if seen.trip:
                error += f" (its own protection: {seen.trip})"
        if pending.refusal and pending.refusal != error:
            error = f"{pending.refusal}; {error}"
        return Outcome(ends, state, pending.request, response, error, trip=seen.trip)

    async def _compare(self, meter: FieldMeter, order: SupplyOrder) -> None:
        """Make sure that it is this meter that answers.

        A reading of a moment ago over the same connection has shown it already.

        :raise WrongMeter: another serial number, or a register that does not go on from the
            last one
        """
        profile = meter.profile
        serial = profile.named("serial")
        if serial is not None and serial.certainty == "C" and not meter.serial_known:
            # Nobody has seen this register on a device: no order hangs on it.
            serial = None
        value: Value = None
        seen = self._compared.get(meter.key)
        if (
            seen is not None
            and self.client.is_connected
            and seen.connection == self.client.connections
            and self.now() - seen.at <= SEEN_SECONDS
        ):
            value = seen.total if serial is None else seen.serial
        if value is None:
            value, _exchange = await self._one(meter, serial or profile.named("total"))
        if serial is not None:
            if not same_serial(str(value or ""), meter.name):
                raise WrongMeter(f"serial number {value} answers, expected {meter.name}")
        elif order.last_total is not None and (value is None or value < order.last_total):
            raise WrongMeter(
                f"its register {value} lies below the last one {order.last_total}: "
                "perhaps another meter answers"
            )
        elif order.most_total is not None and value > order.most_total:
            raise WrongMeter(
                f"its register {value} lies above the last one {order.last_total} by more than can "
                f"have passed since, up to {order.most_total:.3f}: perhaps another meter answers"
            )

    async def _supply_state(self, meter: FieldMeter) -> "_Seen":
        """Read the state back, with the flags that lie in the same block."""
        profile = meter.profile
        place = profile.named("supply_state")
        names = {rule.register for rule in profile.trips + profile.alarms}
        others = [profile.named(name) for name in names - {"supply_state"}]
        for block in profile.blocks([place, *others]):
            if block.holds(place):
                break
        words, exchange = await self.client.read_exchange(meter.unit, profile, block)
        values = {
            register.meaning: _value(register, block, words)
            for register in [place, *others]
            if block.holds(register)
        }
        flags = values["supply_state"]
        alarms = profile.alarms_of(values)
        if flags is not None and int(flags) & profile.control.fault_mask and "fault" not in alarms:
            alarms = ("fault", *alarms)
        return _Seen(
            _state(meter, flags) or "unknown", profile.trip_of(values), alarms, exchange.response
        )

    async def _named(self, meter: FieldMeter, error: ModbusException) -> ModbusException:
        """The reason of a refusal, where the device tells a better one."""
        register = meter.profile.named("encryption")
        if register is None or error.code in ModbusException.BUSY | ModbusException.TARGET_SILENT:
            return error
        try:
            value, _exchange = await self._one(meter, register)
        except NotHolder:
            raise
        except FieldError:
            # It does not tell: what it said first stands.
            return error
        return Encrypted(error.code) if value is True else error

    async def _one(self, meter: FieldMeter, register: Register) -> tuple[Value, Exchange]:
        (block,) = meter.profile.blocks([register])
        words, exchange = await self.client.read_exchange(meter.unit, meter.profile, block)
        return decode(words, register.encoding), exchange


@dataclass(frozen=True)
class _Seen:
    """What a read-back shows."""

    state: SupplyState = "unknown"
    trip: str | None = None
    alarms: tuple[str, ...] = ()
    response: str = ""


class WrongMeter(FieldError):
    """Another device answers at the meter's address."""


def _value(register: Register, block: Block, words: Sequence[int]) -> Value:
    """The value of a register that lies in a block that was read."""
    start = register.address - block.address
    return decode(words[start : start + register.words], register.encoding)


def _state(meter: FieldMeter, flags: Value) -> SupplyState | None:
    control = meter.profile.control
    if control is None or flags is None:
        return None
    return control.state_of(int(flags))  # type: ignore[return-value]


def _without_tail(bands: list[Value]) -> tuple[Decimal | None, ...]:
    while bands and bands[-1] is None:
        bands.pop()
    return tuple(bands)
