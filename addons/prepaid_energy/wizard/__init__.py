from . import (
    energy_daily_closing,
    energy_explanation,
    energy_finding_closing,
    energy_meter_addition,
    energy_operation,
    energy_operation_line,
    energy_reading_review,
    energy_reading_review_line,
    energy_statement,
    energy_tariff_choice,
    energy_top_up,
    energy_top_up_question,
)
