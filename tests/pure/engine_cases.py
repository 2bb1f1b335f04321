"""Tariffs, use and settling for the tests of the engine, and hypothesis strategies for them."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st

from engine import TariffVersion, Window, rate, round_half_up

LAW = settings(deadline=None, max_examples=60, print_blob=True)

ALL_MONTHS = frozenset(range(1, 13))
ALL_DAYS = frozenset({"workday", "weekend", "holiday"})
CENT = Decimal("0.01")
ZONES = (
    "Asia/Shanghai",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
)


def utc(zone: str, *local: int, fold: int = 0) -> datetime:
    """Return the naive UTC moment of a local wall-clock time."""
    moment = datetime(*local, tzinfo=ZoneInfo(zone), fold=fold)
    return moment.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)


def band_at(version: TariffVersion, day: date, minute: int) -> str:
    """The band in force at a minute (0..1439, wall clock) of a local date; exactly one is."""
    (band,) = (band for start, end, band in version.plan_of(day) if start <= minute < end)
    return band


def every_day(band: str, start: int, end: int) -> Window:
    """Return a window from hour to hour on all days of the year."""
    return Window(band, ALL_MONTHS, ALL_DAYS, start * 60, end * 60)


def tariff(
    prices: dict[str, Sequence[str]],
    limits: Iterable[str] = (),
    *,
    key: int = 1,
    windows: tuple[Window, ...] = (),
    rest: str | None = None,
    period: str = "month",
    year_month: int = 1,
    allocation: str = "to_date",
    **more,
) -> TariffVersion:
    """Return a version; ``prices`` are those of tier 1, 2, ... by band."""
    return TariffVersion(
        key=key,
        bands=tuple(prices),
        windows=windows,
        rest_band=rest if rest is not None else next(iter(prices)),
        tier_limits=tuple(Decimal(limit) for limit in limits),
        prices={
            (band, tier): Decimal(price)
            for band, row in prices.items()
            for tier, price in enumerate(row, 1)
        },
        tier_period=period,
        tier_year_month=year_month,
        allocation=allocation,
        **more,
    )


def by_month(days):
    """Return days as the rows that ``rate`` takes as ``before``, as usage would give them."""
    rows = defaultdict(Decimal)
    for day, use in days:
        for version in sorted({cell[1] for cell in use}):
            for (supply, key, band), quantity in use.items():
                if key == version and quantity:
                    rows[day.replace(day=1), supply, key, band] += quantity
    return [(*row, quantity) for row, quantity in rows.items()]


def settle(versions, days, cuts=(), step=CENT):
    """Rate and post days in the pieces that begin at the positions in ``cuts``.

    Returns the money posted by month: after each piece, what is due of a month, rounded, less
    what was posted for it before.
    """
    posted = defaultdict(Decimal)
    lines = []
    positions = [0, *sorted({cut for cut in cuts if 0 < cut < len(days)}), len(days)]
    for first, end in itertools.pairwise(positions):
        unit = rate(versions, by_month(days[:first]), days[first:end])
        lines.extend(unit.lines)
        for month, due in unit.due.items():
            posted[month] += round_half_up(due, step) - posted[month]
    return dict(posted), lines


def decimals(low: str, high: str, places: int):
    return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)


quantities = st.one_of(
    st.just(Decimal(0)),
    decimals("0", "60", 3),
    decimals("0", "0.01", 6),
    decimals("0", "100000", 6),
)
prices = decimals("0", "2", 6)


@st.composite
def tariffs(draw, key: int = 1, period: str | None = None, rising: bool = False):
    """Draw a complete version: 1 to 3 bands, windows at any minute, 1 to 3 tiers."""
    bands = ("peak", "flat", "valley")[: draw(st.integers(1, 3))]
    windows = tuple(
        Window(
            draw(st.sampled_from(bands)),
            draw(st.frozensets(st.integers(1, 12), min_size=1)),
            draw(st.frozensets(st.sampled_from(sorted(ALL_DAYS)), min_size=1)),
            draw(st.integers(0, 1439)),
            draw(st.integers(1, 1440)),
        )
        for _ in range(draw(st.integers(0, 4)))
    )
    limits = tuple(sorted(draw(st.sets(decimals("1", "400", 2), max_size=2))))
    table = {}
    for band in bands:
        row = [draw(prices) for _ in range(len(limits) + 1)]
        for tier, price in enumerate(sorted(row) if rising else row, 1):
            table[band, tier] = price
    return TariffVersion(
        key,
        bands,
        windows,
        draw(st.sampled_from(bands)),
        limits,
        table,
        period or draw(st.sampled_from(("month", "quarter", "year"))),
        1,
        draw(st.sampled_from(("to_date", "proportional"))),
    )


@st.composite
def uses(draw, version: TariffVersion, first: date, length: int, supplies: int = 2):
    """Draw days of use in random cells of a version, from a date on, with days left out."""
    days = []
    for number in range(length):
        cells = {
            (supply, version.key, band): draw(quantities)
            for supply in range(1, supplies + 1)
            for band in version.bands
            if draw(st.booleans())
        }
        if cells:
            days.append((first + timedelta(number), cells))
    return days
