from decimal import Decimal

from markupsafe import Markup
from odoo import _, models
from odoo.tools import SQL, format_amount, format_date

from ..models.energy_meter import UNITS

# The consequence is reckoned for so many meters, and shown for so many accounts and months.
SAMPLE = 200
SHOWN = 20


class EnergyReadingReview(models.Model):
    """What would follow from a decision about readings, told before it is confirmed."""

    _inherit = "energy.reading.review"

    def _tell_consequence(self):
        """Return what would follow, as HTML: readings, meters, accounts, use and money."""
        review = self._origin
        ((readings, meters, unserved),) = self.env.execute_query(
            SQL(
                """
            SELECT count(*), count(DISTINCT l.meter_id), count(*) FILTER (WHERE NOT EXISTS (
                   SELECT 1 FROM energy_supply s JOIN energy_account a ON a.id = s.account_id
                    WHERE s.meter_id = l.meter_id AND a.state <> 'draft'
                      AND s.start_at <= l.moment
                      AND (s.end_at IS NULL OR s.end_at >= l.moment)))
              FROM energy_reading_review_line l WHERE l.review_id = %s
            """,
                review.id,
            )
        )
        sample = self.env.execute_query(
            SQL(
                """
            SELECT l.reading_id FROM energy_reading_review_line l
             WHERE l.review_id = %s AND l.meter_id IN (
                   SELECT DISTINCT meter_id FROM energy_reading_review_line
                    WHERE review_id = %s ORDER BY meter_id LIMIT %s)
            """,
                review.id,
                review.id,
                SAMPLE,
            )
        )
        ids = [row[0] for row in sample]
        # What is pending must not be rolled back with it.
        self.env.flush_all()
        with self.env.cr.savepoint(flush=False) as savepoint:
            outcome = self._carry_out(ids)
            failures = {}
            money = self.env["energy.rating"]._preview(outcome.queue, failures=failures)
            savepoint.rollback()
        for model in ("energy.reading", "energy.supply", "energy.meter", "energy.usage"):
            self.env[model].invalidate_model(flush=False)
        html = self._consequence_html(readings, meters, unserved, len(ids), outcome)
        return html + self._failures_html(failures) + self._money_html(money)

    def _consequence_html(self, readings, meters, unserved, reckoned, outcome):
        lines = [
            _("Readings: %(readings)s, of %(meters)s meters.", readings=readings, meters=meters)
        ]
        if reckoned < readings:
            lines.append(
                _(
                    "Reckoned for %(sample)s readings of the first %(meters)s meters; the others "
                    "follow in the same way.",
                    sample=reckoned,
                    meters=SAMPLE,
                )
            )
        lines += self._use_lines(outcome.use)
        if outcome.believed:
            lines.append(
                _("%s other held readings fit then and are accepted too.", outcome.believed)
            )
        if outcome.doubted:
            lines.append(_("%s accepted readings do not fit then and are held.", outcome.doubted))
        if unserved:
            lines.append(
                _("%s readings are of meters that served nobody then: not charged.", unserved)
            )
        refused = {}
        for number, sentence in outcome.refusals.items():
            refused.setdefault(outcome.codes[number], []).append(sentence)
        html = Markup("<ul>%s</ul>") % Markup().join(Markup("<li>%s</li>") % x for x in lines)
        if refused:
            html += Markup("<div class='text-danger'>%s</div><ul class='text-danger'>%s</ul>") % (
                _("Refused:"),
                Markup().join(
                    Markup("<li>%s × %s</li>") % (len(sentences), sentences[0])
                    for sentences in sorted(refused.values(), key=len, reverse=True)
                ),
            )
        return html

    def _failures_html(self, failures):
        """Return which accounts' use cannot be charged, and why."""
        if not failures:
            return Markup()
        accounts = self.env["energy.account"].browse(list(failures)[:SHOWN])
        return Markup("<div class='text-danger'>%s</div><ul class='text-danger'>%s</ul>") % (
            _("Cannot be charged now (%s accounts):", len(failures)),
            Markup().join(
                Markup("<li>%s: %s</li>") % (account.display_name, str(failures[account.id]))
                for account in accounts
            ),
        )

    def _use_lines(self, use):
        meters = self.env["energy.meter"].browse(use)
        totals = {}
        for meter in meters:
            totals[meter.commodity] = totals.get(meter.commodity, Decimal(0)) + use[meter.id]
        labels = dict(
            self.env["energy.meter"]._fields["commodity"]._description_selection(self.env)
        )
        return [
            self.env._(
                "%(commodity)s: use changes by %(use)s %(unit)s.",
                commodity=labels[commodity],
                use=f"{total:+.4f}",
                unit=UNITS[commodity],
            )
            for commodity, total in totals.items()
        ]

    def _money_html(self, money):
        """Return what would be charged more (or less, below zero) as a table, largest first."""
        rows = [
            (account, month, amount)
            for account, months in money.items()
            for month, amount in months.items()
            if amount
        ]
        if not rows:
            return Markup("<p>%s</p>") % _("Nothing would be charged or paid back.")
        rows.sort(key=lambda row: (-abs(row[2]), row[0], row[1]))
        accounts = self.env["energy.account"].browse({row[0] for row in rows})
        currency = accounts[:1].currency_id
        body = Markup().join(
            Markup("<tr><td>%s</td><td>%s</td><td class='text-end'>%s</td></tr>")
            % (
                self.env["energy.account"].browse(account).display_name,
                format_date(self.env, month, date_format="MMM y"),
                format_amount(self.env, float(amount), currency),
            )
            for account, month, amount in rows[:SHOWN]
        )
        total = sum(amount for _account, _month, amount in rows)
        return Markup(
            "<table class='table table-sm'><thead><tr><th>%s</th><th>%s</th>"
            "<th class='text-end'>%s</th></tr></thead><tbody>%s</tbody><tfoot><tr><th>%s</th>"
            "<th></th><th class='text-end'>%s</th></tr></tfoot></table>"
        ) % (
            _("Account"),
            _("Month"),
            _("More Is Charged"),
            body,
            _("%s accounts", len(accounts)),
            format_amount(self.env, float(total), currency),
        )
