"""Prices of a unit: derived from a base price, and gross with fees and tax. Decimal throughout."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from .engine.rounding import CUTTING, EXACT, quotient_half_up

PRICE_UNIT = Decimal("0.000001")
_HUNDRED = Decimal(100)
_ZERO = Decimal(0)


class Gross(NamedTuple):
    """What a unit costs, and what of it is fees and tax; to six decimals.

    ``fees`` are as they are typed: with or without tax, like the price.
    """

    gross: Decimal
    fees: Decimal
    tax: Decimal


def decimal_of(value: float, digits: int = 6) -> Decimal:
    """Return an amount that was typed with so many decimals."""
    return Decimal(f"{value:.{digits}f}")


def fees_per_unit(fees: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Return the sum of fees per unit, given as pairs (amount, percent of use); not rounded."""
    total = _ZERO
    for amount, share in fees:
        total = EXACT.add(total, EXACT.divide(EXACT.multiply(amount, share), _HUNDRED))
    return total


def gross_amount(amount: Decimal, tax_rate: Decimal | None) -> Decimal:
    """Return an amount with tax, half up to six decimals.

    :param tax_rate: per cent to add; None where the amount has its tax already
    """
    if tax_rate is None:
        return amount.quantize(PRICE_UNIT, ROUND_HALF_UP, CUTTING)
    return quotient_half_up(
        EXACT.multiply(amount, EXACT.add(_HUNDRED, tax_rate)), _HUNDRED, PRICE_UNIT
    )


def gross_price(price: Decimal, fees: Decimal, tax_rate: Decimal, tax_included: bool) -> Gross:
    """Return the gross price of a unit: (price + fees), with tax, rounded once."""
    net = EXACT.add(price, fees)
    gross = gross_amount(net, None if tax_included else tax_rate)
    tax = quotient_half_up(
        EXACT.multiply(gross, tax_rate), EXACT.add(_HUNDRED, tax_rate), PRICE_UNIT
    )
    return Gross(gross, fees.quantize(PRICE_UNIT, ROUND_HALF_UP, CUTTING), tax)


def derived_price(
    base: Decimal, ratio: Decimal, fixed: Decimal, adder: Decimal, decimals: int
) -> Decimal:
    """Return fixed + base x ratio + adder, half up to so many decimals."""
    exact = EXACT.add(EXACT.add(fixed, EXACT.multiply(base, ratio)), adder)
    return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, CUTTING)
