"""The wire: what is a proper answer, and what ends the connection."""

import asyncio
import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_fakes import Server, profile, tcp_client
from planted_defects import planted

from modbus.client import GatewayClient
from modbus.connection import Connection
from modbus.errors import (
    FieldError,
    ModbusException,
    NoAnswer,
    NotHolder,
    Refused,
    Unreachable,
    WrongAnswer,
)
from modbus.planning import Block

BLOCK = Block(3, 0, 3)
PROFILE = profile()


def run(test):
    """Run an async test with a fresh server."""

    async def whole():
        async with Server(units=(1, 2)) as server:
            server.put_u32(1, 0, 123456)
            server.words[1][2] = 500
            server.put_u32(2, 0, 222222)
            return await test(server)

    return asyncio.run(asyncio.wait_for(whole(), 20))


def test_block_is_read():
    async def test(server):
        client = server.client()
        words, exchange = await client.read_exchange(1, PROFILE, BLOCK)
        assert words == (1, 57920, 500)
        assert exchange.request.endswith("01 03 00 00 00 03")
        assert exchange.response.endswith("01 03 06 00 01 e2 40 01 f4")
        assert await client.read_block(2, PROFILE, BLOCK) == (3, 25614, 0)
        assert server.connections == 1

    run(test)


def test_write_is_sent_as_listed_and_acknowledged():
    async def test(server):
        client = server.client()
        sent = []
        assert client.frame_of_write(1, 16, 32, [1, 0]) == "01 10 00 20 00 02 04 00 01 00 00"
        exchange = await client.write_registers(
            1, PROFILE, 16, 32, [1, 0], on_sent=lambda: sent.append(len(server.writes))
        )
        assert server.writes == [(1, 32, [1, 0])]
        assert sent == [0], "the point after sending lies before the answer"
        assert exchange.response.endswith("01 10 00 20 00 02")

    run(test)


@pytest.mark.parametrize("unit", [0, 248, 255, -1])
def test_broadcast_and_reserved_units_are_refused(unit):
    async def test(server):
        client = server.client()
        with pytest.raises(Refused):
            await client.write_registers(unit, PROFILE, 16, 32, [1, 0])
        with pytest.raises(Refused):
            await client.read_block(unit, PROFILE, BLOCK)
        assert server.requests == []

    run(test)


@pytest.mark.parametrize(
    ("function", "address", "words"),
    [(16, 32, [0, 0]), (16, 33, [1, 0]), (6, 32, [1]), (16, 32, [1, 0, 0]), (16, 0, [1, 0])],
)
def test_write_outside_the_profile_is_refused(function, address, words):
    async def test(server):
        with pytest.raises(Refused):
            await server.client().write_registers(1, PROFILE, function, address, words)
        assert server.requests == []

    run(test)


@pytest.mark.parametrize("block", [Block(4, 0, 3), Block(3, 1, 2), Block(3, 0, 17)])
def test_read_outside_the_profile_is_refused(block):
    async def test(server):
        with pytest.raises(Refused):
            await server.client().read_block(1, PROFILE, block)
        assert server.requests == []

    run(test)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 0x0A, 0x0B])
def test_exception_is_told_and_the_connection_stays(code):
    async def test(server):
        async def refuse(unit, pdu, frame, writer):
            writer.write(frame[:4] + struct.pack(">HBBB", 3, unit, pdu[0] | 0x80, code))
            return True

        server.behave = refuse
        client = server.client()
        with pytest.raises(ModbusException) as caught:
            await client.read_block(1, PROFILE, BLOCK)
        assert caught.value.code == code
        server.behave = None
        assert await client.read_block(1, PROFILE, BLOCK)
        assert server.connections == 1

    run(test)


GOOD = bytes.fromhex("03060001e24001f4")

