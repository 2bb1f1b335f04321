from odoo import api, fields, models
from odoo.tools import SQL

from .energy_wallet_entry import CHARGED

RECEIVED = ("top_up", "refund")
SIDES = [("received", "Received"), ("earned", "Earned"), ("moved", "Moved")]


def origin_kind(alias):
    """Return the kind an entry counts as: its own, or of a reversal the kind that it undoes.

    :param str alias: of `energy_wallet_entry` in the statement
    """
    entry = SQL.identifier(alias)
    return SQL(
        """
        CASE WHEN %(entry)s.kind = 'reversal' THEN COALESCE((
                  SELECT undone.kind FROM energy_wallet_entry undone
                   WHERE undone.key = %(entry)s.cause_key), 'reversal')
             ELSE %(entry)s.kind END""",
        entry=entry,
    )


def side(origin, method):
    """Return which side of the business an entry is on, one of `SIDES`.

    :param SQL origin: what `origin_kind` gave
    :param SQL method: the entry's payment method
    """
    return SQL(
        """
        CASE WHEN %(origin)s IN %(received)s
                  OR %(origin)s = 'opening' AND %(method)s IS NOT NULL THEN 'received'
             WHEN %(origin)s IN %(charged)s THEN 'earned'
             ELSE 'moved' END""",
        origin=origin,
        method=method,
        received=RECEIVED,
        charged=CHARGED,
    )


class EnergyWalletEntry(models.Model):
    """Whether an entry is money received, use earned, or only a movement between balances."""

    _inherit = "energy.wallet.entry"

    side = fields.Selection(
        SIDES,
        compute="_compute_side",
        search="_search_side",
        help="Received: top-ups and refunds. Earned: use, charge items and shares. Moved: all "
        "else. A reversal counts where the entry does that it undoes. Never add the sides up.",
    )

    @api.depends("kind", "cause_key", "method_id")
    def _compute_side(self):
        rows = self.env.execute_query(
            SQL(
                "SELECT e.id, %s FROM energy_wallet_entry e WHERE e.id = ANY(%s)",
                self._side_sql("e"),
                self.ids,
            )
        )
        sides = dict(rows)
        for entry in self:
            entry.side = sides.get(entry.id)

    def _search_side(self, operator, value):
        if operator != "in":
            return NotImplemented
        found = SQL(
            "(SELECT e.id FROM energy_wallet_entry e WHERE %s = ANY(%s))",
            self._side_sql("e"),
            [one for one in value if one],
        )
        return [("id", "in", found)]

    def _side_sql(self, alias):
        return side(origin_kind(alias), SQL.identifier(alias, "method_id"))

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr == "side":
            return self._side_sql(alias)
        return super()._field_to_sql(alias, field_expr, query)
