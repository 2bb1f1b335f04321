from odoo import api, fields, models

from .energy_meter import COMMODITIES

CAUSES = [
    ("held", "Reading held"),
    ("price", "No price"),
    ("tariff", "No tariff"),
    ("band", "No rate period"),
    ("register", "Register falls"),
    ("problem", "Cannot be settled"),
    ("waiting", "Not settled yet"),
    ("no_account", "No account"),
    ("draft", "Account not opened"),
    ("no_reading", "No reading"),
    ("rejected", "Reading rejected"),
    ("reset", "Register began anew"),
]
# Whose business a cause is.
RESPONSIBLE = {
    "held": "operator",
    "price": "manager",
    "tariff": "manager",
    "band": "manager",
    "register": "engineer",
    "problem": "engineer",
    "waiting": "nobody",
    "no_account": "operator",
    "draft": "operator",
    "no_reading": "engineer",
    "rejected": "nobody",
    "reset": "nobody",
}
ROLES = [
    ("operator", "Operator"),
    ("engineer", "Engineer"),
    ("manager", "Manager"),
    ("nobody", "Nobody"),
]


class EnergyUncharged(models.Model):
    """All use that is not charged, and why: one row a cause and meter (or supply of it)."""

    _name = "energy.uncharged"
    _description = "Use not charged"
    _auto = False
    _order = "since desc, id"
    _rec_name = "meter_id"
    _depends = {
        "energy.account": ["state"],
        "energy.meter": ["property_id", "commodity", "active", "driver", "register_digits"],
        "energy.meter.status": ["meter_id", "read_at"],
        "energy.property": ["building_id"],
        "energy.settlement.problem": ["account_id", "cause", "message"],
        "energy.settlement.queue": ["meter_id", "since"],
        "energy.supply": [
            "account_id",
            "meter_id",
            "start_at",
            "end_at",
            "opening_register",
            "closing_register",
        ],
        "energy.supply.mark": ["supply_id", "settled_until", "register"],
        "energy.supply.term": ["supply_id", "since", "multiplier", "tariff_id"],
        "res.company": ["energy_estimate_after"],
    }

    cause = fields.Selection(CAUSES, readonly=True)
    meter_id = fields.Many2one("energy.meter", readonly=True)
    supply_id = fields.Many2one("energy.supply", readonly=True)
    account_id = fields.Many2one("energy.account", readonly=True)
    commodity = fields.Selection(COMMODITIES, readonly=True)
    property_id = fields.Many2one("energy.property", string="Room", readonly=True)
    building_id = fields.Many2one("energy.property", readonly=True)
    site_id = fields.Many2one("energy.property", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    since = fields.Datetime(readonly=True)
    until = fields.Datetime(readonly=True, help="Empty: it goes on.")
    count = fields.Integer(string="Readings", readonly=True)
    register = fields.Float(
        digits=(18, 4),
        readonly=True,
        aggregator=False,
        help="The last register known; of a held reading what came.",
    )
    expected = fields.Char(readonly=True, help="What would have been believed.")
    quantity = fields.Float(
        string="Not Charged",
        digits=(18, 3),
        readonly=True,
        help="kWh or m³; empty where it is not known.",
    )
    message = fields.Char(string="Reason", readonly=True)
    responsible = fields.Selection(ROLES, readonly=True)
    user_id = fields.Many2one("res.users", string="Decided By", readonly=True)
    to_do = fields.Char(compute="_compute_to_do")

    @api.depends("cause")
    @api.depends_context("lang")
    def _compute_to_do(self):
        _ = self.env._
        sentences = {
            "held": _("Accept, correct or reject the reading."),
            "price": _("Approve a tariff version that begins early enough; it is charged then."),
            "tariff": _("Set the meter's tariff from the beginning of its supply."),
            "band": _("Complete the rate periods of the tariff version."),
            "register": _("Enter the meter's number of digits, or correct the reading."),
            "problem": _("See the reason; then try again."),
            "waiting": _("Nothing: it is settled shortly."),
            "no_account": _("Open an account for the room, or switch the supply off."),
            "draft": _("Open the account, or remove the meter from it."),
            "no_reading": _("See to the meter or its gateway, or type a reading."),
            "rejected": _(
                "Nothing: the next reading is charged across it. Accept it if it was right."
            ),
            "reset": _("Nothing: what lay before the new beginning is charged to nobody."),
        }
        for row in self:
            row.to_do = sentences.get(row.cause)

    def action_open(self):
        """Open what has to be done."""
        self.ensure_one()
        readings = {"held": "held", "rejected": "rejected", "reset": "accepted"}
        if self.cause in readings:
            name = "action_energy_reading_held" if self.cause == "held" else "action_energy_reading"
            action = self.env["ir.actions.act_window"]._for_xml_id(f"prepaid_energy.{name}")
            domain = [("meter_id", "=", self.meter_id.id), ("state", "=", readings[self.cause])]
            if self.cause == "reset":
                domain += [("moment", ">=", self.since), ("moment", "<=", self.until)]
            return dict(action, domain=domain)
        if self.cause == "problem":
            action = self.env["ir.actions.act_window"]._for_xml_id(
                "prepaid_energy.action_energy_settlement_problem"
            )
            return dict(action, domain=[("account_id", "=", self.account_id.id)])
        record = self.meter_id
        if self.cause in ("price", "band") and self.supply_id.tariff_id:
            record = self.supply_id.tariff_id
        elif self.cause == "draft":
            record = self.account_id
        elif self.cause == "tariff":
            record = self.supply_id
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "view_mode": "form",
        }

    def action_open_readings(self):
        """Open the readings of the time that is not charged."""
        self.ensure_one()
        domain = [("meter_id", "=", self.meter_id.id)]
        if self.since:
            domain.append(("moment", ">=", self.since))
        if self.until:
            domain.append(("moment", "<=", self.until))
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_reading"
        )
        return dict(action, domain=domain)
