"""Probing: what is read, what is refused, what profiles make of it."""

import asyncio
import struct
from dataclasses import replace

import pytest
from modbus_fakes import Server, profile
from test_modbus_profile import load

from modbus.device import ModbusDriver
from modbus.errors import NotHolder, Unreachable
from modbus.planning import Block
from modbus.probing import ProbeJob, RawBlock, decoded, raw_profile, sense

PROFILE = profile()


def run(test, units=(1,), **options):
    async def whole():
        async with Server(units=units) as server:
            driver = ModbusDriver(server.client(**options))
            try:
                return await test(server, driver)
            finally:
                await driver.close()

    return asyncio.run(asyncio.wait_for(whole(), 20))


async def finish(job, driver):
    for _step in range(200):
        result = await job.step(driver)
        if result is not None:
            return result
    raise AssertionError("the job has no end")


def of(rows, meaning):
    (row,) = [row for row in rows if row.register.meaning == meaning]
    return row


def test_words_and_values_of_a_unit_that_is_no_meter_of_ours():
    async def test(server, driver):
        server.put_u32(7, 0, 123456)
        server.words[7].update({2: 0xFFFF - 499, 16: 2})
        return await finish(ProbeJob(9, 7, [PROFILE]), driver), server.requests

    result, requests = run(test, units=(7,))
    # Two blocks: 0000 to 0002, and 0010.
    assert [pdu.hex() for _unit, pdu in requests] == ["0300000003", "0300100001"]
    assert result.state == "confirmed"
    assert result.result["unit"] == 7
    assert result.result["blocks"] == [
        {"function": 3, "address": 0, "count": 3, "words": ["0001", "E240", "FE0C"], "error": ""},
        {"function": 3, "address": 16, "count": 1, "words": ["0002"], "error": ""},
    ]
    assert result.request.splitlines()[0].endswith("07 03 00 00 00 03")
    assert result.response.splitlines()[1].endswith("07 03 02 00 02")
    rows = decoded(PROFILE, [RawBlock.from_json(row) for row in result.result["blocks"]])
    # 123456 hundredths; FE0C is -500 as a signed word, in thousandths.
    assert of(rows, "total").value == "1234.56"
    assert of(rows, "total").words == (1, 0xE240)
    assert of(rows, "power").value == "-0.500"
    assert of(rows, "supply_state").value == "off (0002)"
    assert sense(rows) == (3, 3)


def test_one_exchange_a_step_and_progress_between():
    async def test(server, driver):
        job = ProbeJob(9, 1, [PROFILE])
        assert job.progress() == {}
        assert await job.step(driver) is None
        assert len(server.requests) == 1
        assert (len(job.progress()["blocks"]), job.progress()["left"]) == (1, 1)
        assert (await job.step(driver)).state == "confirmed"

    run(test)


def test_several_profiles_share_their_blocks():
    async def test(server, driver):
        other = replace(profile(max_gap=0), code="other")
        return await finish(ProbeJob(9, 1, [PROFILE, other], [Block(3, 0, 3)]), driver), server

    _result, server = run(test)
    assert len(server.requests) == 2


def test_a_refused_block_is_tried_register_by_register():
    async def test(server, driver):
        async def refuse(unit, pdu, frame, writer):
            address, count = struct.unpack(">HH", pdu[1:5])
            if address <= 2 < address + count:
                writer.write(frame[:4] + struct.pack(">HBBB", 3, unit, pdu[0] | 0x80, 2))
                return True
            return False

        server.put_u32(1, 0, 500)
        server.behave = refuse
        return await finish(ProbeJob(9, 1, [PROFILE]), driver)

    result = run(test)
    rows = decoded(PROFILE, [RawBlock.from_json(row) for row in result.result["blocks"]])
    assert of(rows, "total").value == "5.00"
    assert of(rows, "power").words is None
    assert of(rows, "power").error == "exception 02: illegal address"
    assert of(rows, "power").is_plausible is False


