"""Simulated gateways with 32 meters each; a reading of their profile is one of 60 registers."""

START = "2026-03-02T00:00:00Z"
UNITS = 32
BAUD = 9600
TURNAROUND = 0.02
REGISTERS = 60

#: The layout of the simulated DDSY1352; its state lies apart and is read only after a write.
PROFILE = {
    "code": "bench_60",
    "name": "Bench, one read of 60 registers",
    "commodity": "electricity",
    "certainty": "A",
    "source": "made for the benchmark",
    "read_functions": [3],
    "write_functions": [16],
    "max_block": REGISTERS,
    "max_gap": REGISTERS,
    "registers": [
        {"meaning": "total", "address": 0x00, "type": "u32", "scale": "0.01", "unit": "kWh"},
        *(
            {
                "meaning": f"band_{number}",
                "address": 2 * number,
                "type": "u32",
                "scale": "0.01",
                "unit": "kWh",
            }
            for number in range(1, 5)
        ),
        {"meaning": "voltage", "address": 0x0B, "type": "u16", "scale": "0.1", "unit": "V"},
        {"meaning": "current", "address": 0x0C, "type": "u16", "scale": "0.01", "unit": "A"},
        {"meaning": "power", "address": 0x0D, "type": "s16", "scale": "0.001", "unit": "kW"},
        {"meaning": "power_factor", "address": 0x10, "type": "s16", "scale": "0.001"},
        {"meaning": "frequency", "address": REGISTERS - 1, "type": "u16", "unit": "Hz"},
        {"meaning": "supply_state", "address": 0x0224, "type": "u16", "polled": False},
    ],
    "control": {
        "function": 16,
        "address": 0x57,
        "on": [1, 0],
        "off": [1, 1],
        "states": [
            {"state": "on", "mask": 0x2000, "value": 0x2000},
            {"state": "off", "mask": 0x2000, "value": 0},
        ],
        "fault_mask": 0x0100,
        "settle": "3",
        "poll": "0.2",
    },
}


def site(gateways: int, *, baud: int | None = None, supply: str = "on") -> dict:
    """The site file; serial numbers are GGGUU, gateway and unit."""
    return {
        "start": START,
        "gateways": [
            {
                "port": 0,
                "baud": baud,
                "turnaround_ms": round(1000 * TURNAROUND),
                "meters": [
                    {
                        "unit": unit,
                        "type": "ddsy1352",
                        "serial": serial(number, unit),
                        "register": "0",
                        "curve": "building_3",
                        "scale": "0.1",
                        "supply": supply,
                    }
                    for unit in range(1, UNITS + 1)
                ],
            }
            for number in range(gateways)
        ],
    }


def serial(gateway: int, unit: int) -> str:
    return f"{gateway:03}{unit:02}"


def bus_seconds(request: int, answer: int) -> float:
    """Seconds that a transaction of so many RTU bytes takes on the bus."""
    return (request + answer + 2 * 3.5) * 11 / BAUD + TURNAROUND


#: One read of 60 registers; a write of two registers by function 16.
READ_SECONDS = bus_seconds(8, 5 + 2 * REGISTERS)
WRITE_SECONDS = bus_seconds(13, 8)
