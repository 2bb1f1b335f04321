"""The project's clock as the simulator sees it.

project = project_anchor + speed * (real - real_anchor), evaluated when asked: nothing ticks.
Speed 0 freezes it, and then it is stepped by command. This is the only module of the simulator that
asks for the time of day. Moments are naive UTC, inside in whole microseconds since 1970.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .load import EPOCH, seconds

_logger = logging.getLogger(__name__)
MICROSECOND = timedelta(microseconds=1)
RECONNECT_SECONDS = 1.0
CHANNEL = "energy_clock"


def real_microseconds() -> int:
    """Real time in microseconds since 1970."""
    return time.time_ns() // 1000


def monotonic() -> float:
    """Real seconds from an arbitrary start, for durations only."""
    return time.monotonic()


def microseconds(moment: datetime | str) -> int:
    """Microseconds since 1970 of a moment or of its ISO form (naive = UTC)."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return int(seconds(moment) * 1_000_000)


class ClockError(Exception):
    """The clock's database cannot be read; the message is the database's."""


class ProjectClock:
    """Project time from an anchor and a speed. Without arguments it is real time."""

    def __init__(
        self,
        project_anchor: datetime | None = None,
        speed: Fraction | Decimal | str | int = 1,
        real_anchor: datetime | None = None,
    ) -> None:
        self.followed = False
        real = microseconds(real_anchor) if real_anchor else real_microseconds()
        self.anchor(real, microseconds(project_anchor) if project_anchor else real, speed)

    def anchor(self, real: int, project: int, speed: Fraction | Decimal | str | int) -> None:
        """Set the line (microseconds). Raises ValueError for a negative speed."""
        speed = Fraction(speed)
        if speed < 0:
            raise ValueError(f"clock: speed {speed} is negative")
        self._real, self._project, self.speed = real, project, speed
        self._numerator, self._denominator = speed.numerator, speed.denominator

    def now(self) -> int:
        """Project time in microseconds since 1970."""
        past = real_microseconds() - self._real
        return self._project + past * self._numerator // self._denominator

    def second(self) -> int:
        """Project time in whole seconds since 1970."""
        return self.now() // 1_000_000

    def moment(self) -> datetime:
        return EPOCH + self.now() * MICROSECOND

    def set(
        self,
        project: datetime | None = None,
        speed: Fraction | Decimal | str | int | None = None,
    ) -> None:
        """Jump to a moment, or go on from now at another speed, or both.

        Raises RuntimeError while the clock follows a database.
        """
        if self.followed:
            raise RuntimeError("clock: it follows a database and is set there")
        at = self.now() if project is None else microseconds(project)
        self.anchor(real_microseconds(), at, self.speed if speed is None else speed)

    def step(self, by: Decimal | str | int) -> None:
        """Move a frozen clock forward by seconds. Raises RuntimeError while it runs."""
        if self.speed:
            raise RuntimeError(f"clock: it runs at speed {self.speed} and cannot be stepped")
        if Fraction(by) < 0:
            raise ValueError(f"clock: a step of {by} s goes back")
        self.set(EPOCH + (self.now() + int(Fraction(by) * 1_000_000)) * MICROSECOND)


class DatabaseFollower:
    """Keeps a clock equal to the row of table energy_clock of a database.

    Row: real_anchor, project_anchor (timestamp, naive UTC), speed (numeric); no row is real time.
    Changes come as notifications on channel energy_clock with the same three fields as JSON.
    A lost connection is logged once and made again; until then the clock goes on as it was.
    """

    def __init__(self, clock: ProjectClock, dsn: str) -> None:
        self.clock, self.dsn = clock, dsn
        self._connection: Any = None
        self._descriptor = -1
        self._retry: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """First connection. Raises ClockError when there is no such database or table."""
        import psycopg2

        self.clock.followed = True
        try:
            await self._connect()
        except psycopg2.Error as error:
            raise ClockError(f"clock: {error}".strip()) from error

    def close(self) -> None:
        if self._retry:
            self._retry.cancel()
        self._disconnect()

    async def _connect(self) -> None:
        self._connection, row = await asyncio.to_thread(self._open)
        self._apply(row)
        # A lost connection no longer tells its descriptor.
        self._descriptor = self._connection.fileno()
        asyncio.get_running_loop().add_reader(self._descriptor, self._receive)

    def _open(self) -> tuple[Any, tuple[datetime, datetime, Decimal] | None]:
        import psycopg2

        connection = psycopg2.connect(self.dsn)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                # Listen first: a change between the two then comes twice and not never.
                cursor.execute(f"LISTEN {CHANNEL}")
                cursor.execute("SELECT real_anchor, project_anchor, speed FROM energy_clock")
                return connection, cursor.fetchone()
        except BaseException:
            connection.close()
            raise

    def _apply(self, row: tuple[datetime | str, datetime | str, Decimal | str] | None) -> None:
        if row is None:
            self.clock.anchor(0, 0, 1)
        else:
            real, project, speed = row
            self.clock.anchor(microseconds(real), microseconds(project), speed)

    def _receive(self) -> None:
        import psycopg2

        try:
            self._connection.poll()
        except psycopg2.Error as error:
            reason = str(error).partition("\n")[0]
            _logger.warning("clock: the database is lost, the clock goes on: %s", reason)
            self._disconnect()
            self._retry = asyncio.get_running_loop().create_task(self._reconnect())
            return
        while self._connection.notifies:
            payload = self._connection.notifies.pop(0).payload
            try:
                row = json.loads(payload, parse_float=Decimal)
                self._apply((row["real_anchor"], row["project_anchor"], row["speed"]))
            except (ValueError, KeyError, TypeError):
                _logger.exception("clock: notification not understood, clock kept: %r", payload)

    async def _reconnect(self) -> None:
        import psycopg2

        while True:
            await asyncio.sleep(RECONNECT_SECONDS)
            try:
                await self._connect()
            except psycopg2.Error as error:
                _logger.debug("clock: still no database: %s", error)
            else:
                _logger.warning("clock: the database is back")
                return

    def _disconnect(self) -> None:
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._connection.close()
            self._connection = None
