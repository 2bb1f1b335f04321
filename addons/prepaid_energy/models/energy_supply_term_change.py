from odoo import _, models
from odoo.exceptions import UserError

from ..local_time import local_date


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

    def _set_bands(self, source, since):
        """Let use go into rate periods by the meter's registers, or by platform time.

        :param str source: of `energy.supply.term.band_source`
        :param datetime since: naive UTC
        :return: whether that changes anything
        """
        self.ensure_one()
        version = self.env["energy.tariff.version"]
        if source == "meter":
            version = self._version_at(since)
            self._check_registers_count(version)
        return self._set_terms(since, band_source=source, plan_version_id=version.id)

    def _version_at(self, moment):
        """Return the approved version that prices this supply's use at a moment."""
        terms = self.term_ids.sorted("since")
        tariff = (terms.filtered(lambda term: term.since <= moment)[-1:] or terms[:1]).tariff_id
        day = local_date(moment, self.site_id._zone())
        keys = [key for first, key in tariff._version_starts(tariff.id) if first <= day]
        return self.env["energy.tariff.version"].browse(keys[-1:])

    def _check_registers_count(self, version):
        """Refuse, with the reason, what keeps the meter's band registers from being relied on."""
        meter = self.meter_id
        # sudo: whoever sets terms need not see findings
        is_off = (
            self.env["energy.meter.finding"]
            .sudo()
            .search_count(
                [("meter_id", "=", meter.id), ("kind", "=", "clock"), ("closed_at", "=", False)],
                limit=1,
            )
        )
        reason = (
            _("no price is in force then.") if not version else version._refusals(meter)[meter.id]
        ) or (is_off and _("its clock is off."))
        if reason:
            raise UserError(
                _(
                    "Rate periods of meter %(meter)s stay by platform time: %(reason)s",
                    meter=meter.name,
                    reason=reason,
                )
            )

    def action_set_bands(self):
        """Ask by what use is put into rate periods, and from when."""
        return self.env["energy.operation"]._open(self.meter_id, "set_bands")

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
