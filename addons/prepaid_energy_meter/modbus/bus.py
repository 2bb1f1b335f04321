"""One gateway's worker: what is done next, and what a failure means.

One thing at a time. Orders go before read-backs, these before readings that somebody waits
for. Jobs and due readings take turns, one exchange of a job to one reading. A meter that does
not answer waits longer and longer; while it waits it costs the others nothing.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from .driver import (
    Driver,
    FieldMeter,
    Job,
    JobResult,
    OrderHooks,
    Outcome,
    Pending,
    Snapshot,
    SupplyOrder,
)
from .errors import (
    CodecError,
    FieldError,
    ModbusException,
    NoAnswer,
    NotHolder,
    Refused,
    Unreachable,
    WrongAnswer,
)
from .identity import AGAIN, EVERY, Identity, is_due, multiplier_of, same_serial
from .monotonic import monotonic
from .tally import Tally

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Seconds and counts of the back-off.

    ``offline_after``: misses in a row that make a meter or a gateway offline. The wait
    after the first miss is ``first_wait``, then doubles up to ``longest_wait``; a gateway's
    wait is spread by up to a fifth so that many do not return at once.
    """

    offline_after: int = 3
    first_wait: float = 5.0
    longest_wait: float = 600.0
    gateway_first_wait: float = 1.0
    gateway_longest_wait: float = 60.0
    busy_wait: float = 1.0

    def meter_wait(self, misses: int) -> float:
        return min(self.first_wait * 2 ** min(misses - 1, 20), self.longest_wait)

    def gateway_wait(self, misses: int) -> float:
        wait = min(self.gateway_first_wait * 2 ** min(misses - 1, 20), self.gateway_longest_wait)
        return wait * random.uniform(0.8, 1.0)


@dataclass
class Health:
    """How a meter or a gateway answers. ``online`` is None until something is known."""

    online: bool | None = None
    misses: int = 0
    wait_until: float = 0.0
    error: str = ""
    good: int = 0
    bad: int = 0


@dataclass(frozen=True)
class Events:
    """What the bus tells its owner, within its own loop; none of them may block.

    - ``snapshot(Snapshot)``: a reading;
    - ``missed(FieldMeter, Health)``: a reading failed (a meter goes offline, or is at fault);
    - ``finished(SupplyOrder, Outcome)``: an order ended;
    - ``gateway(Health)``: the gateway itself was reached, or not;
    - ``job(Job, JobResult)``: a job ended.
    """

    snapshot: Callable[[Snapshot], None]
    missed: Callable[[FieldMeter, Health], None]
    finished: Callable[[SupplyOrder, Outcome], None]
    gateway: Callable[[Health], None]
    job: Callable[[Job, JobResult], None] = lambda job, result: None


@dataclass
class _Device:
    meter: FieldMeter
    health: Health = field(default_factory=Health)
    identified_at: datetime | None = None
    multiplier: Decimal | None = None
    retried: int = 0
    told: tuple[object, ...] = ()


