from odoo import models


class EnergyWalletEntry(models.Model):
    """An entry of a shift is posted while the shift is open, and closing it sees the entry.

    Posting touches the shift's row, so that of an entry and a closing at the same time one comes
    first and the other one begins again with what is there then.
    """

    _inherit = "energy.wallet.entry"

    def init(self):
        result = super().init()
        self.env.cr.execute("""
            CREATE OR REPLACE FUNCTION energy_shift_use() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE energy_shift SET state = state WHERE id = NEW.shift_id AND state = 'open';
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'The shift is closed: open a new one.'
                          USING ERRCODE = 'restrict_violation';
                END IF;
                RETURN NULL;
            END $$;

            CREATE OR REPLACE TRIGGER energy_entry_use_shift
            AFTER INSERT ON energy_wallet_entry
            FOR EACH ROW WHEN (NEW.shift_id IS NOT NULL)
            EXECUTE FUNCTION energy_shift_use();
        """)
        return result
