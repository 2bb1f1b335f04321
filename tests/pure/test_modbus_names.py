"""Names that hang in the resolver hold up nobody else."""

import asyncio
import socket
import threading

import pytest
from modbus_fakes import LOOPBACK, Server, tcp_client

from modbus import names
from modbus.client import GatewayClient, Timing
from modbus.errors import Unreachable
from modbus.framing import TcpFraming
from modbus.link import TcpLink


@pytest.fixture
def resolver(monkeypatch):
    """A resolver in which names of `slow…` hang; what it was asked, and the end of the hanging."""
    asked, end = [], threading.Event()

    def resolve(host, _port, **_options):
        asked.append(host)
        if host.startswith("slow"):
            end.wait(20)
        if "\0" in host:
            raise ValueError("embedded null character")
        if host == "nowhere":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
        # A resolver may tell the same address several times.
        return rows * 2

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield asked, end
    end.set()


def link(host, port):
    return TcpLink(host, port, LOOPBACK)


def client(host, port):
    return GatewayClient(link(host, port), TcpFraming(), Timing(connect=0.2))


def test_many_that_hang_hold_up_no_other_name_and_no_number(resolver):
    asked, end = resolver

    async def scenario():
        async with Server() as server:
            # More than any pool of threads has.
            hanging = [client(f"slow{number}", server.port) for number in range(70)]
            for _attempt in range(2):
                for error in await asyncio.gather(
                    *(each.connect() for each in hanging), return_exceptions=True
                ):
                    assert isinstance(error, Unreachable), error
            assert len(asked) == 70, "one thread a name, however often it is asked for"
            await client("quick", server.port).connect()
            await tcp_client(server.port).connect()
            assert asked[70:] == ["quick"], "a number is not looked up"
            end.set()
            # What was asked for before is found by who comes next.
            assert await names.resolve("slow7") == ["127.0.0.1"]
            await hanging[7].connect()

    asyncio.run(scenario())


def test_a_name_without_an_address_is_unreachable(resolver):
    async def scenario():
        for host, message in (("nowhere", "not known"), ("a\0b", "no name")):
            with pytest.raises(Unreachable, match=message):
                await client(host, 502).connect()

    asyncio.run(scenario())


def test_a_loop_that_ended_is_not_told(resolver):
    _asked, end = resolver

    async def scenario():
        with pytest.raises(Unreachable):
            await client("slow", 502).connect()

    asyncio.run(scenario())
    [thread] = [each for each in threading.enumerate() if each.name.endswith("(_ask)")]
    end.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not names._under_way
