from odoo import fields, models


class ResUsers(models.Model):
    _inherit = "res.users"

    energy_site_ids = fields.Many2many(
        "energy.property",
        "energy_site_users_rel",
        "user_id",
        "site_id",
        string="Energy Sites",
        domain=[("kind", "=", "site")],
        ondelete="restrict",
        # A user of an archived site must not become a user of all sites.
        context={"active_test": False},
        help="Sites whose rooms, meters and accounts this user works with. Empty: all sites of "
        "the user's companies.",
    )

    def write(self, vals):
        result = super().write(vals)
        if "energy_site_ids" in vals:
            # Record rules are cached per user and depend on this field.
            self.env.registry.clear_cache()
        return result
