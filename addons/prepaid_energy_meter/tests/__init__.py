from . import (
    test_access,
    test_arming,
    test_collecting,
    test_connector_desk,
    test_connector_due,
    test_gateway,
    test_lease,
    test_meter,
    test_neutralize,
    test_offline,
    test_profile,
    test_tariff_plan,
)
