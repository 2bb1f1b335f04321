from odoo import fields, models


class EnergySupplyMark(models.Model):
    """Up to which accepted reading a supply is settled. Written by settling only."""

    _name = "energy.supply.mark"
    _description = "Settled until"
    _log_access = False
    _rec_name = "supply_id"

    supply_id = fields.Many2one(
        "energy.supply", required=True, readonly=True, index=True, ondelete="cascade"
    )
    site_id = fields.Many2one(related="supply_id.site_id")
    company_id = fields.Many2one(related="supply_id.company_id")
    settled_until = fields.Datetime(required=True, readonly=True)
    register = fields.Float(digits=(18, 6), required=True, readonly=True)

    is_estimated = fields.Boolean(
        readonly=True, help="Settled by an estimate, until the meter answers again."
    )

    _estimated_idx = models.Index("(supply_id) WHERE is_estimated")
    _supply_uniq = models.UniqueIndex("(supply_id)", "A supply has one mark.")

    def init(self):
        # Fill factor as in `energy.wallet`. Each upsert of settling takes a number, also where it
        # only updates a row: they run out of 32 bits.
        self.env.cr.execute("""
            ALTER TABLE energy_supply_mark SET (fillfactor = 50);
            ALTER TABLE energy_supply_mark ALTER COLUMN id TYPE bigint;
            ALTER SEQUENCE energy_supply_mark_id_seq AS bigint;
        """)
