from . import (
    test_access,
    test_checker,
    test_checker_invoices,
    test_invoice_charts,
    test_invoice_life,
    test_invoicing,
    test_ledger,
    test_operation,
    test_room_list,
    test_schema,
    test_settlement,
    test_supply,
)
