from decimal import Decimal

from odoo import _, api, fields, models
from odoo.tools import SQL, format_datetime, formatLang

from ..engine import round_half_up
from ..models.energy_meter import UNITS
from ..models.energy_rating import EXACT

ZERO = Decimal(0)
MOST_CHANGES = 50


class EnergyExplanation(models.TransientModel):
    """How a balance entry was made, to be read and printed."""

    _name = "energy.explanation"
    _description = "Explanation of a balance entry"
    _rec_name = "entry_key"

    entry_key = fields.Char(required=True, readonly=True)
    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, ondelete="cascade", index=True
    )
    entry_id = fields.Many2one("energy.wallet.entry", compute="_compute_entry_id")
    unit_id = fields.Many2one("energy.rating.unit", compute="_compute_entry_id")
    body = fields.Html(compute="_compute_body", sanitize=False)

    @api.depends("entry_key")
    def _compute_entry_id(self):
        entries = self.env["energy.wallet.entry"].search([("key", "in", self.mapped("entry_key"))])
        by_key = {entry.key: entry for entry in entries}
        for explanation in self:
            entry = by_key.get(explanation.entry_key, entries.browse())
            explanation.entry_id = entry
            explanation.unit_id = entry.unit_id

    @api.depends("entry_key")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for explanation in self:
            explanation.display_name = explanation.entry_id.display_name

    @api.depends("entry_key")
    @api.depends_context("lang")
    def _compute_body(self):
        for explanation in self:
            explanation.body = self.env["ir.qweb"]._render(
                "prepaid_energy.explanation_body",
                {
                    "entry": explanation.entry_id,
                    "explained": self._explain(explanation.entry_id),
                    **self._formats(explanation.entry_id),
                },
            )

    @api.model
    def _open(self, entry):
        """Return the action that shows how a balance entry was made."""
        entry.ensure_one()
        entry.check_access("read")
        explanation = self.create({"entry_key": entry.key, "account_id": entry.account_id.id})
        return {
            "type": "ir.actions.act_window",
            "name": _("Explanation"),
            "res_model": self._name,
            "res_id": explanation.id,
            "view_mode": "form",
        }

    def action_print(self):
        """Print the explanation in the customer's language."""
        self.ensure_one()
        return self.env.ref("prepaid_energy.action_report_explanation").report_action(
            self.entry_id, config=False
        )

    def action_open_entry(self):
        """Open the balance entry."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "energy.wallet.entry",
            "res_id": self.entry_id.id,
            "view_mode": "form",
        }

    def action_open_usage(self):
        """Open the use behind the entry."""
        self.ensure_one()
        return self.entry_id.action_open_usage()

    def action_open_readings(self):
        """Open the readings behind the entry."""
        self.ensure_one()
        return self.entry_id.action_open_readings()

    @api.model
    def _formats(self, entry):
        """Return what the page writes figures and names with, in the language of the context."""
        zone = entry.site_id.tz
        usage = self.env["energy.usage"]._fields
        reading = self.env["energy.reading"]._fields
        tariff = self.env["energy.tariff"]._fields
        kinds = self.env["energy.wallet.entry"]._fields["kind"]

        def number(value, digits=2, least=2):
            """Write a figure with up to `digits` decimals, at least `least` of them."""
            text = formatLang(self.env, float(round_half_up(value, Decimal(10) ** -digits)), digits)
            point = self.env["res.lang"]._get_data(code=self.env.lang or "en_US").decimal_point
            whole, mark, decimals = text.rpartition(point or ".")
            if not mark:
                return text
            decimals = decimals[:least] + decimals[least:].rstrip("0")
            return f"{whole}{mark}{decimals}" if decimals else whole

        def clock(value):
            """Write a time of day at which something ends: midnight as 24:00."""
            text = format_datetime(self.env, value, tz=zone, dt_format="HH:mm")
            return "24:00" if text == "00:00" else text

        return {
            "number": number,
            "money": lambda value: formatLang(
                self.env, float(value), currency_obj=entry.currency_id
            ),
            "moment": lambda value: format_datetime(
                self.env, value, tz=zone, dt_format="yyyy-MM-dd HH:mm"
            ),
            "clock": clock,
            "bands": dict(usage["band"]._description_selection(self.env)),
            "sources": dict(reading["source"]._description_selection(self.env)),
            "states": dict(reading["state"]._description_selection(self.env)),
            "allocations": dict(tariff["allocation"]._description_selection(self.env)),
            "kinds": dict(kinds._description_selection(self.env)),
        }

    # --- the facts ---------------------------------------------------------------------------

    @api.model
    def _explain(self, entry):
        """Return how a balance entry was made, as plain data.

        Of use: what `energy.rating._recount` returns, and

        - `until`, `since`: moments (naive UTC) of the last reading counted, and of the one that the
          entry before counted; the latter None for the first entry of a unit's month;
        - `step`: smallest unit of the currency; `rounded`: what is due, rounded half up to it;
          `posted_before`: what was deducted of the month before; `difference`: the one less the
          other; `posted`: what this entry deducted; `is_equal`: whether these two agree;
        - `correction`: the part of the difference that the use through `since` makes, by today's
          readings and prices;
        - `later`: the entries of the same month after this one; `changes`: readings of the time
          that were decided by a person, corrected, or came late.

        All amounts are Decimal and count what the customer pays as positive.
        """
        entry.ensure_one()
        entry.check_access("read")
        common = {
            "kind": entry.kind,
            "amount": self._text("amount", entry),
            "step": Decimal(str(entry.currency_id.rounding)).normalize(),
        }
        if entry.kind == "use" and entry.unit_id:
            return {**common, **self._explain_use(entry, common["step"])}
        return {**common, **self._explain_other(entry)}

    def _explain_use(self, entry, step):
        unit = entry.unit_id
        entries = self._entries_of(unit)
        position = next(n for n, other in enumerate(entries) if other["id"] == entry.id)
        earlier, later = entries[:position], entries[position + 1 :]
        until = self._until(entries[position], unit)
        since = self._until(earlier[-1], unit) if earlier else None
        # sudo: who may see the entry may see what it was made of
        counted = self.env["energy.rating"].sudo()._recount(unit.sudo(), until, since)
        rounded = round_half_up(counted["due"], step)
        posted_before = -sum((other["amount"] for other in earlier), ZERO)
        rounded_before = round_half_up(counted["due_before"], step)
        posted = -entries[position]["amount"]
        return {
            **counted,
            "unit": UNITS[unit.commodity],
            "commodity": unit.commodity,
            "month": unit.month,
            "revision": entry.revision,
            "until": until,
            "since": since,
            "is_exact_moment": bool(entries[position]["used_until"]),
            "due": _decimal(counted["due"]),
            "due_before": _decimal(counted["due_before"]),
            "rounded": rounded,
            "posted_before": posted_before,
            "difference": rounded - posted_before,
            "posted": posted,
            "is_equal": rounded - posted_before == posted,
            "correction": rounded_before - posted_before,
            "later": later,
            "versions": self._versions_of(counted),
            "changes": self._changes(unit, counted, until),
        }

    def _entries_of(self, unit):
        """Return the entries of a month of a unit of rating, oldest first."""
        rows = self.env.execute_query_dict(
            SQL(
                "SELECT id, key, revision, moment, local_date, amount::text AS amount, used_until"
                "  FROM energy_wallet_entry WHERE unit_id = %s ORDER BY revision, id",
                unit.id,
            )
        )
        return [dict(row, amount=Decimal(row["amount"])) for row in rows]

    def _until(self, row, unit):
        """Return the last reading an entry counts; where it does not say, the last one it could."""
        if row["used_until"]:
            return row["used_until"]
        rows = self.env.execute_query(
            SQL(
                """
            SELECT max(r.moment) FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id AND m.commodity = %s
              JOIN LATERAL (SELECT moment FROM energy_reading_data
                             WHERE meter_id = m.id AND state = 'accepted' AND moment <= %s
                             ORDER BY moment DESC LIMIT 1) r ON TRUE
             WHERE s.account_id = %s
            """,
                unit.commodity,
                row["moment"],
                unit.account_id.id,
            )
        )
        return rows[0][0] or row["moment"]

    def _versions_of(self, counted):
        """Return the tariff versions that priced the lines, by id: names and what a price is."""
        ids = {line["version"] for line in counted["lines"]}
        ids |= {cell["version"] for supply in counted["supplies"] for cell in supply["cells"]}
        return {
            version.id: {
                "name": version.tariff_id.name,
                "date_from": version.date_from,
                "prices": version._explain_prices(
                    sorted(
                        {
                            (line["band"], line["tier"])
                            for line in counted["lines"]
                            if line["version"] == version.id and line["tier"]
                        }
                    )
                ),
            }
            for version in self.env["energy.tariff.version"].sudo().browse(sorted(ids))
        }

    def _changes(self, unit, counted, until):
        """Return the readings of the month that a person decided, that correct one, or came late.

        A reading came late where one of a later moment was stored before it.
        """
        meters = [
            row[0]
            for row in self.env.execute_query(
                SQL(
                    "SELECT DISTINCT meter_id FROM energy_usage WHERE unit_id = %s"
                    " UNION SELECT meter_id FROM energy_supply WHERE id = ANY(%s)",
                    unit.id,
                    [supply["supply"] for supply in counted["supplies"]],
                )
            )
        ]
        start, end = unit._moments()
        return self.env.execute_query_dict(
            SQL(
                """
            SELECT m.name AS meter, r.moment, trim_scale(r.total)::text AS register, r.source,
                   r.state, r.note, r.is_baseline, r.is_late, p.name AS decided_by, r.decided_at
              FROM (SELECT d.*, d.state = 'accepted' AND d.id > min(d.id) OVER (
                           PARTITION BY d.meter_id ORDER BY d.moment
                           ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS is_late
                      FROM energy_reading_data d
                     WHERE d.meter_id = ANY(%s) AND d.moment BETWEEN %s AND %s) r
              JOIN energy_meter m ON m.id = r.meter_id
              LEFT JOIN res_users u ON u.id = r.decided_by_id
              LEFT JOIN res_partner p ON p.id = u.partner_id
             WHERE r.is_late OR r.decided_at IS NOT NULL OR r.is_baseline
                OR r.origin IS NOT NULL AND r.source <> 'estimate'
                OR r.state IN ('rejected', 'superseded')
             ORDER BY r.moment, r.id LIMIT %s
            """,
                meters,
                start,
                end,
                MOST_CHANGES,
            )
        )

    def _explain_other(self, entry):
        """Return who moved money, when, how, on which paper, and where it is booked."""
        entries = self.env["energy.wallet.entry"]
        receipt = self.env["energy.receipt"].search([("entry_key", "=", entry.key)], limit=1)
        cause = entries.search([("key", "=", entry.cause_key)]) if entry.cause_key else entries
        request = self._request_of(entry)
        return {
            "who": entry.user_id.name,
            "when": entry.moment,
            "method": entry.method_id.name or "",
            "reference": entry.reference or "",
            "note": entry.note or "",
            "receipt": receipt.name or "",
            "cause": [self._named(other) for other in cause],
            "answers": [
                self._named(other) for other in entries.search([("cause_key", "=", entry.key)])
            ],
            "request": request
            and {
                "name": request.name,
                "kind": request.kind,
                "reason": dict(request._fields["reason"]._description_selection(self.env)).get(
                    request.reason, ""
                ),
                "remark": request.remark or "",
                "asked_by": request.requested_by_id.name,
                "asked_at": request.requested_at,
                "decided_by": request.decided_by_id.name or "",
                "decided_at": request.decided_at,
            },
            "shift": entry.shift_id.display_name or "",
            "invoice": ", ".join(entry.period_id.move_id.mapped("name")),
            "period": entry.period_id.display_name or "",
            "booking": entry.booking_id.name or "",
            "booked_on": entry.booking_id.date,
            "is_booked": entry.is_booked,
        }

    def _request_of(self, entry):
        """Return the balance request that an entry carries out."""
        requests = self.env["energy.balance.request"]
        parts = (entry.key or "").split("/")
        if parts[0] == "request" and len(parts) > 1 and parts[1].isdigit():
            return requests.search([("id", "=", int(parts[1]))])
        if entry.kind == "reversal":
            return requests.search(
                [("entry_key", "=", entry.cause_key), ("state", "=", "done")], limit=1
            )
        return requests

    def _named(self, entry):
        return {
            "name": entry.display_name,
            "moment": entry.moment,
            "amount": self._text("amount", entry),
        }

    def _text(self, name, entry):
        """Return an amount of an entry as the database has it."""
        return Decimal(
            self.env.execute_query(
                SQL(
                    "SELECT %s::text FROM energy_wallet_entry WHERE id = %s",
                    SQL.identifier(name),
                    entry.id,
                )
            )[0][0]
        )


def _decimal(amount):
    """Return an exact amount as a Decimal, half up to 12 decimals where it is a fraction."""
    return amount if isinstance(amount, Decimal) else round_half_up(amount, EXACT)
