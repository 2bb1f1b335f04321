from odoo import api, fields, models
from odoo.tools import SQL

from ..bulk import copy_rows


class EnergySettlementQueue(models.Model):
    """What is to be rated: a meter, from a moment on.

    Collecting only inserts, settling only deletes; so neither ever waits for the other. As for
    readings, there is no foreign key to the meter: it would cost as much as the row itself, and
    settling drops what concerns meters that serve nobody.
    """

    _name = "energy.settlement.queue"
    _description = "To be settled"
    _auto = False
    _log_access = False
    _order = "id"
    _rec_name = "meter_id"

    meter_id = fields.Many2one("energy.meter", required=True, readonly=True)
    site_id = fields.Many2one(related="meter_id.site_id")
    company_id = fields.Many2one(related="meter_id.company_id")
    since = fields.Datetime(required=True, readonly=True)
    not_before = fields.Datetime(readonly=True, help="Set aside until then after a failure.")

    def init(self):
        self.env.cr.execute("""
            CREATE TABLE IF NOT EXISTS energy_settlement_queue (
                id bigserial PRIMARY KEY,
                meter_id integer NOT NULL,
                since timestamp NOT NULL,
                not_before timestamp
            );
            CREATE INDEX IF NOT EXISTS energy_settlement_queue_meter_idx
                ON energy_settlement_queue (meter_id);
        """)

    @api.model
    def _add(self, rows):
        """Queue meters for rating.

        :param list rows: pairs (meter id, naive UTC moment from which something changed)
        """
        earliest = {}
        for meter, since in rows:
            if meter not in earliest or since < earliest[meter]:
                earliest[meter] = since
        if earliest:
            copy_rows(
                self.env.cr,
                "energy_settlement_queue",
                ("meter_id", "since"),
                sorted(earliest.items()),
            )

    @api.model
    def _add_version(self, versions):
        """Queue what newly approved tariff versions price, and what waited for a price."""
        self.env["energy.supply.term"].flush_model()
        self.flush_model()
        versions.flush_recordset()
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_settlement_queue (meter_id, since)
            SELECT s.meter_id, min(GREATEST(s.start_at, t.since,
                   v.date_from::timestamp AT TIME ZONE site.tz AT TIME ZONE 'UTC'))
              FROM energy_tariff_version v
              JOIN energy_supply_term t ON t.tariff_id = v.tariff_id
              JOIN energy_supply s ON s.id = t.supply_id
              JOIN energy_property site ON site.id = s.site_id
              JOIN energy_supply_mark k ON k.supply_id = s.id
             WHERE v.id = ANY(%s)
               AND k.settled_until > v.date_from::timestamp AT TIME ZONE site.tz AT TIME ZONE 'UTC'
             GROUP BY s.meter_id
            """,
                versions.ids,
            )
        )
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_settlement_queue q SET not_before = NULL
              FROM energy_supply s JOIN energy_supply_term t ON t.supply_id = s.id
             WHERE q.meter_id = s.meter_id AND t.tariff_id = ANY(%s)
               AND q.not_before IS NOT NULL
            """,
                versions.tariff_id.ids,
            )
        )
        self.invalidate_model(flush=False)
        self.env.ref("prepaid_energy.ir_cron_settle")._trigger()

    @api.model
    def _add_days(self, tariffs, day):
        """Queue what tariffs priced from a local date on, because the kind of a day changed.

        :param tariffs: `energy.tariff`
        :param date day: first local date whose prices changed
        """
        self.env["energy.supply.term"].flush_model()
        self.flush_model()
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_settlement_queue (meter_id, since)
            SELECT s.meter_id, min(GREATEST(s.start_at, t.since, d.since))
              FROM energy_supply_term t
              JOIN energy_supply s ON s.id = t.supply_id
              JOIN energy_property site ON site.id = s.site_id
              JOIN energy_supply_mark k ON k.supply_id = s.id
             CROSS JOIN LATERAL (
                   SELECT %s::timestamp AT TIME ZONE site.tz AT TIME ZONE 'UTC' AS since) d
             WHERE t.tariff_id = ANY(%s) AND k.settled_until > d.since
               AND k.settled_until > t.since
             GROUP BY s.meter_id
            """,
                day,
                tariffs.ids,
            )
        )
        self.invalidate_model(flush=False)
        self.env.ref("prepaid_energy.ir_cron_settle")._trigger()
