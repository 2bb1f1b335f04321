from datetime import timedelta

from odoo import _, api, fields, models
from odoo.tools import SQL

from ..bulk import values
from ..engine import Facts, decide

MODES = [("prepaid", "Prepaid"), ("held_on", "Held on"), ("forced_off", "Forced off")]
CAUSES = [
    ("arrears", "Arrears"),
    ("payment", "Payment"),
    ("person", "Person"),
    ("policy", "Policy"),
]
DECISIONS = [
    ("enough", "Enough balance"),
    ("postpaid", "Postpaid"),
    ("already", "Off until a payment"),
    ("arrears", "Cut for arrears"),
    ("would_cut_watch", "Would be cut: site in watch"),
    ("would_cut_trial", "Would be cut: room not in trial"),
    ("protected", "Protected"),
    ("granted", "Supply granted"),
    ("held_on", "Held on"),
    ("forced_off", "Forced off"),
    ("stale", "Figures too old to cut"),
    ("held_reading", "A reading is held"),
    ("estimated", "Charged by estimates"),
    ("not_switchable", "Cannot be switched"),
    ("not_commissioned", "Not commissioned"),
    ("restored", "Restored"),
    ("tripped", "Tripped by the meter itself"),
]
CUT_ORDER_LIFE = timedelta(hours=24)


