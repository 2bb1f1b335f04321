from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from .. import clock

MANAGER = "prepaid_energy.group_energy_manager"
# Accounts computed at once; up to one batch the answer comes with the question.
BATCH = 200
ZERO = Decimal(0)


class EnergyPriceConsequence(models.Model):
    """What a price that begins in the past would change, shown before it is put in force.

    A tariff version that is to be approved, or a tariff that is to be set for some meters. The
    amounts are computed by the rating itself, as if it were in force already; nothing of that is
    kept but the figures.
    """

    _name = "energy.price.consequence"
    _description = "Consequences of a late price"
    _order = "id desc"
    _check_company_auto = True

    kind = fields.Selection(
        [
            ("version", "Approval of a version"),
            ("tariff", "Set tariff"),
            ("addition", "Add to tier limits"),
            ("bands", "Rate periods by"),
        ],
        required=True,
        readonly=True,
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    version_ids = fields.Many2many("energy.tariff.version", readonly=True, string="Versions")
    tariff_id = fields.Many2one("energy.tariff", readonly=True, ondelete="cascade")
    limit_addition = fields.Float(string="Addition to Tier Limits", digits=(12, 3), readonly=True)
    band_source = fields.Selection(
        [("platform", "Platform time"), ("meter", "Meter registers")],
        string="Rate Periods By",
        readonly=True,
    )
    meter_ids = fields.Many2many("energy.meter", readonly=True, string="Meters")
    since = fields.Datetime(string="Valid From", readonly=True)
    state = fields.Selection(
        [
            ("computing", "Computing"),
            ("failed", "Cannot Be Computed"),
            ("shown", "To Confirm"),
            ("confirmed", "Confirmed"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        readonly=True,
        default="computing",
        index=True,
    )
    message = fields.Char(readonly=True, help="Why it cannot be computed.")
    computed_at = fields.Datetime(
        readonly=True, help="Readings that come later add to what is posted."
    )
    confirmed_by_id = fields.Many2one("res.users", readonly=True, ondelete="restrict")
    confirmed_at = fields.Datetime(readonly=True)
    line_ids = fields.One2many("energy.price.consequence.line", "consequence_id")
    last_account = fields.Integer(readonly=True)
    affected_count = fields.Integer(string="Accounts to Look At", readonly=True)
    done_count = fields.Integer(string="Looked At", readonly=True)
    progress = fields.Float(compute="_compute_progress")
    account_count = fields.Integer(string="Accounts Changed", compute="_compute_totals")
    refused_count = fields.Integer(string="Accounts Not Priced", compute="_compute_totals")
    amount = fields.Monetary(
        string="Difference",
        compute="_compute_totals",
        help="What customers pay more; a minus: less.",
    )
    more = fields.Monetary(string="Charged", compute="_compute_totals")
    less = fields.Monetary(string="Paid Back", compute="_compute_totals")

    @api.depends("kind", "version_ids", "tariff_id", "limit_addition")
    def _compute_display_name(self):
        for consequence in self:
            if consequence.kind == "addition":
                consequence.display_name = self.env._(
                    "Addition to tier limits: %s", f"{consequence.limit_addition:g}"
                )
                continue
            if consequence.kind == "bands":
                consequence.display_name = ", ".join(consequence.meter_ids.mapped("name"))
                continue
            names = consequence.version_ids.mapped("display_name") or [
                consequence.tariff_id.display_name or ""
            ]
            consequence.display_name = ", ".join(names)

    @api.depends("affected_count", "done_count")
    def _compute_progress(self):
        for consequence in self:
            whole = consequence.affected_count
            consequence.progress = 100 * consequence.done_count / whole if whole else 100

    @api.depends("line_ids.amount", "line_ids.message")
    def _compute_totals(self):
        lines = self.env["energy.price.consequence.line"]
        for consequence in self:
            domain = [("consequence_id", "=", consequence.id)]
            of = {
                name: lines._read_group(
                    [*domain, *part], [], ["amount:sum", "account_id:count_distinct"]
                )[0]
                for name, part in (
                    ("more", [("amount", ">", 0)]),
                    ("less", [("amount", "<", 0)]),
                    ("all", [("amount", "!=", 0)]),
                    ("refused", [("message", "!=", False)]),
                )
            }
            consequence.more = of["more"][0]
            consequence.less = of["less"][0]
            consequence.amount = of["all"][0]
            consequence.account_count = of["all"][1]
            consequence.refused_count = of["refused"][1]

    # --- asking ------------------------------------------------------------------------------

    @api.model
    def _ask(self, kind, company, **values):
        """Return the action that shows what a price changes, or None where it changes nothing.

        :param str kind: "version", with `version_ids`; or "tariff", with `tariff_id`, and
            "addition", with `limit_addition`, and "bands", with `band_source`, all three with
            `meter_ids` and `since`
        """
        # sudo: what is shown is computed by the flow; the caller has checked who asks
        consequence = self.sudo().create({"kind": kind, "company_id": company.id, **values})
        consequence.affected_count = len({row[0] for row in consequence._affected()})
        if not consequence.affected_count:
            consequence.unlink()
            return None
        if consequence.affected_count <= BATCH:
            while not consequence._compute_batch():
                pass
        else:
            self.env.ref("prepaid_energy.ir_cron_price_consequence")._trigger()
        return consequence._show()

    def _show(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Consequences"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }

    def _affected(self, limit=None):
        """Return whose settled use the price would price anew.

        :param int limit: number of accounts, after the last one looked at
        :return: list of (account id, meter id, naive UTC moment from which on)
        """
        self.ensure_one()
        self.env["energy.supply.term"].flush_model()
        self.version_ids.flush_recordset()
        if self.kind == "version":
            touched = SQL(
                """
                SELECT s.account_id, s.meter_id,
                       min(GREATEST(s.start_at, t.since, d.since)) AS since
                  FROM energy_tariff_version v
                  JOIN energy_supply_term t ON t.tariff_id = v.tariff_id
                  JOIN energy_supply s ON s.id = t.supply_id
                  JOIN energy_property site ON site.id = s.site_id
                  JOIN energy_supply_mark k ON k.supply_id = s.id
                 CROSS JOIN LATERAL (
                       SELECT v.date_from::timestamp AT TIME ZONE site.tz AT TIME ZONE 'UTC'
                              AS since) d
                  LEFT JOIN LATERAL (
                       SELECT min(n.since) AS since FROM energy_supply_term n
                        WHERE n.supply_id = s.id AND n.since > t.since) next ON TRUE
                  LEFT JOIN LATERAL (
                       SELECT min(n.date_from)::timestamp AT TIME ZONE site.tz AT TIME ZONE 'UTC'
                              AS since
                         FROM energy_tariff_version n
                        WHERE n.tariff_id = v.tariff_id AND n.state = 'approved'
                          AND n.date_from > v.date_from) follower ON TRUE
                 WHERE v.id = ANY(%s) AND k.settled_until > GREATEST(s.start_at, t.since, d.since)
                   AND (next.since IS NULL OR next.since > d.since)
                   AND (follower.since IS NULL OR follower.since > GREATEST(s.start_at, t.since))
                   AND (s.end_at IS NULL OR s.end_at > d.since)
                 GROUP BY s.account_id, s.meter_id
                """,
                self.version_ids.ids,
            )
        else:
            touched = SQL(
                """
                SELECT s.account_id, s.meter_id, %(since)s::timestamp AS since
                  FROM energy_supply s JOIN energy_supply_mark k ON k.supply_id = s.id
                 WHERE s.meter_id = ANY(%(meters)s) AND k.settled_until > %(since)s
                   AND (s.end_at IS NULL OR s.end_at > %(now)s)
                """,
                since=self.since,
                meters=self.meter_ids.ids,
                now=clock.now(self.env.cr),
            )
        return self.env.execute_query(
            SQL(
                """
            WITH touched AS (%(touched)s)
            SELECT account_id, meter_id, since FROM touched WHERE account_id = ANY(ARRAY(
                   SELECT DISTINCT account_id FROM touched WHERE account_id > %(last)s
                    ORDER BY account_id LIMIT %(limit)s))
             ORDER BY account_id, meter_id
            """,
                touched=touched,
                last=self.last_account,
                limit=limit,
            )
        )

    # --- computing ---------------------------------------------------------------------------

    def _compute_batch(self):
        """Compute the differences of the next accounts.

        :return: whether all are done, or nobody waits for them any more
        """
        self.ensure_one()
        if self._locked_state() != "computing":
            return True
        rows = self._affected(BATCH)
        accounts = sorted({row[0] for row in rows})
        if accounts:
            differences, refused = self._differences(rows)
            sites = {
                account.id: account.site_id.id
                for account in self.env["energy.account"].browse(accounts)
            }
            self.env["energy.price.consequence.line"].create(
                [
                    {
                        "consequence_id": self.id,
                        "account_id": account,
                        "site_id": sites[account],
                        "month": month,
                        "amount": float(amount),
                        "weight": float(abs(amount)),
                        "message": message,
                    }
                    for account, month, amount, message in (
                        *((*key, amount, False) for key, amount in differences.items() if amount),
                        *((account, False, ZERO, text) for account, text in refused.items()),
                    )
                ]
            )
            self.last_account = accounts[-1]
            self.done_count += len(accounts)
        if len(accounts) == BATCH:
            return False
        self.write({"state": "shown", "computed_at": clock.now(self.env.cr)})
        return True

    def _differences(self, rows):
        """Return what the price would post, as if it were in force.

        :param list rows: as `_affected` returns them
        :return: (dict of (account id, month) to what the customer pays more, Decimal; dict of
            account id to the reason why its use could not be priced)
        """
        queued = {}
        for _account, meter, since in rows:
            queued[meter] = min(since, queued.get(meter, since))
        accounts = {row[0] for row in rows}
        refused = {}
        rating = self.env["energy.rating"]
        # Before and after, so that what waits to be settled anyway is not taken for a consequence.
        present = rating._preview(queued)
        supposed = rating._preview(queued, self._suppose, refused)
        found = {}
        for account in accounts - refused.keys():
            before, after = present.get(account, {}), supposed.get(account, {})
            for month in {**before, **after}:
                found[account, month] = after.get(month, ZERO) - before.get(month, ZERO)
        return found, {account: str(refused[account]) for account in accounts & refused.keys()}

    def _suppose(self):
        """Put the price in force; whoever calls this undoes it."""
        if self.kind == "version":
            for version in self.version_ids:
                calendar = version.tariff_id.calendar_id
                weekend = calendar._energy_weekend() if calendar else version.weekend
                # Not by `_set_state`: nothing else may follow from what is only supposed.
                self.env.cr.execute(
                    SQL(
                        "UPDATE energy_tariff_version SET state = 'approved', weekend = %s"
                        " WHERE id = %s",
                        weekend,
                        version.id,
                    )
                )
            self.version_ids.invalidate_recordset()
            return
        supplies = self.env["energy.supply"]._present(self.meter_ids)
        for supply in supplies.values():
            try:
                with self.env.cr.savepoint():
                    if self.kind == "addition":
                        supply._set_terms(self.since, limit_addition=self.limit_addition)
                    elif self.kind == "bands":
                        supply._set_bands(self.band_source, self.since)
                    else:
                        supply._set_tariff(self.tariff_id, self.since)
            except UserError:
                # Refused for this meter: confirming says so, and it stays as it is.
                continue

    @api.model
    def _cron_compute(self):
        """Scheduled action: compute what is asked for, in batches."""
        self.env["energy.task"]._each(
            "consequence",
            self.search([("state", "=", "computing")], order="id").ids,
            lambda consequence: not self.browse(consequence)._compute_batch(),
            failed=lambda consequence, error: self.browse(consequence).write(
                {"state": "failed", "message": str(error)}
            ),
        )

    def _locked_state(self):
        """Return the state as it is now. Whoever decides at the same time waits, and sees it."""
        self.flush_recordset()
        self.env.cr.execute(
            SQL("SELECT state FROM energy_price_consequence WHERE id = %s FOR UPDATE", self.id)
        )
        self.invalidate_recordset()
        return self.env.cr.fetchone()[0]

    # --- deciding ----------------------------------------------------------------------------

    def action_confirm(self):
        """Put the price in force; the differences are posted by settling, once."""
        self.ensure_one()
        self._check_manager()
        state = self._locked_state()
        if state == "failed":
            raise UserError(_("The amounts could not be computed: %s", self.message))
        if state == "computing":
            raise UserError(_("The amounts are still being computed. Look again in a moment."))
        if state != "shown":
            raise UserError(_("This was decided already."))
        # sudo: rows of the flow; the role has been checked
        self.sudo().write(
            {
                "state": "confirmed",
                "confirmed_by_id": self.env.uid,
                "confirmed_at": clock.now(self.env.cr),
            }
        )
        if self.kind == "version":
            waiting = self.version_ids.filtered(lambda version: version.state != "approved")
            waiting._approve()
            return True
        operation = self.env["energy.operation"].create(
            {
                "action": f"set_{self.kind}",
                "tariff_id": self.tariff_id.id,
                "limit_addition": self.limit_addition,
                "band_source": self.band_source,
                # Whoever asked said so.
                "is_plan_equal": self.band_source == "meter",
                "since": self.since,
                "line_ids": [(0, 0, {"meter_id": meter.id}) for meter in self.meter_ids],
            }
        )
        return operation._carry_out()

    def action_cancel(self):
        """Leave prices as they are."""
        self._check_manager()
        for consequence in self:
            if consequence._locked_state() in ("confirmed", "cancelled"):
                raise UserError(_("This was decided already."))
        # sudo: rows of the flow; the role has been checked
        self.sudo().state = "cancelled"

    def action_try_again(self):
        """Compute what could not be computed, from where it stopped."""
        self._check_manager()
        # sudo: rows of the flow; the role has been checked
        failed = self.sudo().filtered(lambda consequence: consequence.state == "failed")
        failed.write({"state": "computing", "message": False})
        self.env.ref("prepaid_energy.ir_cron_price_consequence")._trigger()

    def action_open_lines(self):
        """Open the accounts touched, largest first."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_price_consequence_line"
        )
        return dict(action, domain=[("consequence_id", "=", self.id)])

    def _check_manager(self):
        self.check_access("read")
        if not self.env.su and not self.env.user.has_group(MANAGER):
            raise AccessError(_("Managers put prices in force."))
