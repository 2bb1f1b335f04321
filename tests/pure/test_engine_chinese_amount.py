"""Amounts in capital figures. Marked examples are those of the People's Bank of China's rules."""

from decimal import Decimal

import pytest
from engine_cases import LAW
from hypothesis import given
from hypothesis import strategies as st

from engine import chinese_amount

FIGURES = {figure: value for value, figure in enumerate("零壹贰叁肆伍陆柒捌玖")}
PLACES = {"拾": 10, "佰": 100, "仟": 1000}


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("1409.50", "人民币壹仟肆佰零玖元伍角"),  # the bank's
        ("6007.14", "人民币陆仟零柒元壹角肆分"),  # the bank's
        ("1680.32", "人民币壹仟陆佰捌拾元零叁角贰分"),  # the bank's, its first form
        ("107000.53", "人民币壹拾万柒仟元零伍角叁分"),  # the bank's, its first form
        ("16409.02", "人民币壹万陆仟肆佰零玖元零贰分"),  # the bank's
        ("325.04", "人民币叁佰贰拾伍元零肆分"),  # the bank's
        ("1200", "人民币壹仟贰佰元整"),
        ("0", "人民币零元整"),
        ("0.05", "人民币伍分"),
        ("0.50", "人民币伍角"),
        ("0.55", "人民币伍角伍分"),
        ("1", "人民币壹元整"),
        ("10", "人民币壹拾元整"),
        ("15.30", "人民币壹拾伍元叁角"),
        ("20.30", "人民币贰拾元零叁角"),
        ("100.01", "人民币壹佰元零壹分"),
        ("1001", "人民币壹仟零壹元整"),
        ("1010", "人民币壹仟零壹拾元整"),
        ("10000", "人民币壹万元整"),
        ("10001", "人民币壹万零壹元整"),
        ("10010.10", "人民币壹万零壹拾元零壹角"),
        ("100000", "人民币壹拾万元整"),
        ("1000500", "人民币壹佰万零伍佰元整"),
        ("20040000", "人民币贰仟零肆万元整"),
        ("100000000", "人民币壹亿元整"),
        ("100000001", "人民币壹亿零壹元整"),
        ("100001000", "人民币壹亿零壹仟元整"),
        ("100010000", "人民币壹亿零壹万元整"),
        ("101010101.01", "人民币壹亿零壹佰零壹万零壹佰零壹元零壹分"),
        (
            "999999999999.99",
            "人民币玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分",
        ),
        ("-7", "人民币负柒元整"),
    ],
)
def test_amounts(amount, expected):
    assert chinese_amount(Decimal(amount)) == expected


def test_another_currency_names_itself():
    assert chinese_amount(Decimal("8.20"), "港币") == "港币捌元贰角"


@pytest.mark.parametrize("amount", ["0.001", "1000000000000", "-1000000000000", "NaN", "Infinity"])
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(ValueError, match=r"finer|cannot be written"):
        chinese_amount(Decimal(amount))


def read(text):
    """Return the cents of an amount in capital figures, read figure by figure."""
    total = section = figure = 0
    for sign in text.removeprefix("人民币"):
        if sign in FIGURES:
            figure = FIGURES[sign]
        elif sign in PLACES:
            section, figure = section + figure * PLACES[sign], 0
        elif sign == "万":
            total, section, figure = total + (section + figure) * 10**4, 0, 0
        elif sign == "亿":
            total, section, figure = (total + section + figure) * 10**8, 0, 0
        elif sign == "元":
            total, section, figure = (total + section + figure) * 100, 0, 0
        elif sign == "角":
            total, figure = total + figure * 10, 0
        elif sign == "分":
            total, figure = total + figure, 0
    return total


@given(st.integers(0, 10**14 - 1))
@LAW
def test_what_is_written_reads_as_the_amount(cents):
    text = chinese_amount(Decimal(cents) / 100)
    assert read(text) == cents
    assert "零零" not in text
    assert text.endswith(("整", "角", "分"))
