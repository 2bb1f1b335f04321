"""The benchmark table: what it judges and how it takes its medians."""

import pytest

from tools.bench import table
from tools.measuring import Figure, compare


def test_the_median_of_the_pairwise_ratios_is_taken():
    figures = iter([10.0, 20.0, 30.0, 40.0, 500.0])
    yardsticks = iter([10.0, 10.0, 10.0, 20.0, 20.0])
    pairs = compare(lambda: next(figures), lambda: next(yardsticks))
    # The ratios are 1, 2, 3, 2 and 25; the ratio of the medians would be 3.
    assert (pairs.figure, pairs.yardstick, pairs.ratio, pairs.count) == (30.0, 10.0, 2.0, 5)


def test_figure_and_yardstick_are_measured_in_turn():
    calls = []
    compare(lambda: calls.append("a") or 1.0, lambda: calls.append("b") or 1.0)
    assert "".join(calls) == "ab" * 5


def test_fewer_than_five_pairs_are_refused():
    with pytest.raises(ValueError, match="at least 5"):
        compare(lambda: 1.0, lambda: 1.0, pairs=4)


@pytest.mark.parametrize(
    ("figure", "meets"),
    [
        (Figure("rate", 900, "rows/s", must=1000), False),
        (Figure("rate", 1000, "rows/s", must=1000), True),
        (Figure("delay", 2.1, "s", must=2, smaller_is_better=True), False),
        (Figure("delay", 2.0, "s", must=2, smaller_is_better=True), True),
        (Figure("rate", 50, "rows/s", yardstick=100, ratio=0.5, must=0.6), False),
        (Figure("rate", 50, "rows/s", yardstick=100, ratio=0.5, must=0.5), True),
        (Figure("rate", 50, "rows/s"), True),
    ],
)
def test_a_bound_judges_the_ratio_where_there_is_one(figure, meets):
    assert figure.meets(figure.must) is meets


def test_the_table_names_a_missed_must_and_a_missed_aim():
    lines = table(
        [
            Figure("slow", 10, "rows/s", must=20, aim=30),
            Figure("fair", 25, "rows/s", must=20, aim=30),
            Figure("good", 35, "rows/s", must=20, aim=30),
        ]
    ).splitlines()
    assert lines[1].endswith("MUST MISSED")
    assert lines[2].endswith("aim missed")
    assert lines[3].endswith("≥ 30")
