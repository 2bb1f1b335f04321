from decimal import Decimal

from odoo import Command, _, api, fields, models
from odoo.exceptions import UserError

from .energy_account_change import WITH_REGISTERS


class EnergyAccountChange(models.Model):
    """Suspending, closing, reopening, and the change of customer."""

    _inherit = "energy.account.change"

    line_ids = fields.One2many("energy.account.change.line", "change_id", string="Readings")
    leftover = fields.Selection(
        [("refund", "Pay back"), ("transfer", "Move to another account")],
        string="Balance Left",
        default="refund",
        help="What happens to a balance above zero. A debt stays with the closed account.",
    )
    to_account_id = fields.Many2one(
        "energy.account",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        domain="[('partner_id', '=', partner_id), ('state', 'in', ('active', 'suspended')),"
        " ('id', '!=', account_id), ('company_id', '=', company_id)]",
        help="Another account of the same customer.",
    )
    method_id = fields.Many2one(
        "energy.payment.method",
        string="Paid Back By",
        ondelete="restrict",
        check_company=True,
        domain="[('company_id', '=', company_id)]",
        help="Empty: by the way in which the last top-up came.",
    )
    request_ids = fields.One2many("energy.balance.request", "change_id", string="Refund Requests")
    new_account_id = fields.Many2one(
        "energy.account", readonly=True, copy=False, index="btree_not_null", ondelete="restrict"
    )
    is_supply_off = fields.Boolean(
        string="Supply Off",
        help="Forces the supply of the meters off. Nobody but a person turns it on again.",
    )
    is_supply_back = fields.Boolean(
        string="Return Supply to Prepaid",
        help="Where supply was forced off, the balance decides again.",
    )
    deposit_held = fields.Monetary(related="account_id.deposit_held")
    obstacles = fields.Text(
        string="In the Way", compute="_compute_obstacles", help="What a closing waits for."
    )

    @api.depends("kind", "account_id", "moment", "state")
    def _compute_obstacles(self):
        for change in self:
            obstacles = []
            if change.kind in ("close", "customer") and change.state == "draft" and change.moment:
                account = change.account_id._origin
                obstacles = account._closing_obstacles(change.moment) if account else []
            change.obstacles = "\n".join(obstacles)

    @api.onchange("account_id", "kind")
    def _onchange_lines(self):
        self.line_ids = [Command.clear(), *self._line_commands()]

    @api.model_create_multi
    def create(self, vals_list):
        changes = super().create(vals_list)
        for change in changes:
            if not change.line_ids:
                change.line_ids = change._line_commands()
        return changes

    def _line_commands(self):
        if self.kind not in WITH_REGISTERS:
            return []
        return [
            Command.create({"supply_id": supply.id}) for supply in self._supplies_with_registers()
        ]

    def _supplies_with_registers(self):
        """Return the supplies whose registers it states: the lasting ones, or those last ended."""
        account = self.account_id._origin
        if self.kind == "reopen":
            return account.supply_ids.filtered(
                lambda supply: supply.end_at == account.closed_at
            ).sorted("id")
        return account._lasting_supplies().sorted("id")

    def _touched_accounts(self):
        accounts = super()._touched_accounts()
        return accounts | self.to_account_id if self._moves_to_account() else accounts

    def _moves_to_account(self):
        return self.kind == "close" and self.leftover == "transfer"

    def _check_possible(self):
        result = super()._check_possible()
        supplies = self.line_ids.supply_id
        if self.kind in ("close", "customer") and supplies != self._supplies_with_registers():
            raise UserError(
                _("The meters of the account have changed: state the readings in a new document.")
            )
        if self.kind == "reopen":
            self._check_meters_free(supplies.meter_id)
        if self._moves_to_account() and (
            self.to_account_id.partner_id != self.account_id.partner_id
            or self.to_account_id.company_id != self.company_id
            or self.to_account_id.state not in ("active", "suspended")
            or self.to_account_id == self.account_id
        ):
            raise UserError(_("Choose another open account of the same customer for the balance."))
        if self.kind == "customer" and self.new_partner_id in (
            self.account_id.partner_id,
            self.env["res.partner"],
        ):
            raise UserError(_("Choose the new customer."))
        return result

    def _check_meters_free(self, meters):
        if not meters:
            raise UserError(_("Choose the meters that serve the account again."))
        taken = self.env["energy.supply"].search(
            [
                ("meter_id", "in", meters.ids),
                "|",
                ("end_at", "=", False),
                ("end_at", ">", self.moment),
            ]
        )
        if taken:
            raise UserError(
                _(
                    "Meter %(meter)s serves account %(account)s.",
                    meter=taken[0].meter_id.name,
                    account=taken[0].account_id.display_name,
                )
            )

    def _registers(self):
        """Return the stated register (Decimal) by id of its supply."""
        return {line.supply_id.id: Decimal(f"{line.register:.4f}") for line in self.line_ids}

    def action_open_new_account(self):
        """Open the account of the new customer."""
        return self._open(self.new_account_id)

    def action_open_requests(self):
        """Open the requests by which the balance is paid back."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_balance_request"
        )
        return dict(action, domain=[("id", "in", self.request_ids.ids)], context={})

    # --- suspending ------------------------------------------------------------------------------

    def _carry_out_suspend(self, _locked):
        self._change_account({"state": "suspended"})
        if self.is_supply_off:
            self._order_supply(self.account_id._lasting_supplies().meter_id, "off")

    def _carry_out_resume(self, _locked):
        self._change_account({"state": "active"})
        if self.is_supply_back:
            self._return_to_prepaid(self.account_id._lasting_supplies().meter_id)
        self.account_id._decide(user_id=self.env.uid)

    def _order_supply(self, meters, action):
        reason = f"{self.display_name}: {self.reason}"
        # sudo: persons order, only the flow writes control and command rows; the right to confirm
        # the document has been checked
        for control in meters.sudo().control_id:
            if control.meter_id.can_switch:
                control._order_by_person(action, reason)

    def _return_to_prepaid(self, meters):
        self._order_supply(meters.filtered(lambda meter: meter.mode == "forced_off"), "prepaid")

    # --- closing ---------------------------------------------------------------------------------

    def _carry_out_close(self, locked):
        account = self.account_id
        meters = self.line_ids.meter_id
        account._close(self.moment, self._registers(), locked)
        if self._moves_to_account():
            for wallet in account.wallet_ids:
                self._move_left(wallet, self.to_account_id, locked)
        else:
            self._ask_for_refund(locked)
        if self.is_supply_off:
            self._order_supply(meters, "off")

    def _move_left(self, wallet, account, locked):
        """Move what is left on a balance to the one of another account that pays for the same."""
        amount = locked[wallet.id][0]
        target = account._wallet(wallet.commodity)
        if amount > 0:
            key = f"change/{self.id}/{wallet.id}"
            wallet.account_id._move(wallet, target, amount, key, locked)
            # sudo: what follows of money is the flow's, whoever moves it
            self.env["energy.wallet"].sudo()._follow(
                account, {target.id: f"{key}/in"}, cause="payment"
            )

    def _ask_for_refund(self, locked):
        """Ask for what is left to be paid back; the closed account waits for it."""
        for wallet in self.account_id.wallet_ids:
            amount = locked[wallet.id][0]
            if amount > 0:
                self.env["energy.balance.request"]._ask_after_closing(self, wallet, amount)

    # --- change of customer ----------------------------------------------------------------------

    def _carry_out_customer(self, locked):
        """Close the account and open one of the new customer at the same moment.

        Use before the moment is the former customer's, use after it the new one's, whenever its
        readings arrive.
        """
        account = self.account_id
        registers = self._registers()
        supplies = self.line_ids.supply_id
        rooms = account.room_ids
        account._close(self.moment, registers, locked)
        new = self.env["energy.account"].create(
            {
                "partner_id": self.new_partner_id.id,
                "company_id": account.company_id.id,
                "site_id": account.site_id.id,
                "room_ids": [Command.set(rooms.ids)],
                "credit_policy_id": account.credit_policy_id.id,
                "payment_mode": account.payment_mode,
                "has_wallet_per_commodity": account.has_wallet_per_commodity,
                "occupancy_role": account.occupancy_role,
                "capacity": account.capacity,
                "supply_ids": [
                    Command.create(
                        supply._continued(
                            self.moment, registers[supply.id], meter_id=supply.meter_id.id
                        )
                    )
                    for supply in supplies
                ],
            }
        )
        new.action_activate()
        # sudo: what was carried out stays on the document; no user writes it
        self.sudo().write({"new_account_id": new.id, "old_partner_id": account.partner_id.id})
        if self.leftover == "transfer":
            locked.update(self.env["energy.wallet"]._lock(new.wallet_ids.ids))
            for wallet in account.wallet_ids:
                self._move_left(wallet, new, locked)
        else:
            self._ask_for_refund(locked)
        new.message_post(
            body=_(
                "Takes over from %(account)s by %(document)s.",
                account=account.display_name,
                document=self.display_name,
            )
        )

    # --- reopening -------------------------------------------------------------------------------

    def _carry_out_reopen(self, _locked):
        account = self.account_id
        registers = self._registers()
        # sudo: supplies of an account that is no draft are begun by documents only
        supplies = (
            self.env["energy.supply"]
            .sudo()
            .create(
                [
                    line.supply_id._continued(
                        self.moment,
                        registers[line.supply_id.id],
                        meter_id=line.meter_id.id,
                        account_id=account.id,
                    )
                    for line in self.line_ids
                ]
            )
        )
        supplies._activate()
        account._begin_occupancies(self.moment)
        self._change_account({"state": "active", "closed_at": False})
        if self.is_supply_back:
            self._return_to_prepaid(supplies.meter_id)
        account._decide(user_id=self.env.uid)
