from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from ..modbus.scanning import SURENESS

LAST_UNIT = 247


class EnergyGateway(models.Model):
    _inherit = "energy.gateway"

    def action_scan(self):
        """Ask which units of this gateway are looked through."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Scan"),
            "res_model": "energy.gateway.scan",
            "view_mode": "form",
            "context": {"default_gateway_id": self.id},
        }

    def action_open_scans(self):
        """Open what was found on this gateway's bus."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy_meter.action_energy_gateway_scan"
        )
        return dict(
            action,
            domain=[("gateway_id", "in", self.ids)],
            context={"default_gateway_id": self[:1].id},
        )


class EnergyGatewayScan(models.Model):
    """A look through the units of a bus: who answers, as what, and whether that is known here."""

    _name = "energy.gateway.scan"
    _description = "Scan of a bus"
    _inherit = ["energy.guarded"]
    _order = "id desc"
    _rec_name = "gateway_id"
    _flow_fields = frozenset({"command_id"})

    gateway_id = fields.Many2one("energy.gateway", required=True, index=True, ondelete="cascade")
    site_id = fields.Many2one(related="gateway_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="gateway_id.company_id", store=True, index=True)
    units = fields.Char(
        string="Unit Numbers",
        required=True,
        default="1-247",
        help="For example: 1-40, 101, 120-130.",
    )
    profile_ids = fields.Many2many(
        "energy.meter.profile",
        string="Meter Types",
        required=True,
        default=lambda self: self._default_profiles(),
        help="What may be on the bus. The fewer, the faster.",
    )
    timeout = fields.Float(
        string="Time to Answer (s)",
        digits=(6, 3),
        required=True,
        default=0.5,
        help="At most the gateway's own. Gateways that wait longer for a silent meter than this "
        "need more, or the meter after it is missed.",
    )
    property_id = fields.Many2one(
        "energy.property",
        string="Place of New Meters",
        compute="_compute_property_id",
        store=True,
        readonly=False,
        precompute=True,
        domain="[('site_id', '=', site_id)]",
        help="Where no room is chosen below. Rooms can be set later on the meters.",
    )
    command_id = fields.Many2one(
        "energy.command", readonly=True, copy=False, index="btree_not_null", ondelete="set null"
    )
    state = fields.Selection(related="command_id.state")
    error = fields.Char(related="command_id.error")
    is_waiting = fields.Boolean(compute="_compute_progress")
    progress = fields.Float(compute="_compute_progress", help="Share of the units, in percent.")
    answered = fields.Integer(compute="_compute_progress")
    line_ids = fields.One2many("energy.gateway.scan.line", "scan_id", copy=False)
    new_count = fields.Integer(string="To Be Created", compute="_compute_new_count")

    @api.model
    def _default_profiles(self):
        profiles = self.env["energy.meter.profile"].search([("certainty", "in", ("A", "B"))])
        return profiles.filtered(lambda profile: profile._scanned_by())

    @api.depends("gateway_id")
    def _compute_property_id(self):
        for scan in self:
            scan.property_id = scan.gateway_id.site_id

    @api.depends("command_id.result", "command_id.state")
    def _compute_progress(self):
        for scan in self:
            command = scan.command_id
            found = command.result or {}
            scan.is_waiting = command.state in ("queued", "sent")
            scan.progress = 100 * found.get("done", 0) / (found.get("of") or 1)
            scan.answered = len(found.get("units", ()))

    @api.depends("line_ids.is_chosen", "line_ids.verdict")
    def _compute_new_count(self):
        for scan in self:
            scan.new_count = len(scan.line_ids.filtered(lambda line: line._is_to_be_created()))

    @api.constrains("units")
    def _check_units(self):
        for scan in self:
            scan._unit_list()

    def write(self, vals):
        if "gateway_id" in vals and self.command_id and not self.env.su:
            raise UserError(_("This scan is of another bus: begin one of this gateway."))
        return super().write(vals)

    def _unit_list(self):
        """Return the unit numbers in order.

        :raise ValidationError: the text is no list of numbers from 1 to 247
        """
        units = set()
        for part in (self.units or "").replace(" ", "").split(","):
            first, dash, last = part.partition("-")
            try:
                numbers = range(int(first), int(last if dash else first) + 1)
            except ValueError:
                numbers = range(0)
            if not numbers or not (numbers[0] >= 1 and numbers[-1] <= LAST_UNIT):
                raise ValidationError(
                    _("“%s” is no unit number or range within 1-247, as in 1-40, 101.", part)
                )
            units.update(numbers)
        return sorted(units)

    def action_start(self):
        """Order the scan; the lines appear when the answer comes."""
        self.ensure_one()
        self.check_access("write")
        if not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers probe and scan."))
        if self.is_waiting:
            raise UserError(_("This scan is under way."))
        units = self._unit_list()
        # The surest sign first, so that it is not asked for less; among equals, the types that
        # this bus has already.
        here = self.gateway_id.meter_ids.profile_id
        profiles = self.profile_ids.sorted(
            lambda profile: (
                -SURENESS.get(profile._scanned_by(), 0),
                profile not in here,
                profile.certainty,
            )
        )
        command = self.gateway_id._order_job(
            "scan",
            {
                "first": units[0],
                "last": units[-1],
                "units": units,
                "profiles": profiles.ids,
                "timeout": self.timeout,
            },
        )
        # sudo: what was ordered and found is written by the flow only
        self.sudo().line_ids.unlink()
        self.sudo().command_id = command

    def action_stop(self):
        """End the scan after the question that is under way; what was found stays."""
        self.ensure_one()
        self.check_access("write")
        if not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers probe and scan."))
        # What the form shows is this order; nothing else is ended here.
        self.command_id.filtered(
            lambda command: command.kind == "scan" and command.gateway_id == self.gateway_id
        )._stop()

    @api.model
    def _take_result(self, command):
        """Show what a scan found, also where a person stopped it.

        :param command: an `energy.command` of kind scan that is at its end
        """
        if command.state not in ("confirmed", "stopped") or not command.result:
            return
        units = command.result["units"]
        named = {key for row in units for key in (row["profile"], *row["also"]) if key}
        known = set(self.env["energy.meter.profile"].browse(sorted(named)).exists().ids)
        for scan in self.search([("command_id", "=", command.id)]):
            scan.line_ids.unlink()
            scan.line_ids = [
                fields.Command.create(
                    {
                        "unit_id": row["unit"],
                        "profile_id": row["profile"] if row["profile"] in known else False,
                        "told_by": row["told_by"] or False,
                        "also_ids": [fields.Command.set(known.intersection(row["also"]))],
                        "serial": row["serial"],
                        "total": row["total"],
                        "ct": row["ct"],
                        "pt": row["pt"],
                        "doubled": row["doubled"],
                        "name": row["serial"] or f"{scan.gateway_id.name}/{row['unit']:03d}",
                    }
                )
                for row in units
            ]
            scan.line_ids._judge()
            for line in scan.line_ids:
                line.is_chosen = line.verdict in ("new", "unassigned") and line.told_by != "total"
                if not line.serial and line.meter_id:
                    line.name = line.meter_id.name

    def action_create_meters(self):
        """Create the chosen meters that are not here yet, and open them."""
        self.ensure_one()
        self.check_access("write")
        # sudo: what the lines say is written by the flow only
        self.sudo().line_ids._judge()
        meters = self.env["energy.meter"]
        for line in self.line_ids.filtered(lambda line: line._is_to_be_created()):
            meters |= line._create_meter()
        if not meters:
            raise UserError(_("Nothing is chosen that is not here yet."))
        self.sudo().line_ids._judge()
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_meter")
        return dict(action, domain=[("id", "in", meters.ids)])
