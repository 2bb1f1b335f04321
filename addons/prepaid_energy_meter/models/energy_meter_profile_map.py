from odoo import api, fields, models

from .energy_meter_profile import numbers

STATES = ("on", "off", "moving")


class EnergyMeterProfile(models.Model):
    """The map as the dictionary of its file, and back."""

    _inherit = "energy.meter.profile"

    def _as_dict(self):
        """Return the profile as its file would have it."""
        self.ensure_one()
        data = {
            "code": self.code,
            "name": self.name,
            "commodity": self.commodity,
            "certainty": self.certainty,
            "source": self.source,
            "read_functions": numbers(self.read_functions),
            "write_functions": numbers(self.write_functions),
            "max_block": self.max_block,
            "max_gap": self.max_gap,
            "values": self.figures,
            "template": bool(self.is_template),
            "registers": [register._as_dict() for register in self.register_ids],
            **self.env["energy.flag.rule"]._lists(self.flag_ids),
        }
        if self.can_switch:
            data["control"] = {
                "function": self.control_function,
                "address": self.control_address or None,
                "on": numbers(self.control_on),
                "off": numbers(self.control_off),
                "states": [
                    {
                        "state": state,
                        "mask": self[f"{state}_mask"],
                        "value": self[f"{state}_value"] or "0",
                    }
                    for state in STATES
                    if self[f"{state}_mask"]
                ],
                "fault_mask": self.fault_mask or 0,
                "settle": self.settle or None,
                "poll": self.poll or None,
                "certainty": self.control_certainty or self.certainty,
                "confirmed": self.control_confirmation or "",
                "source": self.control_source or "",
            }
        if self.type_code:
            data["type_code"] = self.type_code
        if self.clock_address:
            data["clock_write"] = {
                "address": self.clock_address,
                "monday": self.clock_monday,
                "certainty": self.clock_certainty or self.certainty,
                "confirmed": self.clock_confirmation or "",
            }
        if self.plan_slots:
            data["plan"] = {
                "slots": self.plan_slots,
                "bands": (self.plan_bands or "").replace(",", " ").split(),
                "certainty": self.plan_certainty or self.certainty,
            }
        return data

    @api.model
    def _from_dict(self, data):
        """Return the values of a profile and of its registers from the dictionary of its file.

        Whether a control was confirmed on a device is not taken over: it was somebody else's word.
        """
        control = data.get("control") or {}
        values = {
            "code": data["code"],
            "name": data["name"],
            "commodity": data["commodity"],
            "certainty": data["certainty"],
            "source": data["source"],
            "read_functions": ", ".join(map(str, data["read_functions"])),
            "write_functions": ", ".join(map(str, data.get("write_functions") or [])),
            "max_block": data.get("max_block", 100),
            "max_gap": data.get("max_gap", 0),
            "figures": data.get("values", "secondary"),
            "is_template": data.get("template", False),
            "can_switch": bool(control),
            "plan_slots": 0,
            "type_code": data.get("type_code") or 0,
            **_clock_values(data.get("clock_write") or {}, data["certainty"]),
            # Registers come first: flags are judged with them.
            "register_ids": [],
            "flag_ids": [
                fields.Command.clear(),
                *map(fields.Command.create, self.env["energy.flag.rule"]._from_lists(data)),
            ],
        }
        plan = data.get("plan")
        if plan:
            values.update(
                plan_slots=plan["slots"],
                plan_bands=", ".join(plan["bands"]),
                plan_certainty=plan.get("certainty", data["certainty"]),
            )
        if control:
            values.update(
                control_function=control["function"],
                control_address=str(control["address"]),
                control_on=", ".join(map(str, control["on"])),
                control_off=", ".join(map(str, control["off"])),
                fault_mask=str(control.get("fault_mask", 0)),
                settle=str(control.get("settle", "3")),
                poll=str(control.get("poll", "0.2")),
                control_certainty=control.get("certainty", data["certainty"]),
                control_source=control.get("source", ""),
            )
            for rule in control["states"]:
                values[f"{rule['state']}_mask"] = str(rule["mask"])
                values[f"{rule['state']}_value"] = str(rule["value"])
        registers = [
            {
                **self.env["energy.register"]._from_dict({"certainty": data["certainty"], **row}),
                "sequence": 10 * number,
            }
            for number, row in enumerate(data["registers"], start=1)
        ]
        return values, registers


def _clock_values(row, certainty):
    return {
        "clock_address": str(row["address"]) if row else False,
        "clock_monday": row.get("monday", 1),
        "clock_certainty": row.get("certainty", certainty),
        "clock_confirmation": row.get("confirmed") or False,
    }
