"""Properties of the money that the engine works out, each with a planted defect (L11, L12, L15)."""

import itertools
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from engine_cases import CENT, settle, tariff
from planted_defects import planted

from engine import (
    Window,
    largest_remainder,
    rate,
    rating,
    round_half_up,
    rounding,
    splitting,
    tariff_check,
)


def thousand_charges_of_a_fraction():
    """1000 charges of 0.004 are 4.00: what is posted follows the cumulated sum."""
    versions = {1: tariff({"flat": ["0.004"]})}
    day, posted, charges = date(2026, 3, 5), Decimal(0), set()
    for number in range(1000):
        before = [(date(2026, 3, 1), 1, 1, "flat", Decimal(number))] if number else []
        unit = rate(versions, before, [(day, {(1, 1, "flat"): Decimal(1)})])
        difference = round_half_up(unit.due[date(2026, 3, 1)], CENT) - posted
        charges.add(difference)
        posted += difference
    assert posted == Decimal("4.00")
    assert charges == {Decimal("0.00"), CENT}


def late_use_as_if_right_from_the_start():
    """Three months across a new price and a tier boundary, settled in any pieces."""
    versions = {
        1: tariff({"flat": ["0.50", "0.80"]}, ["250"], key=1, period="year"),
        2: tariff({"flat": ["0.60", "0.90"]}, ["250"], key=2, period="year"),
    }

    def days(march, later):
        """Use a day in March, and in April and May."""
        return [
            (
                date(2026, 3, 1) + timedelta(number),
                {(1, 1 if number < 31 else 2, "flat"): Decimal(march if number < 31 else later)},
            )
            for number in range(92)
        ]

    # March 186 kWh: 93.00; the tier of 250 ends on 6 April: 64 x 0.60, then 0.90.
    whole, _lines = settle(versions, days("6", "12"))
    assert whole == {
        date(2026, 3, 1): Decimal("93.00"),
        date(2026, 4, 1): Decimal("304.80"),
        date(2026, 5, 1): Decimal("334.80"),
    }
    for cuts in ((), (1,), (31,), (36, 37), (10, 31, 61), range(92)):
        posted, lines = settle(versions, days("6", "12"), cuts)
        assert posted == whole, cuts
        assert sum(line.amount for line in lines) == sum(whole.values()), cuts
    # What was posted for the straight line and what corrects it come to the same.
    straight, _lines = settle(versions, days("10", "10"))
    corrections = {month: whole[month] - straight[month] for month in whole}
    assert corrections == {
        date(2026, 3, 1): Decimal("-80.00"),
        date(2026, 4, 1): Decimal("34.80"),
        date(2026, 5, 1): Decimal("55.80"),
    }


def shares_in_any_smallest_unit():
    """Whatever the smallest unit of a currency, nothing is lost and every share is a multiple."""
    for step in map(Decimal, ("0.01", "0.05", "1", "0.001")):
        weights = [Decimal(1), Decimal(2), Decimal("0.000001"), Decimal(97), Decimal(0)]
        for count in (1, 2, 99, 100_003):
            total = count * step
            for order in itertools.permutations(weights, len(weights)):
                shares = largest_remainder(total, list(order), step)
                assert sum(shares) == total
                assert all(share % step == 0 for share in shares)


def unfit_tariffs_name_their_problem():
    """T4: a hole, an overlap, a hidden window, a band never in force, closed or unsorted tiers."""
    every = frozenset(range(1, 13)), frozenset({"workday", "weekend", "holiday"})
    peak, sharp = Window("peak", *every, 480, 720), Window("sharp", *every, 540, 600)
    fit = tariff(
        {"flat": ["1", "2"], "peak": ["1", "2"], "sharp": ["1", "2"]},
        ["100"],
        windows=(peak, sharp),
    )
    assert fit.problems() == []
    for change, codes in (
        ({"rest_band": None}, ["hole"] * 6 + ["band_unused"]),
        ({"windows": (peak, replace(sharp, end_minute=721))}, ["overlap"]),
        ({"windows": (sharp, peak)}, ["window_hidden", "band_unused"]),
        ({"windows": (peak,)}, ["band_unused"]),
        ({"prices": {c: p for c, p in fit.prices.items() if c[1] == 1}}, ["tier_closed"]),
        ({"prices": {c: p for c, p in fit.prices.items() if c != ("peak", 2)}}, ["price_none"]),
        ({"tier_limits": (Decimal(-1),)}, ["limit_zero"]),
        ({"tier_year_day": 29}, ["tier_day"]),
    ):
        assert [problem.code for problem in replace(fit, **change).problems()] == codes
    (problem,) = replace(fit, windows=(peak, replace(sharp, end_minute=721))).problems()
    assert problem.values["from"] == "09:00" and problem.values["to"] == "12:00"


DEFECTS = [
    (unfit_tariffs_name_their_problem, tariff_check._overlaps, "(minutes, other_minutes)", "()"),
    (unfit_tariffs_name_their_problem, tariff_check._plans, "if band is None", "if band == 0"),
    (unfit_tariffs_name_their_problem, tariff_check._plans, "if band not in bands", "if 0"),
    (unfit_tariffs_name_their_problem, tariff_check._prices, "if closed:", "if 0:"),
    (unfit_tariffs_name_their_problem, tariff_check._limits, "limit <= 0", "limit == 0"),
    (
        thousand_charges_of_a_fraction,
        rating.rate,
        "unit.segment(version).add_before(supply, band, quantity)",
        "pass",
    ),
    (
        late_use_as_if_right_from_the_start,
        rating._Unit.close_month,
        "start += segment.counted",
        "pass",
    ),
    (
        late_use_as_if_right_from_the_start,
        rating.rate,
        "unit.open_month(month)\n",
        "unit.open_month(month.replace(month=3))\n",
    ),
    (late_use_as_if_right_from_the_start, rating._Unit.add_day, "begin = start\n", "pass\n"),
    (shares_in_any_smallest_unit, rounding.largest_remainder, "counts[i] += 1", "pass"),
    (
        shares_in_any_smallest_unit,
        rounding.largest_remainder,
        "ranked[: int(abs(steps)) - sum(counts)]",
        "ranked[: int(abs(steps))]",
    ),
]


@pytest.mark.parametrize("check", dict.fromkeys(check for check, *_defect in DEFECTS))
def test_property_holds(check):
    check()


@pytest.mark.parametrize(("check", "function", "line", "instead"), DEFECTS)
def test_planted_defect_is_caught(check, function, line, instead):
    with planted(function, line, instead), pytest.raises(AssertionError):
        check()
    check()


def test_a_defect_that_cannot_be_planted_is_told():
    with pytest.raises(LookupError, match="0 times"), planted(splitting.split, "no line", ""):
        pass
