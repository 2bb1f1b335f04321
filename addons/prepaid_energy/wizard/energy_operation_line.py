from odoo import _, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_datetime


class EnergyOperationLine(models.TransientModel):
    _name = "energy.operation.line"
    _description = "Result of an operation"
    _order = "is_done, id"

    operation_id = fields.Many2one("energy.operation", required=True, ondelete="cascade")
    meter_id = fields.Many2one("energy.meter", required=True, readonly=True, ondelete="cascade")
    property_id = fields.Many2one(related="meter_id.property_id")
    account_id = fields.Many2one(related="meter_id.account_id")
    balance = fields.Monetary(related="account_id.balance")
    currency_id = fields.Many2one(related="meter_id.company_id.currency_id")
    is_done = fields.Boolean(readonly=True)
    result = fields.Char(readonly=True)

    def _carry_out(self, granted_until=None):
        """Carry the operation out on one meter; what is refused is noted, not raised.

        :param datetime granted_until: supply on in arrears until then, by a manager's leave
        """
        self.ensure_one()
        operation = self.operation_id
        try:
            with self.env.cr.savepoint():
                if operation.action == "set_tariff":
                    result = self._set_tariff()
                elif operation.action == "set_addition":
                    result = self._set_addition()
                elif operation.action == "set_bands":
                    result = self._set_bands()
                else:
                    self.meter_id.check_access("read")
                    # sudo: persons order, only the flow writes control and command rows; the
                    # group and the access to the meter have been checked
                    result = self.meter_id.control_id.sudo()._order_by_person(
                        operation.action, operation._reason_text(), granted_until
                    )
        except UserError as error:
            self.write({"is_done": False, "result": str(error)})
        else:
            self.write({"is_done": True, "result": result})

    def _supply(self):
        supply = self.env["energy.supply"]._present(self.meter_id).get(self.meter_id.id)
        if not supply:
            raise UserError(_("The meter serves no account."))
        # sudo: terms are set by managers, supplies in service are not edited by anybody else
        return supply.sudo()

    def _set_tariff(self):
        operation = self.operation_id
        if self._supply()._set_tariff(operation.tariff_id, operation.since):
            return _(
                "“%(tariff)s” from %(since)s on.",
                tariff=operation.tariff_id.name,
                since=format_datetime(self.env, operation.since),
            )
        return _("Has this tariff already.")

    def _set_bands(self):
        operation = self.operation_id
        if self._supply()._set_bands(operation.band_source, operation.since):
            labels = dict(operation._fields["band_source"]._description_selection(self.env))
            return _(
                "%(source)s from %(since)s on.",
                source=labels[operation.band_source],
                since=format_datetime(self.env, operation.since),
            )
        return _("Goes by that already.")

    def _set_addition(self):
        operation = self.operation_id
        if self._supply()._set_terms(operation.since, limit_addition=operation.limit_addition):
            return _(
                "%(addition)s a month from %(since)s on.",
                addition=f"{operation.limit_addition:g}",
                since=format_datetime(self.env, operation.since),
            )
        return _("Has this addition already.")