#: (what is wrong, how the proper frame becomes it)
WRONG = {
    "transaction": lambda f: struct.pack(">H", struct.unpack(">H", f[:2])[0] + 1) + f[2:],
    "previous transaction": lambda f: struct.pack(">H", struct.unpack(">H", f[:2])[0] - 1) + f[2:],
    "no transaction": lambda f: b"\0\0" + f[2:],
    "protocol": lambda f: f[:2] + b"\0\1" + f[4:],
    "unit": lambda f: f[:6] + b"\2" + f[7:],
    "function": lambda f: f[:7] + b"\4" + f[8:],
    "exception of another function": lambda f: f[:4] + b"\0\3\1\x84\2",
    "exception with a tail": lambda f: f[:4] + b"\0\4\1\x83\2\0",
    "byte count too small": lambda f: f[:8] + b"\4" + f[9:],
    "byte count zero": lambda f: f[:8] + b"\0" + f[9:],
    "byte count too big": lambda f: f[:8] + b"\xff" + f[9:],
    "shorter": lambda f: f[:4] + b"\0\7" + f[6:8] + b"\4" + f[9:13],
    "longer": lambda f: f[:4] + b"\0\x0b" + f[6:8] + b"\x08" + f[9:] + b"\0\0",
    "length 0": lambda f: f[:4] + b"\0\0" + f[6:],
    "length 65535": lambda f: f[:4] + b"\xff\xff" + f[6:],
    "twice in one segment": lambda f: f + f,
    "bytes after": lambda f: f + b"\0",
    "garbage": lambda f: b"\x55" * 20,
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_answer_that_does_not_fit_ends_the_connection(what):
    async def test(server):
        async def twist(unit, pdu, frame, writer):
            writer.write(WRONG[what](frame))
            return True

        server.behave = twist
        client = server.client()
        with pytest.raises(WrongAnswer):
            await client.read_block(1, PROFILE, BLOCK)
        assert not client.is_connected
        server.behave = None
        assert await client.read_block(1, PROFILE, BLOCK) == (1, 57920, 500)
        assert server.connections == 2

    run(test)


def test_answer_in_single_bytes_is_whole():
    async def test(server):
        async def drip(unit, pdu, frame, writer):
            for byte in frame:
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0)
            return True

        server.behave = drip
        assert await server.client(timeout=2).read_block(1, PROFILE, BLOCK) == (1, 57920, 500)

    run(test)


@pytest.mark.parametrize("part", [0, 5, 10])
def test_silence_and_half_an_answer_end_the_connection(part):
    async def test(server):
        async def cut_short(unit, pdu, frame, writer):
            writer.write(frame[:part])
            return True

        server.behave = cut_short
        client = server.client()
        with pytest.raises(NoAnswer):
            await client.read_block(1, PROFILE, BLOCK)
        assert not client.is_connected

    run(test)


def test_reset_in_the_middle_is_noticed_at_once():
    async def test(server):
        async def reset(unit, pdu, frame, writer):
            writer.write(frame[:8])
            writer.transport.abort()
            return True

        server.behave = reset
        with pytest.raises(NoAnswer, match="closed the connection"):
            # Far below the time-out: the lost connection itself is the news.
            await asyncio.wait_for(server.client(timeout=30).read_block(1, PROFILE, BLOCK), 5)

    run(test)


def test_late_answer_is_never_taken_for_the_next_one():
    """After a time-out the late answer comes; no read returns another meter's words."""

    async def test(server):
        late = []

        async def every_third_is_late(unit, pdu, frame, writer):
            if len(server.requests) % 3 == 0:
                late.append((writer, frame))
                return True
            for old_writer, old_frame in late:
                if not old_writer.transport.is_closing():
                    old_writer.write(old_frame)
            late.clear()
            return False

        server.behave = every_third_is_late
        client = server.client(timeout=0.02)
        good = bad = 0
        for turn in range(60):
            unit = 1 + turn % 2
            try:
                words = await client.read_block(unit, PROFILE, BLOCK)
            except NoAnswer:
                bad += 1
            else:
                assert words == ((1, 57920, 500) if unit == 1 else (3, 25614, 0))
                good += 1
        assert good >= 25 and bad >= 20

    run(test)


def test_unasked_bytes_end_the_connection_before_the_next_request():
    async def test(server):
        done = asyncio.Event()

        async def twice(unit, pdu, frame, writer):
            writer.write(frame)
            await writer.drain()
            await done.wait()
            writer.write(frame)
            return True

        server.behave = twice
        client = server.client()
        await client.read_block(1, PROFILE, BLOCK)
        connection = client._connection
        done.set()
        while not connection.broken:
            await asyncio.sleep(0.001)
        server.behave = None
        assert await client.read_block(2, PROFILE, BLOCK) == (3, 25614, 0)
        assert server.connections == 2

    run(test)


@pytest.mark.parametrize("tail", [b"\x01\x10\x00\x21\x00\x02", b"\x01\x10\x00\x20\x00\x01"])
def test_acknowledgement_of_another_write_is_wrong(tail):
    async def test(server):
        async def other(unit, pdu, frame, writer):
            writer.write(frame[:6] + tail)
            return True

        server.behave = other
        client = server.client()
        with pytest.raises(WrongAnswer):
            await client.write_registers(1, PROFILE, 16, 32, [1, 0])
        assert not client.is_connected

    run(test)


