"""Every shipped profile against words written by hand from the table of register facts.

Nothing here is made by the codec or the profiles: the words are as a device would send them, the
figures as its display would show them.
"""

import asyncio
from datetime import datetime
from decimal import Decimal

import pytest
from modbus_fakes import METER, Server
from test_modbus_profile import FILES, load

from modbus.device import ModbusDriver
from modbus.driver import FieldMeter, OrderHooks, Outcome, Pending, SupplyOrder
from modbus.profile import Profile

NOW = datetime(2026, 3, 2, 3, 0, 0)
UNIT = 1


def placed(text):
    """Words by address from lines "address: word word …", all in hexadecimal."""
    words = {}
    for line in text.strip().splitlines():
        first, rest = line.split("#")[0].split(":")
        for offset, word in enumerate(rest.split()):
            words[int(first, 16) + offset] = int(word, 16)
    return words


# Profile: what the device holds, its display, and by which function it is read.
DEVICES = {
    "acrel_ddsy1352": (
        """
        0000: 0001 E240   # 123456 hundredths
        0002: 0000 0064 0000 00C8 0000 012C 0001 DFE8
        000B: 08FC 00FA   # 230.0 V, 2.50 A
        000D: 023F 0000 023F 03E8   # 0.575 kW, (0), 0.575 kVA, 1.000
        0224: 2009
        """,
        {
            "total": "1234.56",
            "band_1": "1",
            "band_2": "2",
            "band_3": "3",
            "band_4": "1228.56",
            "voltage": "230",
            "current": "2.5",
            "power": "0.575",
            "apparent_power": "0.575",
            "power_factor": "1",
            "state": "on",
        },
    ),
    "acrel_dtsy1352": (
        """
        0000: 0001 E240 0000 0064 0000 00C8 0000 012C 0001 DFE8
        0201: 08FC 0906 08F2   # 230.0, 231.0, 229.0 V
        0204: 00FA 0064 0032   # 2.50, 1.00, 0.50 A
        0207: 023F 00E6 FFCE 02D7   # 0.575, 0.230, -0.050, 0.727 kW
        020E: FF9C   # -0.100 kvar
        0212: 03D4   # 0.980
        0213: 0001 0028   # PT 1, CT 40
        0224: E009 0000
        """,
        {
            "total": "1234.56",
            "band_4": "1228.56",
            "voltage": "230",
            "voltage_l2": "231",
            "voltage_l3": "229",
            "current": "2.5",
            "current_l2": "1",
            "current_l3": "0.5",
            "power_l1": "0.575",
            "power_l2": "0.23",
            "power_l3": "-0.05",
            "power": "0.727",
            "reactive_power": "-0.1",
            "power_factor": "0.98",
            "pt_ratio": "1",
            "ct_ratio": "40",
            "multiplier": "40",
            "state": "on",
        },
    ),
    "acrel_adl400": (
        """
        0000: 0001 E240 0000 0064 0000 00C8 0000 012C 0001 DFE8
        0061: 08FC 0906 08F2 00FA 0064 0032
        """,
        {"total": "1234.56", "band_1": "1", "voltage_l3": "229", "current_l2": "1"},
    ),
    "acrel_adw300": (
        """
        0014: 08FC 0906 08F2   # decimal 20
        001A: 00FA 0064 0032   # decimal 26
        0024: FFFF FDC1   # decimal 36: -575 W
        003E: 0001 E240 0000 0064   # decimal 62 and 64
        """,
        {
            "total": "1234.56",
            "export_total": "1",
            "voltage": "230",
            "current_l3": "0.5",
            "power": "-0.575",
        },
    ),
    "eastron_sdm120": (
        """
        0000: 4366 0000   # 230.0
        0006: 4020 0000   # 2.5
        000C: 440F C000   # 575.0 W
        0046: 4248 0000   # 50.0
        0048: 449A 5000 4144 0000   # 1234.5, 12.25
        """,
        {
            "total": "1234.5",
            "export_total": "12.25",
            "voltage": "230",
            "current": "2.5",
            "power": "0.575",
            "frequency": "50",
        },
    ),
    "eastron_sdm630": (
        """
        0000: 4366 0000 4367 0000 4365 0000   # 230, 231, 229
        0006: 4020 0000
        0034: 440F C000
        0046: 4248 0000
        0048: 449A 5000 4144 0000
        """,
        {
            "total": "1234.5",
            "export_total": "12.25",
            "voltage_l2": "231",
            "voltage_l3": "229",
            "current": "2.5",
            "power": "0.575",
            "multiplier": "1",
        },
    ),
    "chint_dtsu666": (
        """
        101E: 449A 5000   # 1234.5
        1028: 4144 0000   # 12.25
        2006: 450F C000   # 2300.0 tenths of a volt
        200C: 451C 4000   # 2500.0 mA
        2012: 45B3 B000   # 5750.0 tenths of a watt
        """,
        {
            "total": "1234.5",
            "export_total": "12.25",
            "voltage": "230",
            "current": "2.5",
            "power": "0.575",
        },
    ),
    "schneider_iem3000": (
        """
        0BB7: 4020 0000
        0BD3: 43C8 0000   # 400.0 V
        0BF3: 3F13 3333   # 0.575 kW
        0C83: 0000 0000 0012 D687   # 1234567 Wh
        0C87: 0000 0000 0000 2FDA   # 12250 Wh
        """,
        {
            "total": "1234.567",
            "export_total": "12.25",
            "voltage": "400",
            "current": "2.5",
            "power": "0.575",
            "multiplier": "1",
        },
    ),
    "wago_879_30xx": (
        """
        5000: 4366 0000
        5008: 4248 0000
        500A: 4020 0000
        5012: 3F13 3333
        600C: 449A 5000
        6018: 4144 0000
        """,
        {
            "total": "1234.5",
            "export_total": "12.25",
            "voltage": "230",
            "frequency": "50",
            "current": "2.5",
            "power": "0.575",
        },
    ),
    "orno_we516": (
        """
        0100: 449A 5000
        0130: 4396 2000   # 300.25
        013C: 43C8 0000   # 400
        0148: 43FA 0000   # 500
        0154: 4207 0000   # 33.75, so that all add up to 1234.0 and the meter's 0.5 is rounding
        """,
        {
            "total": "1234.5",
            "band_1": "300.25",
            "band_2": "400",
            "band_3": "500",
            "band_4": "33.75",
        },
    ),
    "hiking_dds238_2": (
        """
        0008: 0000 04C9   # 12.25 to the grid
        000A: 0001 E240
        000C: 08FC 00FA 023F   # 230.0 V, 2.50 A, 575 W
        0011: 1388   # 50.00 Hz
        001A: 0001
        """,
        {
            "total": "1234.56",
            "export_total": "12.25",
            "voltage": "230",
            "current": "2.5",
            "power": "0.575",
            "frequency": "50",
            "state": "on",
        },
    ),
    "sfere_prepaid": (
        """
        0073: 0001 E240
        080B: 0028
        0B25: 0002
        """,
        {"total": "1234.56", "state": "off"},
    ),
    "kaifeng_xintai_valve": (
        """
        0001: 0050 9A44   # 1234.5 from the lowest byte on
        0003: 0000 4441   # 12.25 backwards
        0005: 0000 803E   # 0.25 m3 an hour
        0007: 00AA
        0008: 0000 FA43   # 500 left
        000C: 0000 7041   # 15 degrees
        001A: 6666 6640   # 3.6 V
        001C: 0002
        """,
        {
            "total": "1234.5",
            "power": "0.25",
            "pipe": "170",
            "temperature": "15",
            "battery": "3.6",
            "state": "off",
        },
    ),
}
ALIKE = {
    "eastron_sdm220": "eastron_sdm120",
    "eastron_sdm230": "eastron_sdm120",
    "orno_we517": "orno_we516",
    "orno_dts353f": "orno_we516",
}
TEMPLATES = {"fineco_em115", "fineco_em737"}


