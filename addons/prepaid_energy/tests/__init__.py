from . import (
    test_access,
    test_balance_request,
    test_checker,
    test_ledger,
    test_operation,
    test_room_list,
    test_schema,
    test_security_deposit,
    test_settlement,
    test_supply,
)
