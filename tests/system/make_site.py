"""Put the site of `site_plan.py` into a database: a program of its own, run as
`python tests/system/make_site.py DATABASE` with Odoo's configuration in ODOO_RC.
"""

import sys
from contextlib import closing
from datetime import timedelta

import odoo.tools.config
import site_plan
from odoo import SUPERUSER_ID, Command, api
from odoo.modules.registry import Registry

USERS = {
    "cashier": ["prepaid_energy.group_energy_cashier"],
    "operator": ["prepaid_energy.group_energy_operator", "prepaid_energy.group_energy_cashier"],
    "manager": ["prepaid_energy.group_energy_manager"],
}


def make_company(env):
    currency = env.ref("base.CNY")
    currency.active = True
    company = env["res.company"].create({"name": "Harbour Estates", "currency_id": currency.id})
    env.user.company_ids += company
    env = env(context=dict(env.context, allowed_company_ids=company.ids))
    env["account.chart.template"].try_loading("generic_coa", company=company, install_demo=False)
    company = company.with_env(env)
    company.currency_id = currency
    env["account.journal"].search([("company_id", "=", company.id), ("type", "=", "cash")]).unlink()
    env["account.journal"].create(
        {"name": "Cash", "type": "cash", "code": "CASH", "company_id": company.id}
    )
    company._energy_set_up_books()
    for login, groups in USERS.items():
        env["res.users"].create(
            {
                "name": login.title(),
                "login": login,
                "password": login,
                "tz": "Asia/Shanghai",
                "company_ids": [Command.set(company.ids)],
                "company_id": company.id,
                "group_ids": [Command.set([env.ref(group).id for group in groups])],
            }
        )
    return env, company


def make_tariff(env, name, plan):
    tariff = env["energy.tariff"].create({"name": name, "commodity": plan.commodity})
    tiers = [*map(float, plan.limits), 0]
    version = env["energy.tariff.version"].create(
        {
            "tariff_id": tariff.id,
            "date_from": "2020-01-01",
            "band_ids": [
                Command.create({"name": key, "key": key, "is_rest": key == plan.rest})
                for key in plan.prices
            ],
            "tier_ids": [
                Command.create({"number": number, "limit": limit})
                for number, limit in enumerate(tiers, 1)
            ]
            if plan.limits
            else [],
        }
    )
    bands = {band.key: band.id for band in version.band_ids}
    version.window_ids = [
        Command.create(
            {
                "band_id": bands[window.period],
                "hour_from": window.hour_from,
                "hour_to": window.hour_to,
                "day_type": window.days,
                "sequence": position,
            }
        )
        for position, window in enumerate(plan.windows)
    ]
    version.price_ids = [
        Command.create({"band_id": bands[key], "tier": tier, "price": float(price)})
        for key, prices in plan.prices.items()
        for tier, price in enumerate(prices, 1)
    ]
    version.action_approve()
    return tariff


def make_field(env, site):
    """Rooms, gateways and meters; the meters by serial number."""
    building = env["energy.property"].create(
        {"name": "Building 1", "kind": "building", "parent_id": site.id}
    )
    rooms = {
        account.number: env["energy.property"].create(
            {"name": f"Room {account.number}", "kind": "room", "parent_id": building.id}
        )
        for account in site_plan.ACCOUNTS
    }
    gateways = [
        env["energy.gateway"].create(
            {"name": f"Bus {n + 1}", "site_id": site.id, "host": "127.0.0.1", "port": n + 1}
        )
        for n in range(site_plan.GATEWAYS)
    ]
    meters = {}
    for plan in site_plan.METERS:
        profile = env["energy.meter.profile"].search(
            [("code", "=", site_plan.PROFILES[plan.commodity])]
        )
        meters[plan.serial] = env["energy.meter"].create(
            {
                "name": plan.serial,
                "commodity": plan.commodity,
                "property_id": rooms[plan.account].id,
                "is_protected": plan.is_protected,
                "read_interval": site_plan.READ_INTERVAL // timedelta(minutes=1),
                "driver": "modbus",
                "gateway_id": gateways[plan.gateway].id,
                "unit_id": plan.unit,
                "profile_id": profile.id,
            }
        )
    env["energy.meter"].union(*meters.values())._take_over_commissioned("Checked when built.")
    return meters


def make_account(env, plan, site, meters, tariffs):
    mine = site_plan.meters_of(plan.number)
    account = env["energy.account"].create(
        {
            "partner_id": env["res.partner"].create({"name": f"Tenant {plan.number}"}).id,
            "site_id": site.id,
            "room_ids": [Command.set(meters[mine[0].serial].property_id.ids)],
            "supply_ids": [
                Command.create(
                    {
                        "meter_id": meters[meter.serial].id,
                        "start_at": site_plan.START,
                        "opening_register": float(meter.register),
                        "tariff_id": tariffs[meter.tariff].id,
                        "multiplier": 1,
                    }
                )
                for meter in mine
            ],
        }
    )
    account.action_activate()
    cash = env["energy.payment.method"].search(
        [("company_id", "=", site.company_id.id), ("kind", "=", "cash")]
    )
    account.wallet_ids._top_up(float(plan.deposit), f"deposit/{plan.number}", cash)


def make(env):
    env = env(context=dict(env.context, tracking_disable=True, lang="en_US"))
    parameters = env["ir.config_parameter"]
    parameters.set_param("prepaid_energy.clock_is_adjustable", "1")
    parameters.set_param("prepaid_energy_meter.allowed_addresses", "127.0.0.0/8")
    env["energy.clock"]._set(site_plan.START, 0)
    env["energy.reading"]._make_partitions()
    env, company = make_company(env)
    company.energy_credit_policy_id = env["energy.credit.policy"].create(
        {"name": "Off at zero", "fresh_hours": 24}
    )
    site = env["energy.property"].create(
        {"name": "Harbour Gardens", "kind": "site", "tz": "Asia/Shanghai", "supply_state": "live"}
    )
    tariffs = {name: make_tariff(env, name, plan) for name, plan in site_plan.TARIFFS.items()}
    meters = make_field(env, site)
    for plan in site_plan.ACCOUNTS:
        make_account(env, plan, site, meters, tariffs)


def main(database):
    odoo.tools.config.parse_config(["-d", database], setup_logging=True)
    with closing(Registry(database).cursor()) as cr:
        make(api.Environment(cr, SUPERUSER_ID, {}))
        cr.commit()


if __name__ == "__main__":
    main(sys.argv[1])
