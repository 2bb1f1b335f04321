from odoo import http
from odoo.http import request

from ..models.energy_receipt import REPORTS


class ReceiptController(http.Controller):
    """Receipts as pages that the browser prints by itself."""

    @http.route(
        "/energy/receipt/<int:receipt_id>/<any(a5,roll):paper>",
        type="http",
        auth="user",
        methods=["GET"],
    )
    def receipt(self, receipt_id, paper):
        """Return a receipt as a page; it counts as a print, since a page can be printed.

        :raise AccessError: where the user may not read or print it
        """
        receipt = request.env["energy.receipt"].browse(receipt_id).exists()
        if not receipt:
            raise request.not_found()
        page, _kind = request.env["ir.actions.report"]._render_qweb_html(
            REPORTS[paper], receipt.ids
        )
        return request.make_response(
            page, [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
        )
