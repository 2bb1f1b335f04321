from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from odoo import api, models
from odoo.tools import SQL

from ..engine import round_half_up


class Span(NamedTuple):
    """What of a rule's rows the nightly check reads: what came after the mark.

    Those numbered after `after` up to `until`; and, of rows that are written again, those of which
    the last writing is no older than `since` (real time). None: no more of these in this span.
    """

    after: int
    until: int
    since: datetime | None


def from_mark(table=None):
    """Mark a rule that can read a span: of rows of this table by their id, or what it knows of."""

    def mark(rule):
        rule.table = table
        return rule

    return mark


class EnergyChecker(models.AbstractModel):
    """Checks what must always hold. Every test suite ends by running it; so does a daily job.

    A rule is a method `_rule_<name>` that returns (how many were looked at, list of findings, each
    a company's id and a sentence), and has a title in `_titles`. The nightly check hands a span to
    those that grow with all that ever happened; without one they read everything.
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
    def _titles(self):
        """Return what each rule says, by its name."""
        _ = self.env._
        return {
            "balances": _("A balance is the sum of its entries, and its last number their count"),
            "chains": _(
                "Entries are numbered without gaps, follow on each other's balance and hash"
            ),
            "belongings": _(
                "Entries and use hang together: one account, its site, company and month"
            ),
            "usage": _("Every settled interval of every supply is counted exactly once"),
            "units": _("What is due is what use costs, and what is posted is that, rounded"),
            "postings": _("Entries of a unit add up to what it says is posted"),
            "readings": _("Accepted registers never fall, but where they start again at zero"),
            "commands": _("A meter has one supply command under way, and numbers without gaps"),
            "supplies": _("No meter serves two accounts at a time"),
            "cuts": _("Nothing held on or forced off is cut for arrears"),
        }

    @api.model
    def _check(self):
        """Run every rule over all there is.

        :return: list of dicts with name, title, count, findings
        """
        self.env.flush_all()
        results, titles = [], self._titles()
        for name in self.RULES:
            count, findings = getattr(self, f"_rule_{name}")()
            sentences = [sentence for _company, sentence in findings]
            results.append(
                {"name": name, "title": titles[name], "count": count, "findings": sentences}
            )
        return results

    def _pairs(self, query, *args, **kwargs):
        return self.env.execute_query(SQL(query, *args, **kwargs))

    def _count(self, table, where="TRUE"):
        # At night nobody reads how many there are, and counting reads all of them.
        if self.env.context.get("energy_check_is_nightly"):
            return 0
        rows = self._pairs("SELECT count(*) FROM %s WHERE %s", SQL.identifier(table), SQL(where))
        return rows[0][0]

    def _numbered(self, column, span):
        """Return the condition that an id, as in "e.id", lies in a span."""
        if not span:
            return SQL("TRUE")
        column = SQL.identifier(*column.split("."))
        return SQL("%s > %s AND %s <= %s", column, span.after, column, span.until)

    def _written(self, table, span):
        """Return the condition that a row was written since the mark."""
        if not span:
            return SQL("TRUE")
        return SQL("%s >= %s", SQL.identifier(table, "write_date"), span.since)

    def _touched(self, column, field, span):
        """Return the condition that an entry of the span names this id in one of its fields."""
        if not span:
            return SQL("TRUE")
        return SQL(
            "%s = ANY(ARRAY(SELECT DISTINCT %s FROM energy_wallet_entry e WHERE %s))",
            SQL.identifier(*column.split(".")),
            SQL.identifier("e", field),
            self._numbered("e.id", span),
        )

    @from_mark()
    def _rule_balances(self, span=None):
        if span:
            # Rule `chains` says that the last entry has the sum of all.
            told = SQL("""
                SELECT w.id AS wallet_id, COALESCE(last.balance_after, 0) AS total,
                       COALESCE(last.number, 0) AS count
                  FROM energy_wallet w
                  LEFT JOIN LATERAL (
                       SELECT number, balance_after FROM energy_wallet_entry
                        WHERE wallet_id = w.id ORDER BY number DESC LIMIT 1) last ON TRUE
            """)
        else:
            told = SQL("""
                SELECT w.id AS wallet_id, COALESCE(sum(e.amount), 0) AS total, count(e.id) AS count
                  FROM energy_wallet w LEFT JOIN energy_wallet_entry e ON e.wallet_id = w.id
                 GROUP BY w.id
            """)
        rows = self._pairs(
            """
            SELECT w.company_id, w.id, w.balance::text, t.total::text, w.last_number, t.count
              FROM energy_wallet w JOIN (%s) t ON t.wallet_id = w.id
             WHERE w.balance <> t.total OR w.last_number <> t.count
            """,
            told,
        )
        return self._count("energy_wallet"), [
            (
                row[0],
                self.env._(
                    "Balance %(id)s is %(balance)s, its %(count)s entries sum to %(sum)s (last "
                    "number %(number)s).",
                    id=row[1],
                    balance=row[2],
                    sum=row[3],
                    number=row[4],
                    count=row[5],
                ),
            )
            for row in rows
        ]

    @from_mark("energy_wallet_entry")
    def _rule_chains(self, span=None):
        broken = self.env["energy.wallet.entry"]._broken_links(span=span)
        companies = dict(
            self._pairs(
                "SELECT id, company_id FROM energy_wallet WHERE id = ANY(%s)",
                sorted({wallet for _entry, wallet, _what in broken}),
            )
        )
        texts = {
            "number": self.env._("number"),
            "hash": self.env._("hash"),
            "balance": self.env._("the balance after it"),
        }
        findings = [
            (
                companies[wallet],
                self.env._(
                    "Entry %(entry)s of balance %(wallet)s: %(what)s does not follow.",
                    entry=entry,
                    wallet=wallet,
                    what=texts[what],
                ),
            )
            for entry, wallet, what in broken
        ]
        heads = self._pairs("""
            SELECT w.company_id, w.id FROM energy_wallet w LEFT JOIN energy_wallet_entry e
                ON e.wallet_id = w.id AND e.number = w.last_number
             WHERE COALESCE(e.hash, '') <> w.head
        """)
        findings += [
            (company, self.env._("Balance %s does not end in its last entry.", wallet))
            for company, wallet in heads
        ]
        return self._count("energy_wallet_entry"), findings

    @from_mark("energy_wallet_entry")
    def _rule_belongings(self, span=None):
        entries = self._pairs(
            """
            SELECT w.company_id, e.id FROM energy_wallet_entry e
              JOIN energy_wallet w ON w.id = e.wallet_id
              LEFT JOIN energy_rating_unit g ON g.id = e.unit_id
              LEFT JOIN energy_billing_period p ON p.id = e.period_id
             WHERE %s
               AND ((e.account_id, e.site_id, e.company_id, e.currency_id)
                    IS DISTINCT FROM (w.account_id, w.site_id, w.company_id, w.currency_id)
                    OR g.account_id <> e.account_id OR p.account_id <> e.account_id
                    OR e.kind = 'use' AND (e.unit_id IS NULL OR e.period_id IS NULL))
            """,
            self._numbered("e.id", span),
        )
        usage = self._pairs(
            """
            SELECT s.company_id, x.id FROM energy_usage x
              JOIN energy_supply s ON s.id = x.supply_id
              JOIN energy_rating_unit g ON g.id = x.unit_id
             WHERE %s
               AND ((x.account_id, x.meter_id, x.site_id, x.company_id)
                    IS DISTINCT FROM (s.account_id, s.meter_id, s.site_id, s.company_id)
                    OR g.account_id <> x.account_id
                    OR date_trunc('month', x.local_date) <> g.month)
            """,
            self._touched("g.id", "unit_id", span),
        )
        return self._count("energy_wallet_entry") + self._count("energy_usage"), [
            (
                company,
                self.env._(
                    "Entry %s belongs to another account, site or month than what it charges.",
                    entry,
                ),
            )
            for company, entry in entries
        ] + [
            (
                company,
                self.env._(
                    "Use %s belongs to another account, site or month than its supply.", use
                ),
            )
            for company, use in usage
        ]

    @from_mark("energy_wallet_entry")
    def _rule_units(self, span=None):
        rows = self._pairs(
            """
            SELECT g.company_id, g.id, g.due::text, g.posted::text, c.rounding::text, x.cost::text
              FROM energy_rating_unit g JOIN res_currency c ON c.id = g.currency_id
              JOIN LATERAL (SELECT COALESCE(sum(amount), 0) AS cost
                              FROM energy_usage WHERE unit_id = g.id) x ON TRUE
             WHERE %s
               AND (abs(g.due - x.cost) > 0.0000001 OR abs(g.due - g.posted) * 2 >= c.rounding
                    OR g.posted %% c.rounding <> 0)
            """,
            self._touched("g.id", "unit_id", span),
        )
        findings = []
        for company, unit, due, posted, step, cost in rows:
            if abs(Decimal(due) - Decimal(cost)) > Decimal("0.0000001"):
                sentence = self.env._(
                    "Unit %(unit)s: %(due)s is due, its use costs %(cost)s.",
                    unit=unit,
                    due=due,
                    cost=cost,
                )
                findings.append((company, sentence))
            if round_half_up(Decimal(due), Decimal(step).normalize()) != Decimal(posted):
                sentence = self.env._(
                    "Unit %(unit)s: %(due)s is due, %(posted)s is posted.",
                    unit=unit,
                    due=due,
                    posted=posted,
                )
                findings.append((company, sentence))
        return self._count("energy_rating_unit"), findings

    @from_mark("energy_wallet_entry")
    def _rule_postings(self, span=None):
        rows = self._pairs(
            """
            SELECT g.company_id, g.id, g.posted::text, x.charged::text
              FROM energy_rating_unit g
              JOIN LATERAL (SELECT COALESCE(-sum(amount), 0) AS charged
                              FROM energy_wallet_entry WHERE unit_id = g.id) x ON TRUE
             WHERE %s AND g.posted <> x.charged
            """,
            self._touched("g.id", "unit_id", span),
        )
        return self._count("energy_rating_unit"), [
            (
                row[0],
                self.env._(
                    "Unit %(unit)s says %(posted)s is posted, its entries charge %(charged)s.",
                    unit=row[1],
                    posted=row[2],
                    charged=row[3],
                ),
            )
            for row in rows
        ]

    @from_mark("energy_reading_data")
    def _rule_readings(self, span=None):
        if span:
            # Of each meter from the reading before those that came to the one after them.
            steps = SQL(
                """
                SELECT r.meter_id, r.moment, r.total, r.is_baseline,
                       lag(r.total) OVER (PARTITION BY r.meter_id ORDER BY r.moment) AS before
                  FROM (SELECT r.meter_id, min(r.moment) AS first, max(r.moment) AS last
                          FROM energy_reading_data r WHERE r.state = 'accepted' AND %s
                         GROUP BY r.meter_id) came
                  LEFT JOIN LATERAL (
                       SELECT moment FROM energy_reading_data b WHERE b.meter_id = came.meter_id
                          AND b.state = 'accepted' AND b.moment < came.first
                        ORDER BY moment DESC LIMIT 1) before ON TRUE
                  LEFT JOIN LATERAL (
                       SELECT moment FROM energy_reading_data a WHERE a.meter_id = came.meter_id
                          AND a.state = 'accepted' AND a.moment > came.last
                        ORDER BY moment LIMIT 1) after ON TRUE
                  JOIN energy_reading_data r ON r.meter_id = came.meter_id
                       AND r.state = 'accepted'
                       AND r.moment >= COALESCE(before.moment, came.first)
                       AND r.moment <= COALESCE(after.moment, came.last)
                """,
                self._numbered("r.id", span),
            )
        else:
            steps = SQL("""
                SELECT meter_id, moment, total, is_baseline,
                       lag(total) OVER (PARTITION BY meter_id ORDER BY moment) AS before
                  FROM energy_reading_data WHERE state = 'accepted'
            """)
        rows = self._pairs(
            """
            SELECT m.company_id, m.name, r.moment
              FROM (%s) r JOIN energy_meter m ON m.id = r.meter_id
             WHERE r.total < r.before AND m.register_digits = 0 AND r.is_baseline IS NOT TRUE
            """,
            steps,
        )
        return self._count("energy_reading_data", "state = 'accepted'"), [
            (
                company,
                self.env._(
                    "Meter %(meter)s: the register fell at %(moment)s.", meter=name, moment=moment
                ),
            )
            for company, name, moment in rows
        ]

    @from_mark("energy_command")
    def _rule_commands(self, span=None):
        sent = self._pairs("""
            SELECT m.company_id, m.name, count(*)
              FROM energy_command c JOIN energy_meter m ON m.id = c.meter_id
             WHERE c.kind = 'supply' AND c.state = 'sent'
             GROUP BY m.company_id, m.name HAVING count(*) > 1
        """)
        gaps = self._pairs(
            """
            SELECT m.company_id, m.name FROM energy_meter_control k
              JOIN energy_meter m ON m.id = k.meter_id
             WHERE k.last_number <> COALESCE((
                   SELECT max(number) FROM energy_command c WHERE c.meter_id = k.meter_id), 0)
             UNION
            SELECT m.company_id, m.name FROM energy_command c
              JOIN energy_meter m ON m.id = c.meter_id
             WHERE %s AND c.number > 1 AND NOT EXISTS (
                   SELECT 1 FROM energy_command before
                    WHERE before.meter_id = c.meter_id AND before.number = c.number - 1)
            """,
            self._numbered("c.id", span),
        )
        return self._count("energy_command"), [
            (
                company,
                self.env._(
                    "Meter %(meter)s has %(count)s supply commands under way.",
                    meter=name,
                    count=count,
                ),
            )
            for company, name, count in sent
        ] + [
            (company, self.env._("Commands of meter %s are missing.", name))
            for company, name in gaps
        ]

    def _rule_supplies(self):
        rows = self._pairs("""
            SELECT m.company_id, m.name FROM energy_supply a
              JOIN energy_supply b ON b.meter_id = a.meter_id AND b.id > a.id
                   AND tsrange(a.start_at, a.end_at) && tsrange(b.start_at, b.end_at)
              JOIN energy_meter m ON m.id = a.meter_id
        """)
        return self._count("energy_supply"), [
            (company, self.env._("Meter %s serves two accounts at a time.", name))
            for company, name in rows
        ]

    def _rule_cuts(self):
        rows = self._pairs("""
            SELECT m.company_id, m.name, k.mode FROM energy_meter_control k
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
            (
                company,
                self.env._(
                    "Meter %(meter)s is cut for arrears in mode %(mode)s.", meter=name, mode=mode
                ),
            )
            for company, name, mode in rows
        ]
