from odoo import api, fields, models

from ..modbus.flags import ALARMS, TRIPS
from ..modbus.vocabulary import MEANINGS
from .energy_register import _label

LABELS = {
    "trip": "Tripped: %s",
    "alarm": "Reports: %s",
}


class EnergyFlagRule(models.Model):
    """What flags of a register say beside on and off: a trip with its cause, or an alarm.

    Of several trips that hold the first one counts.
    """

    _name = "energy.flag.rule"
    _inherit = "energy.meter.profile.part"
    _description = "Flags of a meter"
    _rec_name = "name"

    name = fields.Selection(
        [
            (f"{kind}:{name}", LABELS[kind] % name.replace("_", " "))
            for kind, names in (("trip", TRIPS), ("alarm", ALARMS))
            for name in names
        ],
        string="Says",
        required=True,
    )
    register = fields.Selection(
        [(name, _label(name)) for name in MEANINGS],
        required=True,
        default="supply_state",
        help="A register of 16 flags that is part of every reading.",
    )
    mask = fields.Char(required=True, help="Flags that are looked at.")
    value = fields.Char(help="What they are where it holds. Empty: any of them is set.")

    @api.model
    def _lists(self, rules):
        """Return the lists `trips` and `alarms` of a profile's file."""
        data = {"trips": [], "alarms": []}
        for rule in rules:
            kind, name = rule.name.split(":")
            row = {"cause" if kind == "trip" else "alarm": name, "register": rule.register}
            row["mask"] = rule.mask
            if rule.value:
                row["value"] = rule.value
            data[f"{kind}s"].append(row)
        return {key: rows for key, rows in data.items() if rows}

    @api.model
    def _from_lists(self, data):
        """Return the values of the rules that a profile's file has."""
        rows = [
            *(("trip", row["cause"], row) for row in data.get("trips") or []),
            *(("alarm", row["alarm"], row) for row in data.get("alarms") or []),
        ]
        return [
            {
                "sequence": 10 * number,
                "name": f"{kind}:{name}",
                "register": row["register"],
                "mask": str(row["mask"]),
                "value": "" if row.get("value") is None else str(row["value"]),
            }
            for number, (kind, name, row) in enumerate(rows, start=1)
        ]
