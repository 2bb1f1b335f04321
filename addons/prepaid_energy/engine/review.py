"""What follows when a person decides about readings of a meter: accept, reject, correct.

A person overrules what ``judge`` found implausible, but not what a register cannot show. Readings
beside the one decided about are judged anew where they meet another neighbour now: held ones may be
believed, and believed ones may become doubtful.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from .acceptance import Limits, Verdict, judge
from .registers import Registers
from .splitting import Point

# Reasons of held readings that may hold no longer once a neighbour is another one.
OF_NEIGHBOURS = frozenset({"fell", "too_fast", "between", "bands"})
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Row:
    """A stored reading. ``number`` is None where it is yet to be stored.

    ``decided``: a person decided about it. ``stated``: a document states it (opening or closing
    register), so that it is neither rejected nor judged anew. ``bands``: the band registers read,
    where the meter's use goes by them.
    """

    number: int | None
    moment: datetime
    total: Decimal | None
    state: str
    reason: str = ""
    expected: str = ""
    baseline: bool = False
    decided: bool = False
    stated: bool = False
    origin: int | None = None
    bands: Registers | None = None

    @property
    def point(self) -> Point:
        assert self.total is not None
        return Point(self.moment, self.total, self.baseline)


class Refusal(Exception):
    """A decision that cannot be carried out. ``code`` says why, ``row`` names what is in the way.

    Codes: "not_a_number", "negative", "too_wide", "future", "accepted" (it is already), "taken"
    (another one is accepted at that moment), "fell" (lower than the one before: its meaning is
    missing), "width" (a rollover needs the register's width), "next_lower" and
    "next_higher" (the next accepted one cannot follow), "next_stated" (nor one that a document
    states), "stated" (a document states it),
    "rejected" (it is already), "last" (the last register before the reset does not fit).
    """

    def __init__(self, code: str, row: Row | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.row = row


class History:
    """The readings of one meter around those that are decided about.

    ``rows`` must hold every reading from the accepted one before the first decision on to the
    accepted ones after the last; ``complete`` tells that none lies after them. ``is_exhausted``
    becomes True where more of them were needed: nothing of this history may be used then.
    """

    def __init__(
        self, rows: Sequence[Row], limits: Limits, now: datetime, *, complete: bool
    ) -> None:
        self.rows = sorted(rows, key=lambda row: (row.moment, row.number or 0))
        self.limits = limits
        self.now = now
        self.complete = complete
        self.is_exhausted = False
        # From when on accepted readings changed.
        self.since: datetime | None = None

    def accept(
        self,
        row: Row,
        *,
        meaning: str = "",
        last_register: Decimal | None = None,
        overrule: bool = False,
    ) -> None:
        """Believe a reading.

        ``meaning`` of a fall: "rollover" or "anew" (then ``last_register`` is the register just
        before, None: not known). ``overrule``: later readings that cannot follow it are held.

        Raises Refusal; nothing was changed then.
        """
        if row.state == "accepted":
            raise Refusal("accepted")
        self._check(row)
        before = self._before(row)
        # What the width explains, a person may know better.
        is_lower = before is not None and row.point.register < before.point.register
        begins_anew = is_lower and meaning == "anew"
        is_fall = begins_anew or self._is_fall(before, row)
        baseline = row.baseline or begins_anew
        if is_fall and not baseline:
            if meaning != "rollover":
                raise Refusal("fell", before)
            if self.limits.modulus is None:
                raise Refusal("width", before)
        last = self._last_before(row, before, last_register) if baseline else None
        self._check_next(row, baseline, overrule, is_fall)
        if last is not None:
            self._touch(last)
            self._insert(last)
        row.baseline, row.decided, row.state = baseline, True, "accepted"
        self._follow(row, strict=is_fall)

    def reject(self, row: Row) -> None:
        """Set a reading aside for good. Raises Refusal; nothing was changed then."""
        if row.state in ("rejected", "superseded"):
            raise Refusal("rejected")
        if row.state == "accepted" and row.stated:
            raise Refusal("stated")
        was_accepted = row.state == "accepted"
        row.state, row.decided = "rejected", True
        if was_accepted:
            self._follow(row, strict=True)

    def correct(
        self,
        row: Row,
        total: Decimal,
        *,
        meaning: str = "",
        last_register: Decimal | None = None,
        overrule: bool = False,
    ) -> Row:
        """Put another register in a reading's place, and return the new row.

        Raises Refusal; nothing was changed then.
        """
        state, decided = row.state, row.decided
        new = Row(
            None,
            row.moment,
            total,
            "new",
            baseline=row.baseline,
            stated=row.stated,
            origin=row.number,
        )
        row.state = "superseded" if state == "accepted" else "rejected"
        self._insert(new)
        try:
            self.accept(new, meaning=meaning, last_register=last_register, overrule=overrule)
        except Refusal:
            self.rows.remove(new)
            row.state, row.decided = state, decided
            raise
        row.decided = True
        self._follow(new, strict=True)
        return new

    def judge_anew(self, row: Row) -> None:
        """Believe a held reading if it fits, now that why it was held is no longer so.

        Otherwise it is held for what is still wrong with it.
        """
        if row.state != "held" or row.total is None or self._is_taken(row):
            return
        verdict = self._verdict(row, self._before(row), self._after(row))
        if verdict.state == "accepted":
            row.state = "accepted"
            self._follow(row, strict=False)
        elif verdict.state == "held":
            row.reason, row.expected = verdict.reason, verdict.expected

    def use(self) -> Decimal:
        """Return the use between the accepted readings, by the multipliers of their time."""
        points = [row.point for row in self.rows if row.state == "accepted"]
        use = Decimal(0)
        for before, after in pairwise(points):
            if after.baseline:
                continue
            step = after.register - before.register
            if step < 0 and self.limits.modulus is not None:
                step += self.limits.modulus
            use += self.limits.used(step, before.moment, after.moment)
        return use

    # --- what a register cannot show -------------------------------------------------------

    def _check(self, row: Row) -> None:
        if row.total is None or not row.total.is_finite():
            raise Refusal("not_a_number")
        if row.total < 0:
            raise Refusal("negative")
        if self.limits.modulus is not None and row.total >= self.limits.modulus:
            raise Refusal("too_wide")
        if row.moment > self.now + self.limits.clock_tolerance:
            raise Refusal("future")
        for other in self.rows:
            if other.moment == row.moment and other.state == "accepted":
                raise Refusal("taken", other)

    def _is_fall(self, before: Row | None, row: Row) -> bool:
        """Tell whether a reading is lower than the accepted one before, and no known rollover."""
        if before is None or row.point.register >= before.point.register:
            return False
        after = self._after(row)
        if after is not None and not after.baseline:
            # The step over the rollover is accepted already, and this one lies on the way.
            low = after.point.register
            if low < before.point.register and row.point.register <= low:
                return False
        return not self._fits(row, before)

    def _check_next(self, row: Row, baseline: bool, overrule: bool, is_fall: bool) -> None:
        """Refuse what the next accepted reading cannot follow.

        After a fall the step to it is no longer part of one that was believed already, so that it
        must be possible in its time as well.
        """
        after = self._after(row)
        if after is None or after.baseline:
            return
        is_lower = after.point.register < row.point.register
        if not (is_lower or is_fall):
            return
        if self._fits(after, Row(None, row.moment, row.total, "accepted", baseline=baseline)):
            return
        if after.stated:
            raise Refusal("next_stated", after)
        if not overrule:
            raise Refusal("next_lower" if is_lower else "next_higher", after)

    def _last_before(
        self, row: Row, before: Row | None, last_register: Decimal | None
    ) -> Row | None:
        """Return the reading just before a reset, as a person stated it."""
        if last_register is None:
            return None
        moment = row.moment - SECOND
        last = Row(None, moment, last_register, "accepted", decided=True, origin=row.number)
        modulus = self.limits.modulus
        if (
            before is None
            or before.moment >= moment
            or not last_register.is_finite()
            or last_register < before.point.register
            or (modulus is not None and last_register >= modulus)
        ):
            raise Refusal("last", before)
        return last

    # --- what follows ------------------------------------------------------------------------

    def _follow(self, row: Row, *, strict: bool) -> None:
        """Judge the readings beside a changed one anew.

        ``strict``: a later accepted reading must pass all limits again; otherwise only a fall makes
        it doubtful.
        """
        self._touch(row)
        before = self._before(row)
        end = self._hold_what_cannot_follow(row, strict)
        self._believe_what_fits(before, end)

    def _touch(self, row: Row) -> None:
        """Note that use changes from the accepted reading before this one on."""
        before = self._before(row)
        since = before.moment if before is not None else row.moment
        self.since = since if self.since is None else min(self.since, since)

    def _hold_what_cannot_follow(self, row: Row, strict: bool) -> Row | None:
        """Hold accepted readings after a changed one; return the first that stays."""
        previous = row if row.state == "accepted" else self._before(row)
        for other in self.rows:
            if other.moment <= row.moment or other.state != "accepted":
                continue
            falls = previous is not None and other.point.register < previous.point.register
            is_judged = (strict and not other.decided) or falls
            if other.stated or other.baseline or not is_judged or self._fits(other, previous):
                return other
            verdict = self._verdict(other, previous, None)
            other.state, other.reason, other.expected = "held", verdict.reason, verdict.expected
            other.decided = False
        self.is_exhausted = not self.complete
        return None

    def _believe_what_fits(self, before: Row | None, end: Row | None) -> None:
        """Accept held readings that fit their neighbours now."""
        for row in self.rows:
            if before is not None and row.moment <= before.moment:
                continue
            if end is not None and row.moment >= end.moment:
                return
            if row.state != "held" or row.reason not in OF_NEIGHBOURS or row.total is None:
                continue
            if self._is_taken(row):
                continue
            if self._verdict(row, self._before(row), self._after(row)).state == "accepted":
                row.state = "accepted"

    def _is_taken(self, row: Row) -> bool:
        return any(r.moment == row.moment and r.state == "accepted" for r in self.rows)

    def _fits(self, row: Row, previous: Row | None) -> bool:
        return self._verdict(row, previous, None).state == "accepted"

    def _verdict(self, row: Row, previous: Row | None, following: Row | None) -> Verdict:
        return judge(
            row.point.register,
            row.moment,
            previous.point if previous is not None else None,
            following.point if following is not None else None,
            None,
            self.limits,
            self.now,
            bands=row.bands,
            previous_bands=previous.bands if previous is not None else None,
        )

    def _before(self, row: Row) -> Row | None:
        found = None
        for other in self.rows:
            if other.moment >= row.moment:
                break
            if other.state == "accepted":
                found = other
        return found

    def _after(self, row: Row) -> Row | None:
        for other in self.rows:
            if other.moment > row.moment and other.state == "accepted":
                return other
        return None

    def _insert(self, row: Row) -> None:
        self.rows.append(row)
        self.rows.sort(key=lambda row: (row.moment, row.number or 0))
