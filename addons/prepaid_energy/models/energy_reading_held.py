from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .. import clock
from ..bulk import values
from .energy_meter import UNITS


class EnergyReading(models.Model):
    """What a person needs to judge a reading: its neighbours, its account, how long it waits."""

    _inherit = "energy.reading"

    account_id = fields.Many2one(
        "energy.account",
        compute="_compute_account_id",
        search="_search_account_id",
        help="Whom the meter served at that moment.",
    )
    previous_moment = fields.Datetime(string="Previous On", compute="_compute_neighbours")
    previous_total = fields.Float(
        string="Previous Reading", digits=(18, 4), compute="_compute_neighbours"
    )
    next_moment = fields.Datetime(string="Next On", compute="_compute_neighbours")
    next_total = fields.Float(string="Next Reading", digits=(18, 4), compute="_compute_neighbours")
    has_previous = fields.Boolean(compute="_compute_neighbours")
    has_next = fields.Boolean(compute="_compute_neighbours")
    step = fields.Float(
        string="Since Previous",
        digits=(18, 4),
        compute="_compute_neighbours",
        help="Change of the register since the previous accepted reading.",
    )
    cause = fields.Char(string="What Is Wrong", compute="_compute_cause")
    age = fields.Char(string="Waiting", compute="_compute_age")
    sheet_line_id = fields.Many2one(
        "energy.reading.sheet.line", string="Typed On", compute="_compute_sheet_line_id"
    )
    photo_url = fields.Char(string="Photo", compute="_compute_photo_url")

    @api.depends("meter_id", "moment")
    def _compute_account_id(self):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT ON (v.meter, v.moment) v.meter, v.moment, s.account_id
              FROM %s
              JOIN energy_supply s ON s.meter_id = v.meter AND s.start_at <= v.moment
                   AND (s.end_at IS NULL OR s.end_at >= v.moment)
             ORDER BY v.meter, v.moment, s.start_at
            """,
                values(self._places(), meter="int", moment="timestamp"),
            )
        )
        accounts = {(meter, moment): account for meter, moment, account in rows}
        for reading in self:
            reading.account_id = accounts.get((reading.meter_id.id, reading.moment), False)

    def _search_account_id(self, operator, value):
        if operator not in ("in", "any"):
            return NotImplemented
        supplies = self.env["energy.supply"].search([("account_id", operator, value)])
        return Domain.OR(
            Domain("meter_id", "=", supply.meter_id.id)
            & Domain("moment", ">=", supply.start_at)
            & (Domain("moment", "<=", supply.end_at) if supply.end_at else Domain.TRUE)
            for supply in supplies
        )

    @api.depends("meter_id", "moment")
    def _compute_neighbours(self):
        found = self._neighbours_anywhere(set(self._places()))
        for reading in self:
            before, _same, after = found[reading.meter_id.id, reading.moment]
            reading.has_previous, reading.has_next = before is not None, after is not None
            reading.previous_moment = before.moment if before else False
            reading.previous_total = float(before.register) if before else 0
            reading.next_moment = after.moment if after else False
            reading.next_total = float(after.register) if after else 0
            reading.step = reading.total - float(before.register) if before else 0

    @api.depends("reason", "expected", "total", "previous_total", "meter_id.commodity")
    @api.depends_context("lang")
    def _compute_cause(self):
        for reading in self:
            reading.cause = reading._cause_sentence() if reading.reason else False

    def _cause_sentence(self):
        self.ensure_one()
        sentences = {
            "future": _("Its moment lies in the future: the clock of what read it is wrong."),
            "negative": _("The register cannot be below zero."),
            "fell": _(
                "The register fell from %(previous)s: rolled over, reset, replaced or misread?"
            ),
            "too_fast": _("%(step)s %(unit)s more than before cannot have passed in that time."),
            "not_a_number": _("It is no number, or has more digits than the register."),
            "between": _("It does not lie between %(previous)s before and %(next)s after it."),
            "unusual": _("%(step)s %(unit)s more than before is far more than usual."),
            "bands": _("The registers of the rate periods do not add up to the total."),
            "multiplier": _("The meter says another multiplier than the supply has."),
            "stranger": _("Another meter answers at its address: the reading may not be its own."),
        }
        return sentences[self.reason] % {
            "previous": f"{self.previous_total:g}",
            "next": f"{self.next_total:g}",
            "step": f"{self.step:g}",
            "unit": UNITS[self.meter_id.commodity],
        }

    @api.depends("moment", "state")
    def _compute_age(self):
        now = clock.now(self.env.cr)
        for reading in self:
            hours = int((now - reading.moment).total_seconds() // 3600)
            if reading.state != "held" or hours < 0:
                reading.age = False
            elif hours < 48:
                reading.age = _("%s h", hours)
            else:
                reading.age = _("%s days", hours // 24)

    @api.depends("meter_id", "moment")
    def _compute_sheet_line_id(self):
        lines = self.env["energy.reading.sheet.line"].search(
            [
                ("meter_id", "in", self.meter_id.ids),
                ("moment", "in", list(set(self.mapped("moment")))),
                ("state", "not in", ("open", "passed")),
            ]
        )
        found = {(line.meter_id.id, line.moment): line for line in lines}
        for reading in self:
            reading.sheet_line_id = found.get((reading.meter_id.id, reading.moment), False)

    @api.depends("sheet_line_id")
    def _compute_photo_url(self):
        for reading in self:
            line = reading.sheet_line_id
            has_photo = line.with_context(bin_size=True).photo
            reading.photo_url = f"/web/image/{line._name}/{line.id}/photo" if has_photo else False

    def _places(self):
        return sorted({(reading.meter_id.id, reading.moment) for reading in self})

    # --- deciding --------------------------------------------------------------------------------

    def action_accept(self):
        """Accept these readings; what follows is shown first."""
        return self._decide_here("accept")

    def action_reject(self):
        """Reject these readings; what follows is shown first."""
        return self._decide_here("reject")

    def action_correct(self):
        """Type what the register really was."""
        self.ensure_one()
        return self._decide_here("correct")

    def _decide_here(self, action):
        return self.env["energy.reading.review"]._open([("id", "in", self.ids)], action)

    def action_replace_meter(self):
        """Write down that the meter was replaced when it began to show this register."""
        self.ensure_one()
        supply = self.env["energy.supply"]._present(self.meter_id).get(self.meter_id.id)
        if not supply:
            raise UserError(_("Meter %s serves no account now.", self.meter_id.name))
        action = supply.action_replace_meter()
        action["context"].update(
            default_moment=fields.Datetime.to_string(self.moment),
            default_opening_register=self.total,
        )
        return action

    def action_open_sheet(self):
        """Open the reading sheet on which this reading was typed."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.reading.sheet",
            "res_id": self.sheet_line_id.sheet_id.id,
            "view_mode": "form",
        }
