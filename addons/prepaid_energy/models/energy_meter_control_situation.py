from decimal import Decimal
from typing import NamedTuple

from odoo import api, models
from odoo.tools import SQL

from ..bulk import array
from ..engine import Facts, Terms


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
    """What the supply of each meter in service is decided on."""

    _inherit = "energy.meter.control"

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
              JOIN energy_wallet w ON w.account_id = a.id
             WHERE a.id = ANY(%s::int[]) AND (
                   c.mode = 'prepaid' AND c.wanted IS DISTINCT FROM 'off'
                   AND c.decision = CASE a.payment_mode WHEN 'postpaid' THEN 'postpaid'
                                    ELSE 'enough' END
                   AND (a.payment_mode = 'postpaid'
                        OR w.balance + COALESCE(p.overdraft, 0) > COALESCE(p.cut_off, 0))
                   ) IS NOT TRUE
            """,
                array(account_ids),
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