class Bus:
    """The worker of one gateway. All methods belong to one event loop.

    :param moment: the caller's clock for readings (naive UTC)
    :param name: the gateway's, for the log: one line says what happened when it begins, one when
        it is over
    :param retries: how often a reading is asked for again before it counts as missed
    :param now: monotonic seconds; tests hand in their own
    """

    def __init__(
        self,
        driver: Driver,
        events: Events,
        hooks: OrderHooks,
        moment: Callable[[], datetime],
        *,
        limits: Limits | None = None,
        name: str = "",
        retries: int = 0,
        now: Callable[[], float] = monotonic,
    ):
        self.name = name
        self.retries = retries
        self.driver = driver
        self.events = events
        self.hooks = hooks
        self.moment = moment
        self.limits = limits or Limits()
        self.now = now
        self.health = Health()
        self._devices: dict[int, _Device] = {}
        self._orders: dict[int, SupplyOrder] = {}
        self._pending: dict[int, Pending] = {}
        self._urgent: dict[int, None] = {}
        self._due: dict[int, None] = {}
        self._jobs: dict[int, Job] = {}
        self._is_jobs_turn = True
        self._silent: set[int] = set()
        self._interrupted: set[int] = set()
        self._tallies: dict[int, Tally] = {}
        self._asking: dict[int, tuple[Snapshot, Identity | None]] = {}
        self._wake = asyncio.Event()

    def set_meters(self, meters: Iterable[FieldMeter]) -> None:
        """Replace the meters of the bus; those that stay keep their health."""
        new = {}
        for meter in meters:
            old = self._devices.get(meter.key)
            if old is not None and (old.meter.unit, old.meter.profile.code) == (
                meter.unit,
                meter.profile.code,
            ):
                new[meter.key] = _Device(meter, old.health, told=old.told)
            else:
                new[meter.key] = _Device(meter)
            new[meter.key].identified_at = meter.identified_at
            new[meter.key].multiplier = meter.multiplier
        self._devices = new
        for waiting in (self._urgent, self._due):
            for key in [key for key in waiting if key not in new]:
                del waiting[key]

    def health_of(self, key: int) -> Health:
        """:raise KeyError: no such meter on this bus"""
        return self._devices[key].health

    def take_tallies(self) -> dict[int, Tally]:
        """How the readings of each meter went since this was last asked."""
        tallies, self._tallies = self._tallies, {}
        return tallies

    def _tally(self, key: int) -> Tally:
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        return tally

    def ask_read(self, key: int, urgent: bool = False) -> None:
        """Have a meter read: when its turn comes and, unless urgent, it is not waiting out a
        failure. Asking twice before that is asking once."""
        if key in self._devices:
            (self._urgent if urgent else self._due)[key] = None
            self._wake.set()

    def ask_reads_first(self, keys: Iterable[int]) -> None:
        """Have meters read in this order, before those that wait from earlier on: what is read at
        midnight ends a day."""
        self._due = {key: None for key in keys if key in self._devices} | self._due
        self._wake.set()

    def give_order(self, order: SupplyOrder) -> None:
        """Have an order carried out next. ``events.finished`` is called exactly once for it."""
        self._orders[order.key] = order
        self._wake.set()

    def give_job(self, job: Job) -> None:
        """Have a job done beside the readings. ``events.job`` is called once for it, unless it
        is dropped before. Jobs take turns; the same key twice is the same job."""
        self._jobs.setdefault(job.key, job)
        self._wake.set()

    def drop_job(self, key: int) -> None:
        """Forget a job that nobody wants any more."""
        self._jobs.pop(key, None)

    @property
    def is_idle(self) -> bool:
        """Nothing to do now or later, but for what waits out a failure."""
        waits = self.health.misses or (
            not self._jobs and all(self._devices[key].health.misses for key in self._due)
        )
        return bool(waits) and not (self._orders or self._pending or self._urgent or self._asking)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._wake.clear()
                if await self.work():
                    continue
                wait = self.seconds_to_next()
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            await self.driver.close()

    async def work(self) -> bool:
        """Do the one next thing. :return: False when there is nothing to do now"""
        now = self.now()
        if self._orders:
            await self._start(self._next_order())
            return True
        for pending in self._pending.values():
            if pending.look_at <= now:
                await self._look(pending)
                return True
        if self._asking:
            await self._identify(next(iter(self._asking)))
            return True
        if self._urgent:
            key = next(iter(self._urgent))
            del self._urgent[key]
            self._due.pop(key, None)
            await self._read(self._devices[key], self._urgent)
            return True
        if self.health.wait_until > now:
            return False
        for key in self._due:
            if self._devices[key].health.wait_until <= now:
                break
        else:
            key = None
        if self._jobs and (key is None or self._is_jobs_turn):
            self._is_jobs_turn = False
            await self._step(next(iter(self._jobs.values())))
            return True
        if key is not None:
            self._is_jobs_turn = True
            del self._due[key]
            await self._read(self._devices[key], self._due)
            return True
        return False

    def seconds_to_next(self) -> float | None:
        """Seconds until something can be done without being asked; None = never."""
        moments = [pending.look_at for pending in self._pending.values()]
        if self._due:
            first = min(self._devices[key].health.wait_until for key in self._due)
            moments.append(max(first, self.health.wait_until))
        if self._jobs:
            moments.append(self.health.wait_until)
        return max(min(moments) - self.now(), 0) if moments else None

    async def _read(self, device: _Device, queue: dict[int, None]) -> None:
        meter, health = device.meter, device.health
        try:
            self._interrupted.clear()
            snapshot = await self.driver.read(meter, self.moment, self._let_orders_by)
        except NotHolder:
            # The lease is over, and with it this worker.
            raise
        except FieldError as error:
            self._tally(meter.key).failed(error)
            self._log_trouble(device, error)
            is_lost = isinstance(error, NoAnswer | WrongAnswer)
            if is_lost and not health.misses and device.retried < self.retries:
                # At the end of its queue: the others and every order go first.
                device.retried += 1
                self.health.bad += 1
                health.bad += 1
                queue[meter.key] = None
                return
            device.retried = 0
            self._failed(device, error)
            return
        device.retried = 0
        if device.told:
            device.told = ()
            _logger.info("Gateway %s, meter %s: answers again", self.name, meter.name)
        self._gateway_answered()
        if health.online is False:
            # Whoever was away may come back as another one.
            device.identified_at = None
        if meter.key in self._interrupted:
            # It was switched meanwhile: which state the reading shows is not known.
            snapshot = replace(snapshot, supply_state=None)
        health.good += 1
        health.online, health.misses, health.wait_until, health.error = True, 0, 0.0, ""
        if meter.profile.daily and is_due(device.identified_at, self.moment()):
            # Nobody hears of the reading before it is known whose it is.
            self._asking[meter.key] = (snapshot, None)
        else:
            self._tally(meter.key).came(snapshot.latency)
            self._tell(device, snapshot)

    async def _identify(self, key: int) -> None:
        """Ask a meter the next part of who it is; with the last one its reading goes out."""
        snapshot, so_far = self._asking.pop(key)
        device = self._devices.get(key)
        if device is None:
            return
        meter = device.meter
        identity = await self.driver.identify(meter, so_far, self.moment)
        if not identity.is_done:
            self._asking[key] = (snapshot, identity)
            return
        now = self.moment()
        device.identified_at = now - EVERY + AGAIN if identity.silent else now
        device.multiplier = multiplier_of(meter.profile, identity.values) or device.multiplier
        is_other = identity.serial is not None and not same_serial(identity.serial, meter.name)
        if is_other:
            self._tally(key).wrong_meter += 1
        else:
            self._tally(key).came(snapshot.latency)
        if identity.serial is not None and not is_other:
            device.meter = replace(meter, serial_known=True)
        self._tell(device, replace(snapshot, identity=identity))

    def _tell(self, device: _Device, snapshot: Snapshot) -> None:
        if snapshot.multiplier is None and device.multiplier is not None:
            snapshot = replace(snapshot, multiplier=device.multiplier)
        self.events.snapshot(snapshot)

    def _log_trouble(self, device: _Device, error: FieldError) -> None:
        """Log what is wrong with a meter once, until it changes or is over."""
        if isinstance(error, Unreachable | Refused):
            # The gateway's, told once for all behind it.
            return
        kind = type(error), getattr(error, "code", None)
        if device.told != kind:
            device.told = kind
            _logger.info("Gateway %s, meter %s: %s", self.name, device.meter.name, error)

    def _failed(self, device: _Device, error: FieldError) -> None:
        """Sort a failed reading: the gateway's fault, the meter's, or the profile's."""
        meter, health = device.meter, device.health
        health.error = str(error)
        if isinstance(error, Unreachable | Refused):
            # Not the meter's fault: it is neither counted nor put off.
            self._gateway_missed(error)
            self._due[meter.key] = None
            return
        health.bad += 1
        code = error.code if isinstance(error, ModbusException) else None
        if code is not None or isinstance(error, CodecError):
            self._gateway_answered()
        else:
            self._gateway_silent(meter, error)
        if code in ModbusException.BUSY:
            health.wait_until = self.now() + self.limits.busy_wait
            self._due[meter.key] = None
        elif isinstance(error, CodecError) or (
            code is not None and code not in ModbusException.TARGET_SILENT
        ):
            # It answers, only not to this map: somebody has to look at the profile.
            device.identified_at = None
            health.online = True
            health.misses = 0
            health.wait_until = self.now() + self.limits.meter_wait(1)
        else:
            health.misses += 1
            health.wait_until = self.now() + self.limits.meter_wait(health.misses)
            if health.misses >= self.limits.offline_after:
                health.online = False
            self._due[meter.key] = None
        self.events.missed(meter, health)

    def _gateway_silent(self, meter: FieldMeter, error: FieldError) -> None:
        """A meter did not answer: when none does any more, it is the gateway."""
        self.health.bad += 1
        self._silent.add(meter.key)
        enough = min(self.limits.offline_after, len(self._devices))
        if len(self._silent) >= enough > 1 and self.health.online is not False:
            self.health.online = False
            self.health.error = f"no meter answers any more; the last one: {error}"
            _logger.info("Gateway %s: %s", self.name, self.health.error)
            self.events.gateway(self.health)

    def _gateway_answered(self) -> None:
        self.health.good += 1
        self._silent.clear()
        changed = self.health.online is not True or self.health.misses
        if changed:
            _logger.info("Gateway %s answers", self.name)
        if self.health.online is False:
            # Behind a gateway that was away there may be other meters now.
            for device in self._devices.values():
                device.identified_at = None
        self.health.online, self.health.misses, self.health.error = True, 0, ""
        self.health.wait_until = 0.0
        if changed:
            self.events.gateway(self.health)

    def _gateway_missed(self, error: FieldError) -> None:
        health = self.health
        health.bad += 1
        health.misses += 1
        if health.misses == 1:
            _logger.info("Gateway %s: %s", self.name, error)
        health.error = error.noted
        health.wait_until = self.now() + self.limits.gateway_wait(health.misses)
        if health.misses >= self.limits.offline_after:
            health.online = False
        self.events.gateway(health)

    def _next_order(self) -> SupplyOrder:
        return self._orders.pop(next(iter(self._orders)))

    async def _let_orders_by(self) -> None:
        """Between two blocks of a reading: an order waits for one of them at most."""
        while self._orders:
            order = self._next_order()
            self._interrupted.add(order.meter)
            await self._start(order)

    async def _start(self, order: SupplyOrder) -> None:
        device = self._devices.get(order.meter)
        if device is None:
            self.events.finished(order, Outcome("untouched", error="the meter left this gateway"))
            return
        result = await self.driver.start(device.meter, order, self.hooks)
        if isinstance(result, Outcome) and result.gateway_away:
            # Readings find out when it is back, and what waits for it goes on then.
            self._due[order.meter] = None
        self._settle(order, result)

    async def _look(self, pending: Pending) -> None:
        device = self._devices.get(pending.order.meter)
        if device is None:
            outcome = Outcome(
                "unknown",
                request=pending.request,
                response=pending.response,
                error="the meter left this gateway before its read-back",
            )
        else:
            outcome = await self.driver.look(device.meter, pending, self.hooks)
        self._settle(pending.order, outcome)

    async def _step(self, job: Job) -> None:
        result: JobResult | None
        try:
            result = await job.step(self.driver)
        except NotHolder:
            raise
        except FieldError as error:
            if isinstance(error, Unreachable | Refused):
                self._gateway_missed(error)
            result = JobResult("untouched", error=str(error))
        except Exception as error:
            # The readings of this bus must not end with a faulty job.
            _logger.exception("Order %s, %s: the job ended", job.key, job.kind)
            result = JobResult("failed", error=f"{type(error).__name__}: {error}")
        # Dropped meanwhile: nobody waits for it.
        if self._jobs.pop(job.key, None) is None:
            return
        if result is None:
            # Other jobs are next.
            self._jobs[job.key] = job
            return
        if result.response:
            self._gateway_answered()
        self.events.job(job, result)

    def _settle(self, order: SupplyOrder, result: Outcome | Pending) -> None:
        if isinstance(result, Pending):
            self._pending[order.key] = result
            return
        self._pending.pop(order.key, None)
        if result.state == "confirmed":
            self._gateway_answered()
        self.events.finished(order, result)
