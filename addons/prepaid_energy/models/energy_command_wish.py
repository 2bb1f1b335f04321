from odoo import _, api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock


class EnergyCommand(models.Model):
    """What becomes of a wish whose order is not carried out.

    A cut that was given up stays wanted, see `_fail`. One that nobody asks for any more is wanted
    no longer, unless supply may be off by it, or by one before it.
    """

    _inherit = "energy.command"

    @api.model
    def _forget_wish(self, meter_ids):
        """Cuts of these meters are no longer wanted: the next settling decides anew.

        Where a supply may have been turned off since it was last seen to come on at an order, off
        stays wanted: so a payment orders it on.
        """
        if not meter_ids:
            return
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_meter_control k
               SET wanted = 'on', wanted_cause = 'policy', decision = NULL
             WHERE k.meter_id = ANY(%s) AND k.wanted = 'off' AND k.wanted_cause = 'arrears'
               AND NOT EXISTS (
                   SELECT 1 FROM energy_command c
                    WHERE c.meter_id = k.meter_id AND c.kind = 'supply' AND c.value = 'off'
                      AND (c.sent_at IS NOT NULL OR c.state = 'confirmed')
                      AND c.number > COALESCE(
                          (SELECT max(o.number) FROM energy_command o
                            WHERE o.meter_id = k.meter_id AND o.kind = 'supply'
                              AND o.value = 'on' AND o.state = 'confirmed'), 0))
            """,
                list(meter_ids),
            )
        )
        self.env["energy.meter.control"].invalidate_model(flush=False)

    def _take_back(self, why):
        """Overtake these cuts: nobody asks for them any more."""
        for command in self:
            command._set("overtaken", error=why, done=True)
        self._forget_wish(self.meter_id.ids)

    def _release(self):
        """Let these orders go on, which waited for a person.

        What has waited longer than its life is decided anew, from present facts.

        :return: the cuts that were ordered in the place of others
        """
        now = clock.now(self.env.cr)
        old = self.filtered(lambda command: command.expires_at and command.expires_at <= now)
        (self - old)._no_longer_waits()
        if not old:
            return old
        old._take_back(_("Waited longer than its life: decided anew."))
        accounts = old.account_id.filtered(lambda account: account.state == "active")
        self.env["energy.meter.control"]._decide(accounts.ids, user_id=self.env.uid)
        return self.search(
            [
                ("meter_id", "in", old.meter_id.ids),
                ("kind", "=", "supply"),
                ("value", "=", "off"),
                ("cause", "=", "arrears"),
                ("state", "=", "queued"),
                ("id", ">", max(self.ids)),
            ]
        )

    # --- ordering again ---------------------------------------------------------------------------

    def _again(self):
        """Return the operation that orders the same again."""
        self.ensure_one()
        if self.kind != "supply":
            return self.kind
        if self.value == "on":
            return "hold" if self.mode == "held_on" else "on"
        return "off" if self.mode == "forced_off" else "again"


class EnergyMeterControl(models.Model):
    _inherit = "energy.meter.control"

    def _order_by_person(self, action, reason, granted_until=None):
        """Override: *again* is about an off that is no person's; what waits says for what."""
        if action == "again":
            done = self._order_again()
        else:
            done = super()._order_by_person(action, reason, granted_until)
        why = [] if action == "read" else self._last_order()._why_waiting()
        if why:
            return _("%(done)s It waits. %(why)s", done=done, why=" ".join(why))
        return done

    def _last_order(self):
        return self.env["energy.command"].search(
            [("meter_id", "=", self.meter_id.id), ("kind", "=", "supply")],
            order="number desc",
            limit=1,
        )

    def _order_again(self):
        last = self._last_order()
        if last.value == "off" and last.cause == "person" and last.mode != "forced_off":
            # Service mode turns off and leaves what is wanted as it is.
            self._order_now("supply", "off", last.mode, last.reason)
            return _("Supply off ordered.")
        return self._cut_again()

    def _cut_again(self):
        """Decide anew about a supply whose cut was given up.

        :raise UserError: it is not to be cut any more, with the reason
        """
        why = self._cut_still_holds(self.meter_id.id)
        if why:
            raise UserError(why)
        self._write_wish("prepaid", "on", "policy")
        supply = self.env["energy.supply"]._present(self.meter_id)[self.meter_id.id]
        supply.account_id._decide(user_id=self.env.uid)
        self.invalidate_recordset(flush=False)
        return self._sentence()
