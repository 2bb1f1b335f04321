from . import (
    test_access,
    test_checker,
    test_finance_reports,
    test_ledger,
    test_operation,
    test_room_list,
    test_schema,
    test_settlement,
    test_shift,
    test_supply,
)
