from zoneinfo import ZoneInfo

from odoo import _, api, fields, models
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import AccessError, UserError, ValidationError

from .. import clock
from ..local_time import local_date

KINDS = [("site", "Site"), ("building", "Building"), ("floor", "Floor"), ("room", "Room")]
RANK = {kind: rank for rank, (kind, _label) in enumerate(KINDS)}


class EnergyProperty(models.Model):
    _name = "energy.property"
    _description = "Property"
    _inherit = ["energy.guarded", "mail.thread"]
    _parent_store = True
    _order = "complete_name, id"
    _rec_name = "complete_name"
    _rec_names_search = ["complete_name", "code"]
    _check_company_auto = True

    name = fields.Char(required=True)
    code = fields.Char(help="Short number on the door or in the lease; found by the counter.")
    complete_name = fields.Char(compute="_compute_complete_name", store=True, recursive=True)
    kind = fields.Selection(KINDS, required=True, default="room", index=True)
    parent_id = fields.Many2one(
        "energy.property", string="Part of", index=True, ondelete="restrict", check_company=True
    )
    parent_path = fields.Char(index=True)
    child_ids = fields.One2many("energy.property", "parent_id", string="Parts")
    site_id = fields.Many2one(
        "energy.property", compute="_compute_place", store=True, index=True, recursive=True
    )
    building_id = fields.Many2one(
        "energy.property", compute="_compute_place", store=True, index=True, recursive=True
    )
    floor_id = fields.Many2one(
        "energy.property", compute="_compute_place", store=True, index=True, recursive=True
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    active = fields.Boolean(default=True)
    use = fields.Selection(
        [
            ("dwelling", "Dwelling"),
            ("shop", "Shop"),
            ("office", "Office"),
            ("dormitory", "Dormitory"),
            ("market", "Market stall"),
            ("common", "Common area"),
            ("other", "Other"),
        ],
        string="Used As",
        default="dwelling",
    )
    area = fields.Float(string="Area (m²)", digits=(12, 2))
    headcount = fields.Integer(string="Occupants")
    tz = fields.Selection(
        _tz_get,
        string="Time Zone",
        help="Days, months and rate periods of the whole site are those of this zone.",
    )
    supply_state = fields.Selection(
        [("watch", "Watch"), ("trial", "Trial"), ("live", "Live")],
        string="Arrears Cuts",
        default="watch",
        required=True,
        tracking=True,
        copy=False,
        help="Watch: shows who would be cut and why, and cuts nobody. Trial: cuts the rooms chosen "
        "for the trial only. Live: cuts every room in arrears. What a person orders, and "
        "supply on after a payment, are always sent.",
    )
    is_trial = fields.Boolean(
        string="In Trial",
        copy=False,
        help="Arrears cuts reach this room while its site is in trial.",
    )
    meter_ids = fields.One2many("energy.meter", "property_id", string="Meters")
    account_ids = fields.Many2many(
        "energy.account",
        "energy_account_property_rel",
        "property_id",
        "account_id",
        string="Accounts",
    )
    occupancy_ids = fields.One2many("energy.occupancy", "room_id", string="Occupancies")
    occupancy = fields.Selection(
        [("vacant", "Vacant"), ("let", "Let")],
        compute="_compute_occupancy",
        search="_search_occupancy",
    )

    _code_uniq = models.UniqueIndex(
        "(company_id, site_id, code) WHERE code IS NOT NULL AND code <> ''",
        "This code is already used on the site.",
    )

    @api.depends("name", "parent_id.complete_name")
    def _compute_complete_name(self):
        for place in self:
            parent = place.parent_id.complete_name
            place.complete_name = f"{parent} / {place.name}" if parent else place.name

    @api.depends("complete_name", "kind", "name", "building_id.name", "site_id.name")
    @api.depends_context("energy_short_name")
    def _compute_display_name(self):
        """The whole path; in narrow places a floor or room goes by its building and name only."""
        is_short = self.env.context.get("energy_short_name")
        for place in self:
            around = place.building_id.name
            if is_short and around and place.kind in ("floor", "room"):
                place.display_name = f"{around} / {place.name}"
            else:
                place.display_name = place.complete_name

    @api.depends("kind", "parent_id.site_id", "parent_id.building_id", "parent_id.floor_id")
    def _compute_place(self):
        for place in self:
            parent = place.parent_id
            place.site_id = place if place.kind == "site" else parent.site_id
            place.building_id = place if place.kind == "building" else parent.building_id
            place.floor_id = place if place.kind == "floor" else parent.floor_id

    @api.depends("account_ids.state")
    def _compute_occupancy(self):
        for place in self:
            is_let = any(account.state in ("active", "suspended") for account in place.account_ids)
            place.occupancy = "let" if is_let else "vacant"

    def _search_occupancy(self, operator, value):
        if operator != "in":
            return NotImplemented
        let = [("account_ids.state", "in", ("active", "suspended"))]
        if set(value) == {"let"}:
            return let
        if set(value) == {"vacant"}:
            return ["!", *let]
        return [(1, "=", 1)] if set(value) == {"let", "vacant"} else [(0, "=", 1)]

    def _main_occupancy(self, at=None):
        """Return the main occupancy of each of these rooms at a moment.

        :param datetime at: naive UTC; now if None
        :rtype: recordset of `energy.occupancy`
        """
        at = at or clock.now(self.env.cr)
        return self.env["energy.occupancy"].search(
            [
                ("room_id", "in", self.ids),
                ("role", "=", "main"),
                ("start_at", "<=", at),
                "|",
                ("end_at", "=", False),
                ("end_at", ">", at),
            ]
        )

    @api.constrains("parent_id", "kind")
    def _check_tree(self):
        if self._has_cycle():
            raise ValidationError(_("A property cannot be part of itself."))
        for place in self:
            if place.kind == "site" and place.parent_id:
                raise ValidationError(
                    _(
                        "“%s” is a site: it stands at the top of the tree and is part of nothing.",
                        place.name,
                    )
                )
            if place.kind != "site" and not place.parent_id:
                raise ValidationError(
                    _("“%s” must be part of a site, a building or a floor.", place.name)
                )
            if place.parent_id and RANK[place.parent_id.kind] >= RANK[place.kind]:
                raise ValidationError(
                    _(
                        "“%(name)s” (%(kind)s) cannot be part of “%(parent)s” (%(parent_kind)s).",
                        name=place.name,
                        kind=place.kind,
                        parent=place.parent_id.name,
                        parent_kind=place.parent_id.kind,
                    )
                )

    @api.constrains("parent_id")
    def _check_site_kept(self):
        self.search([("id", "child_of", self.ids)]).meter_ids._check_serves_its_site()

    @api.constrains("kind", "tz")
    def _check_time_zone(self):
        for place in self:
            if place.kind == "site" and not place.tz:
                raise ValidationError(
                    _(
                        "Choose the time zone of site “%s”: its days, months and "
                        "rate periods follow it.",
                        place.name,
                    )
                )

    @api.constrains("tz")
    def _check_time_zone_kept(self):
        for site in self.filtered(lambda place: place.kind == "site"):
            if self.env["energy.usage"].sudo().search_count([("site_id", "=", site.id)], limit=1):
                raise ValidationError(
                    _(
                        "Site “%s” has rated use already: its time zone can no longer change.",
                        site.name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if vals.get("kind") == "site":
                vals.setdefault("tz", self.env.user.tz or "UTC")
        places = super().create(vals_list)
        if any(place.supply_state != "watch" or place.is_trial for place in places):
            self._check_may_cut()
        return places

    def write(self, vals):
        if {"supply_state", "is_trial"} & vals.keys():
            self._check_may_cut()
        if "company_id" in vals:
            self.filtered(lambda place: place.company_id.id != vals["company_id"])._check_unused()
        result = super().write(vals)
        if {"supply_state", "is_trial"} & vals.keys():
            places = self.search([("id", "child_of", self.ids)])
            # sudo: the decision spans all accounts of the place, also those the user may not read
            self.env["energy.account"].sudo().search(
                [("state", "=", "active"), ("room_ids", "in", places.ids)]
            )._decide()
        return result

    def _check_unused(self):
        """Refuse a change of company under what keeps the old one.

        :raise UserError: one of these places has parts, meters or accounts
        """
        # sudo: also what the user does not see keeps its company
        everything = self.sudo().with_context(active_test=False)
        for place in everything:
            if (
                place.child_ids
                or place.meter_ids
                or place.account_ids
                or place.env["energy.account"].search_count([("site_id", "=", place.id)], limit=1)
            ):
                raise UserError(
                    _(
                        "“%s” has parts, meters or accounts, which belong to its company: it stays "
                        "with that one.",
                        place.name,
                    )
                )

    def _check_may_cut(self):
        if not self.env.su and not self.env.user.has_group("prepaid_energy.group_energy_manager"):
            raise AccessError(_("Only an energy manager decides whether arrears cuts are sent."))

    def _zone(self):
        """Return the time zone of the site as a `ZoneInfo`; the user's without a place."""
        return ZoneInfo(self.site_id.tz or self.env.user.tz or "UTC")

    def _today(self):
        """Return the local date of the site on the project clock."""
        return local_date(clock.now(self.env.cr), self._zone())

    def action_go_live(self):
        """Show who would be cut before the site goes live."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Would be cut when “%s” goes live", self.name),
            "res_model": "energy.operation",
            "view_mode": "form",
            "target": "new",
            "context": {"default_action": "go_live", "default_site_id": self.id},
        }

    def action_trial(self):
        """Send arrears cuts to the rooms chosen for the trial only."""
        self.filtered(lambda place: place.kind == "site").supply_state = "trial"

    def action_watch(self):
        """Stop sending arrears cuts at this site."""
        self.filtered(lambda place: place.kind == "site").supply_state = "watch"

    def action_open_rooms(self):
        """Open the room list of this place."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_room")
        return dict(action, domain=[("property_id", "child_of", self.id)])
