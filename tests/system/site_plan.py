"""The site that the whole-system tests run: who has which meter, tariff and money, as plain data.

Sixteen accounts with 24 meters behind four gateways in Shanghai, from local midnight of 1 March
2026 on. `make_site.py` puts it into a database, `running_site.py` into a simulator, and
`independent_rating.py` says from it what everybody owes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 2, 28, 16)  # naive UTC: midnight of 1 March in Shanghai
HOUR = timedelta(hours=1)
READ_INTERVAL = HOUR
DEVICES = {"electricity": "ddsy1352", "water": "kaifeng_valve"}
PROFILES = {"electricity": "acrel_ddsy1352", "water": "kaifeng_xintai_valve"}


@dataclass(frozen=True)
class Window:
    """A rate period's hours of the day; later windows cut into earlier ones."""

    period: str
    hour_from: float
    hour_to: float  # an earlier one than hour_from is on the next morning
    days: str = "all"


@dataclass(frozen=True)
class Tariff:
    """Prices per kWh or m³, gross: a rate period's name and its price in each tier.

    limits: use of a month up to which, inclusive, a tier reaches; the last tier is open.
    rest: the rate period of all hours that no window names.
    """

    commodity: str
    prices: dict[str, tuple[str, ...]]
    limits: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
    rest: str = "flat"


@dataclass(frozen=True)
class Meter:
    serial: str
    account: int
    commodity: str
    tariff: str
    curve: str
    scale: str
    register: str
    gateway: int
    unit: int
    is_protected: bool = False


@dataclass(frozen=True)
class Account:
    """A customer. `pays`: amounts paid some hours after each time the supply went off."""

    number: int
    deposit: str
    pays: tuple[tuple[int, str], ...] = ()


TARIFFS = {
    "flat": Tariff("electricity", {"flat": ("0.600000",)}),
    "time of use": Tariff(
        "electricity",
        {
            "sharp": ("1.234567",),
            "peak": ("1.032100",),
            "flat": ("0.654321",),
            "valley": ("0.301200",),
        },
        windows=(
            Window("peak", 8, 11.5),
            Window("peak", 13.5, 22),
            Window("valley", 23.25, 7),
            Window("sharp", 10.25, 11.5),
            Window("sharp", 19.5, 21),
        ),
        rest="flat",
    ),
    "working days": Tariff(
        "electricity",
        {"peak": ("0.987654",), "valley": ("0.345678",)},
        windows=(Window("peak", 7.75, 21.25, "workday"),),
        rest="valley",
    ),
    "tiers": Tariff(
        "electricity", {"flat": ("0.528300", "0.578300", "0.828300")}, limits=("100", "230.5")
    ),
    "tiers by rate period": Tariff(
        "electricity",
        {
            "peak": ("0.558300", "0.608300", "0.858300"),
            "valley": ("0.358300", "0.438300", "0.508300"),
        },
        limits=("80", "180"),
        windows=(Window("peak", 6.5, 22.5),),
        rest="valley",
    ),
    "water": Tariff("water", {"flat": ("2.070000", "4.070000", "6.070000")}, limits=("6", "9.25")),
}

ACCOUNTS = (
    Account(1, "500.00"),
    Account(2, "500.00"),
    # Two electricity meters and a water meter on one balance that is out on the first day.
    Account(3, "5.00", ((3, "720.00"),)),
    Account(4, "500.00"),
    Account(5, "3.00", ((2, "60.00"), (5, "350.00"))),
    Account(6, "70.00"),  # runs out and never pays
    Account(7, "90.00", ((12, "150.00"), (1, "150.00"))),
    Account(8, "40.00", ((30, "300.00"),)),
    Account(9, "500.01"),
    Account(10, "350.02"),
    Account(11, "350.03"),
    Account(12, "600.04"),
    Account(13, "600.05"),
    Account(14, "350.06"),
    Account(15, "2.00"),  # its meter is protected: it owes, and keeps its supply
    Account(16, "350.07"),
)
_ELECTRICITY = (
    *((number, "flat") for number in (1, 6)),
    *((number, "time of use") for number in (2, 5, 8, 13, 16)),
    *((3, "tiers"), (3, "tiers"), (9, "tiers"), (15, "tiers")),
    *((number, "tiers by rate period") for number in (4, 7, 10, 14)),
    *((number, "working days") for number in (11, 12)),
)
_WATER = (
    (1, "water_flat_1"),
    (3, "water_flat_2"),
    (5, "water_flat_3"),
    (7, "water_shop_1"),
    (9, "water_office_1"),
    (11, "water_flat_1"),
    (16, "water_flat_2"),
)
GATEWAYS = 4


def _meters() -> tuple[Meter, ...]:
    kinds = [
        (account, "electricity", tariff, f"building_{index + 1}", "0.4")
        for index, (account, tariff) in enumerate(_ELECTRICITY)
    ] + [(account, "water", "water", curve, "1.1") for account, curve in _WATER]
    meters = []
    for index, (account, commodity, tariff, curve, scale) in enumerate(kinds):
        meters.append(
            Meter(
                serial=f"{'W' if commodity == 'water' else 'E'}2603{index + 1:04d}",
                account=account,
                commodity=commodity,
                tariff=tariff,
                curve=curve,
                scale=scale,
                register=str(Decimal("123.45") * (index + 1)),
                gateway=index % GATEWAYS,
                unit=index // GATEWAYS + 1,
                is_protected=account == 15,
            )
        )
    return tuple(meters)


METERS = _meters()


def meters_of(account: int) -> list[Meter]:
    return [meter for meter in METERS if meter.account == account]


def simulated_site() -> dict:
    """The simulator's site file. Gateways have the ports of `make_site.py`: 1, 2, 3, 4. A valve
    moves at once, because the clock stands."""
    gateways = [
        {"port": number + 1, "turnaround_ms": 0, "meters": []} for number in range(GATEWAYS)
    ]
    for meter in METERS:
        valve = {"valve_seconds": 0} if meter.commodity == "water" else {}
        gateways[meter.gateway]["meters"].append(
            {
                "unit": meter.unit,
                "type": DEVICES[meter.commodity],
                "serial": meter.serial,
                "register": meter.register,
                "curve": meter.curve,
                "scale": meter.scale,
                "offset_hours": 8,
                **valve,
            }
        )
    return {"start": START.isoformat(), "gateways": gateways}
