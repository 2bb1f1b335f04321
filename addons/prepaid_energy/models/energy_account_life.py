from odoo import _, api, fields, models
from odoo.exceptions import AccessError

# What an opened account changes by documents only.
DOCUMENTED = {"partner_id", "billing_partner_id", "capacity"}


class EnergyAccount(models.Model):
    """What changes during the life of an account, by dated documents."""

    _inherit = "energy.account"

    change_ids = fields.One2many("energy.account.change", "account_id", string="Changes")
    change_count = fields.Integer(compute="_compute_change_count")

    @api.depends("change_ids")
    def _compute_change_count(self):
        counts = dict(
            self.env["energy.account.change"]._read_group(
                [("account_id", "in", self.ids)], ["account_id"], ["__count"]
            )
        )
        for account in self:
            account.change_count = counts.get(account, 0)

    def write(self, vals):
        documented = DOCUMENTED & vals.keys()
        if documented and not self.env.su:
            for account in self.filtered(lambda account: account.state != "draft"):
                for name in documented:
                    old = account._fields[name].convert_to_write(account[name], account)
                    if (old or False) != (vals[name] or False):
                        raise AccessError(
                            _(
                                "“%(field)s” of account %(account)s is changed by a document: "
                                "Change the Account.",
                                field=account._fields[name]._description_string(self.env),
                                account=account.name,
                            )
                        )
        return super().write(vals)

    def _invoice_title(self, day):
        """Return in whose name the account is invoiced on a local date.

        :param date day: date of the invoice
        :rtype: recordset of `res.partner`
        """
        self.ensure_one()
        later = self.change_ids.filtered(
            lambda change: change.kind == "billing" and change.state == "done"
        ).sorted(lambda change: (change.moment, change.id))
        for change in later:
            if change._local_date() > day:
                return change.old_billing_partner_id or self.partner_id
        return self.billing_partner_id or self.partner_id

    def action_change(self):
        """Write a document that changes this account; the kind is asked for, or in the context."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Change the Account"),
            "res_model": "energy.account.change",
            "view_mode": "form",
            "context": {
                "default_account_id": self.id,
                "default_kind": self.env.context.get("energy_change") or False,
            },
        }

    def action_open_changes(self):
        """Open the documents that changed these accounts."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_account_change"
        )
        return dict(
            action,
            domain=[("account_id", "in", self.ids)],
            context={"default_account_id": self.id if len(self) == 1 else False},
        )
