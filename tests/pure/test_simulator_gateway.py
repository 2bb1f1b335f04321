"""Frames on the wire: answers, exceptions, faults, the bus's time, and what is counted."""

import asyncio

import pytest
from simulator_helpers import DDSY_0200, RawClient, ddsy1352, frame, frozen_clock, kaifeng_valve

from simulator import frames
from simulator.faults import FaultList
from simulator.gateway import Gateway

READ_0200 = "03 0200 0030"
FORCE_OFF = "10 0057 0002 04 0001 0001"


def play(scenario, **options):
    """Run scenario(gateway) on an open gateway: unit 1 and 2 electricity, unit 3 water."""

    async def main():
        meters = {1: ddsy1352(), 2: ddsy1352(), 3: kaifeng_valve(move_seconds=0)}
        gateway = Gateway(frozen_clock(), meters, **options)
        await gateway.listen("127.0.0.1")
        try:
            return await asyncio.wait_for(scenario(gateway), 20)
        finally:
            gateway.close()

    return asyncio.run(main())


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


def test_a_read_byte_by_byte():
    async def scenario(gateway):
        gateway.clock.step(3 * 3600)
        async with RawClient(gateway.port) as client:
            for transaction in (b"\x00\x2a", b"\xff\x07"):  # made, then kept
                client.send(transaction + bytes.fromhex("0000 0006 01 03 0200 0030"))
                answer = await client.receive()
                assert answer == transaction + bytes.fromhex("0000 0063 01 03 60" + DDSY_0200)

    play(scenario)


def test_a_kept_answer_is_not_older_than_clock_or_command():
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            total, relay = "03 0215 0002", "03 0224 0001"
            assert await client.ask(total) == "03 04 00 00 27 10"  # 100.00
            assert await client.ask(relay) == "03 02 20 09"
            gateway.clock.step(3600)
            assert await client.ask(total) == "03 04 00 00 27 ec"  # 102.20
            assert await client.ask(relay) == "03 02 20 09"
            assert await client.ask(FORCE_OFF) == "10 00 57 00 02"
            assert await client.ask(relay) == "03 02 00 08"
            assert await client.ask(relay, unit=2) == "03 02 20 09"

    play(scenario)


def test_valve_over_the_wire():
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            assert await client.ask("06 001c 0002", unit=3) == "06 00 1c 00 02"
            assert await client.ask("03 001c 0001", unit=3) == "03 02 00 02"

    play(scenario)


@pytest.mark.parametrize(
    ("pdu", "unit", "expected"),
    [
        (READ_0200, 9, "83 0b"),  # nobody there
        (FORCE_OFF, 0, "90 0b"),
        ("04 0200 0001", 1, "84 01"),  # not a function of this meter
        ("06 0057 0001", 1, "86 01"),
        ("10 001c 0001 02 0002", 3, "90 01"),
        ("01 0000 0001", 1, "81 01"),
        ("2b 0e 01 00", 1, "ab 01"),
        ("03 0060 0001", 1, "83 02"),
        ("03 ffff 0002", 1, "83 02"),
        ("10 ffff 0002 04 0000 0000", 1, "90 02"),
        ("10 0058 0002 04 0001 0000", 1, "90 02"),
        ("03 0200 0000", 1, "83 03"),
        ("03 0200 007e", 1, "83 03"),  # 126 registers
        ("03 0200", 1, "83 03"),
        ("10 0057 0002 04 0001", 1, "90 03"),
        ("10 0057 0002 02 0001", 1, "90 03"),
        ("10 0057 0000 00", 1, "90 03"),
        ("10 0057 0002 04 0003 0000", 1, "90 03"),
        ("10 0057", 1, "90 03"),
        ("06 001c 0009", 3, "86 03"),
        ("06 001c", 3, "86 03"),
    ],
)
def test_exceptions(pdu, unit, expected):
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            assert await client.ask(pdu, unit) == expected
        assert gateway.stats()["refused"] == 1
        assert all(not meter.history for meter in gateway.meters.values())

    play(scenario)


