import logging
import socket
from functools import partial
from typing import NamedTuple

from odoo import _, api, models
from odoo.tools import SQL

from .energy_command import WAITING

_logger = logging.getLogger(__name__)

# Pauses in real seconds after the first, second, … failed try; the last one repeats.
PAUSES = (2, 5, 15, 60, 300)
MOST_TRIES = 5


class Evidence(NamedTuple):
    """Who tried an order, and the bytes: one line each, → as sent, ← as received."""

    holder: str = ""
    frames: str = ""


UNKNOWN = Evidence()


class EnergyCommand(models.Model):
    """What whatever drives the meters does with the outbox: take, check, send, confirm."""

    _inherit = "energy.command"

    @api.model
    def _until_released(self):
        """Return what a person has to release; the other waits end by themselves."""
        return ("breaker", "service")

    @api.model
    def _take(self, meter_ids):
        """Return the next due order of each meter, supply before reading.

        Lower supply orders of a meter that has a higher one (but for one that waits for the end of
        service mode) become overtaken, as do older readings beside newer ones; orders past their
        life expire, unless somebody has to release them: who does decides anew. An order in state
        *sent* comes back after a crash: what the device says is read first.

        :return: list of dicts with id, meter_id, number, kind, value, mode, cause, tries, state
        """
        # Few wait of all that a connector may ask for: no list of thousands goes to the database.
        self.env.cr.execute(
            "SELECT DISTINCT meter_id FROM energy_command"
            " WHERE state IN ('queued', 'sent') AND meter_id IS NOT NULL"
        )
        meter_ids = list({meter for (meter,) in self.env.cr.fetchall()}.intersection(meter_ids))
        if not meter_ids:
            return []
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command c SET state = 'overtaken', done_at = energy_now()
             WHERE c.meter_id = ANY(%s) AND c.state IN ('queued', 'sent')
               AND EXISTS (SELECT 1 FROM energy_command h
                            WHERE h.meter_id = c.meter_id AND h.kind = c.kind
                              AND h.number > c.number
                              AND h.waits_for IS DISTINCT FROM 'service')
            RETURNING c.id, c.kind, c.value
            """,
                meter_ids,
            )
        )
        ended = self.browse()
        for order in self.env.cr.fetchall():
            ended += self.browse(order[0])
            self._log_end(*order, "overtaken by a later one")
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command c SET state = 'expired', done_at = energy_now()
             WHERE c.meter_id = ANY(%s) AND c.state = 'queued' AND c.expires_at <= energy_now()
               AND (c.waits_for IS NULL OR c.waits_for NOT IN %s)
            RETURNING c.meter_id, c.kind, c.cause, c.id, c.value
            """,
                meter_ids,
                self._until_released(),
            )
        )
        expired = []
        for *row, order, value in self.env.cr.fetchall():
            expired.append(row)
            ended += self.browse(order)
            self._log_end(order, row[1], value, "expired")
        self._forget_wish(
            [meter for meter, kind, cause in expired if kind == "supply" and cause == "arrears"]
        )
        self._sync_to_do([meter for meter, _kind, _cause in expired])
        ended._ended()
        self.env.cr.execute(
            SQL(
                """
            SELECT DISTINCT ON (meter_id) id, meter_id, number, kind, value, mode, cause, tries,
                   state
              FROM energy_command
             WHERE meter_id = ANY(%s) AND state IN ('queued', 'sent')
               AND (not_before IS NULL OR not_before <= energy_real_now())
               AND (waits_for IS NULL OR waits_for NOT IN %s)
             ORDER BY meter_id, kind = 'supply' DESC, number
            """,
                meter_ids,
                self._until_released(),
            )
        )
        names = ("id", "meter_id", "number", "kind", "value", "mode", "cause", "tries", "state")
        self.invalidate_model(flush=False)
        return self._hold_back(
            [dict(zip(names, row, strict=True)) for row in self.env.cr.fetchall()]
        )

    def _ended(self):
        """Have whatever waits for these orders know that they are at their end, however it came."""
        self.invalidate_recordset(flush=False)

    @api.model
    def _log_end(self, order, kind, value, how):
        """Log the end of an order that nothing is written for, once that is committed."""
        what = f"{kind} {value or ''}".rstrip()
        self.env.cr.postcommit.add(partial(_logger.info, "Order %s, %s: %s", order, what, how))

    @api.model
    def _hold_back(self, orders):
        """Return those of the due orders that may go to the meters now.

        What is not returned has been given `waits_for` (`_let_wait`) and, unless somebody has to
        release it, a moment at which it is due again. Extended by each rule that makes orders wait.

        :param list orders: as `_take` returns them
        """
        return orders

    def _let_wait(self, waits_for, seconds=None):
        """Note what these orders wait for: so many real seconds, or until `_no_longer_waits`."""
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command
               SET waits_for = %s, not_before = energy_real_now() + %s * interval '1 second'
             WHERE id = ANY(%s) AND state IN ('queued', 'sent')
            """,
                waits_for,
                seconds,
                self.ids,
            )
        )
        self.invalidate_recordset(flush=False)

    def _no_longer_waits(self):
        """Let these orders go on, and have connectors look for them."""
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command SET waits_for = NULL, not_before = NULL
             WHERE id = ANY(%s) AND state IN ('queued', 'sent')
            RETURNING pg_notify('energy_command', COALESCE(meter_id::text, ''))
            """,
                self.ids,
            )
        )
        self.invalidate_recordset(flush=False)

    def _why_waiting(self):
        """Return why these orders wait for a person, a sentence each; empty where none does."""
        return []

    def _check(self):
        """Return why this order must not be carried out now; empty if it still holds.

        Asked right before the write. An order that no longer holds is overtaken, with the reason;
        one that has to wait meanwhile is left waiting.
        """
        self.ensure_one()
        self.invalidate_recordset(flush=False)
        if self.state not in WAITING:
            return _("The command is not waiting any more.")
        if self.kind != "supply":
            return ""
        self.env.cr.execute(
            SQL(
                "SELECT 1 FROM energy_command"
                " WHERE meter_id = %s AND kind = 'supply' AND number > %s"
                " AND waits_for IS DISTINCT FROM 'service'",
                self.meter_id.id,
                self.number,
            )
        )
        if self.env.cr.fetchone():
            why = _("A later command took its place.")
        elif self.waits_for in self._until_released():
            # It was taken before it had to wait; it stays in the outbox.
            labels = dict(self._fields["waits_for"]._description_selection(self.env))
            return _("Waits for: %s.", labels[self.waits_for])
        elif self.value == "off" and self.cause == "arrears":
            why = self.env["energy.meter.control"]._cut_still_holds(
                self.meter_id.id, self.account_id.id
            )
            if why:
                self._forget_wish(self.meter_id.ids)
        else:
            why = ""
        if why:
            self._set("overtaken", error=why, done=True)
        return why

    def _sent(self, request, evidence=UNKNOWN):
        """Note what is about to be written to the device."""
        self._set("sent", request=request, sent=True)
        self._note("written", evidence)

    def _confirm(self, response, evidence=UNKNOWN):
        """The step *confirm*: the read-back shows what was ordered.

        Again it does nothing: who lost the connection while committing cannot know.
        """
        if self.state == "confirmed":
            return
        self._set("confirmed", response=response, error=None, done=True)
        self._note("confirmed", evidence)

    def _dropped(self, why, evidence=UNKNOWN):
        """Note that the last look before the write said no; `_check` has done the rest."""
        self._note("dropped", evidence, why)

    def _note(self, outcome, evidence, error=None):
        holder = evidence.holder or socket.gethostname()
        self.env["energy.command.attempt"]._note(self, outcome, holder, evidence.frames, error)

    def _retry(self, error, response=None, counts=True, evidence=UNKNOWN):
        """Try again after a pause; a supply order that was counted too often fails.

        :param bool counts: False where the meter did not answer at all: an offline meter keeps its
            order until it is back
        """
        self.ensure_one()
        tries = self.tries + 1
        if counts and tries >= MOST_TRIES:
            self._fail(error, response, evidence)
            return
        if counts:
            outcome = "unconfirmed" if self.state == "sent" else "unreached"
            self._note(outcome, evidence, error)
        else:
            self._note_unreached(evidence, error)
        pause = PAUSES[min(tries, len(PAUSES)) - 1]
        self._set(
            "queued" if self.state == "queued" else "sent",
            error=error,
            response=response,
            tries=tries if counts else self.tries,
            pause=pause,
            unreached=not counts,
        )

    def _fail(self, error, response=None, evidence=UNKNOWN):
        """Give up; somebody sees it under *Today*.

        What was wanted stays wanted: so a payment turns on what a cut may have turned off all the
        same, and the same is not ordered again by itself. Again it does nothing, as `_confirm`.
        """
        self.ensure_one()
        if self.state == "failed":
            return
        self._note("failed", evidence, error)
        self._set("failed", error=error, response=response, tries=self.tries + 1, done=True)

    def _set(
        self,
        state,
        *,
        request=None,
        response=None,
        error=None,
        tries=None,
        pause=None,
        unreached=False,
        sent=False,
        done=False,
    ):
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command
               SET state = %(state)s, error = %(error)s,
                   request = COALESCE(%(request)s, request),
                   response = COALESCE(%(response)s, response),
                   tries = COALESCE(%(tries)s, tries),
                   unreached = COALESCE(unreached, 0) + %(unreached)s::int,
                   not_before = energy_real_now() + %(pause)s * interval '1 second',
                   waits_for = CASE WHEN %(state)s = 'queued' AND waits_for IN %(released)s
                                    THEN waits_for END,
                   sent_at = CASE WHEN %(sent)s THEN energy_now() ELSE sent_at END,
                   done_at = CASE WHEN %(done)s THEN energy_now() ELSE done_at END
             WHERE id = ANY(%(ids)s) AND state IN ('queued', 'sent')
            """,
                state=state,
                released=self._until_released(),
                error=error,
                request=request,
                response=response,
                tries=tries,
                unreached=unreached,
                pause=pause,
                sent=sent,
                done=done,
                ids=self.ids,
            )
        )
        self.invalidate_recordset(flush=False)
        if done:
            self.env["energy.room"]._tell()
            self._ended()
