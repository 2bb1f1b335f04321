import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from engine_cases import LAW, ZONES, band_at, decimals, every_day, tariff, tariffs, utc
from hypothesis import given
from hypothesis import strategies as st

from engine import Calendar, Point, Span, edges, interpolate, local_midnight, split

SHANGHAI = ZoneInfo("Asia/Shanghai")
FLAT = tariff({"flat": ["1"]})
DAY_NIGHT = tariff({"peak": ["1"], "valley": ["1"]}, windows=(every_day("valley", 22, 8),), key=7)
HOURLY = tariff(
    {f"h{hour:02d}": ["1"] for hour in range(24)},
    windows=tuple(every_day(f"h{hour:02d}", hour, hour + 1) for hour in range(24)),
)
ONE = Decimal(1)
HOLIDAYS = Calendar(days={date(2025, 4, 4): "holiday", date(2025, 10, 6): "holiday"})


def forever(version, multiplier=ONE):
    return [Span(datetime(1900, 1, 1), None, multiplier, version)]


def summed(cells):
    totals = defaultdict(Decimal)
    for cell in cells:
        totals[cell.date, cell.version, cell.band] += cell.quantity
    return dict(totals)


def used(points):
    return points[-1].register - points[0].register


# -- examples -------------------------------------------------------------------------------------


def test_use_is_cut_at_band_edge_and_midnight():
    points = [
        Point(utc("Asia/Shanghai", 2025, 5, 21, 21), Decimal("100")),
        Point(utc("Asia/Shanghai", 2025, 5, 22, 1), Decimal("104")),
    ]
    assert split(points, forever(DAY_NIGHT, Decimal(30)), SHANGHAI) == [
        (date(2025, 5, 21), 7, "peak", Decimal(30), True),
        (date(2025, 5, 21), 7, "valley", Decimal(60), True),
        (date(2025, 5, 22), 7, "valley", Decimal(30), True),
    ]


def test_one_cell_for_both_windows_of_a_band_in_a_day():
    points = [
        Point(utc("Asia/Shanghai", 2025, 5, 21), Decimal(0)),
        Point(utc("Asia/Shanghai", 2025, 5, 22), Decimal(24)),
    ]
    cells = split(points, forever(DAY_NIGHT), SHANGHAI)
    assert [(cell.band, cell.quantity) for cell in cells] == [("valley", 10), ("peak", 14)]


def test_a_boundary_register_is_rounded_half_up_to_six_decimals():
    before = Point(datetime(2025, 1, 1), Decimal("0"))
    after = Point(datetime(2025, 1, 1, 0, 0, 2), Decimal("0.000001"))
    assert interpolate(before, after, datetime(2025, 1, 1, 0, 0, 1)) == Decimal("0.000001")
    third = Point(datetime(2025, 1, 1, 0, 0, 3), Decimal("1"))
    assert interpolate(before, third, datetime(2025, 1, 1, 0, 0, 1)) == Decimal("0.333333")
    assert interpolate(before, third, datetime(2025, 1, 1, 0, 0, 2)) == Decimal("0.666667")
    high = Point(datetime(2025, 1, 1), Decimal(500_000))
    higher = Point(datetime(2025, 1, 1, 0, 0, 1), Decimal(500_001))
    middle = datetime(2025, 1, 1, 0, 0, 0, 500_000)
    assert interpolate(high, higher, middle) == Decimal("500000.5")


def test_an_interpolated_register_never_leaves_its_readings():
    before = Point(datetime(2025, 1, 1), Decimal("1.00000071"))
    after = Point(datetime(2025, 1, 2), Decimal("1.00000072"))
    assert before.register <= interpolate(before, after, datetime(2025, 1, 1, 12)) <= after.register


def test_interpolate_refuses_a_moment_outside():
    points = Point(datetime(2025, 1, 1), ONE), Point(datetime(2025, 1, 2), ONE)
    with pytest.raises(ValueError, match="not between"):
        interpolate(*points, datetime(2025, 1, 3))


