from . import (
    test_access,
    test_account_change,
    test_checker,
    test_closing,
    test_exchange,
    test_ledger,
    test_operation,
    test_room_list,
    test_schema,
    test_settlement,
    test_supply,
)
