import math

import psycopg2
from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .energy_meter import COMMODITIES


class EnergyAccount(models.Model):
    """Account opening: what is filled in ahead, what is missing, and the one click."""

    _inherit = "energy.account"
    _rec_names_search = [
        "name",
        "partner_id.name",
        "partner_id.phone",
        "contact_ids.name",
        "contact_ids.phone",
        "room_ids.complete_name",
        "room_ids.code",
    ]

    contact_ids = fields.Many2many(
        "res.partner",
        "energy_account_contact_rel",
        "account_id",
        "partner_id",
        string="Contacts",
        check_company=True,
        help="People to call about this account. They are found by name and phone number.",
    )
    billing_partner_id = fields.Many2one(
        "res.partner",
        string="Invoice Title",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        tracking=True,
        help="In whose name invoices are issued; empty: the customer's.",
    )
    capacity = fields.Float(
        string="Contracted Capacity (kVA)",
        digits=(12, 2),
        tracking=True,
        help="What the customer may draw at most, by contract.",
    )
    credit_level_ids = fields.One2many(related="credit_policy_id.level_ids", string="Alarm Amounts")
    opening_top_up = fields.Monetary(
        string="First Top-Up", copy=False, help="Taken when the account is opened."
    )
    opening_method_id = fields.Many2one(
        "energy.payment.method",
        string="First Top-Up Paid By",
        ondelete="restrict",
        check_company=True,
        copy=False,
        domain="[('company_id', '=', company_id)]",
    )
    opening_reference = fields.Char(
        string="Reference of the Payment", copy=False, help="Number on the transfer or the slip."
    )
    opening_commodity = fields.Selection(
        COMMODITIES,
        string="First Top-Up For",
        copy=False,
        help="Whose balance it goes to, where each commodity has its own.",
    )
    opening_deposit = fields.Monetary(
        string="Deposit at Opening",
        copy=False,
        help="Taken when the account is opened. A guarantee, never part of the balance.",
    )
    opening_deposit_method_id = fields.Many2one(
        "energy.payment.method",
        string="Deposit Paid By",
        ondelete="restrict",
        check_company=True,
        copy=False,
        domain="[('company_id', '=', company_id)]",
    )
    opening_problem = fields.Text(
        string="Not Opened Because",
        readonly=True,
        copy=False,
        help="What kept this account from being opened in a batch.",
    )

    _check_opening_money = models.Constraint(
        "CHECK (COALESCE(opening_top_up, 0) >= 0 AND COALESCE(opening_deposit, 0) >= 0)",
        "The first top-up and the security deposit are amounts of zero or more.",
    )
    _check_capacity = models.Constraint(
        "CHECK (COALESCE(capacity, 0) >= 0)", "The contracted capacity cannot be negative."
    )

    @api.onchange("partner_id")
    def _onchange_partner_id(self):
        """The customer brings the rooms he has, or had last."""
        if self.state != "draft" or not self.partner_id or self.room_ids:
            return
        earlier = self.env["energy.account"].search(
            [
                ("partner_id", "=", self.partner_id._origin.id),
                ("state", "!=", "draft"),
                ("company_id", "=", self.company_id.id),
            ],
            order="opened_at desc",
        )
        present = earlier.filtered(lambda account: account.state != "closed")
        rooms = present.room_ids or earlier[:1].room_ids
        self.room_ids = rooms.filtered(lambda room: room.site_id == rooms[:1].site_id)

    @api.onchange("room_ids")
    def _onchange_room_ids(self):
        """The room brings its site, its free meters and, where none is chosen, its occupant."""
        if self.state != "draft":
            return
        rooms = self.room_ids._origin
        self.site_id = rooms[:1].site_id or self.site_id
        if not self.partner_id:
            self.partner_id = rooms._main_occupancy()[:1].partner_id
        meters = rooms.meter_ids.filtered(lambda meter: not meter.account_id)
        for meter in meters - self.supply_ids.meter_id:
            self.supply_ids += self.supply_ids.new(self.supply_ids._first_values(meter))

    @api.model
    def get_import_templates(self):
        """Offer the spreadsheet of drafts on the import screen."""
        return [
            {
                "label": _("Template for accounts with their meters"),
                "template": "/prepaid_energy/static/import/accounts.csv",
            }
        ]

    @api.onchange("opening_top_up", "opening_deposit")
    def _onchange_opening_money(self):
        """What is paid comes by the company's first payment method unless another is chosen."""
        methods = self.env["energy.payment.method"]
        first = methods.search([("company_id", "=", self.company_id.id)], limit=1)
        if self.opening_top_up and not self.opening_method_id:
            self.opening_method_id = first
        if self.opening_deposit and not self.opening_deposit_method_id:
            self.opening_deposit_method_id = self.opening_method_id or first

    def action_activate(self):
        """Open draft accounts: their meters serve them from the supplies' start on.

        :raise UserError: with everything that is missing
        """
        self.check_access("write")
        for account in self:
            if account.state != "draft":
                raise UserError(_("%s is open already.", account.display_name))
            missing = account._what_is_missing()
            if missing:
                raise UserError(
                    "\n".join(
                        [
                            _("Account %s cannot be opened yet:", account.display_name),
                            *(f"• {sentence}" for sentence in missing),
                        ]
                    )
                )
            account._open()
        return True

    def action_open_accounts(self):
        """Open these drafts one by one; what cannot be opened is named, with the reason."""
        self.check_access("write")
        drafts = self.filtered(lambda account: account.state == "draft")
        failed = self.browse()
        for account in drafts:
            try:
                with self.env.cr.savepoint():
                    account.action_activate()
            except psycopg2.OperationalError:
                raise  # a conflict with another transaction: the whole request is repeated
            except (UserError, psycopg2.IntegrityError) as error:
                self.env.invalidate_all(flush=False)
                # sudo: what was in the way is written by the flow only
                account.sudo().opening_problem = account._reason_of(error)
                failed += account
        message = _(
            "%(opened)s of %(count)s accounts opened.",
            opened=len(drafts) - len(failed),
            count=len(drafts),
        )
        following = {"type": "ir.actions.client", "tag": "soft_reload"}
        if failed:
            following = dict(
                self.env["ir.actions.act_window"]._for_xml_id(
                    "prepaid_energy.action_energy_account"
                ),
                name=_("Not Opened"),
                domain=[("id", "in", failed.ids)],
                views=[(False, "list"), (False, "form")],
                context={"search_default_opening_problem": 1},
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning" if failed else "success",
                "sticky": bool(failed),
                "message": message,
                "next": following,
            },
        }

    def _reason_of(self, error):
        if isinstance(error, UserError):
            return str(error)
        for model in ("energy.supply", "energy.occupancy", "energy.account"):
            for constraint in self.env[model]._table_objects.values():
                if constraint.full_name(self.env[model]) == error.diag.constraint_name:
                    return constraint.get_error_message(self.env[model], error.diag)
        raise error

    def _what_is_missing(self):
        """Return what keeps this draft from being opened, a sentence each.

        :rtype: list of str
        """
        self.ensure_one()
        missing = []
        if not self.room_ids:
            missing.append(_("Choose the rooms."))
        if not self.supply_ids:
            missing.append(_("It has no meter. Choose the meters that serve it."))
        if not self.credit_policy_id:
            missing.append(_("Choose the credit policy."))
        for supply in self.supply_ids:
            missing += supply._what_is_missing()
        missing += self._missing_for_money()
        if self.supply_ids:
            missing += self._clashes(self.room_ids, min(self.supply_ids.mapped("start_at")))
        return missing

    def _missing_for_money(self):
        missing = []
        currency = self.currency_id
        payments = (
            (_("First top-up"), self.opening_top_up, self.opening_method_id),
            (_("Security deposit"), self.opening_deposit, self.opening_deposit_method_id),
        )
        for name, amount, method in payments:
            if not amount:
                continue
            if not math.isfinite(amount) or currency.compare_amounts(amount, 0) <= 0:
                missing.append(_("%s: not an amount that can be taken.", name))
            if not method:
                missing.append(_("%s: choose how it is paid.", name))
            else:
                obstacles = method._obstacles(self.company_id, self.opening_reference)
                missing += [obstacle for obstacle in obstacles if obstacle not in missing]
        if (self.opening_top_up or self.opening_deposit) and not self.env.user.has_group(
            "prepaid_energy.group_energy_cashier"
        ):
            missing.append(
                _(
                    "Only cashiers take money: empty the first top-up and the security deposit, or "
                    "let a cashier who opens accounts do it."
                )
            )
        commodities = set(self.supply_ids.meter_id.mapped("commodity"))
        if (
            self.opening_top_up
            and self.has_wallet_per_commodity
            and len(commodities) > 1
            and self.opening_commodity not in commodities
        ):
            missing.append(_("Choose for which commodity the first top-up is."))
        return missing

    def _open(self):
        """Carry out what *Open the Account* means; the draft is complete."""
        self.ensure_one()
        opened_at = min(self.supply_ids.mapped("start_at"))
        self._open_wallets()
        self.supply_ids._activate()
        # sudo: only this method opens accounts; the right to write has been checked
        self.sudo().write({"state": "active", "opened_at": opened_at, "opening_problem": False})
        self._begin_occupancies(opened_at)
        self._decide()
        self._take_opening_money()

    def _open_wallets(self):
        self.ensure_one()
        commodities = set(self.supply_ids.meter_id.mapped("commodity"))
        wanted = commodities if self.has_wallet_per_commodity else {False}
        missing = wanted - set(self.wallet_ids.mapped("commodity"))
        # sudo: balances are written by the flow only, no user may create one
        self.env["energy.wallet"].sudo().create(
            [
                {"account_id": self.id, "commodity": commodity}
                for commodity in sorted(missing, key=str)
            ]
        )

    def _take_opening_money(self):
        """Take the security deposit and post the first top-up, under a key of its own."""
        if self.opening_deposit:
            self.env["energy.security.deposit"].create(
                {
                    "account_id": self.id,
                    "amount": self.opening_deposit,
                    "method_id": self.opening_deposit_method_id.id,
                    "reference": self.opening_reference,
                }
            ).action_receive()
        if self.opening_top_up:
            # sudo: the right to take money has been checked; balances are written by the flow only
            self._wallet(self.opening_commodity or None).sudo()._top_up(
                self.opening_top_up,
                f"opening/{self.id}",
                self.opening_method_id,
                self.opening_reference,
                shift=self.env["energy.shift"]._present(company=self.company_id),
            )
