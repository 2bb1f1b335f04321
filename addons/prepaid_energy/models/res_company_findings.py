from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    energy_clock_limit = fields.Integer(
        string="Clock Drift (Minutes)",
        default=5,
        help="A meter whose clock is off by more than this is a finding. 0: never.",
    )
    energy_silent_intervals = fields.Integer(
        string="Silent After (Readings)",
        default=8,
        help="A meter of which as many readings in a row are missing is a finding. 0: never.",
    )
    energy_idle_power = fields.Float(
        string="In Use Above (kW)",
        digits=(8, 3),
        default=0.1,
        help="A register that stands still for a day while the meter shows more power than this is "
        "a finding.",
    )

    _check_energy_findings = models.Constraint(
        "CHECK (energy_clock_limit >= 0 AND energy_silent_intervals >= 0"
        " AND energy_idle_power >= 0)",
        "Limits of findings are zero or more.",
    )
