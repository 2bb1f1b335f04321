from odoo import _, api, fields, models

from ..modbus.errors import NotAllowed


class EnergyGateway(models.Model):
    """Why a gateway is not connected to, said in the language of whoever reads it."""

    _inherit = "energy.gateway"

    error = fields.Char(string="Last Error", compute="_compute_error")

    @api.depends("status_id.error")
    @api.depends_context("lang")
    def _compute_error(self):
        for gateway in self:
            noted = gateway.status_id.error
            refused = NotAllowed.read(noted or "")
            gateway.error = self._refusal(refused.code, refused.what) if refused else noted

    @api.model
    def _refusal(self, code, what):
        """Return the sentence, without its full stop, of a refused address or device.

        :param str code: of `NotAllowed.REASONS`
        :param str what: what is refused
        """
        sentences = {
            "no_device": _("%s is no device's address"),
            "server": _(
                "%s is this very server; the administrator would have to list it by itself"
            ),
            "metadata": _(
                "%s is the cloud's metadata service; the administrator would have to list it by "
                "itself"
            ),
            "link_local": _("%s is link-local; the administrator would have to list it by itself"),
            "interface": _(
                "%s is one of this server's own addresses; the administrator would have to list "
                "it by itself"
            ),
            "not_listed": _("%s is not among the addresses that the administrator allowed"),
            "nowhere": _("%s has no address"),
            "device": _("%s is not among the serial devices that the administrator allowed"),
        }
        return sentences[code] % what
