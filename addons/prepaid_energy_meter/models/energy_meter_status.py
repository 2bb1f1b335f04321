from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import api, fields, models
from odoo.addons.prepaid_energy import clock
from odoo.tools import SQL

from ..modbus.identity import AGAIN, EVERY, same_serial

IDENTITY = ["identified_at", "serial_read", "serial_known", "multiplier_read"]


class EnergyMeterStatus(models.Model):
    """Who answers at a meter's address, and what follows when it is another."""

    _inherit = "energy.meter.status"

    identified_at = fields.Datetime(
        readonly=True, help="When the meter was last asked for its serial number and clock."
    )
    serial_read = fields.Char(string="Serial Number Read", readonly=True)
    serial_known = fields.Boolean(
        string="Serial Number Confirmed",
        readonly=True,
        help="The meter has shown the serial number of its plate. From then on another number "
        "means another meter.",
    )
    multiplier_read = fields.Float(
        digits=(12, 4), readonly=True, help="CT × PT as the meter says it."
    )

    @api.model
    def _take_identities(self, identities, multipliers):
        """Keep what meters said of themselves, and raise or end what follows from it.

        :param dict identities: :class:`..modbus.identity.Identity` by meter id
        :param dict multipliers: CT × PT by meter id, where the meter says it
        """
        if not identities:
            return
        self.env.flush_all()
        now = clock.now(self.env.cr)
        meters = self.env.execute_query(
            SQL(
                """
            SELECT m.id, m.name, p.tz, s.serial_known,
                   (SELECT certainty FROM energy_register
                     WHERE profile_id = m.profile_id AND meaning = 'serial')
              FROM energy_meter m
              JOIN energy_property p ON p.id = m.site_id
              JOIN energy_meter_status s ON s.meter_id = m.id
             WHERE m.id = ANY(%s)
            """,
                sorted(identities),
            )
        )
        rows, offsets = [], []
        others, compared, encrypted, asked = {}, [], {}, []
        for meter, plate, tz, is_known, certainty in meters:
            identity = identities[meter]
            serial = identity.serial
            if serial is not None:
                compared.append(meter)
                if same_serial(serial, plate):
                    is_known = True
                else:
                    is_sure = is_known or certainty != "C"
                    code = "serial" if is_sure else "serial_unsure"
                    others[meter] = (now, code, {"serial": serial, "plate": plate})
            if "encryption" in identity.values:
                asked.append(meter)
                if identity.is_encrypted:
                    encrypted[meter] = (now, "encryption", {})
            if identity.clock is not None:
                seen_at = identity.clock_seen_at.replace(tzinfo=UTC)
                wall = seen_at.astimezone(ZoneInfo(tz or "UTC")).replace(tzinfo=None)
                offset = round((identity.clock - wall).total_seconds())
                offsets.append({"meter_id": meter, "clock_offset": offset})
            asked_at = now - EVERY + AGAIN if identity.silent else now
            rows.append((meter, asked_at, serial, bool(is_known), multipliers.get(meter)))
        self._report(offsets)
        self.env.cr.execute_values(
            """
            UPDATE energy_meter_status s
               SET identified_at = v.asked_at::timestamp,
                   serial_read = COALESCE(v.serial, s.serial_read), serial_known = v.is_known,
                   multiplier_read = COALESCE(v.multiplier::numeric, s.multiplier_read)
              FROM (VALUES %s) AS v(meter_id, asked_at, serial, is_known, multiplier)
             WHERE s.meter_id = v.meter_id
            """,
            rows,
        )
        self.invalidate_model(IDENTITY, flush=False)
        findings = self.env["energy.meter.finding"]
        findings._sync("serial", others, [("meter_id", "in", compared)])
        findings._sync("encryption", encrypted, [("meter_id", "in", asked)])

    @api.model
    def _take_encrypted(self, meter_ids):
        """Raise the finding of meters that refuse to answer because they are encrypted."""
        if meter_ids:
            found = {meter: (clock.now(self.env.cr), "encryption", {}) for meter in meter_ids}
            findings = self.env["energy.meter.finding"]
            findings._sync("encryption", found, [("meter_id", "in", meter_ids)])

    @api.model
    def _strangers(self, meter_ids):
        """Return which of these meters have another one at their address for sure.

        One that a person has decided about, by closing the finding, is none.

        :rtype: set of int
        """
        self.env["energy.meter.finding"].flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT meter_id FROM energy_meter_finding WHERE meter_id = ANY(%s)"
                " AND kind = 'serial' AND is_standing AND state = 'open' AND code = 'serial'",
                list(meter_ids),
            )
        )
        return {meter for (meter,) in rows}

    @api.model
    def _differing_multipliers(self, read):
        """Return which multipliers read have to be judged: those of meters in service that differ
        from their supplies', or did so before.

        :param dict read: CT × PT by meter id
        :rtype: set of int
        """
        if not read:
            return set()
        self.env["energy.meter.finding"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.meter_id, COALESCE(t.multiplier, 1)::text, EXISTS (
                   SELECT 1 FROM energy_meter_finding f WHERE f.meter_id = s.meter_id
                      AND f.kind = 'multiplier' AND f.is_standing)
              FROM energy_supply s
              LEFT JOIN LATERAL (
                   SELECT multiplier FROM energy_supply_term WHERE supply_id = s.id
                    ORDER BY since DESC LIMIT 1) t ON TRUE
             WHERE s.end_at IS NULL AND s.meter_id = ANY(%s)
            """,
                sorted(read),
            )
        )
        return {meter for meter, of_supply, was in rows if was or read[meter] != Decimal(of_supply)}

    def _ask_anew(self):
        """Have these meters asked who they are, as if they had never been."""
        self.env.cr.execute(
            SQL(
                "UPDATE energy_meter_status SET identified_at = NULL, serial_read = NULL,"
                " serial_known = FALSE, multiplier_read = NULL WHERE id = ANY(%s)",
                self.ids,
            )
        )
        self.invalidate_recordset(IDENTITY, flush=False)

    def _ask_again(self):
        """Have these meters asked who they are with their next reading; what they showed before
        is still known of them."""
        self.env.cr.execute(
            SQL("UPDATE energy_meter_status SET identified_at = NULL WHERE id = ANY(%s)", self.ids)
        )
        self.invalidate_recordset(["identified_at"], flush=False)
