from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from ..modbus.identity import bare_serial, same_serial

CHECKS = [
    ("serial", "Serial number"),
    ("ct", "Current transformer (CT)"),
    ("pt", "Voltage transformer (PT)"),
    ("multiplier", "Multiplier of the account"),
    ("display", "Register × multiplier, as displayed"),
    ("phases", "Phases and voltages"),
    ("clock", "Clock"),
    ("own_prepaid", "Own prepaid state"),
    ("opening", "Opening reading"),
    ("room", "Supply off and on in the room"),
]
#: Typed from the plate or the display by whoever stands before the meter.
TYPED = ("serial", "ct", "pt", "display")
VOLTAGES = ("voltage", "voltage_l2", "voltage_l3")
#: What a phase may have of what it should.
VOLTAGE_BAND = Decimal("0.80"), Decimal("1.15")
#: What a phase should have behind a voltage transformer: 100 V / √3, up to 120 V between phases.
BEHIND_TRANSFORMER = Decimal("57.7"), Decimal(120)
CLOCK_TOLERANCE = timedelta(minutes=5)
#: kWh or m³ at the meter itself that may pass between the look at the display and the reading.
DISPLAY_TOLERANCE = Decimal(2)
OWN_MONEY = ("remaining_money", "remaining_quantity", "purchase_count")


