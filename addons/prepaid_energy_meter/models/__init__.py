from . import (
    energy_demo,
    energy_gateway,
    energy_gateway_status,
    energy_meter,
    energy_meter_profile,
    energy_register,
)