class EnergyMeterControl(models.Model):
    """What the platform wants of a meter's supply, and why.

    The mode is changed by persons' commands, what is wanted by the step *decide* and by persons;
    the confirmed state is in `energy.meter.status`.
    """

    _name = "energy.meter.control"
    _description = "Meter control"
    _log_access = False
    _rec_name = "meter_id"

    meter_id = fields.Many2one(
        "energy.meter", required=True, readonly=True, index=True, ondelete="cascade"
    )
    site_id = fields.Many2one(related="meter_id.site_id")
    company_id = fields.Many2one(related="meter_id.company_id")
    currency_id = fields.Many2one(related="company_id.currency_id")
    mode = fields.Selection(MODES, required=True, default="prepaid", readonly=True)
    wanted = fields.Selection([("on", "On"), ("off", "Off")], readonly=True)
    wanted_cause = fields.Selection(CAUSES, readonly=True)
    granted_until = fields.Datetime(
        readonly=True, help="Supply in arrears, granted by a manager until this moment."
    )
    decision = fields.Selection(DECISIONS, readonly=True)
    decided_at = fields.Datetime(readonly=True)
    decided_balance = fields.Monetary(readonly=True, help="As it was at the decision.")
    missing = fields.Monetary(readonly=True, help="The smallest payment that changes the decision.")
    decision_reason = fields.Char(compute="_compute_decision_reason", string="Why")
    last_number = fields.Integer(readonly=True, required=True, default=0)

    _meter_uniq = models.UniqueIndex("(meter_id)", "A meter has one control row.")

    @api.depends("decision", "decided_balance", "missing", "decided_at")
    def _compute_decision_reason(self):
        for control in self:
            control.decision_reason = control._sentence() if control.decision else False

    def _sentence(self):
        """Return the decision as a sentence a customer can read, with its figures."""
        self.ensure_one()
        return self._words(self.decision, self.decided_balance, self.missing)

    def _words(self, decision, balance, missing):
        """Return a decision on this supply as a sentence."""
        money = self.currency_id.format
        values = {"balance": money(float(balance)), "missing": money(float(missing))}
        sentences = {
            "enough": _("The balance is enough."),
            "postpaid": _("Paid by bill: the balance does not cut it."),
            "already": _("Supply is off for arrears: %(missing)s more brings it back."),
            "arrears": _(
                "Balance %(balance)s has reached the cut-off threshold: "
                "%(missing)s more brings supply back."
            ),
            "would_cut_watch": _("Balance %(balance)s: would be cut, but the site only watches."),
            "would_cut_trial": _(
                "Balance %(balance)s: would be cut, but the room is not in trial."
            ),
            "protected": _("Balance %(balance)s: not cut, the meter is protected."),
            "granted": _("Balance %(balance)s: not cut, a manager granted supply."),
            "held_on": _("Held on by a person."),
            "forced_off": _("Forced off by a person; no payment undoes it."),
            "stale": _("Balance %(balance)s: not cut, the last reading is too old."),
            "estimated": _(
                "Balance %(balance)s: not cut, part of it is estimated while a meter is silent."
            ),
            "held_reading": _("Balance %(balance)s: not cut, a reading waits to be checked."),
            "not_switchable": _("Balance %(balance)s: this meter cannot be switched."),
            "not_commissioned": _(
                "Balance %(balance)s: not cut, nobody has signed yet that this is the room's meter."
            ),
            "restored": _("The balance is enough again: supply comes back."),
            "tripped": _(
                "The balance is enough, but the meter's own protection keeps supply off: somebody "
                "has to look at it first."
            ),
        }
        return sentences[decision] % values

    @api.model
    def _decide(self, account_ids, cause="policy", entry_keys=None, user_id=None):
        """The step *decide*: compare balances with the credit policy and order supply off or on.

        :param list account_ids: accounts; those not active are passed over
        :param str cause: what supply on is owed to: payment or policy
        :param dict entry_keys: key of the entry behind it, by wallet id
        :param int user_id: who caused it; the present user if None
        """
        changed, orders = [], []
        for situation in self._situations(self._in_question(account_ids)):
            decision = decide(situation.terms, situation.facts)
            reason = decision.reason
            balance = situation.facts.balance
            if reason == "protected" and situation.granted:
                reason = "granted"
            wanted, wanted_cause = situation.facts.wanted, situation.facts.wanted_cause or None
            if decision.wanted:
                wanted = decision.wanted
                wanted_cause = "arrears" if wanted == "off" else cause
                orders.append(
                    {
                        "meter_id": situation.meter,
                        "reason": (reason, balance, decision.missing),
                        "kind": "supply",
                        "value": wanted,
                        "mode": "prepaid",
                        "cause": wanted_cause,
                        "user_id": user_id or self.env.uid,
                        "entry_key": (entry_keys or {}).get(situation.wallet),
                        "account_id": situation.account,
                        "life": CUT_ORDER_LIFE if wanted == "off" else None,
                    }
                )
            elif reason == situation.decision and (
                reason in ("enough", "postpaid") or balance == situation.decided_balance
            ):
                continue
            changed.append(
                (situation.meter, wanted, wanted_cause, reason, balance, decision.missing)
            )
        if changed:
            self.env.cr.execute(
                SQL(
                    """
                UPDATE energy_meter_control AS c
                   SET wanted = v.wanted, wanted_cause = v.cause, decision = v.decision,
                       decided_balance = v.balance, missing = v.missing, decided_at = n.now
                  FROM (SELECT energy_now() AS now) AS n, %s
                 WHERE c.meter_id = v.meter
                """,
                    values(
                        changed,
                        meter="int",
                        wanted="text",
                        cause="text",
                        decision="text",
                        balance="numeric",
                        missing="numeric",
                    ),
                )
            )
            self.invalidate_model(flush=False)
        if orders:
            controls = self.search([("meter_id", "in", [order["meter_id"] for order in orders])])
            by_meter = {control.meter_id.id: control for control in controls}
            for order in orders:
                order["reason"] = by_meter[order["meter_id"]]._words(*order["reason"])
        self.env["energy.command"]._command(orders)

    @api.model
    def _cut_still_holds(self, meter_id, account_id=None):
        """Return why a cut for arrears must not be written now; empty if it still holds.

        :param int account_id: the account that it was decided for
        """
        return self._cuts_refused({meter_id: account_id})[meter_id]

    @api.model
    def _cuts_refused(self, accounts):
        """Return why cuts for arrears must not be written now, by meter; empty if they still hold.

        :param dict accounts: id of the account that a cut was decided for, or None, by meter id
        """
        labels = dict(self._fields["decision"]._description_selection(self.env))
        reasons = dict.fromkeys(accounts, _("The meter serves no active account any more."))
        for situation in self._situations(meter_ids=list(accounts)):
            if accounts[situation.meter] not in (None, False, situation.account):
                reasons[situation.meter] = _("The meter serves another account now.")
                continue
            facts = Facts(
                **{
                    **{name: getattr(situation.facts, name) for name in Facts.__slots__},
                    "wanted": None,
                }
            )
            decision = decide(situation.terms, facts)
            reasons[situation.meter] = (
                ""
                if decision.wanted == "off"
                else _("No longer to be cut: %s.", labels[decision.reason])
            )
        return reasons
