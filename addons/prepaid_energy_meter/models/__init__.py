from . import (
    energy_command_identity,
    energy_demo,
    energy_gateway,
    energy_gateway_status,
    energy_meter,
    energy_meter_finding,
    energy_meter_profile,
    energy_meter_profile_file,
    energy_meter_status,
    energy_register,
    energy_supply,
)