def run(test):
    async def whole():
        async with Server(units=(UNIT,)) as server:
            driver = ModbusDriver(server.client())
            try:
                return await test(server, driver)
            finally:
                await driver.close()

    return asyncio.run(asyncio.wait_for(whole(), 20))


def test_every_shipped_profile_has_a_device_here():
    assert {file.stem for file in FILES} == DEVICES.keys() | ALIKE.keys() | TEMPLATES


@pytest.mark.parametrize("code", sorted(DEVICES.keys() | ALIKE.keys()))
def test_profile_reads_what_the_display_shows(code):
    text, display = DEVICES[ALIKE.get(code, code)]

    async def test(server, driver):
        server.words[UNIT] = placed(text)
        meter = FieldMeter(1, "X", UNIT, load(code))
        return await driver.read(meter, lambda: NOW), server.requests

    snapshot, requests = run(test)
    shown = {
        **snapshot.values,
        **{f"band_{i}": value for i, value in enumerate(snapshot.bands, start=1)},
        "total": snapshot.total,
        "power": snapshot.power,
        "voltage": snapshot.voltage,
        "current": snapshot.current,
        "state": snapshot.supply_state,
        "multiplier": snapshot.multiplier,
    }
    wanted = {name: value if name == "state" else Decimal(value) for name, value in display.items()}
    assert {name: shown.get(name) for name in wanted} == wanted
    functions = {pdu[0] for _unit, pdu in requests}
    assert functions == ({4} if code.startswith("eastron") else {3})