@pytest.mark.parametrize(
    ("hours", "marked"),
    [
        ([20, 21, 22, 23], [False, False]),  # the band edge at 22:00 was read
        ([20, 21, 23], [True, True]),  # it lies in a gap of two hours
        ([20, 21.5, 22.5], [False, False]),  # in one of an hour: not marked
        ([9, 21, 22, 23], [False, False]),  # a long gap that bounds nothing
    ],
)
def test_marking(hours, marked):
    points = [
        Point(utc("Asia/Shanghai", 2025, 5, 21) + timedelta(hours=hour), Decimal(str(hour)))
        for hour in hours
    ]
    cells = split(points, forever(DAY_NIGHT), SHANGHAI)
    assert [cell.interpolated for cell in cells] == marked


def test_holidays_and_weekends_have_their_own_bands():
    version = tariff(
        {"workday": ["1"], "weekend": ["1"], "holiday": ["1"]},
        windows=tuple(
            replace(every_day(kind, 0, 24), day_types=frozenset({kind}))
            for kind in ("workday", "weekend", "holiday")
        ),
    )
    points = [  # Thursday to Monday
        Point(utc("Asia/Shanghai", 2025, 4, 3), Decimal(0)),
        Point(utc("Asia/Shanghai", 2025, 4, 8), Decimal(120)),
    ]
    cells = split(points, forever(replace(version, calendar=HOLIDAYS)), SHANGHAI)
    assert [cell.band for cell in cells] == ["workday", "holiday", "weekend", "weekend", "workday"]
    ordinary = split(points, forever(version), SHANGHAI)
    assert [cell.band for cell in ordinary][:2] == ["workday", "workday"]


def test_nothing_used_is_a_cell_of_zero():
    points = [Point(datetime(2025, 1, 1), ONE), Point(datetime(2025, 1, 1, 1), ONE)]
    assert split(points, forever(FLAT), SHANGHAI) == [(date(2025, 1, 1), 1, "flat", 0, False)]


def test_no_use_without_two_points():
    assert split([], forever(FLAT), SHANGHAI) == []
    assert split([Point(datetime(2025, 1, 1), ONE)], forever(FLAT), SHANGHAI) == []


def test_time_without_a_span_belongs_to_nobody():
    start = datetime(2025, 1, 1, 2)
    points = [Point(start, Decimal(0)), Point(start + timedelta(hours=10), Decimal(10))]
    spans = [  # in no particular order
        Span(start + timedelta(hours=6), start + timedelta(hours=7), Decimal(2), FLAT),
        Span(start + timedelta(hours=1), start + timedelta(hours=4), ONE, FLAT),
    ]
    assert summed(split(points, spans, SHANGHAI)) == {(date(2025, 1, 1), 1, "flat"): 5}


def test_rollover():
    points = [
        Point(datetime(2025, 1, 1, 2), Decimal("999999.50")),
        Point(datetime(2025, 1, 1, 3), Decimal("0.75")),
        Point(datetime(2025, 1, 1, 4), Decimal("1.25")),
    ]
    (cell,) = split(points, forever(FLAT), SHANGHAI, modulus=Decimal(10**6))
    assert cell.quantity == Decimal("1.75")


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ([(1, "5"), (2, "4")], r"falls from 5 at 2025-01-01 01:00:00 to 4 at 2025-01-01 02:00:00"),
        ([(1, "5"), (1, "5")], "not in order"),
        ([(2, "5"), (1, "6")], "not in order"),
        ([(1, "NaN"), (2, "4")], "not a number"),
        ([(1, "1"), (2, "Infinity")], "not a number"),
    ],
)
def test_bad_points_are_refused(points, sentence):
    points = [Point(datetime(2025, 1, 1, hour), Decimal(register)) for hour, register in points]
    with pytest.raises(ValueError, match=sentence):
        split(points, forever(FLAT), SHANGHAI)


def test_a_fall_beyond_the_width_is_refused():
    points = [Point(datetime(2025, 1, 1), Decimal(1200)), Point(datetime(2025, 1, 2), ONE)]
    with pytest.raises(ValueError, match="exceeds its width"):
        split(points, forever(FLAT), SHANGHAI, modulus=Decimal(1000))


@pytest.mark.parametrize("end", [None, datetime(2025, 1, 3)])
def test_overlapping_spans_are_refused(end):
    spans = [
        Span(datetime(2025, 1, 1), end, ONE, FLAT),
        Span(datetime(2025, 1, 2), None, ONE, FLAT),
    ]
    points = [Point(datetime(2025, 1, 1), ONE), Point(datetime(2025, 1, 2), ONE)]
    with pytest.raises(ValueError, match="overlap"):
        split(points, spans, SHANGHAI)


