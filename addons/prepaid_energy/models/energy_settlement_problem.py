from odoo import _, api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

CAUSES = [
    ("price", "No price"),
    ("tariff", "No tariff"),
    ("band", "No rate period"),
    ("register", "Register falls"),
    ("problem", "Cannot be settled"),
]


class EnergySettlementProblem(models.Model):
    """An account whose use cannot be priced now, and why; settled again when that is mended."""

    _name = "energy.settlement.problem"
    _description = "Account not settled"
    _log_access = False
    _order = "first_at"
    _rec_name = "account_id"

    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="cascade"
    )
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    message = fields.Char(required=True, readonly=True)
    cause = fields.Selection(CAUSES, required=True, readonly=True, default="problem")
    meter_id = fields.Many2one(
        "energy.meter", readonly=True, index="btree_not_null", ondelete="cascade"
    )
    tariff_id = fields.Many2one(
        "energy.tariff",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
        help="What is to be mended.",
    )
    first_at = fields.Datetime(string="Since", required=True, readonly=True)
    last_at = fields.Datetime(string="Last Tried", required=True, readonly=True)
    tries = fields.Integer(required=True, readonly=True, default=1)

    _account_uniq = models.UniqueIndex("(account_id)", "An account has one problem at a time.")

    @api.model
    def _record(self, account_id, message, cause="problem", meter_id=None, tariff_id=None):
        """Note why an account cannot be settled and set its queue aside for a while.

        The pause doubles with each failure up to six hours.

        :param str cause: key of `CAUSES`
        :param int meter_id: the meter whose use it is, where it is one
        :param int tariff_id: the tariff that is to be mended, where it is one
        """
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_settlement_problem
                   (account_id, site_id, company_id, message, cause, meter_id, tariff_id, first_at,
                    last_at, tries)
            SELECT id, site_id, company_id, %(message)s, %(cause)s, %(meter)s, %(tariff)s,
                   energy_now(), energy_now(), 1
              FROM energy_account WHERE id = %(account)s
                ON CONFLICT (account_id) DO UPDATE
               SET message = EXCLUDED.message, cause = EXCLUDED.cause,
                   meter_id = EXCLUDED.meter_id, tariff_id = EXCLUDED.tariff_id,
                   last_at = EXCLUDED.last_at,
                   tries = energy_settlement_problem.tries + 1
            """,
                message=message,
                cause=cause,
                meter=meter_id,
                tariff=tariff_id,
                account=account_id,
            )
        )
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_settlement_queue q
               SET not_before = energy_now()
                   + LEAST(interval '6 hours', interval '1 minute' * 2 ^ LEAST(p.tries, 12))
              FROM energy_supply s, energy_settlement_problem p
             WHERE s.meter_id = q.meter_id AND s.account_id = %s AND p.account_id = s.account_id
            """,
                account_id,
            )
        )
        self.invalidate_model(flush=False)

    def action_try_again(self):
        """Settle these accounts again at once."""
        if not self.env.user._is_energy("operator", "engineer", "finance"):
            raise AccessError(_("You do not have the right to settle again."))
        self.check_access("read")
        meters = self.account_id.supply_ids.meter_id
        # sudo: the queue belongs to the flow; the user has been checked for these accounts
        self.env["energy.settlement.queue"].sudo().search([("meter_id", "in", meters.ids)]).write(
            {"not_before": False}
        )
        self.env.ref("prepaid_energy.ir_cron_settle")._trigger()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"message": _("Settling again. Reload in a moment."), "type": "info"},
        }
