from typing import NamedTuple

from odoo import fields, models


class PlanLimits(NamedTuple):
    """What a meter's own plan of rate periods holds.

    ``slots``: most (time, rate period) pairs of a day. ``bands``: keys of rate periods that it
    knows. ``plans``: how many different days a year may have.
    """

    slots: int
    bands: frozenset[str]
    plans: int = 1


class EnergyMeter(models.Model):
    """What of a tariff a meter can hold itself."""

    _inherit = "energy.meter"

    plan_capacity = fields.Char(
        string="Own Rate Period Plan",
        compute="_compute_plan_capacity",
        help="What plan of rate periods the meter can hold itself. Tiers and money are always "
        "those of the platform.",
    )

    def _compute_plan_capacity(self):
        # A meter on an unsaved form is asked about as it was saved.
        limits = self._origin._plan_limits()
        for meter in self:
            held = limits.get(meter._origin.id)
            if held is None:
                meter.plan_capacity = False
            else:
                meter.plan_capacity = self.env._(
                    "%(slots)s times a day, %(bands)s rate periods, %(plans)s kind(s) of day",
                    slots=held.slots,
                    bands=len(held.bands),
                    plans=held.plans,
                )

    def _plan_limits(self):
        """Return what plans these meters hold; a driver's add-on knows its meters.

        :return: dict of meter id to `PlanLimits`, or None where the meter holds no plan
        """
        return dict.fromkeys(self.ids)
