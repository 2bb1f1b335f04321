from decimal import Decimal

from odoo import _, api, fields, models
from odoo.tools import SQL

from ..engine import Cut, CutLimits, crowds, may_be_crowd

SCOPES = [("site", "Site, in an hour"), ("building", "Building, in a day")]


class EnergyCutBreaker(models.Model):
    """A stop of cuts for arrears at a site or in a building, because they were too many at once.

    One row a trip. While it is tripped, every cut of its place waits in its list, those that come
    later too, until a manager has released or discarded what the list shows. Those waiting count
    as cut, whichever connector has them, so two connectors cannot exceed a limit together.
    """

    _name = "energy.cut.breaker"
    _description = "Mass cut-off"
    _inherit = ["mail.thread"]
    _order = "tripped_at desc, id desc"
    _rec_name = "site_id"

    site_id = fields.Many2one(
        "energy.property", required=True, readonly=True, index=True, ondelete="restrict"
    )
    building_id = fields.Many2one(
        "energy.property", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="site_id.company_id", store=True, index=True, readonly=True
    )
    scope = fields.Selection(SCOPES, string="Limit Of", required=True, readonly=True)
    state = fields.Selection(
        [("tripped", "Waits for Release"), ("released", "Released"), ("discarded", "Discarded")],
        required=True,
        readonly=True,
        default="tripped",
        index=True,
    )
    tripped_at = fields.Datetime(string="Since", required=True, readonly=True)
    limit_count = fields.Integer(string="Rooms Allowed", required=True, readonly=True)
    service_count = fields.Integer(string="Rooms in Service", required=True, readonly=True)
    cut_count = fields.Integer(
        string="Rooms Cut Before",
        required=True,
        readonly=True,
        help="Rooms cut for arrears within the hour, or the day, before.",
    )
    waiting_count = fields.Integer(
        string="Rooms To Be Cut",
        required=True,
        readonly=True,
        help="Rooms that were to be cut when it tripped.",
    )
    line_ids = fields.One2many("energy.cut.breaker.line", "breaker_id", readonly=True)
    held_count = fields.Integer(
        string="Rooms Held", compute="_compute_held_count", help="Rooms that wait for release now."
    )
    hint = fields.Text(compute="_compute_hint", string="Worth Knowing")
    ended_at = fields.Datetime(readonly=True)
    user_id = fields.Many2one("res.users", string="Released By", readonly=True, ondelete="restrict")
    reason = fields.Char(readonly=True)

    _tripped_uniq = models.UniqueIndex(
        "(site_id, scope, COALESCE(building_id, 0)) WHERE state = 'tripped'",
        "A place has one stop of cuts at a time.",
    )

    @api.depends("site_id.name", "building_id.name", "tripped_at")
    def _compute_display_name(self):
        for breaker in self:
            places = filter(None, [breaker.site_id.name, breaker.building_id.name])
            breaker.display_name = " / ".join(places)

    @api.depends("line_ids.is_held")
    def _compute_held_count(self):
        for breaker in self:
            held = breaker.line_ids.filtered("is_held")
            breaker.held_count = len(held.property_id)

    @api.depends("line_ids.is_held")
    def _compute_hint(self):
        for breaker in self:
            breaker.hint = breaker.line_ids.filtered("is_held")._hint()

    # --- holding -----------------------------------------------------------------------------

    @api.model
    def _hold(self, order_ids):
        """Let cuts wait where they are too many, or where a list waits already.

        :param list order_ids: queued cuts for arrears that are about to be carried out
        :return: ids of the cuts that must not go on, those of other connectors included
        """
        self.env["energy.property"].flush_model()
        self.env.cr.execute(
            SQL("SELECT DISTINCT site_id FROM energy_command WHERE id = ANY(%s)", order_ids)
        )
        held = set()
        for (site,) in self.env.cr.fetchall():
            held |= self._hold_at(self.env["energy.property"].browse(site))
        return held

    def _hold_at(self, site):
        cuts = self._cuts(site)
        tripped = {
            (breaker.scope, breaker.building_id.id): breaker
            for breaker in self.search([("site_id", "=", site.id), ("state", "=", "tripped")])
        }
        held, free = {}, []
        for cut in cuts:
            breaker = tripped.get(("site", False)) or tripped.get(
                ("building", cut.building or False)
            )
            if breaker and cut.at is None:
                held.setdefault(breaker, []).append(cut.order)
            else:
                free.append(cut)
        for breaker, orders in held.items():
            breaker._add(orders)
        ids = {order for orders in held.values() for order in orders}
        if any(cut.at is None for cut in free):
            trips, dropped = self._trips(site, free)
            ids |= dropped
            for trip, in_service in trips:
                ids |= set(trip.orders)
                self._trip(site, trip, in_service)
        return ids

    def _trips(self, site, cuts):
        """Return the crowds of a site, each with the rooms in service of its place.

        Before it is called a crowd, what need not be cut any more is taken out of it.

        :return: (list of pairs, ids of the cuts that were taken out)
        """
        now, limits = self._limits(site)
        if not may_be_crowd(limits, cuts, now):
            return [], set()
        in_service, dropped = self._in_service(site), set()
        trips = crowds(limits, in_service, cuts, now)
        if trips:
            dropped = self._drop([order for trip in trips for order in trip.orders])
            trips = crowds(limits, in_service, [c for c in cuts if c.order not in dropped], now)
        whole = sum(in_service.values())
        return [
            (trip, whole if trip.scope == "site" else in_service.get(trip.building, 0))
            for trip in trips
        ], dropped

    def _limits(self, site):
        self.env.cr.execute(
            SQL(
                "SELECT energy_now(), cut_rooms_hour, cut_percent_hour::text, cut_one_in_day"
                " FROM energy_property WHERE id = %s",
                site.id,
            )
        )
        now, rooms, percent, one_in = self.env.cr.fetchone()
        return now, CutLimits(rooms, Decimal(percent), one_in)

    def _cuts(self, site):
        """Return the cuts of a site that nobody has released: of the last day, and waiting."""
        self.env.cr.execute(
            SQL(
                """
            SELECT c.id, m.property_id, room.building_id,
                   CASE WHEN c.state <> 'queued' THEN c.sent_at END
              FROM (SELECT * FROM energy_command
                     WHERE site_id = %(site)s AND cause = 'arrears' AND state = 'queued'
                     UNION ALL
                    SELECT * FROM energy_command
                     WHERE site_id = %(site)s AND cause = 'arrears' AND state <> 'queued'
                       AND sent_at > energy_now() - interval '1 day') c
              JOIN energy_meter m ON m.id = c.meter_id
              JOIN energy_property room ON room.id = m.property_id
             WHERE c.kind = 'supply' AND c.value = 'off'
               AND (c.waits_for IS NULL OR c.waits_for NOT IN %(released)s)
               AND NOT EXISTS (SELECT 1 FROM energy_cut_breaker_line l WHERE l.command_id = c.id)
               AND (c.state <> 'queued'
                    OR NOT EXISTS (SELECT 1 FROM energy_command h
                                    WHERE h.meter_id = c.meter_id AND h.kind = 'supply'
                                      AND h.number > c.number
                                      AND h.waits_for IS DISTINCT FROM 'service'))
             ORDER BY c.id
            """,
                site=site.id,
                released=self.env["energy.command"]._until_released(),
            )
        )
        return [Cut(*row) for row in self.env.cr.fetchall()]

    def _in_service(self, site):
        """Return how many rooms of a site have service, by building (None: in no building)."""
        self.env.cr.execute(
            SQL(
                """
            SELECT room.building_id, count(DISTINCT room.id)
              FROM energy_supply s
              JOIN energy_account a ON a.id = s.account_id AND a.state = 'active'
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_property room ON room.id = m.property_id AND room.site_id = %s
             WHERE s.start_at <= energy_now() AND (s.end_at IS NULL OR s.end_at > energy_now())
             GROUP BY room.building_id
            """,
                site.id,
            )
        )
        return dict(self.env.cr.fetchall())

    def _drop(self, order_ids):
        """Overtake those cuts that present facts do not ask for any more.

        :return: their ids
        """
        commands = self.env["energy.command"].browse(order_ids)
        refused = self.env["energy.meter.control"]._cuts_refused(
            {command.meter_id.id: command.account_id.id for command in commands}
        )
        dropped = commands.browse()
        for command in commands:
            why = refused[command.meter_id.id]
            if why:
                command._take_back(why)
                dropped |= command
        return set(dropped.ids)

    def _trip(self, site, trip, in_service):
        breaker = self.create(
            {
                "site_id": site.id,
                "building_id": trip.building,
                "scope": trip.scope,
                "tripped_at": self._now(),
                "limit_count": trip.limit,
                "service_count": in_service,
                "cut_count": trip.cut,
                "waiting_count": trip.waiting,
            }
        )
        breaker._add(trip.orders)
        breaker._tell_managers()

    def _add(self, order_ids):
        """Let these cuts wait in this list."""
        commands = self.env["energy.command"].browse(order_ids)
        commands._let_wait("breaker")
        self.line_ids._of(self, commands)

    def _tell_managers(self):
        """One message a trip, to everybody who may release it."""
        group = self.env.ref("prepaid_energy.group_energy_manager")
        managers = group.all_user_ids.filtered(
            lambda user: (
                self.company_id in user.company_ids
                and (not user.energy_site_ids or self.site_id in user.energy_site_ids)
            )
        )
        body = _(
            "%(waiting)s rooms of %(place)s were to be cut for arrears, %(cut)s had been before: "
            "more than the %(limit)s allowed. None of them is cut until the list is released. "
            "%(hint)s",
            waiting=self.waiting_count,
            place=self.display_name,
            cut=self.cut_count,
            limit=self.limit_count,
            hint=self.hint or "",
        )
        # Mail goes out by the queue: whoever carries out orders waits for no mail server.
        self.with_context(mail_notify_force_send=False).message_post(
            body=body,
            subject=_("Cuts wait for release: %s", self.display_name),
            partner_ids=managers.partner_id.ids,
            subtype_xmlid="mail.mt_comment",
        )

    def _now(self):
        self.env.cr.execute("SELECT energy_now()")
        return self.env.cr.fetchone()[0]
