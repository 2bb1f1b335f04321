"""Devices beside the DDSY1352 and the valve meter, and what may be changed about a device.

Words are written by hand from the table of register facts.
"""

import asyncio
import json
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from modbus_fakes import tcp_client
from simulator_helpers import (
    ONE_KILOWATT,
    QUARTER_CUBIC_METRE,
    START,
    ddsy1352,
    frozen_clock,
    kaifeng_valve,
    site_value,
)
from test_modbus_profile import FILES, load

from modbus.device import ModbusDriver
from modbus.driver import FieldMeter, OrderHooks, SupplyOrder
from simulator.control import Control, ControlServer
from simulator.dtsy1352 import Dtsy1352
from simulator.frames import ModbusError
from simulator.load import seconds
from simulator.register_device import PROFILES, RegisterDevice, reordered
from simulator.site import build_site

READ, INPUT, WRITE_ONE, WRITE_MANY = 3, 4, 6, 16


def at(hours):
    return seconds(START) + round(3600 * hours)


def words(data):
    return data.hex(" ", 2)


def dtsy1352(register="100", scale="6.6", **options):
    return Dtsy1352(
        "DTSY1234567890",
        Decimal(register),
        ONE_KILOWATT,
        Fraction(scale),
        0,
        seconds(START),
        **options,
    )


def device(code, register="1234.5", scale="0.55", **options):
    profile = json.loads((PROFILES / f"{code}.json").read_text())
    curve = QUARTER_CUBIC_METRE if profile["commodity"] == "water" else ONE_KILOWATT
    return RegisterDevice(
        "S123456", Decimal(register), curve, Fraction(scale), 0, at(0), profile=profile, **options
    )


# 6.6 kW from Monday 2026-03-02 00:00 UTC, 08:00 by the meter's clock; at 11:00 there: 19.80 kWh
# used, the last 6.60 of them in the peak band that starts at 10:00; 2.2 kW and 10.00 A a phase.
DTSY_0200 = (
    "0005 0898 0898 0898 03e8 03e8 03e8 "
    "0898 0898 0898 19c8 0000 0000 0000 0000 "
    "03e8 03e8 03e8 03e8 0001 0001 "
    "0000 2ecc 0000 0000 0000 0294 0000 2c38 0000 0000 "  # 119.80 = 6.60 peak + 113.20 flat
    "0000 0000 0000 0000 0000 "
    "e00f 0000 0000 0000 "
    "1a03 0201 0b00 0000 0000 0000 0000 0000"
)


def test_dtsy_block_0200():
    assert words(dtsy1352().read(READ, 0x0200, 48, at(3))) == DTSY_0200


def test_dtsy_energies_and_plan_lie_where_the_table_says():
    meter = dtsy1352()
    assert words(meter.read(READ, 0x0000, 10, at(3))) == (
        "0000 2ecc 0000 0000 0000 0294 0000 2c38 0000 0000"
    )
    plan = meter.read(READ, 0x2000, 21, at(0))
    assert plan[:6].hex(" ", 3) == "040000 030007"
    assert meter.read(READ, 0x2015, 21, at(0)) == plan
    with pytest.raises(ModbusError):
        meter.read(READ, 0x201B, 21, at(0))


def test_dtsy_relays_move_together():
    meter = dtsy1352()
    meter.write(WRITE_MANY, 0x0057, (1, 1), at(1))
    assert meter.read(READ, 0x0224, 1, at(1)).hex() == "0008"
    meter.settle(at(50))
    assert meter.shown()["register"] == "106.60"
    meter.write(WRITE_MANY, 0x0057, (1, 0), at(50))
    assert meter.read(READ, 0x0224, 1, at(50)).hex() == "e00f"


def test_dtsy_relay_that_sticks_lets_its_phase_flow():
    meter = dtsy1352()
    meter.alter(at(1), stuck=["L2"])
    meter.write(WRITE_MANY, 0x0057, (1, 1), at(1))
    # L2, bit 6 of the high byte, stays closed: a third of the load.
    assert meter.read(READ, 0x0224, 1, at(1)).hex() == "4008"
    assert words(meter.read(READ, 0x0207, 4, at(2))) == "0000 0898 0000 0898"
    meter.settle(at(2))
    assert meter.exact() == Fraction("108.80")
    assert meter.report()["relays"] == ["open", "closed", "open"]
    meter.alter(at(2), stuck=[])
    meter.write(WRITE_MANY, 0x0057, (1, 1), at(2))
    assert meter.read(READ, 0x0224, 1, at(2)).hex() == "0008"


def test_ddsy_relay_says_yes_and_does_not_move():
    meter = ddsy1352()
    meter.alter(at(1), stuck=["L1"])
    meter.write(WRITE_MANY, 0x0057, (1, 1), at(1))
    # Forced off is noted; the relay is closed and the load flows.
    assert words(meter.read(READ, 0x0057, 2, at(1))) == "0001 0001"
    assert meter.read(READ, 0x0224, 1, at(1)).hex() == "2008"
    meter.settle(at(2))
    assert meter.used() == Fraction("4.4")


