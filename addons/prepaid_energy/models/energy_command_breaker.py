from odoo import api, models


class EnergyCommand(models.Model):
    """Mass cut-offs wait until a person has seen them."""

    _inherit = "energy.command"

    _cut_waiting_idx = models.Index("(site_id) WHERE cause = 'arrears' AND state = 'queued'")
    _cut_written_idx = models.Index(
        "(site_id, sent_at) WHERE cause = 'arrears' AND sent_at IS NOT NULL"
    )

    _person_off_idx = models.Index("(user_id, created_at) WHERE cause = 'person' AND value = 'off'")

    @api.model
    def _hold_back(self, orders):
        """Override: cuts for arrears that are too many at once go nowhere; nothing else is
        stopped, supply on least of all."""
        cuts = [order["id"] for order in orders if self._is_queued_cut(order)]
        if cuts:
            held = self.env["energy.cut.breaker"]._hold(cuts)
            orders = [order for order in orders if order["id"] not in held]
        return super()._hold_back(orders)

    @staticmethod
    def _is_queued_cut(order):
        """Whether an order would turn a supply off for arrears and was never sent.

        What was sent may have reached the meter: the relay is read before anything is decided.
        """
        return (
            order["kind"] == "supply"
            and order["value"] == "off"
            and order["cause"] == "arrears"
            and order["state"] == "queued"
        )
