from odoo import api, fields, models


class EnergyJudgedLine(models.AbstractModel):
    """A line of which the flow says what was found, kept as a code and its figures.

    So it is read in the language of whoever looks.
    """

    _name = "energy.judged.line"
    _description = "Line with what was found"

    finding = fields.Char(string="What It Means", compute="_compute_finding")
    finding_code = fields.Char(readonly=True)
    figures = fields.Json(readonly=True)

    @api.model
    def _sentences(self):
        """Return the sentence of each code, with the names of its figures."""
        return {}

    @api.depends("finding_code", "figures")
    @api.depends_context("lang")
    def _compute_finding(self):
        sentences = self._sentences()
        for line in self:
            line.finding = sentences.get(line.finding_code, "") % (line.figures or {})
