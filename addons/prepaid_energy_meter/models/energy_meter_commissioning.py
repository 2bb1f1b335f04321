from decimal import Decimal

from odoo import _, api, fields, models
from odoo.addons.prepaid_energy import clock
from odoo.addons.prepaid_energy.models.energy_meter_control import MODES
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_datetime

from ..modbus.probing import NO_VALUE, RawBlock, decoded
from .energy_meter_commissioned import SIGNED
from .energy_meter_commissioning_check import CHECKS

#: What the check in the room leaves on the sheet.
ROOM_CHECK = ("off_command_id", "on_command_id", "room_seen", "room_seen_at")


class EnergyMeterCommissioning(models.Model):
    """The sheet on which an engineer signs that a meter is the one of its room.

    Until one is signed, the meter is read and rated and nothing is cut for arrears. A signed sheet
    stays as it is; it is superseded by the next one, or when the meter is no longer what it says.
    """

    _name = "energy.meter.commissioning"
    _description = "Commissioning sheet"
    _inherit = ["energy.document", "mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    _numbered_by = "meter_id"
    _flow_fields = frozenset(
        {
            "name",
            "state",
            "done_at",
            "user_id",
            "unconfirmed_since",
            "probe_id",
            "off_command_id",
            "on_command_id",
            "mode_before",
            "granted_before",
            "read_at",
            "serial",
            "gateway_id",
            "unit_id",
            "profile_id",
            "room_seen",
            "room_seen_at",
        }
    )
    _given_fields = frozenset({"name", "serial", "gateway_id", "unit_id", "profile_id"})

    state = fields.Selection(
        selection_add=[("done", "Signed"), ("superseded", "Superseded"), ("cancelled",)],
        ondelete={"superseded": "cascade"},
        tracking=True,
    )
    user_id = fields.Many2one(string="Signed By")
    done_at = fields.Datetime(string="Signed At")
    meter_id = fields.Many2one(
        "energy.meter",
        required=True,
        index=True,
        ondelete="restrict",
        domain=[("driver", "=", "modbus")],
    )
    commodity = fields.Selection(related="meter_id.commodity")
    site_id = fields.Many2one(related="meter_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="meter_id.company_id", store=True, index=True)
    property_id = fields.Many2one(
        "energy.property",
        string="Room",
        compute="_compute_property_id",
        store=True,
        readonly=False,
        precompute=True,
        required=True,
        ondelete="restrict",
        domain="[('site_id', '=', site_id)]",
        help="Where the meter was found to be: what it measures and switches.",
    )
    serial = fields.Char(string="Serial Number", readonly=True)
    gateway_id = fields.Many2one(
        "energy.gateway", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    unit_id = fields.Integer(string="Unit Number", readonly=True, aggregator=None)
    profile_id = fields.Many2one("energy.meter.profile", readonly=True, ondelete="restrict")
    probe_id = fields.Many2one(
        "energy.command",
        string="Read By",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    read_at = fields.Datetime(readonly=True, copy=False)
    off_command_id = fields.Many2one(
        "energy.command",
        string="Supply Off",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    on_command_id = fields.Many2one(
        "energy.command",
        string="Supply On",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    mode_before = fields.Selection(
        MODES,
        readonly=True,
        copy=False,
        help="The supply's mode before it was turned off in the room: it is given back.",
    )
    granted_before = fields.Datetime(readonly=True, copy=False)
    off_state = fields.Selection(related="off_command_id.state", string="Supply Off Is")
    on_state = fields.Selection(related="on_command_id.state", string="Supply On Is")
    probe_state = fields.Selection(related="probe_id.state", string="Reading Is")
    probe_error = fields.Char(related="probe_id.error", string="Reading Failed")
    room_person = fields.Char(
        string="In the Room", help="Who stood in the room and saw the supply go off and on."
    )
    room_seen = fields.Selection(
        [("yes", "Went off here and came back"), ("no", "Not this room, or not only")],
        string="Seen in the Room",
        readonly=True,
        copy=False,
        tracking=True,
        help="What the person in the room saw. The meter's own answer says that it switched, not "
        "which room it darkened.",
    )
    room_seen_at = fields.Datetime(string="Seen At", readonly=True, copy=False)
    is_room_asked = fields.Boolean(compute="_compute_is_room_asked")
    photo = fields.Image(max_width=1600, max_height=1600)
    note = fields.Text()
    line_ids = fields.One2many("energy.meter.commissioning.check", "sheet_id")
    open_count = fields.Integer(string="To Be Done", compute="_compute_open_count")
    is_waiting = fields.Boolean(compute="_compute_is_waiting")
    can_switch = fields.Boolean(related="meter_id.can_switch")
    has_serial = fields.Boolean(compute="_compute_has_serial")
    opening_register = fields.Char(compute="_compute_opening_register")

    @api.depends("meter_id")
    def _compute_property_id(self):
        for sheet in self:
            sheet.property_id = sheet.meter_id.property_id

    @api.depends("line_ids.state", "line_ids.reason")
    def _compute_open_count(self):
        for sheet in self:
            sheet.open_count = len(sheet.line_ids.filtered(lambda line: line._is_open()))

    @api.depends("probe_id.state", "off_command_id.state", "on_command_id.state")
    def _compute_is_waiting(self):
        for sheet in self:
            commands = sheet.probe_id | sheet.off_command_id | sheet.on_command_id
            sheet.is_waiting = any(c.state in ("queued", "sent") for c in commands)

    @api.depends("state", "room_seen", "off_command_id.state")
    def _compute_is_room_asked(self):
        for sheet in self:
            sheet.is_room_asked = (
                sheet.state == "draft"
                and not sheet.room_seen
                and sheet.off_command_id.state == "confirmed"
            )

    @api.depends("profile_id.register_ids.meaning")
    def _compute_has_serial(self):
        for sheet in self:
            sheet.has_serial = "serial" in sheet.profile_id.register_ids.mapped("meaning")

    @api.depends("line_ids.read_value")
    def _compute_opening_register(self):
        for sheet in self:
            sheet.opening_register = sheet._line("opening").read_value

    @api.model_create_multi
    def create(self, vals_list):
        sheets = super().create(
            [
                {
                    **vals,
                    **self._identity_of(self.env["energy.meter"].browse(vals.get("meter_id"))),
                    "line_ids": [
                        fields.Command.create({"check": check, "sequence": number})
                        for number, (check, _label) in enumerate(CHECKS)
                    ],
                }
                for vals in vals_list
            ]
        )
        if any(sheet.meter_id.driver != "modbus" for sheet in sheets):
            raise UserError(_("Only meters that are read automatically are commissioned."))
        for sheet in sheets:
            for check, ratio in (("ct", sheet.meter_id.plate_ct), ("pt", sheet.meter_id.plate_pt)):
                if ratio:
                    sheet._line(check).typed_value = f"{ratio:g}"
        sheets.line_ids._judge()
        return sheets

    def write(self, vals):
        result = super().write(vals)
        drafts = self.filtered(lambda sheet: sheet.state == "draft")
        if "property_id" in vals:
            drafts._forget_room()
        elif "room_person" in vals:
            # sudo: written by the flow only; somebody else has not seen it
            drafts.sudo().write({"room_seen": False, "room_seen_at": False})
        if {"room_person", "property_id"} & vals.keys():
            self.line_ids._judge()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_superseded(self):
        if any(sheet.state in ("superseded", *SIGNED) for sheet in self):
            raise UserError(_("A document that was carried out is never deleted."))

    @api.model
    def _identity_of(self, meter):
        return {
            "serial": meter.name,
            "gateway_id": meter.gateway_id.id,
            "unit_id": meter.unit_id,
            "profile_id": meter.profile_id.id,
        }

    def _check_same_meter(self):
        if self._is_of_another():
            raise UserError(
                _(
                    "Meter %s was changed since this sheet was begun: read everything again, and "
                    "see that the room on the sheet is the meter's.",
                    self.meter_id.name,
                )
            )

    def _is_of_another(self):
        """Whether the meter is no longer what this sheet speaks of."""
        self.ensure_one()
        meter = self.meter_id
        now = (meter.name, meter.gateway_id, meter.unit_id, meter.profile_id, meter.property_id)
        then = (self.serial, self.gateway_id, self.unit_id, self.profile_id, self.property_id)
        return meter.driver != "modbus" or now != then

    def _supersede(self):
        if self:
            # sudo: the state is written by the flow only
            self.sudo().write({"state": "superseded"})

    def _forget_room(self):
        """Take back the check in the room: it was of another meter, or in another room."""
        # sudo: what was ordered and seen is written by the flow only
        self.sudo().write(dict.fromkeys(ROOM_CHECK, False))

    def _forget_shown(self):
        """Take back what sheets that are begun have from the field: another device said it."""
        begun = self.filtered(lambda sheet: sheet.state == "draft")
        if begun:
            begun._forget_room()
            # sudo: what was read is written by the flow only
            begun.sudo().write({"probe_id": False, "read_at": False})
            begun.line_ids._fill({}, None)

    def _line(self, check):
        return self.line_ids.filtered(lambda line: line.check == check)

    def _open(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy_meter.action_energy_meter_commissioning"
        )
        if len(self) == 1:
            return dict(action, views=[(False, "form")], res_id=self.id)
        return dict(action, domain=[("id", "in", self.ids)], context={})

    # --- reading -------------------------------------------------------------------------------

    def _check_engineer(self):
        if not self.env.su and not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers commission meters."))
        self.check_access("write")
        self._check_draft()

    def action_read(self):
        """Order everything that the meter can show; the sheet fills when the answer comes."""
        self._check_engineer()
        for sheet in self:
            meter = sheet.meter_id
            probe = meter.gateway_id._order_job(
                "probe",
                {"unit": meter.unit_id, "profile": meter.profile_id.id, "meter": meter.id},
                sheet.name,
            )
            # sudo: what was ordered and read is written by the flow only
            sheet.sudo().write({**self._identity_of(meter), "probe_id": probe.id})

    @api.model
    def _order_ended(self, command):
        """Have the sheets that wait for this order say what became of it."""
        field = {"probe": "probe_id", "off": "off_command_id", "on": "on_command_id"}[
            command.value or command.kind
        ]
        sheets = self.search([(field, "=", command.id), ("state", "=", "draft")])
        if command.kind == "probe" and command.state == "confirmed":
            sheets._take_probe(command)
        sheets.line_ids._judge()

    def _take_probe(self, command):
        blocks = [RawBlock.from_json(row) for row in command.result.get("blocks", ())]
        for sheet in self:
            rows = decoded(sheet.profile_id._profile(), blocks)
            found = {
                row.register.meaning: row.value
                for row in rows
                if row.words is not None and row.value not in ("", NO_VALUE)
            }
            sheet._fill(found, command.done_at)

    def _fill(self, found, read_at):
        """Put what the meter showed beside what is on its plate.

        :param dict found: values as text, by meaning
        :param datetime read_at: when (naive UTC)
        """
        self.ensure_one()
        # sudo: what was read is written by the flow only
        self.sudo().read_at = read_at
        self.line_ids._fill(found, read_at)

    # --- the room ------------------------------------------------------------------------------

    def action_room_off(self):
        """Turn the supply off, with somebody in the room."""
        self._check_engineer()
        self.ensure_one()
        self._check_same_meter()
        if not self.room_person:
            raise UserError(_("Say who is in the room: only somebody there sees what goes off."))
        # sudo: an order in arrears is refused, whoever may see the balance
        control = self.sudo().meter_id.control_id
        mode, granted = control.mode, control.granted_until
        if mode == "forced_off":
            # By this button, perhaps: then it is known what was before that.
            mode, granted = self.mode_before, self.granted_before
        is_kept = mode == "held_on" or (granted and granted > clock.now(self.env.cr))
        for situation in control._situations(meter_ids=self.meter_id.ids):
            terms, facts = situation.terms, situation.facts
            available = facts.balance + terms.overdraft
            if not is_kept and not facts.postpaid and available <= terms.restore:
                raise UserError(
                    _("The account is in arrears: what is turned off now could not be turned on.")
                )
        self._forget_room()
        self._order_supply("off", "off_command_id")
        # sudo: what the supply was before is written by the flow only
        self.sudo().write({"mode_before": mode, "granted_before": granted})

    def action_room_on(self):
        """Turn the supply on again, held on or granted as it was before."""
        self._check_engineer()
        self.ensure_one()
        self._check_same_meter()
        granted = self.granted_before
        if granted and granted <= clock.now(self.env.cr):
            granted = None
        action = "hold" if self.mode_before == "held_on" else "on"
        self._order_supply(action, "on_command_id", granted or None)
        # sudo: as above
        self.sudo().write({"mode_before": False, "granted_before": False})

    def action_room_seen(self):
        """Note that the supply of this room, and of no other, went off and came back."""
        if (self.off_command_id | self.on_command_id).filtered(lambda c: c.state != "confirmed"):
            raise UserError(_("Supply Off and Supply On have to be confirmed by the meter first."))
        if not self.off_command_id.number < self.on_command_id.number:
            raise UserError(_("Turn the supply on again first: it has to be seen coming back."))
        self._note_seen("yes")

    def action_room_not_seen(self):
        """Note that this room did not go dark, or that another one did."""
        self._note_seen("no")

    def _note_seen(self, seen):
        self._check_engineer()
        self.ensure_one()
        if not self.off_command_id:
            raise UserError(_("Turn the supply off first, with somebody in the room."))
        # sudo: what was seen is written by the flow only; the access has been checked
        self.sudo().write({"room_seen": seen, "room_seen_at": clock.now(self.env.cr)})
        self.line_ids._judge()

    def _order_supply(self, action, field, granted_until=None):
        meter = self.meter_id
        if not meter.can_switch:
            raise UserError(_("This meter cannot be switched."))
        reason = _("%(sheet)s, in the room: %(who)s", sheet=self.name, who=self.room_person)
        # sudo: persons order, only the flow writes control and command rows; the group and the
        # access to the sheet have been checked
        meter.sudo().control_id._order_by_person(action, reason, granted_until)
        command = self.env["energy.command"].search(
            [("meter_id", "=", meter.id), ("kind", "=", "supply")], order="number desc", limit=1
        )
        self.sudo().write({field: command.id})
        self.line_ids._judge()

    # --- signing -------------------------------------------------------------------------------

    def action_sign(self):
        """Sign: from now on the meter is switched for arrears like any other."""
        self.ensure_one()
        self._check_engineer()
        self.line_ids._judge()
        self._check_same_meter()
        if self.room_seen == "no":
            raise UserError(self._line("room").finding)
        open_lines = self.line_ids.filtered(lambda line: line._is_open())
        if open_lines:
            raise UserError(
                _(
                    "Not done yet, or it does not agree; do it, or give the reason:\n%s",
                    "\n".join(line.display_name for line in open_lines),
                )
            )
        others = self.search([("meter_id", "=", self.meter_id.id), ("state", "in", SIGNED)])
        others._supersede()
        self._set_done()
        self.meter_id.message_post(
            body=_(
                "Commissioned by %(sheet)s at %(moment)s.",
                sheet=self.name,
                moment=format_datetime(self.env, self.done_at, tz=self.site_id.tz),
            )
        )

    def _multiplier(self):
        """Return the multiplier that the account is charged with now, None without an account."""
        supply = self.env["energy.supply"]._present(self.meter_id).get(self.meter_id.id)
        # sudo: an engineer compares it, whoever may see the account
        return Decimal(f"{supply.sudo().multiplier:.6f}").normalize() if supply else None
