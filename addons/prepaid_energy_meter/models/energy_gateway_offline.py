from odoo import _, api, fields, models


class EnergyGateway(models.Model):
    """A gateway that is offline is told once, for all the meters behind it."""

    _inherit = "energy.gateway"

    offline_since = fields.Datetime(related="status_id.offline_since")

    @api.model
    def _offline(self, gateway_ids):
        """Return which of these gateways are offline, by id: since when."""
        rows = self.env["energy.gateway.status"].search_fetch(
            [("gateway_id", "in", gateway_ids), ("offline_since", "!=", False)],
            ["gateway_id", "offline_since"],
        )
        return {row.gateway_id.id: row.offline_since for row in rows}

    @api.model
    def _tell_changes(self, before, gateway_ids):
        """Note on each gateway that went offline or came back that it did.

        :param dict before: as `_offline` said before
        """
        self.env["energy.gateway.status"].invalidate_model(flush=False)
        now = self._offline(gateway_ids)
        for gateway in self.browse(sorted(now.keys() ^ before.keys())):
            if gateway.id in now:
                count = len(gateway.meter_ids)
                body = _(
                    "Offline: %(error)s. %(count)s meters are behind it.",
                    error=gateway.error or _("no answer"),
                    count=count,
                )
            else:
                body = _("Answers again; it was offline since %s (UTC).", before[gateway.id])
            gateway.message_post(body=body)


class EnergyMeter(models.Model):
    _inherit = "energy.meter"

    gateway_offline_since = fields.Datetime(related="gateway_id.offline_since")


class EnergyMeterFinding(models.Model):
    _inherit = "energy.meter.finding"

    @api.model
    def _silent(self, site):
        """Override of `prepaid_energy`: a meter behind an offline gateway is not silent by itself;
        what was found before stands."""
        found = super()._silent(site)
        behind = self.env["energy.meter"].search(
            [("id", "in", list(found)), ("gateway_offline_since", "!=", False)]
        )
        known = self.search(
            [("meter_id", "in", behind.ids), ("kind", "=", "silent"), ("is_standing", "=", True)]
        ).meter_id
        for meter in behind - known:
            del found[meter.id]
        return found
