from odoo import _, api, fields, models
from odoo.exceptions import ValidationError

from ..modbus.errors import ProfileError
from ..modbus.profile import Profile
from .energy_register import CERTAINTIES, places

NO_MAP = ("id", "create_uid", "create_date", "write_uid", "write_date", "is_switch_usable")


class EnergyMeterProfile(models.Model):
    """A meter type: its registers, and how its supply is switched.

    Shipped profiles come from files and are not edited; an engineer copies one and edits the
    copy. The map itself is judged in one place, `modbus.profile`.
    """

    _name = "energy.meter.profile"
    _description = "Meter profile"
    _inherit = ["energy.guarded"]
    _order = "name"
    _rec_names_search = ["name", "code"]
    _flow_fields = frozenset({"is_shipped"})

    name = fields.Char(required=True)
    code = fields.Char(
        required=True, copy=False, help="Unique short name; that of the file if it has one."
    )
    commodity = fields.Selection(
        [("electricity", "Electricity"), ("water", "Water")], required=True, default="electricity"
    )
    certainty = fields.Selection(
        CERTAINTIES,
        required=True,
        default="C",
        help="A: vendor manual or two independent sources. B: one good public source. "
        "C: one secondary source.",
    )
    source = fields.Text(required=True, help="Where the map comes from.")
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
    figures = fields.Selection(
        [
            ("secondary", "What flows through the meter itself"),
            ("primary", "The use: transformers' ratio included"),
        ],
        string="Figures Are",
        required=True,
        default="secondary",
        help="Where the ratio is included, the supply's multiplier is 1. Otherwise it is CT × PT.",
    )
    is_template = fields.Boolean(
        string="To Be Completed",
        help="The map does not say where the total is: no meter is read by it.",
    )
    type_code = fields.Integer(
        help="What the type code's register holds in every meter of this type: a scan recognises "
        "it by that. 0: unknown.",
    )
    register_ids = fields.One2many("energy.register", "profile_id", copy=True)
    flag_ids = fields.One2many("energy.flag.rule", "profile_id", copy=True)
    block_plan = fields.Text(
        string="Reads", compute="_compute_block_plan", help="What is asked of a meter, in blocks."
    )
    problems = fields.Text(compute="_compute_block_plan")
    register_count = fields.Integer(compute="_compute_register_count", string="Registers")
    meter_count = fields.Integer(compute="_compute_meter_count", string="Meters")
    plan_slots = fields.Integer(
        string="Times a Day",
        help="Most times of a day that the meter's own plan of rate periods has. 0: it has none.",
    )
    plan_bands = fields.Char(
        string="Rate Periods of the Plan",
        help="Kinds that the meter knows, with commas: sharp, peak, flat, valley, deep_valley.",
    )
    plan_certainty = fields.Selection(CERTAINTIES, default="C")
    clock_address = fields.Char(
        string="Clock Set At",
        help="Where the clock's seven bytes are written. Empty: it is only read.",
    )
    clock_monday = fields.Integer(
        string="Monday Is", default=1, help="What the meter's clock counts Monday as: 0 to 7."
    )
    clock_certainty = fields.Selection(CERTAINTIES, default="C")
    clock_confirmation = fields.Char(
        string="Setting Confirmed",
        help="Who saw it work on which meter; without it a way of certainty C is not used.",
    )
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
    control_certainty = fields.Selection(CERTAINTIES, default="C")
    control_source = fields.Char(help="Where the control comes from.")
    control_confirmation = fields.Char(
        string="Confirmed on the Device",
        copy=False,
        help="Who saw it turn a supply off and on again, on which meter, when. Without it nothing "
        "is written where the control's certainty is C.",
    )
    is_switch_usable = fields.Boolean(
        string="Can Switch",
        compute="_compute_is_switch_usable",
        store=True,
        help="Has a relay or valve, and it is known well enough how it is switched.",
    )
    needs_control_key = fields.Boolean(compute="_compute_needs_control_key")

    _code_uniq = models.Constraint("UNIQUE(code)", "Another profile has this code.")

    @api.depends("can_switch", "control_certainty", "control_confirmation")
    def _compute_is_switch_usable(self):
        for profile in self:
            profile.is_switch_usable = profile.can_switch and (
                profile.control_certainty != "C" or bool(profile.control_confirmation)
            )

    @api.depends("control_on", "control_off")
    def _compute_needs_control_key(self):
        for profile in self:
            profile.needs_control_key = "key" in numbers(
                f"{profile.control_on or ''} {profile.control_off or ''}"
            )

    @api.depends("register_ids")
    def _compute_register_count(self):
        for profile in self:
            profile.register_count = len(profile.register_ids)

    def _compute_meter_count(self):
        counts = dict(
            self.env["energy.meter"]._read_group(
                [("profile_id", "in", self.ids)], ["profile_id"], ["__count"]
            )
        )
        for profile in self:
            profile.meter_count = counts.get(profile, 0)

    @api.depends(lambda self: self._map_fields())
    @api.depends_context("lang")
    def _compute_block_plan(self):
        for profile in self:
            profile.problems = profile.block_plan = False
            if not (profile.name and profile.code and profile.source):
                # A form just begun: its required fields say so themselves.
                continue
            try:
                found = profile._profile()
            except ProfileError as error:
                profile.problems = "\n".join(_sentence(text) for text in error.problems)
                continue
            lines = [
                _("Each reading: %s", _blocks(found.poll_blocks)),
                _("Once a day: %s", _blocks(found.daily_blocks)),
            ]
            profile.block_plan = "\n".join(lines[: 2 if found.daily_blocks else 1])

    @api.model
    def _map_fields(self):
        """Return the names of the fields that make up the map, registers' too."""
        own = [
            name
            for name, field in self._fields.items()
            if field.store and field.type != "one2many" and name not in ("active", *NO_MAP)
        ]
        return own + [f"register_ids.{name}" for name in self.env["energy.register"]._map_fields()]

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
        "flag_ids",
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
        "figures",
        "is_template",
        "control_confirmation",
        "type_code",
        "clock_address",
        "clock_monday",
        "clock_certainty",
        "clock_confirmation",
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
        self.env["energy.gateway"]._notify_field()
        return super().write(vals)

    def copy_data(self, default=None):
        rows = super().copy_data(default)
        for profile, row in zip(self, rows, strict=True):
            if "code" not in (default or {}):
                row["code"] = self._free_code(f"{profile.code}_copy", rows)
                row["name"] = _("%s (copy)", profile.name)
        return rows

    @api.model
    def _free_code(self, code, rows=()):
        """Return a code that no profile has, nor one of ``rows``: ``code``, or with a number."""
        taken = set(
            self.with_context(active_test=False)
            .search([("code", "=like", f"{code}%")])
            .mapped("code")
        ) | {row["code"] for row in rows if "code" in row}
        free, number = code, 1
        while free in taken:
            number += 1
            free = f"{code}_{number}"
        return free

    def _profile(self):
        """Return the checked map.

        :rtype: Profile
        :raise ProfileError: the map contradicts itself
        """
        self.ensure_one()
        return Profile.from_dict(self._as_dict())


def _blocks(blocks):
    """Blocks as people write them: "0000-0010, 0224"; input registers marked."""
    return ", ".join(
        places(block.address, block.count) + (" (04)" if block.function == 4 else "")
        for block in blocks
    )


def _sentence(text):
    """A problem without the profile's code in front of it."""
    return text.partition(": ")[2] or text


def numbers(text):
    """Turn "16, 0x10" into a list of numbers; what is no number stays a text and is judged."""
    numbers = []
    for part in (text or "").replace(",", " ").split():
        try:
            numbers.append(int(part, 0))
        except ValueError:
            numbers.append(part)
    return numbers
