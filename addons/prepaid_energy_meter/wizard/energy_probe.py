import struct

from markupsafe import Markup
from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..modbus.codec import Encoding, decode
from ..modbus.errors import CodecError
from ..modbus.planning import Block
from ..modbus.probing import RawBlock, decoded, raw_profile, sense
from ..models.energy_register import places

BADGES = {"A": "success", "B": "info", "C": "warning"}
WAITING = ("queued", "sent")
FLOAT = Encoding("float32", 2)


class EnergyProbe(models.TransientModel):
    """Look at a live device: raw registers beside what profiles make of them.

    The device is asked by the connector, as an order; this window shows the answer when it comes.
    """

    _name = "energy.probe"
    _description = "Probe"
    _inherit = ["energy.guarded"]
    _flow_fields = frozenset({"command_id"})

    gateway_id = fields.Many2one("energy.gateway", required=True)
    unit_id = fields.Integer(
        string="Unit Number", required=True, default=1, help="The number on the bus, 1 to 247."
    )
    meter_id = fields.Many2one(
        "energy.meter", domain="[('gateway_id', '=', gateway_id), ('driver', '=', 'modbus')]"
    )
    what = fields.Selection(
        [("profile", "What a profile lists"), ("block", "One block of registers")],
        string="Read",
        required=True,
        default="profile",
    )
    profile_id = fields.Many2one("energy.meter.profile")
    compare_ids = fields.Many2many(
        "energy.meter.profile",
        string="Compare With",
        help="Their registers are read, too, to see as which type of meter the answer makes sense.",
    )
    function = fields.Selection(
        [("3", "03: holding registers"), ("4", "04: input registers")],
        string="Function Code",
        default="3",
        required=True,
    )
    address = fields.Char(
        default="0x0000", help="Wire address, counted from 0: decimal, or hexadecimal after 0x."
    )
    count = fields.Integer(string="Registers", default=10, help="1 to 125.")
    command_id = fields.Many2one("energy.command", readonly=True)
    state = fields.Selection(related="command_id.state", string="Order")
    error = fields.Char(related="command_id.error")
    is_waiting = fields.Boolean(compute="_compute_result")
    progress = fields.Char(compute="_compute_result")
    result = fields.Html(compute="_compute_result", sanitize=False)

    @api.onchange("meter_id")
    def _onchange_meter_id(self):
        if self.meter_id:
            self.unit_id = self.meter_id.unit_id
            self.profile_id = self.meter_id.profile_id

    @api.onchange("gateway_id")
    def _onchange_gateway_id(self):
        if self.meter_id.gateway_id != self.gateway_id:
            self.meter_id = False

    def action_probe(self):
        """Order the probe; the window stays and shows the answer."""
        self.ensure_one()
        arguments = {"unit": self.unit_id, "profile": None, "meter": self.meter_id.id or None}
        if not 1 <= self.unit_id <= 247:
            raise UserError(_("Unit numbers go from 1 to 247."))
        if self.what == "block":
            block = self._block()
            arguments["blocks"] = [[block.function, block.address, block.count]]
        elif self.profile_id:
            arguments["profile"] = self.profile_id.id
            arguments["compare"] = (self.compare_ids - self.profile_id).ids
        else:
            raise UserError(_("Choose the profile whose registers are read."))
        # sudo: what was ordered is written by the flow only
        self.sudo().command_id = self.gateway_id._order_job("probe", arguments)
        return {
            "type": "ir.actions.act_window",
            "name": _("Probe"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
            "context": {"dialog_size": "extra-large"},
        }

    def _block(self):
        try:
            block = Block(int(self.function), int(self.address or "", 0), self.count)
            raw_profile([block])
        except ValueError as error:
            raise UserError(
                _(
                    "From %(address)s, %(count)s registers: %(error)s",
                    address=self.address,
                    count=self.count,
                    error=error,
                )
            ) from error
        return block

    @api.depends("command_id")
    @api.depends_context("lang")
    def _compute_result(self):
        for probe in self:
            command = probe.command_id
            command.invalidate_recordset(["state", "result", "error"], flush=False)
            probe.is_waiting = command.state in WAITING
            found = command.result or {}
            blocks = [RawBlock.from_json(row) for row in found.get("blocks", ())]
            probe.progress = probe._progress(command, found, blocks)
            profiles = self.env["energy.meter.profile"].browse()
            arguments = command.arguments or {}
            if arguments.get("profile"):
                ids = [arguments["profile"], *arguments.get("compare", ())]
                profiles = profiles.browse(ids).exists()
            parts = [probe._raw_blocks(blocks, not profiles)] if blocks else []
            if blocks and not probe.is_waiting:
                parts = [probe._profile_table(p, blocks) for p in profiles] + parts
            probe.result = Markup("").join(parts) or False

    def _progress(self, command, found, blocks):
        if not command:
            return False
        if command.state == "queued" and not blocks:
            return command.error or _("Waiting for the connector.")
        if command.state in WAITING:
            return _(
                "%(done)s of %(all)s reads are done.",
                done=len(blocks),
                all=len(blocks) + found.get("left", 0),
            )
        if command.state == "expired":
            return _("No connector took the order in time. Is one running?")
        if command.state == "failed":
            return _("No answer: %s", command.error or "")
        return False

    def _profile_table(self, profile, blocks):
        """One profile's view of what was read."""
        rows = decoded(profile._profile(), blocks)
        plausible, judged = sense(rows)
        labels = dict(
            self.env["energy.register"]._fields["meaning"]._description_selection(self.env)
        )
        head = Markup(
            "<h4>%s <span class='badge text-bg-%s'>%s</span></h4>"
            "<table class='table table-sm'><thead><tr>"
            "<th>%s</th><th>%s</th><th>%s</th><th class='text-end'>%s</th><th>%s</th><th>%s</th>"
            "</tr></thead><tbody>"
        ) % (
            profile.name,
            "success" if judged and plausible == judged else "warning",
            _("%(plausible)s of %(judged)s values make sense", plausible=plausible, judged=judged),
            _("Meaning"),
            _("Registers"),
            _("Raw"),
            _("Value"),
            _("Unit"),
            _("Certainty"),
        )
        lines = [
            Markup(
                "<tr class='%s'><td>%s</td><td class='font-monospace'>%s</td>"
                "<td class='font-monospace'>%s</td><td class='text-end'>%s</td><td>%s</td>"
                "<td><span class='badge text-bg-%s'>%s</span></td></tr>"
            )
            % (
                "table-warning" if row.is_plausible is False else "",
                labels.get(row.register.meaning, row.register.meaning),
                places(row.register.address, row.register.words),
                " ".join(f"{word:04X}" for word in row.words or ()),
                row.value or Markup("<i>%s</i>") % row.error,
                row.register.unit or "",
                BADGES[row.register.certainty],
                row.register.certainty,
            )
            for row in rows
        ]
        return head + Markup("").join(lines) + Markup("</tbody></table>")

    def _raw_blocks(self, blocks, is_open):
        """The words themselves, as numbers of the usual kinds."""
        parts = []
        for raw in blocks:
            title = f"{raw.block.function:02d} · {places(raw.block.address, raw.block.count)}"
            if raw.words is None:
                parts.append(
                    Markup("<p><span class='font-monospace'>%s</span> <i>%s</i></p>")
                    % (title, raw.error)
                )
                continue
            lines = []
            for index, word in enumerate(raw.words):
                pair = raw.words[index : index + 2]
                lines.append(
                    Markup(
                        "<tr class='font-monospace'><td>%s</td><td>%s</td><td>%s</td><td>%s</td>"
                        "<td>%s</td><td>%s</td></tr>"
                    )
                    % (
                        f"{raw.block.address + index:04X}",
                        f"{word:04X}",
                        word,
                        word - 0x10000 if word & 0x8000 else word,
                        (pair[0] << 16 | pair[1]) if len(pair) == 2 else "",
                        _as_float(pair),
                    )
                )
            parts.append(
                Markup(
                    "<details %s><summary class='font-monospace'>%s</summary>"
                    "<table class='table table-sm w-auto'><thead><tr><th>%s</th><th>%s</th>"
                    "<th>u16</th><th>s16</th><th>u32</th><th>float32</th></tr></thead>"
                    "<tbody>%s</tbody></table></details>"
                )
                % (
                    Markup("open='open'") if is_open else "",
                    title,
                    _("Address"),
                    _("Word"),
                    Markup("").join(lines),
                )
            )
        return Markup("<h4>%s</h4>") % _("As Read") + Markup("").join(parts)


def _as_float(words):
    if len(words) != 2:
        return ""
    try:
        value = decode(words, FLOAT)
    except CodecError:
        return ""
    # What is no float at all shows as one very near zero or very far from it.
    (number,) = struct.unpack(">f", struct.pack(">2H", *words))
    return f"{value:f}" if number == 0 or 1e-6 < abs(number) < 1e12 else ""