def test_cancelled_request_ends_the_connection():
    async def test(server):
        asked = asyncio.Event()

        async def silent(unit, pdu, frame, writer):
            asked.set()
            return True

        server.behave = silent
        client = server.client(timeout=30)
        task = asyncio.create_task(client.read_block(1, PROFILE, BLOCK))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not client.is_connected

    run(test)


def test_nobody_listens():
    async def test(server):
        port = server.port
        await server.__aexit__()
        client = tcp_client(port)
        with pytest.raises(Unreachable):
            await client.read_block(1, PROFILE, BLOCK)

    run(test)


@pytest.mark.parametrize("allowed", [(), (ipaddress.ip_network("10.0.0.0/8"),)])
def test_address_that_is_not_allowed_is_not_connected(allowed):
    async def test(server):
        client = server.client(allowed=allowed)
        with pytest.raises(Refused, match="this very server"):
            await client.read_block(1, PROFILE, BLOCK)
        assert server.connections == 0

    run(test)


def test_name_is_judged_by_what_it_resolves_to():
    async def test(server):
        client = tcp_client(
            server.port, host="localhost", allowed=[ipaddress.ip_network("10.0.0.0/8")]
        )
        with pytest.raises(Refused, match="localhost"):
            await client.connect()

    run(test)


def test_nothing_is_sent_without_the_lease():
    async def test(server):
        client = server.client(may_send=lambda: False)
        with pytest.raises(NotHolder):
            await client.read_block(1, PROFILE, BLOCK)
        with pytest.raises(NotHolder):
            await client.write_registers(1, PROFILE, 16, 32, [1, 1])
        assert server.requests == []

    run(test)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40))
def test_random_bytes_give_documented_errors_only(noise):
    async def test(server):
        async def answer(unit, pdu, frame, writer):
            writer.write(noise)
            writer.transport.abort() if len(noise) % 2 else writer.close()
            return True

        server.behave = answer
        with pytest.raises(FieldError):
            await server.client().read_block(1, PROFILE, BLOCK)

    run(test)


def test_independent_server_agrees():
    """pyModbusTCP, another author's server."""
    pytest.importorskip("pyModbusTCP", reason="the independent server is a test dependency")
    from pyModbusTCP.server import ModbusServer

    with_port = ModbusServer(host="127.0.0.1", port=0, no_block=True)
    with_port.start()
    try:
        port = with_port._service.server_address[1]
        with_port.data_bank.set_holding_registers(0, [1, 57920, 500])

        async def test():
            client = tcp_client(port)
            assert await client.read_block(1, PROFILE, BLOCK) == (1, 57920, 500)
            await client.write_registers(1, PROFILE, 16, 32, [1, 1])
            client.close()

        asyncio.run(test())
        assert with_port.data_bank.get_holding_registers(32, 2) == [1, 1]
    finally:
        with_port.stop()


def _other_profiles_read_is_refused():
    async def test(server):
        client = server.client()
        await client.read_block(1, PROFILE, BLOCK)
        requests = len(server.requests)
        # The same unit and block, but a map that has no such block.
        with pytest.raises(Refused):
            await client.read_block(1, profile(max_block=2), BLOCK)
        assert len(server.requests) == requests

    run(test)


def _answer_after_a_crash_point_raises_doubt():
    async def test(server):
        client = server.client()

        def crash():
            raise RuntimeError("a crash point")

        with pytest.raises(RuntimeError):
            await client.write_registers(1, PROFILE, 16, 32, [1, 0], on_sent=crash)
        async with asyncio.timeout(2):
            while not server.writes:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
        assert not client.is_connected, "nobody waits for this answer"

    run(test)


@pytest.mark.parametrize(
    ("check", "function", "line", "instead"),
    [
        (
            _other_profiles_read_is_refused,
            GatewayClient._read_request,
            " or request.profile is not profile",
            "",
        ),
        (
            _answer_after_a_crash_point_raises_doubt,
            Connection.ask,
            "self._answer = None",
            "pass",
        ),
    ],
)
def test_what_is_kept_of_a_request_protects_nobody_less(check, function, line, instead):
    check()
    with planted(function, line, instead), pytest.raises((AssertionError, pytest.fail.Exception)):
        check()