def test_register_is_reset_and_what_was_used_is_not_forgotten():
    for meter, used in ((ddsy1352(), Fraction("2.2")), (kaifeng_valve(), Fraction("0.25"))):
        meter.alter(at(1), register=Decimal(0))
        assert (meter.exact(), meter.used()) == (0, used)
        meter.settle(at(2))
        assert (meter.exact(), meter.used()) == (used, 2 * used)


def test_bands_begin_anew_with_the_register():
    meter = ddsy1352()
    meter.alter(at(3), register=Decimal("50"))
    assert words(meter.read(READ, 0x0000, 10, at(3))) == (
        "0000 1388 0000 0000 0000 0000 0000 1388 0000 0000"
    )


def test_counter_rolls_over():
    meter = ddsy1352()
    meter.alter(at(1), register=Decimal("999999.00"))
    assert words(meter.read(READ, 0x0000, 2, at(1))) == "05f5 e09c"
    # 2.2 more: 1000001.20 shows as 1.20.
    assert words(meter.read(READ, 0x0000, 2, at(2))) == "0000 0078"


def test_clock_drifts_and_another_serial_answers():
    meter = ddsy1352()
    meter.alter(at(3), clock_ahead=-600, answers_as="99")
    assert meter.read(READ, 0x0228, 4, at(3)).hex(" ") == "1a 03 02 01 0a 32 00 00"
    assert meter.read(READ, 0x03A0, 7, at(3)) == b"99" + bytes(12)
    assert meter.serial == "ACREL123456789", "who it is in the site does not change"


def test_transformers_ratio_is_told():
    meter = ddsy1352()
    meter.alter(at(0), ct_ratio=40, pt_ratio=100)
    assert words(meter.read(READ, 0x0213, 2, at(0))) == "0064 0028"


def test_encrypted_meter_tells_only_that():
    meter = ddsy1352()
    assert meter.read(READ, 0x0022, 1, at(0)).hex() == "0000"
    meter.alter(at(0), encrypted=True)
    assert meter.read(READ, 0x0022, 1, at(0)).hex() == "0020"
    for call in (
        lambda: meter.read(READ, 0, 2, at(0)),
        lambda: meter.write(WRITE_MANY, 0x0057, (1, 1), at(0)),
    ):
        with pytest.raises(ModbusError) as caught:
            call()
        assert caught.value.code == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"clock_ahead": "10"},
        {"clock_ahead": True},
        {"encrypted": 1},
        {"answers_as": "123456789012345"},
        {"stuck": ["L2"]},
    ],
)
def test_a_device_does_not_have_everything(changes):
    with pytest.raises(ValueError, match="alter"):
        ddsy1352().alter(at(0), **changes)


# 550 W at 220 V are 2.5 A; after two hours 1235.6 kWh.
@pytest.mark.parametrize(
    ("code", "function", "address", "count", "expected"),
    [
        ("eastron_sdm120", INPUT, 0x0000, 2, "435c 0000"),  # 220.0
        ("eastron_sdm120", INPUT, 0x0006, 2, "4020 0000"),  # 2.5
        ("eastron_sdm120", INPUT, 0x000C, 2, "4409 8000"),  # 550.0 W
        ("eastron_sdm120", INPUT, 0x0048, 2, "449a 7333"),  # 1235.6
        ("chint_dtsu666", READ, 0x2006, 2, "4509 8000"),  # 2200.0 tenths of a volt
        ("chint_dtsu666", READ, 0x200C, 2, "451c 4000"),  # 2500.0 mA
        ("schneider_iem3000", READ, 0x0C83, 4, "0000 0000 0012 da90"),  # 1235600 Wh
        ("acrel_adw300", READ, 0x0024, 2, "0000 0226"),  # 550 W
        ("hiking_dds238_2", READ, 0x000A, 6, "0001 e2a8 0898 00fa 0226 0000"),
        ("hiking_dds238_2", READ, 0x001A, 1, "0001"),
        ("sfere_prepaid", READ, 0x0B25, 1, "0001"),
        ("fineco_em115", READ, 0x0566, 1, "5555"),
        # 0.25 m3 an hour times 0.55; float32 from the lowest byte on: 1234.775
        ("kaifeng_xintai_valve", READ, 0x0001, 2, "cd58 9a44"),
    ],
)
def test_register_device_sends_what_the_table_says(code, function, address, count, expected):
    assert words(device(code).read(function, address, count, at(2))) == expected


