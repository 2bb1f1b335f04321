from odoo import models


class EnergyAccount(models.Model):
    """The billing of accounts."""

    _inherit = "energy.account"

    def _invoice_until(self, date):
        """Freeze and invoice what these accounts were charged up to a date, in this transaction.

        The period in which the date lies ends with it; what is charged later goes into the next.
        Use that was charged already for later days of it is billed as well.

        :param date date: local date of the accounts' site
        :return: the documents; a period that charges nothing needs none
        :rtype: recordset of `account.move`
        """
        self.env.flush_all()
        periods = self.env["energy.billing.period"]
        periods._freeze(dict.fromkeys(self.ids, date), cut=True)
        return periods.search([("account_id", "in", self.ids), ("state", "=", "closed")])._invoice()
