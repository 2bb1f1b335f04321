from . import energy_operation, energy_operation_line, energy_statement, energy_top_up
