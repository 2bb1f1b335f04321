import json
from datetime import timedelta

from markupsafe import Markup
from odoo import api, models
from odoo.tools import SQL

from .energy_checker import Span

# What one transaction reads, in numbers of a table.
STEP = 500_000
# Transactions under way when a mark was set may have taken lower numbers than it.
UNDER_WAY = 100_000
WRITING = timedelta(hours=1)
# Checked within it: of the same night.
NIGHT = timedelta(hours=1)
# Findings kept of a rule, and told of a company.
MOST = 50


class EnergyChecker(models.AbstractModel):
    """The nightly check: each rule from the mark up to which it found nothing wrong.

    A rule that finds something keeps its mark, so that the same is found again until it is mended.
    A night that is cut off goes on where it was.
    """

    _inherit = "energy.checker"

    def init(self):
        super().init()
        # `verified`: the last number up to which nothing was found; `reached`: as far as the round
        # under way has come, none where it is over; `checked_at`: when the last one began.
        self.env.cr.execute("""
            CREATE TABLE IF NOT EXISTS energy_checker_mark (
                rule varchar PRIMARY KEY,
                verified bigint NOT NULL DEFAULT 0,
                reached bigint,
                began_at timestamp,
                checked_at timestamp,
                findings jsonb NOT NULL DEFAULT '[]');
        """)

    @api.model
    def _cron_check(self):
        """Scheduled action: check each rule from its mark, and tell what no longer holds."""
        here = self.with_context(energy_check_is_nightly=True, lang=self._language())
        is_done = self.env["energy.task"]._each(
            "check", list(self.RULES), here._check_step, NIGHT, failed=here._note_failure
        )
        if is_done:
            self._tell()

    def _check_step(self, name):
        """Check the next span of a rule, and move its mark.

        :return: whether there is more of it to check
        """
        rule = getattr(self, f"_rule_{name}")
        if not hasattr(rule, "table"):
            self._note_round(name, rule()[1])
            return False
        mark = self._mark(name)
        is_new = mark["reached"] is None
        after = mark["verified"] if is_new else mark["reached"]
        last = self._last(rule.table)
        until = min(after + STEP, last)
        is_last = until >= last
        span = Span(
            max(0, after - UNDER_WAY) if is_new else after,
            until,
            mark["since"] if is_last else None,
        )
        kept = [] if is_new else mark["findings"]
        # What is no matter of numbers is found with each span.
        findings = list(dict.fromkeys(map(tuple, [*kept, *rule(span)[1]])))
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_checker_mark
               SET verified = CASE WHEN %(is_clean)s THEN %(until)s ELSE verified END,
                   reached = CASE WHEN NOT %(is_last)s THEN %(until)s END,
                   began_at = CASE WHEN %(is_new)s THEN energy_real_now() ELSE began_at END,
                   checked_at = CASE WHEN NOT %(is_last)s THEN checked_at
                        WHEN NOT %(is_clean)s THEN checked_at
                        WHEN %(is_new)s THEN energy_real_now() ELSE began_at END,
                   findings = %(findings)s
             WHERE rule = %(rule)s
            """,
                is_clean=not findings,
                is_last=is_last,
                is_new=is_new,
                until=until,
                findings=json.dumps(findings[:MOST]),
                rule=name,
            )
        )
        return not is_last

    def _mark(self, name):
        self.env.cr.execute(
            SQL(
                "INSERT INTO energy_checker_mark (rule) VALUES (%s) ON CONFLICT DO NOTHING",
                name,
            )
        )
        [mark] = self.env.execute_query_dict(
            SQL(
                """
            SELECT verified, reached, findings, COALESCE(checked_at - %s, '-infinity') AS since
              FROM energy_checker_mark WHERE rule = %s
            """,
                WRITING,
                name,
            )
        )
        return mark

    def _last(self, table):
        if not table:
            return 0
        return self._pairs("SELECT COALESCE(max(id), 0) FROM %s", SQL.identifier(table))[0][0]

    def _note_round(self, name, findings):
        self._mark(name)
        self.env.cr.execute(
            SQL(
                "UPDATE energy_checker_mark SET findings = %s, reached = NULL WHERE rule = %s",
                json.dumps(findings[:MOST]),
                name,
            )
        )

    def _note_failure(self, name, error):
        """A rule that cannot be checked is a finding, of every company."""
        sentence = self.env._("This could not be checked: %s", error)
        companies = self.env["res.company"].search([("energy_journal_id", "!=", False)])
        self._note_round(name, [(company.id, sentence) for company in companies])

    # --- telling ------------------------------------------------------------------------------

    def _language(self):
        """Return the language in which findings are kept: of the first who reads them."""
        readers = self.env.ref("prepaid_energy.group_energy_manager").all_user_ids
        return readers.filtered("active").sorted("id")[:1].lang or self.env.lang

    def _tell(self):
        """Let the activities of each company say what was found last."""
        found = {}
        rows = dict(self._pairs("SELECT rule, findings FROM energy_checker_mark"))
        for name in self.RULES:
            for company, sentence in rows.get(name, []):
                found.setdefault(company, []).append((name, sentence))
        # sudo: the activities are on the companies' partners, whoever runs the job
        for company in self.env["res.company"].sudo().search([]):
            self._tell_company(company, found.get(company.id, []))

    def _tell_company(self, company, findings):
        """Keep one activity of each manager of a company in step with the findings."""
        kind = self.env.ref("prepaid_energy.mail_activity_check")
        partner = company.partner_id
        known = partner.activity_ids.filtered(lambda activity: activity.activity_type_id == kind)
        managers = self._readers(company) if findings else self.env["res.users"]
        gone = known.filtered(lambda activity: activity.user_id not in managers)
        known -= gone
        gone.unlink()
        for manager in managers:
            here = self.with_context(lang=manager.lang)
            titles = here._titles()
            lines = [f"{titles[name]}: {sentence}" for name, sentence in findings[:MOST]]
            values = {
                "summary": here.env._("%s findings of the nightly check", len(findings)),
                "note": Markup("<br/>").join(lines),
            }
            activity = known.filtered(lambda activity, user=manager: activity.user_id == user)[:1]
            if activity:
                activity.write(values)
            else:
                partner.activity_schedule(activity_type_id=kind.id, user_id=manager.id, **values)

    def _readers(self, company):
        """Return the managers of all of a company's sites; where there is none, of some."""
        group = self.env.ref("prepaid_energy.group_energy_manager")
        managers = group.all_user_ids.filtered(
            lambda user: user.active and company in user.company_ids
        )
        return managers.filtered(lambda user: not user.energy_site_ids) or managers or self.env.user
