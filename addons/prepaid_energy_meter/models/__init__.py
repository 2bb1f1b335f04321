from . import (
    energy_demo,
    energy_gateway,
    energy_gateway_line,
    energy_gateway_offline,
    energy_gateway_status,
    energy_meter,
    energy_meter_profile,
    energy_register,
    res_config_settings,
)
