from odoo import _, models
from odoo.exceptions import AccessError, UserError


class EnergyCutBreaker(models.Model):
    """What a manager does with a list of held cuts."""

    _inherit = "energy.cut.breaker"

    def _check_may_release(self):
        self.check_access("read")
        if not self.env.user.has_group("prepaid_energy.group_energy_manager"):
            raise AccessError(_("Only managers release cuts."))

    def action_release(self):
        """Show the list before it is released."""
        return self._ask("released", _("Release Cuts"))

    def action_discard(self):
        """Ask why the list is discarded."""
        return self._ask("discarded", _("Discard Cuts"))

    def _ask(self, decision, name):
        self.ensure_one()
        self._check_may_release()
        if self.state != "tripped":
            raise UserError(_("This list was decided already."))
        # What is released is what was shown: who joins the list meanwhile stays in it.
        release = self.env["energy.cut.release"].create(
            {
                "breaker_id": self.id,
                "decision": decision,
                "line_ids": [(6, 0, self.line_ids.filtered("is_held").ids)],
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": release._name,
            "res_id": release.id,
            "view_mode": "form",
            "target": "new",
            "context": {"dialog_size": "extra-large"},
        }

    def _decide_list(self, lines, decision, reason):
        """Release or discard held cuts; the list ends with the last one.

        A released cut that has waited longer than its life is decided anew from present facts; all
        are asked again right before the write. What is discarded is wanted no more, and decided
        anew when the account is settled next.

        :param lines: the lines that the manager has seen
        :param str decision: released or discarded
        :param str reason: why
        """
        self.ensure_one()
        self._check_may_release()
        if not (reason or "").strip():
            raise UserError(_("Say why."))
        # sudo: lists and orders belong to the flow; the manager has been checked for this one
        breaker, lines = self.sudo(), lines.sudo()
        if breaker.state != "tripped" or lines.breaker_id - breaker:
            raise UserError(_("This list was decided already."))
        held = lines.filtered("is_held")
        held.write(
            {
                "decision": decision,
                "user_id": self.env.uid,
                "decided_at": breaker._now(),
            }
        )
        if decision == "discarded":
            held.command_id._take_back(_("Discarded: %s", reason))
        else:
            # What was decided anew in place of a cut that is too old is released with it.
            breaker.line_ids._of(
                breaker,
                held.command_id._release(),
                decision="released",
                user_id=self.env.uid,
                decided_at=breaker._now(),
            )
        words = {
            "released": _("Released %(count)s cuts: %(reason)s", count=len(held), reason=reason),
            "discarded": _("Discarded %(count)s cuts: %(reason)s", count=len(held), reason=reason),
        }
        breaker.message_post(body=words[decision], author_id=self.env.user.partner_id.id)
        if not breaker.line_ids.filtered("is_held"):
            breaker.write(
                {
                    "state": decision,
                    "ended_at": breaker._now(),
                    "user_id": self.env.uid,
                    "reason": reason,
                }
            )
        self.env["energy.room"]._tell()
