from odoo import _, api, fields, models


class EnergyMeter(models.Model):
    """Hundreds of meters from a sheet, by Odoo's own import."""

    _inherit = "energy.meter"

    plate_ct = fields.Float(
        string="CT",
        digits=(12, 4),
        help="The current transformer's ratio by the plan, 1 without one, 0 where nobody knows it "
        "yet. The commissioning sheet compares it with the meter's own.",
    )
    plate_pt = fields.Float(
        string="PT",
        digits=(12, 4),
        help="The voltage transformer's ratio by the plan, 1 without one, 0 where nobody knows it "
        "yet. The commissioning sheet compares it with the meter's own.",
    )

    _check_plate = models.Constraint(
        "CHECK (plate_ct >= 0 AND plate_pt >= 0)", "CT and PT are 0 (not known) or more."
    )

    @api.model
    def get_import_templates(self):
        """Offer the sheet of meters on the import screen."""
        return [
            {
                "label": _("Template for meters with their addresses"),
                "template": "/prepaid_energy_meter/static/import/meters.csv",
            }
        ]
