from odoo import api, models


class ReportEnergyExplanation(models.AbstractModel):
    """How balance entries were made, as a document in their customers' languages."""

    _name = "report.prepaid_energy.report_explanation"
    _description = "Explanation of balance entries"

    @api.model
    def _get_report_values(self, docids, data=None):
        entries = self.env["energy.wallet.entry"].browse(docids)
        documents = []
        for entry in entries:
            lang = entry.partner_id.lang or self.env.lang
            explanations = self.env["energy.explanation"].with_context(lang=lang)
            documents.append(
                {
                    "entry": entry.with_context(lang=lang),
                    "lang": lang,
                    "explained": explanations._explain(entry.with_context(lang=lang)),
                    **explanations._formats(entry),
                }
            )
        return {"doc_ids": entries.ids, "docs": entries, "documents": documents}
