from odoo import fields, models

MANAGERS = "prepaid_energy.group_energy_manager"


class EnergyProperty(models.Model):
    """The pace at which a site's supplies are switched, and when a person is asked first."""

    _inherit = "energy.property"

    switching_gap = fields.Integer(
        string="Least Time Between Switchings (Minutes)",
        default=5,
        required=True,
        groups=MANAGERS,
        help="A supply that was switched is not turned off for arrears sooner than this. It "
        "never keeps a supply from coming on, nor a person from turning it off. 0: none.",
    )
    switching_most = fields.Integer(
        string="Most Switchings an Hour",
        default=6,
        required=True,
        groups=MANAGERS,
        help="A supply that was switched as often as this within an hour stays on for the rest of "
        "the hour, and becomes a finding. 0: any number.",
    )
    switching_rate = fields.Integer(
        string="Switched at Once (a Second and Building)",
        default=5,
        required=True,
        groups=MANAGERS,
        help="Where many supplies of a building are to come on at once, so many do in a second: "
        "payments first. A single one is not delayed.",
    )
    cut_rooms_hour = fields.Integer(
        string="Most Rooms Cut an Hour",
        default=3,
        required=True,
        groups=MANAGERS,
        help="As many rooms of the site, or the percentage below where that is more, are turned "
        "off for arrears within an hour. Where more are to be, all wait until a manager has seen "
        "and released them.",
    )
    cut_percent_hour = fields.Float(
        string="Or Share of the Rooms (%)",
        digits=(5, 2),
        default=2,
        required=True,
        groups=MANAGERS,
        help="Of the site's rooms with an active account, within an hour.",
    )
    cut_one_in_day = fields.Integer(
        string="Most of a Building a Day: 1 Room in",
        default=3,
        required=True,
        groups=MANAGERS,
        help="3: never more than a third of a building's rooms with an active account are turned "
        "off for arrears within 24 hours, but one may always be. Rooms of the site that are in no "
        "building count together as one.",
    )
    off_rooms_confirmed = fields.Integer(
        string="Rooms Turned Off Unasked",
        default=10,
        required=True,
        groups=MANAGERS,
        help="Whoever turns off more rooms than this within an hour types their number to confirm.",
    )

    _check_switching = models.Constraint(
        "CHECK (switching_gap BETWEEN 0 AND 1440 AND switching_most >= 0 AND switching_rate >= 1)",
        "Least time between switchings: 0 to 1440 minutes; most switchings: 0 or more; switched at "
        "once: 1 or more.",
    )
    _check_cuts = models.Constraint(
        "CHECK (cut_rooms_hour >= 1 AND cut_percent_hour BETWEEN 0 AND 100"
        " AND cut_one_in_day >= 1 AND off_rooms_confirmed >= 1)",
        "Rooms are 1 or more, a percentage is from 0 to 100.",
    )
