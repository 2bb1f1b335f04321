from odoo import _, api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ..modbus.identity import bare_serial, same_serial


class EnergyGatewayScanLine(models.Model):
    """A unit that answered."""

    _name = "energy.gateway.scan.line"
    _description = "Unit found by a scan"
    _inherit = ["energy.guarded", "energy.judged.line"]
    _order = "scan_id, unit_id"
    _rec_name = "unit_id"

    scan_id = fields.Many2one(
        "energy.gateway.scan", required=True, index=True, ondelete="cascade", readonly=True
    )
    site_id = fields.Many2one(related="scan_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="scan_id.company_id", store=True, index=True)
    unit_id = fields.Integer(string="Unit Number", readonly=True, required=True)
    profile_id = fields.Many2one(
        "energy.meter.profile", string="Recognised As", readonly=True, ondelete="cascade"
    )
    told_by = fields.Selection(
        [
            ("type_code", "Its type code"),
            ("serial", "Its serial number"),
            ("total", "A register that makes sense"),
        ],
        readonly=True,
    )
    also_ids = fields.Many2many(
        "energy.meter.profile",
        string="As Likely",
        readonly=True,
        help="Types that fit as well: what answers does not tell which one it is.",
    )
    serial = fields.Char(string="Serial Number", readonly=True)
    total = fields.Char(string="Register", readonly=True)
    ct = fields.Char(string="CT", readonly=True)
    pt = fields.Char(string="PT", readonly=True)
    doubled = fields.Char(readonly=True)
    verdict = fields.Selection(
        [
            ("new", "New"),
            ("unassigned", "Known, without an address"),
            ("known", "A meter here"),
            ("other", "Another meter is expected here"),
            ("moved", "Known at another place"),
            ("archived", "Known and archived"),
            ("doubled", "Two meters on one number"),
            ("doubtful", "Several types fit"),
            ("unknown", "Not recognised"),
        ],
        readonly=True,
    )
    meter_id = fields.Many2one(
        "energy.meter", readonly=True, index="btree_not_null", ondelete="set null"
    )
    name = fields.Char(string="Name of the Meter", help="The serial number on its plate.")
    property_id = fields.Many2one(
        "energy.property", string="Room", domain="[('site_id', '=', site_id)]", ondelete="set null"
    )
    is_chosen = fields.Boolean(string="Create")

    def write(self, vals):
        if not self.env.su and vals.keys() - {"name", "property_id", "is_chosen"}:
            raise AccessError(_("What was found is not typed."))
        return super().write(vals)

    def _is_to_be_created(self):
        self.ensure_one()
        return self.is_chosen and self.verdict in ("new", "unassigned") and bool(self.profile_id)

    def _judge(self):
        """Say of each unit what is known of it here now."""
        by_unit, by_serial = self._known_meters()
        for line in self:
            here = by_unit.get((line.scan_id.gateway_id.id, line.unit_id))
            same = by_serial.get((line.company_id.id, bare_serial(line.serial)))
            verdict, meter, code, *figures = line._verdict(here, same)
            line.write(
                {
                    "verdict": verdict,
                    "meter_id": meter and meter.id,
                    "finding_code": code or False,
                    "figures": figures[0] if figures else False,
                }
            )

    def _known_meters(self):
        """Return the meters that these lines may be.

        :return: dict of (gateway id, unit) to meter; dict of (company id, serial number without
            what does not tell meters apart) to meter, which is archived only where no other has it
        """
        serials = set(filter(None, map(bare_serial, self.mapped("serial"))))
        self.env["energy.meter"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT m.id, m.company_id, m.gateway_id, m.unit_id, m.active,
                   upper(ltrim(regexp_replace(m.name, '[[:space:]]', '', 'g'), '0')) AS serial
              FROM energy_meter m
             WHERE m.company_id = ANY(%(companies)s)
               AND (m.driver = 'modbus' AND m.active AND m.gateway_id = ANY(%(gateways)s)
                    OR upper(ltrim(regexp_replace(m.name, '[[:space:]]', '', 'g'), '0'))
                       = ANY(%(serials)s))
             ORDER BY m.active, m.id
            """,
                companies=self.company_id.ids,
                gateways=self.scan_id.gateway_id.ids,
                serials=sorted(serials),
            )
        )
        meters = self.env["energy.meter"].browse(row[0] for row in rows)
        by_unit, by_serial = {}, {}
        for meter, (_id, company, gateway, unit, active, serial) in zip(meters, rows, strict=True):
            by_serial[company, serial] = meter
            if active and gateway:
                by_unit[gateway, unit] = meter
        return by_unit, by_serial

    @api.model
    def _sentences(self):
        """Override of `energy.judged.line`."""
        return {
            "doubled": _(
                "Two meters with one number, or a bad line: %(doubled)s. Give one of them another "
                "number before anything is created."
            ),
            "other": _("%(expected)s is expected here, %(found)s answers."),
            "other_type": _("%(expected)s is expected here, a %(type)s; a %(found)s answers."),
            "not_its_type": _(
                "%(expected)s is expected here, a %(type)s; what answers is none: probe it."
            ),
            "type_not_looked_for": _(
                "%(expected)s is expected here, a %(type)s: that type was not looked for, so that "
                "nothing shows whether it answers."
            ),
            "moved": _("Is at gateway %(gateway)s, number %(unit)s: if it was moved, change that."),
            "unknown": _("It answers, but as none of the chosen types: probe it."),
            "unassigned": _("Gets this address."),
            "archived": _(
                "Meter %(meter)s has this serial number and is archived: restore that one."
            ),
            "doubtful": _(
                "May as well be %(types)s: choose above only the types that are on this bus and "
                "scan again, or probe it."
            ),
            "also": _("Fits as well: %(types)s."),
            "unsure_zero": _(
                "Only its register speaks for this type, and it shows zero, as a register of "
                "another type may: probe it before."
            ),
            "unsure": _("Only its register speaks for this type: probe it before."),
        }

    def _verdict(self, here, same):
        """Return the verdict, its meter (or None), the code of a sentence and its figures.

        :param here: the meter that is expected at this number, or None
        :param same: the meter with the serial number that was read, or None
        """
        if self.doubled:
            return "doubled", here, "doubled", {"doubled": self.doubled}
        if here is not None:
            if self.serial and not same_serial(self.serial, here.name):
                return "other", here, "other", {"expected": here.name, "found": self.serial}
            return self._verdict_by_type(here)
        if same is not None and not same.active:
            return "archived", same, "archived", {"meter": same.name}
        if same is not None and same.driver == "modbus":
            at = {"gateway": same.gateway_id.name, "unit": same.unit_id}
            return "moved", same, "moved", at
        if not self.profile_id:
            return "unknown", None, "unknown"
        others = {"types": ", ".join(self.also_ids.mapped("name"))}
        if self.also_ids and self.told_by == "total":
            return "doubtful", same, "doubtful", others
        if same is not None:
            return "unassigned", same, "unassigned"
        if self.told_by == "total":
            # A register of another type may show zero as well.
            is_zero = float(self.total or 0) == 0
            return "new", None, "unsure_zero" if is_zero else "unsure"
        return "new", None, "also" if self.also_ids else "", others

    def _verdict_by_type(self, here):
        """Return as `_verdict` does what the type says that answers where a meter is expected.

        A type that was not looked for may be the one that answers all the same, unless the device
        bears the code of another one.
        """
        expected = here.profile_id
        types = {"expected": here.name, "type": expected.name}
        is_looked_for = expected in self.scan_id.profile_ids
        if self.profile_id:
            if expected in self.profile_id | self.also_ids:
                return "known", here, ""
            by_code = self.told_by == "type_code"
            if is_looked_for or (by_code and expected.type_code != self.profile_id.type_code):
                return "other", here, "other_type", {**types, "found": self.profile_id.name}
        elif is_looked_for:
            return "unknown", here, "not_its_type", types
        # Its serial number is its own, where it has shown one.
        return ("known", here, "") if self.serial else ("known", here, "type_not_looked_for", types)

    def _create_meter(self):
        """Create the meter of this line, or give the known one its address."""
        self.ensure_one()
        address = {
            "driver": "modbus",
            "gateway_id": self.scan_id.gateway_id.id,
            "unit_id": self.unit_id,
            "profile_id": self.profile_id.id,
        }
        if self.verdict == "unassigned":
            self.meter_id.write(address)
            return self.meter_id
        place = self.property_id or self.scan_id.property_id or self.site_id
        return self.env["energy.meter"].create(
            {
                **address,
                "name": self.name,
                "commodity": self.profile_id.commodity,
                "property_id": place.id,
            }
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_by_scans_only(self):
        if not self.env.su:
            raise AccessError(_("What was found is not typed."))
