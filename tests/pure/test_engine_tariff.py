import itertools
import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from engine_cases import ALL_DAYS, ALL_MONTHS, LAW, band_at, every_day, tariff, tariffs
from hypothesis import given
from hypothesis import strategies as st

from engine import SENTENCES, Calendar, TariffVersion, TierSeason, Window, plan_rows, round_half_up

# Windows of 13 provinces, transcribed from the notes under the grid companies' monthly price
# tables; in a season, bands listed later override earlier ones.
PROVINCES = json.loads(
    (Path(__file__).parent / "data" / "windows_2025.json").read_text(encoding="utf-8")
)["tariffs"]
BANDS = ("sharp", "peak", "flat", "valley", "deep")


def minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def provincial(plan: dict) -> TariffVersion:
    windows = []
    rests = {season.get("rest") for season in plan["seasons"]}
    assert len(rests) == 1
    for season in plan["seasons"]:
        for band, spans in season.items():
            if band in ("months", "rest"):
                continue
            for span in spans:
                start, end = map(minutes, span.split("-"))
                windows.append(Window(band, frozenset(season["months"]), ALL_DAYS, start, end))
    rest = rests.pop()
    used = {rest, *(window.band for window in windows)}
    bands = tuple(band for band in BANDS if band in used)
    prices = {(band, 1): Decimal(1) for band in bands}
    return TariffVersion(1, bands, tuple(windows), rest, (), prices, "month")


def painted(plan: dict, month: int) -> list[str]:
    """Return the band of each minute of a day, painted minute by minute from the notice."""
    (season,) = (season for season in plan["seasons"] if month in season["months"])
    day = [season.get("rest")] * 1440
    for band, spans in season.items():
        if band in ("months", "rest"):
            continue
        for span in spans:
            start, end = map(minutes, span.split("-"))
            minute = start
            while minute % 1440 != end % 1440:
                day[minute % 1440] = band
                minute += 1
    return day


@pytest.mark.parametrize("plan", PROVINCES, ids=[plan["area"].split()[0] for plan in PROVINCES])
def test_provincial_plans_cover_each_minute_of_the_year_once(plan):
    version = provincial(plan)
    assert version.check() == []
    plans = {month: painted(plan, month) for month in range(1, 13)}
    day = date(2024, 1, 1)  # a leap year
    while day.year == 2024:
        rows = version.plan_of(day)
        assert rows[0][0] == 0 and rows[-1][1] == 1440
        covered = [band for start, end, band in rows for _ in range(start, end)]
        assert covered == plans[day.month]
        day += timedelta(1)
    assert [band_at(version, day, m) for m in range(1440)] == plans[1]


def test_there_are_thirteen_provincial_plans():
    assert len(PROVINCES) == 13


@pytest.mark.parametrize(
    ("base", "peak", "valley"),
    # Shenzhen and Zhuhai under Guangdong's order [2021] 331: peak 1.7 and valley 0.38 times the
    # flat price, "in fen, rounded to two decimals".
    [("0.6542", "1.1121", "0.2486"), ("0.6002", "1.0203", "0.2281")],
)
def test_guangdong_prices_follow_from_base_and_ratio(base, peak, valley):
    step = Decimal("0.0001")
    assert round_half_up(Decimal(base) * Decimal("1.7"), step) == Decimal(peak)
    assert round_half_up(Decimal(base) * Decimal("0.38"), step) == Decimal(valley)


def test_a_window_over_midnight_judges_each_part_by_its_own_date():
    version = tariff(
        {"flat": ["1"], "valley": ["1"]},
        windows=(Window("valley", frozenset({1}), frozenset({"workday"}), 22 * 60, 6 * 60),),
    )
    friday, saturday = date(2025, 1, 31), date(2025, 2, 1)
    assert band_at(version, friday, 23 * 60) == "valley"
    assert band_at(version, friday, 5 * 60 + 59) == "valley"
    assert band_at(version, friday, 6 * 60) == "flat"
    assert band_at(version, saturday, 0) == "flat"  # February
    off = replace(version, calendar=Calendar(days={friday: "weekend"}))
    assert band_at(off, friday, 23 * 60) == "flat"


