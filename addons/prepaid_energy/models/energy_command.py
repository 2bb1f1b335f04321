import socket

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.http import request
from odoo.tools import SQL
from psycopg2.extras import Json

from .energy_meter_control import CAUSES, MODES

WAITING = ("queued", "sent")


class EnergyCommand(models.Model):
    """An order to a meter: the outbox of the flow.

    Whoever wants something only inserts (`_command`), in the transaction of its cause. Only the
    connector that holds the meter's gateway changes an order's state. Nothing here can be edited.
    """

    _name = "energy.command"
    _description = "Command"
    _log_access = False
    _order = "id desc"

    meter_id = fields.Many2one("energy.meter", readonly=True, ondelete="restrict")
    property_id = fields.Many2one(related="meter_id.property_id")
    account_id = fields.Many2one(
        "energy.account",
        string="Decided For",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        help="The account whose balance decided it.",
    )
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
    origin = fields.Char(
        string="From",
        readonly=True,
        required=True,
        help="The address of the device that the order was given at, or the computer that "
        "decided it.",
    )
    entry_key = fields.Char(readonly=True, index="btree_not_null")
    created_at = fields.Datetime(string="Ordered At", required=True, readonly=True)
    not_before = fields.Datetime(
        readonly=True, help="Real time before which it is not tried again."
    )
    waits_for = fields.Selection(
        [
            ("gap", "Minimum time between two switchings"),
            ("stagger", "Its turn among many"),
            ("breaker", "Release of mass cut-offs"),
            ("service", "End of service mode"),
        ],
        readonly=True,
    )
    expires_at = fields.Datetime(readonly=True)
    tries = fields.Integer(readonly=True, required=True, default=0)
    sent_at = fields.Datetime(readonly=True)
    done_at = fields.Datetime(readonly=True)
    arguments = fields.Json(readonly=True, help="What is asked for, by the kind of the order.")
    result = fields.Json(readonly=True, help="What was found.")
    request = fields.Text(string="Sent to the Meter", readonly=True)
    response = fields.Text(string="Came Back", readonly=True)
    error = fields.Char(readonly=True)
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
                IF NEW.meter_id IS NOT NULL THEN
                    PERFORM pg_notify('energy_command', NEW.meter_id::text);
                END IF;
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

        :param list orders: dicts with meter_id (or what `_numbered` of an add-on takes instead),
            kind, value, mode, cause, reason, user_id, entry_key, `account_id` (whose balance
            decided it), `arguments` (a dict, or None), and `life` (a timedelta after which the
            order expires, or None)
        :return: ids of the orders, in the order in which they were numbered
        """
        origin = self._given_at()
        ids = []
        for order in sorted(orders, key=lambda order: order.get("meter_id") or 0):
            life, arguments = order.get("life"), order.get("arguments")
            target, numbered = self._numbered(order)
            self.env.cr.execute(
                SQL(
                    """
                WITH numbered AS (%(numbered)s)
                INSERT INTO energy_command (%(target)s, number, kind, value, mode, state, cause,
                       reason, user_id, origin, entry_key, account_id, arguments, created_at,
                       expires_at, tries, site_id, company_id)
                SELECT n.id, n.number, %(kind)s, %(value)s, %(mode)s, 'queued', %(cause)s,
                       %(reason)s, %(user)s, %(origin)s, %(entry_key)s, %(account)s,
                       %(arguments)s, energy_now(), energy_now() + %(life)s::interval, 0,
                       n.site_id, n.company_id
                  FROM numbered n
                RETURNING id
                """,
                    numbered=numbered,
                    target=SQL.identifier(target),
                    kind=order["kind"],
                    value=order.get("value"),
                    mode=order.get("mode"),
                    cause=order["cause"],
                    reason=order.get("reason") or None,
                    user=order["user_id"],
                    origin=origin,
                    entry_key=order.get("entry_key"),
                    account=order.get("account_id"),
                    arguments=None if arguments is None else Json(arguments),
                    life=f"{life.total_seconds()} seconds" if life else None,
                )
            )
            ids += [row[0] for row in self.env.cr.fetchall()]
        if orders:
            self.env["energy.room"]._tell()
            self.invalidate_model(flush=False)
            self.env["energy.meter.control"].invalidate_model(["last_number"], flush=False)
        return ids

    @api.model
    def _numbered(self, order):
        """Return the column that holds whom an order is for, and a query that numbers it.

        :return: column name, and a query of one row: id, number, site_id, company_id
        """
        return "meter_id", SQL(
            """
            UPDATE energy_meter_control AS c SET last_number = c.last_number + 1
              FROM energy_meter AS m WHERE m.id = c.meter_id AND c.meter_id = %s
            RETURNING m.id, c.last_number AS number, m.site_id, m.company_id
            """,
            order["meter_id"],
        )

    @api.model
    def _given_at(self):
        """Return where an order given now comes from: the caller's address, or this computer."""
        if request:
            return request.httprequest.remote_addr or socket.gethostname()
        return socket.gethostname()

    def action_order_again(self):
        """Order the same again, from the present situation."""
        actions = {command._again() for command in self}
        if len(actions) > 1:
            raise UserError(_("Choose commands that order the same."))
        return self.env["energy.operation"]._open(self.meter_id, *actions)

    def action_open_entry(self):
        """Open the balance entry that caused this command."""
        self.ensure_one()
        return self.env["energy.wallet.entry"]._open([("key", "=", self.entry_key)])
