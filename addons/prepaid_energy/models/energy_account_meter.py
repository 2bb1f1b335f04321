from odoo import Command, _, models
from odoo.exceptions import UserError


class EnergyAccount(models.Model):
    """Adding a meter to an account that is open already."""

    _inherit = "energy.account"

    def action_add_meter(self):
        """Ask for the meter, its tariff and its opening reading."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Add a Meter"),
            "res_model": "energy.meter.addition",
            "view_mode": "form",
            "target": "new",
            "context": {"default_account_id": self.id},
        }

    def _add_meter(self, meter, tariff, multiplier, start_at, opening_register, limit_addition=0.0):
        """Let one more meter serve this account.

        :param meter: `energy.meter` that serves nobody from `start_at` on
        :param tariff: `energy.tariff` of its commodity
        :param float multiplier: CT × PT
        :param datetime start_at: naive UTC, not before the account was opened
        :param float opening_register: in kWh or m³, before the multiplier
        :param float limit_addition: in kWh or m³ a month, added to each tier limit
        :return: the supply
        :rtype: recordset of `energy.supply`
        :raise UserError: where something is missing, with all of it
        """
        self.ensure_one()
        if self.state != "active":
            raise UserError(
                _("%s is not active: meters are added to active accounts.", self.display_name)
            )
        if start_at < self.opened_at:
            raise UserError(_("%s was opened later than that.", self.display_name))
        # sudo: terms of an opened account are refused to users; this is the one place that adds
        # a supply to it, and the caller has checked the right to write the account
        supply = (
            self.env["energy.supply"]
            .sudo()
            .create(
                {
                    "account_id": self.id,
                    "meter_id": meter.id,
                    "start_at": start_at,
                    "opening_register": opening_register,
                    "term_ids": [
                        Command.create(
                            {
                                "since": start_at,
                                "tariff_id": tariff.id,
                                "multiplier": multiplier,
                                "limit_addition": limit_addition,
                            }
                        )
                    ],
                }
            )
            .sudo(self.env.su)
        )
        missing = supply._what_is_missing()
        if missing:
            raise UserError("\n".join(missing))
        self._open_wallets()
        supply._activate()
        if meter.property_id not in self.room_ids:
            self.room_ids += meter.property_id
        self._decide()
        return supply
