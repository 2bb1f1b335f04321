from . import energy_statement_report
