"""Who waits before it is switched: gaps (C10), turns (C14), crowds (C13), and planted defects."""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_defects import planted

from engine import (
    Cut,
    CutLimits,
    Waiting,
    crowds,
    may_be_crowd,
    pause_before_off,
    switching,
    turns,
)

NOW = datetime(2026, 3, 1, 12)
MINUTE = timedelta(minutes=1)
GAP = 5 * MINUTE
LIMITS = CutLimits(rooms=3, percent=Decimal(2), one_in=3)
DRAWN = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, report_multiple_bugs=False
)


def ago(minutes):
    return NOW - minutes * MINUTE


def only(trips):
    assert len(trips) == 1
    return trips[0]


def a_gap_before_a_cut():
    assert pause_before_off([], NOW, GAP, 6) is None
    assert pause_before_off([(ago(5), "on")], NOW, GAP, 6) is None
    pause = pause_before_off([(ago(30), "off"), (ago(2), "on")], NOW, GAP, 6)
    assert pause is not None
    assert (pause.until, pause.count, pause.is_flapping) == (ago(-3), 2, False)
    assert pause_before_off([(ago(0), "on")], NOW, timedelta(0), 0) is None
    # A gap longer than an hour
    assert pause_before_off([(ago(70), "on")], NOW, 90 * MINUTE, 6).until == ago(-20)


def flapping_stays_on_for_the_hour():
    """Six switchings within the hour: the seventh waits until the first is an hour old."""
    switched = [(ago(58 - 8 * n), "off" if n % 2 else "on") for n in range(6)]
    pause = pause_before_off(switched, NOW, GAP, 6)
    assert pause is not None
    assert (pause.until, pause.count, pause.is_flapping) == (ago(-2), 6, True)
    assert pause_before_off(switched, pause.until, GAP, 6) is None
    assert pause_before_off(switched, NOW, GAP, 0) is None
    # On five times in a row is one switching, and what is older than an hour is none.
    assert pause_before_off([(ago(40 - n), "on") for n in range(8)], NOW, GAP, 2) is None
    assert pause_before_off([(ago(61), "off"), (ago(40), "on")], NOW, GAP, 2) is None


@DRAWN
@given(
    st.lists(st.tuples(st.integers(0, 59), st.sampled_from(("on", "off"))), max_size=14),
    st.integers(0, 20),
    st.integers(0, 8),
)
def a_pause_ends_within_the_hour(steps, gap, most):
    switched = sorted((ago(minutes), value) for minutes, value in steps)
    pause = pause_before_off(switched, NOW, gap * MINUTE, most)
    if pause is not None:
        assert NOW < pause.until <= NOW + timedelta(hours=1)
        # Everything lies within the hour: when the pause is over, so is the reason for it.
        again = pause_before_off(switched, pause.until, gap * MINUTE, most)
        assert again is None or not again.is_flapping
        # Nor does it last longer than the reason.
        before = pause_before_off(switched, pause.until - MINUTE / 60, gap * MINUTE, most)
        assert before is not None
    else:
        assert not switched or switched[-1][0] <= NOW - gap * MINUTE


def one_alone_goes_at_once():
    for is_paid in (True, False):
        assert turns([Waiting(1, "A", True, is_paid, False)], {"A": 1}) == {1: 0}


