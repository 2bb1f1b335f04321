from . import energy_explanation_report, energy_statement_report
