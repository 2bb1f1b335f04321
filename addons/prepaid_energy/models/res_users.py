from odoo import fields, models

# How a cashier's receipts are printed.
RECEIPT_PAPERS = [("a5", "A5"), ("roll", "80 mm"), ("none", "Do not print")]


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

    energy_method_id = fields.Many2one(
        "energy.payment.method",
        string="Last Payment Method",
        readonly=True,
        ondelete="set null",
        help="What this cashier's counter proposes.",
    )
    energy_receipt_paper = fields.Selection(
        RECEIPT_PAPERS, string="Print Receipt", default="a5", readonly=True
    )

    def _is_energy(self, *roles):
        """Return whether this user has one of these roles: "operator", "engineer", …"""
        return any(self.has_group(f"prepaid_energy.group_energy_{role}") for role in roles)

    def write(self, vals):
        result = super().write(vals)
        if "energy_site_ids" in vals:
            # Record rules are cached per user and depend on this field.
            self.env.registry.clear_cache()
        return result