def test_a_silent_unit_costs_two_time_outs():
    async def test(server, driver):
        async def silence(unit, pdu, frame, writer):
            return True

        server.behave = silence
        blocks = [Block(3, 100 * n, 1) for n in range(9)]
        return await finish(ProbeJob(9, 1, [], blocks), driver), len(server.requests)

    result, asked = run(test, timeout=0.05)
    assert asked == 2
    assert result.state == "failed"
    assert "no answer" in result.error
    assert len(result.result["blocks"]) == 9


def test_what_stops_the_bus_stops_the_probe():
    async def test(server, driver):
        server._server.close()
        driver.client.port = 1
        with pytest.raises(Unreachable):
            await ProbeJob(9, 1, [PROFILE]).step(driver)

    run(test)

    async def not_held(server, driver):
        with pytest.raises(NotHolder):
            await ProbeJob(9, 1, [PROFILE]).step(driver)
        assert server.requests == []

    run(not_held, may_send=lambda: False)


@pytest.mark.parametrize(
    "block",
    [
        Block(6, 0, 1),
        Block(16, 0, 1),
        Block(1, 0, 1),
        Block(0x14, 0, 1),
        Block(3, 0, 0),
        Block(3, 0, 126),
        Block(3, 0xFFFF, 2),
        Block(3, -1, 1),
    ],
)
def test_only_reading_functions_and_real_registers(block):
    with pytest.raises(ValueError, match=r"function|registers|last address"):
        ProbeJob(9, 1, [], [block])


def test_nothing_named_and_too_much_named():
    with pytest.raises(ValueError, match="nothing to read"):
        ProbeJob(9, 1)
    with pytest.raises(ValueError, match="too many"):
        ProbeJob(9, 1, [], [Block(3, n, 1) for n in range(61)])


@pytest.mark.parametrize("unit", [0, 248, 255])
def test_broadcast_and_reserved_units_are_refused(unit):
    async def test(server, driver):
        result = await finish(ProbeJob(9, unit, [PROFILE]), driver)
        assert result.state == "failed"
        assert "1..247" in result.error
        assert server.requests == []

    run(test)


def test_a_raw_profile_permits_its_blocks_and_no_writing():
    raw = raw_profile([Block(4, 10, 5)])
    assert raw.allows_read(Block(4, 10, 5))
    for other in (Block(4, 10, 4), Block(4, 11, 4), Block(3, 10, 5)):
        assert not raw.allows_read(other)
    assert not raw.allows_write(16, 10, [1])


def test_the_profile_that_makes_sense_stands_out():
    # An Eastron: 230.1 V, 0.5 A, 115 W, 50 Hz, 1234.5 kWh as singles from 0 and 46 on.
    words = [0] * 0x4C
    for address, number in ((0, 230.1), (6, 0.5), (12, 115.0), (0x46, 50.0), (0x48, 1234.5)):
        words[address : address + 2] = struct.unpack(">2H", struct.pack(">f", number))
    eastron, ddsy = load("eastron_sdm120"), load("acrel_ddsy1352")
    blocks = [
        RawBlock(Block(4, 0, 0x4C), tuple(words)),
        RawBlock(Block(3, 0, 17), None, "exception 01: illegal function"),
    ]
    rows = decoded(eastron, blocks)
    assert of(rows, "voltage").value == "230.1"
    assert of(rows, "power").value == "0.115"
    plausible, judged = sense(rows)
    assert plausible == judged == 6
    plausible, judged = sense(decoded(ddsy, blocks))
    assert plausible == 0 < judged


def test_a_clock_is_shown_as_one_and_garbage_named():
    ddsy = load("acrel_ddsy1352")
    block = Block(3, 0x228, 4)
    good = decoded(ddsy, [RawBlock(block, (0x1A03, 0x0201, 0x0B00, 0x0000))])
    assert of(good, "clock").value == "2026-03-02 11:00:00"
    bad = decoded(ddsy, [RawBlock(block, (0x1A0D, 0x0201, 0x0B00, 0x0000))])
    assert "no date and time" in of(bad, "clock").error


def test_raw_blocks_survive_the_database():
    for raw in (RawBlock(Block(3, 1, 2), (1, 0xFFFF)), RawBlock(Block(4, 1, 2), None, "no answer")):
        assert RawBlock.from_json(raw.as_json()) == raw
