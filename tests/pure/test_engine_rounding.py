from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
from engine_cases import LAW, decimals
from hypothesis import given
from hypothesis import strategies as st

from engine import largest_remainder, round_half_up, share_signed

STEPS = [Decimal(step) for step in ("0.01", "0.05", "1", "0.001", "0.000001")]


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        ("733.845", "0.01", "733.85"),  # City Power's bill: half even would give 733.84
        ("791.565", "0.01", "791.57"),
        ("0.005", "0.01", "0.01"),
        ("-0.005", "0.01", "-0.01"),
        ("-0.004", "0.01", "0.00"),
        ("0.004999999999999999999999999999999", "0.01", "0.00"),
        ("2.675", "0.01", "2.68"),
        ("1.075", "0.05", "1.10"),
        ("1.02", "0.05", "1.00"),
        ("2.5", "1", "3"),
        ("12345678901234567890123456789.125", "0.01", "12345678901234567890123456789.13"),
    ],
)
def test_half_up(value, step, expected):
    assert str(round_half_up(Decimal(value), Decimal(step))) == expected


def test_a_fraction_is_rounded_exactly():
    just_below = Fraction(1, 200) - Fraction(1, 10**200)
    assert round_half_up(just_below, Decimal("0.01")) == 0
    assert round_half_up(Fraction(1, 200), Decimal("0.01")) == Decimal("0.01")
    assert round_half_up(Fraction(2, 3), Decimal("0.01")) == Decimal("0.67")


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_no_number_is_refused(value):
    with pytest.raises(ValueError, match="cannot be rounded"):
        round_half_up(Decimal(value), Decimal("0.01"))


@pytest.mark.parametrize("step", ["0", "-0.01", "NaN"])
def test_no_step_is_refused(step):
    with pytest.raises(ValueError, match="step"):
        round_half_up(Decimal(1), Decimal(step))
    with pytest.raises(ValueError, match="step"):
        largest_remainder(Decimal(1), [Decimal(1)], Decimal(step))


@LAW
@given(decimals("-1000", "1000", 6), st.sampled_from(STEPS))
def test_rounding_moves_by_half_a_step_at_most(value, step):
    rounded = round_half_up(value, step)
    assert rounded % step == 0
    assert abs(rounded - value) <= step / 2


@pytest.mark.parametrize(
    ("total", "weights", "step", "expected"),
    [
        ("100.00", ["1", "1", "1"], "0.01", ["33.34", "33.33", "33.33"]),
        ("100.00", ["1", "2", "4"], "0.01", ["14.29", "28.57", "57.14"]),
        ("100.00", ["0", "1", "0"], "0.01", ["0.00", "100.00", "0.00"]),
        ("0.02", ["1", "3"], "0.01", ["0.00", "0.02"]),  # equal remainders: the larger weight
        ("0.02", ["3", "1"], "0.01", ["0.02", "0.00"]),
        ("0.01", ["0.000001", "1000000"], "0.01", ["0.00", "0.01"]),
        ("1", ["1", "1"], "0.05", ["0.50", "0.50"]),
        ("10", ["1", "1", "1"], "1", ["4", "3", "3"]),
        ("-100.00", ["1", "1", "1"], "0.01", ["-33.34", "-33.33", "-33.33"]),
        ("0.00", ["0", "0"], "0.01", ["0.00", "0.00"]),
    ],
)
def test_largest_remainder(total, weights, step, expected):
    shares = largest_remainder(Decimal(total), [Decimal(w) for w in weights], Decimal(step))
    assert [str(share) for share in shares] == expected


@pytest.mark.parametrize(
    ("total", "weights", "sentence"),
    [
        ("1.005", ["1"], "no multiple"),
        ("1", ["0", "0"], "all weights are zero"),
        ("1", [], "all weights are zero"),
        ("1", ["2", "-1"], "zero or more"),
        ("1", ["NaN"], "zero or more"),
    ],
)
def test_what_cannot_be_shared_is_refused(total, weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        largest_remainder(Decimal(total), [Decimal(w) for w in weights], Decimal("0.01"))


@LAW
@given(
    st.integers(-(10**8), 10**8),
    st.lists(decimals("0.000001", "1000000", 6), min_size=1, max_size=97),
    st.sampled_from(STEPS),
    st.randoms(use_true_random=False),
)
def test_shares_add_up_and_do_not_depend_on_the_order(count, weights, step, random):
    total = count * step
    shares = largest_remainder(total, weights, step)
    assert sum(shares) == total
    whole = sum(map(Fraction, weights))
    for share, weight in zip(shares, weights, strict=True):
        assert abs(Fraction(share) - Fraction(total) * Fraction(weight) / whole) < step
    shuffled = weights[:]
    random.shuffle(shuffled)
    again = largest_remainder(total, shuffled, step)
    assert sorted(zip(weights, shares, strict=True)) == sorted(zip(shuffled, again, strict=True))


def test_the_callers_decimal_context_stays_as_it_was():
    before = getcontext().copy()
    round_half_up(Decimal("1.005"), Decimal("0.01"))
    largest_remainder(Decimal(1), [Decimal(3), Decimal(4)], Decimal("0.01"))
    assert getcontext().prec == before.prec
    assert getcontext().traps == before.traps


def test_signed_shares_stay_beside_their_amounts():
    weights = [Decimal("100.004"), Decimal("-99.997"), Decimal("0.006")]
    shares = share_signed(Decimal("0.01"), weights, Decimal("0.01"))
    assert shares == [Decimal("100.00"), Decimal("-100.00"), Decimal("0.01")]
    assert share_signed(Decimal("-1.01"), [Decimal("-1.005")], Decimal("0.01")) == [
        Decimal("-1.01")
    ]
    assert share_signed(Decimal(0), [], Decimal("0.01")) == []


@LAW
@given(st.lists(decimals(-1000, 1000, 6), min_size=1, max_size=8))
def test_signed_shares_add_up_and_stay_within_two_steps(weights):
    step = Decimal("0.01")
    total = round_half_up(sum(weights, Decimal(0)), step)
    if total and not any(weights):
        return
    shares = share_signed(total, weights, step)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - weight) <= 2 * step
        assert weight or not share
