"""Decisions about readings: what is accepted can always be rated, and decisions can be undone."""

import copy
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from engine_cases import LAW
from hypothesis import given
from hypothesis import strategies as st

from engine import History, Limits, Refusal, Row, judge

NOON = datetime(2025, 5, 21, 12)
NOW = NOON + timedelta(days=30)
ONE = Decimal(1)
OPEN = Limits(modulus=None, multiplier=ONE, max_power=None)
STRONG = Limits(modulus=None, multiplier=ONE, max_power=Decimal(12))
WIDE = Limits(modulus=Decimal(1000), multiplier=ONE, max_power=None)


def collected(totals, limits=STRONG):
    """Return the history of registers collected hour after hour, judged as they came."""
    rows, previous = [], None
    for number, total in enumerate(totals, 1):
        moment, register = NOON + timedelta(hours=number), Decimal(total)
        verdict = judge(register, moment, previous, None, None, limits, NOW)
        row = Row(number, moment, register, verdict.state, verdict.reason, verdict.expected)
        rows.append(row)
        if row.state == "accepted":
            previous = row.point
    return History(rows, limits, NOW, complete=True)


def states(history):
    return [(row.total, row.state, row.baseline) for row in history.rows]


def code(decide, *arguments, **how):
    with pytest.raises(Refusal) as refusal:
        decide(*arguments, **how)
    return refusal.value.code


def test_use_is_that_between_accepted_registers():
    history = collected(["10", "12", "500", "15"])
    assert history.use() == 5
    history = collected(["990", "5"], WIDE)
    assert history.use() == 15


def test_use_is_by_the_multiplier_of_its_time():
    """CT 10 became 50 at three o'clock: 2 x 10, then an hour of each for 4 units, then 1 x 50."""
    limits = Limits(
        None,
        Decimal(50),
        None,
        multipliers=((NOON, Decimal(10)), (NOON + timedelta(hours=3), Decimal(50))),
    )
    rows = [
        Row(number, NOON + timedelta(hours=hours), Decimal(total), "accepted")
        for number, (hours, total) in enumerate([(0, 10), (2, 12), (4, 16), (5, 17)])
    ]
    assert History(rows[:2], limits, NOW, complete=True).use() == 20
    assert History(rows[1:3], limits, NOW, complete=True).use() == 120
    assert History(rows, limits, NOW, complete=True).use() == 190


def test_what_is_held_is_judged_anew():
    rows = [
        Row(1, NOON, Decimal(10), "accepted"),
        Row(2, NOON + timedelta(hours=1), Decimal(12), "held", "multiplier", "1"),
        Row(3, NOON + timedelta(hours=1), Decimal(13), "held", "multiplier", "1"),
        Row(4, NOON + timedelta(hours=2), Decimal(90), "held", "multiplier", "1"),
    ]
    history = History(rows, STRONG, NOW, complete=True)
    for row in rows:
        history.judge_anew(row)
    assert [(row.state, row.reason) for row in rows[1:]] == [
        ("accepted", "multiplier"),
        ("held", "multiplier"),  # another one is accepted at that moment
        ("held", "too_fast"),
    ]
    assert history.since == NOON
    assert not any(row.decided for row in rows)


def test_reset_is_accepted_with_what_follows_it():
    history = collected(["100", "102", "1", "2", "4"])
    row = history.rows[2]
    assert code(history.accept, row) == "fell"
    assert code(history.accept, row, meaning="rollover") == "width"
    history.accept(row, meaning="anew", last_register=Decimal(105))
    assert [state for _total, state, _baseline in states(history)] == ["accepted"] * 6
    # 100 to 105 and 1 to 4.
    assert history.use() == 8
    assert history.since == history.rows[1].moment


@pytest.mark.parametrize(
    ("meaning", "use"),
    [("", 25), ("rollover", 25), ("anew", 0)],  # 1000 - 980 + 5; nothing is known
)
def test_a_fall_that_the_width_explains_may_be_none(meaning, use):
    """A meter with three digits was replaced at 980; a person held what the new one shows."""
    rows = [
        Row(1, NOON, Decimal(980), "accepted"),
        Row(2, NOON + timedelta(hours=1), Decimal(5), "held", "fell"),
    ]
    history = History(rows, WIDE, NOW, complete=True)
    history.accept(rows[1], meaning=meaning)
    assert history.use() == use


def test_last_register_lies_after_the_one_before():
    history = collected(["100", "102", "1"])
    row = history.rows[2]
    for last in ("101", "NaN"):
        last_register = Decimal(last)
        assert code(history.accept, row, meaning="anew", last_register=last_register) == "last"
    assert row.state == "held"


def test_correction_replaces_and_judges_later_ones():
    history = collected(["100", "900", "102", "103"], OPEN)
    assert history.use() == 800
    history.correct(history.rows[1], Decimal(101))
    assert [(str(total), state) for total, state, _baseline in states(history)] == [
        ("100", "accepted"),
        ("101", "accepted"),
        ("900", "superseded"),
        ("102", "accepted"),
        ("103", "accepted"),
    ]
    assert history.use() == 3


def test_refused_correction_changes_nothing():
    history = collected(["100", "101", "102"])
    before = states(history)
    row = history.rows[1]
    assert code(history.correct, row, Decimal(50)) == "fell"
    assert code(history.correct, row, Decimal(-1)) == "negative"
    assert code(history.correct, row, Decimal(900)) == "next_lower"
    assert states(history) == before
    assert history.since is None


def test_more_rows_are_asked_for_where_all_are_judged_anew():
    history = collected(["100", "200", "1", "2"], OPEN)
    history.complete = False
    history.accept(history.rows[2], meaning="anew")
    assert history.is_exhausted
    history = collected(["100", "101", "102"], OPEN)
    history.complete = False
    history.reject(history.rows[1])
    assert not history.is_exhausted


REGISTERS = st.lists(st.integers(0, 60).map(str), min_size=1, max_size=8)
DECISIONS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "reject", "correct"]),
        st.integers(0, 9),
        st.sampled_from(["", "anew", "rollover"]),
        st.booleans(),
        st.integers(0, 60),
    ),
    max_size=6,
)


def decide(history, action, position, meaning, overrule, total):
    row = history.rows[position % len(history.rows)]
    how = {"meaning": meaning, "overrule": overrule}
    if action == "reject":
        history.reject(row)
    elif action == "accept":
        history.accept(row, **how)
    elif row.state in ("held", "accepted", "rejected"):
        history.correct(row, Decimal(total), **how)


@LAW
@given(REGISTERS, DECISIONS, st.sampled_from([OPEN, STRONG]))
def test_whatever_is_decided_can_be_rated(registers, decisions, limits):
    """Without a known width, accepted registers fall only where they begin anew."""
    history = collected(registers, limits)
    for decision in decisions:
        before = copy.deepcopy(history.rows)
        try:
            decide(history, *decision)
        except Refusal:
            assert history.rows == before
        accepted = [row for row in history.rows if row.state == "accepted"]
        for one, other in pairwise(accepted):
            assert one.moment < other.moment
            assert other.baseline or other.total >= one.total
        assert history.use() >= 0


@LAW
@given(REGISTERS, st.integers(0, 9))
def test_rejection_undone_leaves_what_was(registers, position):
    """Undone by accepting, with the later ones held anew where they cannot follow."""
    history = collected(registers, OPEN)
    row = history.rows[position % len(history.rows)]
    if row.state != "accepted":
        return
    before = states(history)
    history.reject(row)
    history.accept(row, overrule=True)
    assert states(history) == before
