from odoo import fields, models

from .. import clock


class EnergyShift(models.Model):
    """A cashier's time at the counter: what was in the till, what came, what was counted."""

    _name = "energy.shift"
    _description = "Shift"
    _order = "opened_at desc, id desc"
    _check_company_auto = True

    name = fields.Char(string="Shift Number", required=True, readonly=True, copy=False, default="/")
    user_id = fields.Many2one(
        "res.users",
        string="Cashier",
        required=True,
        index=True,
        ondelete="restrict",
        default=lambda self: self.env.user,
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    state = fields.Selection(
        [("open", "Open"), ("closed", "Closed")], required=True, default="open", readonly=True
    )
    opened_at = fields.Datetime(
        required=True, readonly=True, default=lambda self: clock.now(self.env.cr)
    )
    closed_at = fields.Datetime(readonly=True, copy=False)
    opening_float = fields.Monetary(help="Cash in the till at the beginning.")
