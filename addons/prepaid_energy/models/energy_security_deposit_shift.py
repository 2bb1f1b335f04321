from odoo import models


class EnergySecurityDepositMove(models.Model):
    """A deposit that comes or goes in a shift does so while the shift is open, as entries do."""

    _inherit = "energy.security.deposit.move"

    def init(self):
        result = super().init()
        self.env.cr.execute("""
            CREATE OR REPLACE TRIGGER energy_deposit_use_shift
            AFTER INSERT ON energy_security_deposit_move
            FOR EACH ROW WHEN (NEW.shift_id IS NOT NULL)
            EXECUTE FUNCTION energy_shift_use();
        """)
        return result