class EnergyMeterCommissioningCheck(models.Model):
    """One line of a commissioning sheet: what was read beside what is on the plate."""

    _name = "energy.meter.commissioning.check"
    _description = "Commissioning check"
    _inherit = ["energy.guarded", "energy.judged.line"]
    _order = "sheet_id, sequence, id"
    _flow_fields = frozenset({"read_value", "state", "finding_code", "figures"})

    sheet_id = fields.Many2one(
        "energy.meter.commissioning", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer()
    check = fields.Selection(CHECKS, required=True, readonly=True)
    read_value = fields.Char(string="Read from the Meter", readonly=True)
    typed_value = fields.Char(
        string="On the Plate", help="What is printed on the meter, or what its display shows."
    )
    is_typed = fields.Boolean(compute="_compute_is_typed")
    state = fields.Selection(
        [("open", "Open"), ("ok", "Agrees"), ("mismatch", "Differs"), ("none", "Not needed")],
        required=True,
        readonly=True,
        default="open",
    )
    reason = fields.Char(help="Why it is signed although it is open or differs.")
    site_id = fields.Many2one(related="sheet_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="sheet_id.company_id", store=True, index=True)

    _check_uniq = models.UniqueIndex('(sheet_id, "check")', "A sheet has each check once.")

    @api.model
    def _sentences(self):
        """Override of `energy.judged.line`."""
        return {
            "no_serial": _(
                "This meter type does not show its serial number: nothing but its address and its "
                "register tells it from another meter."
            ),
            "type_serial": _("Read the meter and type what is on its plate."),
            "other_name": _("The meter is known as %(name)s here."),
            "other_meter": _("Another meter answers at this address."),
            "type_ratio": _("This meter type does not show it: type it, 1 without one."),
            "read_ratio": _("Read the meter and type what is on the plate; 1 without one."),
            "no_account": _("The meter serves no account yet."),
            "type_both": _("Type CT and PT."),
            "multipliers": _("The account is charged × %(charged)s, the plate says × %(plate)s."),
            "type_display": _("Read the meter and type what its display shows."),
            "product": _("%(read)s × %(times)s = %(shown)s"),
            "read": _("Read the meter."),
            "site_voltage": _(
                "Each phase should have %(lowest)s to %(highest)s V, the site's %(nominal)s V."
            ),
            "transformer_voltage": _(
                "Behind its voltage transformer (PT %(pt)s) each phase should have %(lowest)s to "
                "%(highest)s V."
            ),
            "clock": _("Ahead of the platform, at most 5 minutes."),
            "own_money": _("No money of its own: it is forced on or off by the platform only."),
            "no_switch": _("This meter cannot be switched."),
            "turn_off": _("Turn off and on with somebody in the room."),
            "under_way": _("The orders are under way."),
            "turn_on": _("Turn the supply on again."),
            "not_seen": _("Ask who is in the room what went off and came back, and press it."),
            "elsewhere": _(
                "Not this room went off, or not only: the address is another meter's, or the wires "
                "are. Find out which, put it right, read again. Nothing is signed before."
            ),
            "failed": "%(error)s",
        }

    @api.depends("check", "finding")
    @api.depends_context("lang")
    def _compute_display_name(self):
        labels = dict(self._fields["check"]._description_selection(self.env))
        for line in self:
            line.display_name = ": ".join(filter(None, (labels.get(line.check), line.finding)))

    @api.depends("check")
    def _compute_is_typed(self):
        for line in self:
            line.is_typed = line.check in TYPED

    def write(self, vals):
        if not self.env.su:
            if vals.keys() - {"typed_value", "reason", "sequence"}:
                raise AccessError(_("What was read and what it means is not typed."))
            self.sheet_id._check_draft()
        result = super().write(vals)
        if "typed_value" in vals:
            self.sheet_id.line_ids._judge()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("The lines of a sheet are fixed."))

    def _is_open(self):
        self.ensure_one()
        return self.state in ("open", "mismatch") and not (self.reason or "").strip()

    def _fill(self, found, read_at):
        """Note what the meter showed.

        :param dict found: values as text, by meaning
        :param datetime read_at: when (naive UTC)
        """
        for line in self.sudo():
            # sudo: what was read is written by the flow only
            line.read_value = getattr(line, f"_read_{line.check}", lambda *_args: False)(
                found, read_at
            )
        self._judge()

    def _read_serial(self, found, _read_at):
        return found.get("serial") or False

    def _read_ct(self, found, _read_at):
        return found.get("ct_ratio") or False

    def _read_pt(self, found, _read_at):
        return found.get("pt_ratio") or False

    def _read_display(self, found, _read_at):
        return found.get("total") or False

    def _read_opening(self, found, _read_at):
        return found.get("total") or False

    def _read_phases(self, found, _read_at):
        shown = [f"{Decimal(found[name]):f} V" for name in VOLTAGES if name in found]
        return " / ".join(shown) or False

    def _read_clock(self, found, read_at):
        """The clock's advance on the platform's, in seconds."""
        if "clock" not in found:
            return False
        wall = datetime.fromisoformat(found["clock"])
        shown = wall.replace(tzinfo=ZoneInfo(self.site_id.tz)).astimezone(UTC).replace(tzinfo=None)
        return f"{(shown - read_at).total_seconds():+.0f} s"

    def _read_own_prepaid(self, found, _read_at):
        labels = dict(
            self.env["energy.register"]._fields["meaning"]._description_selection(self.env)
        )
        shown = [f"{labels[name]} = {found[name]}" for name in OWN_MONEY if name in found]
        return ", ".join(shown) or False

    # --- judging -------------------------------------------------------------------------------

    def _judge(self):
        """Say of each line whether what was read agrees with what was typed and is known."""
        for line in self.sudo():
            # sudo: what it means is written by the flow only
            state, code, *figures = getattr(line, f"_judge_{line.check}")()
            values = {
                "state": state,
                "finding_code": code or False,
                "figures": figures[0] if figures else False,
            }
            if any((line[name] or False) != value for name, value in values.items()):
                line.write(values)

    def _compare(self, same, code="", figures=False):
        return ("ok" if same else "mismatch"), code, figures

    def _judge_serial(self):
        typed, meter = bare_serial(self.typed_value), bare_serial(self.sheet_id.meter_id.name)
        note = "" if self.sheet_id.has_serial else "no_serial"
        if not typed or (self.sheet_id.has_serial and not self.read_value):
            return "open", note or "type_serial"
        if typed != meter:
            return "mismatch", "other_name", {"name": self.sheet_id.meter_id.name}
        if self.read_value and not same_serial(self.read_value, typed):
            return "mismatch", "other_meter"
        return "ok", note

    def _judge_ct(self):
        return self._judge_ratio("ct_ratio")

    def _judge_pt(self):
        return self._judge_ratio("pt_ratio")

    def _judge_ratio(self, meaning):
        known = self.sheet_id.profile_id.register_ids.mapped("meaning")
        if meaning not in known:
            if self.sheet_id.commodity == "water":
                return "none", ""
            if _number(self.typed_value) is None:
                return "open", "type_ratio"
            return "ok", ""
        read, typed = _number(self.read_value), _number(self.typed_value)
        if read is None or typed is None:
            return "open", "read_ratio"
        return self._compare(read == typed)

    def _plate_multiplier(self):
        """Return what the register is to be multiplied by, None while CT and PT are not typed."""
        sheet = self.sheet_id
        if sheet.commodity == "water" or sheet.profile_id.figures == "primary":
            return Decimal(1)
        ct, pt = (_number(sheet._line(check).typed_value) for check in ("ct", "pt"))
        return None if ct is None or pt is None else ct * pt

    def _judge_multiplier(self):
        charged, plate = self.sheet_id._multiplier(), self._plate_multiplier()
        if charged is None:
            return "none", "no_account"
        if plate is None:
            return "open", "type_both"
        return self._compare(
            charged == plate, "multipliers", {"charged": f"{charged:f}", "plate": f"{plate:f}"}
        )

    def _judge_display(self):
        read, typed, times = (
            _number(self.read_value),
            _number(self.typed_value),
            self._plate_multiplier(),
        )
        if read is None or typed is None or times is None:
            return "open", "type_display"
        return self._compare(
            abs(read * times - typed) <= DISPLAY_TOLERANCE * times,
            "product",
            {"read": f"{read:f}", "times": f"{times:f}", "shown": f"{read * times:f}"},
        )

    def _judge_phases(self):
        known = self.sheet_id.profile_id.register_ids.mapped("meaning")
        if "voltage" not in known:
            return "none", ""
        if not self.read_value:
            return "open", "read"
        shown = [_number(part) for part in self.read_value.replace("V", "").split("/")]
        code, figures, least, most = self._expected_voltage()
        lowest, highest = least * VOLTAGE_BAND[0], most * VOLTAGE_BAND[1]
        return self._compare(
            all(lowest <= voltage <= highest for voltage in shown),
            code,
            {"lowest": f"{lowest:.0f}", "highest": f"{highest:.0f}", **figures},
        )

    def _expected_voltage(self):
        """Return how it is said, with its figures, and the least and most that is nominal (V)."""
        sheet = self.sheet_id
        line = sheet._line("pt")
        pt = _number(line.typed_value) or _number(line.read_value) or Decimal(1)
        if pt <= 1:
            nominal = sheet.site_id.nominal_voltage
            return "site_voltage", {"nominal": nominal}, Decimal(nominal), Decimal(nominal)
        # Figures with the ratio included show the other side of the transformer.
        times = pt if sheet.profile_id.figures == "primary" else 1
        least, most = (voltage * times for voltage in BEHIND_TRANSFORMER)
        return "transformer_voltage", {"pt": f"{pt:f}"}, least, most

    def _judge_clock(self):
        if "clock" not in self.sheet_id.profile_id.register_ids.mapped("meaning"):
            return "none", ""
        if not self.read_value:
            return "open", "read"
        ahead = timedelta(seconds=int(self.read_value.split()[0]))
        return self._compare(abs(ahead) <= CLOCK_TOLERANCE, "clock")

    def _judge_own_prepaid(self):
        known = self.sheet_id.profile_id.register_ids.mapped("meaning")
        if not set(OWN_MONEY) & set(known):
            return "none", ""
        if not self.read_value:
            return "open", "read"
        amounts = [_number(part.rpartition("=")[2]) for part in self.read_value.split(",")]
        return self._compare(not any(amounts), "own_money")

    def _judge_opening(self):
        if _number(self.read_value) is None:
            return "open", "read"
        return "ok", ""

    def _judge_room(self):
        sheet = self.sheet_id
        if not sheet.can_switch:
            return "none", "no_switch"
        off, on = sheet.off_command_id, sheet.on_command_id
        if sheet.room_seen == "no":
            return "mismatch", "elsewhere"
        if not sheet.room_person or not off:
            return "open", "turn_off"
        failed = (off | on).filtered(lambda c: c.state in ("failed", "expired", "overtaken"))
        if failed:
            return "mismatch", "failed", {"error": failed[0].error or failed[0].state}
        if (off | on).filtered(lambda command: command.state != "confirmed"):
            return "open", "under_way"
        if not on or on.number < off.number:
            return "open", "turn_on"
        return ("ok", "") if sheet.room_seen else ("open", "not_seen")


def _number(text):
    try:
        value = Decimal((text or "").replace(",", "").strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
