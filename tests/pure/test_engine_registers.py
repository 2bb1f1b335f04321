"""Use split by the meter's own band registers, and when they are believed (T7, R7, R9)."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from engine_cases import LAW, ZONES, decimals, every_day, tariff, utc
from hypothesis import given
from hypothesis import strategies as st

from engine import Limits, Point, Span, Verdict, band_steps, judge, split, split_by_registers

SHANGHAI = ZoneInfo("Asia/Shanghai")
ONE = Decimal(1)
VERSION = tariff(
    {"day": ["1"], "night": ["1"], "rest": ["1"]}, windows=(every_day("night", 22, 8),), rest="day"
)
ALWAYS = [Span(datetime(1900, 1, 1), None, ONE, VERSION)]


def registers(points, *rows):
    return {
        point.moment: {band: Decimal(value) for band, value in row.items()}
        for point, row in zip(points, rows, strict=True)
    }


def at(hour, register, day=21):
    return Point(utc("Asia/Shanghai", 2025, 5, day, hour), Decimal(register))


def test_the_meter_says_how_the_step_is_shared():
    points = [at(20, 100), at(23, 110)]
    read = registers(points, {"day": 60, "night": 40}, {"day": 69, "night": 41})
    assert split_by_registers(points, read, ALWAYS, SHANGHAI, "day") == [
        (date(2025, 5, 21), 1, "day", 9, False),
        (date(2025, 5, 21), 1, "night", 1, False),
    ]


def test_a_band_is_linear_over_the_time_in_which_it_is_in_force():
    points = [at(20, 100), at(12, 130, day=22)]  # day: 2 and 4 hours; night: 2 and 8
    read = registers(points, {"day": 60, "night": 40}, {"day": 78, "night": 52})
    cells = split_by_registers(points, read, ALWAYS, SHANGHAI, "day")
    assert cells == [
        (date(2025, 5, 21), 1, "day", 6, True),
        (date(2025, 5, 21), 1, "night", Decimal("2.4"), True),
        (date(2025, 5, 22), 1, "day", 12, True),
        (date(2025, 5, 22), 1, "night", Decimal("9.6"), True),
    ]


def test_use_of_a_band_that_was_not_in_force_is_linear_over_all_time():
    points = [at(9, 100), at(11, 110)]
    read = registers(points, {"day": 60, "night": 40}, {"day": 66, "night": 44})
    assert [cell[2:4] for cell in split_by_registers(points, read, ALWAYS, SHANGHAI, "day")] == [
        ("day", 6),
        ("night", 4),
    ]


@pytest.mark.parametrize(
    ("day", "night", "expected"),
    [
        ("69", "40.99", {"day": "9", "night": "0.99", "rest": "0.01"}),
        ("69.01", "41", {"day": "9.00", "night": "1"}),  # a rest of -0.01: the largest gives it
        ("69", "41", {"day": "9", "night": "1"}),
        ("60", "51", {"night": "10"}),
    ],
)
def test_the_rest_goes_to_a_named_band(day, night, expected):
    points = [at(20, 100), at(23, 110)]
    read = registers(points, {"day": 60, "night": 40}, {"day": day, "night": night})
    cells = split_by_registers(points, read, ALWAYS, SHANGHAI, "rest")
    found = {cell.band: cell.quantity for cell in cells if cell.quantity}
    assert found == {band: Decimal(value) for band, value in expected.items()}


def test_a_reading_without_band_registers_is_split_by_the_plan():
    points = [at(20, 100), at(23, 112), at(23, 130, day=22)]
    read = registers(points[:2], {"day": 60, "night": 40}, {"day": 70, "night": 42})
    cells = split_by_registers(points, read, ALWAYS, SHANGHAI, "day")
    plan = split(points[1:], ALWAYS, SHANGHAI)
    both = defaultdict(Decimal, {(date(2025, 5, 21), "day"): 10, (date(2025, 5, 21), "night"): 2})
    for cell in plan:
        both[cell.date, cell.band] += cell.quantity
    assert {(cell.date, cell.band): cell.quantity for cell in cells} == both
    assert split_by_registers(points, {}, ALWAYS, SHANGHAI, "day") == sorted(
        split(points, ALWAYS, SHANGHAI)
    )


def test_band_registers_roll_over_or_are_refused():
    low, high = {"day": Decimal("999.5")}, {"day": Decimal("0.25")}
    assert band_steps(low, high, Decimal(1000)) == {"day": Decimal("0.75")}
    with pytest.raises(ValueError, match=r"band .day. falls from 999\.5 to 0\.25"):
        band_steps(low, high)
    with pytest.raises(ValueError, match="are not the same"):
        band_steps(low, {"night": ONE})
    with pytest.raises(ValueError, match="band 'day' is not a number"):
        band_steps(low, {"day": Decimal("NaN")})


zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(2025, 10, 3), datetime(2025, 11, 4)).map(
    lambda moment: moment.replace(second=0, microsecond=0)
)


@LAW
@given(
    zones,
    st.lists(moments, min_size=2, max_size=6, unique=True).map(sorted),
    st.lists(moments, max_size=2, unique=True).map(sorted),
    st.data(),
)
def test_nothing_is_lost_or_doubled(zone, times, cuts, data):
    steps = st.one_of(st.just(Decimal(0)), decimals("0", "90", 3))
    points, read = [], {}
    total, bands = Decimal(0), {"day": Decimal(0), "night": Decimal(0)}
    for moment in times:
        points.append(Point(moment, total))
        if data.draw(st.integers(0, 4)):
            read[moment] = dict(bands)
        total += data.draw(steps)
        bands = {band: register + data.draw(steps) for band, register in bands.items()}
    bounds = [datetime(1900, 1, 1), *cuts, None]
    spans = [Span(start, end, ONE, VERSION) for start, end in pairwise(bounds)]
    cells = split_by_registers(points, read, spans, zone, "rest")
    assert all(cell.quantity >= 0 for cell in cells)
    assert sum(cell.quantity for cell in cells) == points[-1].register
    # A change of customer between two readings gives each side what the total says.
    for span in spans:
        here = sum(c.quantity for c in split_by_registers(points, read, [span], zone, "rest"))
        assert here == sum(cell.quantity for cell in split(points, [span], zone))
    pieces = defaultdict(Decimal)
    for pair in pairwise(points):
        for cell in split_by_registers(pair, read, spans, zone, "rest"):
            pieces[cell[:3]] += cell.quantity
    whole = {cell[:3]: cell.quantity for cell in cells}
    assert whole == pieces


def test_registers_of_which_one_fell_say_nothing():
    """A person believed the reading: its use goes by the plan, over the total's step."""
    start = datetime(2025, 5, 21)
    points = [Point(start, Decimal(0)), Point(start + timedelta(hours=1), Decimal(10))]
    read = {
        points[0].moment: {"day": Decimal(600), "night": Decimal(400)},
        points[1].moment: {"day": Decimal(3), "night": Decimal(400)},
    }
    spans = [Span(datetime(1900, 1, 1), None, ONE, VERSION)]
    cells = split_by_registers(points, read, spans, ZoneInfo("UTC"), "rest")
    assert cells == split(points, spans, ZoneInfo("UTC"))
    # Nor where the width is known: over a rollover it would be far more than the total's step.
    width = {"modulus": Decimal(1000)}
    cells = split_by_registers(points, read, spans, ZoneInfo("UTC"), "rest", **width)
    assert cells == split(points, spans, ZoneInfo("UTC"))
    read[points[0].moment]["day"] = Decimal(995)
    use = defaultdict(Decimal)
    for cell in split_by_registers(points, read, spans, ZoneInfo("UTC"), "rest", **width):
        use[cell.band] += cell.quantity
    assert (use["day"], use["night"], use["rest"]) == (8, 0, 2)


