import re

from odoo import api, fields, models

from ..modbus.codec import TYPE_WORDS, WORD_ORDERS
from ..modbus.vocabulary import MEANINGS, unit_of

#: How sure a map is, with what that means.
CERTAINTIES = [
    ("A", "A: manual or two sources"),
    ("B", "B: one good source"),
    ("C", "C: confirm on the device"),
]
#: When a register is read, as a profile's file says it.
POLLED = {"reading": True, "daily": "daily", "demand": False}

#: Optional texts of the map, kept as texts because they are exact.
TEXTS = ("scale", "offset", "resolution")


def _label(meaning: str) -> str:
    """`ct_ratio` as "CT ratio", `power_l1` as "Power L1"."""
    words = meaning.replace("_", " ").capitalize()
    return re.sub(r"\b([CP]t|l\d)\b", lambda match: match[0].upper(), words)


class EnergyRegister(models.Model):
    _name = "energy.register"
    _inherit = "energy.meter.profile.part"
    _description = "Register"
    _rec_name = "meaning"

    meaning = fields.Selection([(name, _label(name)) for name in MEANINGS], required=True)
    function = fields.Integer(string="Function Code", required=True, default=3)
    address = fields.Char(
        required=True, help="Wire address, counted from 0: decimal, or hexadecimal after 0x."
    )
    type = fields.Selection([(name, name) for name in TYPE_WORDS], required=True, default="u16")
    words = fields.Integer(
        help="Number of registers, where the type does not say it. 0: as the type says."
    )
    word_order = fields.Selection(
        [(name, name) for name in WORD_ORDERS],
        required=True,
        default="ABCD",
        help="The bytes of a 32-bit value, A the most significant, in the order sent.",
    )
    scale = fields.Char(help="Value = raw × scale + offset.")
    offset = fields.Char()
    resolution = fields.Char(help="Round half up to a multiple of it.")
    sentinels = fields.Char(help="Raw values that mean “no value”, with commas between them.")
    index = fields.Integer(help="Which bit (0 the least significant), which byte (0 the high one).")
    byte_count = fields.Integer(string="Bytes", help="How many bytes. 0: to the end.")
    unit = fields.Char(compute="_compute_unit")
    certainty = fields.Selection(
        CERTAINTIES,
        required=True,
        default="C",
        help="A: vendor manual or two independent sources. B: one good public source. "
        "C: one secondary source; never relied on.",
    )
    polled = fields.Selection(
        [("reading", "Each reading"), ("daily", "Once a day"), ("demand", "When probed")],
        string="Read",
        required=True,
        default="reading",
        help="Once a day: the serial number, the clock, the transformers' ratio, so that another "
        "meter at the address is noticed.",
    )
    source = fields.Char(help="Where this register comes from, if not from where the profile does.")
    place = fields.Char(
        string="Hex", compute="_compute_place", help="The wire addresses in hexadecimal."
    )

    @api.depends("address", "type", "words")
    def _compute_place(self):
        for register in self:
            try:
                first = int(register.address or "", 0)
            except ValueError:
                register.place = False
                continue
            words = TYPE_WORDS.get(register.type) or register.words or 1
            register.place = places(first, words)

    @api.depends("meaning", "profile_id.commodity")
    def _compute_unit(self):
        for register in self:
            commodity = register.profile_id.commodity
            register.unit = register.meaning and commodity and unit_of(register.meaning, commodity)

    def _as_dict(self):
        """Return this register as the profile's file would have it."""
        self.ensure_one()
        row = {
            "meaning": self.meaning,
            "function": self.function,
            "address": self.address,
            "type": self.type,
            "word_order": self.word_order,
            "certainty": self.certainty,
            "polled": POLLED.get(self.polled, True),
            "index": self.index,
        }
        row.update({name: self[name] for name in TEXTS if self[name]})
        row.update({name: self[name] for name in ("words", "unit", "source") if self[name]})
        if self.byte_count:
            row["length"] = self.byte_count
        if self.sentinels:
            row["sentinels"] = self.sentinels.replace(",", " ").split()
        return row

    @api.model
    def _from_dict(self, row):
        """Return the values of a register from its row in a profile's file."""
        values = {
            name: row[name]
            for name in (
                "meaning",
                "type",
                "words",
                "word_order",
                "index",
                "certainty",
                "source",
            )
            if name in row
        }
        values["polled"] = next(
            name for name, value in POLLED.items() if value == row.get("polled", True)
        )
        values["function"] = row.get("function", 3)
        values["byte_count"] = row.get("length", 0)
        values["address"] = _address(row["address"])
        values.update({name: str(row[name]) for name in TEXTS if row.get(name) is not None})
        if row.get("sentinels"):
            values["sentinels"] = ", ".join(str(value) for value in row["sentinels"])
        return values


def places(first, words):
    """Return wire addresses as people write them: "0000-0010"."""
    return f"{first:04X}" if words == 1 else f"{first:04X}-{first + words - 1:04X}"


def _address(value):
    return value if isinstance(value, str) else f"0x{value:04X}"
