from odoo import api, fields, models


class EnergyAccountSelection(models.AbstractModel):
    """The choice of an account by its room, its customer or itself; each brings the others.

    A model that inherits this may make `account_id` required. Room and customer are kept as they
    were chosen: a later change of customer does not rewrite an old document.
    """

    _name = "energy.account.selection"
    _description = "Choice of an account"

    room_id = fields.Many2one(
        "energy.property",
        compute="_compute_room_and_customer",
        store=True,
        readonly=False,
        precompute=True,
        index=True,
        ondelete="restrict",
        domain="[('kind', '=', 'room'), ('account_ids.partner_id', '=?', partner_id)]",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        compute="_compute_room_and_customer",
        store=True,
        readonly=False,
        precompute=True,
        index=True,
        ondelete="restrict",
    )
    account_id = fields.Many2one(
        "energy.account",
        index=True,
        ondelete="restrict",
        domain="[('state', 'in', ('active', 'suspended')), ('partner_id', '=?', partner_id),"
        " ('room_ids', '=?', room_id)]",
    )

    @api.depends("account_id")
    def _compute_room_and_customer(self):
        for choice in self:
            account = choice.account_id
            if account:
                choice.partner_id = account.partner_id
                if choice.room_id not in account.room_ids:
                    choice.room_id = account.room_ids[:1]
            else:
                choice.partner_id = choice.partner_id
                choice.room_id = choice.room_id

    @api.onchange("room_id")
    def _onchange_room_id(self):
        """The room brings the account of its main occupant, which brings the customer."""
        if self.room_id and self.room_id not in self.account_id.room_ids:
            self.account_id = self._accounts_of_room(self.room_id)[:1]
            if not self.account_id:
                self.partner_id = False

    @api.onchange("partner_id")
    def _onchange_partner_id(self):
        """The customer brings his account, where he has one only."""
        if not self.partner_id or self.partner_id == self.account_id.partner_id:
            return
        accounts = self._accounts_of_customer(self.partner_id)
        here = accounts.filtered(lambda account: self.room_id in account.room_ids)
        accounts = here or accounts
        self.account_id = accounts if len(accounts) == 1 else False
        if self.account_id:
            return
        rooms = accounts.room_ids
        if self.room_id not in rooms:
            self.room_id = rooms if len(rooms) == 1 else False

    @api.model
    def _accounts_of_room(self, room):
        """Return the open accounts of a room, the main occupant's first.

        :param room: `energy.property`
        :rtype: recordset of `energy.account`
        """
        main = room._origin._main_occupancy().account_id
        accounts = self.env["energy.account"].search(
            [("room_ids", "in", room._origin.ids), ("state", "in", ("active", "suspended"))]
        )
        return (main & accounts) | accounts

    @api.model
    def _accounts_of_customer(self, partner):
        """Return the open accounts of a customer.

        :param partner: `res.partner`
        :rtype: recordset of `energy.account`
        """
        return self.env["energy.account"].search(
            [("partner_id", "in", partner._origin.ids), ("state", "in", ("active", "suspended"))]
        )
