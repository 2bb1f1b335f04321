"""What the simulator's tests share: a constant load, a frozen site, a client of raw frames."""

import asyncio
import json
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from simulator.clock import ProjectClock
from simulator.ddsy1352 import Ddsy1352
from simulator.kaifeng_valve import KaifengValve
from simulator.load import Curve, seconds

START = datetime(2026, 3, 2)  # a Monday
ONE_KILOWATT = Curve("one kilowatt", "kWh", (1000,) * 168)
QUARTER_CUBIC_METRE = Curve("a quarter", "m³", (250,) * 168)

# DDSY1352: 2.2 kW from Monday 2026-03-02 00:00 UTC, 08:00 by the meter's clock; at 11:00 there:
# 6.60 kWh used, the last 2.20 of them in the peak band that starts at 10:00.
DDSY_0200 = (
    "0007 0898 0000 0000 03e8 0000 0000 "  # type, 220.0 V, 10.00 A
    "0898 0000 0000 0898 0000 0000 0000 0000 "  # 2.200 kW, no reactive power
    "03e8 0000 0000 03e8 0001 0001 "  # power factor 1.000, PT 1, CT 1
    "0000 29a4 0000 0000 0000 00dc 0000 28c8 0000 0000 "  # 106.60 = 0 + 2.20 + 104.40 + 0
    "0000 0000 0000 0000 0000 "  # remaining, purchases, trips, allowed trips
    "2009 0000 0000 0000 "  # relay L1 closed, forced on; free energy
    "1a03 0201 0b00 0000 0000 0000 0000 0000"  # 26-03-02, weekday 1, 11:00:00
)


def frozen_clock(moment=START):
    return ProjectClock(moment, speed=0)


def ddsy1352(register="100", scale="2.2", curve=ONE_KILOWATT, **options):
    return Ddsy1352(
        "ACREL123456789",
        Decimal(register),
        curve,
        Fraction(scale),
        options.pop("offset_hours", 0),
        seconds(START),
        **options,
    )


def kaifeng_valve(register="10.5", scale="1", curve=QUARTER_CUBIC_METRE, **options):
    return KaifengValve(
        "WATER1", Decimal(register), curve, Fraction(scale), 0, seconds(START), **options
    )


def site_value(**changes):
    """A small valid site file as Python value, ports chosen by the system."""
    value = {
        "start": START.isoformat(),
        "gateways": [
            {
                "port": 0,
                "meters": [
                    {
                        "unit": 1,
                        "type": "ddsy1352",
                        "serial": "26030200000001",
                        "register": "123.45",
                        "curve": "building_3",
                        "scale": "0.5",
                        "offset_hours": 8,
                    },
                    {
                        "unit": 2,
                        "type": "kaifeng_valve",
                        "serial": "W0001",
                        "register": "10.5",
                        "curve": "water_flat_1",
                        "valve_seconds": 30,
                    },
                ],
            },
            {
                "port": 0,
                "meters": [
                    {
                        "unit": 1,
                        "type": "ddsy1352",
                        "serial": "26030200000002",
                        "curve": "building_7",
                        "supply": "off",
                    },
                ],
            },
        ],
    }
    return json.loads(json.dumps(value)) | changes


def frame(pdu, unit=1, transaction=1):
    """A Modbus TCP request from the PDU in hexadecimal."""
    pdu = bytes.fromhex(pdu)
    return (
        transaction.to_bytes(2, "big")
        + b"\0\0"
        + (len(pdu) + 1).to_bytes(2, "big")
        + bytes((unit,))
        + pdu
    )


class RawClient:
    """A connection that sends and receives whole frames and knows nothing else of Modbus."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_exc):
        self.writer.close()
        await self.writer.wait_closed()

    def send(self, request):
        self.writer.write(request)

    async def receive(self):
        header = await self.reader.readexactly(6)
        return header + await self.reader.readexactly(int.from_bytes(header[4:], "big"))

    async def ask(self, pdu, unit=1, transaction=1):
        """The answer's PDU in hexadecimal; its header has to fit."""
        self.send(frame(pdu, unit, transaction))
        answer = await asyncio.wait_for(self.receive(), 5)
        assert answer[:2] == transaction.to_bytes(2, "big")
        assert answer[2:4] == b"\0\0"
        assert answer[6] == unit
        return answer[7:].hex(" ")
