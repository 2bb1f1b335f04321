import logging

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import clock

_logger = logging.getLogger(__name__)

ACTIONS = [
    ("read", "Read now"),
    ("on", "Supply on"),
    ("off", "Supply off"),
    ("hold", "Hold on"),
    ("prepaid", "Return to prepaid"),
    ("again", "Order again"),
    ("set_tariff", "Set tariff"),
    ("set_addition", "Add to tier limits"),
    ("set_bands", "Rate periods by"),
    ("go_live", "Go live"),
]
GROUPS = {
    "read": ("operator", "engineer"),
    "on": ("operator", "engineer"),
    "off": ("operator", "engineer"),
    "hold": ("operator", "engineer"),
    "prepaid": ("operator", "engineer"),
    "again": ("operator", "engineer"),
    "set_tariff": ("manager",),
    "set_addition": ("manager",),
    "set_bands": ("manager", "engineer"),
    "go_live": ("manager",),
}
ASKS = ("off", "hold", "set_tariff", "set_addition", "set_bands", "go_live")
# What changes terms of supplies: kind of its consequences by action.
TERMS = {"set_tariff": "tariff", "set_addition": "addition", "set_bands": "bands"}


class EnergyOperation(models.TransientModel):
    """One operation on a selection of meters, with a result a line."""

    _name = "energy.operation"
    _description = "Operation on rooms"

    action = fields.Selection(ACTIONS, required=True, readonly=True)
    state = fields.Selection([("ask", "Ask"), ("done", "Done")], default="ask", required=True)
    site_id = fields.Many2one("energy.property", readonly=True)
    reason = fields.Selection(
        [
            ("arrears", "Arrears"),
            ("request", "Customer's request"),
            ("works", "Works on site"),
            ("safety", "Safety"),
            ("moving", "Moving in or out"),
            ("test", "Test"),
            ("other", "Other"),
        ],
        default="request",
    )
    remark = fields.Char()
    tariff_id = fields.Many2one("energy.tariff")
    limit_addition = fields.Float(
        string="Addition to Tier Limits",
        digits=(12, 3),
        help="For a bigger household: kWh or m³ a month, added to each tier limit. It holds from "
        "the first tier period that begins with it; 0 ends it.",
    )
    band_source = fields.Selection(
        [("platform", "Platform time"), ("meter", "Meter registers")], string="Rate Periods By"
    )
    is_plan_equal = fields.Boolean(
        string="Plan Read and Compared",
        help="The meter's own plan of rate periods was read, and equals that of the tariff version "
        "in force from then on: times, days and rate periods.",
    )
    since = fields.Datetime(string="From", default=lambda self: clock.now(self.env.cr))
    can_grant = fields.Boolean(compute="_compute_can_grant")
    granted_until = fields.Datetime(
        help="Supply on although in arrears, until then. Managers only."
    )
    line_ids = fields.One2many("energy.operation.line", "operation_id")
    count = fields.Integer(compute="_compute_count")
    failed_count = fields.Integer(compute="_compute_count")

    @api.depends("line_ids.is_done", "line_ids.result")
    def _compute_count(self):
        for operation in self:
            operation.count = len(operation.line_ids)
            operation.failed_count = len(
                operation.line_ids.filtered(lambda line: line.result and not line.is_done)
            )

    def _compute_can_grant(self):
        self.can_grant = self.env.user.has_group("prepaid_energy.group_energy_manager")

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if values.get("action") == "go_live" and values.get("site_id"):
            meters = self._would_be_cut(self.env["energy.property"].browse(values["site_id"]))
            values["line_ids"] = [(0, 0, {"meter_id": meter.id}) for meter in meters]
        return values

    @api.model
    def _would_be_cut(self, site):
        accounts = self.env["energy.account"].search(
            [("site_id", "=", site.id), ("state", "=", "active")]
        )
        # sudo: what would be cut is shown to a manager of the site
        controls = (
            self.env["energy.meter.control"]
            .sudo()
            .search(
                [
                    ("meter_id.site_id", "=", site.id),
                    ("decision", "in", ("would_cut_watch", "would_cut_trial")),
                ]
            )
        )
        return controls.meter_id if accounts else controls.meter_id.browse()

    @api.model
    def _open(self, meters, action):
        """Return the action that asks for details, or carries the operation out where none are.

        :param meters: recordset of `energy.meter`
        :param str action: one of ACTIONS
        """
        meters.check_access("read")
        operation = self.create(
            {"action": action, "line_ids": [(0, 0, {"meter_id": meter.id}) for meter in meters]}
        )
        if action == "set_addition":
            present = self.env["energy.supply"]._present(meters).values()
            operation.limit_addition = max((s.limit_addition for s in present), default=0)
        if action not in ASKS:
            return operation.action_confirm()
        return operation._show()

    def _show(self):
        self.ensure_one()
        labels = dict(self._fields["action"]._description_selection(self.env))
        return {
            "type": "ir.actions.act_window",
            "name": labels[self.action],
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_confirm(self):
        """Carry the operation out, line by line; a refusal is the line's result.

        Where terms set from a past moment change what was charged already, that is shown first.
        """
        self.ensure_one()
        self._check_ready()
        if self.action in TERMS:
            shown = self._consequences()
            if shown:
                return shown
        return self._carry_out()

    def _check_ready(self):
        """Refuse what may not, or cannot yet, be carried out."""
        if self.state == "done":
            raise UserError(_("This was carried out already."))
        if not self.env.user._is_energy(*GROUPS[self.action]):
            _logger.info(
                "User %s was refused the operation %s on meters %s",
                self.env.uid,
                self.action,
                self.line_ids.meter_id.ids,
            )
            raise AccessError(_("You do not have the right for this operation."))
        if self.action in ("off", "hold") and not self._reason_text():
            _logger.info(
                "User %s gave no reason for the operation %s on meters %s",
                self.env.uid,
                self.action,
                self.line_ids.meter_id.ids,
            )
            raise UserError(_("Choose a reason."))
        if self.action == "set_tariff" and not self.tariff_id:
            raise UserError(_("Choose a tariff."))
        if self.limit_addition < 0:
            raise UserError(_("An addition to tier limits is zero or more."))
        if self.action == "set_bands" and not self.band_source:
            raise UserError(_("Choose what rate periods go by."))
        if self.action == "set_bands" and self.band_source == "meter" and not self.is_plan_equal:
            raise UserError(
                _(
                    "The meter's plan of rate periods has to be read and compared with the tariff "
                    "first: until then use goes by platform time."
                )
            )
        if self.action in TERMS and not self.since:
            raise UserError(_("Choose from when."))

    def _consequences(self):
        """Return the action that shows what the terms change of what was charged, or None."""
        if self.since >= clock.now(self.env.cr):
            return None
        meters = self.line_ids.meter_id
        meters.check_access("read")
        return self.env["energy.price.consequence"]._ask(
            TERMS[self.action],
            meters.company_id[:1],
            tariff_id=self.tariff_id.id,
            limit_addition=self.limit_addition,
            band_source=self.band_source,
            meter_ids=[(6, 0, meters.ids)],
            since=self.since,
        )

    def _carry_out(self):
        """Carry the operation out, its consequences having been confirmed."""
        self._check_ready()
        if self.action == "go_live":
            self.site_id.check_access("write")
            self.site_id.supply_state = "live"
            self.line_ids.write({"is_done": True, "result": _("Decided anew: see the room list.")})
        else:
            for line in self.line_ids.sorted(lambda line: (line.meter_id.cut_priority, line.id)):
                line._carry_out()
        self.state = "done"
        return self._show()

    def action_grant(self):
        """Turn on the supplies that were refused for arrears, until a named moment."""
        self.ensure_one()
        if not self.can_grant or self.action != "on":
            raise AccessError(_("Only a manager grants supply in arrears."))
        if not self.granted_until or self.granted_until <= clock.now(self.env.cr):
            raise UserError(_("Choose until when supply is granted: a moment to come."))
        for line in self.line_ids.filtered(lambda line: not line.is_done):
            line._carry_out(self.granted_until)
        return self._show()

    def _reason_text(self):
        labels = dict(self._fields["reason"]._description_selection(self.env))
        return ": ".join(filter(None, [labels.get(self.reason), self.remark]))