def test_frames_in_pieces_and_in_one_go():
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            one, two = frame("03 0224 0001", 1, 7), frame("03 0224 0001", 2, 8)
            for piece in (one[:3], one[3:9], one[9:] + two[:1]):
                client.send(piece)
                await client.writer.drain()
                await until(lambda: not client.writer.transport.get_write_buffer_size())
            assert (await client.receive())[:2] == b"\0\x07"
            client.send(two[1:] + one + two)
            assert [(await client.receive())[1] for _ in range(3)] == [8, 7, 8]

    play(scenario)


@pytest.mark.parametrize(
    "header",
    ["0001 0001 0006 01 03 0224 0001", "0001 0000 0001 01 03", "0001 0000 00ff 01 03"],
)
def test_what_is_no_modbus_ends_the_connection(header, caplog):
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            await client.ask("03 0224 0001")  # its answer is kept
            client.send(bytes.fromhex(header))
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.receive()

    play(scenario)
    assert "connection closed" in caplog.text


def test_silence_of_one_unit_for_a_count():
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            gateway.faults.add("silence", unit=1, count=2)
            client.send(frame(FORCE_OFF, 1) + frame(READ_0200, 1))
            # The other unit answers, and nothing was answered or obeyed before it.
            assert await client.ask("03 0224 0001", unit=2) == "03 02 20 09"
            assert gateway.stats()["unanswered"] == 2
            assert await client.ask("03 0224 0001", unit=1) == "03 02 20 09"
            assert not gateway.faults

    play(scenario)


def test_delay_takes_at_least_its_time_and_others_pass():
    async def scenario(gateway):
        loop = asyncio.get_running_loop()
        gateway.faults.add("delay", unit=1, ms=80)
        async with RawClient(gateway.port) as client:
            begin = loop.time()
            client.send(frame("03 0224 0001", 1, 1) + frame("03 0224 0001", 2, 2))
            assert (await client.receive())[1] == 2
            assert (await client.receive())[1] == 1
            assert loop.time() - begin >= 0.08

    play(scenario)


def test_wrong_unit():
    async def scenario(gateway):
        gateway.faults.add("wrong_unit", count=1)
        async with RawClient(gateway.port) as client:
            client.send(frame("03 0224 0001", 1))
            assert (await client.receive())[6] == 2
            assert await client.ask("03 0224 0001", 1) == "03 02 20 09"

    play(scenario)


def test_half_open_accepts_and_keeps_the_connection():
    async def scenario(gateway):
        number = gateway.faults.add("half_open")
        async with RawClient(gateway.port) as client:
            client.send(frame(FORCE_OFF, 1))
            await until(lambda: gateway.requests)
            assert gateway.stats()["connections"] == 1
            assert not client.reader.at_eof()
            assert gateway.faults.clear(number) == 1
            # The same connection answers again; the order was not carried out.
            assert await client.ask("03 0224 0001") == "03 02 20 09"

    play(scenario)


def test_a_fault_ends_with_its_duration(monkeypatch):
    now = 100.0
    monkeypatch.setattr("simulator.faults.monotonic", lambda: now)
    faults = FaultList()
    faults.add("silence", duration=5)
    assert [fault.report()["seconds_left"] for fault in faults] == [5]
    assert len(faults.take(1, at_gateway=False)) == 1
    now = 105.0
    assert faults.take(1, at_gateway=False) == []
    assert not faults


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("nonsense", {}, "none of bad_checksum, bytewise, delay"),
        ("delay", {}, "ms"),
        ("delay", {"ms": -1}, "negative"),
        ("silence", {"ms": 1}, "ms"),
        ("silence", {"count": 0}, "positive"),
        ("silence", {"duration": 0}, "positive"),
        ("half_open", {"unit": 1}, "of the gateway"),
        ("exception", {"code": 7}, "none of"),
        ("wrong_length", {"length": 65536}, "0 to 65535"),
    ],
)
def test_faults_are_checked(kind, options, why):
    with pytest.raises(ValueError, match=why):
        FaultList().add(kind, **options)


