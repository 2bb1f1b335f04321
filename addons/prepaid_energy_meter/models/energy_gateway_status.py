from odoo import fields, models


class EnergyGatewayStatus(models.Model):
    """What the connector says of a gateway all day: who holds it, whether it answers.

    A row of its own, without log columns; no form ever saves it.
    """

    _name = "energy.gateway.status"
    _description = "Gateway status"
    _log_access = False
    _rec_name = "gateway_id"

    gateway_id = fields.Many2one(
        "energy.gateway", required=True, readonly=True, index=True, ondelete="cascade"
    )
    lease_holder = fields.Char(
        string="Held By", readonly=True, help="The connector that may use the gateway."
    )
    lease_until = fields.Datetime(
        string="Held Until", readonly=True, help="In real time, by the database's clock."
    )
    is_online = fields.Boolean(string="Online", readonly=True)
    seen_at = fields.Datetime(string="Last Seen", readonly=True)
    offline_since = fields.Datetime(readonly=True, help="Empty while the gateway answers.")
    misses = fields.Integer(readonly=True, help="Attempts in a row without a connection.")
    error = fields.Char(string="Last Error", readonly=True)
    reads_good = fields.Integer(
        string="Good Reads", readonly=True, help="Since the present holder took it."
    )
    reads_bad = fields.Integer(
        string="Failed Reads", readonly=True, help="Since the present holder took it."
    )

    _gateway_uniq = models.UniqueIndex("(gateway_id)", "A gateway has one status.")
