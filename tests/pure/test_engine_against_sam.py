"""A year of real load priced by this engine and by an independent calculator, month by month.

The load: three metered houses (`data/citylearn_license.txt` has the source). The calculator: NREL's
System Advisor Model. Its year begins on a Monday and has no leap day and no change of clocks, so
the hours are laid on 2018 in a zone without summer time. Conventions that differ:

- it rounds nothing; figures are compared before rounding, to a millionth, and rounded to the cent;
- it shares the tiers of a month over its periods by the month's shares: our "to_date" and
  "proportional" of a monthly tier period. "chronological" is compared where the step between tiers
  is the same in every band, where all three agree;
- it has no tier period other than the month. Its fixed charge is one for a whole month: so is ours,
  where the meter is in service all month.
"""

import csv
import random
from decimal import Decimal
from pathlib import Path

import pytest
from sam import SamRate, agrees, our_bills, version


def load(house: str) -> list[Decimal]:
    """Return the use of a house in kWh an hour, 8760 of them."""
    with (Path(__file__).parent / "data" / "citylearn_houses.csv").open() as file:
        return [Decimal(row[house]) for row in csv.DictReader(file)]


def always(period: int = 1) -> list[list[int]]:
    return [[period] * 24] * 12


def prices(*rows: str) -> dict[tuple[int, int], Decimal]:
    """Return prices by (period, tier): a row a period, its tiers apart by spaces."""
    return {
        (period, tier): Decimal(price)
        for period, row in enumerate(rows, 1)
        for tier, price in enumerate(row.split(), 1)
    }


# Shanghai's hours and prices with monthly limits: 3120 / 4800 a year by twelve.
SHANGHAI_HOURS = [[2] * 6 + [1] * 16 + [2] * 2] * 12
SHANGHAI = SamRate(
    weekday=SHANGHAI_HOURS,
    weekend=SHANGHAI_HOURS,
    limits=(Decimal(260), Decimal(400)),
    prices=prices("0.617 0.677 0.977", "0.307 0.337 0.487"),
)
# Zhejiang's hours and prices: the step between tiers is the same in both bands.
ZHEJIANG_HOURS = [[2] * 8 + [1] * 14 + [2] * 2] * 12
ZHEJIANG = SamRate(
    weekday=ZHEJIANG_HOURS,
    weekend=ZHEJIANG_HOURS,
    limits=(Decimal(230), Decimal(400)),
    prices=prices("0.568 0.618 0.868", "0.288 0.338 0.588"),
)
SUMMER = (6, 7, 8, 9)
CASES = {
    "flat": SamRate(always(), always(), (), prices("0.538")),
    "six decimals": SamRate(always(), always(), (), prices("0.423625")),
    "tiers": SamRate(always(), always(), (Decimal(230), Decimal(400)), prices("0.538 0.588 0.838")),
    "bands, weekend apart": SamRate(
        [[1] * 7 + [2] * 5 + [3] * 6 + [2] * 4 + [1] * 2] * 12,
        always(1),
        (),
        prices("0.21", "0.43", "0.87"),
    ),
    "seasons": SamRate(
        [[1] * 8 + [3 if month in SUMMER else 2] * 12 + [1] * 4 for month in range(1, 13)],
        [[1] * 24] * 12,
        (),
        prices("0.18", "0.31", "0.5425"),
    ),
    "fixed charge and minimum": SamRate(
        always(),
        always(),
        (Decimal(300),),
        prices("0.21 0.34"),
        fixed_a_month=Decimal("12.345678"),
        minimum_a_month=Decimal(170),
    ),
    "tiers inside bands, unequal steps": SHANGHAI,
    "tiers inside bands, equal steps": ZHEJIANG,
}


@pytest.mark.parametrize("house", ["building_1", "building_5", "building_9"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_year_of_a_house(case: SamRate, house: str) -> None:
    agrees(case, load(house))


def test_minimum_of_the_case_bites_in_some_months_only() -> None:
    case = CASES["fixed charge and minimum"]
    bills = our_bills(version(case), load("building_5"))
    assert Decimal(170) in bills
    assert max(bills) > 170


def test_monthly_tiers_allocated_proportionally() -> None:
    agrees(SHANGHAI, load("building_9"), "proportional")


def test_chronological_tiers_with_equal_steps() -> None:
    agrees(ZHEJIANG, load("building_5"), "chronological")


def test_chronological_tiers_with_unequal_steps_differ() -> None:
    """The reason why such a comparison is left out: the months are not the same."""
    with pytest.raises(AssertionError):
        agrees(SHANGHAI, load("building_9"), "chronological")


@pytest.mark.parametrize("seed", range(2026_1100, 2026_1124))
def test_random_tariff(seed: int) -> None:
    """The seed is in the name of the test; it makes the tariff again."""
    dice = random.Random(seed)
    count, tiers = dice.randint(1, 5), dice.randint(1, 4)
    limits = sorted(dice.sample(range(1, 1500), tiers - 1))
    agrees(
        SamRate(
            weekday=[_hours(dice, count) for _month in range(12)],
            weekend=[_hours(dice, count) for _month in range(12)],
            limits=[Decimal(limit) for limit in limits],
            prices={
                (period, tier): Decimal(dice.randint(0, 2_000_000)) / 1_000_000
                for period in range(1, count + 1)
                for tier in range(1, tiers + 1)
            },
        ),
        load(dice.choice(["building_1", "building_5", "building_9"])),
        dice.choice(["to_date", "proportional"]),
    )


def _hours(dice: random.Random, count: int) -> list[int]:
    """Return 24 period numbers in a few stretches."""
    cuts = sorted(dice.sample(range(1, 24), 4))
    found: list[int] = []
    for start, end in zip([0, *cuts], [*cuts, 24], strict=True):
        found += [dice.randint(1, count)] * (end - start)
    return found