def test_a_missing_band_is_an_error():
    version = replace(DAY_NIGHT, rest_band=None)
    points = [Point(datetime(2025, 1, 1), ONE), Point(datetime(2025, 1, 2), ONE)]
    with pytest.raises(ValueError, match="no band from 08:00 to 22:00"):
        split(points, forever(version), SHANGHAI)


# -- clock changes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "hours", "skipped", "doubled"),
    [
        ("Asia/Shanghai", date(2025, 3, 30), "24", None, None),
        ("Asia/Kathmandu", date(2025, 10, 26), "24", None, None),
        ("Europe/London", date(2025, 3, 30), "23", "h01", None),
        ("Europe/London", date(2025, 10, 26), "25", None, "h01"),
        ("America/New_York", date(2025, 3, 9), "23", "h02", None),
        ("America/New_York", date(2025, 11, 2), "25", None, "h01"),
        # By half an hour: 02:00 becomes 02:30, and 02:00 becomes 01:30.
        ("Australia/Lord_Howe", date(2025, 10, 5), "23.5", "h02", None),
        ("Australia/Lord_Howe", date(2025, 4, 6), "24.5", None, "h01"),
    ],
)
def test_hours_add_up_to_the_day(zone, day, hours, skipped, doubled):
    zone = ZoneInfo(zone)
    start, end = local_midnight(day, zone), local_midnight(day + timedelta(1), zone)
    hours = Decimal(hours)
    points = [Point(start, Decimal(0)), Point(end, hours * 6)]  # 6 an hour
    by_band = {cell.band: cell.quantity / 6 for cell in split(points, forever(HOURLY), zone)}
    assert sum(by_band.values()) == hours
    change = abs(hours - 24)
    expected = {f"h{hour:02d}": Decimal(1) for hour in range(24)}
    if skipped:
        expected[skipped] -= change
    if doubled:
        expected[doubled] += change
    assert by_band == {band: length for band, length in expected.items() if length}


def test_a_band_edge_in_a_repeated_hour_counts_twice():
    version = tariff(
        {"a": ["1"], "b": ["1"]},
        windows=(replace(every_day("b", 1, 2), start_minute=90),),
    )
    found = edges(version, date(2025, 10, 26), ZoneInfo("Europe/London"))
    assert [(edge.start.strftime("%H:%M"), edge.band) for edge in found] == [
        ("23:00", "a"),
        ("00:30", "b"),
        ("01:00", "a"),
        ("01:30", "b"),
        ("02:00", "a"),
    ]


def test_a_day_that_begins_at_one_and_a_day_that_never_was():
    beirut = ZoneInfo("Asia/Beirut")  # at 00:00 the clock goes to 01:00
    assert local_midnight(date(2024, 3, 31), beirut) == datetime(2024, 3, 30, 22)
    assert edges(HOURLY, date(2024, 3, 31), beirut)[0].band == "h01"
    apia = ZoneInfo("Pacific/Apia")  # 30 December 2011 was left out
    assert edges(FLAT, date(2011, 12, 30), apia) == ()
    points = [Point(datetime(2011, 12, 30), Decimal(0)), Point(datetime(2011, 12, 31), Decimal(24))]
    assert summed(split(points, forever(FLAT), apia)) == {
        (date(2011, 12, 29), 1, "flat"): 10,
        (date(2011, 12, 31), 1, "flat"): 14,
    }


