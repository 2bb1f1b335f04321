from . import energy_meter_addition, energy_operation, energy_operation_line, energy_top_up
