import logging
from datetime import timedelta
from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import SQL, float_repr

from .. import clock

_logger = logging.getLogger(__name__)

# First key of the advisory locks of reviews ("revi"); see `energy.wallet._in_turn`.
QUEUE = 0x72657669
# Up to so many readings are decided about while the person waits.
AT_ONCE = 200
ACTIONS = [("accept", "Accept"), ("correct", "Correct"), ("reject", "Reject")]
REASONS = [
    ("on_site", "Checked on site"),
    ("photo", "Confirmed by a photo"),
    ("explained", "The use is explained"),
    ("reset", "The meter was reset"),
    ("replaced", "The meter was replaced"),
    ("misread", "Misread or mistyped"),
    ("transmission", "Faulty transmission"),
    ("works", "Works or a test on site"),
    ("other", "Other"),
]
POSSIBLE = {
    "accept": ("held", "rejected", "superseded"),
    "correct": ("held", "accepted", "rejected"),
    "reject": ("held", "accepted"),
}


class EnergyReadingReview(models.Model):
    """One decision about some readings: its consequence first, then a result a reading.

    Many readings are worked off in batches, each in a transaction of its own, by a scheduled
    action; what is not done yet waits as a line, whatever happens.
    """

    _name = "energy.reading.review"
    _inherit = ["energy.guarded"]
    _flow_fields = frozenset(
        {"action", "state", "company_id", "site_id", "user_id", "confirmed_at", "done_at"}
    )
    _description = "Decision about readings"
    _order = "id desc"

    action = fields.Selection(ACTIONS, required=True, readonly=True)
    state = fields.Selection(
        [("draft", "Draft"), ("working", "Being worked off"), ("done", "Done")],
        required=True,
        readonly=True,
        default="draft",
        index=True,
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    site_id = fields.Many2one(
        "energy.property",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Where all readings are of one site.",
    )
    line_ids = fields.One2many("energy.reading.review.line", "review_id")
    reason = fields.Selection(REASONS)
    note = fields.Char(string="Remark")
    has_falls = fields.Boolean(compute="_compute_kinds")
    is_single = fields.Boolean(compute="_compute_kinds")
    needs_digits = fields.Boolean(compute="_compute_kinds")
    meaning = fields.Selection(
        [
            ("rollover", "It rolled over: the register starts again at zero"),
            ("anew", "It begins anew: the register was reset"),
            ("exchange", "The meter was replaced"),
        ],
        string="A Fall Means",
        help="Without it, readings that are lower than the one before are refused.",
    )
    register_digits = fields.Integer(
        help="Digits before the decimal point, set on meters where they are not known."
    )
    has_last_register = fields.Boolean(string="The Last Register Is Known")
    last_register = fields.Float(
        digits=(18, 4),
        help="Just before the reset. Without it, the use since the reading before is not charged.",
    )
    overrule = fields.Boolean(
        string="Hold Later Readings",
        help="Accept it although later accepted readings are lower: those are held then.",
    )
    total = fields.Float(string="Register", digits=(18, 4))
    count = fields.Integer(compute="_compute_progress")
    done_count = fields.Integer(compute="_compute_progress")
    refused_count = fields.Integer(compute="_compute_progress")
    progress = fields.Integer(compute="_compute_progress")
    consequence = fields.Html(compute="_compute_consequence", sanitize=False)
    user_id = fields.Many2one("res.users", string="Decided By", readonly=True, ondelete="restrict")
    confirmed_at = fields.Datetime(string="Decided On", readonly=True)
    done_at = fields.Datetime(readonly=True)

    @api.depends("action")
    def _compute_display_name(self):
        actions = dict(self._fields["action"]._description_selection(self.env))
        for review in self:
            review.display_name = _(
                "%(action)s: %(count)s readings", action=actions[review.action], count=review.count
            )

    @api.depends("line_ids.state")
    def _compute_progress(self):
        counts = {}
        for review, state, count in self.env["energy.reading.review.line"]._read_group(
            [("review_id", "in", self._origin.ids)], ["review_id", "state"], ["__count"]
        ):
            counts.setdefault(review.id, {})[state] = count
        for review in self:
            found = counts.get(review._origin.id, {})
            review.count = sum(found.values())
            review.done_count = found.get("done", 0)
            review.refused_count = found.get("refused", 0)
            worked = review.done_count + review.refused_count
            review.progress = 100 * worked // review.count if review.count else 0

    @api.depends("line_ids")
    def _compute_kinds(self):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT l.review_id, count(*), bool_or(r.reason IN ('fell', 'between')),
                   bool_or(m.register_digits = 0)
              FROM energy_reading_review_line l
              JOIN energy_reading_data r ON r.id = l.reading_id AND r.moment = l.moment
              JOIN energy_meter m ON m.id = l.meter_id
             WHERE l.review_id = ANY(%s) GROUP BY l.review_id
            """,
                self._origin.ids,
            )
        )
        kinds = {review: kind for review, *kind in rows}
        for review in self:
            count, has_falls, needs_digits = kinds.get(review._origin.id, (0, False, False))
            review.is_single = count == 1
            review.has_falls = has_falls or review.action == "correct"
            review.needs_digits = needs_digits

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if self._flow_fields.intersection(names):
            return _("A decision is carried out by “Confirm”, never by hand.")
        return super()._guarded_refusal(names)

    def write(self, vals):
        self._refuse_guarded(vals)
        if vals and not self.env.su and any(review.state != "draft" for review in self):
            raise UserError(_("A decision that was made stays as it is."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_decided(self):
        if any(review.state != "draft" for review in self):
            raise UserError(_("A decision that was made is never deleted."))

    # --- making one --------------------------------------------------------------------------

    @api.model
    def _check_right(self):
        if not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Engineers and managers decide about readings."))

    @api.model
    def _open(self, domain, action):
        """Write down which readings are to be decided about and show what would follow.

        :param domain: of `energy.reading`
        :param str action: accept, correct or reject
        :return: the action that opens it
        """
        self._check_right()
        readings = self.env["energy.reading"]
        # Estimates give way to readings by themselves.
        domain = Domain(domain) & Domain("source", "!=", "estimate")
        domain &= Domain("state", "in", POSSIBLE[action])
        found = readings._read_group(domain, ["company_id", "site_id"], [])
        if not found:
            raise UserError(_("None of these readings can be decided about in that way."))
        companies = {company for company, _site in found}
        sites = {site for _company, site in found}
        if len(companies) > 1:
            raise UserError(_("Decide about readings of one company at a time."))
        # sudo: decisions are written by this method only; the right has been checked
        review = self.sudo().create(
            {
                "action": action,
                "company_id": companies.pop().id,
                "site_id": sites.pop().id if len(sites) == 1 else False,
                "user_id": self.env.uid,
            }
        )
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_reading_review_line
                   (review_id, reading_id, meter_id, moment, total, cause, state, site_id,
                    company_id)
            SELECT %s, r.id, r.meter_id, r.moment, r.total, r.reason, 'waiting', r.site_id,
                   r.company_id
              FROM energy_reading_data r WHERE r.id IN %s ORDER BY r.meter_id, r.moment, r.id
            """,
                review.id,
                readings._search(domain).subselect(),
            )
        )
        self.env["energy.reading.review.line"].invalidate_model(flush=False)
        review.invalidate_recordset(flush=False)
        return review.with_env(self.env)._show()

    def _show(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.display_name,
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }

    @api.autovacuum
    def _gc_drafts(self):
        # When a record was made is real time, like an hour of the one who works on it.
        self.env.cr.execute("SELECT energy_real_now()")
        before = self.env.cr.fetchone()[0] - timedelta(days=1)
        self.search([("state", "=", "draft"), ("create_date", "<", before)]).unlink()

    # --- consequence ---------------------------------------------------------------------------

    @api.depends(
        "action",
        "state",
        "meaning",
        "register_digits",
        "has_last_register",
        "last_register",
        "overrule",
        "total",
    )
    def _compute_consequence(self):
        for review in self:
            is_open = review.state == "draft" and review._origin.id
            review.consequence = review._tell_consequence() if is_open else False

    # --- carrying it out -----------------------------------------------------------------------

    def action_confirm(self):
        """Carry the decision out: at once where the readings are few, else in batches."""
        self.ensure_one()
        self._check_right()
        if self.state != "draft":
            raise UserError(_("This was decided already."))
        if self.meaning == "exchange":
            return self._open_exchange()
        if not self.reason or (self.reason == "other" and not self.note):
            raise UserError(_("Choose a reason; where it is another one, write it down."))
        self.env["energy.wallet"]._in_turn(
            self.ids, lambda env: self.with_env(env)._start(), queue=QUEUE
        )
        if self.count <= AT_ONCE:
            self._settle_at_once()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _start(self):
        # sudo: decisions are written by these methods only; the right has been checked
        review = self.sudo()
        review.write(
            {
                "state": "working",
                "user_id": self.env.uid,
                "confirmed_at": clock.now(self.env.cr),
            }
        )
        if self.register_digits and self.meaning == "rollover":
            meters = self.line_ids.meter_id.filtered(lambda meter: not meter.register_digits)
            meters.register_digits = self.register_digits
        self.env.flush_all()
        if self.count <= AT_ONCE:
            review._work(review.ids)
        else:
            self.env.ref("prepaid_energy.ir_cron_reading_review")._trigger()

    def _settle_at_once(self):
        """Settle the accounts of these readings, so that what was held back follows at once."""
        accounts = self.line_ids.meter_id.supply_ids.account_id
        if accounts:
            self.env["energy.wallet"]._in_turn(
                accounts.wallet_ids.ids,
                # sudo: settling is the flow's, whoever causes it
                lambda env: env["energy.settlement"].sudo()._settle(accounts.ids),
            )

    def _open_exchange(self):
        """Open the document of a meter replacement; the reading waits until it is done."""
        if len(self.line_ids) != 1:
            raise UserError(_("Write the replacements down one by one."))
        return self.env["energy.reading"].browse(self.line_ids.reading_id).action_replace_meter()

    def _carry_out(self, reading_ids):
        """Decide about readings as this form says.

        :rtype: Outcome
        """
        self.ensure_one()
        readings = self.env["energy.reading"].with_user(self.user_id or self.env.user)
        readings = readings.browse(reading_ids)
        note = self._reason_text()
        if self.action == "reject":
            return readings._reject(note)
        how = {
            "meaning": self.meaning or "",
            "last_register": _figure(self.last_register) if self.has_last_register else None,
            "overrule": self.overrule,
        }
        if self.state == "draft" and self.meaning == "rollover" and self.register_digits:
            # For the consequence only; it is rolled back.
            self.env.cr.execute(
                SQL(
                    "UPDATE energy_meter SET register_digits = %s WHERE register_digits = 0 AND id"
                    " IN (SELECT meter_id FROM energy_reading_review_line WHERE review_id = %s)",
                    self.register_digits,
                    self._origin.id,
                )
            )
        if self.action == "correct":
            return readings._correct(_figure(self.total), note, **how)
        return readings._accept(note, **how)

    def _reason_text(self):
        labels = dict(self._fields["reason"]._description_selection(self.env))
        return ": ".join(filter(None, [labels.get(self.reason), self.note])) or "-"


def _figure(register):
    """Return a register typed by a person as a decimal."""
    return Decimal(float_repr(register, 4))
