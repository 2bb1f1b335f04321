from datetime import timedelta

from odoo import Command

from .common import START, EnergyCase
from .planting import PropertyCase

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class SwitchingCase(PropertyCase, EnergyCase):
    """Two buildings of rooms, whose orders a connector takes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.east, cls.west = cls.env["energy.property"].create(
            [
                {"name": name, "kind": "building", "parent_id": cls.site.id}
                for name in ("East", "West")
            ]
        )
        cls.orders = cls.env["energy.command"]
        cls.manager = cls.make_user("manager")

    @classmethod
    def make_user(cls, role, site=None):
        return cls.new_user(
            role,
            f"switching_{role}_{site.id if site else 0}",
            energy_site_ids=[Command.set(site.ids if site else [])],
        )

    @classmethod
    def rooms(cls, count, building=None, prefix="R", deposit=1, **values):
        """Open accounts with a room, a meter and a deposit each; return the meters."""
        meters = cls.env["energy.meter"]
        for number in range(count):
            meter = cls.make_meter(f"{prefix}{number}")
            meter.property_id.parent_id = building or cls.east
            account = cls.open_account(meter, **values)
            if deposit:
                account.wallet_ids._top_up(deposit, f"deposit/{account.id}", cls.method)
            meters |= meter
        # What a connector says of meters that answer.
        cls.env["energy.meter.status"]._report(
            [{"meter_id": meter.id, "is_online": True} for meter in meters]
        )
        return meters

    def use(self, meters, moment, total="10"):
        """Read each meter and settle: 10 kWh are 6.00, more than the deposit."""
        for meter in meters:
            self.read(meter, moment, total)
        self.settle()

    def take(self, meters):
        """Take orders as a connector does; return (meter name, value) of what may go."""
        taken = self.orders._take(meters.ids)
        names = {meter.id: meter.name for meter in meters}
        return sorted((names[order["meter_id"]], order["value"]) for order in taken)

    def look_again(self):
        """The real seconds for which orders wait are over."""
        self.env.cr.execute(
            "UPDATE energy_command SET not_before = energy_real_now() WHERE not_before IS NOT NULL"
        )
        self.env.invalidate_all()

    def last(self, meter):
        """Return the last supply order of a meter."""
        return self.orders.search(
            [("meter_id", "=", meter.id), ("kind", "=", "supply")], order="number desc", limit=1
        )

    def waits(self, meters):
        return [self.last(meter).waits_for for meter in meters]

    def carry_out(self, meters):
        """Carry out what may go, as a connector does; return the names of the meters."""
        done = []
        for order in self.orders._take(meters.ids):
            command = self.orders.browse(order["id"])
            if not command._check():
                command._sent("01 10")
                command._confirm("01 10")
                done.append(command.meter_id.name)
        return sorted(done)

    def order_on(self, meter, cause="person"):
        self.orders._command(
            [
                {
                    "meter_id": meter.id,
                    "kind": "supply",
                    "value": "on",
                    "mode": "prepaid",
                    "cause": cause,
                    "user_id": self.env.uid,
                }
            ]
        )

    def stops(self):
        return self.env["energy.cut.breaker"].search([("site_id", "=", self.site.id)])

    def decide(self, stop, decision="released", user=None, reason="Looked through"):
        """Release or discard a list over the wizard, as a manager does."""
        stop = stop.with_user(user or self.manager)
        action = {"released": stop.action_release, "discarded": stop.action_discard}[decision]
        release = self.env["energy.cut.release"].with_user(user or self.manager)
        release = release.browse(action()["res_id"])
        release.reason = reason
        release.action_confirm()
        self.env.invalidate_all()
        return release


__all__ = ["HOUR", "MINUTE", "START", "SwitchingCase"]