@pytest.mark.parametrize(
    ("order", "sent"),
    [("ABCD", "01020304"), ("CDAB", "03040102"), ("BADC", "02010403"), ("DCBA", "04030201")],
)
def test_word_orders(order, sent):
    assert reordered(bytes((1, 2, 3, 4)), order).hex() == sent


def test_register_device_obeys_the_words_of_its_profile():
    meter = device("hiking_dds238_2")
    meter.write(WRITE_MANY, 0x001A, (0,), at(1))
    assert meter.read(READ, 0x001A, 1, at(1)).hex() == "0000"
    assert meter.read(READ, 0x000E, 1, at(1)).hex() == "0000"
    for function, address, values, code in (
        (WRITE_ONE, 0x001A, (1,), 1),
        (WRITE_MANY, 0x001B, (1,), 2),
        (WRITE_MANY, 0x001A, (7,), 3),
    ):
        with pytest.raises(ModbusError) as caught:
            meter.write(function, address, values, at(1))
        assert caught.value.code == code
    with pytest.raises(ModbusError):
        meter.read(INPUT, 0x000E, 1, at(1))
    with pytest.raises(ModbusError):
        meter.read(READ, 0x001B, 1, at(1))


def test_register_device_wants_its_key():
    meter = device("fineco_em115")
    meter.alter(at(0), control_key=0xBEEF)
    with pytest.raises(ModbusError):
        meter.write(WRITE_MANY, 0x0566, (0, 0xAAAA), at(0))
    meter.write(WRITE_MANY, 0x0566, (0xBEEF, 0xAAAA), at(0))
    assert meter.state() == "off"


def site(meters):
    clock = frozen_clock()
    return build_site(site_value(gateways=[{"port": 0, "meters": meters}]), clock), clock


def row(unit, kind, serial, **more):
    return {
        "unit": unit,
        "type": kind,
        "serial": serial,
        "register": "1234.5",
        "curve": "building_3",
        **more,
    }


def test_every_shipped_profile_reads_and_switches_its_device():
    """Both sides work from the same map, so this shows that driver and device agree, no more."""
    codes = [file.stem for file in FILES if not load(file.stem).is_template]
    water = [code for code in codes if load(code).commodity == "water"]

    async def test():
        made, clock = site(
            [
                row(
                    unit,
                    "registers",
                    f"S{unit}",
                    profile=code,
                    **({"curve": "water_flat_1"} if code in water else {}),
                )
                for unit, code in enumerate(codes, start=1)
            ]
        )
        await made.listen("127.0.0.1")
        driver = ModbusDriver(tcp_client(made.gateways[0].port, timeout=1))

        async def may_write(order, request):
            return ""

        hooks = OrderHooks(may_write)
        switched = []
        for unit, code in enumerate(codes, start=1):
            meter = FieldMeter(unit, f"S{unit}", unit, load(code))
            snapshot = await driver.read(meter, clock.moment)
            assert snapshot.total == Decimal("1234.5"), code
            identity = None
            while identity is None or not identity.is_done:
                identity = await driver.identify(meter, identity, clock.moment)
            assert identity.errors == {}, code
            if identity.clock is not None:
                assert identity.clock == datetime(2026, 3, 2, 8, 0, 0)
            control = meter.profile.control
            if control is not None and control.is_usable:
                for wanted in ("off", "on"):
                    pending = await driver.start(meter, SupplyOrder(1, unit, wanted), hooks)
                    outcome = await driver.look(meter, pending, hooks)
                    assert (outcome.state, outcome.supply_state) == ("confirmed", wanted)
                switched.append(code)
        await driver.close()
        made.close()
        return switched

    assert asyncio.run(asyncio.wait_for(test(), 30)) == [
        "acrel_ddsy1352",
        "acrel_dtsy1352",
        "hiking_dds238_2",
        "kaifeng_xintai_valve",
    ]


def test_control_alters_and_swaps():
    async def test():
        made, _clock = site([row(1, "ddsy1352", "A1"), row(2, "dtsy1352", "B2")])
        await made.listen("127.0.0.1")
        server = ControlServer(made, lambda: None)
        port = await server.listen(0)

        def verbs():
            with Control(port=port) as control:
                [changed] = control.alter(
                    "B2", register="5", ct_ratio=40, stuck=["L3"], clock_ahead=90
                )
                control.swap("A1", "B2")
                return changed, control.registers("B2")

        changed, [register] = await asyncio.to_thread(verbs)
        meters = made.gateways[0].meters
        server.close()
        made.close()
        return changed, register, meters

    changed, register, meters = asyncio.run(asyncio.wait_for(test(), 10))
    assert changed["relays"] == ["closed"] * 3
    assert (register["register"], register["unit"]) == ("5.00", 1)
    assert (meters[1].serial, meters[2].serial) == ("B2", "A1")
    assert (meters[1].ct_ratio, meters[1].stuck, meters[1].clock_ahead) == (40, ["L3"], 90)
