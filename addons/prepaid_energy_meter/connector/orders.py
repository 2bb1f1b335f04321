"""The way of an order: taken from the outbox, written, read back, confirmed."""

import asyncio
import logging

from odoo.addons.prepaid_energy.clock import monotonic
from odoo.addons.prepaid_energy.crash_points import reached

from ..modbus.driver import OrderHooks, Outcome, SupplyOrder
from . import outbox
from .troubles import Parts

_logger = logging.getLogger(__name__)

#: Real seconds between two looks for orders that nobody announced (their pause is over).
SWEEP_SECONDS = 2.0
#: Real seconds after which an order of a meter that does not answer is tried again; doubles.
FIRST_WAIT, LONGEST_WAIT = 4.0, 300.0


class OrderDesk:
    """Gives orders to the buses and brings back what came of them.

    At most one supply order of a meter is under way; an ordered reading keeps none waiting.

    :param database: :class:`.database.Database`
    :param bus_of: ``bus_of(meter)`` is the bus that this connector holds the meter on, or None
    :param my_meters: ``my_meters()`` are the meters on the buses held
    :param jobs: :class:`.jobs.JobDesk`, for orders to a meter that take many exchanges
    :param holder: this connector, as the attempts of orders name it
    """

    def __init__(self, database, bus_of, my_meters, jobs, holder=""):
        self.holder = holder
        self.database = database
        self.bus_of = bus_of
        self.my_meters = my_meters
        self.jobs = jobs
        self.hooks = OrderHooks(may_write=self._may_write, reached=reached, moving=self._moving)
        self._under_way: dict[int, int] = {}
        self._reads: dict[int, int] = {}
        self._waits: dict[int, tuple[float, float]] = {}
        self._hinted: set[int] = set()
        # When orders of all meters are looked for again; between, those that are announced.
        self._sweep_at = 0.0
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()
        self._is_looking = False
        self._taking = Parts("Taking the orders of meter %s")
        self._state_changes: dict[int, int] = {}
        self._count = 0

    @property
    def is_idle(self):
        return not (
            self._under_way
            or self._tasks
            or self._hinted
            or self._is_looking
            or self._wake.is_set()
        )

    def announce(self, meter=None):
        """Look for orders of a meter, or of all, now."""
        if meter is None:
            self._sweep_at = 0.0
        else:
            self._hinted.add(meter)
        self._wake.set()

    def answered(self, meter):
        """A meter answers (again): what waits for it need not wait any longer."""
        if self._waits.pop(meter, None):
            self.announce(meter)

    def lost(self, meters):
        """The bus of these meters is no longer held: its orders are somebody else's now."""
        for meter in meters:
            self._under_way.pop(meter, None)
            self._reads.pop(meter, None)
            self._waits.pop(meter, None)

    async def run(self):
        """Take orders until cancelled."""
        while True:
            self._is_looking = True
            self._wake.clear()
            hinted, self._hinted = self._hinted, set()
            now = monotonic()
            if now >= self._sweep_at:
                self._sweep_at = now + SWEEP_SECONDS
                waiting = {meter for meter, (until, _wait) in self._waits.items() if until > now}
                hinted |= set(self.my_meters()) - waiting
            meters = [
                meter for meter in hinted if self.bus_of(meter) and meter not in self._under_way
            ]
            if meters:
                taken, _failed = await self._taking.do(self._take, meters)
                for order in (order for part in taken for order in part):
                    self._give(order)
            self._is_looking = False
            try:
                async with asyncio.timeout(max(self._sweep_at - monotonic(), 0)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _take(self, meters):
        return await self.database.run(outbox.take_orders, meters)

    def _give(self, order):
        meter = order["meter_id"]
        bus = self.bus_of(meter)
        if bus is None or meter in self._under_way:
            return
        if order["kind"] == "supply":
            self._under_way[meter] = order["id"]
            bus.give_order(
                SupplyOrder(
                    key=order["id"],
                    meter=meter,
                    wanted=order["value"],
                    maybe_sent=order["state"] == "sent" or order["tries"] > 0,
                    last_total=order["last_total"],
                    most_total=order["most_total"],
                    waited=order["tries"] > 0,
                )
            )
        elif order["kind"] == "read":
            if self._reads.get(meter) != order["id"]:
                self._reads[meter] = order["id"]
                bus.ask_read(meter, urgent=True)
        else:
            self.jobs.take_over(order)

    async def _may_write(self, order, request):
        return await self._note(outbox.may_write, order.key, request)

    async def _moving(self, order):
        # A reading that began before does not show it.
        self._count += 1
        self._state_changes[order.meter] = self._count
        await self.database.run(outbox.show_moving, order.key, self.holder)

    def _note(self, function, key, what):
        """Return the transaction of one of the outbox's functions about an order."""
        return self.database.run(function, key, what, self.holder)

    # --- what the buses tell ------------------------------------------------------------------

    def finished(self, order, outcome):
        """A supply order came to an end on the bus."""
        meter, key = order.meter, order.key
        if self._under_way.get(meter) != key:
            return
        if outcome.state == "confirmed":
            self._count += 1
            self._state_changes[meter] = self._count
            self._waits.pop(meter, None)
            self._spawn(meter, key, self._confirm(order, outcome))
            return
        _logger.info("Order %s, supply %s: %s: %s", key, order.wanted, outcome.state, outcome.error)
        if outcome.state == "dropped":
            self._next(meter, key)
        elif outcome.state == "untouched":
            self._wait(meter)
            self._spawn(meter, key, self._note(outbox.put_off, key, outcome))
        elif outcome.state == "unknown":
            self._spawn(meter, key, self._note(outbox.put_off, key, outcome))
        else:
            self._spawn(meter, key, self._note(outbox.fail, key, outcome))

    def stored(self, snapshots):
        """These readings are committed: whoever ordered them has them."""
        for snapshot in snapshots:
            command = self._reads.pop(snapshot.meter, None)
            if command is not None:
                came = " | ".join(
                    f"{place} {data.hex(' ', 2)}" for place, data in snapshot.raw.items()
                )
                self._spawn(snapshot.meter, command, self._note(outbox.confirm_read, command, came))

    def not_stored(self, meter):
        """What was read of a meter cannot be stored; if it was ordered, the order waits."""
        self.missed(meter, "what was read cannot be stored")

    def missed(self, meter, error):
        """A reading failed; if it was ordered, the order waits."""
        command = self._reads.pop(meter, None)
        if command is not None:
            self._wait(meter)
            missed = Outcome("untouched", error=error)
            self._spawn(meter, command, self._note(outbox.put_off, command, missed))

    def mark(self):
        """Return a number that grows with every confirmed switching."""
        return self._count

    def switched_since(self, meter, mark):
        """Whether the meter's supply was switched after ``mark`` was taken."""
        return self._state_changes.get(meter, 0) > mark

    # --- bringing it to the database ------------------------------------------------------------

    async def _confirm(self, order, outcome):
        await self._note(outbox.confirm, order.key, outcome)
        _logger.info("Order %s, supply %s: confirmed", order.key, order.wanted)
        reached("order_confirmed")

    def _spawn(self, meter, command, coroutine):
        task = asyncio.create_task(self._bring(meter, command, coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, meter, command, coroutine):
        try:
            await coroutine
        except Exception:
            # One order that cannot be noted must not stop the others; it is looked at again.
            _logger.exception("Order %s could not be brought to the database", command)
            self._wait(meter)
        self._next(meter, command)

    def _next(self, meter, command):
        if self._under_way.get(meter) == command:
            del self._under_way[meter]
        # A later order of the meter may be there already; one that waits is left alone.
        if meter not in self._waits:
            self.announce(meter)

    def _wait(self, meter):
        _until, wait = self._waits.get(meter, (0.0, FIRST_WAIT / 2))
        wait = min(2 * wait, LONGEST_WAIT)
        self._waits[meter] = (monotonic() + wait, wait)

    async def drain(self):
        """Wait until what came back from the buses is in the database."""
        while self._tasks:
            await asyncio.wait(self._tasks)
