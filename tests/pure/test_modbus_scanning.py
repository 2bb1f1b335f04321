"""A scan: who is on the bus, as what, and where two meters have one number."""

import asyncio
import json
from pathlib import Path

import pytest
from modbus_fakes import METER, Server

import modbus
from modbus.device import ModbusDriver
from modbus.errors import Unreachable
from modbus.profile import Profile
from modbus.scanning import ScanJob, identifying

FOLDER = Path(modbus.__file__).parent.parent / "profiles"
DDSY = Profile.from_dict(json.loads((FOLDER / "acrel_ddsy1352.json").read_text()))
DTSY = Profile.from_dict(json.loads((FOLDER / "acrel_dtsy1352.json").read_text()))
#: A type with a serial number at 100, one told by its total only.
WITH_SERIAL = Profile.from_dict(
    {
        **METER,
        "code": "serial",
        "registers": [
            *METER["registers"],
            {"meaning": "serial", "address": 100, "type": "string", "words": 4},
        ],
    }
)
PLAIN = Profile.from_dict(METER)
PROFILES = {1: DDSY, 2: DTSY}


def scan(server, units, profiles, **options):
    """Run a scan to its end; the result and the number of steps."""

    async def whole():
        driver = ModbusDriver(server.client())
        job = ScanJob(7, units, profiles, **options)
        steps = 0
        while True:
            before = len(server.requests)
            result = await job.step(driver)
            steps += 1
            # After a doubt, one more that settles it.
            assert len(server.requests) - before <= 2, "one exchange a step"
            if result is not None:
                await driver.close()
                return result, steps

    return whole()


def run(test, units=(1, 2, 3)):
    async def whole():
        async with Server(units=units) as server:
            return await test(server)

    return asyncio.run(asyncio.wait_for(whole(), 30))


