from datetime import timedelta
from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL, float_repr, format_datetime

from .. import clock
from ..bulk import values
from .energy_meter import UNITS

# Use above so many times the usual use a day, and one unit, is asked about.
UNUSUAL = 3
# The usual use a day is that of so many days before the previous reading.
USUAL_DAYS = 60
CLOCK_TOLERANCE = timedelta(minutes=5)


class EnergyReadingSheetLine(models.Model):
    _name = "energy.reading.sheet.line"
    _inherit = ["energy.guarded"]
    _flow_fields = frozenset({"state", "result", "source"})
    _description = "Typed reading"
    _order = "sheet_id, property_id, meter_id, moment, id"
    _rec_name = "meter_id"
    _check_company_auto = True

    sheet_id = fields.Many2one(
        "energy.reading.sheet", required=True, index=True, ondelete="cascade"
    )
    site_id = fields.Many2one(related="sheet_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="sheet_id.company_id", store=True, index=True)
    meter_id = fields.Many2one(
        "energy.meter",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain="[('site_id', '=', site_id)]",
    )
    property_id = fields.Many2one(related="meter_id.property_id", store=True)
    commodity = fields.Selection(related="meter_id.commodity")
    moment = fields.Datetime(
        string="Read On", compute="_compute_moment", store=True, precompute=True, readonly=False
    )
    register = fields.Float(
        string="Reading", digits=(18, 4), help="As the meter shows it, before the multiplier."
    )
    is_read = fields.Boolean(string="Read")
    photo = fields.Image(max_width=1920, max_height=1920)
    note = fields.Char(string="Reason", help="Why it is right although it looks wrong.")
    source = fields.Selection(
        [("typed", "Typed"), ("import", "Imported")],
        required=True,
        readonly=True,
        default="typed",
    )
    previous_moment = fields.Datetime(string="Previous On", compute="_compute_check")
    previous_register = fields.Float(string="Previous", digits=(18, 4), compute="_compute_check")
    use = fields.Float(
        digits=(18, 4),
        compute="_compute_check",
        help="kWh or m³ since the previous reading, with the multiplier.",
    )
    expected = fields.Char(compute="_compute_check")
    check_result = fields.Selection(
        [("fits", "Fits"), ("unusual", "Unusual"), ("implausible", "Implausible")],
        string="Check",
        compute="_compute_check",
    )
    warning = fields.Char(compute="_compute_check")
    state = fields.Selection(
        [
            ("open", "Open"),
            ("passed", "Not read"),
            ("accepted", "Accepted"),
            ("held", "Held"),
            ("duplicate", "Known already"),
            ("superseded", "Another one is accepted"),
        ],
        required=True,
        readonly=True,
        default="open",
        copy=False,
    )
    result = fields.Char(readonly=True, copy=False)

    _meter_uniq = models.UniqueIndex(
        "(sheet_id, meter_id, moment)", "A meter stands twice on the sheet with the same moment."
    )
    _place_idx = models.Index("(meter_id, moment)")

    @api.depends("sheet_id.moment")
    def _compute_moment(self):
        for line in self:
            line.moment = line.moment or line.sheet_id.moment

    @api.onchange("register")
    def _onchange_register(self):
        if self.register:
            self.is_read = True

    # --- checking ------------------------------------------------------------------------------

    @api.depends("meter_id", "moment", "register", "is_read", "state")
    def _compute_check(self):
        lines = self.filtered(lambda line: line.meter_id and line.moment)
        for line in self - lines:
            line.update(dict.fromkeys(("previous_moment", "expected", "check_result"), False))
            line.update({"previous_register": 0, "use": 0, "warning": False})
        places = {(line.meter_id._origin.id, line.moment) for line in lines}
        neighbours = self.env["energy.reading"]._neighbours_anywhere(places)
        multipliers = self._multipliers(places)
        verdicts = self.env["energy.reading"]._would_be(
            [(*line._place(), line._figure()) for line in lines if line._is_checked()]
        )
        usual = self._usual_use(
            {
                (*place, before.moment)
                for place, (before, _same, _after) in neighbours.items()
                if before
            }
        )
        for line in lines:
            place = line._place()
            before, _same, _after = neighbours[place]
            line.previous_moment = before.moment if before else False
            line.previous_register = float(before.register) if before else 0
            line.check_result, line.expected, line.warning, line.use = False, False, False, 0
            if not line.is_read:
                continue
            if before:
                line.use = float(line._step(before) * multipliers.get(place, 1))
            if line._is_checked():
                line._judge(verdicts[place], before, usual.get(place))

    def _judge(self, verdict, before, usual):
        """Set what is thought of this register.

        :param verdict: what `judge` says of it
        :param before: `Point` of the previous reading, or None
        :param Decimal usual: change of the register a day, or None
        """
        self.ensure_one()
        self.check_result, self.expected = "fits", verdict.expected
        if verdict.state == "held":
            self.check_result = "implausible"
            self.warning = _("Expected %s.", verdict.expected)
        elif verdict.state == "superseded":
            self.check_result = "implausible"
            self.warning = _("%s is accepted at that moment already.", verdict.expected)
        elif before and self._figure() < before.register:
            # It may be a rollover. A meter that was replaced or reset looks the same, and a
            # rollover comes once in years: somebody says which.
            self.check_result = "unusual"
            self.expected = f"≥ {before.register.normalize():f}"
            self.warning = _(
                "Lower than before. It counts as a rollover, with %(use)s %(unit)s used: was the "
                "meter replaced or reset?",
                use=f"{Decimal(str(self.use)).normalize():f}",
                unit=UNITS[self.commodity],
            )
        elif before and usual:
            days = max(Decimal((self.moment - before.moment).total_seconds()) / 86400, 1)
            most = before.register + (usual * days * UNUSUAL).quantize(Decimal("0.1")) + 1
            self.expected = f"{before.register.normalize():f} - {most.normalize():f}"
            if self._figure() > most:
                self.check_result = "unusual"
                self.warning = _(
                    "Expected %(expected)s: about %(usual)s %(unit)s a day is usual.",
                    expected=self.expected,
                    usual=f"{usual:.1f}",
                    unit=UNITS[self.commodity],
                )

    def _is_checked(self):
        return self.is_read and self.state == "open"

    def _lacks_reason(self):
        """Tell whether a register is doubtful and nobody has said why it is right."""
        return (
            self.state == "open"
            and self.check_result in ("unusual", "implausible")
            and not (self.note or "").strip()
        )

    def _place(self):
        return self.meter_id._origin.id, self.moment

    def _figure(self):
        return Decimal(float_repr(self.register, 4))

    def _step(self, before):
        """Return the change of the register since a reading, over its end where it is lower."""
        step = self._figure() - before.register
        digits = self.meter_id.register_digits
        return step + 10**digits if step < 0 and digits else step

    def _multipliers(self, places):
        """Return the multiplier of the supply of each (meter id, moment) that has one."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT ON (v.meter, v.moment) v.meter, v.moment, t.multiplier::text
              FROM %s
              JOIN energy_supply s ON s.meter_id = v.meter AND s.start_at <= v.moment
                   AND (s.end_at IS NULL OR s.end_at >= v.moment)
              JOIN energy_supply_term t ON t.supply_id = s.id AND t.since <= v.moment
             ORDER BY v.meter, v.moment, s.start_at, t.since DESC
            """,
                values(sorted(places), meter="int", moment="timestamp"),
            )
        )
        return {(meter, moment): Decimal(multiplier) for meter, moment, multiplier in rows}

    def _usual_use(self, places):
        """Return the change of the register a day before the previous reading.

        :param places: (meter id, moment, moment of the previous reading)
        :return: dict of (meter id, moment) to Decimal, where something was used
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.meter, v.moment, l.total::text, f.total::text,
                   EXTRACT(EPOCH FROM l.moment - f.moment)::text
              FROM %s
              JOIN energy_reading_data l ON l.meter_id = v.meter AND l.moment = v.last
                   AND l.state = 'accepted' AND l.source <> 'estimate'
              JOIN LATERAL (
                   SELECT moment, total FROM energy_reading_data r
                    WHERE r.meter_id = v.meter AND r.state = 'accepted'
                      AND r.source <> 'estimate' AND r.moment < v.last
                      AND r.moment >= v.last - %s * interval '1 day'
                    ORDER BY r.moment LIMIT 1) f
                   ON f.total < l.total AND l.moment - f.moment >= interval '1 day'
             WHERE NOT EXISTS (
                   SELECT 1 FROM energy_reading_data b
                    WHERE b.meter_id = v.meter AND b.state = 'accepted' AND b.is_baseline
                      AND b.moment > f.moment AND b.moment <= v.last)
            """,
                values(sorted(places), meter="int", moment="timestamp", last="timestamp"),
                USUAL_DAYS,
            )
        )
        return {
            (meter, moment): (Decimal(last) - Decimal(first)) * 86400 / Decimal(seconds)
            for meter, moment, last, first, seconds in rows
        }

    @api.constrains("sheet_id", "meter_id", "moment", "register", "is_read")
    def _check_possible(self):
        now = clock.now(self.env.cr)
        for line in self:
            meter = line.meter_id
            if meter.site_id != line.sheet_id.site_id:
                raise ValidationError(
                    _(
                        "Meter %(meter)s does not stand on %(site)s.",
                        meter=meter.name,
                        site=line.sheet_id.site_id.name,
                    )
                )
            if not line.moment:
                raise ValidationError(_("Meter %s: when was it read?", meter.name))
            if line.moment > now + CLOCK_TOLERANCE:
                raise ValidationError(
                    _(
                        "Meter %(meter)s: %(moment)s lies in the future.",
                        meter=meter.name,
                        moment=format_datetime(self.env, line.moment),
                    )
                )
            if line.register < 0:
                raise ValidationError(_("Meter %s: a register cannot be below zero.", meter.name))
            if meter.register_digits and line.register >= 10**meter.register_digits:
                raise ValidationError(
                    _(
                        "Meter %(meter)s: %(register)s has more than %(digits)s digits before the "
                        "decimal point.",
                        meter=meter.name,
                        register=float_repr(line.register, 4),
                        digits=meter.register_digits,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        imported = bool(self.env.context.get("import_file"))
        for vals in vals_list:
            if "register" in vals and (imported or "is_read" not in vals):
                vals["is_read"] = imported or bool(vals["register"])
        try:
            lines = super().create(vals_list)
        except UserError as error:
            if imported and len(vals_list) > 1:
                # The import blames a user error on the first line; after any other it tries the
                # lines one by one, and names those that are wrong.
                raise ValueError(str(error)) from error
            raise
        lines._check_draft()
        if imported:
            # sudo: where a line comes from is not typed by hand
            lines.sudo().source = "import"
        return lines

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if self._flow_fields.intersection(names):
            return _("The result of a line is written by “Confirm”.")
        return super()._guarded_refusal(names)

    def write(self, vals):
        self._refuse_guarded(vals)
        if not self.env.su:
            self._check_draft()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_done(self):
        self._check_draft()

    def _check_draft(self):
        self.sheet_id._check_draft()

    @api.model
    def get_import_templates(self):
        return [
            {
                "label": self.env._("Template for Readings"),
                "template": "/prepaid_energy/static/import/readings.csv",
            }
        ]

    # --- storing -------------------------------------------------------------------------------

    def _store(self):
        """Take these registers over as readings and note what became of each."""
        readings = self.env["energy.reading"]
        known = {place for place, found in self._stored().items() if found}
        may_overrule = self.env.user.has_group("prepaid_energy.group_energy_engineer")
        unusual = self.filtered(lambda line: line.check_result == "unusual")
        doubts = {
            line.id: (
                "fell" if line.register < line.previous_register else "unusual",
                line.expected,
            )
            for line in unusual
        }
        readings._ingest([(*line._place(), line._figure(), None, line.source) for line in self])
        found = self._stored()
        for line in self:
            reading = found[line.id]
            if line.id in known:
                continue
            if reading.state == "accepted" and line in unusual and not may_overrule:
                reading._hold(*doubts[line.id], line.note)
            elif reading.state == "held" and line.note and may_overrule:
                reading._accept(line.note)
        readings.invalidate_model(flush=False)
        self._note_results(self._stored(), known)
        self._report_status()

    def _stored(self):
        """Return the reading that each line is stored as; empty where it is not.

        :return: dict of line id to `energy.reading`
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT ON (v.line) v.line, r.id
              FROM %s
              JOIN energy_reading_data r ON r.meter_id = v.meter AND r.moment = v.moment
                   AND r.total = v.total
             ORDER BY v.line, r.state = 'accepted' DESC, r.id DESC
            """,
                values(
                    [(line.id, *line._place(), line._figure()) for line in self],
                    line="int",
                    meter="int",
                    moment="timestamp",
                    total="numeric",
                ),
            )
        )
        numbers = dict(rows)
        readings = self.env["energy.reading"].with_prefetch(list(numbers.values()))
        return {line.id: readings.browse(numbers.get(line.id)) for line in self}

    def _note_results(self, found, known):
        for line in self:
            reading = found[line.id]
            # sudo: the result is written by this method only
            line.sudo().write(
                {
                    "state": "duplicate"
                    if line.id in known
                    else reading.state
                    if reading.state in ("accepted", "held", "superseded")
                    else "duplicate",
                    "result": reading.cause
                    if reading.state == "held"
                    else reading.expected
                    if reading.state == "superseded"
                    else False,
                }
            )

    def _report_status(self):
        """Let the meters show what was typed last."""
        latest = {}
        for line in self.filtered(lambda line: line.state == "accepted").sorted("moment"):
            seen = line.meter_id.status_id.read_at
            if not seen or seen < line.moment:
                latest[line.meter_id.id] = {
                    "meter_id": line.meter_id.id,
                    "read_at": line.moment,
                    "total": line.register,
                }
        # sudo: status rows belong to the flow, no user writes them
        self.env["energy.meter.status"].sudo()._report(list(latest.values()))
