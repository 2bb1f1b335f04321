from odoo import _, models
from odoo.exceptions import UserError


class EnergySupply(models.Model):
    """Changing the terms of a supply in service from a moment on: past, present or to come."""

    _inherit = "energy.supply"

    def _set_tariff(self, tariff, since):
        """Price use from a moment on by another tariff.

        :param tariff: `energy.tariff`
        :param datetime since: naive UTC
        :return: whether that changes anything
        """
        self.ensure_one()
        if tariff.commodity != self.commodity:
            raise UserError(
                _("“%(tariff)s” is a tariff for another commodity.", tariff=tariff.name)
            )
        return self._set_terms(since, tariff_id=tariff.id)

    def _set_terms(self, since, **values):
        """Let other terms hold from a moment on; what was charged since is counted anew.

        :param datetime since: naive UTC
        :param values: new values of `energy.supply.term`; what is not named stays
        :return: whether that changes anything
        """
        self.ensure_one()
        if since < self.start_at:
            raise UserError(_("The supply of meter %s begins later.", self.meter_id.name))
        terms = self.term_ids.sorted("since")
        current = terms.filtered(lambda term: term.since <= since)[-1:]
        if terms.filtered(lambda term: term.since > since):
            raise UserError(_("Meter %s has a later change of terms already.", self.meter_id.name))
        known = current.read(list(values), load="")[0]
        if all(known[name] == value for name, value in values.items()):
            return False
        if current.since != since:
            current.copy({"since": since, **values})
        elif values.keys() == {"limit_addition"}:
            current._correct_addition(values["limit_addition"])
        else:
            current.write(values)
        self.env["energy.settlement.queue"]._add([(self.meter_id.id, since)])
        return True

    def action_set_tariff(self):
        """Ask for the new tariff and its date."""
        return self.env["energy.operation"]._open(self.meter_id, "set_tariff")

    def action_set_addition(self):
        """Ask for the addition to the tier limits, and from when."""
        return self.env["energy.operation"]._open(self.meter_id, "set_addition")


class EnergySupplyTerm(models.Model):
    _inherit = "energy.supply.term"

    def _correct_addition(self, addition):
        """Correct the addition of terms by which use has been priced; it is priced again.

        A household was bigger from the beginning: only its dated change calls this, and queues the
        meter.
        """
        # Past this model's own `write`, which refuses to touch terms that were used.
        models.Model.write(self, {"limit_addition": addition})
