from datetime import timedelta

from odoo import Command, _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock
from ..bulk import values
from .energy_meter import COMMODITIES


class EnergyReadingSheet(models.Model):
    """Registers that a person read or a file brought, checked before they become readings."""

    _name = "energy.reading.sheet"
    _description = "Reading sheet"
    _inherit = ["energy.document"]
    _order = "id desc"
    _check_company_auto = True

    property_id = fields.Many2one(
        "energy.property",
        required=True,
        index=True,
        ondelete="restrict",
        default=lambda self: self._default_property(),
        help="The site, building, floor or room whose meters are read.",
    )
    site_id = fields.Many2one(related="property_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="property_id.company_id", store=True, index=True)
    moment = fields.Datetime(
        string="Read On", required=True, default=lambda self: clock.now(self.env.cr)
    )
    commodity = fields.Selection(COMMODITIES, help="Empty: both.")
    unread_days = fields.Integer(
        string="Not Read for Days",
        help="Fills in the meters only that have no accepted reading of so many days. 0: all.",
    )
    only_typed = fields.Boolean(
        string="Only Meters Read by Hand",
        default=True,
        help="Leaves out the meters that are read automatically.",
    )
    line_ids = fields.One2many("energy.reading.sheet.line", "sheet_id", copy=False)
    count = fields.Integer(string="Meters", compute="_compute_counts")
    read_count = fields.Integer(string="Read", compute="_compute_counts")
    held_count = fields.Integer(string="Held", compute="_compute_counts")
    doubtful_count = fields.Integer(string="To Be Explained", compute="_compute_counts")

    @api.model
    def _default_property(self):
        sites = self.env["energy.property"].search([("kind", "=", "site")], limit=2)
        return sites if len(sites) == 1 else False

    @api.depends("line_ids.is_read", "line_ids.state", "line_ids.check_result", "line_ids.note")
    def _compute_counts(self):
        for sheet in self:
            lines = sheet.line_ids
            sheet.count = len(lines)
            sheet.read_count = len(lines.filtered("is_read"))
            sheet.held_count = len(lines.filtered(lambda line: line.state == "held"))
            sheet.doubtful_count = len(lines.filtered(lambda line: line._lacks_reason()))

    def action_fill(self):
        """Add a line for each meter of the property that is to be read."""
        self.ensure_one()
        self.check_access("write")
        self._check_draft()
        meters = self.env["energy.meter"].search(
            [
                ("property_id", "child_of", self.property_id.id),
                ("id", "not in", self.line_ids.meter_id.ids),
                *([("commodity", "=", self.commodity)] if self.commodity else []),
                *([("driver", "=", "none")] if self.only_typed else []),
            ]
        )
        if self.unread_days:
            meters -= self._read_since(meters, self.moment - timedelta(days=self.unread_days))
        if not meters:
            raise UserError(_("No meter is missing on this sheet."))
        self.line_ids = [
            Command.create({"meter_id": meter.id, "moment": self.moment}) for meter in meters
        ]

    def _read_since(self, meters, moment):
        """Return the meters that have an accepted reading after a moment."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.meter FROM %s WHERE EXISTS (
                   SELECT 1 FROM energy_reading_data r
                    WHERE r.meter_id = v.meter AND r.moment > %s AND r.state = 'accepted'
                      AND r.source <> 'estimate')
            """,
                values([(meter,) for meter in meters.ids], meter="int"),
                moment,
            )
        )
        return meters.browse([row[0] for row in rows])

    def action_import(self):
        """Read the lines from a file: CSV or XLSX, columns chosen on the screen."""
        self.ensure_one()
        self.check_access("write")
        self._check_draft()
        return {
            "type": "ir.actions.client",
            "tag": "import",
            "name": _("Import Readings"),
            "params": {
                "active_model": "energy.reading.sheet.line",
                "context": {"default_sheet_id": self.id},
            },
        }

    def action_confirm(self):
        """Take the registers over as readings; what is doubtful needs a reason."""
        self.ensure_one()
        self.check_access("write")
        self._check_draft()
        lines = self.line_ids.filtered("is_read")
        if not lines:
            raise UserError(_("No register is typed yet."))
        lacking = lines.filtered(lambda line: line._lacks_reason())
        if lacking:
            raise UserError(
                _(
                    "Check these registers. If they are right, write down why:\n%s",
                    "\n".join(f"{line.meter_id.name}: {line.warning}" for line in lacking[:20]),
                )
            )
        lines._store()
        # sudo: state and results are written by the flow; the right to write has been checked
        (self.line_ids - lines).sudo().state = "passed"
        self._set_done()
        self.env.ref("prepaid_energy.ir_cron_settle")._trigger()

    def action_open_readings(self):
        """Open the readings of these meters."""
        return self.line_ids.meter_id.action_open_readings()
