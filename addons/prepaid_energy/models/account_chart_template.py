from odoo import models


class AccountChartTemplate(models.AbstractModel):
    _inherit = "account.chart.template"

    def _load(self, template_code, company, install_demo, force_create=True):
        """Override of `account`, which deletes an unused chart when another one is chosen."""
        family = self.env["res.company"].sudo().search([("id", "child_of", company.id)])
        is_other = company.chart_template and company.chart_template != template_code
        is_unused = install_demo or not company.root_id._existing_accounting()
        if is_other and is_unused and not company.parent_id:
            family._energy_forget_books()
        return super()._load(template_code, company, install_demo, force_create)

    def _post_load_data(self, template_code, company, template_data):
        """Override of `account` to set up the books of energy in every new chart of accounts."""
        result = super()._post_load_data(template_code, company, template_data)
        (company or self.env.company)._energy_set_up_books()
        return result
