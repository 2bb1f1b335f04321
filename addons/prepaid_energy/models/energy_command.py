from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .energy_meter_control import CAUSES, MODES

WAITING = ("queued", "sent")
# Pauses in real seconds after the first, second, … failed try; the last one repeats.
PAUSES = (2, 5, 15, 60, 300)
MOST_TRIES = 5


class EnergyCommand(models.Model):
    """An order to a meter: the outbox of the flow.

    Whoever wants something only inserts (`_command`), in the transaction of its cause. Only the
    connector that holds the meter's gateway changes an order's state. Nothing here can be edited.
    """

    _name = "energy.command"
    _description = "Command"
    _log_access = False
    _order = "id desc"

    meter_id = fields.Many2one("energy.meter", readonly=True, ondelete="cascade")
    property_id = fields.Many2one(related="meter_id.property_id")
    number = fields.Integer(
        readonly=True,
        required=True,
        help="Counts the meter's commands: the higher one of two "
        "supply commands makes the lower one overtaken.",
    )
    kind = fields.Selection(
        [("supply", "Supply"), ("read", "Read now")], required=True, readonly=True
    )
    value = fields.Selection([("on", "On"), ("off", "Off")], readonly=True)
    mode = fields.Selection(MODES, string="Mode After", readonly=True)
    state = fields.Selection(
        [
            ("queued", "Queued"),
            ("sent", "Sent"),
            ("confirmed", "Confirmed"),
            ("failed", "Failed"),
            ("expired", "Expired"),
            ("overtaken", "Overtaken"),
        ],
        required=True,
        readonly=True,
        default="queued",
    )
    cause = fields.Selection(CAUSES, required=True, readonly=True)
    reason = fields.Char(readonly=True)
    user_id = fields.Many2one(
        "res.users", string="Ordered By", required=True, readonly=True, ondelete="restrict"
    )
    entry_key = fields.Char(readonly=True, index="btree_not_null")
    created_at = fields.Datetime(string="Ordered At", required=True, readonly=True)
    not_before = fields.Datetime(
        readonly=True, help="Real time before which it is not tried again."
    )
    expires_at = fields.Datetime(readonly=True)
    tries = fields.Integer(readonly=True, required=True, default=0)
    sent_at = fields.Datetime(readonly=True)
    done_at = fields.Datetime(readonly=True)
    request = fields.Text(string="Sent to the Meter", readonly=True)
    response = fields.Text(string="Came Back", readonly=True)
    error = fields.Char(readonly=True)
    is_last = fields.Boolean(
        compute="_compute_is_last",
        search="_search_is_last",
        help="No later command of its kind was given to the meter.",
    )
    site_id = fields.Many2one("energy.property", readonly=True, required=True, index=True)
    company_id = fields.Many2one("res.company", readonly=True, required=True, index=True)

    _number_uniq = models.UniqueIndex("(meter_id, number)", "A meter has one command of a number.")
    _waiting_idx = models.Index("(meter_id) WHERE state IN ('queued', 'sent')")
    _check_supply = models.Constraint(
        "CHECK (kind <> 'supply' OR (value IS NOT NULL AND mode IS NOT NULL))",
        "A supply command says on or off.",
    )

    def init(self):
        self.env.cr.execute("""
            CREATE OR REPLACE FUNCTION energy_command_notify() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_notify('energy_command', COALESCE(NEW.meter_id::text, ''));
                RETURN NEW;
            END $$;

            CREATE OR REPLACE TRIGGER energy_command_notify
            AFTER INSERT ON energy_command
            FOR EACH ROW EXECUTE FUNCTION energy_command_notify();
        """)

    @api.depends("kind", "value", "number", "meter_id.name")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        values = dict(self._fields["value"]._description_selection(self.env))
        for command in self:
            what = f"{labels.get(command.kind, '')} {values.get(command.value, '')}".strip()
            command.display_name = f"{command.meter_id.name} #{command.number} {what}"

    def _compute_is_last(self):
        last = self.search([("id", "in", self.ids), ("is_last", "=", True)])
        for command in self:
            command.is_last = command in last

    def _search_is_last(self, operator, value):
        if operator != "in":
            return NotImplemented
        query = SQL("(SELECT max(id) FROM energy_command GROUP BY meter_id, kind)")
        domain = [("id", "in", query)]
        return domain if set(value) == {True} else ["!", *domain]

    @api.model_create_multi
    def create(self, vals_list):
        raise UserError(_("Commands are ordered from rooms and meters."))

    def write(self, vals):
        raise UserError(_("Commands cannot be edited."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Commands are never deleted."))

    # --- ordering ----------------------------------------------------------------------------

    @api.model
    def _command(self, orders):
        """The step *command*: put orders into the outbox, in the transaction of their cause.

        :param list orders: dicts with meter_id, kind, value, mode, cause, reason, user_id,
            entry_key, and `life` (a timedelta after which the order expires, or None)
        """
        for order in sorted(orders, key=lambda order: order["meter_id"]):
            life = order.get("life")
            self.env.cr.execute(
                SQL(
                    """
                WITH numbered AS (
                    UPDATE energy_meter_control SET last_number = last_number + 1
                     WHERE meter_id = %(meter)s RETURNING meter_id, last_number)
                INSERT INTO energy_command (meter_id, number, kind, value, mode, state, cause,
                       reason, user_id, entry_key, created_at, expires_at, tries, site_id,
                       company_id)
                SELECT m.id, n.last_number, %(kind)s, %(value)s, %(mode)s, 'queued', %(cause)s,
                       %(reason)s, %(user)s, %(entry_key)s, energy_now(),
                       energy_now() + %(life)s::interval, 0, m.site_id, m.company_id
                  FROM numbered n JOIN energy_meter m ON m.id = n.meter_id
                """,
                    meter=order["meter_id"],
                    kind=order["kind"],
                    value=order.get("value"),
                    mode=order.get("mode"),
                    cause=order["cause"],
                    reason=order.get("reason") or None,
                    user=order["user_id"],
                    entry_key=order.get("entry_key"),
                    life=f"{life.total_seconds()} seconds" if life else None,
                )
            )
        if orders:
            self.env["energy.room"]._tell()
            self.invalidate_model(flush=False)
            self.env["energy.meter.control"].invalidate_model(["last_number"], flush=False)

    # --- services for whatever drives the meters -----------------------------------------------

    @api.model
    def _take(self, meter_ids):
        """Return the next due order of each meter, supply before reading.

        Lower supply orders of a meter that has a higher one become overtaken, as do older readings
        beside newer ones; orders past their life expire. An order in state *sent* comes back after
        a crash: what the device says is read first.

        :return: list of dicts with id, meter_id, number, kind, value, mode, cause, tries, state
        """
        self.env.cr.execute(
            SQL(
                "SELECT 1 FROM energy_command WHERE meter_id = ANY(%s)"
                " AND state IN ('queued', 'sent') LIMIT 1",
                list(meter_ids),
            )
        )
        if not self.env.cr.fetchone():
            return []
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command c SET state = 'overtaken', done_at = energy_now()
             WHERE c.meter_id = ANY(%s) AND c.state IN ('queued', 'sent')
               AND EXISTS (SELECT 1 FROM energy_command h
                            WHERE h.meter_id = c.meter_id AND h.kind = c.kind
                              AND h.number > c.number)
            """,
                list(meter_ids),
            )
        )
        self.env.cr.execute(
            SQL(
                """
            UPDATE energy_command c SET state = 'expired', done_at = energy_now()
             WHERE c.meter_id = ANY(%s) AND c.state = 'queued' AND c.expires_at <= energy_now()
            RETURNING c.meter_id, c.kind, c.cause
            """,
                list(meter_ids),
            )
        )
        self._forget_wish(
            [
                meter
                for meter, kind, cause in self.env.cr.fetchall()
                if kind == "supply" and cause == "arrears"
            ]
        )
        self.env.cr.execute(
            SQL(
                """
            SELECT DISTINCT ON (meter_id) id, meter_id, number, kind, value, mode, cause, tries,
                   state
              FROM energy_command
             WHERE meter_id = ANY(%s) AND state IN ('queued', 'sent')
               AND (not_before IS NULL OR not_before <= energy_real_now())
             ORDER BY meter_id, kind = 'supply' DESC, number
            """,
                list(meter_ids),
            )
        )
        names = ("id", "meter_id", "number", "kind", "value", "mode", "cause", "tries", "state")
        self.invalidate_model(flush=False)
        return [dict(zip(names, row, strict=True)) for row in self.env.cr.fetchall()]

    def _check(self):
        """Return why this order must not be carried out now; empty if it still holds.

        Asked right before the write. An order that no longer holds is overtaken, with the reason.
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
                " WHERE meter_id = %s AND kind = 'supply' AND number > %s",
                self.meter_id.id,
                self.number,
            )
        )
        if self.env.cr.fetchone():
            why = _("A later command took its place.")
        elif self.value == "off" and self.cause == "arrears":
            why = self.env["energy.meter.control"]._cut_still_holds(self.meter_id.id)
            if why:
                self._forget_wish(self.meter_id.ids)
        else:
            why = ""
        if why:
            self._set("overtaken", error=why, done=True)
        return why

    def _sent(self, request):
        """Note what is about to be written to the device."""
        self._set("sent", request=request, sent=True)

    def _confirm(self, response):
        """The step *confirm*: the read-back shows what was ordered."""
        self._set("confirmed", response=response, error=None, done=True)

    def _retry(self, error, response=None, counts=True):
        """Try again after a pause; a supply order that was counted too often fails.

        :param bool counts: False where the meter did not answer at all: an offline meter keeps its
            order until it is back
        """
        self.ensure_one()
        tries = self.tries + 1
        if counts and tries >= MOST_TRIES:
            self._fail(error, response)
            return
        pause = PAUSES[min(tries, len(PAUSES)) - 1]
        self._set(
            "queued" if self.state == "queued" else "sent",
            error=error,
            response=response,
            tries=tries if counts else self.tries,
            pause=pause,
        )

    def _fail(self, error, response=None):
        """Give up; somebody sees it under *Today*. What was wanted is decided anew."""
        self.ensure_one()
        self._set("failed", error=error, response=response, tries=self.tries + 1, done=True)
        if self.kind == "supply" and self.cause == "arrears":
            self._forget_wish(self.meter_id.ids)

    def _forget_wish(self, meter_ids):
        """A cut that did not happen is no longer wanted; the next settling decides anew."""
        if meter_ids:
            self.env.cr.execute(
                SQL(
                    "UPDATE energy_meter_control SET wanted = 'on', wanted_cause = 'policy',"
                    " decision = NULL WHERE meter_id = ANY(%s) AND wanted = 'off'"
                    " AND wanted_cause = 'arrears'",
                    list(meter_ids),
                )
            )
            self.env["energy.meter.control"].invalidate_model(flush=False)

    def _set(
        self,
        state,
        *,
        request=None,
        response=None,
        error=None,
        tries=None,
        pause=None,
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
                   not_before = energy_real_now() + %(pause)s * interval '1 second',
                   sent_at = CASE WHEN %(sent)s THEN energy_now() ELSE sent_at END,
                   done_at = CASE WHEN %(done)s THEN energy_now() ELSE done_at END
             WHERE id = ANY(%(ids)s) AND state IN ('queued', 'sent')
            """,
                state=state,
                error=error,
                request=request,
                response=response,
                tries=tries,
                pause=pause,
                sent=sent,
                done=done,
                ids=self.ids,
            )
        )
        self.invalidate_recordset(flush=False)
        if done:
            self.env["energy.room"]._tell()

    def action_order_again(self):
        """Order the same again, from the present situation."""
        action = {"supply": "on" if self.value == "on" else "off", "read": "read"}[self.kind]
        return self.env["energy.operation"]._open(self.meter_id, action)

    def action_open_entry(self):
        """Open the balance entry that caused this command."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy.action_energy_wallet_entry"
        )
        return dict(action, domain=[("key", "=", self.entry_key)])
