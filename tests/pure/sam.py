"""A year's bill by NREL's System Advisor Model (package NREL-PySAM, module `Utilityrate5`).

What is particular to it: a year has 8760 hours and begins on a Monday; sums are binary doubles and
nothing is rounded; with net metering each month is cut at the tier limits and every tier shared
over the periods by their share of the month.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from zoneinfo import ZoneInfo

from engine import (
    Point,
    Span,
    TariffVersion,
    Window,
    minimum_due,
    rate,
    round_half_up,
    split,
    standing,
)

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = date(2018, 1, 1)
START = datetime(2017, 12, 31, 16)  # local midnight, UTC
YEAR = timedelta(days=365)
CENT = Decimal("0.01")
MILLIONTH = Decimal("0.000001")
WEEKDAYS = frozenset({"workday", "holiday"})
WEEKENDS = frozenset({"weekend"})
BANDS = ("band_1", "band_2", "band_3", "band_4", "band_5")


HOURS = 8760
NO_LIMIT = 1e38
PER_MONTH = 0  # unit of a tier limit: kWh
NET_METERING = 0


@dataclass(frozen=True)
class SamRate:
    """``weekday`` and ``weekend``: 12 x 24 period numbers from 1. ``prices``: by (period, tier).

    ``limits`` are cumulated upper limits of all tiers but the last, kWh a month.
    """

    weekday: Sequence[Sequence[int]]
    weekend: Sequence[Sequence[int]]
    limits: Sequence[Decimal]
    prices: Mapping[tuple[int, int], Decimal]
    fixed_a_month: Decimal = Decimal(0)
    minimum_a_month: Decimal = Decimal(0)


def monthly_bills(rate: SamRate, use: Sequence[Decimal]) -> list[float]:
    """Return the twelve bills of a year's use in kWh a step, 8760 or a multiple of it.

    Steps of an hour, half, quarter or sixteenth are exact in binary.
    """
    from PySAM import Utilityrate5

    model = Utilityrate5.new()
    model.Lifetime.analysis_period = 1
    model.Lifetime.inflation_rate = 0
    model.Lifetime.system_use_lifetime_output = 0
    steps_an_hour = len(use) // HOURS
    model.Load.load = [float(kwh) * steps_an_hour for kwh in use]
    model.SystemOutput.gen = [0.0] * len(use)
    model.SystemOutput.degradation = [0]
    rates = model.ElectricityRates
    rates.rate_escalation = [0]
    rates.ur_metering_option = NET_METERING
    rates.ur_monthly_fixed_charge = float(rate.fixed_a_month)
    rates.ur_monthly_min_charge = float(rate.minimum_a_month)
    rates.ur_annual_min_charge = 0
    rates.ur_en_ts_sell_rate = 0
    rates.ur_en_ts_buy_rate = 0
    rates.ur_dc_enable = 0
    rates.ur_ec_sched_weekday = [list(row) for row in rate.weekday]
    rates.ur_ec_sched_weekend = [list(row) for row in rate.weekend]
    limits = [*map(float, rate.limits), NO_LIMIT]
    rates.ur_ec_tou_mat = [
        [period, tier, limits[tier - 1], PER_MONTH, float(price), 0]
        for (period, tier), price in sorted(rate.prices.items())
    ]
    model.execute()
    return list(model.Outputs.year1_monthly_utility_bill_w_sys)


def registers(use: Sequence[Decimal]) -> list[Point]:
    """Return what the meter shows at each step of the year."""
    step = YEAR / len(use)
    total = accumulate(use, initial=Decimal("1234.5"))
    return [Point(START + number * step, register) for number, register in enumerate(total)]


def windows(schedule: list[list[int]], days: frozenset[str]) -> list[Window]:
    """Return the windows of a 12 x 24 table of period numbers."""
    return [
        Window(BANDS[period - 1], frozenset({month}), days, hour * 60, hour * 60 + 60)
        for month, hours in enumerate(schedule, 1)
        for hour, period in enumerate(hours)
    ]


def version(case: SamRate, allocation: str = "to_date") -> TariffVersion:
    """Return the same tariff as a value of the engine."""
    periods = sorted({period for period, _tier in case.prices})
    return TariffVersion(
        key=1,
        bands=tuple(BANDS[period - 1] for period in periods),
        windows=(*windows(case.weekday, WEEKDAYS), *windows(case.weekend, WEEKENDS)),
        rest_band=None,
        tier_limits=tuple(case.limits),
        prices={(BANDS[period - 1], tier): price for (period, tier), price in case.prices.items()},
        tier_period="month",
        allocation=allocation,
        per_month=case.fixed_a_month,
        minimum=case.minimum_a_month,
    )


def our_bills(tariff: TariffVersion, use: Sequence[Decimal]) -> list[Decimal]:
    """Return the exact money of each month, from a reading a step."""
    span = Span(START, None, Decimal(1), tariff)
    days: dict[date, dict] = {}
    for cell in split(registers(use), [span], ZONE):
        day = days.setdefault(cell.date, {})
        key = (1, cell.version, cell.band)
        day[key] = day.get(key, Decimal(0)) + cell.quantity
    bills = []
    for month in range(1, 13):
        first = MONDAY.replace(month=month)
        of_month = [(day, cells) for day, cells in days.items() if day.month == month]
        due = Fraction(rate({1: tariff}, [], of_month).due[first])
        due += sum(Fraction(standing(tariff, day)) for day, _cells in of_month)
        due += Fraction(minimum_due(tariff, due, len(of_month), first))
        bills.append(round_half_up(due, Decimal("1E-12")))
    return bills


def agrees(case: SamRate, use: Sequence[Decimal], allocation: str = "to_date") -> None:
    """Assert that both price a year of use the same, each month to the cent."""
    ours, theirs = our_bills(version(case, allocation), use), monthly_bills(case, use)
    assert len(ours) == len(theirs) == 12
    assert sum(ours) > 0
    for month, (bill, double) in enumerate(zip(ours, theirs, strict=True), 1):
        other = Decimal(double)
        assert abs(bill - other) < MILLIONTH, (month, bill, other)
        assert abs(round_half_up(bill, CENT) - other) <= CENT / 2 + MILLIONTH, (month, bill, other)
