from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, format_datetime

from .. import clock
from .energy_meter import COMMODITIES

# A person who needs longer says so; nothing else changes once somebody works there.
WHILE_ACTIVE = {"until", "message_main_attachment_id"}


class EnergyServiceMode(models.Model):
    """Somebody works on the installation: while it lasts no supply on goes out to these rooms.

    It ends by a person who confirms that nobody works there any more, and by nothing else. A
    planned end that has passed ends nothing: a clock does not know whether a hand is on the wire,
    and supply that stays off harms nobody. It is shown under *Today* until a person answers.
    """

    _name = "energy.service.mode"
    _description = "Service mode"
    _inherit = ["energy.guarded", "mail.thread"]
    _order = "id desc"
    _rec_name = "property_id"
    _flow_fields = frozenset(
        {"state", "user_id", "started_at", "ended_at", "ended_by_id", "turned_off_ids"}
    )
    _check_company_auto = True

    property_id = fields.Many2one(
        "energy.property",
        string="Where",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
        help="A room, or a floor, building or site with everything in it.",
    )
    commodity = fields.Selection(COMMODITIES, string="Only", help="Empty: electricity and water.")
    worker = fields.Char(string="Who Works There", required=True, tracking=True)
    reason = fields.Char(required=True, tracking=True)
    until = fields.Datetime(string="Planned Until", required=True, tracking=True)
    turn_off = fields.Boolean(
        string="Turn Supply Off",
        default=True,
        help="Supply off is ordered of what is on. At the end it is turned on again, unless "
        "something else wants it off by then.",
    )
    state = fields.Selection(
        [("draft", "Draft"), ("active", "Somebody works"), ("ended", "Ended")],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        tracking=True,
    )
    user_id = fields.Many2one(
        "res.users", string="Started By", readonly=True, copy=False, ondelete="restrict"
    )
    started_at = fields.Datetime(readonly=True, copy=False)
    ended_at = fields.Datetime(readonly=True, copy=False)
    ended_by_id = fields.Many2one(
        "res.users",
        string="Confirmed By",
        readonly=True,
        copy=False,
        ondelete="restrict",
        help="Who confirmed that nobody works there any more.",
    )
    turned_off_ids = fields.Many2many(
        "energy.meter",
        "energy_service_mode_meter_rel",
        "service_id",
        "meter_id",
        readonly=True,
        copy=False,
    )
    is_overdue = fields.Boolean(compute="_compute_is_overdue", search="_search_is_overdue")
    meter_ids = fields.Many2many("energy.meter", compute="_compute_meter_ids", string="Supplies")
    not_off = fields.Char(compute="_compute_not_off", help="What is not confirmed to be off.")
    site_id = fields.Many2one(related="property_id.site_id", store=True, index=True)
    company_id = fields.Many2one(related="property_id.company_id", store=True, index=True)

    _active_idx = models.Index("(property_id) WHERE state = 'active'")

    @api.depends("until", "state")
    def _compute_is_overdue(self):
        now = clock.now(self.env.cr)
        for service in self:
            service.is_overdue = (
                service.state == "active" and bool(service.until) and service.until < now
            )

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        overdue = Domain("state", "=", "active") & Domain("until", "<", clock.now(self.env.cr))
        return overdue if set(value) == {True} else ~overdue

    @api.depends("property_id", "commodity")
    def _compute_meter_ids(self):
        for service in self:
            service.meter_ids = service._meters() if service.property_id else False

    def _meters(self):
        """Return the switchable meters of the place."""
        domain = Domain("property_id", "child_of", self.property_id.ids) & Domain(
            "can_switch", "=", True
        )
        if self.commodity:
            domain &= Domain("commodity", "=", self.commodity)
        return self.env["energy.meter"].search(domain)

    @api.depends("state", "property_id", "commodity")
    def _compute_not_off(self):
        for service in self:
            open_ends = service.state == "active" and service._meters().filtered(
                lambda meter, service=service: not service._is_off(meter)
            )
            service.not_off = ", ".join(open_ends.mapped("name")) if open_ends else False

    def _is_off(self, meter):
        """Whether off was read back after the start, with no order to turn on on its way."""
        # sudo: the state of supplies that the user may see
        status = meter.sudo().status_id
        return (
            status.supply_state == "off"
            and bool(status.supply_seen_at)
            and status.supply_seen_at >= self.started_at.replace(microsecond=0)
            and not self.env["energy.command"]
            .sudo()
            .search_count(
                [("meter_id", "=", meter.id), ("value", "=", "on"), ("state", "=", "sent")]
            )
        )

    @api.depends("property_id.complete_name", "worker")
    def _compute_display_name(self):
        for service in self:
            service.display_name = f"{service.property_id.complete_name or ''}: {service.worker}"

    def _notice(self):
        """Return what everybody should know who would turn supply on, or sells to the room."""
        return " ".join(
            _(
                "Service mode: %(worker)s works in %(place)s, planned until %(until)s "
                "(%(reason)s). Nothing turns supply on before it ends.",
                worker=service.worker,
                place=service.property_id.display_name,
                until=format_datetime(self.env, service.until, dt_format="short"),
                reason=service.reason,
            )
            for service in self
        )

    # --- rights -----------------------------------------------------------------------------------

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if self._flow_fields.intersection(names):
            return _("Service mode is started and ended by its buttons.")
        return super()._guarded_refusal(names)

    def write(self, vals):
        self._refuse_guarded(vals)
        if not self.env.su:
            if vals.keys() - WHILE_ACTIVE and any(service.state != "draft" for service in self):
                raise UserError(_("While somebody works only the planned end changes."))
            if vals and any(service.state == "ended" for service in self):
                raise UserError(_("Service mode that has ended stays as it is."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_started(self):
        if any(service.state != "draft" for service in self):
            raise UserError(_("Service mode that was started is never deleted."))

    # --- start and end ----------------------------------------------------------------------------

    def action_start(self):
        """Block supply on here from now on; turn supply off where that is asked for."""
        self.check_access("write")
        for service in self:
            service._start()

    def _start(self):
        now = clock.now(self.env.cr)
        if self.state != "draft":
            raise UserError(_("This was started already."))
        if self.until <= now:
            raise UserError(_("Choose a planned end to come."))
        meters = self._meters()
        if not meters:
            raise UserError(_("Nothing in %s can be switched.", self.property_id.display_name))
        # sudo: persons ask, the flow writes orders; the right to write has been checked
        service = self.sudo()
        service.write({"state": "active", "user_id": self.env.uid, "started_at": now})
        service.flush_recordset()
        self.env["energy.command"].sudo()._wait_for_service(meters.ids)
        if self.turn_off:
            to_turn_off = meters.sudo().filtered(
                lambda meter: not (meter.control_id.wanted == "off" and meter.supply_state == "off")
            )
            service.turned_off_ids = to_turn_off
            self._order_supply("off", to_turn_off, _("Service mode: %s", self._why()))

    def action_end(self):
        """Take it from the person who presses this that nobody works there any more."""
        self.check_access("write")
        for service in self:
            service._end()

    def _end(self):
        if self.state != "active":
            raise UserError(_("Nobody works there in service mode."))
        meters = self._meters() | self.turned_off_ids
        # sudo: as above
        service = self.sudo()
        service.write(
            {
                "state": "ended",
                "ended_at": clock.now(self.env.cr),
                "ended_by_id": self.env.uid,
            }
        )
        service.flush_recordset()
        still = self._active_for(meters.ids)
        free = meters.filtered(lambda meter: meter.id not in still)
        waiting = (
            self.env["energy.command"]
            .sudo()
            .search(
                [
                    ("meter_id", "in", free.ids),
                    ("waits_for", "=", "service"),
                    ("state", "in", ("queued", "sent")),
                ]
            )
        )
        waiting._no_longer_waits()
        # What this turned off comes back, unless it was turned off for a reason since, or an
        # order to turn it on has waited already.
        back = (self.turned_off_ids & free).sudo() - waiting.meter_id
        self._order_supply(
            "on",
            back.filtered(
                lambda meter: (
                    meter.control_id.wanted != "off" and meter.control_id.mode != "forced_off"
                )
            ),
            _("End of service mode: %s", self._why()),
        )
        # Another service mode in the same rooms gives back what this one turned off.
        for other in self.sudo().browse(set(still.values())):
            other.turned_off_ids |= (self.turned_off_ids - free) & other._meters()

    def _why(self):
        return f"{self.worker}: {self.reason}"

    def _order_supply(self, value, meters, reason):
        self.env["energy.command"].sudo()._command(
            [
                {
                    "meter_id": meter.id,
                    "kind": "supply",
                    "value": value,
                    "mode": meter.control_id.mode,
                    "cause": "person",
                    "reason": reason,
                    "user_id": self.env.uid,
                }
                for meter in meters
            ]
        )

    @api.model
    def _active_for(self, meter_ids):
        """Return the service mode that blocks each of these meters: id by meter id."""
        self.flush_model()
        return dict(
            self.env.execute_query(
                SQL(
                    """
                SELECT DISTINCT ON (m.id) m.id, s.id
                  FROM energy_service_mode s
                  JOIN energy_property place ON place.id = s.property_id
                  JOIN energy_property room ON room.parent_path LIKE place.parent_path || '%%'
                  JOIN energy_meter m ON m.property_id = room.id
                   AND (s.commodity IS NULL OR s.commodity = m.commodity)
                 WHERE s.state = 'active' AND m.id = ANY(%s)
                 ORDER BY m.id, s.until DESC
                """,
                    list(meter_ids),
                )
            )
        )

    @api.model
    def _ask(self, place):
        running = self.search([("state", "=", "active"), ("property_id", "=", place.id)], limit=1)
        return {
            "type": "ir.actions.act_window",
            "name": _("Service Mode"),
            "res_model": self._name,
            "res_id": running.id,
            "view_mode": "form",
            "context": {"default_property_id": place.id},
        }

    def action_open_commands(self):
        """Open the commands of the supplies here."""
        return self._meters().action_open_commands()


class EnergyProperty(models.Model):
    _inherit = "energy.property"

    def action_service_mode(self):
        """Ask who works here, and until when."""
        self.ensure_one()
        return self.env["energy.service.mode"]._ask(self)


class EnergyRoom(models.Model):
    _inherit = "energy.room"

    service_id = fields.Many2one("energy.service.mode", compute="_compute_service")
    service_notice = fields.Char(compute="_compute_service")

    def _compute_service(self):
        active = self.env["energy.service.mode"]._active_for(self.meter_id.ids)
        for room in self:
            room.service_id = active.get(room.meter_id.id)
            # sudo: who sees a room may know that somebody works there
            room.service_notice = room.service_id.sudo()._notice()

    def action_service_mode(self):
        """Ask who works in this room, and until when."""
        self.ensure_one()
        return self.env["energy.service.mode"]._ask(self.property_id)


class EnergyAccount(models.Model):
    _inherit = "energy.account"

    service_notice = fields.Char(compute="_compute_service_notice")

    def _compute_service_notice(self):
        supplies = self.env["energy.supply"]._search_present([("account_id", "in", self.ids)])
        active = self.env["energy.service.mode"]._active_for(supplies.meter_id.ids)
        # sudo: who sees an account may know that somebody works in its rooms
        services = self.env["energy.service.mode"].sudo().browse(sorted(set(active.values())))
        by_account = supplies.grouped("account_id")
        for account in self:
            meters = by_account.get(account._origin, supplies.browse()).meter_id
            here = {active[meter] for meter in meters.ids if meter in active}
            own = services.browse(sorted(here)).with_prefetch(services.ids)
            account.service_notice = own._notice()
