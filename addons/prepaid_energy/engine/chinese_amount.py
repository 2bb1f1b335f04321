"""Amounts of money in capital figures, as they are written on bills in China.

After the basic rules for filling in bills and settlement vouchers of the People's Bank of China
(《正确填写票据和结算凭证的基本规定》). Where the rules leave a choice, 零 is written: a figure that
is there cannot be added later.
"""

from __future__ import annotations

from decimal import Decimal

FIGURES = "零壹贰叁肆伍陆柒捌玖"
PLACES = ("", "拾", "佰", "仟")
SECTIONS = ("", "万", "亿")
_LIMIT = Decimal(10) ** 12


def chinese_amount(amount: Decimal, prefix: str = "人民币") -> str:
    """Return an amount in capital figures, such as 人民币壹仟贰佰元整.

    :param amount: of yuan, to two decimals, of less than 10¹² either way
    :param prefix: name of the currency, written before the figures without a gap
    :raise ValueError: where it is no such amount
    """
    if not amount.is_finite() or abs(amount) >= _LIMIT:
        raise ValueError(f"{amount} cannot be written in capital figures.")
    cents = abs(amount) * 100
    if cents != cents.to_integral_value():
        raise ValueError(f"{amount} is finer than a fen.")
    yuan, rest = divmod(int(cents), 100)
    jiao, fen = divmod(rest, 10)
    text = prefix + ("负" if amount < 0 else "")
    if yuan or not rest:
        text += (_whole(yuan) or FIGURES[0]) + "元"
    if not rest:
        return text + "整"
    if yuan and (not jiao or not yuan % 10):
        text += FIGURES[0]
    if jiao:
        text += FIGURES[jiao] + "角"
    if fen:
        text += FIGURES[fen] + "分"
    return text


def _whole(number: int) -> str:
    """Return a whole number in capital figures; empty for 0."""
    text, is_gap = "", False
    for position in range(len(SECTIONS) - 1, -1, -1):
        section = number // 10000**position % 10000
        if not section:
            is_gap = bool(text)
            continue
        if text and (is_gap or section < 1000):
            text += FIGURES[0]
        text += _section(section) + SECTIONS[position]
        is_gap = False
    return text


def _section(number: int) -> str:
    """Return a number from 1 to 9999 in capital figures."""
    text, is_gap = "", False
    for position in range(3, -1, -1):
        figure = number // 10**position % 10
        if not figure:
            is_gap = bool(text)
            continue
        if is_gap:
            text += FIGURES[0]
        text += FIGURES[figure] + PLACES[position]
        is_gap = False
    return text