def a_payment_never_waits_for_others():
    batch = [Waiting(n, "A", True, False, False) for n in range(100)]
    assert turns([*batch, Waiting(500, "A", True, True, False)], {"A": 5})[500] == 0
    queue = [Waiting(n, "A", True, False, False, turn=n // 5) for n in range(100)]
    assert turns([*queue, Waiting(500, "A", True, True, False)], {"A": 5})[500] == 0


def who_did_not_answer_comes_last():
    waiting = [Waiting(1, "A", True, False, True), Waiting(2, "A", True, False, False)]
    assert turns(waiting, {"A": 1}) == {2: 0, 1: 1}
    # Supply on comes before supply off.
    waiting = [Waiting(1, "A", False, False, False), Waiting(2, "A", True, False, False)]
    assert turns(waiting, {"A": 1}) == {2: 0, 1: 1}


def a_turn_is_kept_and_others_take_what_is_free():
    queue = [Waiting(n, "A", True, False, False, turn=n // 2) for n in range(4)]
    late = Waiting(9, "A", True, False, False)
    assert turns([*queue, late], {"A": 2}) == {0: 0, 1: 0, 2: 1, 3: 1, 9: 2}
    # Another connector has the four that come first: their second is not left idle.
    rest = [Waiting(n, "A", True, False, False, turn=1) for n in range(2)]
    assert turns([*rest, late], {"A": 2})[9] == 0


waitings = st.lists(
    st.tuples(st.sampled_from("AB"), st.booleans(), st.booleans(), st.booleans()), max_size=40
)


@DRAWN
@given(waitings, st.integers(1, 6), st.randoms(use_true_random=False))
def so_many_a_second_and_no_second_idle(drawn, most, order):
    waiting = [
        Waiting(number, building, is_on or is_paid, is_paid, is_tried)
        for number, (building, is_on, is_paid, is_tried) in enumerate(drawn)
    ]
    given_turns = turns(waiting, {"A": most, "B": most})
    assert given_turns.keys() == {one.order for one in waiting}
    for building in "AB":
        members = [one for one in waiting if one.building == building]
        used = Counter(given_turns[one.order] for one in members)
        assert all(count <= most for count in used.values())
        assert sorted(used) == list(range(len(used)))
        assert all(used[second] == most for second in list(used)[:-1] if second < max(used))
        paid = sorted(given_turns[one.order] for one in members if one.is_paid)
        assert paid == [index // most for index in range(len(paid))]
    # Everybody comes to the same turns, in whatever order they were found.
    order.shuffle(waiting)
    assert turns(waiting, {"A": most, "B": most}) == given_turns


def waits(count, building=1, first=100):
    return [Cut(first + n, first + n, building, None) for n in range(count)]


def three_rooms_an_hour():
    service = {1: 40, 2: 40}
    assert crowds(LIMITS, service, waits(3), NOW) == []
    trip = only(crowds(LIMITS, service, waits(4), NOW))
    assert (trip.scope, trip.limit, trip.cut, trip.waiting) == ("site", 3, 0, 4)
    assert trip.orders == (100, 101, 102, 103)
    cut = [Cut(n, n, 1 + n % 2, ago(10 * n)) for n in range(2)]
    assert crowds(LIMITS, service, [*cut, *waits(1)], NOW) == []
    trip = only(crowds(LIMITS, service, [*cut, *waits(2, building=2)], NOW))
    assert (trip.cut, trip.waiting) == (2, 2)
    # What was cut more than an hour ago leaves room for others.
    old = [Cut(n, n, 1 + n % 2, ago(61)) for n in range(3)]
    assert crowds(LIMITS, service, [*old, *waits(3)], NOW) == []


def two_percent_of_a_large_site():
    service = dict.fromkeys(range(10), 50)
    ten = [cut for b in range(10) for cut in waits(1, building=b, first=100 * b)]
    assert crowds(LIMITS, service, ten, NOW) == []
    trip = only(crowds(LIMITS, service, [*ten, *waits(1, building=1, first=150)], NOW))
    assert (trip.limit, trip.waiting) == (10, 11)


def a_third_of_a_building():
    service = {1: 9, 2: 500}
    cut = [Cut(n, n, 1, ago(120 + n)) for n in range(3)]
    trip = only(crowds(LIMITS, service, [*cut, *waits(1), *waits(1, 2, 200)], NOW))
    assert (trip.scope, trip.building, trip.limit, trip.cut) == ("building", 1, 3, 3)
    assert trip.orders == (100,)
    assert crowds(LIMITS, service, [*cut[:2], *waits(1)], NOW) == []
    # A day later, and of a building with two rooms one.
    assert crowds(LIMITS, service, [*cut, *waits(1)], NOW + timedelta(days=1)) == []
    assert crowds(LIMITS, {1: 2}, waits(1), NOW) == []
    trip = only(crowds(LIMITS, {1: 2}, waits(2), NOW))
    assert (trip.scope, trip.limit) == ("building", 1)
    # Rooms outside buildings count together.
    trip = only(crowds(LIMITS, {None: 6}, waits(3, building=None), NOW))
    assert (trip.building, trip.limit) == (None, 2)


def rooms_count_not_meters():
    meters = [Cut(n, 7, 1, None) for n in range(5)]
    assert crowds(LIMITS, {1: 9}, meters, NOW) == []
    again = [Cut(1, 7, 1, ago(3)), Cut(2, 7, 1, None)]
    assert crowds(LIMITS, {1: 1}, again, NOW) == []


cut_lists = st.lists(
    st.tuples(st.integers(1, 12), st.one_of(st.none(), st.integers(0, 1500))), max_size=25
)


@DRAWN
@given(cut_lists, st.integers(1, 5), st.integers(0, 40), st.integers(1, 4))
def what_goes_on_never_exceeds_a_limit(drawn, rooms, percent, one_in):
    limits = CutLimits(rooms, Decimal(percent), one_in)
    service = dict.fromkeys(range(3), 12)
    cuts = [
        Cut(number, room, room % 3, None if minutes is None else ago(minutes))
        for number, (room, minutes) in enumerate(drawn)
    ]
    trips = crowds(limits, service, cuts, NOW)
    stopped = {order for trip in trips for order in trip.orders}
    going = [cut for cut in cuts if cut.at is None and cut.order not in stopped]
    if not may_be_crowd(limits, cuts, NOW):
        assert not trips
    if not going:
        return
    hour = {cut.room for cut in cuts if cut.at and cut.at > ago(60)}
    assert len(hour | {cut.room for cut in going}) <= max(rooms, 36 * percent // 100)
    for cut in going:
        day = {
            other.room
            for other in cuts
            if other.building == cut.building
            and ((other.at and other.at > ago(24 * 60)) or other in going)
        }
        assert len(day) <= max(1, 12 // one_in)


DEFECTS = [
    (a_gap_before_a_cut, switching.pause_before_off, "switched[-1][0] + gap > now", "False"),
    (a_gap_before_a_cut, switching.pause_before_off, "switched[-1][0] + gap,", "now + gap,"),
    (
        flapping_stays_on_for_the_hour,
        switching.pause_before_off,
        "most and len(changes) >= most",
        "most and len(changes) > most",
    ),
    (flapping_stays_on_for_the_hour, switching.pause_before_off, "value != last and", ""),
    (flapping_stays_on_for_the_hour, switching.pause_before_off, "and at > now - HOUR", ""),
    (a_pause_ends_within_the_hour, switching.pause_before_off, "changes[-most]", "changes[-1]"),
    (
        a_payment_never_waits_for_others,
        switching._turns_of_building,
        "paid if order.is_paid else taken",
        "taken",
    ),
    (
        who_did_not_answer_comes_last,
        switching._turns_of_building,
        "order.is_tried, order.order",
        "order.order",
    ),
    (
        who_did_not_answer_comes_last,
        switching._turns_of_building,
        "(not order.is_on, not order.is_paid,",
        "(not order.is_paid,",
    ),
    (
        a_turn_is_kept_and_others_take_what_is_free,
        switching._turns_of_building,
        "taken = Counter(given.values())",
        "taken = Counter()",
    ),
    (
        so_many_a_second_and_no_second_idle,
        switching._turns_of_building,
        "used[turn] >= most",
        "used[turn] > most",
    ),
    (
        so_many_a_second_and_no_second_idle,
        switching._turns_of_building,
        "order.is_tried, order.order),",
        "order.is_tried),",
    ),
    (three_rooms_an_hour, switching._rooms, "cut.at is None or", "cut.at is not None and"),
    (three_rooms_an_hour, switching._rooms, "cut.at > since", "True"),
    (two_percent_of_a_large_site, switching.CutLimits.of_site, "max(", "min("),
    (a_third_of_a_building, switching.CutLimits.of_building, "max(1, ", "max(0, "),
    (a_third_of_a_building, switching.crowds, "_rooms(members, now - DAY)", "_rooms(members, now)"),
    (rooms_count_not_meters, switching._rooms, "cut.room for", "cut.order for"),
    (
        what_goes_on_never_exceeds_a_limit,
        switching.crowds,
        "len(_rooms(cuts, now - HOUR)) > limit",
        "len(_rooms(cuts, now - HOUR)) > limit + 1",
    ),
    (
        what_goes_on_never_exceeds_a_limit,
        switching._rooms,
        "cut.at is None or",
        "cut.at is not None and",
    ),
]
CHECKS = [one_alone_goes_at_once, *dict.fromkeys(check for check, *_defect in DEFECTS)]


@pytest.mark.parametrize("check", CHECKS)
def test_property(check):
    check()


@pytest.mark.parametrize(("check", "function", "line", "instead"), DEFECTS)
def test_planted_defect_is_caught(check, function, line, instead):
    with planted(function, line, instead), pytest.raises(AssertionError):
        check()
