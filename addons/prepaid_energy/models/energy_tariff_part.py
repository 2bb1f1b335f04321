from odoo import api, fields, models

MONTHS = [
    ("1", "January"),
    ("2", "February"),
    ("3", "March"),
    ("4", "April"),
    ("5", "May"),
    ("6", "June"),
    ("7", "July"),
    ("8", "August"),
    ("9", "September"),
    ("10", "October"),
    ("11", "November"),
    ("12", "December"),
]


class EnergyTariffPart(models.AbstractModel):
    """A part of a tariff version: editable only while the version is a draft."""

    _name = "energy.tariff.part"
    _description = "Part of a tariff version"
    _inherit = ["energy.guarded"]

    version_id = fields.Many2one(
        "energy.tariff.version", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="version_id.company_id")

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        parts.version_id._check_editable()
        return parts

    def write(self, vals):
        self.version_id._check_editable()
        result = super().write(vals)
        if "version_id" in vals:
            self.version_id._check_editable()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_approved(self):
        self.version_id._check_editable()
