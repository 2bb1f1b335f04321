from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import clock

MANAGER = "prepaid_energy.group_energy_manager"
# From each state to those that may follow it.
NEXT = {
    "draft": {"submitted", "approved"},
    "submitted": {"approved", "draft"},
    "approved": {"draft"},
}


class EnergyTariffVersion(models.Model):
    """The life of a version: draft, submitted, approved; who did it and when."""

    _inherit = "energy.tariff.version"
    _flow_fields = frozenset(
        {"submitted_by_id", "submitted_at", "approved_by_id", "approved_at", "weekend"}
    )

    submitted_by_id = fields.Many2one("res.users", readonly=True, copy=False, ondelete="restrict")
    submitted_at = fields.Datetime(readonly=True, copy=False)
    approved_by_id = fields.Many2one("res.users", readonly=True, copy=False, ondelete="restrict")
    approved_at = fields.Datetime(readonly=True, copy=False)
    refusal = fields.Char(
        string="Reason to Refuse",
        copy=False,
        help="What the author has to change; needed to refuse a submitted version.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        """A version begins as a draft; one that is made approved passes the same gate."""
        versions = super().create([dict(vals, state="draft") for vals in vals_list])
        for version, vals in zip(versions, vals_list, strict=True):
            version._set_state(vals.get("state", "draft"))
        return versions

    def write(self, vals):
        """The state changes in `_set_state` only."""
        values = {name: value for name, value in vals.items() if name != "state"}
        result = super().write(values) if values or "state" not in vals else True
        if "state" in vals:
            self._set_state(vals["state"])
        return result

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if self._flow_fields.intersection(names):
            return _("Who decided on a version, and when, is not typed.")
        return super()._guarded_refusal(names)

    def action_submit(self):
        """Ask for the approval of these versions."""
        self.state = "submitted"

    def action_approve(self):
        """Put these versions in force, after the consequences were shown where there are any."""
        return self._consequences() or self._approve()

    def action_draft(self):
        """Take unused versions back to edit them."""
        self.state = "draft"

    def action_new_version(self):
        """Open a draft with the parts of this version, from the next first of a month on."""
        self.ensure_one()
        taken = set(self.tariff_id.version_ids.mapped("date_from"))
        day = max(self.company_id._energy_first_site()._today(), self.date_from)
        first = fields.Date.add(day, months=1, day=1)
        while first in taken:
            first = fields.Date.add(first, months=1)
        version = self.copy({"date_from": first})
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": version.id,
            "view_mode": "form",
        }

    def action_refuse(self):
        """Send submitted versions back to their authors, with the reason typed for it."""
        for version in self:
            if version.state != "submitted":
                raise UserError(_("“%s” is not submitted.", version.display_name))
            version._check_manager()
            if not version.refusal:
                raise UserError(_("Enter the reason: what the author has to change."))
            author = version.submitted_by_id.partner_id
            version._set_state("draft")
            version.message_post(body=_("Refused: %s", version.refusal), partner_ids=author.ids)

    def _consequences(self):
        """Return the action that shows what an approval changes, or None where it asks nothing.

        Whoever shows them calls `_approve` once they are confirmed.
        """
        return None

    def _approve(self):
        """Put these versions in force."""
        self.state = "approved"

    def _set_state(self, state):
        """Change the state of these versions, the only place that does.

        :param str state:
        :raise UserError: where the step is not one of a version's life, or it cannot price all use
        :raise AccessError: where it is not up to the user
        """
        changing = self.filtered(lambda version: version.state != state)
        if not changing:
            return
        changing.check_access("write")
        now = clock.now(self.env.cr)
        for version in changing:
            if state not in NEXT[version.state]:
                raise UserError(
                    _("“%s” is approved: it is not submitted again.", version.display_name)
                )
            if state == "approved" or version.state == "approved":
                version._check_manager()
            values = {"state": state}
            if state == "draft":
                version._check_unused()
                values.update(
                    submitted_by_id=False,
                    submitted_at=False,
                    approved_by_id=False,
                    approved_at=False,
                    weekend=False,
                )
            else:
                version._check_approvable()
                if version.state == "draft":
                    values.update(submitted_by_id=self.env.uid, submitted_at=now, refusal=False)
            if state == "approved":
                version._check_second_person()
                calendar = version.tariff_id.calendar_id
                values.update(
                    approved_by_id=self.env.uid,
                    approved_at=now,
                    weekend=calendar._energy_weekend() if calendar else "56",
                )
            # `write` hands states over to this method: what is behind it writes them.
            # sudo: who decided is written by the flow only; the right to decide has been checked
            # pylint: disable-next=super-method-mismatch
            super(EnergyTariffVersion, version.sudo()).write(values)
        self.env.registry.clear_cache()
        if state == "approved":
            changing.price_ids.flush_recordset()
            # sudo: the queue belongs to the flow
            self.env["energy.settlement.queue"].sudo()._add_version(changing)

    def _check_manager(self):
        if not self.env.su and not self.env.user.has_group(MANAGER):
            raise AccessError(_("Managers approve tariffs and take them out of force."))

    def _check_unused(self):
        """Refuse to take back what has priced use.

        :raise UserError:
        """
        if self._used():
            raise UserError(
                _(
                    "A version that has priced use cannot be changed. "
                    "Make a new version with its own date."
                )
            )

    def _check_second_person(self):
        """Refuse an approval by the author where the company wants a second person.

        :raise UserError:
        """
        author = self.submitted_by_id or self.env.user
        if (
            self.company_id.energy_tariff_second_person
            and author == self.env.user
            and not self.env.su
        ):
            raise UserError(
                _(
                    "Tariffs of %s need a second person: submit the version, and somebody else "
                    "approves it.",
                    self.company_id.name,
                )
            )

    def _check_approvable(self):
        """Refuse to put a version in force that cannot price every minute and tier.

        :raise UserError: naming the version and what is wrong
        """
        for version in self:
            problems = version._problems()
            if problems:
                raise UserError(
                    _(
                        "“%(version)s” cannot be approved:\n%(problems)s",
                        version=version.display_name,
                        problems="\n".join(problems),
                    )
                )
