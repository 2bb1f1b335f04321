from odoo import fields, models


class EnergyPriceConsequenceLine(models.Model):
    """What a late price changes for an account in a month."""

    _name = "energy.price.consequence.line"
    _description = "Consequence for an account"
    _order = "weight desc, id"
    _log_access = False
    _rec_name = "account_id"

    consequence_id = fields.Many2one(
        "energy.price.consequence", required=True, readonly=True, index=True, ondelete="cascade"
    )
    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="cascade"
    )
    account_state = fields.Selection(related="account_id.state")
    partner_id = fields.Many2one(related="account_id.partner_id")
    balance = fields.Monetary(related="account_id.balance", string="Present Balance")
    site_id = fields.Many2one("energy.property", required=True, readonly=True, index=True)
    company_id = fields.Many2one(related="consequence_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="consequence_id.currency_id")
    month = fields.Date(readonly=True)
    amount = fields.Monetary(
        string="Difference", readonly=True, help="What the customer pays more; a minus: less."
    )
    weight = fields.Monetary(string="Size", readonly=True, aggregator=False)
    message = fields.Char(string="Cannot Be Priced", readonly=True)
