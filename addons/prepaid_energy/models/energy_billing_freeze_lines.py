from collections import defaultdict
from decimal import Decimal

from odoo import models
from odoo.tools import SQL

from ..bulk import copy_rows
from ..engine import round_half_up, share_signed
from ..local_time import month_first, month_last
from ..rating_work import MINIMUM, STANDING, Prices
from .energy_service_fee import SUFFIX

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
    """The lines of a frozen period: a copy of what its entries charge.

    What is billed of a unit of rating is its use to date less what its earlier lines took, in
    quantity, exact amount and cents. So a correction is the same as a first bill, and quantities do
    not drift by being rounded month by month.
    """

    _inherit = "energy.billing.period"

    def _write_lines(self, periods):
        """Write the lines of periods that are frozen in this transaction.

        :param dict periods: what `_fetch_frozen` returned, by period id
        """
        units, charges = self._fetch_charged(list(periods))
        rows = self._use_rows(periods, units) + self._charge_rows(periods, charges)
        if rows:
            copy_rows(self.env.cr, "energy_billing_line", COLUMNS, rows)

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