@pytest.mark.parametrize(
    ("code", "function", "address", "on", "off"),
    [
        ("acrel_ddsy1352", 16, 0x0057, [1, 0], [1, 1]),
        ("acrel_dtsy1352", 16, 0x0057, [1, 0], [1, 1]),
        ("hiking_dds238_2", 16, 0x001A, [1], [0]),
        ("kaifeng_xintai_valve", 6, 0x001C, [1], [2]),
    ],
)
def test_supply_is_written_as_the_table_says(code, function, address, on, off):
    async def test(server, driver):
        server.words[UNIT] = placed(DEVICES[code][0])
        meter = FieldMeter(1, "X", UNIT, load(code))

        async def may_write(order, request):
            return ""

        for number, wanted in enumerate(("on", "off")):
            outcome = await driver.start(
                meter, SupplyOrder(number, 1, wanted), OrderHooks(may_write)
            )
            assert isinstance(outcome, Pending), outcome
        return server.writes, [pdu[0] for _unit, pdu in server.requests if pdu[0] not in (3, 4)]

    writes, functions = run(test)
    assert writes == [(UNIT, address, on), (UNIT, address, off)]
    assert functions == [function, function]


def order(meter, wanted="off", words=()):
    """What comes of an order, and what was written."""

    async def test(server, driver):
        server.words[UNIT] = dict.fromkeys(range(0x800), 0) | dict(words)

        async def may_write(order, request):
            return ""

        return (
            await driver.start(meter, SupplyOrder(1, 1, wanted), OrderHooks(may_write)),
            server.writes,
        )

    return run(test)


@pytest.mark.parametrize("code", ["sfere_prepaid", "fineco_em115", "fineco_em737"])
def test_nothing_is_written_by_a_control_that_nobody_confirmed(code):
    outcome, writes = order(FieldMeter(1, "X", UNIT, load(code), control_key=0x1234))
    assert isinstance(outcome, Outcome)
    assert outcome.state == "failed"
    assert "nobody has confirmed" in outcome.error
    assert writes == []
    control = load(code).control
    words = [0x1234 if word == "key" else word for word in control.off]
    assert not load(code).allows_write(control.function, control.address, words)


@pytest.mark.parametrize(("wanted", "state"), [("on", 0x5555), ("off", 0xAAAA)])
def test_a_key_of_its_own_goes_before_the_state(wanted, state):
    data = {
        **METER,
        "control": {
            **METER["control"],
            "on": ["key", 0x5555],
            "off": ["key", "0xAAAA"],
            "certainty": "C",
            "confirmed": "Li Wei, meter 4711, 2 March",
        },
    }
    profile = Profile.from_dict(data)
    meter = FieldMeter(1, "X", UNIT, profile, control_key=0xBEEF)
    outcome, writes = order(meter, wanted, {0x10: 1 if wanted == "off" else 2})
    assert isinstance(outcome, Pending)
    assert writes == [(UNIT, 32, [0xBEEF, state])]
    outcome, writes = order(FieldMeter(1, "X", UNIT, profile), wanted)
    assert (outcome.state, writes) == ("failed", [])
    assert "control key is not known" in outcome.error


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ("E000", "on"),
        ("E1FF", "on"),
        ("0000", "off"),
        ("1FFF", "off"),
        # One or two of three relays closed is neither on nor off.
        ("2000", "unknown"),
        ("4000", "unknown"),
        ("8000", "unknown"),
        ("6000", "unknown"),
        ("A000", "unknown"),
        ("C000", "unknown"),
    ],
)
def test_three_relays_are_on_or_off_together(flags, state):
    assert load("acrel_dtsy1352").control.state_of(int(flags, 16)) == state
