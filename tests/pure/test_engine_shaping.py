"""Gaps and silence by comparable days (T10, R12)."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from engine_cases import (
    ALL_DAYS,
    ALL_MONTHS,
    LAW,
    ZONES,
    decimals,
    every_day,
    tariff,
    tariffs,
    utc,
)
from hypothesis import given
from hypothesis import strategies as st

from engine import (
    Calendar,
    Point,
    Span,
    Window,
    estimate,
    interpolate,
    local_date,
    rate,
    shaped,
    split,
    tier_period_start,
)
from engine.shaping import slots

PLAIN = Calendar()
HOUR = timedelta(hours=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY_NIGHT = tariff({"day": ["1"], "night": ["1"]}, windows=(every_day("night", 22, 8),), rest="day")


def hourly(start, hours, use, register="100"):
    """Return hourly readings; ``use`` gives the use of the hour that begins at a moment."""
    points = [Point(start, Decimal(register))]
    for number in range(hours):
        moment = start + number * HOUR
        points.append(Point(moment + HOUR, points[-1].register + use(moment)))
    return points


def by_clock(zone, weekend=Decimal(1)):
    """1 kWh an hour at night, 3 from 08:00 to 22:00; ``weekend`` at any time on days off."""

    def use(moment):
        local = moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone)
        if PLAIN.day_type(local.date()) == "weekend":
            return weekend
        return Decimal(3 if 8 <= local.hour < 22 else 1)

    return use


def test_a_gap_follows_comparable_days():
    # Two weeks from Monday on; then nothing from Monday 12:00 to Tuesday 12:00.
    start = utc("Asia/Shanghai", 2025, 5, 5)
    history = hourly(start, 24 * 14 + 12, by_clock(SHANGHAI))
    before = history[-1]
    after = Point(before.moment + timedelta(days=1), before.register + 104)  # twice the usual 52
    points = shaped(before, after, history, SHANGHAI, PLAIN)
    assert len(points) == 23
    registers = [point.register for point in (before, *points, after)]
    steps = [high - low for low, high in pairwise(registers)]
    assert steps == [6] * 10 + [2] * 10 + [6] * 4
    cells = split(
        [before, *points, after],
        [Span(start, None, Decimal(1), DAY_NIGHT)],
        SHANGHAI,
        virtual={point.moment for point in points},
    )
    assert [(cell.band, cell.quantity, cell.interpolated) for cell in cells] == [
        ("day", 60, True),
        ("night", 4, True),
        ("night", 16, True),
        ("day", 24, True),
    ]


def test_the_day_type_decides_what_is_comparable():
    start = utc("Asia/Shanghai", 2025, 5, 5)
    history = hourly(start, 24 * 5 + 12, by_clock(SHANGHAI))  # to Saturday 12:00
    before = history[-1]
    after = Point(before.moment + timedelta(days=1), before.register + 24)
    # Saturday's hours so far are 1 an hour; the others have no comparable: the mean of all known.
    mean = (Decimal(52) * 5 + 12) / (24 * 5 + 12)
    points = shaped(before, after, history, SHANGHAI, PLAIN)
    steps = [high.register - low.register for low, high in pairwise((before, *points))]
    assert steps[0] == pytest.approx(Decimal(24) * mean / (12 * mean + 12), abs=Decimal("1E-5"))
    assert steps[14] == pytest.approx(Decimal(24) / (12 * mean + 12), abs=Decimal("1E-5"))
    # A holiday on Saturday, and a Sunday made up for: nothing of holidays, all of working days.
    calendar = Calendar(days={date(2025, 5, 10): "holiday", date(2025, 5, 11): "workday"})
    points = shaped(before, after, history, SHANGHAI, calendar)
    steps = [high.register - low.register for low, high in pairwise((before, *points, after))]
    assert steps[20] == pytest.approx(3 * steps[14], abs=Decimal("1E-5"))


@pytest.mark.parametrize(
    ("after", "history", "modulus"),
    [
        (Point(datetime(2025, 5, 2, 1), Decimal(150)), "hours", None),  # an hour
        (Point(datetime(2025, 5, 3), Decimal(150), baseline=True), "hours", None),
        (Point(datetime(2025, 5, 3), Decimal(50)), "hours", None),  # fell
        (Point(datetime(2025, 5, 3), Decimal(124)), "hours", None),  # nothing used
        (Point(datetime(2025, 5, 3), Decimal(150)), "two hours", None),
        (Point(datetime(2025, 5, 3), Decimal(150)), "too old", None),
        (Point(datetime(2025, 5, 3), Decimal(150)), "no use", None),
        (Point(datetime(2025, 5, 3), Decimal(150)), "", None),
    ],
)
def test_nothing_comparable_is_the_straight_line(after, history, modulus):
    before = Point(datetime(2025, 5, 2), Decimal(124))
    histories = {
        "hours": hourly(datetime(2025, 5, 1), 24, lambda moment: Decimal(1)),
        "two hours": hourly(datetime(2025, 5, 1), 24, lambda moment: Decimal(1))[::2],
        "too old": hourly(datetime(2025, 4, 1), 24 * 9, lambda moment: Decimal(1)),
        "no use": hourly(datetime(2025, 5, 1), 24, lambda moment: Decimal(0), "124"),
        "": [],
    }
    assert shaped(before, after, histories[history], SHANGHAI, PLAIN, modulus) == []


def test_a_gap_over_a_rollover():
    modulus = Decimal(1000)
    start = utc("Asia/Shanghai", 2025, 5, 5)
    history = hourly(start, 48, by_clock(SHANGHAI), "880")
    wrapped = [point._replace(register=point.register % modulus) for point in history]
    before = history[-1]
    after = Point(before.moment + timedelta(days=1), before.register + 52)
    plain = shaped(before, after, history, SHANGHAI, PLAIN)
    turned = shaped(
        wrapped[-1],
        after._replace(register=after.register % modulus),
        wrapped,
        SHANGHAI,
        PLAIN,
        modulus,
    )
    assert [p.register for p in turned] == [p.register % modulus for p in plain]
    assert max(p.register for p in plain) > modulus


def test_silence_continues_as_on_comparable_days():
    start = utc("Asia/Shanghai", 2025, 5, 5)
    history = hourly(start, 24 * 7, by_clock(SHANGHAI))
    until = history[-1].moment + timedelta(hours=33, minutes=30)  # Monday to Tuesday 09:30
    points = estimate(history, until, SHANGHAI, PLAIN)
    assert len(points) == 34 and points[-1].moment == until
    assert points[-1].register - history[-1].register == 52 + 8 + Decimal("4.5")
    assert estimate(history, history[-1].moment, SHANGHAI, PLAIN) == []
    assert estimate([], until, SHANGHAI, PLAIN) == []
    assert estimate(history[::2], until, SHANGHAI, PLAIN) == []
    still = hourly(start, 24 * 7, lambda moment: Decimal(0))
    assert {point.register for point in estimate(still, until, SHANGHAI, PLAIN)} == {100}


def test_an_estimate_is_trued_up_to_the_cent():
    """Charged on estimates, then on what was read: the difference is posted once (T10)."""
    version = tariff({"flat": ["0.5", "0.8"]}, ["60"])
    start = utc("Asia/Shanghai", 2025, 5, 5)
    history = hourly(start, 24 * 3, lambda moment: Decimal("0.5"))
    guess = estimate(history, history[-1].moment + timedelta(days=3), SHANGHAI, PLAIN)
    actual = Point(guess[-1].moment, history[-1].register + 20)

    def charged(points, virtual=frozenset()):
        spans = [Span(start, None, Decimal(1), version)]
        cells = split(points, spans, SHANGHAI, virtual=virtual)
        days = [(cell.date, {(1, 1, cell.band): cell.quantity}) for cell in cells]
        return rate({1: version}, [], days).due[date(2025, 5, 1)]

    posted = charged(history)
    assert posted == 18  # 36 kWh
    posted += charged([*history, *guess], {point.moment for point in guess}) - posted
    assert posted == 60 * Decimal("0.5") + 12 * Decimal("0.8")
    posted += charged([*history, actual]) - posted
    assert posted == 56 * Decimal("0.5")


# Malaysia, TNB domestic blocks (sen/kWh); its bills have one block a column.
TNB = tariff({"flat": ["0.218", "0.334", "0.516", "0.546", "0.571"]}, ["200", "300", "600", "900"])


def priced_by_month(points, spans, zone):
    units = defaultdict(list)
    for cell in split(points, spans, zone):
        key = (1, cell.version, cell.band)
        units[tier_period_start(spans[0].version, cell.date)].append(
            (cell.date, {key: cell.quantity})
        )
    return {
        month: rate({1: spans[0].version}, [], days).due[month] for month, days in units.items()
    }


def test_a_reading_over_three_months_is_spread_before_tiers_apply():
    """450 kWh a month: RM463.20 by month; as one lump of 1350 kWh it would be RM652.55."""
    zone = ZoneInfo("Asia/Kuala_Lumpur")
    spans = [Span(datetime(2025, 1, 1), None, Decimal(1), TNB)]
    start = utc("Asia/Kuala_Lumpur", 2025, 4, 1)
    monthly = [
        Point(utc("Asia/Kuala_Lumpur", 2025, month, 1), Decimal(450 * (month - 4)))
        for month in (4, 5, 6, 7)
    ]
    exact = priced_by_month(monthly, spans, zone)
    assert list(exact.values()) == [Decimal("154.40")] * 3
    assert sum(exact.values()) == Decimal("463.20")
    # One reading after 91 days: by days, 445.05, 459.89 and 445.05 kWh.
    late = priced_by_month([monthly[0], monthly[-1]], spans, zone)
    assert abs(sum(late.values()) - Decimal("463.20")) < Decimal("0.01")
    # By comparable days, here days that use a thirtieth or a thirty-first of it, to the sen.
    known = {4: Decimal(450) / 30, 5: Decimal(450) / 31, 6: Decimal(450) / 30}
    virtual = [
        Point(start + timedelta(days=number), register)
        for number, register in enumerate(_cumulated(known), 1)
    ]
    spread = priced_by_month([monthly[0], *virtual[:-1], monthly[-1]], spans, zone)
    assert sum(spread.values()).quantize(Decimal("0.0001")) == Decimal("463.2000")
    lump = rate({1: TNB}, [], [(date(2025, 6, 30), {(1, 1, "flat"): Decimal(1350)})])
    assert lump.due == {date(2025, 6, 1): Decimal("652.55")}


def _cumulated(known):
    register, found = Decimal(0), []
    for month, length in ((4, 30), (5, 31), (6, 30)):
        for _day in range(length):
            register += known[month]
            found.append(register.quantize(Decimal("1E-6")))
    return found


def test_a_first_reading_is_a_baseline_and_silence_of_60_days_is_spread():
    version = tariff({"flat": ["0.5"]})
    points = [
        Point(datetime(2025, 1, 1), Decimal(5000)),  # first ever: nothing before it is use
        Point(datetime(2025, 3, 2), Decimal(5600)),
    ]
    spans = [Span(datetime(2024, 1, 1), None, Decimal(1), version)]
    cells = split(points, spans, SHANGHAI)
    assert sum(cell.quantity for cell in cells) == 600
    assert len(cells) == 61 and all(cell.interpolated for cell in cells)
    assert split(points[:1], spans, SHANGHAI) == []


# -- laws -----------------------------------------------------------------------------------------

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.one_of(
    st.datetimes(datetime(2025, 3, 7), datetime(2025, 4, 8)),
    st.datetimes(datetime(2025, 10, 3), datetime(2025, 11, 4)),
).map(lambda moment: moment.replace(microsecond=0))


@LAW
@given(zones, moments, st.integers(1, 300_000))
def test_slots_are_the_hours_of_the_local_clock(zone, start, length):
    end = start + timedelta(seconds=length)
    found = slots(start, end, zone)
    assert found[0].start == start and found[-1].end == end
    for one, other in pairwise(found):
        assert one.end == other.start
        assert one.start < one.end <= one.start + HOUR
    for slot in found:
        for moment in (slot.start, slot.end - timedelta(microseconds=1)):
            local = moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone)
            assert (local.date(), local.hour) == (slot.day, slot.hour)
            assert local_date(moment, zone) == slot.day


@LAW
@given(zones, moments, st.integers(2, 100), st.data())
def test_shaping_moves_use_and_loses_none(zone, moment, hours, data):
    least = data.draw(st.sampled_from((0, 1)))
    history = hourly(
        moment - timedelta(days=4), 96, lambda _moment: Decimal(data.draw(st.integers(least, 3)))
    )
    before = history[-1]
    rise = data.draw(decimals("0", "500", 3))
    after = Point(before.moment + timedelta(minutes=60 * hours - 17), before.register + rise)
    points = shaped(before, after, history, zone, PLAIN)
    whole = [before, *points, after]
    for one, other in pairwise(whole):
        assert one.moment < other.moment
        assert other.moment - one.moment <= HOUR or not points
        assert one.register <= other.register
    assert points == shaped(before, after, list(history), zone, PLAIN)
    version = data.draw(tariffs())
    spans = [Span(datetime(1900, 1, 1), None, Decimal(1), version)]
    virtual = {point.moment for point in points}
    cells = split(whole, spans, zone, virtual=virtual)
    assert sum(cell.quantity for cell in cells) == rise
    assert all(cell.quantity or not cell.interpolated for cell in cells)
    # Where something is used at any time a cell is marked where one of its bounds was not read, as
    # on the straight line.
    straight = split([before, after], spans, zone)
    assert [cell[:3] for cell in cells] == [cell[:3] for cell in straight]
    if rise >= 1 and all(one.register < other.register for one, other in pairwise(history)):
        assert [c.interpolated for c in cells] == [c.interpolated for c in straight]


def test_a_cell_without_use_is_not_marked_on_either_line():
    # One minute at peak in a day: 0.0005 kWh leave nothing for it, straight or shaped.
    history = hourly(utc("Asia/Shanghai", 2025, 5, 19), 48, lambda _moment: Decimal(1))
    before = history[-1]
    after = Point(before.moment + timedelta(days=1), before.register + Decimal("0.0005"))
    minute = Window("peak", ALL_MONTHS, ALL_DAYS, 12 * 60, 12 * 60 + 1)
    prices = tariff({"peak": ["1"], "flat": ["1"]}, windows=(minute,), rest="flat")
    spans = [Span(datetime(1900, 1, 1), None, Decimal(1), prices)]
    points = shaped(before, after, history, SHANGHAI, PLAIN)
    virtual = {point.moment for point in points}
    for cells in (
        split([before, after], spans, SHANGHAI),
        split([before, *points, after], spans, SHANGHAI, virtual=virtual),
    ):
        [peak] = [cell for cell in cells if cell.band == "peak"]
        assert (peak.quantity, peak.interpolated) == (0, False)


@LAW
@given(zones, moments, st.integers(3, 60))
def test_even_use_is_shaped_into_the_straight_line(zone, moment, hours):
    history = hourly(moment - timedelta(days=8), 192, lambda _moment: Decimal("0.25"))
    before = history[-1]
    after = Point(before.moment + hours * HOUR, before.register + Decimal(7))
    for point in shaped(before, after, history, zone, PLAIN):
        assert abs(point.register - interpolate(before, after, point.moment)) <= Decimal("1E-6")
    until = before.moment + timedelta(minutes=90)
    assert estimate(history, until, zone, PLAIN)[-1].register - before.register == Decimal("0.375")


def test_a_virtual_bound_marks_its_cells():
    at = datetime(2025, 5, 21, 14)  # 22:00 in Shanghai: day becomes night
    points = [Point(at + number * HOUR, Decimal(number)) for number in (-1, 0, 1)]
    spans = [Span(datetime(2025, 1, 1), None, Decimal(1), DAY_NIGHT)]
    assert [c.interpolated for c in split(points, spans, SHANGHAI)] == [False, False]
    marked = split(points, spans, SHANGHAI, virtual={at})
    assert [c.interpolated for c in marked] == [True, True]
    inside = [point._replace(moment=point.moment + HOUR / 2) for point in points]
    assert [c.interpolated for c in split(inside, spans, SHANGHAI)] == [False, False]
    marked = split(inside, spans, SHANGHAI, virtual={inside[1].moment})
    assert [c.interpolated for c in marked] == [True, True]  # 22:00 lies beside a virtual point
    late = [point._replace(moment=point.moment + 3 * HOUR) for point in points]
    marked = split(late, spans, SHANGHAI, virtual={late[1].moment})
    assert [c.interpolated for c in marked] == [False]  # 01:00 bounds no cell
    # The end of what is estimated is the end of its cell.
    marked = split(late, spans, SHANGHAI, virtual={late[-1].moment})
    assert [c.interpolated for c in marked] == [True]
