from odoo import _, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from .. import clock

FINANCE = "prepaid_energy.group_energy_finance"
TO_DO = "mail.mail_activity_data_todo"


class EnergyBalanceRequest(models.Model):
    """How a request is moved on: submitted, approved, refused or taken back.

    A step runs under the lock of the balances that it may move.
    """

    _inherit = "energy.balance.request"

    def action_submit(self):
        """Carry the request out, or let it wait for a second person where it needs one."""
        return self._in_turn("_submit")

    def action_approve(self):
        """Approve the request as the second person, and carry it out."""
        return self._in_turn("_approve")

    def _in_turn(self, step):
        self.ensure_one()
        self.check_access("write")
        self._check_reach()
        wallets = (self.account_id | self.to_account_id).wallet_ids

        def work(env):
            # sudo: the step looks who may do what; nobody but it writes balances and flow fields
            getattr(env[self._name].browse(self.id).sudo(), step)()

        self.env["energy.wallet"]._in_turn(wallets.ids, work)
        self.env.invalidate_all()
        return True

    def action_refuse(self):
        """Refuse the request as the second person."""
        for request in self:
            request.check_access("write")
            request = request.sudo()  # sudo: flow fields are written by the flow only
            request._claim()
            request._check_second_person()
            if request.state != "waiting":
                raise UserError(request._not_now())
            request._note_decision()
            request.state = "refused"
        return True

    def action_cancel(self):
        """Take the request back, as who asked or as an accountant."""
        for request in self:
            request.check_access("write")
            request = request.sudo()  # sudo: flow fields are written by the flow only
            request._claim()
            if request.state not in ("draft", "waiting"):
                raise UserError(request._not_now())
            asker = self.env.user in request.requested_by_id | request.create_uid
            if not asker and not self.env.user.has_group(FINANCE):
                raise AccessError(_("A request is cancelled by who asked or by finance."))
            request.state = "cancelled"
            request.activity_unlink([TO_DO])
        return True

    def _submit(self):
        """Check what is asked for; carry it out, or let it wait.

        In the present transaction: who posts several things in one calls this and not the button.
        """
        locked = self._lock()
        if self.state == "done":
            return
        if self.state != "draft":
            raise UserError(self._not_now())
        self._check_right()
        self._check_body(locked)
        self.write({"requested_by_id": self.env.uid, "requested_at": clock.now(self.env.cr)})
        if self._needs_second_person(locked):
            self.state = "waiting"
            self._ask_to_approve()
        else:
            self._carry_out(locked)

    def _approve(self):
        locked = self._lock()
        self._check_second_person()
        if self.state == "done":
            return
        if self.state != "waiting":
            raise UserError(self._not_now())
        self._check_body(locked)
        self._note_decision()
        self._carry_out(locked)

    def _lock(self):
        """Lock the balances of both accounts, then the request; return the balances."""
        wallets = (self.account_id | self.to_account_id).wallet_ids
        locked = self.env["energy.wallet"]._lock(wallets.ids)
        self._claim()
        return locked

    def _claim(self):
        """Lock the request's row, so that of two people who decide only one does."""
        self.ensure_one()
        self.flush_recordset()
        self.env.cr.execute(
            SQL("SELECT FROM energy_balance_request WHERE id = %s FOR NO KEY UPDATE", self.id)
        )
        self.invalidate_recordset()

    def _note_decision(self):
        self.write({"decided_by_id": self.env.uid, "decided_at": clock.now(self.env.cr)})
        self.activity_unlink([TO_DO])

    def _not_now(self):
        states = dict(self._fields["state"]._description_selection(self.env))
        return _("Request %(number)s is “%(state)s”.", number=self.name, state=states[self.state])
