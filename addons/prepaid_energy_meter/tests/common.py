from odoo.tests import TransactionCase, new_test_user


def judge_addresses_by_no_list(env):
    """Let gateways have any address, whatever the database's own list says."""
    env["ir.config_parameter"].set_param("prepaid_energy_meter.allowed_addresses", False)


class FieldCommon(TransactionCase):
    """Two sites of one company, a gateway with two meters on the first one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        judge_addresses_by_no_list(cls.env)
        cls.site, cls.other_site = cls.env["energy.property"].create(
            [{"name": name, "kind": "site", "tz": "Asia/Shanghai"} for name in ("East", "West")]
        )
        cls.room = cls.env["energy.property"].create(
            {"name": "101", "kind": "room", "parent_id": cls.site.id}
        )
        cls.other_room = cls.env["energy.property"].create(
            {"name": "201", "kind": "room", "parent_id": cls.other_site.id}
        )
        cls.power, cls.water = (
            cls.env["energy.meter.profile"].search([("code", "=", code)])
            for code in ("acrel_ddsy1352", "kaifeng_xintai_valve")
        )
        cls.gateway = cls.env["energy.gateway"].create(
            {"name": "Riser 1", "site_id": cls.site.id, "host": "192.0.2.10"}
        )
        cls.meter = cls.create_meter("FIELD-1", 1)
        cls.valve = cls.create_meter("FIELD-2", 2, cls.water)

    @classmethod
    def create_meter(cls, name, unit, profile=None, **values):
        profile = profile or cls.power
        return cls.env["energy.meter"].create(
            {
                "name": name,
                "property_id": cls.room.id,
                "commodity": profile.commodity,
                "driver": "modbus",
                "gateway_id": cls.gateway.id,
                "unit_id": unit,
                "profile_id": profile.id,
                **values,
            }
        )

    @classmethod
    def user(cls, role, sites=()):
        user = new_test_user(
            cls.env,
            login=f"field_{role}_{len(sites)}",
            groups=f"base.group_user,prepaid_energy.group_energy_{role}",
        )
        user.energy_site_ids = [site.id for site in sites]
        return user

    def order(self, meter, value=None, cause="person"):
        """Put an order into the outbox; return it."""
        self.env["energy.command"]._command(
            [
                {
                    "meter_id": meter.id,
                    "kind": "supply" if value else "read",
                    "value": value,
                    "mode": {"on": "prepaid", "off": "forced_off"}.get(value),
                    "cause": cause,
                    "reason": "test",
                    "user_id": self.env.uid,
                }
            ]
        )
        return self.env["energy.command"].search([("meter_id", "=", meter.id)], limit=1)