def test_later_windows_override_earlier_ones():
    version = tariff(
        {"flat": ["1"], "peak": ["1"], "sharp": ["1"]},
        windows=(every_day("peak", 8, 12), every_day("sharp", 9, 10)),
    )
    assert version.day_plan(7, "workday") == (
        (0, 480, "flat"),
        (480, 540, "peak"),
        (540, 600, "sharp"),
        (600, 720, "peak"),
        (720, 1440, "flat"),
    )


def test_a_window_from_a_minute_to_itself_is_the_whole_day():
    version = tariff(
        {"flat": ["1"], "peak": ["1"]},
        windows=(Window("peak", ALL_MONTHS, ALL_DAYS, 480, 480),),
    )
    assert version.day_plan(1, "workday") == ((0, 1440, "peak"),)


def test_day_types():
    calendar = Calendar(
        days={
            date(2025, 10, 1): "holiday",
            date(2025, 10, 4): "holiday",  # a Saturday
            date(2025, 10, 11): "workday",  # a Saturday, made up for
        }
    )
    expected = {1: "holiday", 2: "workday", 4: "holiday", 5: "weekend", 11: "workday"}
    assert {day: calendar.day_type(date(2025, 10, day)) for day in expected} == expected
    assert Calendar(weekend=frozenset({4})).day_type(date(2025, 10, 4)) == "workday"
    assert Calendar(weekend=frozenset({4})).day_type(date(2025, 10, 3)) == "weekend"


def test_a_declared_day_has_its_own_windows_whatever_its_day_type():
    hot, sunday = date(2025, 7, 9), date(2025, 7, 13)
    version = tariff(
        {"flat": ["1"], "peak": ["1"], "sharp": ["1"]},
        windows=(
            Window("peak", ALL_MONTHS, frozenset({"workday"}), 480, 720),
            Window("sharp", frozenset({7, 8}), frozenset(), 600, 660, declared_only=True),
        ),
        calendar=Calendar(declared=frozenset({hot, sunday})),
    )
    assert band_at(version, hot, 630) == "sharp"
    assert band_at(version, hot, 599) == "peak"
    assert band_at(version, sunday, 630) == "sharp"
    assert band_at(version, sunday, 599) == "flat"
    assert band_at(version, date(2025, 7, 10), 630) == "peak"


def test_a_hole_is_an_error_not_a_default():
    version = replace(tariff({"peak": ["1"]}, windows=(every_day("peak", 0, 23),)), rest_band=None)
    with pytest.raises(ValueError, match="no band from 23:00 to 24:00 on a workday in month 3"):
        version.day_plan(3, "workday")


WINDOW = Window("peak", ALL_MONTHS, ALL_DAYS, 480, 720)
GOOD = tariff({"peak": ["1", "2"], "flat": ["1", "2"]}, ["100"], rest="flat", windows=(WINDOW,))
SHARP = tariff({"peak": ["1"], "flat": ["1"], "sharp": ["1"]}, rest="flat", windows=(WINDOW,))


