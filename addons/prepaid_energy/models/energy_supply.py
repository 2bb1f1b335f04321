from decimal import Decimal

from odoo import Command, _, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import format_datetime

from .. import clock


class EnergySupply(models.Model):
    """A meter serves an account from one moment to another.

    Tariff and multiplier are dated terms of it (`energy.supply.term`), so that a change of tariff
    neither ends the supply nor touches what was priced before.
    """

    _name = "energy.supply"
    _description = "Supply"
    _inherit = ["energy.guarded"]
    _order = "account_id, start_at desc, id"
    _check_company_auto = True
    _rec_name = "meter_id"
    _flow_fields = frozenset({"end_at", "closing_register", "counter_id", "chain_id"})

    account_id = fields.Many2one("energy.account", required=True, index=True, ondelete="restrict")
    meter_id = fields.Many2one(
        "energy.meter", required=True, index=True, ondelete="restrict", check_company=True
    )
    commodity = fields.Selection(related="meter_id.commodity")
    company_id = fields.Many2one(related="account_id.company_id", store=True, index=True)
    site_id = fields.Many2one(related="account_id.site_id", store=True, index=True)
    account_state = fields.Selection(related="account_id.state")
    start_at = fields.Datetime(
        string="From", required=True, default=lambda self: clock.now(self.env.cr)
    )
    end_at = fields.Datetime(string="Until", readonly=True)
    opening_register = fields.Float(
        digits=(18, 4),
        help="Register at the beginning. 0 at an unread meter is a figure too: "
        "the use before it belongs to nobody.",
    )
    closing_register = fields.Float(digits=(18, 4), readonly=True)
    counter_id = fields.Many2one(
        "energy.supply",
        string="Tiers Counted From",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Set where a meter was replaced without carrying its count of the tiers on: the "
        "supply of the new meter.",
    )
    chain_id = fields.Many2one(
        "energy.supply",
        string="First Meter",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Set where a meter was replaced and its count of the tiers carried on: the supply of "
        "the first one.",
    )
    term_ids = fields.One2many("energy.supply.term", "supply_id", string="Terms")
    mark_id = fields.One2many("energy.supply.mark", "supply_id")
    tariff_id = fields.Many2one(
        "energy.tariff",
        compute="_compute_tariff_id",
        inverse="_inverse_present_term",
        search="_search_tariff_id",
        check_company=True,
        domain="[('commodity', '=', commodity), ('company_id', '=', company_id)]",
    )
    multiplier = fields.Float(
        digits=(12, 4),
        compute="_compute_multiplier",
        inverse="_inverse_present_term",
        help="CT × PT: the register's figure times this is the use.",
    )
    limit_addition = fields.Float(
        string="Addition to Tier Limits",
        digits=(12, 3),
        compute="_compute_limit_addition",
        inverse="_inverse_present_term",
        help="For a bigger household: added to each tier limit for every month of the tier period, "
        "from the first tier period that begins with it. Of several meters that share their tiers "
        "the highest counts, once.",
    )

    _check_times = models.Constraint(
        "CHECK (end_at IS NULL OR end_at > start_at)", "A supply ends after it begins."
    )
    _meter_excl = models.Constraint(
        "EXCLUDE USING gist (int4range(meter_id, meter_id, '[]') WITH &&,"
        " tsrange(start_at, end_at) WITH &&)",
        "The meter serves another account at that time.",
    )

    def _present_term(self, now):
        """Return the terms in force at a moment; before the beginning the first ones."""
        terms = self.term_ids.sorted("since")
        return terms.filtered(lambda term: term.since <= now)[-1:] or terms[:1]

    # One method a field: what is not typed beside another keeps its value.

    @api.depends("term_ids.since", "term_ids.tariff_id")
    def _compute_tariff_id(self):
        now = clock.now(self.env.cr)
        for supply in self:
            supply.tariff_id = supply._present_term(now).tariff_id

    @api.depends("term_ids.since", "term_ids.multiplier")
    def _compute_multiplier(self):
        now = clock.now(self.env.cr)
        for supply in self:
            supply.multiplier = supply._present_term(now).multiplier or 1

    @api.depends("term_ids.since", "term_ids.limit_addition")
    def _compute_limit_addition(self):
        now = clock.now(self.env.cr)
        for supply in self:
            supply.limit_addition = supply._present_term(now).limit_addition

    def _inverse_present_term(self):
        """Edit the first term; later changes are terms of their own (*Set tariff*)."""
        for supply in self:
            first = supply.term_ids.sorted("since")[:1]
            values = {
                "tariff_id": supply.tariff_id.id,
                "multiplier": supply.multiplier or 1,
                "limit_addition": supply.limit_addition,
            }
            if first:
                if supply.account_state != "draft" and (
                    first.tariff_id != supply.tariff_id
                    or first.multiplier != supply.multiplier
                    or first.limit_addition != supply.limit_addition
                ):
                    raise UserError(
                        _(
                            "%s is in service: change its tariff with “Set tariff”, "
                            "from a date on.",
                            supply.meter_id.name,
                        )
                    )
                first.write(values)
            elif not supply.tariff_id and (
                supply.multiplier not in (0, 1) or supply.limit_addition
            ):
                raise UserError(
                    _(
                        "Choose the tariff of meter %s too: its other terms are kept with it.",
                        supply.meter_id.name,
                    )
                )
            elif supply.tariff_id:
                self.env["energy.supply.term"].create(
                    {**values, "supply_id": supply.id, "since": supply.start_at}
                )

    @api.onchange("meter_id")
    def _onchange_meter_id(self):
        """The meter brings its last reading and its tariff."""
        self.update({**self._first_values(self.meter_id), "meter_id": self.meter_id})

    @api.model
    def _first_values(self, meter):
        """Return what a supply by a meter begins with on the form.

        The tariff is that of the meter's last supply, or the only one of its commodity.
        """
        meter = meter._origin
        tariff = meter.supply_ids.sorted("start_at")[-1:].tariff_id
        if meter and not tariff:
            tariffs = self.env["energy.tariff"].search(
                [("commodity", "=", meter.commodity), ("company_id", "=", meter.company_id.id)],
                limit=2,
            )
            tariff = tariffs if len(tariffs) == 1 else tariff
        return {
            "meter_id": meter.id,
            "opening_register": meter.register,
            "tariff_id": tariff.id,
            "multiplier": 1,
        }

    @api.constrains("account_id", "meter_id")
    def _check_site(self):
        for supply in self:
            if supply.meter_id.site_id != supply.account_id.site_id:
                raise ValidationError(
                    _(
                        "Meter %(meter)s stands on site %(site)s, account %(account)s belongs to "
                        "another.",
                        meter=supply.meter_id.name,
                        site=supply.meter_id.site_id.name,
                        account=supply.account_id.name,
                    )
                )

    @api.constrains("start_at", "opening_register", "meter_id", "account_id")
    def _check_unchanged(self):
        for supply in self:
            if supply.mark_id:
                raise ValidationError(
                    _(
                        "Use of meter %s has been priced: beginning, opening register, meter and "
                        "account stay.",
                        supply.meter_id.name,
                    )
                )

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`: use after an end set by hand is charged to nobody."""
        if self._flow_fields.intersection(names):
            return _("A supply is ended by closing its account or replacing its meter.")
        return super()._guarded_refusal(names)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_active(self):
        if any(supply.account_state != "draft" for supply in self):
            raise UserError(_("A supply of an opened account is ended, never deleted."))

    def _present(self, meters, at=None):
        """Return the supply that serves each meter at a moment.

        :param meters: recordset of `energy.meter`
        :param datetime at: naive UTC; now if None
        :return: dict of meter id to supply; meters without one are missing
        """
        at = at or clock.now(self.env.cr)
        supplies = self.search(
            [
                ("meter_id", "in", meters.ids),
                ("start_at", "<=", at),
                "|",
                ("end_at", "=", False),
                ("end_at", ">", at),
            ]
        )
        return {supply.meter_id.id: supply for supply in supplies}

    def _search_present(self, domain):
        at = clock.now(self.env.cr)
        return self.search(
            [*domain, ("start_at", "<=", at), "|", ("end_at", "=", False), ("end_at", ">", at)]
        )

    def _what_is_missing(self):
        """Return what keeps this supply from being taken into service, a sentence each.

        :rtype: list of str
        """
        self.ensure_one()
        meter, tariff = self.meter_id, self.tariff_id
        missing = []
        if not meter.active:
            missing.append(_("Meter %s is archived.", meter.name))
        if not tariff:
            missing.append(_("Choose the tariff of meter %s.", meter.name))
        elif not tariff._version_starts(tariff.id):
            missing.append(
                _(
                    "Meter %(meter)s: tariff “%(tariff)s” has no approved prices.",
                    meter=meter.name,
                    tariff=tariff.name,
                )
            )
        if self.start_at > clock.now(self.env.cr):
            missing.append(_("Meter %s begins in the future: open the account then.", meter.name))
        if self.opening_register < 0:
            missing.append(_("Meter %s: the opening reading cannot be negative.", meter.name))
        return missing

    def _activate(self):
        """Take the opening registers as accepted readings."""
        rows = []
        for supply in self:
            if not supply.tariff_id:
                raise UserError(_("Choose the tariff of meter %s.", supply.meter_id.name))
            earliest = min(supply.term_ids.mapped("since"))
            if earliest > supply.start_at:
                supply.term_ids.sorted("since")[:1].since = supply.start_at
            rows.append(
                (
                    supply.meter_id.id,
                    supply.start_at,
                    Decimal(f"{supply.opening_register:.4f}"),
                    None,
                    "typed",
                )
            )
        self.env["energy.reading"]._take_registers(rows)
        # Readings after the beginning may have come already.
        self.env["energy.settlement.queue"]._add([(row[0], row[1]) for row in rows])

    def _end(self, moment, registers):
        """End supplies with their closing registers, taken as accepted readings.

        The caller holds the locks of the accounts' balances and settles afterwards.

        :param datetime moment: naive UTC
        :param dict registers: closing register (Decimal) by supply id
        :raise UserError: where a supply does not last at that moment, or a register does not fit
        """
        for supply in self:
            if supply.end_at or supply.start_at >= moment:
                raise UserError(
                    _(
                        "The supply of meter %(meter)s does not last at %(moment)s.",
                        meter=supply.meter_id.name,
                        moment=format_datetime(self.env, moment),
                    )
                )
        self.env["energy.reading"]._take_registers(
            [(s.meter_id.id, moment, registers[s.id], None, "typed") for s in self]
        )
        for supply in self:
            # sudo: no user ends a supply by hand; the documents that do so call this
            supply.sudo().write({"end_at": moment, "closing_register": float(registers[supply.id])})
        # What was charged beyond the end is counted anew.
        self.env["energy.settlement.queue"]._add([(s.meter_id.id, moment) for s in self])

    def _continued(self, moment, register, **values):
        """Return the values of a supply that goes on with the terms of this one.

        :param datetime moment: naive UTC at which it begins
        :param Decimal register: its opening register
        :param values: account_id, meter_id and what else differs
        """
        self.ensure_one()
        terms = self.term_ids.sorted("since")
        present = terms.filtered(lambda term: term.since <= moment)[-1:] or terms[:1]
        later = terms.filtered(lambda term: term.since > moment)
        # Another meter's plan of rate periods was not read back yet.
        is_same = values.get("meter_id", self.meter_id.id) == self.meter_id.id
        return {
            "start_at": moment,
            "opening_register": float(register),
            "term_ids": [
                Command.create(
                    {
                        "since": max(term.since, moment),
                        "tariff_id": term.tariff_id.id,
                        "multiplier": term.multiplier,
                        "limit_addition": term.limit_addition,
                        "band_source": term.band_source if is_same else "platform",
                        "plan_version_id": term.plan_version_id.id if is_same else False,
                    }
                )
                for term in present + later
            ],
            **values,
        }

    def action_replace_meter(self):
        """Write the document of a meter replacement."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Replace the Meter"),
            "res_model": "energy.meter.exchange",
            "view_mode": "form",
            "context": {"default_supply_id": self.id},
        }
