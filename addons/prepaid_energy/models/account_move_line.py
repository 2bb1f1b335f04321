from odoo import _, api, fields, models
from odoo.exceptions import ValidationError


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    energy_account_id = fields.Many2one(
        "energy.account",
        index="btree_not_null",
        copy=False,
        ondelete="restrict",
        help="Whose advance, or whose prepaid receivable, this is.",
    )
    energy_entry_key = fields.Char(
        readonly=True, copy=False, help="Key of the balance entry that this journal item books."
    )

    _energy_entry_key_uniq = models.UniqueIndex(
        "(energy_entry_key) WHERE energy_entry_key IS NOT NULL",
        "This balance entry is booked already.",
    )

    @api.constrains("account_id", "energy_account_id")
    def _check_energy_account(self):
        for line in self:
            advances = line.company_id.energy_advances_account_id
            if advances and line.account_id == advances and not line.energy_account_id:
                raise ValidationError(
                    _("A journal item on “%s” must name its energy account.", advances.display_name)
                )