def season(months, *limits):
    return TierSeason(frozenset(months), tuple(map(Decimal, limits)))


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ({}, []),
        ({"windows": ()}, ["Band 'peak' is never in force"]),
        ({"bands": ()}, ["There is no band"]),
        ({"bands": ("peak", "flat", "flat")}, ["'flat' is listed more than once"]),
        ({"rest_band": "dawn"}, ["'dawn' of all other hours is unknown"]),
        (
            {"rest_band": None, "windows": (WINDOW,)},
            [
                "No band from 00:00 to 08:00 on a workday in month 1, 2, 3",
                "No band from 12:00 to 24:00 on a holiday",
            ],
        ),
        (
            {"windows": (replace(WINDOW, band="dawn"),)},
            ["Window 1 ('dawn', 08:00-12:00) has an unknown band"],
        ),
        (
            {"windows": (replace(WINDOW, months=frozenset()),)},
            ["Window 1 ('peak', 08:00-12:00) is empty: it has no month"],
        ),
        ({"windows": (replace(WINDOW, day_types=frozenset()),)}, ["is empty: it has no day type"]),
        ({"windows": (replace(WINDOW, months=frozenset({0, 13})),)}, ["month 0", "month 13"]),
        ({"windows": (replace(WINDOW, day_types=frozenset({"feast"})),)}, ["day type 'feast'"]),
        ({"windows": (replace(WINDOW, start_minute=1440),)}, ["starts at minute 1440"]),
        ({"windows": (replace(WINDOW, end_minute=0),)}, ["ends at minute 0"]),
        ({"tier_limits": (Decimal("-5"),)}, ["limit of tier 1 must be above zero, not -5"]),
        ({"tier_limits": (Decimal(0),)}, ["limit of tier 1 must be above zero, not 0"]),
        ({"tier_limits": (Decimal("Infinity"),)}, ["limit of tier 1 is Infinity"]),
        (
            {"tier_limits": (Decimal(100), Decimal(100))},
            [
                "limit 100 of tier 2 is the one of the tier before",
                "The last tier is closed: use above the limit 100 of tier 2 has no price.",
            ],
        ),
        (
            {"tier_limits": (Decimal(100), Decimal(90))},
            ["limit 90 of tier 2 is below 100", "last tier is closed"],
        ),
        (
            {"prices": {cell: Decimal(1) for cell in GOOD.prices if cell != ("peak", 2)}},
            ["There is no price for band 'peak', tier 2"],
        ),
        ({"tier_limits": ()}, ["price for band 'peak', tier 2, which has no limit"]),
        (
            {"prices": {**GOOD.prices, ("dawn", 1): Decimal(1)}},
            ["price for the unknown band 'dawn'"],
        ),
        (
            {"prices": {**GOOD.prices, ("peak", 2): Decimal("-1")}},
            ["'peak', tier 2 must be zero or more"],
        ),
        (
            {"prices": {**GOOD.prices, ("peak", 2): Decimal("NaN")}},
            ["'peak', tier 2 must be zero or more"],
        ),
        ({"prices": {**GOOD.prices, ("peak", 2): Decimal("0.1234567")}}, ["more than 6 decimals"]),
        ({"prices": {**GOOD.prices, ("peak", 2): Decimal("0.12345600")}}, []),
        ({"tier_period": "week"}, ["tier period 'week'"]),
        ({"tier_year_month": 13}, ["month 13"]),
        ({"tier_year_day": 29}, ["start on day 29; that may be 1 to 28"]),
        ({"tier_year_day": 0}, ["start on day 0"]),
        ({"allocation": "by_hand"}, ["allocation 'by_hand'"]),
        ({"allocation": "chronological"}, []),
        ({"tier_seasons": (season({7, 8}, 260),)}, []),
        ({"tier_seasons": (season({7, 8}),)}, []),
        ({"tier_limits": (), "tier_seasons": (season({7, 8}, 260),)}, []),
        (
            {"tier_seasons": (season({7, 8}, 260),), "tier_period": "quarter"},
            ["Limits by season need a tier period of one month"],
        ),
        (
            {"tier_seasons": (season({7, 8}, 260), season({8, 9}, 200))},
            ["Month 8 has limits of two seasons"],
        ),
        ({"tier_seasons": (season({}, 260),)}, ["Season 1 of the limits has no month"]),
        ({"tier_seasons": (season({13}, 260),)}, ["Season 1 of the limits names month 13"]),
        (
            {"tier_seasons": (season({7, 8}, 0),)},
            ["Month 7, 8: The limit of tier 1 must be above zero"],
        ),
        (
            {"tier_seasons": (season({7, 8}, 260, 400),)},
            ["closed: use above the limit 400 of tier 2 has no price"],
        ),
        ({"per_day": Decimal("-0.01")}, ["amount -0.01 of 'per_day' must be zero or more"]),
        ({"minimum": Decimal("NaN")}, ["amount NaN of 'minimum' must be zero or more"]),
        (
            {"calendar": Calendar(days={date(2025, 5, 1): "feast"})},
            ["unknown day type 'feast' for 2025-05-01"],
        ),
    ],
)
def test_check_names_what_is_wrong(change, sentences):
    problems = replace(GOOD, **change).check()
    for sentence in sentences:
        assert any(sentence in problem for problem in problems), problems
    assert (problems == []) is (not sentences)


@pytest.mark.parametrize(
    ("windows", "codes"),
    [
        # Sharp inside peak, either way of a meeting edge, and across midnight.
        ([("sharp", 540, 600)], []),
        ([("sharp", 480, 600)], []),
        ([("sharp", 480, 720)], ["window_hidden", "band_unused"]),  # peak is covered
        ([("sharp", 720, 800)], []),
        ([("sharp", 700, 800)], ["overlap"]),
        ([("sharp", 400, 481)], ["overlap"]),
        ([("sharp", 1300, 500)], ["overlap"]),
        ([("sharp", 1300, 480)], []),
        ([("sharp", 400, 800)], ["window_hidden", "band_unused"]),  # peak is covered
        ([("peak", 700, 800), ("sharp", 540, 600)], []),  # a band may overlap itself
    ],
)
def test_an_overlap_that_is_meant_lies_inside(windows, codes):
    added = tuple(Window(band, ALL_MONTHS, ALL_DAYS, *minutes) for band, *minutes in windows)
    found = [problem.code for problem in replace(SHARP, windows=(WINDOW, *added)).problems()]
    assert found == codes


