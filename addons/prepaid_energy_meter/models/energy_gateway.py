from odoo import _, api, fields, models
from odoo.addons.prepaid_energy.models.energy_meter import HALF_HOURLY
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ..database_identity import database_identity

FIELD_CHANNEL = "energy_field"
#: Real seconds of one run of the scheduled action, well below what Odoo lets a job run.
CRON_SECONDS = 40


class EnergyGateway(models.Model):
    """The master of a bus of meters, reached over the network.

    Nothing is written through it unless a person has armed it on this very database, and no
    supply is cut for arrears until that is released as well.
    """

    _name = "energy.gateway"
    _description = "Gateway"
    _inherit = ["energy.guarded", "mail.thread"]
    _order = "site_id, name"
    _check_company_auto = True
    _flow_fields = frozenset({"armed_identity", "cut_release_identity", "last_number"})

    name = fields.Char(required=True, tracking=True)
    site_id = fields.Many2one(
        "energy.property",
        required=True,
        index=True,
        ondelete="restrict",
        domain=[("kind", "=", "site")],
    )
    company_id = fields.Many2one(related="site_id.company_id", store=True, index=True)
    read_interval = fields.Integer(
        string="Read Every (Minutes)",
        required=True,
        default=HALF_HOURLY,
        tracking=True,
        help="How often meters behind the gateway are read that have no interval of their own: at "
        "whole multiples of it from the site's midnight, and at midnight itself.",
    )
    active = fields.Boolean(default=True, tracking=True)
    meter_ids = fields.One2many("energy.meter", "gateway_id")
    meter_count = fields.Integer(compute="_compute_meter_count")
    status_id = fields.One2many("energy.gateway.status", "gateway_id")
    seen_at = fields.Datetime(related="status_id.seen_at")
    misses = fields.Integer(related="status_id.misses")
    reads_good = fields.Integer(related="status_id.reads_good")
    reads_bad = fields.Integer(related="status_id.reads_bad")
    armed_identity = fields.Char(
        readonly=True,
        copy=False,
        groups="prepaid_energy.group_energy_engineer",
        help="The database that may write to the meters of this gateway.",
    )
    cut_release_identity = fields.Char(
        readonly=True,
        copy=False,
        groups="prepaid_energy.group_energy_engineer",
        help="The database that may turn supplies off for arrears through this gateway.",
    )
    armed = fields.Selection(
        [
            ("no", "Reads only"),
            ("on_only", "Reads, turns on"),
            ("all", "Reads and switches"),
            ("other", "Armed on another database: reads only"),
        ],
        compute="_compute_armed",
        search="_search_armed",
        string="May Write",
    )

    _check_interval = models.Constraint(
        "CHECK (read_interval BETWEEN 1 AND 1440)", "Meters are read every 1 to 1440 minutes."
    )

    @api.depends("meter_ids")
    def _compute_meter_count(self):
        counts = dict(
            self.env["energy.meter"]._read_group(
                [("gateway_id", "in", self.ids)], ["gateway_id"], ["__count"]
            )
        )
        for gateway in self:
            gateway.meter_count = counts.get(gateway, 0)

    @api.depends("armed_identity", "cut_release_identity")
    def _compute_armed(self):
        identity = database_identity(self.env.cr)
        # sudo: everybody may see what the gateway may do, only engineers the identities behind it
        for gateway, gateway_sudo in zip(self, self.sudo(), strict=True):
            if not gateway_sudo.armed_identity:
                gateway.armed = "no"
            elif gateway_sudo.armed_identity != identity:
                gateway.armed = "other"
            elif gateway_sudo.cut_release_identity != identity:
                gateway.armed = "on_only"
            else:
                gateway.armed = "all"

    def _search_armed(self, operator, value):
        if operator != "in":
            return NotImplemented
        identity = database_identity(self.env.cr)
        mine = Domain("armed_identity", "=", identity)
        released = Domain("cut_release_identity", "=", identity)
        states = {
            "no": Domain("armed_identity", "=", False),
            "on_only": mine & ~released,
            "all": mine & released,
            "other": Domain("armed_identity", "not in", (False, identity)),
        }
        found = Domain.OR(states[state] for state in value if state)
        # sudo: everybody may search for what everybody may see, not read the identities behind it
        return Domain("id", "in", self.sudo()._search(found))

    def _read_group_groupby(self, alias, groupby_spec, query):
        """Override: by what the gateways may write, which no column holds."""
        if groupby_spec != "armed":
            return super()._read_group_groupby(alias, groupby_spec, query)
        # Everybody sees what `_compute_armed` says, not the identities: no access is asked for.
        armed, released = (
            SQL.identifier(alias, name, to_flush=self._fields[name])
            for name in ("armed_identity", "cut_release_identity")
        )
        return SQL(
            "CASE WHEN COALESCE(%(armed)s, '') = '' THEN 'no' WHEN %(armed)s <> %(mine)s THEN"
            " 'other' WHEN %(released)s IS DISTINCT FROM %(mine)s THEN 'on_only' ELSE 'all' END",
            armed=armed,
            released=released,
            mine=database_identity(self.env.cr),
        )

    @api.model_create_multi
    def create(self, vals_list):
        gateways = super().create(vals_list)
        # sudo: the status row belongs to the connector, no user creates it
        self.env["energy.gateway.status"].sudo().create(
            [{"gateway_id": gateway.id} for gateway in gateways]
        )
        self._notify_field()
        return gateways

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if {"armed_identity", "cut_release_identity"}.intersection(names):
            return _("A gateway is armed with its button.")
        return super()._guarded_refusal(names)

    def write(self, vals):
        result = super().write(vals)
        self._notify_field()
        return result

    def unlink(self):
        self._notify_field()
        return super().unlink()

    @api.ondelete(at_uninstall=False)
    def _unlink_without_orders_only(self):
        # sudo: orders on sites that the user does not see are kept as well
        with_orders = self.env["energy.command"].sudo().search([("gateway_id", "in", self.ids)])
        if with_orders:
            names = ", ".join(with_orders.gateway_id.mapped("name"))
            raise UserError(
                _(
                    "What %s was ordered to do (probes, scans) is never deleted: archive the "
                    "gateway instead.",
                    names,
                )
            )

    @api.model
    def _notify_field(self):
        """Have connectors load the field anew once this transaction is committed."""
        self.env.cr.execute(SQL("SELECT pg_notify(%s, '')", FIELD_CHANNEL))

    # --- arming --------------------------------------------------------------------------------

    def action_arm(self):
        """Let this database write to the meters: turn on, and whatever a person orders."""
        if not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers arm a gateway."))
        identity = database_identity(self.env.cr)
        for gateway in self:
            gateway.check_access("write")
            # sudo: the identities are written by these buttons only
            gateway.sudo().write({"armed_identity": identity})
            gateway.message_post(body=_("Armed: this database may now write to the meters."))

    def action_release_cuts(self):
        """Let this database turn supplies off for arrears."""
        if not self.env.user.has_group("prepaid_energy.group_energy_manager"):
            raise AccessError(_("Only managers release cuts."))
        identity = database_identity(self.env.cr)
        for gateway in self:
            gateway.check_access("write")
            if gateway.sudo().armed_identity != identity:
                raise UserError(_("Arm the gateway %s first.", gateway.name))
            # sudo: the identities are written by these buttons only
            gateway.sudo().write({"cut_release_identity": identity})
            gateway.message_post(body=_("Released: supplies may be turned off for arrears."))

    def action_disarm(self):
        """Write to no meter of this gateway any more."""
        if not self.env.user.has_group("prepaid_energy.group_energy_engineer"):
            raise AccessError(_("Only engineers disarm a gateway."))
        for gateway in self:
            gateway.check_access("write")
            # sudo: the identities are written by these buttons only
            gateway.sudo().write({"armed_identity": False, "cut_release_identity": False})
            gateway.message_post(body=_("Disarmed: meters are read and not written to."))

    def _lacks(self, value, cause):
        """Return what this database lacks to switch a meter of the gateway; empty if nothing.

        :param str value: "on" or "off"
        :param str cause: the command's cause
        :return: "armed", "cuts_released" or ""
        """
        if self.armed in ("no", "other"):
            return "armed"
        if value == "off" and cause == "arrears" and self.armed == "on_only":
            return "cuts_released"
        return ""

    def _write_refusal(self, value, cause):
        """Return why this database must not write to a meter of the gateway; empty if it may."""
        self.ensure_one()
        return {
            "": "",
            "armed": _("Gateway %s is not armed for this database.", self.name),
            "cuts_released": _(
                "Gateway %s is armed, but cuts for arrears are not released.", self.name
            ),
        }[self._lacks(value, cause)]

    # --- the connector's own -------------------------------------------------------------------

    @api.model
    def _cron_collect(self):
        """Scheduled action: do the connector's work where no connector does it."""
        from ..connector import Connector

        cr = self.env.cr
        cr.execute(
            "SELECT EXISTS (SELECT 1 FROM energy_gateway WHERE active),"
            "       EXISTS (SELECT 1 FROM energy_gateway_status"
            "                WHERE lease_until > energy_real_now())"
        )
        has_gateways, is_alive = cr.fetchone()
        # The connector works in transactions of its own; this one must not stay open meanwhile.
        self.env["ir.cron"]._commit_progress(0)
        if not has_gateways or is_alive:
            return
        Connector(cr.dbname, seconds=CRON_SECONDS).run()
        self.env.ref("prepaid_energy_meter.ir_cron_collect_readings")._trigger()

    def action_open_health(self):
        """Open how the readings behind this gateway went, hour by hour."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "prepaid_energy_meter.action_energy_gateway_hour"
        )
        views = [(False, "graph"), (False, "list"), (False, "pivot")]
        return dict(action, domain=[("gateway_id", "in", self.ids)], views=views)

    def action_open_meters(self):
        """Open the meters of this gateway."""
        action = self.env["ir.actions.act_window"]._for_xml_id("prepaid_energy.action_energy_meter")
        return dict(action, domain=[("gateway_id", "in", self.ids)])
