from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_datetime

from .. import clock
from ..bulk import values
from ..engine import Facts, Terms, decide

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


class Situation(NamedTuple):
    """A meter in service with what its supply is decided on."""

    meter: int
    account: int
    wallet: int
    terms: Terms
    facts: Facts
    granted: bool
    decision: str | None
    decided_balance: Decimal | None


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

    # --- deciding ----------------------------------------------------------------------------

    @api.model
    def _in_question(self, account_ids):
        """Return the accounts that have to be decided about.

        Nothing changes for nearly all: the balance was found enough and is still above the cut-off
        threshold, or does not matter as the account is paid by bill.
        """
        self._flush_situations()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT DISTINCT a.id
              FROM energy_account a
              JOIN energy_credit_policy p ON p.id = a.credit_policy_id
              JOIN energy_supply s ON s.account_id = a.id
              JOIN energy_meter_control c ON c.meter_id = s.meter_id
             WHERE a.id = ANY(%s) AND (
                   c.mode = 'prepaid' AND c.wanted IS DISTINCT FROM 'off'
                   AND c.decision = CASE a.payment_mode WHEN 'postpaid' THEN 'postpaid'
                                    ELSE 'enough' END
                   AND (a.payment_mode = 'postpaid' OR NOT EXISTS (
                        SELECT 1 FROM energy_wallet w WHERE w.account_id = a.id
                           AND w.balance + COALESCE(p.overdraft, 0) <= COALESCE(p.cut_off, 0)))
                   ) IS NOT TRUE
            """,
                account_ids,
            )
        )
        return [account for (account,) in rows]

    def _flush_situations(self):
        for name in ("credit.policy", "meter", "property", "account", "supply"):
            self.env[f"energy.{name}"].flush_model()
        self.flush_model()

    @api.model
    def _situations(self, account_ids=None, meter_ids=None):
        """Return what the supply of each meter in service is decided on.

        :param list account_ids: active accounts, or None
        :param list meter_ids: meters, or None
        :rtype: list of Situation
        """
        if not account_ids and not meter_ids:
            return []
        self._flush_situations()
        where = (
            SQL("a.id = ANY(%s)", account_ids)
            if meter_ids is None
            else SQL("m.id = ANY(%s)", meter_ids)
        )
        rows = self.env.execute_query_dict(
            SQL(
                """
            SELECT m.id AS meter, a.id AS account, w.id AS wallet, w.balance::text AS balance,
                   COALESCE(p.cut_off, 0)::text AS cut_off,
                   COALESCE(p.restore, 0)::text AS restore,
                   COALESCE(p.overdraft, 0)::text AS overdraft, cur.rounding::text AS step,
                   c.mode, c.wanted, c.wanted_cause,
                   COALESCE(c.granted_until > n.now, FALSE) AS is_granted,
                   COALESCE(m.is_protected, FALSE) AS is_protected,
                   site.supply_state AS site_state, COALESCE(room.is_trial, FALSE) AS in_trial,
                   COALESCE(k.settled_until >= n.now - p.fresh_hours * interval '1 hour'
                            AND k.is_estimated IS NOT TRUE, FALSE) AS is_fresh,
                   k.settled_until, w.commodity,
                   COALESCE(m.can_switch, FALSE) AS can_switch,
                   COALESCE(m.is_commissioned, TRUE) AS is_commissioned, a.payment_mode, c.decision,
                   c.decided_balance::text AS decided_balance
              FROM (SELECT energy_now() AS now) n
              JOIN energy_account a ON a.state = 'active'
              JOIN energy_supply s ON s.account_id = a.id AND s.start_at <= n.now
                   AND (s.end_at IS NULL OR s.end_at > n.now)
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_meter_control c ON c.meter_id = m.id
              JOIN energy_property room ON room.id = m.property_id
              JOIN energy_property site ON site.id = m.site_id
              JOIN energy_credit_policy p ON p.id = a.credit_policy_id
              JOIN res_currency cur ON cur.id = a.currency_id
              JOIN LATERAL (SELECT id, balance, commodity FROM energy_wallet w
                             WHERE w.account_id = a.id
                               AND (w.commodity = m.commodity OR w.commodity IS NULL)
                             ORDER BY w.commodity NULLS LAST LIMIT 1) w ON TRUE
              LEFT JOIN energy_supply_mark k ON k.supply_id = s.id
             WHERE %s
             ORDER BY m.cut_priority, m.id
            """,
                where,
            )
        )
        held = self._held([row["meter"] for row in rows])
        estimated = self._estimated([row["account"] for row in rows])
        terms = {}
        return [self._situation(row, held, estimated, terms) for row in rows]

    def _held(self, meter_ids):
        """Return the moment of the last held reading of the meters that have one."""
        return dict(
            self.env.execute_query(
                SQL(
                    "SELECT meter_id, max(moment) FROM energy_reading_data"
                    " WHERE state = 'held' AND meter_id = ANY(%s) GROUP BY meter_id",
                    meter_ids,
                )
            )
        )

    def _estimated(self, account_ids):
        """Return the balances that estimates have charged: (account id, commodity or None).

        None stands for a balance of all commodities.
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.account_id, m.commodity
              FROM energy_supply_mark k
              JOIN energy_supply s ON s.id = k.supply_id AND s.account_id = ANY(%s)
                   AND (s.end_at IS NULL OR s.end_at > energy_now())
              JOIN energy_meter m ON m.id = s.meter_id
             WHERE k.is_estimated
            """,
                account_ids,
            )
        )
        return {*rows, *((account, None) for account, _commodity in rows)}

    @staticmethod
    def _situation(row, held, estimated, terms):
        """Return a row as a situation; `terms` holds what is the same for many accounts."""
        decided = row["decided_balance"]
        figures = (row["cut_off"], row["restore"], row["overdraft"], row["step"])
        if figures not in terms:
            cut_off, restore, overdraft, step = map(Decimal, figures)
            terms[figures] = Terms(cut_off, restore, overdraft, step.normalize())
        held_at, settled_until = held.get(row["meter"]), row["settled_until"]
        return Situation(
            meter=row["meter"],
            account=row["account"],
            wallet=row["wallet"],
            granted=row["is_granted"],
            decision=row["decision"],
            decided_balance=Decimal(decided) if decided is not None else None,
            terms=terms[figures],
            facts=Facts(
                balance=Decimal(row["balance"]),
                mode=row["mode"],
                wanted=row["wanted"],
                wanted_cause=row["wanted_cause"] or "",
                protected=row["is_protected"] or row["is_granted"],
                site_state=row["site_state"],
                in_trial=row["in_trial"],
                fresh=row["is_fresh"],
                held=held_at is not None and (settled_until is None or held_at > settled_until),
                switchable=row["can_switch"],
                postpaid=row["payment_mode"] == "postpaid",
                estimated=(row["account"], row["commodity"]) in estimated,
                commissioned=row["is_commissioned"],
            ),
        )

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

    # --- persons' orders ---------------------------------------------------------------------

    def _order_by_person(self, action, reason, granted_until=None):
        """Carry out a person's wish for one meter's supply.

        :param str action: read, on, off, hold or prepaid
        :param str reason: why, in the person's words or from a list
        :param datetime granted_until: supply on in arrears until then; managers only
        :return: what was ordered, as a sentence
        :raise UserError: where it is refused, with the reason
        """
        self.ensure_one()
        meter = self.meter_id
        if action == "read":
            if meter.driver == "none":
                raise UserError(_("Nothing reads this meter: its readings are typed or imported."))
            self._order_now("read")
            return _("Reading ordered.")
        if not meter.can_switch:
            raise UserError(_("This meter cannot be switched."))
        situation = next(iter(self._situations(meter_ids=meter.ids)), None)
        if action == "off":
            self._write_wish("forced_off", "off")
            self._order_now("supply", "off", "forced_off", reason)
            return _("Supply off ordered.")
        if action == "hold":
            self._write_wish("held_on", "on")
            self._order_now("supply", "on", "held_on", reason)
            return _("Hold on ordered.")
        if action == "prepaid":
            is_on = self.wanted != "off"
            self._write_wish("prepaid", "on" if is_on else "off", "person" if is_on else "arrears")
            if situation is None:
                return _("Returned to prepaid; no account uses this meter.")
            before = self.last_number
            self.env["energy.account"].browse(situation.account)._decide(user_id=self.env.uid)
            self.invalidate_recordset(flush=False)
            return self._sentence() if self.last_number != before or self.decision else ""
        if action == "on":
            return self._order_on(situation, reason, granted_until)
        raise ValueError(f"Unknown action {action!r}")

    def _order_on(self, situation, reason, granted_until):
        if situation is not None and not situation.facts.postpaid and not granted_until:
            available = situation.facts.balance + situation.terms.overdraft
            if available <= situation.terms.restore:
                missing = situation.terms.restore - available + situation.terms.step
                raise UserError(
                    _(
                        "In arrears: %s more is needed before supply comes on.",
                        self.currency_id.format(float(missing)),
                    )
                )
        self._write_wish("prepaid", "on", granted_until=granted_until)
        self._order_now("supply", "on", "prepaid", reason)
        if granted_until:
            until = format_datetime(self.env, granted_until)
            return _("Supply on ordered, granted until %s.", until)
        return _("Supply on ordered.")

    def _write_wish(self, mode, wanted, cause="person", granted_until=None):
        self.write(
            {
                "mode": mode,
                "wanted": wanted,
                "wanted_cause": cause,
                "granted_until": granted_until,
                "decision": {"held_on": "held_on", "forced_off": "forced_off"}.get(mode),
                "decided_at": clock.now(self.env.cr),
            }
        )
        self.flush_recordset()

    def _order_now(self, kind, value=None, mode=None, reason=None):
        self.env["energy.command"]._command(
            [
                {
                    "meter_id": self.meter_id.id,
                    "kind": kind,
                    "value": value,
                    "mode": mode,
                    "cause": "person",
                    "reason": reason,
                    "user_id": self.env.uid,
                }
            ]
        )
