from . import (
    test_access,
    test_agreement,
    test_checker,
    test_invoicing,
    test_ledger,
    test_occupancy,
    test_opening,
    test_operation,
    test_room_list,
    test_schema,
    test_settlement,
    test_supply,
)
