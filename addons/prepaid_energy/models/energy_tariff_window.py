from odoo import api, fields, models

from .energy_tariff_part import MONTHS
from .energy_tariff_version_engine import build_window


class EnergyTariffWindow(models.Model):
    _name = "energy.tariff.window"
    _description = "Rate period window"
    _inherit = ["energy.tariff.part"]
    _order = "version_id, sequence, id"

    sequence = fields.Integer(
        default=10, help="Later windows cut into earlier ones: critical peak into peak."
    )
    band_id = fields.Many2one(
        "energy.tariff.band",
        string="Rate Period",
        required=True,
        ondelete="cascade",
        domain="[('version_id', '=', version_id)]",
    )
    month_from = fields.Selection(MONTHS, required=True, default="1")
    month_to = fields.Selection(MONTHS, required=True, default="12")
    day_type = fields.Selection(
        [
            ("all", "Every day"),
            ("workday", "Working day"),
            ("weekend", "Weekend"),
            ("holiday", "Holiday"),
            ("declared", "Declared day"),
        ],
        required=True,
        default="all",
    )
    hour_from = fields.Float(string="From", digits=(6, 4), required=True)
    hour_to = fields.Float(
        string="To",
        digits=(6, 4),
        required=True,
        default=24,
        help="A time before the start means the next morning.",
    )

    _check_hours = models.Constraint(
        "CHECK (hour_from >= 0 AND hour_from < 24 AND hour_to >= 0 AND hour_to <= 24)",
        "A window lies between 00:00 and 24:00.",
    )

    @api.depends("band_id", "hour_from", "hour_to")
    def _compute_display_name(self):
        for window in self:
            window.display_name = (
                f"{window.band_id.name} {clock_text(window.hour_from)}–{clock_text(window.hour_to)}"
            )

    def _build(self):
        """Return this window as the engine's value."""
        self.ensure_one()
        return build_window(
            self.band_id.key,
            int(self.month_from),
            int(self.month_to),
            self.day_type,
            minute(self.hour_from),
            minute(self.hour_to) or 24 * 60,
        )


def minute(hour):
    """Return the minute of the day of an hour typed as a decimal number."""
    return round(hour * 60)


def clock_text(hour):
    """Return an hour typed as a decimal number as HH:MM."""
    return f"{minute(hour) // 60:02d}:{minute(hour) % 60:02d}"
