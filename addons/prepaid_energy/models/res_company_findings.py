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

    energy_state_minutes = fields.Integer(
        string="State Differs After (Minutes)",
        default=10,
        help="A supply that is seen otherwise than wanted for longer than this, with no command "
        "under way, is a finding. 0: never.",
    )
    energy_flowing_minutes = fields.Integer(
        string="Off, but Flowing After (Minutes)",
        default=15,
        help="Flow for so long through a supply that is seen off is a finding, until nothing has "
        "flowed for as long. 0: never.",
    )
    energy_flowing_power = fields.Float(
        string="Flowing Above (kW)",
        digits=(8, 3),
        default=0.05,
        help="Power through a supply that is off.",
    )
    energy_flowing_flow = fields.Float(
        string="Flowing Above (m³/h)",
        digits=(8, 3),
        default=0.02,
        help="Water through a supply that is off.",
    )

    _check_energy_supply_findings = models.Constraint(
        "CHECK (energy_state_minutes >= 0 AND energy_flowing_minutes >= 0"
        " AND energy_flowing_power >= 0 AND energy_flowing_flow >= 0)",
        "Limits of findings on supply are zero or more.",
    )
    _check_energy_findings = models.Constraint(
        "CHECK (energy_clock_limit >= 0 AND energy_silent_intervals >= 0"
        " AND energy_idle_power >= 0)",
        "Limits of findings are zero or more.",
    )
