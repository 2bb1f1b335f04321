from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from engine_cases import LAW, decimals
from hypothesis import given
from hypothesis import strategies as st

from engine import Decision, Facts, Terms, decide

TERMS = Terms(cut_off=Decimal(0), restore=Decimal(10), overdraft=Decimal(0))
LIVE = Facts(
    balance=Decimal(-1),
    mode="prepaid",
    wanted="on",
    wanted_cause="payment",
    protected=False,
    site_state="live",
    in_trial=False,
    fresh=True,
    held=False,
    switchable=True,
)
OFF = {"wanted": "off", "wanted_cause": "arrears"}
D = Decimal


@pytest.mark.parametrize(
    ("balance", "change", "expected"),
    [
        # a supply that is on
        ("50", {}, (None, "enough", "0")),
        ("0.01", {}, (None, "enough", "0")),
        ("0.00", {}, ("off", "arrears", "10.01")),
        ("-3.20", {}, ("off", "arrears", "13.21")),
        ("-3.20", {"wanted": None, "wanted_cause": ""}, ("off", "arrears", "13.21")),
        ("50", {"wanted": None, "wanted_cause": ""}, (None, "enough", "0")),
        # nothing is cut on doubt, nor where a person or the site's state forbids it
        ("-3.20", {"protected": True}, (None, "protected", "3.21")),
        ("-3.20", {"switchable": False}, (None, "not_switchable", "3.21")),
        ("-3.20", {"commissioned": False}, (None, "not_commissioned", "3.21")),
        ("-3.20", {"held": True}, (None, "held_reading", "3.21")),
        ("-3.20", {"fresh": False}, (None, "stale", "3.21")),
        ("-3.20", {"site_state": "watch"}, (None, "would_cut_watch", "3.21")),
        ("-3.20", {"site_state": "watch", "in_trial": True}, (None, "would_cut_watch", "3.21")),
        ("-3.20", {"site_state": "trial"}, (None, "would_cut_trial", "3.21")),
        ("-3.20", {"site_state": "trial", "in_trial": True}, ("off", "arrears", "13.21")),
        ("-3.20", {"mode": "held_on"}, (None, "held_on", "0")),
        ("-3.20", {"mode": "forced_off"}, (None, "forced_off", "0")),
        # whoever pays by bill is never cut by the balance, and not kept off by another's debt
        ("-900", {"postpaid": True}, (None, "postpaid", "0")),
        ("-900", {"postpaid": True, **OFF}, ("on", "restored", "0")),
        ("-900", {"postpaid": True, **OFF, "switchable": False}, (None, "not_switchable", "0")),
        (
            "-900",
            {"postpaid": True, "wanted": "off", "wanted_cause": "person"},
            (None, "forced_off", "0"),
        ),
        ("-900", {"postpaid": True, "mode": "forced_off"}, (None, "forced_off", "0")),
        # a supply that is off for arrears
        ("-3.20", OFF, (None, "already", "13.21")),
        ("9.99", OFF, (None, "already", "0.02")),
        ("10.00", OFF, (None, "already", "0.01")),
        ("10.01", OFF, ("on", "restored", "0")),
        # it comes back in spite of doubt, protection and the site's state
        ("50", {**OFF, "fresh": False, "held": True}, ("on", "restored", "0")),
        ("50", {**OFF, "protected": True}, ("on", "restored", "0")),
        ("50", {**OFF, "commissioned": False}, ("on", "restored", "0")),
        ("50", {**OFF, "site_state": "watch"}, ("on", "restored", "0")),
        ("50", {**OFF, "site_state": "trial"}, ("on", "restored", "0")),
        ("50", {**OFF, "switchable": False}, (None, "not_switchable", "0")),
        # what another cause turned off, money does not turn on
        ("50", {"wanted": "off", "wanted_cause": "person"}, (None, "forced_off", "0")),
        ("50", {"wanted": "off", "wanted_cause": "policy"}, (None, "forced_off", "0")),
        ("-5", {"wanted": "off", "wanted_cause": "person"}, (None, "forced_off", "15.01")),
        ("50", {**OFF, "mode": "forced_off"}, (None, "forced_off", "0")),
        ("50", {**OFF, "mode": "held_on"}, (None, "held_on", "0")),
    ],
)
def test_decisions(balance, change, expected):
    wanted, reason, missing = expected
    found = decide(TERMS, replace(LIVE, balance=D(balance), **change))
    assert found == Decision(wanted, reason, D(missing))