# RS-485: 11 bits a character, 3.5 characters of silence before answer and next request, at most
# 19200 baud; a read is 8 characters, its answer 5 + 2 a register. By hand for 9600 baud and 32
# registers: (8 + 69) * 11 / 9600 = 88.23 ms, and twice 4.01 ms.
@pytest.mark.parametrize(
    ("baud", "registers", "milliseconds"),
    [
        (9600, 32, 96.25),
        (9600, 60, 160.42),
        (19200, 32, 48.13),
        (19200, 60, 80.21),
        (115200, 32, 10.85),
        (115200, 60, 16.20),
    ],
)
def test_computed_time_of_a_read(baud, registers, milliseconds):
    request = frame(f"03 0000 {registers:04x}")
    answer = frames.answer(request, bytes(2 + 2 * registers))
    seconds = (
        frames.characters_seconds(request, baud)
        + frames.characters_seconds(answer, baud)
        + 2 * frames.silence_seconds(baud)
    )
    assert 1000 * seconds == pytest.approx(milliseconds, abs=0.01)


def test_the_bus_carries_one_transaction_at_a_time_and_counts_two_masters():
    """Two connections at once: 9600 baud, 32 registers, 20 ms of turnaround, so 112.2 ms to the
    first answer and 116.2 ms more to the second."""

    async def scenario(gateway):
        loop = asyncio.get_running_loop()
        async with RawClient(gateway.port) as one, RawClient(gateway.port) as two:
            begin = loop.time()

            async def timed(client, unit):
                assert (await client.ask("03 0200 0020", unit)).startswith("03 40")
                return loop.time() - begin

            first, second = sorted(await asyncio.gather(timed(one, 1), timed(two, 2)))
            assert first >= 0.1122
            assert second >= 0.1122 + 0.1159
            stats = gateway.stats()
            assert stats["overlaps"] == 1
            assert stats["requests"] == 2
            assert stats["connections_peak"] == 2
            # One after the other is no overlap.
            await one.ask("03 0224 0001", 1)
            await two.ask("03 0224 0001", 1)
            assert gateway.stats()["overlaps"] == 1

    play(scenario, baud=9600, turnaround=0.02)


def test_a_dead_unit_holds_the_bus_for_the_time_out():
    async def scenario(gateway):
        loop = asyncio.get_running_loop()
        gateway.faults.add("silence", unit=1)
        async with RawClient(gateway.port) as client:
            begin = loop.time()
            client.send(frame("03 0224 0001", 1, 1) + frame("03 0224 0001", 2, 2))
            assert (await client.receive())[1] == 2
            assert loop.time() - begin >= 0.15
            assert await client.ask("03 0224 0001", unit=9) == "83 0b"
            assert loop.time() - begin >= 0.30

    play(scenario, baud=115200, turnaround=0, timeout=0.15)


def test_an_order_on_the_bus_is_carried_out_though_its_sender_has_gone():
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            client.send(frame(FORCE_OFF, 1))
            await until(lambda: gateway.requests)
        await until(lambda: not gateway.connections)
        assert not gateway.meters[1].history
        while not gateway.meters[1].history:
            await asyncio.sleep(0.001)
        assert gateway.meters[1].state() == "forced off"

    play(scenario, baud=9600, turnaround=0.02)


def test_counts():
    async def scenario(gateway):
        async with RawClient(gateway.port) as client:
            await client.ask(READ_0200)
            await client.ask(READ_0200)
            await client.ask(FORCE_OFF)
        await until(lambda: not gateway.connections)
        assert gateway.stats() == {
            "gateway": gateway.port,
            "requests": 3,
            "writes": 1,
            "refused": 0,
            "unanswered": 0,
            "connections": 0,
            "connections_total": 1,
            "connections_peak": 1,
            "in_flight": 0,
            "overlaps": 0,
        }

    play(scenario)
