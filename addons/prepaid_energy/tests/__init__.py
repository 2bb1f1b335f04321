from . import (
    test_access,
    test_checker,
    test_counter,
    test_ledger,
    test_operation,
    test_receipt,
    test_room_list,
    test_schema,
    test_settlement,
    test_supply,
)
