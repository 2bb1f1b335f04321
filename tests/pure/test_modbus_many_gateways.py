"""M9: two hundred gateways in one process, of which some are slow and some are dead."""

import asyncio
import os
from contextlib import AsyncExitStack

import pytest
from modbus_fakes import Server
from planted_defects import planted
from test_modbus_bus import Field

from modbus import bus

UNITS = range(1, 6)
FAST, SLOW, DEAD = 140, 40, 20


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def until_read(fields, rounds):
    """Wait until every meter of these gateways was read in every round."""
    while any(len(field.snapshots) < rounds * len(UNITS) for field in fields):
        await asyncio.sleep(0)


async def field_of(stack, *, dead=False, gate=None):
    """A bus before a server of its own, which may have gone or answer once ``gate`` is set."""
    server = Server(units=UNITS)
    await server.__aenter__()
    # No answer counts as late here: who is slow is decided by the gate.
    field = Field(server, UNITS, timeout=60)
    if dead:
        await server.__aexit__()
    else:
        stack.push_async_exit(server.__aexit__)
    if gate is not None:

        async def behave(unit, pdu, frame, writer):
            await gate.wait()
            return False

        server.behave = behave
    return field


async def many_gateways():
    before = descriptors()
    gate = asyncio.Event()
    async with AsyncExitStack() as stack:
        fast = [await field_of(stack) for _number in range(FAST)]
        slow = [await field_of(stack, gate=gate) for _number in range(SLOW)]
        dead = [await field_of(stack, dead=True) for _number in range(DEAD)]
        everybody = [*fast, *slow, *dead]
        tasks = [asyncio.create_task(field.bus.run()) for field in everybody]
        open_files = set()
        for number in (1, 2, 3):
            for field in everybody:
                for unit in UNITS:
                    field.bus.ask_read(unit)
            # Whoever answers is read through while the slow and the dead hold up themselves only.
            await until_read(fast, number)
            assert not any(len(field.snapshots) > (number - 1) * len(UNITS) for field in slow)
            gate.set()
            await until_read(slow, number)
            gate.clear()
            open_files.add(descriptors())
        assert [len(field.snapshots) for field in fast + slow] == [15] * (FAST + SLOW)
        # One attempt at a gateway that is away; the next waits for its time to come.
        assert [(field.snapshots, len(field.gateway)) for field in dead] == [([], 1)] * DEAD
        assert len(open_files) == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not any(field.client.is_connected for field in everybody)
    await asyncio.sleep(0)
    assert descriptors() <= before + 1


def check():
    asyncio.run(asyncio.wait_for(many_gateways(), 60))


def test_many_gateways_of_which_some_are_slow_and_some_are_dead():
    check()
    with planted(bus.Bus.run, "await self.driver.close()", "pass"), pytest.raises(AssertionError):
        check()