def put_text(server, unit, address, text):
    data = text.encode().ljust(len(text) + len(text) % 2, b"\0")
    for place in range(0, len(data), 2):
        server.words[unit][address + place // 2] = int.from_bytes(data[place : place + 2], "big")


def put_ddsy(server, unit, serial="ACREL123456789", register=10660, code=7):
    server.words[unit][0x0200] = code
    server.words[unit][0x0213] = server.words[unit][0x0214] = 1
    server.put_u32(unit, 0, register)
    put_text(server, unit, 0x03A0, serial)


def test_known_types_are_told_by_their_type_code():
    async def test(server):
        put_ddsy(server, 1)
        put_ddsy(server, 3, "ACREL000000003", code=5)
        result, _steps = await scan(server, range(1, 6), PROFILES)
        assert result.state == "confirmed"
        assert (result.result["done"], result.result["of"]) == (5, 5)
        units = [
            (u["unit"], u["profile"], u["told_by"], u["serial"], u["total"], u["ct"], u["doubled"])
            for u in result.result["units"]
        ]
        assert units == [
            (1, 1, "type_code", "ACREL123456789", "106.60", "1", ""),
            (2, None, "", None, None, None, ""),
            (3, 2, "type_code", "ACREL000000003", "106.60", "1", ""),
        ]
        json.dumps(result.result)

    run(test)


def test_serial_speaks_louder_than_a_register_that_makes_sense():
    async def test(server):
        put_text(server, 1, 100, "SN-77")
        server.put_u32(1, 0, 500)
        server.put_u32(2, 0, 900)
        result, _steps = await scan(server, (1, 2), {5: PLAIN, 6: WITH_SERIAL})
        first, second = result.result["units"]
        assert (first["profile"], first["told_by"], first["serial"]) == (6, "serial", "SN-77")
        assert (second["profile"], second["told_by"], second["also"]) == (5, "total", [])

    run(test)


def test_zeros_are_no_serial_number():
    async def test(server):
        put_text(server, 1, 100, "00000000")
        server.put_u32(1, 0, 0)
        result, _steps = await scan(server, (1,), {6: WITH_SERIAL, 5: PLAIN})
        (unit,) = result.result["units"]
        assert (unit["profile"], unit["told_by"], unit["serial"]) == (5, "total", None)

    run(test)


def test_as_likely_types_are_counted():
    async def test(server):
        server.put_u32(1, 0, 900)
        result, _steps = await scan(server, (1,), {5: PLAIN, 6: PLAIN})
        (unit,) = result.result["units"]
        assert (unit["profile"], unit["also"]) == (5, [6])

    run(test)


def test_silent_unit_costs_one_time_out_and_the_others_are_found():
    async def test(server):
        put_ddsy(server, 1)
        put_ddsy(server, 3)

        async def behave(unit, pdu, frame, writer):
            return unit == 2

        server.behave = behave
        result, _steps = await scan(server, (1, 2, 3), PROFILES, timeout=0.05)
        assert [unit["unit"] for unit in result.result["units"]] == [1, 3]
        assert [unit for unit, _pdu in server.requests].count(2) == 1
        assert [unit["doubled"] for unit in result.result["units"]] == ["", ""]

    run(test)


def test_shortened_time_out_ends_with_the_exchange():
    async def test(server):
        client = server.client(timeout=5)
        with client.hurried(0.1):
            assert client.timing.answer == 0.1
        assert client.timing.answer == 5

    run(test)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("serials", "several serial numbers"),
        ("register", "goes back"),
        ("jump", "jumps"),
        ("twice", "no answer"),
        ("now and then", "did not come"),
    ],
)
def test_two_meters_with_one_number_are_named(fault, words):
    async def test(server):
        put_ddsy(server, 1)
        reads = 0

        async def behave(unit, pdu, frame, writer):
            nonlocal reads
            reads += 1
            odd = reads % 4 in (0, 1)
            if fault == "serials":
                put_text(server, 1, 0x03A0, "ACREL99999999" if odd else "ACREL11111111")
            elif fault == "register":
                server.put_u32(1, 0, 10660 - reads)
            elif fault == "jump":
                server.put_u32(1, 0, 10660 + 1000 * reads)
            elif fault == "twice" and odd:
                writer.write(frame + frame)
                return True
            elif fault == "now and then" and odd and reads > 1:
                return True
            return False

        server.behave = behave
        result, _steps = await scan(server, (1,), {1: DDSY}, timeout=0.05)
        (unit,) = result.result["units"]
        assert words in unit["doubled"]

    run(test)


def test_steady_meter_under_load_is_one():
    async def test(server):
        put_ddsy(server, 1)
        reads = 0

        async def behave(unit, pdu, frame, writer):
            nonlocal reads
            reads += 1
            server.put_u32(1, 0, 10660 + reads)
            return False

        server.behave = behave
        result, _steps = await scan(server, (1,), PROFILES)
        assert result.result["units"][0]["doubled"] == ""

    run(test)


def test_progress_is_known_between_the_steps():
    async def test(server):
        put_ddsy(server, 1)
        job = ScanJob(7, (1, 2, 3), PROFILES)
        driver = ModbusDriver(server.client())
        seen = []
        while await job.step(driver) is None:
            seen.append(job.progress().get("done", 0))
        await driver.close()
        assert seen == sorted(seen) and {0, 1, 2} <= set(seen)

    run(test)


def test_gateway_that_is_away_leaves_the_scan_untouched():
    async def test(server):
        client = server.client()
        server._server.close()
        await server._server.wait_closed()
        with pytest.raises(Unreachable):
            await ScanJob(7, (1,), PROFILES).step(ModbusDriver(client))

    run(test)


def test_what_cannot_be_scanned_is_refused():
    with pytest.raises(ValueError, match=r"1\.\.247"):
        ScanJob(7, (0, 1), PROFILES)
    with pytest.raises(ValueError, match="no profile"):
        ScanJob(7, (1,), {})


def test_cheapest_sure_sign_is_asked_for():
    assert identifying(DDSY).meaning == "type_code"
    assert identifying(WITH_SERIAL).meaning == "serial"
    assert identifying(PLAIN).meaning == "total"
