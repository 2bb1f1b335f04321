from odoo import _, models
from odoo.exceptions import UserError
from odoo.tools import format_datetime

from .. import clock


class EnergyMeterControl(models.Model):
    """What persons want of a meter's supply."""

    _inherit = "energy.meter.control"

    def _order_by_person(self, action, reason, granted_until=None):
        """Carry out a person's wish for one meter's supply.

        :param str action: read, on, off, hold, prepaid or again
        :param str reason: why, in the person's words or from a list
        :param datetime granted_until: supply on in arrears until then; managers only
        :return: what was ordered, as a sentence
        :raise UserError: where it is refused, with the reason
        """
        self.ensure_one()
        meter = self.meter_id
        if action == "read":
            if meter.driver == "none":
                raise UserError(_("Nothing reads this meter: its readings are typed or imported."))
            self._order_now("read")
            return _("Reading ordered.")
        if not meter.can_switch:
            raise UserError(_("This meter cannot be switched."))
        situation = next(iter(self._situations(meter_ids=meter.ids)), None)
        if action == "off":
            self._write_wish("forced_off", "off")
            self._order_now("supply", "off", "forced_off", reason)
            return _("Supply off ordered.")
        if action == "hold":
            self._write_wish("held_on", "on")
            self._order_now("supply", "on", "held_on", reason)
            return _("Hold on ordered.")
        if action == "prepaid":
            is_on = self.wanted != "off"
            self._write_wish("prepaid", "on" if is_on else "off", "person" if is_on else "arrears")
            if situation is None:
                return _("Returned to prepaid; no account uses this meter.")
            before = self.last_number
            self.env["energy.account"].browse(situation.account)._decide(user_id=self.env.uid)
            self.invalidate_recordset(flush=False)
            return self._sentence() if self.last_number != before or self.decision else ""
        if action == "on":
            return self._order_on(situation, reason, granted_until)
        raise ValueError(f"Unknown action {action!r}")

    def _order_on(self, situation, reason, granted_until):
        """Turn on: that ends *forced off*; *held on* and a grant that runs stay."""
        mode = "held_on" if self.mode == "held_on" else "prepaid"
        if self._is_granted():
            granted_until = granted_until or self.granted_until
        if (
            mode == "prepaid"
            and situation is not None
            and not situation.facts.postpaid
            and not granted_until
        ):
            available = situation.facts.balance + situation.terms.overdraft
            if available <= situation.terms.restore:
                missing = situation.terms.restore - available + situation.terms.step
                raise UserError(
                    _(
                        "In arrears: %s more is needed before supply comes on.",
                        self.currency_id.format(float(missing)),
                    )
                )
        self._write_wish(mode, "on", granted_until=granted_until)
        self._order_now("supply", "on", mode, reason)
        if granted_until:
            until = format_datetime(self.env, granted_until)
            return _("Supply on ordered, granted until %s.", until)
        return _("Supply on ordered.")

    def _is_granted(self):
        """Whether a manager's grant of supply in arrears runs."""
        return bool(self.granted_until) and self.granted_until > clock.now(self.env.cr)

    def _write_wish(self, mode, wanted, cause="person", granted_until=None):
        self.write(
            {
                "mode": mode,
                "wanted": wanted,
                "wanted_cause": cause,
                "granted_until": granted_until,
                "decision": {"held_on": "held_on", "forced_off": "forced_off"}.get(mode),
                "decided_at": clock.now(self.env.cr),
            }
        )
        self.flush_recordset()

    def _order_now(self, kind, value=None, mode=None, reason=None):
        self.env["energy.command"]._command(
            [
                {
                    "meter_id": self.meter_id.id,
                    "kind": kind,
                    "value": value,
                    "mode": mode,
                    "cause": "person",
                    "reason": reason,
                    "user_id": self.env.uid,
                }
            ]
        )
