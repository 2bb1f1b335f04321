"""Honest figures: figure and yardstick in turn in one run, median of the pairwise ratios."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_PAIRS = 5


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    `must` and `aim` are bounds of the ratio where there is a yardstick, else of the figure.
    """

    what: str
    figure: float
    unit: str
    yardstick: float | None = None
    ratio: float | None = None
    must: float | None = None
    aim: float | None = None
    smaller_is_better: bool = False

    @property
    def judged(self) -> float:
        return self.figure if self.ratio is None else self.ratio

    def meets(self, bound: float | None) -> bool:
        """Whether the judged value is at least (or at most) as good as the bound."""
        if bound is None:
            return True
        return self.judged <= bound if self.smaller_is_better else self.judged >= bound


@dataclass(frozen=True)
class Pairs:
    """Medians over the pairs of one comparison, in the unit the two functions return."""

    figure: float
    yardstick: float
    ratio: float
    count: int


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, in real seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(
    figure: Callable[[], float], yardstick: Callable[[], float], pairs: int = LEAST_PAIRS
) -> Pairs:
    """Measure A B A B ...; each function does its work once and returns its figure.

    :raise ValueError: for fewer than five pairs
    """
    if pairs < LEAST_PAIRS:
        raise ValueError(f"{pairs} pairs say nothing; take at least {LEAST_PAIRS}")
    measured = [(figure(), yardstick()) for _ in range(pairs)]
    return Pairs(
        figure=statistics.median(a for a, _ in measured),
        yardstick=statistics.median(b for _, b in measured),
        ratio=statistics.median(a / b for a, b in measured),
        count=pairs,
    )
