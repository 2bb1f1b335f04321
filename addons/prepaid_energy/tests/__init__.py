from . import (
    test_access,
    test_booking,
    test_checker,
    test_invoicing,
    test_ledger,
    test_operation,
    test_partial,
    test_room_list,
    test_schema,
    test_settlement,
    test_settlement_books,
    test_supply,
)
