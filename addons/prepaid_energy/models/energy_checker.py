from decimal import Decimal

from odoo import _, api, models
from odoo.tools import SQL

from ..engine import round_half_up


class EnergyChecker(models.AbstractModel):
    """Checks what must always hold. Every test suite ends by running it; so does a daily job.

    A rule is a method `_rule_<name>` that returns (how many were looked at, list of findings as
    sentences). Its docstring's first line is its title.
    """

    _name = "energy.checker"
    _description = "Invariant checker"

    RULES = (
        "balances", "chains", "usage", "units", "postings", "readings", "commands", "supplies",
        "cuts", "bookings", "advances",
    )

    @api.model
    def _check(self):
        """Run every rule.

        :return: list of dicts with name, title, count, findings
        """
        self.env.flush_all()
        results = []
        for name in self.RULES:
            rule = getattr(self, f"_rule_{name}")
            count, findings = rule()
            title = type(self).__dict__.get(f"_rule_{name}", rule).__doc__.splitlines()[0]
            results.append(
                {"name": name, "title": title, "count": count, "findings": findings})
        return results

    def _pairs(self, query, *args, **kwargs):
        return self.env.execute_query(SQL(query, *args, **kwargs))

    def _count(self, table, where="TRUE"):
        self.env.cr.execute(f"SELECT count(*) FROM {table} WHERE {where}")
        return self.env.cr.fetchone()[0]

    def _rule_balances(self):
        """A balance is the sum of its entries, and its last number their count"""
        rows = self._pairs("""
            SELECT w.id, w.balance::text, COALESCE(sum(e.amount), 0)::text, w.last_number,
                   count(e.id)
              FROM energy_wallet w LEFT JOIN energy_wallet_entry e ON e.wallet_id = w.id
             GROUP BY w.id HAVING w.balance <> COALESCE(sum(e.amount), 0)
                 OR w.last_number <> count(e.id)
        """)
        return self._count("energy_wallet"), [
            _("Balance %(id)s is %(balance)s, its %(count)s entries sum to %(sum)s (last number "
              "%(number)s).", id=row[0], balance=row[1], sum=row[2], number=row[3], count=row[4])
            for row in rows]

    def _rule_chains(self):
        """Entries are numbered without gaps, follow on each other's balance and hash"""
        findings = [
            _("Entry %(entry)s of balance %(wallet)s: %(what)s does not follow.", entry=entry,
              wallet=wallet, what=what)
            for entry, wallet, what in self.env["energy.wallet.entry"]._broken_links()]
        rows = self._pairs("""
            SELECT id, wallet_id FROM (
                SELECT id, wallet_id, balance_after, sum(amount) OVER (
                       PARTITION BY wallet_id ORDER BY number) AS running
                  FROM energy_wallet_entry) chained
             WHERE balance_after <> running
        """)
        findings += [_("Entry %(entry)s of balance %(wallet)s: the balance after it does not follow.",
                       entry=entry, wallet=wallet) for entry, wallet in rows]
        heads = self._pairs("""
            SELECT w.id FROM energy_wallet w JOIN energy_wallet_entry e
                ON e.wallet_id = w.id AND e.number = w.last_number WHERE e.hash <> w.head
        """)
        findings += [_("Balance %s does not end in its last entry.", row[0]) for row in heads]
        return self._count("energy_wallet_entry"), findings

    def _rule_usage(self):
        """Every settled interval of every supply is counted exactly once"""
        rows = self._pairs("""
            SELECT s.id, m.name, x.quantity::text,
                   ((k.register - first.total + CASE WHEN k.register < first.total
                     AND m.register_digits > 0 THEN 10 ^ m.register_digits ELSE 0 END)
                    * t.multiplier)::text
              FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_supply_mark k ON k.supply_id = s.id
              JOIN LATERAL (SELECT min(multiplier) AS multiplier, count(DISTINCT multiplier) AS n
                              FROM energy_supply_term WHERE supply_id = s.id) t ON t.n = 1
              JOIN LATERAL (SELECT total, moment FROM energy_reading_data r
                             WHERE r.meter_id = s.meter_id AND r.state = 'accepted'
                               AND r.moment >= s.start_at ORDER BY r.moment LIMIT 1) first
                   ON first.moment = s.start_at
              LEFT JOIN LATERAL (SELECT COALESCE(sum(quantity), 0) AS quantity
                                   FROM energy_usage WHERE supply_id = s.id) x ON TRUE
             WHERE s.end_at IS NULL AND NOT EXISTS (
                   SELECT 1 FROM energy_settlement_queue q WHERE q.meter_id = s.meter_id)
        """)
        findings = [
            _("Meter %(meter)s: its registers show %(shown)s, %(counted)s is counted.", meter=name,
              shown=shown, counted=counted)
            for _supply, name, counted, shown in rows if Decimal(counted) != Decimal(shown)]
        return len(rows), findings

    def _rule_units(self):
        """What is due for a unit is what its use costs, and what is posted is that, rounded"""
        rows = self._pairs("""
            SELECT g.id, g.due::text, g.posted::text, c.rounding::text,
                   COALESCE(sum(x.amount), 0)::text
              FROM energy_rating_unit g JOIN res_currency c ON c.id = g.currency_id
              LEFT JOIN energy_usage x ON x.unit_id = g.id
             GROUP BY g.id, c.rounding
        """)
        findings = []
        for unit, due, posted, step, cost in rows:
            if abs(Decimal(due) - Decimal(cost)) > Decimal("0.0000001"):
                findings.append(_("Unit %(unit)s: %(due)s is due, its use costs %(cost)s.",
                                  unit=unit, due=due, cost=cost))
            if abs(round_half_up(Decimal(due), Decimal(step).normalize()) - Decimal(posted)) > 0:
                findings.append(_("Unit %(unit)s: %(due)s is due, %(posted)s is posted.",
                                  unit=unit, due=due, posted=posted))
        return len(rows), findings

    def _rule_postings(self):
        """Entries of a unit add up to what it says is posted"""
        rows = self._pairs("""
            SELECT g.id, g.posted::text, COALESCE(-sum(e.amount), 0)::text
              FROM energy_rating_unit g LEFT JOIN energy_wallet_entry e ON e.unit_id = g.id
             GROUP BY g.id HAVING g.posted <> COALESCE(-sum(e.amount), 0)
        """)
        return self._count("energy_rating_unit"), [
            _("Unit %(unit)s says %(posted)s is posted, its entries charge %(charged)s.",
              unit=row[0], posted=row[1], charged=row[2]) for row in rows]

    def _rule_readings(self):
        """Accepted registers never fall, but where they start again at zero"""
        rows = self._pairs("""
            SELECT m.name, r.moment FROM (
                SELECT meter_id, moment, total, lag(total) OVER (
                       PARTITION BY meter_id ORDER BY moment) AS before
                  FROM energy_reading_data WHERE state = 'accepted') r
              JOIN energy_meter m ON m.id = r.meter_id
             WHERE r.total < r.before AND m.register_digits = 0
        """)
        return self._count("energy_reading_data", "state = 'accepted'"), [
            _("Meter %(meter)s: the register fell at %(moment)s.", meter=name, moment=moment)
            for name, moment in rows]

    def _rule_commands(self):
        """A meter has at most one supply command under way, and numbers without gaps"""
        sent = self._pairs("""
            SELECT m.name, count(*) FROM energy_command c JOIN energy_meter m ON m.id = c.meter_id
             WHERE c.kind = 'supply' AND c.state = 'sent' GROUP BY m.name HAVING count(*) > 1
        """)
        gaps = self._pairs("""
            SELECT m.name FROM energy_meter_control k JOIN energy_meter m ON m.id = k.meter_id
             WHERE k.last_number <> (SELECT count(*) FROM energy_command c
                                      WHERE c.meter_id = k.meter_id)
        """)
        return self._count("energy_command"), [
            _("Meter %(meter)s has %(count)s supply commands under way.", meter=name, count=count)
            for name, count in sent] + [
            _("Commands of meter %s are missing.", row[0]) for row in gaps]

    def _rule_supplies(self):
        """No meter serves two accounts at a time"""
        rows = self._pairs("""
            SELECT m.name FROM energy_supply a
              JOIN energy_supply b ON b.meter_id = a.meter_id AND b.id > a.id
                   AND tsrange(a.start_at, a.end_at) && tsrange(b.start_at, b.end_at)
              JOIN energy_meter m ON m.id = a.meter_id
        """)
        return self._count("energy_supply"), [
            _("Meter %s serves two accounts at a time.", row[0]) for row in rows]

    def _rule_cuts(self):
        """Nothing protected or held on was cut for arrears"""
        rows = self._pairs("""
            SELECT m.name, k.mode FROM energy_meter_control k
              JOIN energy_meter m ON m.id = k.meter_id
             WHERE k.wanted = 'off' AND k.wanted_cause = 'arrears' AND k.mode <> 'prepaid'
        """)
        return self._count("energy_meter_control"), [
            _("Meter %(meter)s is cut for arrears in mode %(mode)s.", meter=name, mode=mode)
            for name, mode in rows]

    def _rule_bookings(self):
        """Every payment that books a top-up is posted with its amount"""
        rows = self._pairs("""
            SELECT e.key, e.amount::text, p.amount::text, p.state
              FROM account_payment p JOIN energy_wallet_entry e ON e.key = p.energy_entry_key
             WHERE p.state IN ('canceled', 'rejected', 'draft') OR p.amount <> e.amount
        """)
        return self._count("account_payment", "energy_entry_key IS NOT NULL"), [
            _("Top-up %(key)s of %(amount)s is booked as %(booked)s (%(state)s).",
              key=row[0], amount=row[1], booked=row[2], state=row[3]) for row in rows]

    def _rule_advances(self):
        """Advances in the books + top-ups not booked = balance + use not invoiced, per account"""
        rows = self._pairs("""
            SELECT a.name, COALESCE(l.advances, 0)::text, COALESCE(t.unbooked, 0)::text,
                   COALESCE(w.balance, 0)::text, COALESCE(u.uninvoiced, 0)::text
              FROM energy_account a
              LEFT JOIN LATERAL (
                   SELECT -sum(line.balance) AS advances FROM account_move_line line
                     JOIN res_company c ON c.id = line.company_id
                      AND c.energy_advances_account_id = line.account_id
                    WHERE line.energy_account_id = a.id AND line.parent_state = 'posted') l ON TRUE
              LEFT JOIN LATERAL (
                   SELECT sum(e.amount) AS unbooked FROM energy_wallet_entry e
                    WHERE e.account_id = a.id AND e.kind = 'top_up' AND NOT EXISTS (
                          SELECT 1 FROM account_payment p WHERE p.energy_entry_key = e.key)) t
                   ON TRUE
              LEFT JOIN LATERAL (
                   SELECT sum(balance) AS balance FROM energy_wallet w
                    WHERE w.account_id = a.id) w ON TRUE
              LEFT JOIN LATERAL (
                   SELECT -sum(e.amount) AS uninvoiced FROM energy_wallet_entry e
                     LEFT JOIN energy_billing_period p ON p.id = e.period_id
                    WHERE e.account_id = a.id AND e.kind = 'use'
                      AND p.state IS DISTINCT FROM 'invoiced') u ON TRUE
             WHERE COALESCE(l.advances, 0) + COALESCE(t.unbooked, 0)
                   <> COALESCE(w.balance, 0) + COALESCE(u.uninvoiced, 0)
        """)
        return self._count("energy_account"), [
            _("Account %(account)s: advances %(advances)s + not booked %(unbooked)s differ from "
              "balance %(balance)s + not invoiced %(uninvoiced)s.", account=row[0],
              advances=row[1], unbooked=row[2], balance=row[3], uninvoiced=row[4])
            for row in rows]

    @api.model
    def _cron_check(self):
        """Scheduled action: raise an activity with what no longer holds."""
        findings = [
            f"{result['title']}: {finding}"
            for result in self._check() for finding in result["findings"]]
        if not findings:
            return
        manager = self.env.ref("prepaid_energy.group_energy_manager").all_user_ids[:1]
        company = self.env.company
        # sudo: the activity goes to the company's partner, whoever runs the job
        company.partner_id.sudo().activity_schedule(
            "mail.mail_activity_data_warning", user_id=(manager or self.env.user).id,
            summary=_("%s findings of the nightly check", len(findings)),
            note="<br/>".join(findings[:50]))
