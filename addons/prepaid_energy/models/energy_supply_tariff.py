from odoo import models
from odoo.tools import SQL

# The order of a supply's terms: that now in force first, and before the beginning the first one.
PRESENT_FIRST = SQL("""
    since <= energy_now() DESC, CASE WHEN since <= energy_now() THEN since END DESC, since
""")


class EnergySupply(models.Model):
    """Searching and grouping supplies by their present tariff, which time itself changes."""

    _inherit = "energy.supply"

    def _search_tariff_id(self, operator, value):
        if operator not in ("in", "any"):
            return NotImplemented
        present = SQL(
            "(SELECT DISTINCT ON (supply_id) id FROM energy_supply_term ORDER BY supply_id, %s)",
            PRESENT_FIRST,
        )
        return [("term_ids", "any", [("id", "in", present), ("tariff_id", operator, value)])]

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr == "tariff_id":
            return SQL(
                "(SELECT tariff_id FROM energy_supply_term WHERE supply_id = %s"
                " ORDER BY %s LIMIT 1)",
                SQL.identifier(alias, "id"),
                PRESENT_FIRST,
            )
        return super()._field_to_sql(alias, field_expr, query)