def test_an_overlap_needs_a_day_in_common():
    crossing = Window("sharp", frozenset({7}), frozenset({"workday"}), 700, 800)
    summer = replace(WINDOW, months=frozenset({6, 7}))
    for window, other in (
        (replace(summer, months=frozenset({6})), crossing),
        (replace(summer, day_types=frozenset({"weekend", "holiday"})), crossing),
        (summer, replace(crossing, declared_only=True)),  # a declared day cuts into all others
    ):
        assert replace(SHARP, windows=(window, other)).problems() == []
    (problem,) = replace(SHARP, windows=(summer, crossing)).problems()
    assert problem.code == "overlap"
    assert str(problem) == (
        "Window 1 ('peak', 08:00-12:00) and window 2 ('sharp', 11:40-13:20) overlap from 11:40 to "
        "12:00, and neither lies inside the other."
    )
    declared = [replace(window, declared_only=True) for window in (summer, crossing)]
    assert [p.code for p in replace(SHARP, windows=tuple(declared)).problems()] == ["overlap"]


def test_every_problem_has_its_values():
    """The shell translates codes: each sentence needs what its problem names, and no more."""
    for problem in replace(
        GOOD,
        bands=("peak", "peak"),
        rest_band="dawn",
        tier_limits=(Decimal(-1), Decimal("Infinity")),
        windows=(replace(WINDOW, band="dawn", months=frozenset({13}), end_minute=0),),
    ).problems():
        assert "%" not in str(problem)
        assert SENTENCES[problem.code] % problem.values in str(problem)


@pytest.mark.parametrize("plan", PROVINCES, ids=[plan["area"].split()[0] for plan in PROVINCES])
def test_plan_rows_are_the_plans_of_all_days(plan):
    version = provincial(plan)
    found = plan_rows(version)
    for kind, month in itertools.product(ALL_DAYS, range(1, 13)):
        (rows,) = (row[3] for row in found if month in row[0] and row[1] == kind)
        assert rows == version.day_plan(month, kind)
    assert len(found) == 3 * len({version.day_plan(month, "workday") for month in range(1, 13)})


def test_plan_rows_tell_declared_days_and_holes():
    version = replace(
        SHARP,
        rest_band=None,
        windows=(WINDOW, Window("sharp", frozenset({7}), frozenset(), 540, 600, True)),
    )
    hole = (0, 480, None), (720, 1440, None)
    found = plan_rows(version)
    assert [row[:3] for row in found if row[1] == "holiday"] == [
        (tuple(range(1, 13)), "holiday", False),
        ((7,), "holiday", True),
    ]
    assert found[0][3] == (hole[0], (480, 720, "peak"), hole[1])
    assert [row[3] for row in found if row[2]] == [
        (hole[0], (480, 540, "peak"), (540, 600, "sharp"), (600, 720, "peak"), hole[1])
    ] * 3


@pytest.mark.parametrize("year", [2024, 2025, 2028, 2100])
def test_29_february_is_covered(year):
    for plan in PROVINCES:
        version = provincial(plan)
        day = date(year, 3, 1) - timedelta(1)
        assert version.plan_of(day)[-1][1] == 1440
        assert version.plan_of(day) == version.plan_of(date(year, 2, 28)) or day.day == 29


@LAW
@given(tariffs(), st.integers(1, 12), st.sampled_from(sorted(ALL_DAYS)))
def test_a_day_plan_covers_the_day_once(version, month, kind):
    # Bands and windows were drawn at random: some are never in force, some cross.
    never = {"band_unused", "window_hidden", "overlap"}
    assert {problem.code for problem in version.problems()} <= never
    rows = version.day_plan(month, kind)
    assert rows[0][0] == 0 and rows[-1][1] == 1440
    for one, other in itertools.pairwise(rows):
        assert one[1] == other[0]
        assert one[2] != other[2]
    assert all(start < end for start, end, _band in rows)
