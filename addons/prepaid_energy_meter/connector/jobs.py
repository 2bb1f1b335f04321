"""The way of orders that take many exchanges: probe, scan, clock."""

import asyncio
import logging

from ..modbus.driver import Outcome
from . import outbox
from .troubles import Parts

_logger = logging.getLogger(__name__)

#: Real seconds between two looks for orders that nobody announced, and at what goes on.
SWEEP_SECONDS = 2.0


class JobDesk:
    """Gives jobs to the buses and brings back what came of them.

    :param database: :class:`.database.Database`
    :param bus_of: ``bus_of(gateway)`` is the bus of a gateway that this connector holds, or None
    :param my_gateways: ``my_gateways()`` are the gateways held
    :param make: ``make(order)`` makes the job of an order, see :mod:`.job_kinds`
    :param holder: this connector, as the attempts of orders name it
    """

    def __init__(self, database, bus_of, my_gateways, make, holder=""):
        self.holder = holder
        self.database = database
        self.bus_of = bus_of
        self.my_gateways = my_gateways
        self.make = make
        # The gateway, the job and what was told of it last, by command.
        self._under_way: dict[int, list] = {}
        self._coming: set[int] = set()
        self._tasks: set[asyncio.Task] = set()
        self._wake = asyncio.Event()
        self._is_looking = False
        self._taking = Parts("Taking the orders of gateway %s")

    @property
    def is_idle(self):
        return not (self._under_way or self._tasks or self._is_looking or self._wake.is_set())

    def announce(self):
        """Look for orders now."""
        self._wake.set()

    def lost(self, gateway):
        """The gateway is no longer held: its orders are somebody else's now."""
        for key in [key for key, row in self._under_way.items() if row[0] == gateway]:
            del self._under_way[key]

    async def run(self):
        """Take orders until cancelled."""
        while True:
            self._is_looking = True
            self._wake.clear()
            gateways = self.my_gateways()
            if gateways:
                await self._look(gateways)
            self._is_looking = False
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _look(self, gateways):
        taken, _failed = await self._taking.do(self._take, gateways)
        for orders, unwanted in taken:
            for key in unwanted:
                self._drop(key)
            for order in orders:
                self.give(order["gateway_id"], order)

    async def _take(self, gateways):
        chosen = set(gateways)
        under_way = {key: row for key, row in self._under_way.items() if row[0] in chosen}
        news = {}
        for key, row in under_way.items():
            progress = dict(row[1].progress())
            if progress and progress != row[2]:
                news[key] = row[2] = progress
        return await self.database.run(
            outbox.take_jobs, gateways, list(under_way), news, self.holder
        )

    def _drop(self, key):
        row = self._under_way.pop(key, None)
        bus = self.bus_of(row[0]) if row else None
        if bus is not None:
            bus.drop_job(key)

    def give(self, gateway, order):
        """Have an order carried out on a gateway's bus, unless it is under way.

        :param order: a dict as :func:`.outbox.take_jobs` returns them
        """
        bus, key = self.bus_of(gateway), order["id"]
        if bus is None or key in self._under_way:
            return
        try:
            job = self.make(order)
        except ValueError as error:
            self._give_up(key, str(error))
            return
        except Exception as error:
            # The orders of the others must not end with a faulty one.
            _logger.exception("Order %s, %s: no job can be made of it", key, order["kind"])
            self._give_up(key, f"{type(error).__name__}: {error}")
            return
        self._under_way[key] = [gateway, job, None]
        bus.give_job(job)

    def _give_up(self, key, error):
        self._spawn(key, self._note(outbox.fail, key, Outcome("failed", error=error)))

    def take_over(self, order):
        """Take an order to a meter over from the desk that took it, unless it is here already.

        :param order: a dict as `energy.command._take` returns them
        """
        key = order["id"]
        if key not in self._under_way and key not in self._coming:
            self._coming.add(key)
            self._keep(self._fetch(order))

    async def _fetch(self, order):
        try:
            self.give(*await self.database.run(outbox.take_meter_job, order))
        except Exception:
            _logger.exception("Order %s could not be taken", order["id"])
        finally:
            self._coming.discard(order["id"])

    def finished(self, job, result):
        """A job came to an end on its bus."""
        if job.key not in self._under_way:
            return
        if result.state != "confirmed":
            _logger.info("Order %s, %s: %s: %s", job.key, job.kind, result.state, result.error)
        self._spawn(job.key, self._note(outbox.finish_job, job.key, result))

    def _note(self, function, key, what):
        return self.database.run(function, key, what, self.holder)

    def _spawn(self, key, coroutine):
        self._keep(self._bring(key, coroutine))

    def _keep(self, coroutine):
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, key, coroutine):
        try:
            await coroutine
        except Exception:
            # One order that cannot be noted must not stop the others; it is looked at again.
            _logger.exception("Order %s could not be brought to the database", key)
        self._under_way.pop(key, None)

    async def drain(self):
        """Wait until what came back from the buses is in the database."""
        while self._tasks:
            await asyncio.wait(self._tasks)
