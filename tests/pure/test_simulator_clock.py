"""The project clock: anchored, sped up, frozen and stepped, and following a database."""

import asyncio
import logging
import socket
from collections import namedtuple
from datetime import datetime, timedelta
from decimal import Decimal

import psycopg2
import pytest

from simulator import clock as clock_module
from simulator.clock import DatabaseFollower, ProjectClock, microseconds

REAL = datetime(2026, 11, 22, 12)
PROJECT = datetime(2026, 3, 1)


@pytest.fixture
def real(monkeypatch):
    """Real time as the test sets it."""

    class Real:
        now = REAL

    monkeypatch.setattr(clock_module, "real_microseconds", lambda: microseconds(Real.now))
    return Real


def test_without_arguments_it_is_real_time(real):
    clock = ProjectClock()
    assert clock.moment() == REAL
    real.now += timedelta(seconds=1.5)
    assert clock.moment() == REAL + timedelta(seconds=1.5)


def test_anchor_and_speed(real):
    clock = ProjectClock(PROJECT, "2.5", real_anchor=REAL - timedelta(seconds=4))
    assert clock.moment() == PROJECT + timedelta(seconds=10)
    real.now += timedelta(microseconds=3)
    assert clock.moment() == PROJECT + timedelta(seconds=10, microseconds=7)  # 7.5 rounded down
    assert clock.second() == microseconds(PROJECT) // 1_000_000 + 10


def test_a_change_of_speed_does_not_jump(real):
    clock = ProjectClock(PROJECT, 60)
    real.now += timedelta(seconds=2)
    clock.set(speed=3600)
    assert clock.moment() == PROJECT + timedelta(minutes=2)
    real.now += timedelta(seconds=1)
    assert clock.moment() == PROJECT + timedelta(minutes=62)


def test_frozen_and_stepped(real):
    clock = ProjectClock(PROJECT, 0)
    real.now += timedelta(days=1)
    assert clock.moment() == PROJECT
    clock.step("0.5")
    clock.step(60)
    assert clock.moment() == PROJECT + timedelta(seconds=60.5)
    with pytest.raises(ValueError, match="goes back"):
        clock.step(-1)


def test_a_running_clock_is_not_stepped():
    with pytest.raises(RuntimeError, match="cannot be stepped"):
        ProjectClock(PROJECT, 1).step(1)


def test_speed_is_not_negative():
    with pytest.raises(ValueError, match="negative"):
        ProjectClock(PROJECT, -1)


Notification = namedtuple("Notification", "payload")


class FakeConnection:
    """A database connection whose notifications and loss the test decides."""

    def __init__(self):
        self.inside, self.outside = socket.socketpair()
        self.notifies, self.lost, self.closed = [], False, False

    def fileno(self):
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")
        return self.inside.fileno()

    def poll(self):
        self.inside.recv(100)
        if self.lost:
            self.close()
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def notify(self, payload):
        self.notifies.append(Notification(payload))
        self.outside.send(b"x")

    def lose(self):
        self.lost = True
        self.outside.send(b"x")

    def close(self):
        self.closed = True
        self.inside.close()
        self.outside.close()


def follow(scenario, rows, monkeypatch):
    """Run a scenario(clock, connections) with a follower that finds these rows, one a connection;
    an exception among them is raised."""
    connections = []

    class Follower(DatabaseFollower):
        def _open(self):
            row = rows.pop(0)
            if isinstance(row, Exception):
                raise row
            connections.append(FakeConnection())
            return connections[-1], row

    async def main():
        clock = ProjectClock()
        follower = Follower(clock, "dbname=none")
        await follower.start()
        try:
            await scenario(clock, connections)
        finally:
            follower.close()
        assert all(connection.closed for connection in connections)

    monkeypatch.setattr(clock_module, "RECONNECT_SECONDS", 0)
    asyncio.run(asyncio.wait_for(main(), 5))


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


def test_follows_the_row_and_its_changes(real, monkeypatch):
    async def scenario(clock, connections):
        assert clock.moment() == PROJECT
        assert clock.followed
        with pytest.raises(RuntimeError, match="follows a database"):
            clock.set(PROJECT)
        connections[0].notify(
            '{"real_anchor" : "2026-11-22T11:59:58.5", "project_anchor" : "2026-04-01T00:00:00", '
            '"speed" : 0.5}'
        )
        await until(lambda: clock.speed != 0)
        assert clock.moment() == datetime(2026, 4, 1, 0, 0, 0, 750_000)

    follow(scenario, [(REAL, PROJECT, Decimal(0))], monkeypatch)


def test_no_row_is_real_time(real, monkeypatch):
    async def scenario(clock, connections):
        assert clock.moment() == REAL

    follow(scenario, [None], monkeypatch)


def test_a_notification_that_is_not_understood_is_told_and_changes_nothing(
    real, monkeypatch, caplog
):
    async def scenario(clock, connections):
        connections[0].notify("{}")
        await until(lambda: caplog.records)
        assert clock.moment() == PROJECT
        assert "not understood" in caplog.text

    follow(scenario, [(REAL, PROJECT, Decimal(0))], monkeypatch)


def test_a_lost_database_is_found_again_and_read_anew(real, monkeypatch, caplog):
    later = PROJECT + timedelta(days=7)

    async def scenario(clock, connections):
        connections[0].lose()
        await until(lambda: len(connections) == 2 and clock.moment() == later)

    rows = [
        (REAL, PROJECT, Decimal(0)),
        psycopg2.OperationalError("starting up"),
        (REAL, later, Decimal(0)),
    ]
    with caplog.at_level(logging.WARNING):
        follow(scenario, rows, monkeypatch)
    assert [record.message.split(":")[1] for record in caplog.records] == [
        " the database is lost, the clock goes on",
        " the database is back",
    ]
