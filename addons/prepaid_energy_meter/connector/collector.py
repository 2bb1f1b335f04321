"""Readings on their way into the database, in batches, and the settling they wake."""

import asyncio
import logging

from odoo.addons.prepaid_energy.clock import monotonic
from odoo.addons.prepaid_energy.crash_points import reached

from . import store
from .troubles import Parts

_logger = logging.getLogger(__name__)

MOST_AT_ONCE = 5000
#: Real seconds that one settling run takes at most.
SETTLE_SECONDS = 5.0
#: Real seconds between two settlings that nobody asked for.
SETTLE_EVERY_SECONDS = 30.0
#: Real seconds of rest after a settling that failed as a whole.
REST_SECONDS = 5.0
#: After storing and after settling it rests for so many times as long as that took, in real seconds
#: at most: what comes meanwhile costs little more in one batch than each in its own, and orders
#: find Python and the database free.
REST_SHARE, LONGEST_REST = 2, 0.5


class Collector:
    """Gathers what the buses read and stores it: while one batch is stored the next one grows.

    :param desk: :class:`.orders.OrderDesk`, told what is stored and what was missed
    """

    def __init__(self, database, desk):
        self.database = database
        self.desk = desk
        self._snapshots: list = []
        self._misses: list = []
        self._storing = Parts("Storing what was read of meter %s")
        self._has_some = asyncio.Event()
        self._is_storing = False
        self._to_settle = asyncio.Event()
        self._is_settling = False

    @property
    def is_idle(self):
        return not (
            self._snapshots
            or self._misses
            or self._is_storing
            or self._is_settling
            or self._to_settle.is_set()
        )

    def snapshot(self, snapshot):
        """Take a reading; it is stored soon."""
        self._snapshots.append((snapshot, self.desk.mark()))
        self._has_some.set()

    def miss(self, meter, health):
        """Take a failed reading."""
        self._misses.append(store.Miss(meter.key, health.misses, health.online, health.error))
        self._has_some.set()

    async def run(self):
        """Store until cancelled."""
        while True:
            await self._has_some.wait()
            started = monotonic()
            await self.flush()
            await self._rest_since(started)

    async def _rest_since(self, started):
        await asyncio.sleep(min(REST_SHARE * (monotonic() - started), LONGEST_REST))

    async def flush(self):
        """Store what has been gathered so far; what cannot be stored of one meter is lost."""
        self._has_some.clear()
        batch = self._snapshots[:MOST_AT_ONCE]
        misses = self._misses
        self._snapshots = self._snapshots[MOST_AT_ONCE:]
        self._misses = []
        if self._snapshots:
            self._has_some.set()
        if not batch and not misses:
            return
        marks = {id(snapshot): mark for snapshot, mark in batch}

        def state_is_newer(snapshot):
            return self.desk.switched_since(snapshot.meter, marks[id(snapshot)])

        async def keep(meters):
            chosen = set(meters)
            snapshots = [snapshot for snapshot, _mark in batch if snapshot.meter in chosen]
            of_these = [miss for miss in misses if miss.meter in chosen]
            await self.database.run(
                store.store, snapshots, of_these, state_is_newer, around_commit=reached
            )
            return snapshots

        meters = dict.fromkeys(
            [snapshot.meter for snapshot, _mark in batch] + [miss.meter for miss in misses]
        )
        self._is_storing = True
        try:
            kept, failed = await self._storing.do(keep, meters)
        except Exception:
            # Nothing can be stored: all of it is tried again.
            self._snapshots, self._misses = batch + self._snapshots, misses + self._misses
            self._has_some.set()
            raise
        finally:
            self._is_storing = False
        for meter in failed:
            self.desk.not_stored(meter)
        snapshots = [snapshot for part in kept for snapshot in part]
        if snapshots:
            self.desk.stored(snapshots)
            self.settle()

    def settle(self):
        """Have what is queued settled."""
        self._to_settle.set()

    async def run_settling(self):
        """Settle until cancelled, one run at a time."""
        while True:
            self._is_settling = True
            self._to_settle.clear()
            started = monotonic()
            until = started + SETTLE_SECONDS
            try:
                await self.database.call(store.settle, self.database.name, until)
                if monotonic() >= until:
                    self._to_settle.set()
            except Exception:
                _logger.exception("Settling failed; it is tried again")
                await asyncio.sleep(REST_SECONDS)
                self._to_settle.set()
            self._is_settling = False
            await self._rest_since(started)
            try:
                async with asyncio.timeout(SETTLE_EVERY_SECONDS):
                    await self._to_settle.wait()
            except TimeoutError:
                continue
