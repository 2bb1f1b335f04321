import json
from pathlib import Path

from odoo import _, api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..modbus.errors import ProfileError
from ..modbus.profile import Profile
from ..modbus.vocabulary import CERTAINTIES

FOLDER = Path(__file__).parent.parent / "profiles"
STATES = ("on", "off", "moving")
# In the context it lets the loader change shipped profiles; no request can carry this object.
_LOADING = object()


class EnergyMeterProfile(models.Model):
    """A meter type: its registers, and how its supply is switched.

    Shipped profiles come from files and are not edited; an engineer copies one and edits the
    copy. The map itself is judged in one place, `modbus.profile`.
    """

    _name = "energy.meter.profile"
    _description = "Meter profile"
    _order = "name"

    name = fields.Char(required=True)
    code = fields.Char(required=True, help="Unique short name; that of the file if it has one.")
    commodity = fields.Selection(
        [("electricity", "Electricity"), ("water", "Water")], required=True, default="electricity"
    )
    certainty = fields.Selection(
        [(name, name) for name in CERTAINTIES],
        required=True,
        default="C",
        help="A: vendor manual or two independent sources. B: one good public source. "
        "C: one secondary source.",
    )
    source = fields.Text(required=True, help="Where the map comes from.")
    is_shipped = fields.Boolean(readonly=True, copy=False)
    active = fields.Boolean(default=True)
    read_functions = fields.Char(required=True, default="3", help="Function codes, with commas.")
    write_functions = fields.Char(help="Function codes, with commas; empty: nothing is written.")
    max_block = fields.Integer(
        string="Longest Read", required=True, default=100, help="Most registers of one read."
    )
    max_gap = fields.Integer(
        string="Longest Gap",
        required=True,
        default=0,
        help="Most registers in a row that a read may take in without needing them.",
    )
    register_ids = fields.One2many("energy.register", "profile_id", copy=True)
    plan_slots = fields.Integer(
        string="Times a Day",
        help="Most times of a day that the meter's own plan of rate periods has. 0: it has none.",
    )
    plan_bands = fields.Char(
        string="Rate Periods of the Plan",
        help="Kinds that the meter knows, with commas: sharp, peak, flat, valley, deep_valley.",
    )
    plan_certainty = fields.Selection([(name, name) for name in CERTAINTIES], default="C")
    can_switch = fields.Boolean(
        string="Has a Relay or Valve", help="The supply can be turned on and off."
    )
    control_function = fields.Integer(string="Written by Function", default=16)
    control_address = fields.Char(string="Written At")
    control_on = fields.Char(string="Words for Supply On", help="With commas between them.")
    control_off = fields.Char(string="Words for Supply Off", help="With commas between them.")
    on_mask = fields.Char(help="Flags of the supply state that are looked at.")
    on_value = fields.Char(help="What they are while the supply is on.")
    off_mask = fields.Char(help="Flags of the supply state that are looked at.")
    off_value = fields.Char(help="What they are while the supply is off.")
    moving_mask = fields.Char(help="Flags of the supply state that are looked at.")
    moving_value = fields.Char(help="What they are while the valve moves.")
    fault_mask = fields.Char(help="Flags that mean a fault of the relay or valve.")
    settle = fields.Char(string="Time to Move (s)", default="3")
    poll = fields.Char(string="Look Again After (s)", default="0.2")
    control_certainty = fields.Selection([(name, name) for name in CERTAINTIES], default="C")

    _code_uniq = models.Constraint("UNIQUE(code)", "Another profile has this code.")

    @api.constrains(
        "code",
        "name",
        "commodity",
        "certainty",
        "source",
        "read_functions",
        "write_functions",
        "max_block",
        "max_gap",
        "register_ids",
        "can_switch",
        "control_function",
        "control_address",
        "control_on",
        "control_off",
        "on_mask",
        "on_value",
        "off_mask",
        "off_value",
        "moving_mask",
        "moving_value",
        "fault_mask",
        "settle",
        "poll",
        "control_certainty",
        "plan_slots",
        "plan_bands",
        "plan_certainty",
    )
    def _check_map(self):
        for profile in self:
            try:
                profile._profile()
            except ProfileError as error:
                raise ValidationError("\n".join(error.problems)) from error

    @api.model_create_multi
    def create(self, vals_list):
        profiles = super().create(vals_list)
        self.env["energy.gateway"]._notify_field()
        return profiles

    def write(self, vals):
        if vals.keys() - {"active"}:
            self._refuse_shipped()
        self.env["energy.gateway"]._notify_field()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_shipped(self):
        self._refuse_shipped()

    def _refuse_shipped(self):
        loading = self.env.context.get("energy_loading") is _LOADING
        if not loading and any(self.mapped("is_shipped")):
            raise UserError(_("A shipped profile is not edited: copy it and edit the copy."))

    def copy_data(self, default=None):
        rows = super().copy_data(default)
        for profile, row in zip(self, rows, strict=True):
            if "code" not in (default or {}):
                row["code"] = f"{profile.code}_copy"
                row["name"] = _("%s (copy)", profile.name)
        return rows

    def _profile(self):
        """Return the checked map.

        :rtype: Profile
        :raise ProfileError: the map contradicts itself
        """
        self.ensure_one()
        return Profile.from_dict(self._as_dict())

    def _as_dict(self):
        """Return the profile as its file would have it."""
        self.ensure_one()
        data = {
            "code": self.code,
            "name": self.name,
            "commodity": self.commodity,
            "certainty": self.certainty,
            "source": self.source,
            "read_functions": _numbers(self.read_functions),
            "write_functions": _numbers(self.write_functions),
            "max_block": self.max_block,
            "max_gap": self.max_gap,
            "registers": [register._as_dict() for register in self.register_ids],
        }
        if self.can_switch:
            data["control"] = {
                "function": self.control_function,
                "address": self.control_address or None,
                "on": _numbers(self.control_on),
                "off": _numbers(self.control_off),
                "states": [
                    {
                        "state": state,
                        "mask": self[f"{state}_mask"],
                        "value": self[f"{state}_value"] or "0",
                    }
                    for state in STATES
                    if self[f"{state}_mask"]
                ],
                "fault_mask": self.fault_mask or 0,
                "settle": self.settle or None,
                "poll": self.poll or None,
                "certainty": self.control_certainty or self.certainty,
            }
        if self.plan_slots:
            data["plan"] = {
                "slots": self.plan_slots,
                "bands": (self.plan_bands or "").replace(",", " ").split(),
                "certainty": self.plan_certainty or self.certainty,
            }
        return data

    @api.model
    def _from_dict(self, data):
        """Return the values of a profile from the dictionary of its file."""
        control = data.get("control") or {}
        values = {
            "code": data["code"],
            "name": data["name"],
            "commodity": data["commodity"],
            "certainty": data["certainty"],
            "source": data["source"],
            "read_functions": ", ".join(map(str, data["read_functions"])),
            "write_functions": ", ".join(map(str, data.get("write_functions") or [])),
            "max_block": data.get("max_block", 100),
            "max_gap": data.get("max_gap", 0),
            "can_switch": bool(control),
            "plan_slots": 0,
        }
        plan = data.get("plan")
        if plan:
            values.update(
                plan_slots=plan["slots"],
                plan_bands=", ".join(plan["bands"]),
                plan_certainty=plan.get("certainty", data["certainty"]),
            )
        if control:
            values.update(
                control_function=control["function"],
                control_address=str(control["address"]),
                control_on=", ".join(map(str, control["on"])),
                control_off=", ".join(map(str, control["off"])),
                fault_mask=str(control.get("fault_mask", 0)),
                settle=str(control.get("settle", "3")),
                poll=str(control.get("poll", "0.2")),
                control_certainty=control.get("certainty", data["certainty"]),
            )
            for rule in control["states"]:
                values[f"{rule['state']}_mask"] = str(rule["mask"])
                values[f"{rule['state']}_value"] = str(rule["value"])
        registers = [
            {
                **self.env["energy.register"]._from_dict({"certainty": data["certainty"], **row}),
                "sequence": 10 * number,
            }
            for number, row in enumerate(data["registers"], start=1)
        ]
        return values, registers

    @api.model
    def _load_shipped(self):
        """Bring the shipped profiles in line with their files; doing it again changes nothing.

        :raise ProfileError: a file's map contradicts itself
        """
        shipped = self.with_context(energy_loading=_LOADING, active_test=False)
        for file in sorted(FOLDER.glob("*.json")):
            data = json.loads(file.read_text(encoding="utf-8"))
            wanted = Profile.from_dict(data)
            known = shipped.search([("code", "=", wanted.code), ("is_shipped", "=", True)])
            if known and known._profile() == wanted:
                continue
            values, registers = self._from_dict(data)
            commands = [fields.Command.clear(), *map(fields.Command.create, registers)]
            if known:
                known.write(dict(values, register_ids=commands))
            else:
                shipped.create(dict(values, is_shipped=True, register_ids=commands))


def _numbers(text):
    """Turn "16, 0x10" into a list of numbers; what is no number stays a text and is judged."""
    numbers = []
    for part in (text or "").replace(",", " ").split():
        try:
            numbers.append(int(part, 0))
        except ValueError:
            numbers.append(part)
    return numbers
