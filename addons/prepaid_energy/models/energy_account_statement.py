from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from odoo import models
from odoo.tools import SQL

from ..engine import round_half_up
from ..local_time import month_last
from ..rating_work import MINIMUM, STANDING
from .energy_meter import UNITS
from .energy_wallet import stored
from .energy_wallet_entry import CHARGED


@dataclass
class Statement:
    """A month of an account. Amounts are in its currency, signed as the balance sees them."""

    account: object
    month: date
    last_day: date
    is_final: bool
    invoice: object
    opening: Decimal = Decimal(0)
    movements: list = field(default_factory=list)
    use: list = field(default_factory=list)
    charges: list = field(default_factory=list)
    received: Decimal = Decimal(0)
    earned: Decimal = Decimal(0)

    @property
    def closing(self):
        return self.opening + self.received - self.earned


class EnergyAccount(models.Model):
    _inherit = "energy.account"

    def _statements(self, month):
        """Return the statements of these accounts for a month.

        An entry belongs to the month of its billing period, and to that of its date where it has
        none: so that what a statement charges is what the month's invoice says.

        :param date month: its first day
        :rtype: list of Statement
        """
        statements = {}
        periods = self.env["energy.billing.period"].search(
            [
                ("account_id", "in", self.ids),
                ("date_from", ">=", month),
                ("date_from", "<=", month_last(month)),
            ],
            order="date_from",
        )
        for account in self:
            own = periods.filtered(lambda period, a=account: period.account_id == a)
            statements[account.id] = Statement(
                account=account,
                month=month,
                last_day=month_last(month),
                is_final=bool(own) and all(period.state != "open" for period in own),
                invoice=own.move_id,
            )
        self._add_openings(statements, month)
        self._add_movements(statements, month, periods)
        self._add_lines(statements, month, periods)
        return list(statements.values())

    def _add_openings(self, statements, month):
        sums = self.env["energy.finance.day"]._read_group(
            [("account_id", "in", self.ids), ("month", "<", month)], ["account_id"], ["amount:sum"]
        )
        for account, amount in sums:
            statements[account.id].opening = stored(amount, account.currency_id)

    def _add_movements(self, statements, month, periods):
        """Add what moved money, one line an entry; what was charged comes with the lines."""
        entries = self.env["energy.wallet.entry"].search(
            [
                ("account_id", "in", self.ids),
                "|",
                "&",
                ("period_id", "in", periods.ids),
                ("kind", "=", "billed"),
                "&",
                ("period_id", "=", False),
                "&",
                ("local_date", ">=", month),
                ("local_date", "<=", month_last(month)),
            ],
            order="id",
        )
        receipts = self.env["energy.receipt"].search([("entry_key", "in", entries.mapped("key"))])
        numbers = {receipt.entry_key: receipt.name for receipt in receipts}
        labels = dict(entries._fields["kind"]._description_selection(self.env))
        for entry in entries:
            amount = stored(entry.amount, entry.currency_id)
            statement = statements[entry.account_id.id]
            statement.received += amount
            statement.movements.append(
                {
                    "date": entry.local_date,
                    "kind": labels[entry.kind],
                    "method": entry.method_id.name or "",
                    "reference": numbers.get(entry.key) or entry.reference or entry.note or "",
                    "amount": amount,
                }
            )

    def _add_lines(self, statements, month, periods):
        """Add what was used and charged: as billed, or as it stands where nothing is billed yet."""
        charged = self.env["energy.wallet.entry"]._read_group(
            [("period_id", "in", periods.ids), ("kind", "!=", "billed")],
            ["account_id"],
            ["amount:sum"],
        )
        for account, amount in charged:
            statements[account.id].earned = -stored(amount, account.currency_id)
        frozen = periods.filtered(lambda period: period.state != "open")
        for line in self.env["energy.billing.line"].search(
            [("period_id", "in", frozen.ids)], order="period_id, month, id"
        ):
            statement = statements[line.account_id.id]
            if line.kind == "use":
                statement.use.append(self._billed_use(line))
            else:
                amount = stored(line.amount, line.currency_id)
                statement.charges.append({"note": line.note, "amount": amount})
        open_periods = periods - frozen
        if open_periods:
            self._add_running(statements, open_periods)

    def _billed_use(self, line):
        bands = dict(line._fields["band"]._description_selection(self.env))
        return {
            "meter": line.meter_id.name,
            "unit": self._unit_text(line.meter_id, line.band),
            "band": bands.get(line.band, ""),
            "tier": line.tier_label,
            "month": line.month,
            "start": line.register_from if line.has_registers else None,
            "end": line.register_to if line.has_registers else None,
            "quantity": line.quantity,
            "price": line.price,
            "amount": stored(line.amount, line.currency_id),
        }

    def _unit_text(self, meter, band):
        """Return what a quantity of use counts, or of what is charged by time."""
        if band == STANDING:
            return self.env._("days")
        return "" if band == MINIMUM else UNITS[meter.commodity]

    def _add_running(self, statements, periods):
        """Add the use of periods that still run, and their charges."""
        rows = self.env.execute_query_dict(
            SQL(
                """
            SELECT x.account_id, x.meter_id, x.version_id, x.band, x.tier, g.month,
                   c.rounding::text AS step,
                   sum(CASE WHEN x.tier = 0 THEN 1 ELSE x.quantity END)::text AS quantity,
                   sum(x.amount)::text AS amount
              FROM energy_billing_period p
              JOIN energy_rating_unit g ON g.account_id = p.account_id
                   AND g.month = date_trunc('month', p.date_from)::date
              JOIN energy_usage x ON x.unit_id = g.id
                   AND x.local_date BETWEEN p.date_from AND p.date_to
              JOIN res_currency c ON c.id = x.currency_id
             WHERE p.id = ANY(%s)
             GROUP BY x.account_id, x.meter_id, x.version_id, x.band, x.tier, g.month, c.rounding
             ORDER BY x.account_id, x.meter_id, x.tier = 0, min(x.local_date), x.band, x.tier
            """,
                periods.ids,
            )
        )
        bands = dict(self.env["energy.usage"]._fields["band"]._description_selection(self.env))
        versions = self.env["energy.tariff.version"].sudo()
        for row in rows:
            meter = self.env["energy.meter"].browse(row["meter_id"])
            statements[row["account_id"]].use.append(
                {
                    "meter": meter.name,
                    "unit": self._unit_text(meter, row["band"]),
                    "band": bands[row["band"]],
                    "tier": versions.browse(row["version_id"])._tier_label(row["tier"]),
                    "month": row["month"],
                    "start": None,
                    "end": None,
                    "quantity": Decimal(row["quantity"]),
                    "price": None,
                    "amount": round_half_up(
                        Decimal(row["amount"]), Decimal(row["step"]).normalize()
                    ),
                }
            )
        charges = self.env["energy.wallet.entry"].search(
            [
                ("period_id", "in", periods.ids),
                ("kind", "in", [kind for kind in CHARGED if kind != "use"]),
            ],
            order="id",
        )
        for entry in charges:
            statements[entry.account_id.id].charges.append(
                {"note": entry.note, "amount": -stored(entry.amount, entry.currency_id)}
            )
