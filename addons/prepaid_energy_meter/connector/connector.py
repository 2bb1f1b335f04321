"""The connector: every gateway it can hold, each on a task of its own."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import uuid
from functools import partial

from odoo.addons.prepaid_energy.clock import monotonic

from ..modbus.addresses import Allowed
from ..modbus.bus import Events
from ..modbus.loop import new_event_loop
from ..modbus.tally import Tally
from . import field, store
from .collector import Collector
from .database import Database
from .due import Schedule
from .job_kinds import make_job
from .jobs import JobDesk
from .listener import Listener
from .orders import OrderDesk
from .project_clock import ProjectClock, look
from .troubles import Troubles, lasting
from .worker import Worker

_logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
#: Real seconds between two times at which it is kept how readings went.
HEALTH_SECONDS = 60.0
#: Threads that store and settle let the event loop in at least so often (seconds): an order passes
#: through it several times, and each time would wait for Python's 5 ms.
SWITCH_INTERVAL = 0.0005
CHANNELS = ("energy_command", "energy_clock", "energy_field")


class Connector:
    """Reads and switches the meters of a database.

    Any number may run, on any hosts: a gateway belongs to the one that holds its lease.

    :param str dbname: the database
    :param seconds: stop after so many real seconds; None runs until stopped
    :param bool until_idle: stop when nothing is left to do
    :param bool handle_signals: stop cleanly on SIGTERM and SIGINT (main thread only)
    """

    def __init__(self, dbname, seconds=None, until_idle=False, handle_signals=False):
        self.dbname = dbname
        self.seconds = seconds
        self.until_idle = until_idle
        self.handle_signals = handle_signals
        self.machine = socket.gethostname()
        self.holder = f"{self.machine}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def run(self):
        """Work until the end; returns when everything is let go of."""
        # Odoo's log names the database by the thread.
        thread = threading.current_thread()
        before = getattr(thread, "dbname", None)
        thread.dbname = self.dbname
        interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._main())
        finally:
            sys.setswitchinterval(interval)
            thread.dbname = before

    async def _main(self):
        self._stop = asyncio.Event()
        self._tick = asyncio.Event()
        self._reload = asyncio.Event()
        self._clock_moved = asyncio.Event()
        self.database = Database(self.dbname)
        self.clock = ProjectClock()
        self.schedule = Schedule()
        self.jobs = JobDesk(
            self.database,
            self._bus_of_gateway,
            lambda: list(self.workers),
            lambda order: make_job({**order, "now": self.clock.now}, self.desk.hooks),
            self.holder,
        )
        self.desk = OrderDesk(self.database, self._bus_of, self._my_meters, self.jobs, self.holder)
        self.collector = Collector(self.database, self.desk)
        self.workers: dict[int, Worker] = {}
        self._worker_of: dict[int, Worker] = {}
        self._gateways, self._networks = {}, (Allowed(), "")
        self._changing = asyncio.Lock()
        # How readings went since it was last kept: by gateway, by meter.
        self._tallies: dict[int, dict[int, Tally]] = {}
        self._faults = {}
        self.troubles = Troubles()
        if self.handle_signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop.set)
        try:
            self.clock.set(*await self.database.run(look))
            await self._load()
            await self._beat()
            await self._work()
        finally:
            await asyncio.gather(*(worker.stop() for worker in self.workers.values()))
            try:
                await self.jobs.drain()
                await self.desk.drain()
                await self.collector.flush()
                await self.desk.drain()
                await self._keep_health()
            finally:
                await self.database.run(store.release, self.holder)
            await asyncio.get_running_loop().run_in_executor(None, self.database.close)
            _logger.info("Connector %s stopped", self.holder)

    async def _work(self):
        listener = Listener(self.dbname, CHANNELS, self._heard)
        tasks = [
            asyncio.create_task(lasting(what, loop, self.troubles))
            for what, loop in (
                ("Listening to the database", listener.run),
                ("Keeping how readings went", self._health_loop),
                ("Loading the field", self._load_loop),
                ("Following the clock", self._clock_loop),
                ("Asking for due readings", self._due_loop),
                ("Taking orders", self.desk.run),
                ("Taking orders to gateways", self.jobs.run),
                ("Storing readings", self.collector.run),
                ("Settling", self.collector.run_settling),
            )
        ]
        tasks += [asyncio.create_task(self._beat_loop()), asyncio.create_task(self._end())]
        _logger.info(
            "Connector %s is ready: database %s, %s of %s gateways",
            self.holder,
            self.dbname,
            len(self.workers),
            len(self._gateways),
        )
        try:
            done, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self):
        """Return when it is time to stop."""
        idle = asyncio.create_task(self._idle()) if self.until_idle else None
        try:
            async with asyncio.timeout(self.seconds):
                if idle:
                    stop = asyncio.create_task(self._stop.wait())
                    await asyncio.wait({idle, stop}, return_when=asyncio.FIRST_COMPLETED)
                    stop.cancel()
                else:
                    await self._stop.wait()
        except TimeoutError:
            return
        finally:
            if idle:
                idle.cancel()

    async def _idle(self):
        """Return when nothing is left to do, seen twice with a look for orders between.

        A gateway that a dead connector still holds becomes free within the life of a lease.
        """
        free_by = monotonic() + store.LEASE_SECONDS + 2 * BEAT_SECONDS
        quiet = 0
        while quiet < 2:
            await asyncio.sleep(0.2)
            has_all = self._gateways.keys() <= self.workers.keys() or monotonic() > free_by
            is_quiet = (
                has_all
                and self.desk.is_idle
                and self.jobs.is_idle
                and self.collector.is_idle
                and all(worker.bus.is_idle for worker in self.workers.values())
            )
            quiet = quiet + 1 if is_quiet else 0
            if quiet == 1:
                self.desk.announce()
                self.jobs.announce()

    # --- what goes on beside the buses -----------------------------------------------------------

    def _heard(self, channel, payload):
        if channel == "energy_command":
            target, _colon, key = payload.rpartition(":")
            if target != "gateway":
                self.desk.announce(int(key) if key else None)
            if not key or (target == "gateway" and int(key) in self.workers):
                self.jobs.announce()
        elif channel == "energy_clock":
            self._clock_moved.set()
        else:
            self._reload.set()

    async def _beat_loop(self):
        """Beat until cancelled. Who cannot for longer than a lease lasts holds nothing any more,
        and ends: whatever starts it again finds the database and the add-ons as they are."""
        what, last = "Holding the gateways", monotonic()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self._beat()
            except Exception as error:
                if monotonic() - last > store.LEASE_SECONDS:
                    raise
                self.troubles.note(what, error)
            else:
                last = monotonic()
                self.troubles.over(what)

    async def _beat(self):
        """Hold what can be held, let go of what is lost, and set the clock right."""
        async with self._changing:
            before = monotonic()
            await self.database.refresh()
            held, moment, speed, networks = await self._hold()
            self.clock.set(moment, speed)
            if networks != self._networks:
                self._reload.set()
            for gateway_id, worker in list(self.workers.items()):
                if worker.task.done() or gateway_id not in held:
                    await self._drop(gateway_id)
            for gateway_id in held & self._gateways.keys():
                if gateway_id not in self.workers:
                    self._take(self._gateways[gateway_id])
                self.workers[gateway_id].held_until(before + store.LEASE_SECONDS)
            self._schedule_mine()

    async def _hold(self):
        """Renew and take leases, see :func:`.store.beat`."""
        what, gateways = "Telling how the gateways are", list(self._gateways)
        rows = [worker.health_row() for worker in self.workers.values()]
        try:
            found = await self.database.run(store.beat, self.holder, gateways, rows)
        except Exception as error:  # noqa: BLE001 - told by `note`
            # The leases do not hang on it.
            self.troubles.note(what, error)
            return await self.database.run(store.beat, self.holder, gateways, [])
        self.troubles.over(what)
        return found

    def _take(self, gateway):
        events = Events(
            snapshot=self._snapshot,
            missed=self._missed,
            finished=self.desk.finished,
            gateway=partial(self._gateway_told, gateway.id),
            job=self.jobs.finished,
        )
        worker = Worker(gateway, self._networks[0], events, self.desk.hooks, self.clock.now)
        self.workers[gateway.id] = worker
        self._worker_of.update(dict.fromkeys(worker.keys, worker))
        worker.start()
        self.desk.announce()
        self.jobs.announce()
        _logger.info("Gateway %s: taken, %s meters", gateway.name, len(worker.keys))

    async def _drop(self, gateway_id):
        worker = self.workers.pop(gateway_id)
        await worker.stop()
        self._note_health(worker)
        for key in worker.keys:
            self._worker_of.pop(key, None)
        self.desk.lost(worker.keys)
        self.jobs.lost(gateway_id)
        self.schedule.forget(worker.keys)
        _logger.info("Gateway %s: let go", worker.gateway.name)

    def _note_health(self, worker):
        of_gateway = self._tallies.setdefault(worker.gateway.id, {})
        for meter, tally in worker.bus.take_tallies().items():
            of_gateway.setdefault(meter, Tally()).add(tally)

    async def _keep_health(self):
        for worker in self.workers.values():
            self._note_health(worker)
        tallies, self._tallies = self._tallies, {}
        if any(tallies.values()):
            await self.database.run(store.keep_health, tallies)

    async def _health_loop(self):
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            await self._keep_health()

    async def _load_loop(self):
        while True:
            await self._reload.wait()
            # Many changes of one moment are one change.
            await asyncio.sleep(0.05)
            try:
                await self._load()
                await self._beat()
            except Exception:
                self._reload.set()
                raise

    async def _load(self):
        """Load gateways, meters and profiles anew; buses that stay go on."""
        self._reload.clear()
        async with self._changing:
            networks = await self.database.run(field.allowed_networks)
            if networks[1] and networks != self._networks:
                _logger.warning("No gateway is connected to: %s", networks[1])
            self._networks = networks
            gateways, faults = await self.database.run(field.load_field)
            self._gateways = {
                key: gateway
                for key, gateway in gateways.items()
                if gateway.machine in ("", self.machine)
            }
            for code, error in faults.items():
                if self._faults.get(code) != error:
                    _logger.warning("Profile %s cannot be used: %s", code, error)
            self._faults = faults
            for gateway_id, worker in list(self.workers.items()):
                gateway = self._gateways.get(gateway_id)
                old = worker.keys
                if gateway is None or not worker.takes_over(gateway, networks[0]):
                    await self._drop(gateway_id)
                    continue
                for key in old - worker.keys:
                    self._worker_of.pop(key, None)
                self.desk.lost(old - worker.keys)
                self._worker_of.update(dict.fromkeys(worker.keys, worker))
        self.desk.announce()

    def _schedule_mine(self):
        self.schedule.set_meters(
            meter for worker in self.workers.values() for meter in worker.gateway.due
        )
        self._tick.set()

    async def _clock_loop(self):
        while True:
            await self._clock_moved.wait()
            self._clock_moved.clear()
            # Not beside a beat, whose older look could come in last.
            async with self._changing:
                self.clock.set(*await self.database.run(look))
            self._tick.set()

    async def _due_loop(self):
        while True:
            self._tick.clear()
            at_midnight, others = self.schedule.due(self.clock.now())
            by_worker = {}
            for key in at_midnight:
                if key in self._worker_of:
                    by_worker.setdefault(self._worker_of[key], []).append(key)
            for worker, keys in by_worker.items():
                worker.bus.ask_reads_first(keys)
            for key in others:
                if key in self._worker_of:
                    self._worker_of[key].bus.ask_read(key)
            try:
                async with asyncio.timeout(self.schedule.pause(self.clock.speed)):
                    await self._tick.wait()
            except TimeoutError:
                continue

    # --- what the buses tell ---------------------------------------------------------------------

    def _bus_of(self, meter):
        worker = self._worker_of.get(meter)
        return worker.bus if worker else None

    def _bus_of_gateway(self, gateway_id):
        worker = self.workers.get(gateway_id)
        return worker.bus if worker else None

    def _my_meters(self):
        return list(self._worker_of)

    def _snapshot(self, snapshot):
        self.schedule.has_read(snapshot.meter, snapshot.moment)
        self.collector.snapshot(snapshot)
        self.desk.answered(snapshot.meter)

    def _gateway_told(self, gateway_id, health):
        if health.online and not health.misses and gateway_id in self.workers:
            # What waited for it need not wait any longer.
            for key in self.workers[gateway_id].keys:
                self.desk.answered(key)
            self.jobs.announce()

    def _missed(self, meter, health):
        self.collector.miss(meter, health)
        self.desk.missed(meter.key, health.error)
