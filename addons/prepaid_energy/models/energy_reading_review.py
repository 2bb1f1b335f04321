from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from odoo import _, api, models
from odoo.tools import SQL, format_datetime

from .. import clock
from ..bulk import copy_rows, values
from ..engine import History, Refusal, Row, judge
from .energy_reading_acceptance import BANDS, STORED, by_band

DECIDED = ("is_baseline", "origin", "note", "decided_by_id", "decided_at")
# So many accepted readings after the last one that is decided about are looked at first.
ACCEPTED_AFTER = 3


@dataclass
class Outcome:
    """What a decision about readings led to.

    `refusals`: why, by id of the readings that it could not be carried out on, and `codes`, as of
    the engine's `Refusal`; `queue`: from when
    on use is to be rated, by meter id; `use`: change of the use in kWh or m³, by meter id;
    `believed` and `doubted`: how many other readings are accepted or held now, judged anew.
    """

    refusals: dict[int, str] = field(default_factory=dict)
    codes: dict[int, str] = field(default_factory=dict)
    queue: dict[int, datetime] = field(default_factory=dict)
    use: dict[int, Decimal] = field(default_factory=dict)
    believed: int = 0
    doubted: int = 0


class EnergyReading(models.Model):
    """People's decisions: the only code that changes the state of a stored reading."""

    _inherit = "energy.reading"

    def _accept(self, note, meaning="", last_register=None, overrule=False):
        """Believe readings although they were held, rejected or superseded.

        :param str note: the reason given
        :param str meaning: of a fall: "rollover", "anew" or "" (then a fall is refused)
        :param Decimal last_register: where it begins anew, the register just before, or None
        :param bool overrule: hold later accepted readings that cannot follow
        :rtype: Outcome
        """
        how = {"meaning": meaning, "last_register": last_register, "overrule": overrule}
        return self._review(lambda history, row: history.accept(row, **how), note)

    def _reject(self, note):
        """Set readings aside: what was charged by them is charged by their neighbours.

        :rtype: Outcome
        """
        return self._review(lambda history, row: history.reject(row), note)

    def _correct(self, total, note, meaning="", last_register=None, overrule=False):
        """Store another register for the moment of a reading, in its place.

        :param Decimal total: the register
        :rtype: Outcome
        """
        self.ensure_one()
        how = {"meaning": meaning, "last_register": last_register, "overrule": overrule}
        return self._review(lambda history, row: history.correct(row, total, **how), note)

    def _judge_anew(self):
        """Believe held readings that fit, now that why they were held is no longer so.

        :rtype: Outcome
        """
        return self._review(lambda history, row: history.judge_anew(row), None)

    def _hold(self, reason, expected, note):
        """Hold readings that were accepted a moment ago, until a person decides.

        :param str reason: code of `reason`
        :param str expected: what would have been believed
        """
        self.env.cr.execute(
            SQL(
                "UPDATE energy_reading_data SET state = 'held', reason = %s, expected = %s,"
                " note = %s WHERE id = ANY(%s) AND state = 'accepted'",
                reason,
                expected,
                note,
                self.ids,
            )
        )
        self.env["energy.reading"].invalidate_model(flush=False)

    def _review(self, decide, note):
        """Carry a decision out on these readings, each after those before it.

        :param decide: function of (`History`, `Row`) that raises `Refusal`
        :param str note: the reason given
        :rtype: Outcome
        """
        outcome = Outcome()
        chosen = self._chosen()
        if not chosen:
            return outcome
        self.env.flush_all()
        facts = self._meter_facts(set(chosen))
        now = clock.now(self.env.cr)
        for meter, history in self._histories(chosen, facts, now).items():
            found = self._decide_about(history, chosen[meter], decide, outcome)
            if history.is_exhausted:
                spans = {meter: chosen[meter]}
                history = self._histories(spans, facts, now, everything=True)[meter]
                found = self._decide_about(history, chosen[meter], decide, outcome)
            if found:
                before, decided = found
                self._write_states(meter, history, before, decided, facts[meter], note, now)
                self._write_stated(meter, history)
                outcome.queue[meter] = history.since or now
                outcome.use[meter] = history.use() - before.use()
                outcome.believed += _moved(history.rows, before, decided, "accepted")
                outcome.doubted += _moved(history.rows, before, decided, "held")
        self.env["energy.settlement.queue"]._add(list(outcome.queue.items()))
        self.env["energy.reading"].invalidate_model(flush=False)
        return outcome

    def _decide_about(self, history, chosen, decide, outcome):
        """Carry a decision out on the chosen rows of a meter's history.

        :return: (`History` as it was, ids that a person decided about), or None where nothing
            could be done
        """
        before = History(
            [replace(row) for row in history.rows],
            history.limits,
            history.now,
            complete=history.complete,
        )
        by_number = {row.number: row for row in history.rows}
        done, decided = False, set()
        for number, _moment in chosen:
            row = by_number[number]
            try:
                decide(history, row)
            except Refusal as refusal:
                # What is as it is wanted already is done: others were decided about before it.
                if refusal.code not in ("accepted", "rejected"):
                    outcome.refusals[number] = self._refusal(refusal)
                    outcome.codes[number] = refusal.code
            else:
                outcome.refusals.pop(number, None)
                done = True
                if row.decided:
                    decided.add(number)
        return (before, decided) if done else None

    def _refusal(self, refusal):
        """Return a refusal in words."""
        row = refusal.row
        figures = {
            "register": f"{row.total.normalize():f}" if row and row.total is not None else "",
            "moment": format_datetime(self.env, row.moment) if row else "",
        }
        sentences = {
            "not_a_number": _("It is not a number: correct or reject it."),
            "negative": _("It is below zero: correct or reject it."),
            "too_wide": _("It has more digits than the register: correct or reject it."),
            "future": _("Its moment lies in the future."),
            "taken": _("Another one is accepted at that moment: %(register)s."),
            "fell": _(
                "The register was %(register)s on %(moment)s and is lower now: say what that means."
            ),
            "width": _("Type the meter's register digits first: without them no use is known."),
            "next_lower": _(
                "The next accepted reading is lower: %(register)s on %(moment)s. Reject this one, "
                "or let the later ones be held."
            ),
            "next_higher": _(
                "The next accepted reading is too high to follow: %(register)s on %(moment)s. "
                "Reject this one, or let the later ones be held."
            ),
            "next_stated": _(
                "A document states a register that cannot follow: %(register)s on %(moment)s. "
                "Correct that one first."
            ),
            "stated": _("A document states it: correct it instead."),
            "last": _(
                "The last register before the reset does not fit: it was %(register)s on "
                "%(moment)s."
            ),
        }
        return sentences[refusal.code] % figures

    # --- rows --------------------------------------------------------------------------------

    def _chosen(self):
        """Return these readings as lists of (id, moment) by meter id, oldest first."""
        chosen = defaultdict(list)
        for number, meter, moment in self.env.execute_query(
            SQL(
                "SELECT id, meter_id, moment FROM energy_reading_data WHERE id = ANY(%s)"
                " AND source <> 'estimate' ORDER BY meter_id, moment, id",
                self.ids,
            )
        ):
            chosen[meter].append((number, moment))
        return chosen

    def _histories(self, chosen, facts, now, everything=False):
        """Return the history around the chosen readings of each meter, estimates left out.

        :param dict chosen: as of `_chosen`
        :param bool everything: all that lies after them, however much
        :return: dict of meter id to `History`
        """
        spans = [(meter, rows[0][1], rows[-1][1]) for meter, rows in chosen.items()]
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.meter, h.moment IS NULL, r.id, r.moment, r.total::text, r.state, r.reason,
                   r.expected, r.is_baseline, r.decided_by_id, s.id IS NOT NULL, r.origin, %s
              FROM %s
              LEFT JOIN LATERAL (
                   SELECT moment FROM energy_reading_data
                    WHERE meter_id = v.meter AND moment < v.low AND state = 'accepted'
                      AND source <> 'estimate'
                    ORDER BY moment DESC LIMIT 1) l ON TRUE
              LEFT JOIN LATERAL (
                   SELECT moment FROM energy_reading_data
                    WHERE meter_id = v.meter AND moment > v.high AND state = 'accepted'
                      AND source <> 'estimate'
                    ORDER BY moment OFFSET %s LIMIT 1) h ON NOT %s
              JOIN energy_reading_data r ON r.meter_id = v.meter AND r.source <> 'estimate'
                   AND r.moment >= COALESCE(l.moment, '-infinity')
                   AND r.moment <= COALESCE(h.moment, 'infinity')
              LEFT JOIN LATERAL (
                   SELECT s.id FROM energy_supply s JOIN energy_account a ON a.id = s.account_id
                    WHERE s.meter_id = v.meter AND a.state <> 'draft'
                      AND r.moment IN (s.start_at, s.end_at) LIMIT 1) s ON r.state = 'accepted'
             ORDER BY v.meter, r.moment, r.id
            """,
                SQL(", ").join(SQL(f"r.{band}::text") for band in BANDS),
                values(spans, meter="int", low="timestamp", high="timestamp"),
                ACCEPTED_AFTER - 1,
                everything,
            )
        )
        by_meter = self._by_meter(set(chosen))
        found = defaultdict(list)
        complete = {}
        for meter, is_all, number, moment, total, state, reason, expected, *rest in rows:
            is_baseline, decided_by, is_stated, origin, *bands = rest
            complete[meter] = is_all
            found[meter].append(
                Row(
                    number,
                    moment,
                    Decimal(total) if total is not None else None,
                    state,
                    reason or "",
                    expected or "",
                    baseline=bool(is_baseline),
                    decided=decided_by is not None,
                    stated=is_stated,
                    origin=origin,
                    bands=by_band(bands) if meter in by_meter else None,
                )
            )
        return {
            meter: History(found[meter], facts[meter][2], now, complete=complete[meter])
            for meter in found
        }

    def _write_states(self, meter, history, before, decided, facts, note, now):
        """Bring the stored rows of a meter to what was decided."""
        old = {row.number: row for row in before.rows}
        site, company, _limits = facts
        leaving, entering, new = [], [], []
        for row in history.rows:
            by_person = row.number is None or row.number in decided
            was = old.get(row.number)
            person = (note, self.env.uid, now) if by_person else (None, None, None)
            if row.number is None:
                new.append(
                    (
                        *(meter, row.moment, row.total, "typed", "accepted", None),
                        *(None, site, company, self.env.uid, row.baseline, row.origin, *person),
                    )
                )
            elif by_person or row.state != was.state or row.reason != was.reason:
                change = (
                    row.number,
                    row.moment,
                    row.state,
                    row.reason or None,
                    row.expected or None,
                    row.baseline,
                    *person,
                )
                (entering if row.state == "accepted" else leaving).append(change)
        # Whatever leaves makes room at its moment first. Rating drops the other estimates.
        self.env.cr.execute(
            SQL(
                "UPDATE energy_reading_data SET state = 'superseded' WHERE meter_id = %s"
                " AND source = 'estimate' AND state = 'accepted' AND moment = ANY(%s)",
                meter,
                [row.moment for row in history.rows if row.state == "accepted"],
            )
        )
        for changes in (leaving, entering):
            if changes:
                self.env.cr.execute(
                    SQL(
                        """
                    UPDATE energy_reading_data AS r
                       SET state = v.state, reason = v.reason, expected = v.expected,
                           is_baseline = v.baseline, note = v.note, decided_by_id = v.who,
                           decided_at = v.at
                      FROM %s WHERE r.id = v.id AND r.moment = v.moment
                    """,
                        values(
                            changes,
                            id="bigint",
                            moment="timestamp",
                            state="text",
                            reason="text",
                            expected="text",
                            baseline="boolean",
                            note="text",
                            who="int",
                            at="timestamp",
                        ),
                    )
                )
        if new:
            copy_rows(self.env.cr, "energy_reading_data", (*STORED, *DECIDED), new)

    def _write_stated(self, meter, history):
        """Let supplies name the register that a correction puts where a document had stated one."""
        for row in history.rows:
            if row.number is None and row.stated:
                # Not by the ORM: nobody else changes the registers of a supply that was priced.
                self.env.cr.execute(
                    SQL(
                        """
                    UPDATE energy_supply
                       SET opening_register = CASE WHEN start_at = %(moment)s THEN %(total)s
                                                   ELSE opening_register END,
                           closing_register = CASE WHEN end_at = %(moment)s THEN %(total)s
                                                   ELSE closing_register END
                     WHERE meter_id = %(meter)s AND %(moment)s IN (start_at, end_at)
                    """,
                        moment=row.moment,
                        total=row.total,
                        meter=meter,
                    )
                )
                self.env["energy.supply"].invalidate_model(
                    ["opening_register", "closing_register"], flush=False
                )

    @api.model
    def _would_be(self, rows):
        """Judge readings without storing them.

        :param list rows: tuples (meter id, moment naive UTC, total Decimal)
        :return: dict of (meter id, moment) to `Verdict`
        """
        if not rows:
            return {}
        self.env.flush_all()
        facts = self._meter_facts({meter for meter, _moment, _total in rows})
        neighbours = self._neighbours_anywhere({(meter, moment) for meter, moment, _total in rows})
        now = clock.now(self.env.cr)
        return {
            (meter, moment): judge(
                total, moment, *_in_order(neighbours[meter, moment]), facts[meter][2], now
            )
            for meter, moment, total in rows
        }


def _in_order(neighbours):
    """Return (before, at, after) in the order in which `judge` takes them."""
    before, same, after = neighbours
    return before, after, same


def _moved(rows, before, decided, state):
    """Return how many rows, not decided about themselves, came into a state."""
    old = {row.number: row.state for row in before.rows}
    return sum(
        1
        for row in rows
        if row.number is not None
        and row.number not in decided
        and row.state == state
        and old[row.number] != state
    )
