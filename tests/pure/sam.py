"""A year's bill by NREL's System Advisor Model (package NREL-PySAM, module `Utilityrate5`).

What is particular to it: a year has 8760 hours and begins on a Monday; sums are binary doubles and
nothing is rounded; with net metering each month is cut at the tier limits and every tier shared
over the periods by their share of the month.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

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


def monthly_bills(rate: SamRate, load: Sequence[Decimal]) -> list[float]:
    """Return the twelve bills of a load in kWh an hour."""
    from PySAM import Utilityrate5

    model = Utilityrate5.new()
    model.Lifetime.analysis_period = 1
    model.Lifetime.inflation_rate = 0
    model.Lifetime.system_use_lifetime_output = 0
    model.Load.load = [float(kwh) for kwh in load]
    model.SystemOutput.gen = [0.0] * HOURS
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
