"""Whatever bytes come, on either framing: documented errors only, little memory, and the next
proper answer is read."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_world import KINDS, World, play

from modbus.connection import Connection
from modbus.errors import FieldError, NoAnswer, WrongAnswer
from modbus.framing import Asked, RtuFraming, TcpFraming
from simulator import rtu
from simulator.faults import FAULTS, Fault

FRAMINGS = [TcpFraming(), TcpFraming(strict=False), RtuFraming()]
LONGEST_FRAME = 260


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent, self.is_aborted = [], False

    def write(self, data):
        self.sent.append(data)

    def abort(self):
        self.is_aborted = True


def request(framing, number=7):
    pdu = bytes.fromhex("03 0000 0003")
    frame = framing.frame(5, pdu, number)
    return Asked(frame, number, 5, 3, 8, lambda answer: answer[1] == 6)


def proper(framing, number=7):
    """The answer to the request, built from the words of the protocol."""
    pdu = bytes.fromhex("03 06 0001 e240 01f4")
    if isinstance(framing, RtuFraming):
        return b"\5" + pdu + rtu.checksum(b"\5" + pdu)
    return number.to_bytes(2, "big") + b"\0\0\0\x09\5" + pdu


async def feed(framing, pieces):
    """One request answered by these pieces: its PDU, or the error; the connection's wire."""
    connection, wire = Connection(framing), Wire()
    connection.connection_made(wire)
    asking = asyncio.ensure_future(connection.ask(request(framing), 1.0, lambda: None))
    await asyncio.sleep(0)
    held = 0
    for piece in pieces:
        connection.data_received(piece)
        held = max(held, len(connection._buffer))
    try:
        pdu, _frame = await asking
        return pdu, held, wire
    except (NoAnswer, WrongAnswer) as error:
        return error, held, wire


def mutated(dice, frame):
    """A proper frame after a few random changes, cut into random pieces."""
    data = bytearray(frame)
    for _change in range(dice.randrange(4)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0:
                data[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 1:
                del data[at : at + dice.randrange(1, 6)]
            case 2:
                if at < len(data):
                    data[at] = dice.randrange(256)
            case 3:
                data += frame
    pieces = []
    while data:
        size = dice.choice([1, 2, 7, 300])
        pieces.append(bytes(data[:size]))
        del data[:size]
    return pieces


@pytest.mark.parametrize("framing", FRAMINGS, ids=["tcp", "tcp without numbers", "rtu"])
def test_mutated_answers(framing):
    """Twenty thousand: none is taken whose data are not the device's, unless its checksum says
    so or, without one, nothing could tell."""

    async def scenario():
        dice = random.Random(11)
        taken = 0
        for _round in range(20_000):
            pieces = mutated(dice, proper(framing))
            result, held, _wire = await feed(framing, pieces)
            assert held <= LONGEST_FRAME + 300
            if isinstance(result, bytes):
                taken += 1
                if result[0] == 3:
                    assert len(result) == 8 and result[1] == 6
                    if isinstance(framing, RtuFraming):
                        assert result == proper(framing)[1:-2]
                else:
                    assert result[0] == 0x83 and len(result) == 2
        assert 1000 < taken < 19_000, "the changes are neither all nor never noticed"

    play(scenario)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(FRAMINGS),
    st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=6),
)
def test_random_bytes(framing, pieces):
    async def scenario():
        result, held, _wire = await feed(framing, pieces)
        assert held <= 2400
        assert isinstance(result, bytes | FieldError)
        if isinstance(framing, RtuFraming) and isinstance(result, bytes):
            joined = b"".join(pieces)
            assert joined[1 : 1 + len(result)] == result

    play(scenario)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FRAMINGS), st.binary(max_size=300), st.binary(max_size=300))
def test_bytes_before_and_after_an_answer(framing, before, after):
    """Bytes around the answer: before it they spoil it; after it they end the connection."""

    async def scenario():
        whole = proper(framing)
        result, _held, wire = await feed(framing, [before + whole, after] if after else [whole])
        if before and after:
            assert isinstance(result, bytes | FieldError)
            return
        assert result == bytes.fromhex("03 06 0001 e240 01f4")
        assert wire.is_aborted is bool(after)

    play(scenario)


class Noise(Fault):
    """Answers with what it is given."""

    def __init__(self, noise):
        self.noise = noise

    def on_wire(self, exchange):
        exchange.pieces = [(0.01, piece) for piece in self.noise.pop(0)] if self.noise else []


@pytest.mark.parametrize("kind", KINDS)
def test_the_bus_always_recovers(kind, monkeypatch):
    """A thousand answers of noise between proper ones: no reading comes of them, and the bus goes
    on. (Without checksum and number, noise that is a whole answer cannot be told.)"""
    monkeypatch.setitem(FAULTS, "noise", Noise)

    async def scenario():
        dice = random.Random(5)
        world = World(kind)
        for _round in range(1000):
            noise = [dice.randbytes(dice.randrange(1, 60)) for _piece in range(dice.randrange(4))]
            world.gateway.faults.add("noise", unit=2, count=1, noise=[noise])
            await world.read(2)
            assert world.snapshots == []
            if not _round % 50:
                await world.read(1)
                assert not world.wrong(world.snapshots.pop())
            world.gateway.faults.clear()
            world.bus._due.clear()
            world.bus.health_of(2).wait_until = 0.0
        await world.settle(1)
        await world.read(2)
        assert [snapshot.meter for snapshot in world.snapshots] == [2]
        assert len(world.client._doubtful) < 30, "what is remembered of doubts is bounded"

    play(scenario)
