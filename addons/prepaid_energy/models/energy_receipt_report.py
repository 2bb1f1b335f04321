from odoo import api, models


class ReceiptA5(models.AbstractModel):
    """What the receipt's template prints: each rendering is a print and is counted."""

    _name = "report.prepaid_energy.report_receipt_a5"
    _description = "Receipt, A5"

    @api.model
    def _get_report_values(self, docids, data=None):
        receipts = self.env["energy.receipt"].browse(docids)
        copies = receipts._count_prints()
        return {
            "doc_ids": receipts.ids,
            "doc_model": receipts._name,
            "docs": receipts,
            "copies": copies,
        }


class ReceiptRoll(models.AbstractModel):
    _name = "report.prepaid_energy.report_receipt_roll"
    _description = "Receipt, 80 mm"
    _inherit = "report.prepaid_energy.report_receipt_a5"
