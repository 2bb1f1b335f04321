"""The sheets that close a shift and a day: what came and went by method, and who counted it."""

from datetime import timedelta
from decimal import Decimal

from odoo import api, models

from ..local_time import local_midnight
from .energy_wallet import stored

PARTS = ("received", "reversed", "refunded")


def by_method(lines):
    """Return what came and went, one row a payment method, and their total.

    :param lines: dicts with method (recordset), what (one of `PARTS`), count, amount
    :return: list of rows, total row: dicts with method and by part (count, amount), and net
    """
    rows = {}
    for line in lines:
        row = rows.setdefault(line["method"], {part: (0, Decimal(0)) for part in PARTS})
        count, amount = row[line["what"]]
        row[line["what"]] = count + line["count"], amount + line["amount"]
    total = {
        part: (
            sum(row[part][0] for row in rows.values()),
            sum(row[part][1] for row in rows.values()),
        )
        for part in PARTS
    }
    for row in (*rows.values(), total):
        row["net"] = sum(row[part][1] for part in PARTS)
    methods = sorted(rows, key=lambda method: (not method, method.sequence, method.id))
    return [{"method": method, **rows[method]} for method in methods], total


def first_and_last(env, domain):
    """Return the numbers of the first and the last receipt, or None where there is none."""
    receipts = env["energy.receipt"]
    first = receipts.search(domain, order="year, number", limit=1)
    last = receipts.search(domain, order="year desc, number desc", limit=1)
    return (first.name, last.name) if first else None


class ReportShiftClosing(models.AbstractModel):
    _name = "report.prepaid_energy.report_shift_closing"
    _description = "Closing sheet of a shift"

    @api.model
    def _get_report_values(self, docids, data=None):
        shifts = self.env["energy.shift"].browse(docids)
        return {"docs": shifts, "sheets": [self._sheet(shift) for shift in shifts]}

    def _sheet(self, shift):
        rows, total = by_method(shift._lines())
        return {
            "title": self.env._("Shift Closing Sheet"),
            "company": shift.company_id,
            "currency": shift.currency_id,
            "facts": [
                (self.env._("Shift"), shift.name),
                (self.env._("Cashier"), shift.user_id.name),
            ],
            "rows": rows,
            "total": total,
            "deposits": shift._deposit_lines(),
            "receipts": first_and_last(self.env, [("entry_key", "in", shift._keys())]),
            "shifts": shift,
        }


class ReportDayClosing(models.AbstractModel):
    _name = "report.prepaid_energy.report_day_closing"
    _description = "Closing sheet of a day"

    @api.model
    def _get_report_values(self, docids, data=None):
        days = self.env["energy.daily.closing"].browse(docids)
        return {"docs": days, "sheets": [self._sheet(day) for day in days]}

    def _sheet(self, day):
        rows, total = by_method(self._lines(day))
        facts = [
            (self.env._("Date"), self.env["ir.qweb.field.date"].value_to_html(day.date, {})),
            (self.env._("Site"), day.site_id.name or self.env._("All sites")),
            (self.env._("Cashier"), day.user_id.name or self.env._("All cashiers")),
        ]
        return {
            "title": self.env._("Daily Closing Sheet"),
            "company": day.company_id,
            "currency": day.company_id.currency_id,
            "facts": facts,
            "rows": rows,
            "total": total,
            "deposits": self._deposit_lines(day),
            "receipts": first_and_last(self.env, self._domain(day)),
            "shifts": self._shifts(day),
        }

    def _domain(self, day):
        domain = [("company_id", "=", day.company_id.id), ("local_date", "=", day.date)]
        if day.site_id:
            domain.append(("site_id", "=", day.site_id.id))
        if day.user_id:
            domain.append(("user_id", "=", day.user_id.id))
        return domain

    def _lines(self, day):
        """Return what the day took and paid: as `energy.shift._lines`, without the shift."""
        domain = [
            *self._domain(day),
            ("origin_kind", "in", ("opening", "top_up", "refund")),
            ("side", "=", "received"),
        ]
        parts = {"reversal": "reversed", "refund": "refunded"}
        return [
            {
                "method": method,
                "what": parts.get(kind, "received"),
                "count": int(count),
                "amount": self._exact(day, amount),
            }
            for method, kind, count, amount in self.env["energy.finance.day"]._read_group(
                domain, ["method_id", "kind"], ["count:sum", "amount:sum"]
            )
        ]

    def _deposit_lines(self, day):
        """Return the security deposits that came and went: as `_lines`."""
        return [
            {
                "method": method,
                "what": what,
                "count": count,
                "amount": self._exact(day, amount),
            }
            for method, what, count, amount in self.env["energy.security.deposit.move"]._read_group(
                [*self._domain(day), ("kind", "in", ("received", "returned"))],
                ["method_id", "kind"],
                ["__count", "amount:sum"],
            )
        ]

    def _exact(self, day, amount):
        return stored(amount, day.company_id.currency_id)

    def _shifts(self, day):
        """Return the shifts during that day, which count the money of all sites."""
        shifts = self.env["energy.shift"]
        site = day.company_id._energy_first_site()
        if day.site_id or not site:
            return shifts
        zone = site._zone()
        domain = [
            ("company_id", "=", day.company_id.id),
            ("opened_at", "<", local_midnight(day.date + timedelta(days=1), zone)),
            "|",
            ("closed_at", "=", False),
            ("closed_at", ">=", local_midnight(day.date, zone)),
        ]
        if day.user_id:
            domain.append(("user_id", "=", day.user_id.id))
        return shifts.search(domain, order="opened_at, id")
