from decimal import Decimal

from odoo import api, models
from odoo.tools import SQL

from ..engine import round_half_up

# The accepted registers of supplies up to their mark, each with the one before it.
STEPS = """
    SELECT s.id AS supply, r.total, COALESCE(r.is_baseline, FALSE) AS is_baseline,
           lag(r.total) OVER (PARTITION BY s.id ORDER BY r.moment) AS before
      FROM energy_supply s
      JOIN energy_supply_mark k ON k.supply_id = s.id
      JOIN energy_reading_data r ON r.meter_id = s.meter_id AND r.state = 'accepted'
           AND r.moment BETWEEN s.start_at AND LEAST(k.settled_until, s.end_at)
     WHERE s.id = ANY(%s)
"""


class EnergyChecker(models.AbstractModel):
    """Checks what must always hold. Every test suite ends by running it; so does a daily job.

    A rule is a method `_rule_<name>` that returns (how many were looked at, list of findings as
    sentences). Its docstring's first line is its title.
    """

    _name = "energy.checker"
    _description = "Invariant checker"

    RULES = (
        "balances",
        "chains",
        "belongings",
        "usage",
        "units",
        "postings",
        "readings",
        "commands",
        "supplies",
        "cuts",
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
            results.append({"name": name, "title": title, "count": count, "findings": findings})
        return results

    def _pairs(self, query, *args, **kwargs):
        return self.env.execute_query(SQL(query, *args, **kwargs))

    def _count(self, table, where="TRUE"):
        rows = self._pairs("SELECT count(*) FROM %s WHERE %s", SQL.identifier(table), SQL(where))
        return rows[0][0]

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
            self.env._(
                "Balance %(id)s is %(balance)s, its %(count)s entries sum to %(sum)s (last number "
                "%(number)s).",
                id=row[0],
                balance=row[1],
                sum=row[2],
                number=row[3],
                count=row[4],
            )
            for row in rows
        ]

    def _rule_chains(self):
        """Entries are numbered without gaps, follow on each other's balance and hash"""
        findings = [
            self.env._(
                "Entry %(entry)s of balance %(wallet)s: %(what)s does not follow.",
                entry=entry,
                wallet=wallet,
                what=what,
            )
            for entry, wallet, what in self.env["energy.wallet.entry"]._broken_links()
        ]
        rows = self._pairs("""
            SELECT id, wallet_id FROM (
                SELECT id, wallet_id, balance_after, sum(amount) OVER (
                       PARTITION BY wallet_id ORDER BY number) AS running
                  FROM energy_wallet_entry) chained
             WHERE balance_after <> running
        """)
        findings += [
            self.env._(
                "Entry %(entry)s of balance %(wallet)s: the balance after it does not follow.",
                entry=entry,
                wallet=wallet,
            )
            for entry, wallet in rows
        ]
        heads = self._pairs("""
            SELECT w.id FROM energy_wallet w LEFT JOIN energy_wallet_entry e
                ON e.wallet_id = w.id AND e.number = w.last_number
             WHERE COALESCE(e.hash, '') <> w.head
        """)
        findings += [
            self.env._("Balance %s does not end in its last entry.", row[0]) for row in heads
        ]
        return self._count("energy_wallet_entry"), findings

    def _rule_belongings(self):
        """Entries and use hang together: one account, its site and company, one month"""
        entries = self._pairs("""
            SELECT e.id FROM energy_wallet_entry e
              JOIN energy_wallet w ON w.id = e.wallet_id
              LEFT JOIN energy_rating_unit g ON g.id = e.unit_id
              LEFT JOIN energy_billing_period p ON p.id = e.period_id
             WHERE (e.account_id, e.site_id, e.company_id, e.currency_id)
                   IS DISTINCT FROM (w.account_id, w.site_id, w.company_id, w.currency_id)
                OR g.account_id <> e.account_id OR p.account_id <> e.account_id
                OR e.kind = 'use' AND (e.unit_id IS NULL OR e.period_id IS NULL)
        """)
        usage = self._pairs("""
            SELECT x.id FROM energy_usage x
              JOIN energy_supply s ON s.id = x.supply_id
              JOIN energy_rating_unit g ON g.id = x.unit_id
             WHERE (x.account_id, x.meter_id, x.site_id, x.company_id)
                   IS DISTINCT FROM (s.account_id, s.meter_id, s.site_id, s.company_id)
                OR g.account_id <> x.account_id
                OR date_trunc('month', x.local_date) <> g.month
        """)
        return self._count("energy_wallet_entry") + self._count("energy_usage"), [
            self.env._(
                "Entry %s belongs to another account, site or month than what it charges.", row[0]
            )
            for row in entries
        ] + [
            self.env._("Use %s belongs to another account, site or month than its supply.", row[0])
            for row in usage
        ]

    def _rule_usage(self):
        """Every settled interval of every supply is counted exactly once"""
        rows = self._pairs("""
            SELECT s.id, m.name, x.quantity::text, COALESCE(last.total, k.register)::text,
                   first.total::text,
                   t.multiplier::text, m.register_digits
              FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_supply_mark k ON k.supply_id = s.id
              JOIN LATERAL (SELECT min(multiplier) AS multiplier, count(DISTINCT multiplier) AS n
                              FROM energy_supply_term WHERE supply_id = s.id) t ON t.n = 1
              JOIN LATERAL (SELECT total, moment FROM energy_reading_data r
                             WHERE r.meter_id = s.meter_id AND r.state = 'accepted'
                               AND r.moment >= s.start_at ORDER BY r.moment LIMIT 1) first
                   ON first.moment = s.start_at
              LEFT JOIN energy_reading_data last ON last.meter_id = s.meter_id
                   AND last.state = 'accepted' AND last.moment = s.end_at
              LEFT JOIN LATERAL (SELECT COALESCE(sum(quantity), 0) AS quantity
                                   FROM energy_usage WHERE supply_id = s.id) x ON TRUE
             WHERE NOT EXISTS (
                   SELECT 1 FROM energy_settlement_queue q WHERE q.meter_id = s.meter_id)
        """)
        differing, multipliers = {}, {}
        for supply, name, counted, last, first, multiplier, digits in rows:
            shown = (Decimal(last) - Decimal(first)) * Decimal(multiplier)
            if Decimal(counted) != shown:
                turn = Decimal(multiplier) * 10**digits if digits else Decimal(0)
                differing[supply] = (name, Decimal(counted), shown, turn)
                multipliers[supply] = Decimal(multiplier)
        falls, jumps = self._falls(list(differing)), self._jumps(list(differing))
        for supply, (name, counted, shown, turn) in differing.items():
            skipped = Decimal(jumps.get(supply, 0)) * multipliers[supply]
            shown += falls.get(supply, 0) * turn - skipped
            differing[supply] = (name, counted, shown)
        findings = [
            self.env._(
                "Meter %(meter)s: its registers show %(shown)s, %(counted)s is counted.",
                meter=name,
                shown=shown,
                counted=counted,
            )
            for name, counted, shown in differing.values()
            if counted != shown
        ]
        return len(rows), findings

    def _falls(self, supply_ids):
        """Return how often the accepted registers of supplies fell up to their mark, by supply."""
        return dict(
            self._pairs(
                f"""
            SELECT r.supply, count(*) FROM ({STEPS}) r
             WHERE r.total < r.before AND NOT r.is_baseline GROUP BY r.supply
        """,
                supply_ids,
            )
        )

    def _jumps(self, supply_ids):
        """Return by how much registers changed where they began anew, by supply, as text."""
        return dict(
            self._pairs(
                f"""
            SELECT r.supply, sum(r.total - r.before)::text FROM ({STEPS}) r
             WHERE r.is_baseline GROUP BY r.supply
        """,
                supply_ids,
            )
        )

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
                findings.append(
                    self.env._(
                        "Unit %(unit)s: %(due)s is due, its use costs %(cost)s.",
                        unit=unit,
                        due=due,
                        cost=cost,
                    )
                )
            if abs(round_half_up(Decimal(due), Decimal(step).normalize()) - Decimal(posted)) > 0:
                findings.append(
                    self.env._(
                        "Unit %(unit)s: %(due)s is due, %(posted)s is posted.",
                        unit=unit,
                        due=due,
                        posted=posted,
                    )
                )
        return len(rows), findings

    def _rule_postings(self):
        """Entries of a unit add up to what it says is posted"""
        rows = self._pairs("""
            SELECT g.id, g.posted::text, COALESCE(-sum(e.amount), 0)::text
              FROM energy_rating_unit g LEFT JOIN energy_wallet_entry e ON e.unit_id = g.id
             GROUP BY g.id HAVING g.posted <> COALESCE(-sum(e.amount), 0)
        """)
        return self._count("energy_rating_unit"), [
            self.env._(
                "Unit %(unit)s says %(posted)s is posted, its entries charge %(charged)s.",
                unit=row[0],
                posted=row[1],
                charged=row[2],
            )
            for row in rows
        ]

    def _rule_readings(self):
        """Accepted registers never fall, but where they start again at zero"""
        rows = self._pairs("""
            SELECT m.name, r.moment FROM (
                SELECT meter_id, moment, total, COALESCE(is_baseline, FALSE) AS is_baseline,
                       lag(total) OVER (PARTITION BY meter_id ORDER BY moment) AS before
                  FROM energy_reading_data WHERE state = 'accepted') r
              JOIN energy_meter m ON m.id = r.meter_id
             WHERE r.total < r.before AND m.register_digits = 0 AND NOT r.is_baseline
        """)
        return self._count("energy_reading_data", "state = 'accepted'"), [
            self.env._(
                "Meter %(meter)s: the register fell at %(moment)s.", meter=name, moment=moment
            )
            for name, moment in rows
        ]

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
            self.env._(
                "Meter %(meter)s has %(count)s supply commands under way.", meter=name, count=count
            )
            for name, count in sent
        ] + [self.env._("Commands of meter %s are missing.", row[0]) for row in gaps]

    def _rule_supplies(self):
        """No meter serves two accounts at a time"""
        rows = self._pairs("""
            SELECT m.name FROM energy_supply a
              JOIN energy_supply b ON b.meter_id = a.meter_id AND b.id > a.id
                   AND tsrange(a.start_at, a.end_at) && tsrange(b.start_at, b.end_at)
              JOIN energy_meter m ON m.id = a.meter_id
        """)
        return self._count("energy_supply"), [
            self.env._("Meter %s serves two accounts at a time.", row[0]) for row in rows
        ]

    def _rule_cuts(self):
        """Nothing held on or forced off is cut for arrears"""
        rows = self._pairs("""
            SELECT m.name, k.mode FROM energy_meter_control k
              JOIN energy_meter m ON m.id = k.meter_id
              LEFT JOIN LATERAL (
                   SELECT c.value, c.cause FROM energy_command c
                    WHERE c.meter_id = k.meter_id AND c.kind = 'supply'
                    ORDER BY c.number DESC LIMIT 1) last ON TRUE
             WHERE k.mode <> 'prepaid'
               AND ((k.wanted, k.wanted_cause) = ('off', 'arrears')
                    OR (last.value, last.cause) = ('off', 'arrears'))
        """)
        return self._count("energy_meter_control"), [
            self.env._(
                "Meter %(meter)s is cut for arrears in mode %(mode)s.", meter=name, mode=mode
            )
            for name, mode in rows
        ]

    @api.model
    def _cron_check(self):
        """Scheduled action: raise an activity with what no longer holds."""
        findings = [
            f"{result['title']}: {finding}"
            for result in self._check()
            for finding in result["findings"]
        ]
        if not findings:
            return
        manager = self.env.ref("prepaid_energy.group_energy_manager").all_user_ids[:1]
        company = self.env.company
        # sudo: the activity goes to the company's partner, whoever runs the job
        company.partner_id.sudo().activity_schedule(
            "mail.mail_activity_data_warning",
            user_id=(manager or self.env.user).id,
            summary=self.env._("%s findings of the nightly check", len(findings)),
            note="<br/>".join(findings[:50]),
        )
