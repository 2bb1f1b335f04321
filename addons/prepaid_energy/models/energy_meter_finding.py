from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import clock

KINDS = [
    ("frozen", "Register stands still"),
    ("clock", "Clock is off"),
    ("silent", "Silent"),
    ("multiplier", "Another multiplier"),
    ("plan", "Rate periods differ"),
    ("flapping", "Switched too often"),
    ("other", "Other"),
]


class EnergyMeterFinding(models.Model):
    """Something about a meter that a person should look at.

    Whatever looks at meters calls `_sync` with what it found. There is one standing finding of a
    meter and kind; it is closed when its cause is gone. One that a person closes stays closed
    while the cause stands, and may be found again after that.
    """

    _name = "energy.meter.finding"
    _description = "Meter finding"
    _order = "state desc, since desc, id desc"
    _rec_name = "meter_id"

    meter_id = fields.Many2one("energy.meter", readonly=True, index=True, ondelete="cascade")
    property_id = fields.Many2one(related="meter_id.property_id")
    account_id = fields.Many2one(related="meter_id.account_id")
    site_id = fields.Many2one(
        "energy.property", compute="_compute_place", store=True, compute_sudo=True, index=True
    )
    company_id = fields.Many2one(
        "res.company", compute="_compute_place", store=True, compute_sudo=True, index=True
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    since = fields.Datetime(required=True, readonly=True)
    code = fields.Char(readonly=True)
    figures = fields.Json(readonly=True)
    details = fields.Char(compute="_compute_details")
    state = fields.Selection(
        [("open", "Open"), ("closed", "Resolved")], required=True, readonly=True, default="open"
    )
    is_standing = fields.Boolean(
        string="Cause Stands", readonly=True, default=True, help="Its cause is still there."
    )
    closed_at = fields.Datetime(readonly=True)
    user_id = fields.Many2one("res.users", string="Closed By", readonly=True, ondelete="restrict")
    reason = fields.Char(readonly=True, help="Why a person closed it.")

    _standing_uniq = models.UniqueIndex(
        "(meter_id, kind) WHERE is_standing", "A meter has one standing finding of a kind."
    )

    @api.model
    def _sentences(self):
        """Return the sentence of each code, with the names of its figures."""
        return {
            "frozen_days": _(
                "Shows %(register)s all the time, although it counted on every comparable day "
                "before."
            ),
            "frozen_power": _("Shows %(register)s all the time, although it reports %(power)s kW."),
            "clock": _("Its clock is off by %(minutes)s minutes."),
            "clock_registers": _(
                "Its clock is off by %(minutes)s minutes: its rate period registers are not right."
            ),
            "silent": _("No reading comes, or none that is believed."),
            "flapping": _(
                "Its supply was switched %(count)s times within an hour: it stays on for the rest "
                "of the hour."
            ),
            "multiplier": _("Reports the multiplier %(read)s, its supply says %(expected)s."),
        }

    @api.depends("meter_id.site_id", "meter_id.company_id")
    def _compute_place(self):
        for finding in self:
            whose = finding._whose()
            finding.site_id, finding.company_id = whose.site_id, whose.company_id

    def _whose(self):
        """Return the record that is looked at: the meter, or what an add-on has beside it."""
        return self.meter_id

    @api.depends("code", "figures")
    @api.depends_context("lang")
    def _compute_details(self):
        sentences = self._sentences()
        for finding in self:
            sentence = sentences.get(finding.code)
            finding.details = sentence % (finding.figures or {}) if sentence else finding.code

    @api.depends("meter_id.name", "kind")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for finding in self:
            finding.display_name = f"{finding._whose().name}: {labels.get(finding.kind, '')}"

    @api.model
    def _sync(self, kind, found, domain, whose="meter_id"):
        """Bring the standing findings of a kind to what was found.

        :param str kind: see KINDS
        :param dict found: (naive UTC moment since when, code of the sentence, dict of its figures)
            by meter id
        :param list domain: of the findings that were looked for; those not found are closed
        :param str whose: the field of the ids in ``found``, where they are no meters'
        """
        standing = self.search([("kind", "=", kind), ("is_standing", "=", True), *domain])
        gone = standing.filtered(lambda finding: finding[whose].id not in found)
        gone._end()
        known = {
            finding[whose].id: finding
            for finding in self.search(
                [
                    ("kind", "=", kind),
                    ("is_standing", "=", True),
                    (whose, "in", list(found)),
                ]
            )
        }
        created = []
        for key, (since, code, figures) in found.items():
            finding = known.get(key)
            values = {"code": code, "figures": figures}
            if finding is None:
                created.append({whose: key, "kind": kind, "since": since, **values})
            elif finding.code != code or finding.figures != figures:
                finding.write(values)
        return self.create(created)

    def _end(self):
        """Close findings whose cause is gone."""
        is_open = self.filtered(lambda finding: finding.state == "open")
        is_open.write({"state": "closed", "closed_at": clock.now(self.env.cr)})
        self.write({"is_standing": False})

    def _close(self, reason):
        """Close findings by hand."""
        self.check_access("read")
        if not self.env.user._is_energy("operator", "engineer"):
            raise AccessError(_("You do not have the right to close findings."))
        if not (reason or "").strip():
            raise UserError(_("Say why."))
        # sudo: findings belong to the flow; the user has been checked for these
        self.sudo().filtered(lambda finding: finding.state == "open").write(
            {
                "state": "closed",
                "closed_at": clock.now(self.env.cr),
                "user_id": self.env.uid,
                "reason": reason,
            }
        )

    def action_close(self):
        """Ask why these findings are closed."""
        return {
            "type": "ir.actions.act_window",
            "name": _("Close Findings"),
            "res_model": "energy.finding.closing",
            "view_mode": "form",
            "target": "new",
            "context": {"default_finding_ids": self.ids},
        }

    def action_change_multiplier(self):
        """Write the document that changes the multiplier of the meter's supply."""
        self.ensure_one()
        return self.meter_id.action_change_multiplier()


class EnergyMeter(models.Model):
    _inherit = "energy.meter"

    def action_open_findings(self):
        """Open the findings of these meters."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_meter_finding"
        )
        return dict(action, domain=[("meter_id", "in", self.ids)], context={})
