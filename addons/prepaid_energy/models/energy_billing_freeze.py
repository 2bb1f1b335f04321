from collections import defaultdict
from decimal import Decimal
from zoneinfo import ZoneInfo

from odoo import _, api, models
from odoo.tools import SQL

from ..bulk import copy_rows, values
from ..engine import round_half_up, share_signed
from ..local_time import month_first, month_last
from ..rating_work import MINIMUM, STANDING, Prices
from .energy_service_fee import SUFFIX
from .energy_wallet import Draft

QUANTITY = Decimal("0.001")
PRICE = Decimal("0.000001")
COLUMNS = (
    "period_id",
    "account_id",
    "site_id",
    "building_id",
    "company_id",
    "currency_id",
    "kind",
    "category",
    "note",
    "unit_id",
    "month",
    "supply_id",
    "meter_id",
    "version_id",
    "band",
    "tier",
    "price",
    "quantity",
    "amount_exact",
    "amount",
    "register_from",
    "register_to",
    "has_registers",
)


class EnergyBillingPeriod(models.Model):
    """Freezing: from then on what a period bills stands, whatever is rated later.

    What is billed of a unit of rating is its use to date less what its earlier lines took, in
    quantity, exact amount and cents. So a correction is the same as a first bill, and quantities do
    not drift by being rounded month by month.
    """

    _inherit = "energy.billing.period"

    @api.model
    def _freeze(self, until, cut=False, skip_locked=False):
        """Freeze the open periods of some accounts, in their order.

        In a transaction of its own this must be the first thing that it does. A settling
        transaction that began before conflicts with it and repeats itself, so that no entry gets
        into a frozen period.

        :param dict until: last date by account id; a period that ends later stays open
        :param bool cut: end the period in which that date lies with it, and freeze it too
        :param bool skip_locked: pass over accounts that others are at, instead of waiting
        :return: the periods frozen
        """
        self.flush_model()
        locked = self._lock_to_freeze(sorted(until), skip_locked)
        until = {state[3]: until[state[3]] for state in locked.values()}
        if cut:
            self._cut(until)
        frozen = self.browse()
        while until:
            periods = self._next_open(until)
            if not periods:
                break
            self._freeze_batch(periods, locked)
            frozen |= self.browse(periods)
        self.invalidate_model(flush=False)
        self.env["energy.billing.line"].invalidate_model(flush=False)
        return frozen

    def _lock_to_freeze(self, account_ids, skip_locked):
        """Lock the accounts' wallets and touch them.

        :return: as `energy.wallet._lock`, of the accounts all of whose wallets could be locked
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT id, account_id FROM energy_wallet WHERE account_id = ANY(%s)
             ORDER BY id FOR NO KEY UPDATE %s
            """,
                account_ids,
                SQL("SKIP LOCKED" if skip_locked else ""),
            )
        )
        held = [row[0] for row in rows]
        if skip_locked:
            partly = {
                account
                for (account,) in self.env.execute_query(
                    SQL(
                        "SELECT DISTINCT account_id FROM energy_wallet"
                        " WHERE account_id = ANY(%s) AND NOT id = ANY(%s)",
                        account_ids,
                        held,
                    )
                )
            }
            held = [wallet for wallet, account in rows if account not in partly]
        self.env.cr.execute(
            SQL("UPDATE energy_wallet SET balance = balance WHERE id = ANY(%s)", held)
        )
        return self.env["energy.wallet"]._lock(held)

    def _cut(self, until):
        """End the open period in which each date lies with it.

        Use that was charged already stays in its period: that never ends before the last day of it.
        """
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_billing_period p
               SET date_to = LEAST(p.date_to, GREATEST(v.until, (
                       SELECT max(x.local_date) FROM energy_usage x
                        WHERE x.account_id = p.account_id AND x.quantity <> 0
                          AND x.local_date BETWEEN p.date_from AND p.date_to)))
              FROM %s
             WHERE p.account_id = v.account AND p.state = 'open'
               AND v.until >= p.date_from AND v.until < p.date_to
            """,
                values(sorted(until.items()), account="int", until="date"),
            )
        )
        rows = self.env.execute_query(
            SQL(
                """
            SELECT p.account_id, p.date_to FROM %s JOIN energy_billing_period p
                ON p.account_id = v.account AND p.state = 'open'
               AND p.date_from <= v.until AND p.date_to > v.until
            """,
                values(sorted(until.items()), account="int", until="date"),
            )
        )
        until.update(rows)

    def _next_open(self, until):
        """Return the earliest open period of each account, as far as it ends by its date."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT p.id FROM %s
              JOIN LATERAL (SELECT id, date_to FROM energy_billing_period
                             WHERE account_id = v.account AND state = 'open'
                             ORDER BY date_from LIMIT 1) p ON p.date_to <= v.until
             ORDER BY p.id
            """,
                values(sorted(until.items()), account="int", until="date"),
            )
        )
        return [row[0] for row in rows]

    def _freeze_batch(self, period_ids, locked):
        """Freeze periods of different accounts.

        :param dict locked: what `energy.wallet._lock` returned for their accounts
        """
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_billing_period SET state = 'closed', write_uid = %s,
                   write_date = energy_real_now() WHERE id = ANY(%s)
            """,
                self.env.uid,
                period_ids,
            )
        )
        periods = self._fetch_frozen(period_ids)
        units, charges = self._fetch_charged(period_ids)
        rows = self._use_rows(periods, units) + self._charge_rows(periods, charges)
        if rows:
            copy_rows(self.env.cr, "energy_billing_line", COLUMNS, rows)
        self._take_over(periods, locked)

    def _fetch_frozen(self, period_ids):
        rows = self.env.execute_query(
            SQL(
                """
            SELECT p.id, p.account_id, p.site_id, p.company_id, a.currency_id,
                   c.rounding::text, site.tz, p.date_from, p.date_to, a.payment_mode
              FROM energy_billing_period p
              JOIN energy_account a ON a.id = p.account_id
              JOIN res_currency c ON c.id = a.currency_id
              JOIN energy_property site ON site.id = p.site_id
             WHERE p.id = ANY(%s)
            """,
                period_ids,
            )
        )
        names = (
            "id",
            "account",
            "site",
            "company",
            "currency",
            "step",
            "tz",
            "from",
            "to",
            "payment_mode",
        )
        periods = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
        for period in periods.values():
            period["step"] = Decimal(period["step"]).normalize()
            period["zone"] = ZoneInfo(period["tz"])
        return periods

    def _fetch_charged(self, period_ids):
        """Return what the entries of periods charge.

        :return: (dict of unit id to (period id, money), list of (period id, kind, category, note,
            money)); entries of a unit are its use
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT period_id, unit_id,
                   CASE WHEN key LIKE %(fee)s OR COALESCE(cause_key, '') LIKE %(fee)s THEN 'fee'
                        ELSE 'charge' END AS what,
                   category,
                   CASE WHEN unit_id IS NULL AND key NOT LIKE %(fee)s
                             AND COALESCE(cause_key, '') NOT LIKE %(fee)s THEN note END AS label,
                   (-sum(amount))::text
              FROM energy_wallet_entry
             WHERE period_id = ANY(%(periods)s) AND kind <> 'billed'
             GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, min(id)
            """,
                periods=period_ids,
                fee=f"%{SUFFIX}",
            )
        )
        units, charges = {}, []
        for period, unit, kind, category, note, money in rows:
            if unit is None:
                charges.append((period, kind, category, note, Decimal(money)))
            else:
                units[unit] = (period, units.get(unit, (period, 0))[1] + Decimal(money))
        return units, charges

    # --- use -------------------------------------------------------------------------------------

    def _use_rows(self, periods, units):
        """Return the billed lines of use, in the order of `COLUMNS`."""
        if not units:
            return []
        parts = self._fetch_parts(list(units))
        facts = self._fetch_facts(parts)
        rows, spans = [], {}
        for unit, (period_id, money) in units.items():
            period = periods[period_id]
            cells = parts.get(unit, {})
            billed = sum((cell["cents"] for cell in cells.values()), Decimal(0))
            shares = share_signed(
                billed + money, [cell["amount"] for cell in cells.values()], period["step"]
            )
            for (supply, version, band, tier), cell, share in zip(
                cells, cells.values(), shares, strict=True
            ):
                quantity = round_half_up(cell["quantity"], QUANTITY) - cell["billed_quantity"]
                cents = share - cell["cents"]
                if not quantity and not cents:
                    continue
                fact = facts[supply]
                if tier:
                    spans[supply, cell["month"]] = period
                rows.append(
                    {
                        "period_id": period_id,
                        "account_id": period["account"],
                        "site_id": period["site"],
                        "building_id": fact["building"],
                        "company_id": period["company"],
                        "currency_id": period["currency"],
                        "kind": "use",
                        "category": fact["commodity"],
                        "note": None,
                        "unit_id": unit,
                        "month": cell["month"],
                        "supply_id": supply,
                        "meter_id": fact["meter"],
                        "version_id": version,
                        "band": band,
                        "tier": tier,
                        "price": cell["price"],
                        "quantity": quantity,
                        "amount_exact": cell["amount"] - cell["billed_amount"],
                        "amount": cents,
                    }
                )
        registers = self.env["energy.billing.line"]._registers(spans)
        for row in rows:
            place = (row["supply_id"], row["month"]) if row["tier"] else None
            first, last = registers.get(place, (None, None))
            has_registers = first is not None and last is not None
            row["register_from"] = first if has_registers else None
            row["register_to"] = last if has_registers else None
            row["has_registers"] = has_registers
        return [tuple(row[column] for column in COLUMNS) for row in rows]

    def _fetch_parts(self, unit_ids):
        """Return the use to date of units, what was billed of it, and its price.

        The quantity of a standing charge is its days, that of a minimum charge 1.

        :return: dict of unit id to dict of (supply, version, band, tier) to its figures
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT u.unit_id, g.month, u.supply_id, u.version_id, u.band, u.tier,
                   sum(u.quantity)::text, sum(u.amount)::text, sum(u.billed_quantity)::text,
                   sum(u.billed_amount)::text, sum(u.cents)::text
              FROM (SELECT unit_id, supply_id, version_id, band, tier,
                           CASE WHEN tier = 0 THEN 1 ELSE quantity END AS quantity, amount,
                           0 AS billed_quantity, 0 AS billed_amount, 0 AS cents
                      FROM energy_usage WHERE unit_id = ANY(%(units)s)
                     UNION ALL
                    SELECT unit_id, supply_id, version_id, band, tier, 0, 0,
                           quantity, amount_exact, amount
                      FROM energy_billing_line WHERE unit_id = ANY(%(units)s)) u
              JOIN energy_rating_unit g ON g.id = u.unit_id
             GROUP BY u.unit_id, g.month, u.supply_id, u.version_id, u.band, u.tier
             ORDER BY u.unit_id, u.supply_id, u.version_id, u.tier = 0, u.band, u.tier
            """,
                units=unit_ids,
            )
        )
        prices = Prices(self.env)
        parts = defaultdict(dict)
        for unit, month, supply, version, band, tier, *figures in rows:
            quantity, amount, billed_quantity, billed_amount, cents = map(Decimal, figures)
            parts[unit][supply, version, band, tier] = {
                "month": month,
                "quantity": quantity,
                "amount": amount,
                "billed_quantity": billed_quantity,
                "billed_amount": billed_amount,
                "cents": cents,
                "price": self._price(prices.version(version), band, tier, month, amount),
            }
        return parts

    @staticmethod
    def _price(version, band, tier, month, amount):
        """Return the gross price of a unit: of a kWh or m³, a day, or the minimum charge itself."""
        if band == STANDING:
            days = month_last(month).day
            return round_half_up(version.per_day + version.per_month / days, PRICE)
        if band == MINIMUM:
            return round_half_up(amount, PRICE)
        return version.price(band, tier)

    def _fetch_facts(self, parts):
        supplies = sorted({supply for cells in parts.values() for supply, *_rest in cells})
        rows = self.env.execute_query(
            SQL(
                """
            SELECT s.id, s.meter_id, m.commodity, place.building_id
              FROM energy_supply s JOIN energy_meter m ON m.id = s.meter_id
              LEFT JOIN energy_property place ON place.id = m.property_id
             WHERE s.id = ANY(%s)
            """,
                supplies,
            )
        )
        return {
            supply: {"meter": meter, "commodity": commodity, "building": building}
            for supply, meter, commodity, building in rows
        }

    # --- charges ---------------------------------------------------------------------------------

    def _charge_rows(self, periods, charges):
        """Return a billed line for each charge: quantity 1, its money as its price."""
        rows = []
        for period_id, kind, category, note, money in charges:
            if not money:
                continue
            period = periods[period_id]
            row = dict.fromkeys(COLUMNS)
            row.update(
                period_id=period_id,
                account_id=period["account"],
                site_id=period["site"],
                company_id=period["company"],
                currency_id=period["currency"],
                kind=kind,
                category=category,
                note=note,
                month=month_first(period["from"]),
                price=abs(money),
                quantity=1 if money > 0 else -1,
                amount_exact=money,
                amount=money,
                has_registers=False,
            )
            rows.append(tuple(row[column] for column in COLUMNS))
        return rows

    # --- postpaid --------------------------------------------------------------------------------

    def _take_over(self, periods, locked):
        """Take what postpaid periods charge out of their balances: the bill claims it."""
        postpaid = {row["id"]: row for row in periods.values() if row["payment_mode"] == "postpaid"}
        if not postpaid:
            return
        drafts = [
            Draft(
                wallet_id=wallet,
                kind="billed",
                category="other",
                amount=Decimal(money),
                key=f"billed/{period}/{wallet}",
                local_date=postpaid[period]["to"],
                note=_("Billed until %s", postpaid[period]["to"]),
                user_id=self.env.uid,
                period_id=period,
            )
            for period, wallet, money in self.env.execute_query(
                SQL(
                    """
                SELECT period_id, wallet_id, (-sum(amount))::text FROM energy_wallet_entry
                 WHERE period_id = ANY(%s) AND kind <> 'billed'
                 GROUP BY period_id, wallet_id HAVING sum(amount) <> 0 ORDER BY 1, 2
                """,
                    list(postpaid),
                )
            )
        ]
        self.env["energy.wallet"]._post(drafts, locked)
