from odoo import models
from odoo.tools.pdf import merge_pdf


class IrActionsReport(models.Model):
    _inherit = "ir.actions.report"

    def _run_wkhtmltopdf(
        self,
        bodies,
        report_ref=False,
        header=None,
        footer=None,
        landscape=False,
        specific_paperformat_args=None,
        set_viewport_size=False,
    ):
        """Override of `base` to print our documents one by one and merge them.

        wkhtmltopdf as Debian and others build it takes one document at a time.
        """
        run = super()._run_wkhtmltopdf
        options = (header, footer, landscape, specific_paperformat_args, set_viewport_size)
        bodies = list(bodies)
        name = self._get_report(report_ref).report_name if report_ref else ""
        if len(bodies) < 2 or not name.startswith("prepaid_energy."):
            return run(bodies, report_ref, *options)
        return merge_pdf([run([body], report_ref, *options) for body in bodies])
