from odoo import api, fields, models

from ..local_time import month_first


class ReportEnergyStatement(models.AbstractModel):
    """The statement of accounts for a month, as a document."""

    _name = "report.prepaid_energy.report_statement"
    _description = "Account statement"

    @api.model
    def _get_report_values(self, docids, data=None):
        month = fields.Date.to_date((data or {}).get("month"))
        accounts = self.env["energy.account"].browse(docids or (data or {}).get("account_ids"))
        if not month:
            # Printed without a question: the last month that is over.
            today = accounts[:1].site_id._today()
            month = month_first(fields.Date.subtract(month_first(today), days=1))
        return {
            "doc_ids": accounts.ids,
            "docs": accounts,
            "statements": accounts._statements(month),
        }
