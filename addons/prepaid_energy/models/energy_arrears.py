from odoo import fields, models
from odoo.tools import SQL

from .energy_meter import COMMODITIES


class EnergyWalletEntry(models.Model):
    _inherit = "energy.wallet.entry"

    # The last top-up of a balance, among all the use since.
    _top_up_index = models.Index("(wallet_id, number) WHERE kind = 'top_up'")


class EnergyArrears(models.Model):
    """Balances below zero: since when, when was paid last, whether supply is on.

    The row's id is the balance's.
    """

    _name = "energy.arrears"
    _description = "Arrears"
    _auto = False
    _order = "balance, id"
    _rec_name = "account_id"
    _depends = {
        "energy.account": ["state", "partner_id", "credit_policy_id"],
        "energy.credit.policy": ["overdraft"],
        "energy.supply": ["account_id", "meter_id", "start_at", "end_at"],
        "energy.wallet": ["balance"],
    }

    account_id = fields.Many2one("energy.account", readonly=True)
    account_state = fields.Selection(related="account_id.state")
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    phone = fields.Char(related="partner_id.phone")
    room_ids = fields.Many2many(related="account_id.room_ids")
    site_id = fields.Many2one("energy.property", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    commodity = fields.Selection(
        COMMODITIES, readonly=True, help="Empty: pays for everything of the account."
    )
    balance = fields.Monetary(
        string="Settled", readonly=True, help="As of the last posted reading."
    )
    overdraft = fields.Monetary(string="Overdraft Limit", readonly=True, aggregator=False)
    below_since = fields.Date(
        string="Below Zero Since", readonly=True, help="Day on which the entry was posted."
    )
    days = fields.Integer(string="Days Below Zero", readonly=True, aggregator="max")
    top_up_date = fields.Date(string="Last Top-up", readonly=True)
    top_up_amount = fields.Monetary(string="Amount of Last Top-up", readonly=True, aggregator=False)
    supply_state = fields.Selection(
        [("on", "On"), ("off", "Off"), ("moving", "Moving"), ("unknown", "Unknown")],
        string="Supply",
        readonly=True,
        help="Off: at least one of the meters that this balance pays for.",
    )

    @property
    def _table_query(self):
        return SQL("""
            SELECT w.id, w.account_id, a.partner_id, a.site_id, a.company_id, a.currency_id,
                   w.commodity, w.balance, COALESCE(p.overdraft, 0) AS overdraft,
                   below.day AS below_since,
                   (n.now AT TIME ZONE 'UTC' AT TIME ZONE site.tz)::date - below.day AS days,
                   paid.local_date AS top_up_date, paid.amount AS top_up_amount,
                   supply.state AS supply_state
              FROM energy_wallet w
              JOIN energy_account a ON a.id = w.account_id
              JOIN energy_property site ON site.id = a.site_id
              JOIN (SELECT energy_now() AS now) n ON TRUE
              LEFT JOIN energy_credit_policy p ON p.id = a.credit_policy_id
              LEFT JOIN LATERAL (
                   SELECT (e.moment AT TIME ZONE 'UTC' AT TIME ZONE site.tz)::date AS day
                     FROM energy_wallet_entry e
                    WHERE e.wallet_id = w.id AND e.number > COALESCE((
                          SELECT above.number FROM energy_wallet_entry above
                           WHERE above.wallet_id = w.id AND above.balance_after >= 0
                           ORDER BY above.number DESC LIMIT 1), 0)
                    ORDER BY e.number LIMIT 1) below ON TRUE
              LEFT JOIN LATERAL (
                   SELECT e.local_date, e.amount FROM energy_wallet_entry e
                    WHERE e.wallet_id = w.id AND e.kind = 'top_up' AND NOT EXISTS (
                          SELECT 1 FROM energy_wallet_entry undoing
                           WHERE undoing.cause_key = e.key AND undoing.kind = 'reversal')
                    ORDER BY e.number DESC LIMIT 1) paid ON TRUE
              LEFT JOIN LATERAL (
                   SELECT CASE WHEN bool_or(st.supply_state = 'off') THEN 'off'
                               WHEN bool_or(st.supply_state = 'moving') THEN 'moving'
                               WHEN bool_and(st.supply_state = 'on') THEN 'on'
                               ELSE 'unknown' END AS state
                     FROM energy_supply s
                     JOIN energy_meter m ON m.id = s.meter_id
                     LEFT JOIN energy_meter_status st ON st.meter_id = m.id
                    WHERE s.account_id = a.id AND s.start_at <= n.now
                      AND (s.end_at IS NULL OR s.end_at > n.now)
                      AND (w.commodity IS NULL OR w.commodity = m.commodity)) supply ON TRUE
             WHERE w.balance < 0""")

    def action_top_up(self):
        """Sell to this account."""
        self.ensure_one()
        return self.account_id.action_top_up()

    def action_open_account(self):
        """Open the account of this row."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.account",
            "res_id": self.account_id.id,
            "view_mode": "form",
        }
