from odoo import api, models
from odoo.tools import SQL


class EnergyMeterFinding(models.Model):
    """A clock that is off takes the use since then from the meter's registers to platform time."""

    _inherit = "energy.meter.finding"

    @api.model_create_multi
    def create(self, vals_list):
        findings = super().create(vals_list)
        clocks = findings.filtered(lambda finding: finding.kind == "clock")
        if clocks:
            clocks._queue_what_registers_counted()
        return findings

    def _queue_what_registers_counted(self):
        """Queue what was settled by the registers of these findings' meters since then.

        Closing a finding changes nothing that was settled: it ends now, not before.
        """
        self.flush_model()
        self.env["energy.supply.term"].flush_model()
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_settlement_queue (meter_id, since)
            SELECT f.meter_id, min(COALESCE(
                   (SELECT max(r.moment) FROM energy_reading_data r
                     WHERE r.meter_id = f.meter_id AND r.moment < f.since
                       AND r.state = 'accepted' AND r.source <> 'estimate'), f.since))
              FROM energy_meter_finding f
              JOIN energy_supply s ON s.meter_id = f.meter_id
              JOIN energy_supply_mark k ON k.supply_id = s.id AND k.settled_until >= f.since
             WHERE f.id = ANY(%s)
               AND EXISTS (SELECT 1 FROM energy_supply_term t
                            WHERE t.supply_id = s.id AND t.band_source = 'meter')
             GROUP BY f.meter_id
            """,
                self.ids,
            )
        )
        if self.env.cr.rowcount:
            self.env["energy.settlement.queue"].invalidate_model(flush=False)
            self.env.ref("prepaid_energy.ir_cron_settle")._trigger()
