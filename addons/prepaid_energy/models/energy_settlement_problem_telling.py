from odoo import _, api, models
from odoo.tools import SQL, plaintext2html

# What a manager mends, each with the kind of its activity.
ACTIVITIES = {
    "price": "prepaid_energy.mail_activity_price",
    "band": "prepaid_energy.mail_activity_band",
    "tariff": "prepaid_energy.mail_activity_tariff",
}


class EnergySettlementProblem(models.Model):
    """Who is told that use cannot be priced: one activity a manager, tariff and cause, whatever
    the number of accounts. It goes when no use waits for it any more."""

    _inherit = "energy.settlement.problem"

    @api.model
    def _tell_managers(self):
        """Bring the managers' activities to what keeps use from being charged now.

        One that is marked as done is not made again while its cause stands.
        """
        kinds = {
            cause: kind
            for cause, name in ACTIVITIES.items()
            if (kind := self.env["ir.model.data"]._xmlid_to_res_id(name))
        }
        wanted = self._wanted_activities(kinds)
        # sudo: whoever settles; activities are told and taken back for all managers
        activities = self.env["mail.activity"].sudo().with_context(active_test=False)
        known = set()
        for activity in activities.search([("activity_type_id", "in", list(kinds.values()))]):
            place = activity.activity_type_id.id, activity.res_model, activity.res_id
            if place in wanted:
                known.add(place)
            else:
                activity.unlink()
        for place in wanted.keys() - known:
            self._tell_of(*place, wanted[place])

    def _wanted_activities(self, kinds):
        """Return what is missing.

        :param dict kinds: id of the activity type by cause
        :return: dict of (id of the activity type, model, id of the record) to an example: the
            tariff that lacks something, or the first account of the company without a tariff
        """
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT cause, tariff_id, min(account_id), min(message)
              FROM energy_settlement_problem
             WHERE cause = ANY(%s) AND (tariff_id IS NOT NULL OR cause = 'tariff')
             GROUP BY cause, tariff_id, company_id
            """,
                list(kinds),
            )
        )
        return {
            (kinds[cause], "energy.tariff", tariff)
            if tariff
            else (kinds[cause], "energy.account", account): message
            for cause, tariff, account, message in rows
        }

    def _tell_of(self, kind, model, number, example):
        """Make the activity of each manager who sees the record."""
        # sudo: as above
        record = self.env[model].sudo().browse(number)
        group = self.env.ref("prepaid_energy.group_energy_manager")
        for user in group.sudo().all_user_ids:
            if record.company_id not in user.company_ids or (
                model == "energy.account"
                and user.energy_site_ids
                and record.site_id not in user.energy_site_ids
            ):
                continue
            # Mail goes out by the queue: settling waits for no mail server.
            record.with_context(lang=user.lang, mail_notify_force_send=False).activity_schedule(
                activity_type_id=kind,
                user_id=user.id,
                note=self.with_context(lang=user.lang)._note(example),
            )

    def _note(self, example):
        return plaintext2html(
            _(
                "%(example)s\n\nUse that waits for it is listed under Today → Use Not Charged, and "
                "is charged by itself once this is mended.",
                example=example,
            )
        )