# -- whether they are believed ---------------------------------------------------------------------

LIMITS = Limits(modulus=Decimal(1_000_000), multiplier=Decimal(40), max_power=None)
BEFORE = Point(datetime(2025, 5, 21), Decimal(1000))
LOW = {"day": Decimal(600), "night": Decimal(400)}


def judged(high, register="1010", **more):
    moment = BEFORE.moment + timedelta(hours=1)
    bands = {band: Decimal(value) for band, value in high.items()}
    return judge(
        Decimal(register),
        moment,
        more.pop("previous", BEFORE),
        None,
        None,
        LIMITS,
        moment,
        bands=bands,
        previous_bands=LOW,
        **more,
    )


@pytest.mark.parametrize(
    ("high", "state"),
    [
        ({"day": "607", "night": "403"}, "accepted"),
        ({"day": "607.01", "night": "403"}, "accepted"),  # a digit more
        ({"day": "606.99", "night": "402.99"}, "accepted"),
        ({"day": "606.5", "night": "403"}, "held"),  # 5 % less
        ({"day": "607.5", "night": "403"}, "held"),
        ({"day": "607", "night": "399"}, "held"),  # fell: over the rollover it is far too much
        ({"day": "607", "dawn": "403"}, "held"),
        ({"day": "NaN", "night": "403"}, "held"),
    ],
)
def test_band_registers_add_up_to_the_total(high, state):
    verdict = judged(high)
    assert verdict.state == state
    assert verdict.reason == ("bands" if state == "held" else "")
    if state == "held":
        assert verdict.expected == "Σ 10 ± 0.13"


def test_without_band_registers_before_there_is_nothing_to_compare():
    moment = BEFORE.moment + timedelta(hours=1)
    for bands, previous_bands in ((None, LOW), ({"day": ONE}, None)):
        verdict = judge(
            Decimal(1010),
            moment,
            BEFORE,
            None,
            None,
            LIMITS,
            moment,
            bands=bands,
            previous_bands=previous_bands,
        )
        assert verdict == Verdict("accepted")
    assert judged({"day": "1", "night": "1"}, previous=None) == Verdict("accepted")


@pytest.mark.parametrize(
    ("multiplier", "verdict"),
    [
        (None, Verdict("accepted")),
        (Decimal("40.0"), Verdict("accepted")),
        (Decimal(80), Verdict("held", "multiplier", "40")),
    ],
)
def test_another_ratio_than_the_document_is_held(multiplier, verdict):
    """CT 100 changed to 200 in the meter, on site, unannounced (R7)."""
    assert judged({"day": "607", "night": "403"}, multiplier=multiplier) == verdict
