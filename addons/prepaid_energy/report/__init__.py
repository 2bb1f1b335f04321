from . import energy_explanation_report
from . import energy_statement_report
