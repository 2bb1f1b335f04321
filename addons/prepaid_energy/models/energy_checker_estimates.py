from odoo import models


class EnergyChecker(models.AbstractModel):
    _inherit = "energy.checker"

    @property
    def RULES(self):
        return (*super().RULES, "estimates")

    def _titles(self):
        return {
            **super()._titles(),
            "estimates": self.env._(
                "Estimates stand only after all that was read, and are known where they are charged"
            ),
        }

    def _rule_estimates(self):
        # What waits to be settled may have changed since.
        queued = {row[0] for row in self._pairs("SELECT meter_id FROM energy_settlement_queue")}
        overtaken = self.env["energy.reading"]._overtaken().keys() - queued
        findings = [
            (
                meter.company_id.id,
                self.env._("Meter %s has estimates beside later readings.", meter.name),
            )
            for meter in self.env["energy.meter"].browse(sorted(overtaken))
        ]
        rows = self._pairs("""
            SELECT m.company_id, m.name FROM energy_supply_mark k
              JOIN energy_supply s ON s.id = k.supply_id
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_reading_data r ON r.meter_id = m.id AND r.state = 'accepted'
                   AND r.moment = k.settled_until
             WHERE (k.is_estimated IS TRUE) <> (r.source = 'estimate')
               AND NOT EXISTS (
                   SELECT 1 FROM energy_settlement_queue q WHERE q.meter_id = m.id)
        """)
        findings += [
            (company, self.env._("Meter %s: by what it is settled is not said.", name))
            for company, name in rows
        ]
        return self._count(
            "energy_reading_data", "source = 'estimate' AND state = 'accepted'"
        ), findings
