from datetime import date
from decimal import Decimal

from engine import Advances, match, settle_open

FEB, MARCH, APRIL = date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 10)


def test_cover_is_the_lowest_balance_of_the_day_and_all_later_ones():
    advances = Advances([(FEB, Decimal(100)), (MARCH, Decimal(-70)), (APRIL, Decimal(50))])
    assert advances.lowest(date(2026, 2, 27)) == 0
    assert advances.lowest(FEB) == 30
    assert advances.lowest(APRIL) == 80


def test_taking_lowers_later_days_and_never_below_zero():
    advances = Advances([(FEB, Decimal(100))])
    assert advances.take(MARCH, Decimal(70)) == 70
    assert advances.take(FEB, Decimal(70)) == 30
    assert advances.take(FEB, Decimal(1)) == 0
    assert Advances([(FEB, Decimal(-5))]).take(FEB, Decimal(1)) == 0


def test_invoice_is_settled_at_its_date_as_far_as_covered_and_the_rest_today():
    advances = Advances([(FEB, Decimal(100)), (APRIL, Decimal(50))])
    plan = settle_open([(1, MARCH, Decimal(130))], advances, APRIL)
    assert plan == [(1, MARCH, Decimal(100)), (1, APRIL, Decimal(30))]
    assert advances.lowest(APRIL) == 20


def test_oldest_is_settled_first_and_what_is_not_covered_stays_open():
    advances = Advances([(FEB, Decimal(100))])
    items = [(1, MARCH, Decimal(70)), (2, APRIL, Decimal(70))]
    assert settle_open(items, advances, APRIL) == [
        (1, MARCH, Decimal(70)),
        (2, APRIL, Decimal(30)),
    ]


def test_credit_goes_back_first_and_then_covers():
    items = [(1, MARCH, Decimal(10)), (2, APRIL, Decimal("-11.30"))]
    advances = Advances()
    assert settle_open(items, advances, APRIL) == [
        (2, APRIL, Decimal("-11.30")),
        (1, APRIL, Decimal(10)),
    ]
    assert advances.lowest(APRIL) == Decimal("1.30")


def test_debits_and_credits_are_paired_oldest_first():
    debits = [(1, Decimal(50)), (2, Decimal(30))]
    credits = [(8, Decimal(20)), (9, Decimal(45)), (10, Decimal(40))]
    assert match(debits, credits) == [(1, 8), (1, 9), (2, 9), (2, 10)]
    assert match(debits, []) == []