@pytest.mark.parametrize("zone", ZONES)
def test_days_join_without_gap_through_leap_and_other_years(zone):
    zone = ZoneInfo(zone)
    day = date(2023, 12, 31)
    moment = local_midnight(day, zone)
    while day < date(2025, 1, 2):
        for edge in edges(DAY_NIGHT, day, zone):
            assert edge.start == moment < edge.end
            moment = edge.end
        day += timedelta(1)
        assert moment == local_midnight(day, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_leap_day(zone):
    for year, days in ((2024, 3), (2025, 2)):
        points = [
            Point(utc(zone, year, 2, 28), Decimal(0)),
            Point(utc(zone, year, 3, 2), Decimal(days * 24)),
        ]
        totals = summed(split(points, forever(FLAT), ZoneInfo(zone)))
        assert set(totals.values()) == {24}
        assert len(totals) == days
        assert ((date(year, 3, 1) - timedelta(1), 1, "flat") in totals) is True


# -- laws -----------------------------------------------------------------------------------------

moments = st.one_of(
    st.datetimes(datetime(2025, 3, 27), datetime(2025, 4, 8)),
    st.datetimes(datetime(2025, 10, 3), datetime(2025, 10, 28)),
).map(lambda moment: moment.replace(second=0, microsecond=0))


@st.composite
def readings(draw, most=12):
    """Draw 2 to ``most`` points with a rising register."""
    times = sorted(draw(st.sets(moments, min_size=2, max_size=most)))
    register = draw(decimals("0", "1000", 3))
    points = []
    for moment in times:
        points.append(Point(moment, register))
        register += draw(st.one_of(st.just(Decimal(0)), decimals("0", "500", 3)))
    return points


@st.composite
def histories(draw):
    """Draw spans of changing version and multiplier that cover all time."""
    cuts = sorted(draw(st.sets(moments, max_size=3)))
    bounds = [datetime(1900, 1, 1), *cuts, None]
    return [
        Span(
            start,
            end,
            draw(decimals("1", "200", 1)),
            replace(draw(tariffs(key=key)), calendar=HOLIDAYS),
        )
        for key, (start, end) in enumerate(itertools.pairwise(bounds), 1)
    ]


zones = st.sampled_from(ZONES).map(ZoneInfo)


@LAW
@given(readings(), histories(), zones, st.data())
def test_cutting_in_pieces_gives_what_cutting_at_once_gives(points, spans, zone, data):
    cuts = [*sorted(data.draw(st.sets(st.integers(1, len(points) - 1)))), len(points) - 1]
    pieces, first = [], 0
    for cut in cuts:
        pieces += split(points[first : cut + 1], spans, zone)
        first = cut
    whole = split(points, spans, zone)
    assert summed(pieces) == summed(whole)
    assert {(c.date, c.version, c.band) for c in pieces if c.interpolated} == {
        (c.date, c.version, c.band) for c in whole if c.interpolated
    }
    assert [cell.date for cell in whole] == sorted(cell.date for cell in whole)
    assert len(summed(whole)) == len(whole)


@LAW
@given(readings(), histories(), zones)
def test_nothing_is_lost_or_doubled(points, spans, zone):
    cells = split(points, spans, zone)
    assert all(cell.quantity >= 0 for cell in cells)
    if len({span.multiplier for span in spans}) == 1:
        assert sum(cell.quantity for cell in cells) == used(points) * spans[0].multiplier
    same = [replace(span, multiplier=ONE) for span in spans]
    assert sum(c.quantity for c in split(points, same, zone)) == used(points)


@LAW
@given(readings(), tariffs(), zones, moments)
def test_a_handover_loses_and_doubles_nothing(points, version, zone, moment):
    old = [Span(datetime(1900, 1, 1), moment, ONE, version)]
    new = [Span(moment, None, ONE, version)]
    cells = split(points, old, zone) + split(points, new, zone)
    assert summed(cells) == summed(split(points, forever(version), zone))


@LAW
@given(readings(), tariffs(), zones)
def test_a_rollover_changes_no_quantity(points, version, zone):
    modulus = Decimal(10_000)  # above any step between two readings
    wrapped = [Point(point.moment, point.register % modulus) for point in points]
    cells = split(wrapped, forever(version), zone, modulus=modulus)
    assert summed(cells) == summed(split(points, forever(version), zone))


@LAW
@given(tariffs(), zones, moments, st.integers(1, 4 * 1440), st.integers(1, 999))
def test_minute_by_minute_over_the_wall_clock_gives_the_same(
    version, zone, start, length, thousandths
):
    """At a constant rate of whole thousandths a minute every register is exact."""
    rate = Decimal(thousandths) / 1000
    version = replace(version, calendar=HOLIDAYS)
    end = start + timedelta(minutes=length)
    points = [Point(start, Decimal(0)), Point(end, rate * length)]
    expected = defaultdict(Decimal)
    for number in range(length):
        local = (start + timedelta(minutes=number)).replace(tzinfo=UTC).astimezone(zone)
        band = band_at(version, local.date(), local.hour * 60 + local.minute)
        expected[local.date(), 1, band] += rate
    assert summed(split(points, forever(version), zone)) == expected