@pytest.mark.parametrize(
    ("balance", "wanted"), [("-20.01", "off"), ("-20.00", "off"), ("-19.99", None)]
)
def test_the_overdraft_moves_the_thresholds(balance, wanted):
    terms = Terms(D(0), D(0), D(20))
    assert decide(terms, replace(LIVE, balance=D(balance))).wanted == wanted


def test_hysteresis():
    """Off at 0, on above 10; in between a supply stays what it is."""
    course = ["5", "0", "5", "10", "10.01", "5", "0.01", "-1", "9"]
    expected = ["on", "off", "off", "off", "on", "on", "on", "off", "off"]
    facts, seen = LIVE, []
    for balance in course:
        wanted = decide(TERMS, replace(facts, balance=D(balance))).wanted
        if wanted:
            facts = replace(facts, wanted=wanted, wanted_cause="arrears")
        seen.append(facts.wanted)
    assert seen == expected


def test_what_is_missing_depends_on_the_smallest_unit():
    terms = Terms(D(0), D(10), D(0), step=D(1))
    assert decide(terms, replace(LIVE, balance=D(-3), **OFF)).missing == 14


def all_facts(balance):
    for mode, wanted, cause, protected, site, trial, fresh, held, switchable in product(
        ("prepaid", "held_on", "forced_off"),
        ("on", "off", None),
        ("arrears", "payment", "person", "policy", ""),
        (False, True),
        ("watch", "trial", "live"),
        (False, True),
        (False, True),
        (False, True),
        (False, True),
    ):
        yield Facts(balance, mode, wanted, cause, protected, site, trial, fresh, held, switchable)


@pytest.mark.parametrize("balance", ["-5", "0", "5", "10", "10.01"])
def test_every_combination_keeps_the_rules(balance):
    for facts in all_facts(D(balance)):
        found = decide(TERMS, facts)
        if found.wanted == "off":
            assert facts.balance <= TERMS.cut_off
            assert facts.mode == "prepaid" and facts.wanted != "off"
            assert facts.fresh and not facts.held and not facts.protected and facts.switchable
            assert facts.site_state == "live" or (facts.site_state == "trial" and facts.in_trial)
        if found.wanted == "on":
            assert facts.balance > TERMS.restore
            assert facts.mode == "prepaid"
            assert (facts.wanted, facts.wanted_cause) == ("off", "arrears")


@LAW
@given(
    decimals("-500", "500", 2),
    decimals("0", "50", 2),
    decimals("-50", "50", 2),
    decimals("0", "50", 2),
    st.booleans(),
)
def test_paying_what_is_missing_is_enough_and_a_cent_less_is_not(
    balance, gap, cut_off, overdraft, off
):
    terms = Terms(cut_off, cut_off + gap, overdraft)
    facts = replace(LIVE, balance=balance, **(OFF if off else {}))
    first = decide(terms, facts)
    if not first.missing:
        return
    if first.wanted == "off":
        facts = replace(facts, **OFF)
    paid = decide(terms, replace(facts, balance=balance + first.missing))
    assert paid.missing == 0
    assert paid.wanted == ("on" if facts.wanted == "off" else None)
    less = decide(terms, replace(facts, balance=balance + first.missing - D("0.01")))
    assert less.missing == D("0.01") or less.wanted == "off"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((D(5), D(4), D(0)), "restore threshold 4 is below"),
        ((D(0), D(4), D(-1)), "overdraft must be zero or more"),
    ],
)
def test_terms_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Terms(*arguments)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mode": "postpaid"}, "mode 'postpaid'"),
        ({"site_state": "dark"}, "site state 'dark'"),
        ({"wanted": "moving"}, "wanted state 'moving'"),
    ],
)
def test_unknown_facts_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        decide(TERMS, replace(LIVE, **change))
