import re

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

POSITIVE = ("=", "in", "like", "ilike", "=like", "=ilike")
# What a phone number is written with, and how many digits are a part of one or a whole one.
PHONE = re.compile(r"[\d\s()+./-]+")
PART, WHOLE = 5, 7


class EnergyAccount(models.Model):
    """Accounts are found by what a customer at the counter can say or show."""

    _inherit = "energy.account"

    @api.model
    def _search_display_name(self, operator, value):
        """Also by the serial numbers of the meters that serve the account now.

        With `energy_counter` in the context a whole number (account, meter, room code or phone) is
        what it says: others that merely contain it are left out, so that a scan finds one.
        """
        if operator not in POSITIVE or not value:
            return super()._search_display_name(operator, value)
        if operator == "ilike" and self.env.context.get("energy_counter"):
            exact = self._by_whole_number(value)
            if exact:
                return Domain("id", "in", exact.ids)
        supplies = self.env["energy.supply"]._search_present([("meter_id.name", operator, value)])
        domain = Domain(super()._search_display_name(operator, value))
        domain |= Domain("id", "in", supplies.account_id.ids)
        if operator == "ilike":
            domain |= self._with_phone(value)
        return domain

    def _by_whole_number(self, text):
        """Return the open accounts that a whole number names."""
        pattern = re.sub(r"([\\%_])", r"\\\1", text.strip())
        supplies = self.env["energy.supply"]._search_present([("meter_id.name", "=ilike", pattern)])
        return self.search(
            Domain("state", "in", ("active", "suspended"))
            & Domain.OR(
                [
                    Domain("name", "=ilike", pattern),
                    Domain("room_ids.code", "=ilike", pattern),
                    Domain("id", "in", supplies.account_id.ids),
                    self._with_phone(text, is_whole=True),
                ]
            )
        )

    def _with_phone(self, text, is_whole=False):
        """Return the domain of who has a phone number, however it is written.

        :param bool is_whole: only those whose number it is, with or without its country's code
        """
        digits = re.sub(r"\D", "", text) if PHONE.fullmatch(text) else ""
        if len(digits) < (WHOLE if is_whole else PART):
            return Domain.FALSE
        self.env["res.partner"].flush_model(["phone"])
        rows = self.env.execute_query(
            SQL(
                r"SELECT id FROM res_partner WHERE regexp_replace(phone, '\D', '', 'g') LIKE %s",
                f"%{digits}" if is_whole else f"%{digits}%",
            )
        )
        partners = [row[0] for row in rows]
        return Domain("partner_id", "in", partners) | Domain("contact_ids", "in", partners)
