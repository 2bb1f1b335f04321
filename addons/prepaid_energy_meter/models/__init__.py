from . import (
    energy_command,
    energy_demo,
    energy_gateway,
    energy_gateway_order,
    energy_gateway_status,
    energy_meter,
    energy_meter_clock,
    energy_meter_commissioned,
    energy_meter_commissioning,
    energy_meter_commissioning_check,
    energy_meter_profile,
    energy_register,
)
